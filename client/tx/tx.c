/* The functions of X/Open TX (C504), and what Troth adds: each checks the state table, does its
 * work, and goes on to the next state. */
#include "client/tx/tx.h"

#include <stdio.h>
#include <string.h>

#include "base/gid.h"
#include "client/tx/troth_tx.h"
#include "client/tx/tx_thread.h"
#include "shell/clock.h"
#include "shell/logline.h"

static const char *code_name(int rc) {
    switch (rc) {
    case TX_OUTSIDE:
        return "TX_OUTSIDE";
    case TX_ROLLBACK:
        return "TX_ROLLBACK";
    case TX_MIXED:
        return "TX_MIXED";
    case TX_HAZARD:
        return "TX_HAZARD";
    case TX_PROTOCOL_ERROR:
        return "TX_PROTOCOL_ERROR";
    case TX_ERROR:
        return "TX_ERROR";
    case TX_FAIL:
        return "TX_FAIL";
    case TX_EINVAL:
        return "TX_EINVAL";
    case TX_COMMITTED:
        return "TX_COMMITTED";
    case TX_NO_BEGIN:
        return "TX_NO_BEGIN";
    case TX_ROLLBACK_NO_BEGIN:
        return "TX_ROLLBACK_NO_BEGIN";
    case TX_MIXED_NO_BEGIN:
        return "TX_MIXED_NO_BEGIN";
    case TX_HAZARD_NO_BEGIN:
        return "TX_HAZARD_NO_BEGIN";
    case TX_COMMITTED_NO_BEGIN:
        return "TX_COMMITTED_NO_BEGIN";
    default:
        return "TX_OK";
    }
}

/* The state table's word before a call: TX_OK to go on. */
static int enter(struct tx_thread *thread, enum tx_call call) {
    int rc = tx_states_check(thread->state, call);
    if (rc == TX_PROTOCOL_ERROR) {
        snprintf(thread->why, sizeof thread->why, "not allowed in the state S%d of this thread",
                 (int)thread->state);
    } else if (rc == TX_OK) {
        thread->why[0] = '\0';
    }
    return rc; /* TX_FAIL: why it failed first is still there */
}

/* And after it. The standard wants the nature of an error to be written down somewhere; a rollback
 * is part of the business. */
static int leave(struct tx_thread *thread, enum tx_call call, const char *name, int rc) {
    thread->state = tx_states_next(thread->state, call, rc);
    if (rc < TX_OK && rc != TX_EINVAL) {
        logline(rc == TX_ROLLBACK ? LOGLINE_INFO : LOGLINE_ERROR, "%s: %s: %s", name, code_name(rc),
                thread->why);
    }
    return rc;
}

/* ---- Open, close, begin ---------------------------------------------------------------------- */

int tx_open(void) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_ERROR;
    }
    int rc = enter(thread, TX_CALL_OPEN);
    if (rc != TX_OK) {
        return rc;
    }
    if (thread->state == TX_S0) {
        rc = tx_thread_open(thread);
    }
    return leave(thread, TX_CALL_OPEN, "tx_open", rc);
}

int tx_close(void) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_ERROR;
    }
    int rc = enter(thread, TX_CALL_CLOSE);
    if (rc != TX_OK) {
        return rc;
    }
    return leave(thread, TX_CALL_CLOSE, "tx_close", tx_thread_close(thread));
}

static int begin(struct tx_thread *thread) {
    int rc = tx_flow_begin(&thread->flow, thread->timeout_s, clock_monotonic_ms());
    if (rc != TX_OK) {
        memcpy(thread->why, thread->flow.why, sizeof thread->why);
    }
    return rc;
}

int tx_begin(void) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_ERROR;
    }
    int rc = enter(thread, TX_CALL_BEGIN);
    return rc != TX_OK ? rc : leave(thread, TX_CALL_BEGIN, "tx_begin", begin(thread));
}

/* ---- Ends ------------------------------------------------------------------------------------ */

/* A chain goes on unless the thread is of no more use. */
static int chain(struct tx_thread *thread, int rc) {
    memcpy(thread->why, thread->flow.why, sizeof thread->why);
    if (rc == TX_FAIL || !tx_states_chained(thread->state)) {
        return rc;
    }
    return begin(thread) == TX_OK ? rc : rc + TX_NO_BEGIN;
}

int tx_commit(void) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_FAIL;
    }
    int rc = enter(thread, TX_CALL_COMMIT);
    if (rc != TX_OK) {
        return rc;
    }
    rc = tx_flow_commit(&thread->flow, thread->when_return == TX_COMMIT_COMPLETED,
                        clock_monotonic_ms());
    return leave(thread, TX_CALL_COMMIT, "tx_commit", chain(thread, rc));
}

int tx_rollback(void) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_FAIL;
    }
    int rc = enter(thread, TX_CALL_ROLLBACK);
    if (rc != TX_OK) {
        return rc;
    }
    rc = tx_flow_rollback(&thread->flow);
    return leave(thread, TX_CALL_ROLLBACK, "tx_rollback", chain(thread, rc));
}

/* ---- Characteristics ------------------------------------------------------------------------- */

static void set_xid(const struct tx_thread *thread, XID *xid) {
    /* The whole's id: no resource manager's branch. A qualifier has at least one byte. */
    char text[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    struct troth_gid gid = {.txid = thread->flow.txid, .participant = "tx"};
    memset(xid, 0, sizeof *xid);
    memcpy(gid.cluster, tx_process_config(thread->process)->cluster, sizeof gid.cluster);
    if (troth_gid_to_xa(&gid, text, bqual) != 0) { /* a cluster's name that XA has no room for */
        troth_txid_format(thread->flow.txid, text);
        memcpy(bqual, "tx", sizeof "tx");
    }
    xid->formatID = TROTH_XA_FORMAT;
    xid->gtrid_length = (long)strlen(text);
    xid->bqual_length = (long)strlen(bqual);
    memcpy(xid->data, text, (size_t)xid->gtrid_length);
    memcpy(xid->data + xid->gtrid_length, bqual, (size_t)xid->bqual_length);
}

int tx_info(TXINFO *info) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_FAIL;
    }
    int rc = enter(thread, TX_CALL_INFO);
    if (rc != TX_OK) {
        return rc;
    }
    bool is_in = tx_states_in_transaction(thread->state);
    if (info != NULL) {
        *info = (TXINFO){.xid.formatID = -1,
                         .when_return = thread->when_return,
                         .transaction_control =
                             tx_states_chained(thread->state) ? TX_CHAINED : TX_UNCHAINED,
                         .transaction_timeout = thread->timeout_s};
        if (is_in) {
            set_xid(thread, &info->xid);
            info->transaction_state = tx_flow_state(&thread->flow, clock_monotonic_ms());
        }
    }
    return leave(thread, TX_CALL_INFO, "tx_info", is_in ? 1 : 0);
}

static int refuse(struct tx_thread *thread, const char *what, long value) {
    snprintf(thread->why, sizeof thread->why, "%s can't be %ld", what, value);
    return TX_EINVAL;
}

int tx_set_commit_return(COMMIT_RETURN when_return) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_FAIL;
    }
    int rc = enter(thread, TX_CALL_SET_COMMIT_RETURN);
    if (rc != TX_OK) {
        return rc;
    }
    if (when_return != TX_COMMIT_COMPLETED && when_return != TX_COMMIT_DECISION_LOGGED) {
        rc = refuse(thread, "commit_return", when_return);
    } else if (when_return == TX_COMMIT_COMPLETED && !tx_process_completes(thread->process)) {
        rc = TX_NOT_SUPPORTED;
    } else {
        thread->when_return = when_return;
    }
    return leave(thread, TX_CALL_SET_COMMIT_RETURN, "tx_set_commit_return", rc);
}

int tx_set_transaction_control(TRANSACTION_CONTROL control) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_FAIL;
    }
    enum tx_call call = control == TX_CHAINED ? TX_CALL_SET_CHAINED : TX_CALL_SET_UNCHAINED;
    int rc = enter(thread, call);
    if (rc != TX_OK) {
        return rc;
    }
    if (control != TX_CHAINED && control != TX_UNCHAINED) {
        rc = refuse(thread, "transaction_control", control);
    }
    return leave(thread, call, "tx_set_transaction_control", rc);
}

int tx_set_transaction_timeout(TRANSACTION_TIMEOUT timeout) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL) {
        return TX_FAIL;
    }
    int rc = enter(thread, TX_CALL_SET_TIMEOUT);
    if (rc != TX_OK) {
        return rc;
    }
    if (timeout < 0) {
        rc = refuse(thread, "transaction_timeout", timeout);
    } else {
        thread->timeout_s = timeout;
    }
    return leave(thread, TX_CALL_SET_TIMEOUT, "tx_set_transaction_timeout", rc);
}

/* ---- What Troth adds ------------------------------------------------------------------------- */

static void *connection_of(const char *name, enum tx_kind kind) {
    struct tx_thread *thread = tx_thread_self();
    struct tx_session *session = thread == NULL ? NULL : tx_thread_session(thread, name);
    return session == NULL || session->resource->kind != kind ? NULL
                                                              : session->ops->connection(session);
}

void *troth_tx_postgres(const char *resource) {
    return connection_of(resource, TX_KIND_POSTGRES);
}

void *troth_tx_mariadb(const char *resource) {
    return connection_of(resource, TX_KIND_MARIADB);
}

const char *troth_tx_why(void) {
    const struct tx_thread *thread = tx_thread_self();
    return thread == NULL ? "out of memory" : thread->why;
}

int troth_tx_txid(struct troth_txid *txid) {
    struct tx_thread *thread = tx_thread_self();
    if (thread == NULL || !tx_states_in_transaction(thread->state)) {
        return TROTH_ERR_STATE;
    }
    thread->flow.is_shared = true;
    *txid = thread->flow.txid;
    return 0;
}
