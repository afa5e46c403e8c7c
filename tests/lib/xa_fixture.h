/* xa_fixture: an XA driver over the crooked switch (tests/lib/crooked_switch.h), and a client that
 * works in branches of it. Everything is in a folder of its own.
 *
 *     struct xa_fixture *f = xa_fixture_new("commit=XA_RETRY:3");
 *     struct troth_txid txid = xa_fixture_prepared(f);
 *     ck_assert_int_eq(xa_fixture_end(f, txid, true).result, TROTH_ERR_STATE);
 *     ck_assert_str_eq(xa_fixture_state(f, txid), "prepared");
 *     xa_fixture_free(f);
 */
#ifndef TESTS_LIB_XA_FIXTURE_H
#define TESTS_LIB_XA_FIXTURE_H

#include "participant/adapters/driver.h"
#include "participant/adapters/xa.h"
#include "tests/lib/crooked_file.h"

#define XA_FIXTURE_CLUSTER     "troth"
#define XA_FIXTURE_PARTICIPANT "crooked"

struct xa_fixture {
    char folder[64];
    char path[96]; /* of the file with the branches */
    char info[MAXINFOSIZE];
    struct driver *driver;
    struct driver_connection *connection;
    uint64_t last; /* txid */
};

/* The path of the shared object. */
const char *xa_fixture_library(void);
/* `rules`: what the switch does wrong, as its open string has it; "": nothing. */
struct xa_fixture *xa_fixture_new(const char *rules);
void xa_fixture_free(struct xa_fixture *f);
/* The same resource manager seen through another driver: after a restart, with other rules. */
void xa_fixture_restart(struct xa_fixture *f, const char *rules);

/* A branch in that state, as a client of another process would have left it. */
struct troth_txid xa_fixture_branch(struct xa_fixture *f, const char *state);
struct troth_txid xa_fixture_prepared(struct xa_fixture *f);
/* One of another participant. */
void xa_fixture_stranger(struct xa_fixture *f, const char *cluster, const char *participant);
/* What became of it. In a buffer that the next call overwrites; "" if it was never there. */
const char *xa_fixture_state(struct xa_fixture *f, struct troth_txid txid);
void xa_fixture_set_state(struct xa_fixture *f, struct troth_txid txid, const char *state);
/* Waits until a call hangs; and lets it return. */
void xa_fixture_await_hanging(struct xa_fixture *f);
void xa_fixture_end_hanging(struct xa_fixture *f);

/* The driver's calls for one branch. */
struct driver_branch xa_fixture_vote(struct xa_fixture *f, struct troth_txid txid);
struct driver_branch xa_fixture_end(struct xa_fixture *f, struct troth_txid txid, bool commit);
/* The same, where an earlier call may have been carried out. */
struct driver_branch xa_fixture_end_again(struct xa_fixture *f, struct troth_txid txid,
                                          bool commit);
struct driver_branch xa_fixture_forget(struct xa_fixture *f, struct troth_txid txid);
/* What `list` returned; *n: how many it showed. */
int xa_fixture_list(struct xa_fixture *f, size_t *n, char why[DRIVER_WHY_BYTES]);

#endif
