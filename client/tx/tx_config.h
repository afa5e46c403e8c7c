/* tx_config: what tx_open works with: an INI file, named by $TROTH_TX_CONFIG, else ./troth-tx.ini.
 *
 *     [troth]
 *     nodes = 10.0.0.1:7101,10.0.0.2:7101,10.0.0.3:7101
 *
 *     [resource orders]
 *     kind = postgres
 *     dsn = dbname=orders
 *
 *     [resource ledger]
 *     kind = xa
 *     library = /opt/ledger/lib/libledger.so
 *     symbol = ledger_xa_switch
 *     open_info = host=ledger.local
 *
 * Keys and their limits are the rows of a table in tx_config.c; docs/tx.md explains them.
 */
#ifndef CLIENT_TX_CONFIG_H
#define CLIENT_TX_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/gid.h"
#include "base/troth_err.h"

#define TX_RESOURCES_MAX 32
#define TX_VALUE_BYTES   200 /* of one value in the file */
#define TX_NODES_BYTES   4096
#define TX_WHY_BYTES     512

enum tx_kind { TX_KIND_NONE, TX_KIND_XA, TX_KIND_POSTGRES, TX_KIND_MARIADB };
/* "xa", "postgres", "mariadb" */
const char *tx_kind_name(enum tx_kind kind);

struct tx_resource {
    char name[TROTH_GID_NAME_BYTES]; /* the participant's */
    unsigned line;                   /* of its section */
    enum tx_kind kind;
    char dsn[TX_VALUE_BYTES];        /* postgres, mariadb */
    char library[TX_VALUE_BYTES];    /* xa */
    char symbol[TX_VALUE_BYTES];     /* xa */
    char open_info[TX_VALUE_BYTES];  /* xa; "" is allowed */
    char close_info[TX_VALUE_BYTES]; /* xa; "" is allowed */
    char agent[TX_VALUE_BYTES];      /* host:port of its troth-agent; "": this process is it */
};
struct tx_config {
    char cluster[TROTH_GID_NAME_BYTES];
    char nodes[TX_NODES_BYTES];
    uint32_t commit_timeout_ms;
    uint32_t patience_ms;
    struct tx_resource resources[TX_RESOURCES_MAX];
    size_t n_resources;
};

/* TROTH_ERR_INVALID: `why` names file, line, and what to change. */
int tx_config_read(struct tx_config *config, const char *path, char why[TX_WHY_BYTES]);
/* $TROTH_TX_CONFIG or the default. */
const char *tx_config_path(void);

#endif
