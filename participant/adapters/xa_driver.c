/* An XA resource manager as a driver: connections, votes, the list, forgetting. */
#include "participant/adapters/xa_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/xa_codes.h"
#include "participant/adapters/xa_load.h"
#include "shell/logline.h"

/* ---- Return codes ---------------------------------------------------------------------------- */

const char *xa_call_name(enum xa_call call) {
    switch (call) {
    case XA_CALL_OPEN:
        return "xa_open";
    case XA_CALL_PREPARE:
        return "xa_prepare";
    case XA_CALL_COMMIT:
        return "xa_commit";
    case XA_CALL_ROLLBACK:
        return "xa_rollback";
    case XA_CALL_RECOVER:
        return "xa_recover";
    case XA_CALL_FORGET:
        return "xa_forget";
    }
    return "xa_?";
}

void xa_driver_describe(struct xa_driver *driver, enum xa_call call, int code, char *text,
                        size_t bytes) {
    xa_code_describe(xa_call_name(call), code, text, bytes);
    unsigned bit = 1u << call;
    if (xa_code_name(code) == NULL && (atomic_fetch_or(&driver->strange, bit) & bit) == 0) {
        logline(LOGLINE_WARN, "%s: %s returned %d, which the XA specification does not know",
                driver->base.participant, xa_call_name(call), code);
    }
}

int xa_driver_again(struct driver_connection *connection, int code) {
    switch (code) {
    case XAER_RMFAIL:
        xa_connection_drop(connection);
        return TROTH_ERR_UNAVAILABLE;
    case XAER_RMERR:
        xa_connection_drop(connection);
        return TROTH_ERR_STORAGE;
    case XAER_PROTO:
        xa_connection_doubt(connection);
        return TROTH_ERR_STATE;
    case XAER_INVAL:
        return TROTH_ERR_INVALID;
    default:
        return xa_code_name(code) != NULL ? TROTH_ERR_STATE : TROTH_ERR_MISMATCH;
    }
}

/* ---- Connections ----------------------------------------------------------------------------- */

/* A number for each thread, never given twice, which a thread's id may be. */
static uint64_t this_thread(void) {
    static atomic_uint_fast64_t last;
    static _Thread_local uint64_t number;
    if (number == 0) {
        number = atomic_fetch_add(&last, 1) + 1;
    }
    return number;
}

int xa_connection_open(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    struct xa_driver *driver = connection->driver;
    if (connection->is_open && connection->thread == this_thread()) {
        return 0;
    }
    char info[MAXINFOSIZE]; /* a copy: the switch may write into it */
    memcpy(info, driver->open_info, sizeof info);
    int code = driver->xa->xa_open_entry(info, driver->rmid, TMNOFLAGS);
    explicit_bzero(info, sizeof info);
    if (code == XA_OK) {
        connection->is_open = true;
        connection->thread = this_thread();
        return 0;
    }
    connection->is_open = false;
    xa_driver_describe(driver, XA_CALL_OPEN, code, why, DRIVER_WHY_BYTES);
    return code == XAER_INVAL ? TROTH_ERR_MISMATCH : TROTH_ERR_UNAVAILABLE;
}

void xa_connection_drop(struct driver_connection *connection) {
    if (!connection->is_open || connection->thread != this_thread()) {
        return;
    }
    char info[MAXINFOSIZE];
    memcpy(info, connection->driver->close_info, sizeof info);
    /* Whatever it says: there is nothing else to be done. */
    connection->driver->xa->xa_close_entry(info, connection->driver->rmid, TMNOFLAGS);
    explicit_bzero(info, sizeof info);
    connection->is_open = false;
}

void xa_connection_doubt(struct driver_connection *connection) {
    connection->is_open = false;
}

static struct driver_connection *connection_new(struct driver *driver) {
    struct driver_connection *connection = calloc(1, sizeof *connection);
    if (connection != NULL) {
        connection->driver = (struct xa_driver *)driver;
    }
    return connection;
}

static void connection_free(struct driver_connection *connection) {
    if (connection != NULL) {
        xa_connection_drop(connection);
        free(connection);
    }
}

/* ---- Check and list -------------------------------------------------------------------------- */

static int each_ignored(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    (void)arg;
    (void)txid;
    (void)receipt;
    (void)age_ms;
    return 0;
}

/* Closes it again: the thread that checks may be the program's own, and is to have no part in the
 * resource manager afterwards. */
static int check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    char what[DRIVER_WHY_BYTES - 100];
    const char *hint = "is the open string right?";
    int err = xa_connection_open(connection, why);
    if (err == 0) {
        hint = "may this user see what is prepared?";
        err = xa_scan(connection, each_ignored, NULL, why);
        xa_connection_drop(connection);
    }
    if (err != 0) {
        snprintf(what, sizeof what, "%s", why);
        snprintf(why, DRIVER_WHY_BYTES, "%s: %s; %s", connection->driver->xa->name, what, hint);
    }
    return err;
}

static int list(struct driver_connection *connection, driver_each_fn *each, void *arg,
                char why[DRIVER_WHY_BYTES]) {
    int err = xa_connection_open(connection, why);
    return err == 0 ? xa_scan(connection, each, arg, why) : err;
}

/* ---- Votes ----------------------------------------------------------------------------------- */

static void vote_for(struct driver_connection *connection, struct driver_branch *branch) {
    struct xa_driver *driver = connection->driver;
    XID xid;
    xa_driver_xid(driver, branch->txid, &xid);
    int code = driver->xa->xa_prepare_entry(&xid, driver->rmid, TMNOFLAGS);
    if (code == XA_OK) {
        branch->result = DRIVER_PREPARED;
        return;
    }
    xa_driver_describe(driver, XA_CALL_PREPARE, code, branch->detail, sizeof branch->detail);
    if (code == XA_RDONLY) {
        branch->detail[0] = '\0';
        branch->result = DRIVER_READ_ONLY;
    } else if (code == XAER_NOTA || code == XAER_PROTO) {
        /* Not known, or in no state to be prepared: its client may have prepared it. */
        if (code == XAER_PROTO) {
            xa_connection_doubt(connection);
        }
        xa_look_mark(branch, DRIVER_NOT_PREPARED);
    } else if (xa_code_is_rollback(code) || code == XA_HEURCOM || code == XA_HEURRB ||
               code == XA_HEURMIX || code == XA_HEURHAZ) {
        /* No xa_prepare may return XA_HEUR*. One that does says that the branch is over, so it is
         * not prepared; ending it will tell what it did. */
        branch->result = DRIVER_NOT_PREPARED;
    } else {
        branch->result = xa_driver_again(connection, code);
    }
}

static int blind_vote(const struct driver_branch *branch, int absent) {
    (void)branch;
    (void)absent;
    return TROTH_ERR_UNAVAILABLE;
}

void xa_driver_for_each(struct driver_connection *connection, struct driver_branch *branches,
                        size_t n, xa_one_fn *one) {
    char why[DRIVER_WHY_BYTES];
    int err = 0;
    for (size_t i = 0; i < n; i++) {
        struct driver_branch *branch = &branches[i];
        branch->detail[0] = '\0';
        err = err == 0 ? xa_connection_open(connection, why) : err;
        branch->nothing_done = err != 0;
        if (err != 0) {
            branch->result = err;
            snprintf(branch->detail, sizeof branch->detail, "%s", why);
            continue;
        }
        one(connection, branch);
        if (branch->result == TROTH_ERR_UNAVAILABLE) {
            err = TROTH_ERR_UNAVAILABLE;
            snprintf(why, sizeof why, "%s", branch->detail);
        }
    }
}

static void vote(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
    xa_driver_for_each(connection, branches, n, vote_for);
    xa_look(connection, branches, n, DRIVER_PREPARED, blind_vote);
    for (size_t i = 0; i < n; i++) {
        branches[i].receipt = 0; /* XA has none */
        if (branches[i].result == DRIVER_PREPARED) {
            branches[i].detail[0] = '\0';
        }
    }
}

/* ---- Forgetting ------------------------------------------------------------------------------ */

static void forget_one(struct driver_connection *connection, struct driver_branch *branch) {
    struct xa_driver *driver = connection->driver;
    XID xid;
    xa_driver_xid(driver, branch->txid, &xid);
    int code = driver->xa->xa_forget_entry(&xid, driver->rmid, TMNOFLAGS);
    if (code == XA_OK || code == XAER_NOTA) { /* it has forgotten it, now or before */
        branch->result = 0;
        return;
    }
    xa_driver_describe(driver, XA_CALL_FORGET, code, branch->detail, sizeof branch->detail);
    branch->result = xa_driver_again(connection, code);
}

static void forget(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
    xa_driver_for_each(connection, branches, n, forget_one);
}

/* ---- The driver ------------------------------------------------------------------------------ */

static void statements(struct driver *driver, struct troth_txid txid, char begin[DRIVER_WHY_BYTES],
                       char prepare[DRIVER_WHY_BYTES]) {
    (void)driver;
    (void)txid;
    begin[0] = '\0';
    prepare[0] = '\0';
}

static void driver_free(struct driver *base) {
    struct xa_driver *driver = (struct xa_driver *)base;
    if (driver != NULL) {
        explicit_bzero(driver->open_info, sizeof driver->open_info);
        explicit_bzero(driver->close_info, sizeof driver->close_info);
        free(driver);
    }
}

static const struct driver_ops ops = {
    .kind = "xa",
    .uses_xa_ids = true,
    .connection_new = connection_new,
    .connection_free = connection_free,
    .check = check,
    .vote = vote,
    .end = xa_driver_end,
    .forget = forget,
    .list = list,
    .statements = statements,
    .free = driver_free,
};

/* Of the form that its gids are made of? */
static int check_names(const char *cluster, const char *participant, char why[DRIVER_WHY_BYTES]) {
    struct troth_gid gid = {.txid = {.hi = 0x0000000100000001, .lo = 1}};
    struct troth_gid read;
    char gtrid[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    snprintf(gid.cluster, sizeof gid.cluster, "%s", cluster);
    snprintf(gid.participant, sizeof gid.participant, "%s", participant);
    if (strlen(cluster) > TROTH_XA_CLUSTER_MAX || troth_gid_to_xa(&gid, gtrid, bqual) != 0) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "the cluster's name has %zu bytes; with XA it may have at most %d",
                 strlen(cluster), TROTH_XA_CLUSTER_MAX);
        return TROTH_ERR_TOO_LARGE;
    }
    if (strlen(participant) >= TROTH_GID_NAME_BYTES ||
        troth_gid_from_xa(gtrid, strlen(gtrid), bqual, strlen(bqual), &read) != 0) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "\"%.64s\" and \"%.64s\": a name has 1 to 47 of A-Z a-z 0-9 . _ -", cluster,
                 participant);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

static int take_info(char info[MAXINFOSIZE], const char *text, const char *what,
                     char why[DRIVER_WHY_BYTES]) {
    size_t n = text == NULL ? 0 : strlen(text);
    if (n >= MAXINFOSIZE) {
        snprintf(why, DRIVER_WHY_BYTES, "the %s string has %zu bytes; XA allows at most %d", what,
                 n, MAXINFOSIZE - 1);
        return TROTH_ERR_INVALID;
    }
    snprintf(info, MAXINFOSIZE, "%s", text == NULL ? "" : text);
    return 0;
}

int xa_driver_new(struct driver **out, const char *cluster, const char *participant,
                  const struct xa_driver_options *options, char why[DRIVER_WHY_BYTES]) {
    /* Never given twice: in a thread where the first is open still, a second xa_open with its rmid
     * would be no more than a repetition, whatever its open string. */
    static atomic_int next_rmid = XA_RMID_FIRST;
    why[0] = '\0';
    struct xa_driver *driver = calloc(1, sizeof *driver);
    if (driver == NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    driver->base.ops = &ops;
    driver->rmid = atomic_fetch_add(&next_rmid, 1);
    atomic_init(&driver->strange, 0);
    int err = check_names(cluster, participant, why);
    if (err == 0) {
        snprintf(driver->base.cluster, sizeof driver->base.cluster, "%s", cluster);
        snprintf(driver->base.participant, sizeof driver->base.participant, "%s", participant);
        err = take_info(driver->open_info, options->open_info, "open", why);
    }
    if (err == 0) {
        err = take_info(driver->close_info, options->close_info, "close", why);
    }
    if (err == 0) {
        err = xa_load(&driver->xa, options->library, options->symbol, why);
    }
    if (err != 0) {
        driver_free((struct driver *)driver);
        return err;
    }
    *out = &driver->base;
    return 0;
}
