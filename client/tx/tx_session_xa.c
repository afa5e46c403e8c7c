#include "client/tx/tx_session_xa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/gid.h"
#include "client/tx/tx.h"
#include "participant/adapters/xa_codes.h"
#include "participant/adapters/xa_load.h"

enum registration {
    NOT_REGISTERED,
    REGISTERED,         /* for the thread's transaction */
    REGISTERED_OUTSIDE, /* for work in none */
};

struct session_xa {
    struct tx_session base;
    const struct xa_switch_t *xa; /* NULL: not open */
    const char *cluster;
    XID xid;
    bool associated; /* between xa_start and xa_end */
    enum registration registration;
};

static struct session_xa *self_of(struct tx_session *session) {
    return (struct session_xa *)session;
}

int tx_session_xa_rmid(size_t index) {
    return (int)index + 1;
}

static int rmid_of(const struct session_xa *self) {
    return tx_session_xa_rmid(self->base.index);
}

static void describe(const char *call, int code, char why[TX_WHY_BYTES]) {
    xa_code_describe(call, code, why, TX_WHY_BYTES);
}

/* ---- Open and close -------------------------------------------------------------------------- */

static int call_open(struct session_xa *self, char why[TX_WHY_BYTES]) {
    char info[MAXINFOSIZE]; /* a copy: the switch may write into it */
    snprintf(info, sizeof info, "%s", self->base.resource->open_info);
    int code = self->xa->xa_open_entry(info, rmid_of(self), TMNOFLAGS);
    explicit_bzero(info, sizeof info);
    if (code == XA_OK) {
        return TX_OK;
    }
    describe("xa_open", code, why);
    return code == XAER_INVAL || code == XAER_PROTO ? TX_FAIL : TX_ERROR;
}

static int call_close(struct session_xa *self, char why[TX_WHY_BYTES]) {
    char info[MAXINFOSIZE];
    snprintf(info, sizeof info, "%s", self->base.resource->close_info);
    int code = self->xa->xa_close_entry(info, rmid_of(self), TMNOFLAGS);
    explicit_bzero(info, sizeof info);
    if (code == XA_OK) {
        return TX_OK;
    }
    describe("xa_close", code, why);
    return code == XAER_INVAL || code == XAER_PROTO ? TX_FAIL : TX_ERROR;
}

static int check_switch(const struct session_xa *self, char why[TX_WHY_BYTES]) {
    bool registers = (self->xa->flags & TMREGISTER) != 0;
    if (self->xa->xa_end_entry == NULL || (!registers && self->xa->xa_start_entry == NULL)) {
        snprintf(why, TX_WHY_BYTES, "the switch \"%s\" (%s) has no xa_start or xa_end",
                 self->base.resource->symbol, self->xa->name);
        return TX_FAIL;
    }
    return TX_OK;
}

static int session_open(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_xa *self = self_of(session);
    int rc = TX_FAIL;
    if (xa_load(&self->xa, session->resource->library, session->resource->symbol, why) == 0) {
        rc = check_switch(self, why);
        rc = rc == TX_OK ? call_open(self, why) : rc;
    }
    if (rc != TX_OK) {
        self->xa = NULL;
    }
    return rc;
}

static enum tx_fate session_rollback(struct tx_session *session, char why[TX_WHY_BYTES]);

static int session_close(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_xa *self = self_of(session);
    if (self->xa == NULL) {
        return TX_OK;
    }
    if (self->associated) { /* its thread ends in the middle of a transaction */
        (void)session_rollback(session, why);
        session->joined = false;
    }
    int rc = call_close(self, why);
    self->xa = NULL;
    self->registration = NOT_REGISTERED;
    return rc;
}

static void session_free(struct tx_session *session) {
    free(session);
}

/* ---- Begin ----------------------------------------------------------------------------------- */

static void make_xid(struct session_xa *self) {
    char gtrid[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    struct troth_gid gid = {.txid = self->base.txid};
    snprintf(gid.cluster, sizeof gid.cluster, "%s", self->cluster);
    snprintf(gid.participant, sizeof gid.participant, "%s", self->base.resource->name);
    /* The configuration has been checked: the cluster's name fits. */
    (void)troth_gid_to_xa(&gid, gtrid, bqual);
    memset(&self->xid, 0, sizeof self->xid);
    self->xid.formatID = TROTH_XA_FORMAT;
    self->xid.gtrid_length = (long)strlen(gtrid);
    self->xid.bqual_length = (long)strlen(bqual);
    memcpy(self->xid.data, gtrid, (size_t)self->xid.gtrid_length);
    memcpy(self->xid.data + self->xid.gtrid_length, bqual, (size_t)self->xid.bqual_length);
}

static int code_of_start(int code) {
    if (xa_code_is_rollback(code) || code == XAER_RMERR || code == XAER_RMFAIL ||
        code == XA_RETRY) {
        return TX_ERROR;
    }
    return code == XA_OK ? TX_OK : code == XAER_OUTSIDE ? TX_OUTSIDE : TX_FAIL;
}

static int session_begin(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_xa *self = self_of(session);
    char ignored[TX_WHY_BYTES];
    make_xid(self);
    if ((self->xa->flags & TMREGISTER) != 0) {
        if (self->registration == REGISTERED_OUTSIDE) {
            snprintf(why, TX_WHY_BYTES, "it works for this thread outside of any transaction");
            return TX_OUTSIDE;
        }
        return TX_OK;
    }
    int code = self->xa->xa_start_entry(&self->xid, rmid_of(self), TMNOFLAGS);
    if (code == XAER_RMFAIL) {
        /* It was away since the last transaction, and nothing of this one is lost: once more. */
        (void)call_close(self, ignored);
        if (call_open(self, why) != TX_OK) {
            return TX_ERROR;
        }
        code = self->xa->xa_start_entry(&self->xid, rmid_of(self), TMNOFLAGS);
    }
    int rc = code_of_start(code);
    if (rc == TX_OK) {
        self->associated = session->joined = true;
    } else {
        describe("xa_start", code, why);
    }
    return rc;
}

int tx_session_xa_register(struct tx_session *session, bool in_transaction, XID *xid) {
    struct session_xa *self = self_of(session);
    if (self->xa == NULL || (self->xa->flags & TMREGISTER) == 0 ||
        self->registration != NOT_REGISTERED) {
        return TMER_PROTO;
    }
    if (!in_transaction) {
        memset(xid, 0, sizeof *xid);
        xid->formatID = -1;
        self->registration = REGISTERED_OUTSIDE;
        return TM_OK;
    }
    *xid = self->xid;
    self->registration = REGISTERED;
    self->associated = session->joined = true;
    return TM_OK;
}

int tx_session_xa_unregister(struct tx_session *session) {
    struct session_xa *self = self_of(session);
    if (self->registration != REGISTERED_OUTSIDE) {
        return TMER_PROTO;
    }
    self->registration = NOT_REGISTERED;
    return TM_OK;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static int end_association(struct session_xa *self) {
    if (!self->associated) {
        return XA_OK;
    }
    self->associated = false;
    self->registration = NOT_REGISTERED;
    return self->xa->xa_end_entry(&self->xid, rmid_of(self), TMSUCCESS);
}

static void forget(struct session_xa *self) {
    (void)self->xa->xa_forget_entry(&self->xid, rmid_of(self), TMNOFLAGS);
}

/* What a code of xa_commit or xa_rollback says of the branch (C504: XAER_RMERR and XAER_NOTA mean
 * that it is rolled back). */
static enum tx_fate fate_of(struct session_xa *self, const char *call, int code, enum tx_fate done,
                            char why[TX_WHY_BYTES]) {
    if (code == XA_OK) {
        return done;
    }
    describe(call, code, why);
    if (xa_code_is_rollback(code) || code == XAER_RMERR || code == XAER_NOTA) {
        return TX_FATE_ROLLED_BACK;
    }
    switch (code) {
    case XA_HEURCOM:
        forget(self);
        return TX_FATE_COMMITTED;
    case XA_HEURRB:
        forget(self);
        return TX_FATE_ROLLED_BACK;
    case XA_HEURMIX:
        forget(self);
        return TX_FATE_MIXED;
    case XA_HEURHAZ:
        forget(self);
        return TX_FATE_HAZARD;
    default:
        return TX_FATE_UNKNOWN;
    }
}

static enum tx_fate call_rollback(struct session_xa *self, char why[TX_WHY_BYTES]) {
    int code = self->xa->xa_rollback_entry(&self->xid, rmid_of(self), TMNOFLAGS);
    return fate_of(self, "xa_rollback", code, TX_FATE_ROLLED_BACK, why);
}

static enum tx_fate session_rollback(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_xa *self = self_of(session);
    /* Not TMFAIL, which some resource managers do not know; xa_rollback says the same, and tells
     * what became of it. */
    (void)end_association(self);
    return call_rollback(self, why);
}

/* xa_end before a commit: false, with `why`, when the branch can only be rolled back. */
static bool end_work(struct session_xa *self, char why[TX_WHY_BYTES]) {
    int code = end_association(self);
    if (code != XA_OK) {
        describe("xa_end", code, why);
    }
    return code == XA_OK;
}

static enum tx_vote session_prepare(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_xa *self = self_of(session);
    if (!end_work(self, why)) {
        return TX_VOTE_FAILED;
    }
    int code = self->xa->xa_prepare_entry(&self->xid, rmid_of(self), TMNOFLAGS);
    if (code == XA_OK) {
        return TX_VOTE_PREPARED;
    }
    if (code == XA_RDONLY) {
        return TX_VOTE_READ_ONLY;
    }
    describe("xa_prepare", code, why);
    /* What it does not know it has lost, since nobody else has ended it. */
    return xa_code_is_rollback(code) || code == XAER_NOTA ? TX_VOTE_ROLLED_BACK : TX_VOTE_FAILED;
}

static enum tx_fate session_commit_one(struct tx_session *session, char why[TX_WHY_BYTES]) {
    struct session_xa *self = self_of(session);
    char more[TX_WHY_BYTES];
    if (!end_work(self, why)) {
        return call_rollback(self, more);
    }
    int code = self->xa->xa_commit_entry(&self->xid, rmid_of(self), TMONEPHASE);
    if (code == XA_RETRY) { /* it is still there, and nobody else would end it */
        describe("xa_commit", code, why);
        return call_rollback(self, more);
    }
    return fate_of(self, "xa_commit", code, TX_FATE_COMMITTED, why);
}

static const struct tx_session_ops ops = {
    .open = session_open,
    .close = session_close,
    .begin = session_begin,
    .prepare = session_prepare,
    .commit_one = session_commit_one,
    .rollback = session_rollback,
    .free = session_free,
};

struct tx_session *tx_session_xa_new(const struct tx_resource *resource, size_t index,
                                     const char *cluster) {
    struct session_xa *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->base = (struct tx_session){.ops = &ops, .resource = resource, .index = index};
    self->cluster = cluster;
    return &self->base;
}
