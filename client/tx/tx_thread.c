#include "client/tx/tx_thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tx/tx_session_sql.h"
#include "client/tx/tx_session_xa.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;

/* A thread that ends without tx_close. */
static void thread_ends(void *arg) {
    struct tx_thread *thread = arg;
    (void)tx_thread_close(thread);
    free(thread);
}

static void make_key(void) {
    has_key = pthread_key_create(&key, thread_ends) == 0;
}

struct tx_thread *tx_thread_known(void) {
    pthread_once(&once, make_key);
    return has_key ? pthread_getspecific(key) : NULL;
}

struct tx_thread *tx_thread_self(void) {
    struct tx_thread *thread = tx_thread_known();
    if (thread != NULL || !has_key) {
        return thread;
    }
    thread = calloc(1, sizeof *thread);
    if (thread != NULL && pthread_setspecific(key, thread) != 0) {
        free(thread);
        thread = NULL;
    }
    return thread;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static struct tx_session *session_new(const struct tx_config *config, size_t i) {
    const struct tx_resource *resource = &config->resources[i];
    switch (resource->kind) {
    case TX_KIND_XA:
        return tx_session_xa_new(resource, i, config->cluster);
    case TX_KIND_POSTGRES:
        return tx_session_postgres_new(resource, i);
    case TX_KIND_MARIADB:
        return tx_session_mariadb_new(resource, i);
    case TX_KIND_NONE:
        break;
    }
    return NULL;
}

static int open_sessions(struct tx_thread *thread) {
    const struct tx_config *config = tx_process_config(thread->process);
    for (size_t i = 0; i < config->n_resources; i++) {
        char why[TX_WHY_BYTES] = "out of memory";
        struct tx_session *session = session_new(config, i);
        int rc = TX_ERROR;
        if (session != NULL) {
            thread->sessions[thread->n_sessions++] = session;
            rc = session->ops->open(session, why);
        }
        if (rc != TX_OK) {
            snprintf(thread->why, sizeof thread->why, "%s: %s", config->resources[i].name, why);
            return rc;
        }
    }
    return TX_OK;
}

int tx_thread_open(struct tx_thread *thread) {
    int rc = tx_process_hold(&thread->process, thread->why);
    if (rc != TX_OK) {
        thread->process = NULL;
        return rc;
    }
    rc = open_sessions(thread);
    if (rc != TX_OK) {
        char why[TX_WHY_BYTES];
        memcpy(why, thread->why, sizeof why);
        (void)tx_thread_close(thread);
        memcpy(thread->why, why, sizeof why);
        return rc;
    }
    thread->flow = (struct tx_flow){.manager = &tx_process_manager,
                                    .arg = thread->process,
                                    .sessions = thread->sessions,
                                    .n = thread->n_sessions};
    thread->when_return =
        tx_process_completes(thread->process) ? TX_COMMIT_COMPLETED : TX_COMMIT_DECISION_LOGGED;
    thread->timeout_s = 0;
    return TX_OK;
}

int tx_thread_close(struct tx_thread *thread) {
    int rc = TX_OK;
    if (thread->process == NULL) {
        return TX_OK;
    }
    if (tx_states_in_transaction(thread->state)) {
        (void)tx_flow_rollback(&thread->flow);
    }
    for (size_t i = 0; i < thread->n_sessions; i++) {
        struct tx_session *session = thread->sessions[i];
        char why[TX_WHY_BYTES] = "";
        int one = session->ops->close(session, why);
        if (one != TX_OK && rc != TX_FAIL) {
            rc = one;
            snprintf(thread->why, sizeof thread->why, "%s: %s", session->resource->name, why);
        }
        session->ops->free(session);
    }
    thread->n_sessions = 0;
    tx_process_release(thread->process);
    thread->process = NULL;
    return rc;
}

struct tx_session *tx_thread_session(struct tx_thread *thread, const char *resource) {
    for (size_t i = 0; i < thread->n_sessions; i++) {
        if (strcmp(thread->sessions[i]->resource->name, resource) == 0) {
            return thread->sessions[i];
        }
    }
    return NULL;
}
