#include "tests/lib/xa_fixture.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *xa_fixture_library(void) {
    return CROOKED_SWITCH;
}

static void start(struct xa_fixture *f, const char *rules) {
    char why[DRIVER_WHY_BYTES];
    int n = snprintf(f->info, sizeof f->info, "file=%s%s%s", f->path, rules[0] == '\0' ? "" : ",",
                     rules);
    ck_assert_int_lt(n, MAXINFOSIZE);
    struct xa_driver_options options = {
        .library = CROOKED_SWITCH, .symbol = "crooked_switch", .open_info = f->info};
    int err = xa_driver_new(&f->driver, XA_FIXTURE_CLUSTER, XA_FIXTURE_PARTICIPANT, &options, why);
    ck_assert_msg(err == 0, "%s", why);
    f->connection = f->driver->ops->connection_new(f->driver);
    ck_assert_ptr_nonnull(f->connection);
}

static void stop(struct xa_fixture *f) {
    const struct driver_ops *ops = f->driver->ops;
    ops->connection_free(f->connection);
    ops->free(f->driver);
}

struct xa_fixture *xa_fixture_new(const char *rules) {
    struct xa_fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/troth-xa-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/branches", f->folder);
    FILE *made = fopen(f->path, "w");
    ck_assert_ptr_nonnull(made);
    fclose(made);
    start(f, rules);
    return f;
}

void xa_fixture_free(struct xa_fixture *f) {
    stop(f);
    unlink(f->path);
    rmdir(f->folder);
    free(f);
}

void xa_fixture_restart(struct xa_fixture *f, const char *rules) {
    stop(f);
    start(f, rules);
}

/* ---- Branches -------------------------------------------------------------------------------- */

static void make_xid(const char *cluster, const char *participant, struct troth_txid txid,
                     XID *xid) {
    struct troth_gid gid = {.txid = txid};
    char gtrid[TROTH_XA_PART_BYTES], bqual[TROTH_XA_PART_BYTES];
    snprintf(gid.cluster, sizeof gid.cluster, "%s", cluster);
    snprintf(gid.participant, sizeof gid.participant, "%s", participant);
    ck_assert_int_eq(troth_gid_to_xa(&gid, gtrid, bqual), 0);
    *xid = (XID){.formatID = TROTH_XA_FORMAT,
                 .gtrid_length = (long)strlen(gtrid),
                 .bqual_length = (long)strlen(bqual)};
    snprintf(xid->data, sizeof xid->data, "%s%s", gtrid, bqual);
}

static void set_state(struct xa_fixture *f, const XID *xid, const char *state) {
    struct crooked_file file;
    ck_assert_int_eq(crooked_open(&file, f->path), 0);
    crooked_set(&file, xid, state);
    crooked_close(&file, 1);
}

void xa_fixture_set_state(struct xa_fixture *f, struct troth_txid txid, const char *state) {
    XID xid;
    make_xid(XA_FIXTURE_CLUSTER, XA_FIXTURE_PARTICIPANT, txid, &xid);
    set_state(f, &xid, state);
}

static struct troth_txid next_txid(struct xa_fixture *f) {
    return (struct troth_txid){.hi = 0x0000000100000001, .lo = ++f->last};
}

struct troth_txid xa_fixture_branch(struct xa_fixture *f, const char *state) {
    struct troth_txid txid = next_txid(f);
    xa_fixture_set_state(f, txid, state);
    return txid;
}

struct troth_txid xa_fixture_prepared(struct xa_fixture *f) {
    return xa_fixture_branch(f, "prepared");
}

void xa_fixture_stranger(struct xa_fixture *f, const char *cluster, const char *participant) {
    XID xid;
    make_xid(cluster, participant, next_txid(f), &xid);
    set_state(f, &xid, "prepared");
}

const char *xa_fixture_state(struct xa_fixture *f, struct troth_txid txid) {
    static char state[CROOKED_STATE_BYTES];
    struct crooked_file file;
    XID xid;
    make_xid(XA_FIXTURE_CLUSTER, XA_FIXTURE_PARTICIPANT, txid, &xid);
    ck_assert_int_eq(crooked_open(&file, f->path), 0);
    struct crooked_branch *branch = crooked_find(&file, &xid);
    snprintf(state, sizeof state, "%s", branch == NULL ? "" : branch->state);
    crooked_close(&file, 0);
    return state;
}

static void hanging_mark(const struct xa_fixture *f, char mark[sizeof f->path + 16]) {
    snprintf(mark, sizeof f->path + 16, "%s.hanging", f->path);
}

void xa_fixture_await_hanging(struct xa_fixture *f) {
    char mark[sizeof f->path + 16];
    hanging_mark(f, mark);
    while (access(mark, F_OK) != 0) {
        sched_yield();
    }
}

void xa_fixture_end_hanging(struct xa_fixture *f) {
    char mark[sizeof f->path + 16];
    hanging_mark(f, mark);
    ck_assert_int_eq(unlink(mark), 0);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Set to what no call may leave behind. */
static struct driver_branch branch_of(struct troth_txid txid) {
    return (struct driver_branch){.txid = txid, .result = 99, .detail = "left as it was"};
}

struct driver_branch xa_fixture_vote(struct xa_fixture *f, struct troth_txid txid) {
    struct driver_branch branch = branch_of(txid);
    f->driver->ops->vote(f->connection, &branch, 1);
    return branch;
}

static struct driver_branch end(struct xa_fixture *f, struct troth_txid txid, bool commit,
                                bool was_begun) {
    struct driver_branch branch = branch_of(txid);
    branch.commit = commit;
    branch.was_begun = was_begun;
    f->driver->ops->end(f->connection, &branch, 1);
    return branch;
}

struct driver_branch xa_fixture_end(struct xa_fixture *f, struct troth_txid txid, bool commit) {
    return end(f, txid, commit, false);
}

struct driver_branch xa_fixture_end_again(struct xa_fixture *f, struct troth_txid txid,
                                          bool commit) {
    return end(f, txid, commit, true);
}

struct driver_branch xa_fixture_forget(struct xa_fixture *f, struct troth_txid txid) {
    struct driver_branch branch = branch_of(txid);
    f->driver->ops->forget(f->connection, &branch, 1);
    return branch;
}

static int count(void *arg, struct troth_txid txid, uint64_t receipt, uint64_t age_ms) {
    (void)txid;
    ck_assert_uint_eq(receipt, 0);
    ck_assert_uint_eq(age_ms, 0);
    *(size_t *)arg += 1;
    return 0;
}

int xa_fixture_list(struct xa_fixture *f, size_t *n, char why[DRIVER_WHY_BYTES]) {
    *n = 0;
    return f->driver->ops->list(f->connection, count, n, why);
}
