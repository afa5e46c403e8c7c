#include "client/tx/tx_process.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/internal.h"
#include "client/tx/tx.h"
#include "client/tx/tx_process_internal.h"
#include "participant/adapters/resource.h"
#include "shell/clock.h"
#include "shell/logline.h"

#define ATTACH_TIMEOUT_MS 10000
#define DRAIN_TIMEOUT_MS  5000
#define PAUSE_MAX_MS      20

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tx_process *opened; /* NULL, or what `holders` threads hold */

bool tx_wait_until(tx_is_done_fn *is_done, void *arg, uint32_t timeout_ms) {
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    for (long pause_us = 500; !is_done(arg);) {
        if (clock_monotonic_ms() >= until_ms) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000}, NULL);
        pause_us = pause_us < PAUSE_MAX_MS * 500 ? pause_us * 2 : PAUSE_MAX_MS * 1000;
    }
    return true;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* What can't be mended by waiting is fatal. */
static int code_of(int err) {
    return err == 0                                                   ? TX_OK
           : err == TROTH_ERR_UNAVAILABLE || err == TROTH_ERR_TIMEOUT ? TX_ERROR
           : err == TROTH_ERR_NO_MEMORY || err == TROTH_ERR_SYSTEM    ? TX_ERROR
                                                                      : TX_FAIL;
}

static int make_driver(struct driver **driver, const struct tx_config *config,
                       const struct tx_resource *resource, char why[DRIVER_WHY_BYTES]) {
    switch (resource->kind) {
    case TX_KIND_XA:
        return xa_driver_new(driver, config->cluster, resource->name,
                             &(struct xa_driver_options){.library = resource->library,
                                                         .symbol = resource->symbol,
                                                         .open_info = resource->open_info,
                                                         .close_info = resource->close_info},
                             why);
    case TX_KIND_POSTGRES:
        return postgres_driver_new(driver, config->cluster, resource->name, resource->dsn, why);
    case TX_KIND_MARIADB:
        return mariadb_driver_new(driver, config->cluster, resource->name, resource->dsn, why);
    case TX_KIND_NONE:
        break;
    }
    return TROTH_ERR_INVALID;
}

static int open_database(struct tx_process *process, size_t i, char why[TX_WHY_BYTES]) {
    const struct tx_resource *resource = &process->config.resources[i];
    char detail[DRIVER_WHY_BYTES] = "";
    struct driver *driver;
    int err = make_driver(&driver, &process->config, resource, detail);
    if (err == 0) {
        err = resource_open(
            &process->databases[i], driver,
            &(struct troth_database_options){.cluster = process->config.cluster,
                                             .name = resource->name,
                                             .nodes = process->config.nodes,
                                             .dsn = resource->dsn,
                                             .patience_ms = process->config.patience_ms,
                                             .troth = process->troth},
            NULL, detail, sizeof detail);
    }
    if (err != 0) {
        snprintf(why, TX_WHY_BYTES, "%s: %s", resource->name,
                 detail[0] != '\0' ? detail : troth_err_text(err));
    }
    return err;
}

static int open_agent(struct tx_process *process, size_t i, char why[TX_WHY_BYTES]) {
    const struct tx_resource *resource = &process->config.resources[i];
    char detail[TX_WHY_BYTES] = "";
    int err = tx_agent_open(&process->agents[i], process->troth->rpc, resource);
    if (err == 0) {
        err = tx_agent_check(process->agents[i], process->config.cluster, detail);
    }
    if (err != 0) {
        snprintf(why, TX_WHY_BYTES, "%s: %s", resource->name,
                 detail[0] != '\0' ? detail : troth_err_text(err));
    }
    return err;
}

/* The first participant of this process that no majority of the nodes knows; n_resources: there is
 * none. The other nodes may be away. */
static size_t first_unattached(const struct tx_process *process,
                               struct troth_database_counters *counters) {
    uint32_t nodes = 1;
    for (const char *at = process->config.nodes; *at != '\0'; at++) {
        nodes += *at == ',' && at[1] != '\0' ? 1 : 0;
    }
    for (size_t i = 0; i < process->config.n_resources; i++) {
        if (process->databases[i] == NULL) {
            continue;
        }
        troth_database_counters(process->databases[i], counters);
        if (counters->nodes_attached <= nodes / 2) {
            return i;
        }
    }
    return process->config.n_resources;
}

static bool is_attached(void *arg) {
    const struct tx_process *process = arg;
    struct troth_database_counters counters;
    return first_unattached(process, &counters) == process->config.n_resources;
}

/* What has never been read takes no part yet, so it is not the nodes' fault then. */
static void explain_unattached(const struct tx_process *process, char why[TX_WHY_BYTES]) {
    const struct tx_config *config = &process->config;
    struct troth_database_counters counters;
    size_t i = first_unattached(process, &counters);
    if (i < config->n_resources && !counters.reachable) {
        snprintf(why, TX_WHY_BYTES,
                 "the database of resource %s can't be reached; the log above says why",
                 config->resources[i].name);
    } else {
        snprintf(why, TX_WHY_BYTES,
                 "no majority of the nodes %.200s can be reached, or their cluster is not \"%s\"",
                 config->nodes, config->cluster);
    }
}

static void process_free(struct tx_process *process) {
    for (size_t i = 0; i < TX_RESOURCES_MAX; i++) {
        troth_database_close(process->databases[i]);
        tx_agent_close(process->agents[i]);
    }
    if (process->troth != NULL) {
        troth_close(process->troth);
    }
    explicit_bzero(&process->config, sizeof process->config); /* passwords */
    free(process);
}

static int process_open(struct tx_process *process, char why[TX_WHY_BYTES]) {
    struct tx_config *config = &process->config;
    int err = tx_config_read(config, tx_config_path(), why);
    if (err != 0) {
        return TX_FAIL;
    }
    err = troth_open(&process->troth, &(struct troth_options){.nodes = config->nodes});
    if (err != 0) {
        snprintf(why, TX_WHY_BYTES, "nodes: %s", troth_err_text(err));
        return code_of(err);
    }
    for (size_t i = 0; i < config->n_resources; i++) {
        err = config->resources[i].agent[0] != '\0' ? open_agent(process, i, why)
                                                    : open_database(process, i, why);
        if (err != 0) {
            return code_of(err);
        }
    }
    if (!tx_wait_until(is_attached, process, ATTACH_TIMEOUT_MS)) {
        explain_unattached(process, why);
        return TX_ERROR;
    }
    return TX_OK;
}

int tx_process_hold(struct tx_process **out, char why[TX_WHY_BYTES]) {
    int rc = TX_OK;
    pthread_mutex_lock(&mutex);
    if (opened == NULL) {
        struct tx_process *process = calloc(1, sizeof *process);
        if (process == NULL) {
            snprintf(why, TX_WHY_BYTES, "%s", troth_err_text(TROTH_ERR_NO_MEMORY));
            rc = TX_ERROR;
        } else {
            rc = process_open(process, why);
        }
        if (rc == TX_OK) {
            opened = process;
        } else if (process != NULL) {
            process_free(process);
        }
    }
    if (rc == TX_OK) {
        opened->holders++;
        *out = opened;
    }
    pthread_mutex_unlock(&mutex);
    return rc;
}

const struct tx_config *tx_process_config(const struct tx_process *process) {
    return &process->config;
}

bool tx_process_completes(const struct tx_process *process) {
    for (size_t i = 0; i < process->config.n_resources; i++) {
        if (process->agents[i] != NULL) {
            return false;
        }
    }
    return true;
}

/* ---- Closing --------------------------------------------------------------------------------- */

static int count_branch(void *arg, struct troth_txid txid, const char *state, uint64_t since_ms,
                        const char *detail) {
    (void)txid;
    (void)state;
    (void)since_ms;
    (void)detail;
    ++*(size_t *)arg;
    return 0;
}

static bool is_drained(void *arg) {
    const struct tx_process *process = arg;
    size_t n = 0;
    for (size_t i = 0; i < process->config.n_resources; i++) {
        if (process->databases[i] != NULL) {
            (void)troth_database_branches(process->databases[i], count_branch, &n);
        }
    }
    return n == 0;
}

void tx_process_release(struct tx_process *process) {
    pthread_mutex_lock(&mutex);
    if (--process->holders == 0) {
        if (!tx_wait_until(is_drained, process, DRAIN_TIMEOUT_MS)) {
            logline(LOGLINE_WARN, "tx_close: branches are left to be ended; the next start of this "
                                  "program goes on with them");
        }
        opened = NULL;
        process_free(process);
    }
    pthread_mutex_unlock(&mutex);
}
