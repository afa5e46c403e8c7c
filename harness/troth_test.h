/* troth_test: test your service against a coordinator crash.
 *
 * An embedded Troth cluster for one test: real nodes and key-value shards as processes on loopback,
 * on ports that the system gives, with their files in a temporary folder. Each can be armed with a
 * crash point, at which it dies by SIGKILL as if its power were cut, and started again.
 *
 *     struct troth_test *t;
 *     char why[TROTH_TEST_WHY_BYTES];
 *     troth_test_start(&t, &(struct troth_test_options){.shards = 2}, why);
 *     ... your service, with troth_test_nodes(t) and troth_test_shards(t) ...
 *     troth_test_arm(t, "node-1", "before.send.decision", why);
 *     ... let your service work while troth_test_crashed(t, "node-1", why) == 0 ...
 *     troth_test_restart(t, "node-1", why);
 *     troth_test_wait_recovered(t, 60000, why);
 *     ... what must hold for your service? ...
 *     troth_test_stop(t, why);
 *
 * docs/crash-testing.md is the guide. The programs must be built with crash points (./dev build
 * crash), which a release has not; `trothd --list-crash-points` lists them. Members are "node-1" to
 * "node-N" and "shard-1" to "shard-N".
 *
 * The processes never outlive the thread that started them: use it from one thread that lives as
 * long as the test. A test that is killed leaves the temporary folder. Every function returns 0 or
 * an error of troth_err.h; `why`, which must not be NULL, then says what failed and what to do.
 */
#ifndef TROTH_TEST_H
#define TROTH_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/troth_err.h"

#define TROTH_TEST_WHY_BYTES 1024

struct troth_test_options {
    unsigned nodes;  /* 0: 3 */
    unsigned shards; /* of keys; may be 0 when your services are the participants */
    /* The folder of the programs: of a build or of an installation. NULL: $TROTH_BIN_DIR, else
     * the build that the running program is part of, else $PATH. */
    const char *bin_dir;
    const char *data; /* the folder for files and logs, which then stay; NULL: a temporary one */
    const char *const *node_args; /* more flags for trothd, which NULL ends; or NULL */
};

struct troth_test;
/* Starts the cluster and waits until it is ready. TROTH_ERR_INVALID, _NOT_FOUND (the programs),
 * _SYSTEM, _NO_MEMORY, _TIMEOUT, _CLOSED (a process has ended; `why` has the end of its log). */
int troth_test_start(struct troth_test **out, const struct troth_test_options *options,
                     char why[TROTH_TEST_WHY_BYTES]);
/* Stops all processes in order, removes the temporary folder and frees t, whatever it returns.
 * TROTH_ERR_STATE: a process that was not killed by a crash point, troth_test_kill or this did not
 * end with exit status 0. NULL is let be. */
int troth_test_stop(struct troth_test *t, char why[TROTH_TEST_WHY_BYTES]);

/* "host:port,host:port", for troth_open, TROTH_NODES and your participants. */
const char *troth_test_nodes(const struct troth_test *t);
/* "shard-1=host:port,...", for troth_kv_open and TROTH_SHARDS. */
const char *troth_test_shards(const struct troth_test *t);
/* The member's log, for your test's own messages; NULL: no such member. */
const char *troth_test_log(const struct troth_test *t, const char *member);

/* Restarts the member, in order, so that it dies at the point ("NAME" or "NAME:COUNT"), and waits
 * until it is ready again or, if the point is on that way, has died. TROTH_ERR_NOT_FOUND: no such
 * member, or no such point in it; or the programs have no crash points. _CLOSED: it has ended in
 * another way. */
int troth_test_arm(struct troth_test *t, const char *member, const char *point,
                   char why[TROTH_TEST_WHY_BYTES]);
/* Kills it here and now. TROTH_ERR_NOT_FOUND, _STATE (it does not run). */
int troth_test_kill(struct troth_test *t, const char *member, char why[TROTH_TEST_WHY_BYTES]);
/* Whether the member is dead: has reached its point, or was killed. 1: it is; 0: it runs.
 * TROTH_ERR_NOT_FOUND; _STATE: it ended in another way (all errors are negative). */
int troth_test_crashed(struct troth_test *t, const char *member, char why[TROTH_TEST_WHY_BYTES]);
/* Waits for that. TROTH_ERR_TIMEOUT: it was not reached; _STATE: it ended in another way. */
int troth_test_wait_crashed(struct troth_test *t, const char *member, int64_t timeout_ms,
                            char why[TROTH_TEST_WHY_BYTES]);
/* Starts it again, without a point, and waits until it is ready. A member that runs is stopped
 * first, in order. TROTH_ERR_NOT_FOUND, _CLOSED, _TIMEOUT. */
int troth_test_restart(struct troth_test *t, const char *member, char why[TROTH_TEST_WHY_BYTES]);
/* Waits until all that run are ready and attached to each other, and no node has a transaction that
 * is undecided, in doubt or not delivered to its participants. Let your clients rest, and restart
 * who holds branches: a dead shard's are never delivered. What a dead client left open is aborted
 * at its deadline, 5 s after begin if it gave none. TROTH_ERR_TIMEOUT: `why` says what is left;
 * _CLOSED. */
int troth_test_wait_recovered(struct troth_test *t, int64_t timeout_ms,
                              char why[TROTH_TEST_WHY_BYTES]);

#endif
