/* mariadb_dsn: how to reach a MariaDB server, as a user writes it.
 *
 *     host=10.0.0.7 port=3306 user=troth password='a b' database=stock ssl=verify
 *
 * As libpq's: pairs with spaces between; a value with spaces, or none, stands in single quotes, and
 * there and elsewhere a backslash takes the next character as it is. Neither option files nor the
 * environment are read. The password is in no error text.
 */
#ifndef ADAPTERS_MARIADB_DSN_H
#define ADAPTERS_MARIADB_DSN_H

#include <stddef.h>

#define MARIADB_DSN_BYTES 256 /* a value's, with the NUL */

enum mariadb_ssl {
    MARIADB_SSL_OFF,
    MARIADB_SSL_ON,     /* encrypted; the server may be anybody */
    MARIADB_SSL_VERIFY, /* and its certificate must be good for its name */
};

/* Texts that were not given are "". */
struct mariadb_dsn {
    char host[MARIADB_DSN_BYTES];   /* given neither this nor a socket: 127.0.0.1 */
    unsigned port;                  /* 3306 */
    char socket[MARIADB_DSN_BYTES]; /* goes before the host */
    char user[MARIADB_DSN_BYTES];   /* not given: the process's */
    char password[MARIADB_DSN_BYTES];
    char database[MARIADB_DSN_BYTES];
    enum mariadb_ssl ssl;           /* ssl=off, on, verify */
    char ssl_ca[MARIADB_DSN_BYTES]; /* files, PEM */
    char ssl_cert[MARIADB_DSN_BYTES];
    char ssl_key[MARIADB_DSN_BYTES];
    unsigned connect_timeout_s; /* connect_timeout: 5 */
    unsigned timeout_s;         /* timeout: 30; of one statement, after which it is redialled */
    unsigned keep_hours;        /* keep_hours: 24; mariadb_rows.h */
};

/* TROTH_ERR_INVALID, with `why`; *dsn is undefined then. */
int mariadb_dsn_parse(const char *text, struct mariadb_dsn *dsn, char *why, size_t why_bytes);

#endif
