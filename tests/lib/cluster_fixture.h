/* cluster_fixture: a cluster of real processes for a test, clients for it, and what the shards'
 * own files say.
 *
 * A test's transaction puts one new key on every shard, so that the files show it as there on
 * all, on none, or, which must never be, on some (S1, S5). What goes wrong anywhere fails the test
 * and prints the end of every process's log.
 *
 *     struct fixture f;
 *     fixture_open(&f, &(struct fixture_options){.nodes = 3, .shards = 2});
 *     struct fixture_tx tx;
 *     fixture_work(&f, &tx, 0, 0);                   // begun at node 0, with work on both shards
 *     enum troth_outcome told = fixture_commit(&f, &tx);
 *     fixture_settle(&f, &tx, told);                 // waits; checks the files, nodes and locks
 *     fixture_close(&f);                             // stops all; every exit must be in order
 *
 * Members are counted from 0, as in harness/cluster.h. Use it from the test's main thread.
 */
#ifndef TESTS_LIB_CLUSTER_FIXTURE_H
#define TESTS_LIB_CLUSTER_FIXTURE_H

#include <check.h>
#include <stdbool.h>

#include "client/troth.h"
#include "harness/admin.h"
#include "harness/bank.h"
#include "harness/cluster.h"

#define FIXTURE_NODES_MAX  5u
#define FIXTURE_SHARDS_MAX 4u
#define FIXTURE_ANY        FIXTURE_NODES_MAX /* any node */
/* For conditions that must come true; only a failing test waits so long. */
#define FIXTURE_PATIENCE_MS 60000

struct fixture_options {
    unsigned nodes;
    unsigned shards;
    const char *const *node_args; /* more flags for trothd, which NULL ends; or NULL */
    const char *data;             /* see cluster_options */
};
/* The crash point of a member's last start. */
struct fixture_arm {
    char name[64]; /* "": none */
    long log_from; /* the length of its log then */
};
struct fixture {
    struct cluster *cluster;
    unsigned nodes, shards;
    const char *const *node_args;
    struct troth *troth;                 /* knows all nodes */
    struct troth *at[FIXTURE_NODES_MAX]; /* each knows one */
    struct troth_kv *kv;
    unsigned txs;      /* begun so far; names the keys */
    const char *armed; /* the crash point that was armed last, for messages */
    struct fixture_arm arms[2][FIXTURE_NODES_MAX]; /* by role */
};

/* Starts everything and waits until it is ready. */
void fixture_open(struct fixture *f, const struct fixture_options *options);
/* The same without starting the processes and waiting. */
void fixture_prepare(struct fixture *f, const struct fixture_options *options);
/* Stops what runs, by SIGTERM; fails unless each exits with 0 and no log has a sanitizer's report.
 */
void fixture_close(struct fixture *f);

/* Prints the logs' ends, kills the processes, and fails the test. */
__attribute__((noreturn, format(printf, 4, 5))) void
fixture_fail(struct fixture *f, const char *file, int line, const char *format, ...);
#define fixture_must(f, condition, ...)                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fixture_fail(f, __FILE__, __LINE__, "" __VA_ARGS__);                                   \
        }                                                                                          \
    } while (0)
/* Polls until the condition holds; fails after FIXTURE_PATIENCE_MS. */
#define fixture_wait(f, condition, ...)                                                            \
    do {                                                                                           \
        int64_t fixture_until_ms = fixture_now_ms() + FIXTURE_PATIENCE_MS;                         \
        while (!(condition)) {                                                                     \
            fixture_must(f, fixture_now_ms() < fixture_until_ms, __VA_ARGS__);                     \
            fixture_pause();                                                                       \
        }                                                                                          \
    } while (0)
int64_t fixture_now_ms(void);
void fixture_pause(void);

/* ---- Processes ------------------------------------------------------------------------------- */

bool fixture_runs(struct fixture *f, enum cluster_role role, unsigned index);
/* Starts, and waits until it is ready and all trust each other. Arms the crash point if it is not
 * NULL. */
void fixture_start(struct fixture *f, enum cluster_role role, unsigned index, const char *point);
/* Starts without waiting. */
void fixture_launch(struct fixture *f, enum cluster_role role, unsigned index, const char *point);
void fixture_kill(struct fixture *f, enum cluster_role role, unsigned index);
/* Stops it in order, if it runs, and starts it with the crash point (NULL: none). After a kill it
 * might have to repeat what it did before, and pass its point with that. */
void fixture_restart(struct fixture *f, enum cluster_role role, unsigned index, const char *point);
/* Whether it has died of its crash point, as its log says; fails if it ended in another way. */
bool fixture_crashed(struct fixture *f, enum cluster_role role, unsigned index);
/* Waits until it has. */
void fixture_wait_crash(struct fixture *f, enum cluster_role role, unsigned index);
/* Waits until it has ended, of whatever. */
void fixture_wait_end(struct fixture *f, enum cluster_role role, unsigned index);
/* SIGTERM; it must exit with 0. */
void fixture_stop(struct fixture *f, enum cluster_role role, unsigned index);
/* Waits until no running node has anything in flight or undelivered, so that what a process does
 * from now on is the next transaction's doing. */
void fixture_wait_quiet(struct fixture *f);
/* Whether the member's log has the text. */
bool fixture_log_has(struct fixture *f, enum cluster_role role, unsigned index, const char *text);

/* ---- Transactions ---------------------------------------------------------------------------- */

struct fixture_tx {
    struct troth_txid txid;
    unsigned keys; /* shards with a key of it: those below */
    char key[FIXTURE_SHARDS_MAX][64];
    struct troth_kv_tx *kv;
    char detail[TROTH_TEXT_BYTES]; /* of the last call that failed or aborted */
};
/* At node `node`, or FIXTURE_ANY. `timeout_ms` 0: so long that it plays no part. */
void fixture_begin(struct fixture *f, struct fixture_tx *tx, unsigned node, uint32_t timeout_ms);
/* Puts its key on the shard; the error of troth_kv_put. */
int fixture_put(struct fixture *f, struct fixture_tx *tx, unsigned shard);
/* Begins, and puts a key on every shard. */
void fixture_work(struct fixture *f, struct fixture_tx *tx, unsigned node, uint32_t timeout_ms);
/* The same when a node or shard may die meanwhile: false if the work was not all done; then there
 * is a transaction only if its txid is not zero. */
bool fixture_try_work(struct fixture *f, struct fixture_tx *tx, unsigned node);
/* Asks all nodes until it is decided, and tells what. Frees the client's part. */
enum troth_outcome fixture_commit(struct fixture *f, struct fixture_tx *tx);
enum troth_outcome fixture_abort(struct fixture *f, struct fixture_tx *tx);
/* One try: troth_commit's error, with *outcome. */
int fixture_try_commit(struct fixture *f, struct fixture_tx *tx, uint32_t timeout_ms,
                       enum troth_outcome *outcome);

/* The begin of a commit in another thread, for tests that do something meanwhile. */
struct fixture_committing;
struct fixture_committing *fixture_commit_begin(struct fixture *f, struct fixture_tx *tx);
enum troth_outcome fixture_commit_end(struct fixture *f, struct fixture_committing *committing);

/* ---- What the files say ---------------------------------------------------------------------- */

/* Branches in doubt in the shard's file. */
int fixture_in_doubt(struct fixture *f, unsigned shard);
/* Waits until no shard holds a prepared branch or an intent; then every shard's file has the
 * transaction's key, or none has (S1); that must be what the client was told (TROTH_OUTCOME_NONE:
 * it was told nothing), no node may say otherwise, no hazard may be there, and the keys' locks
 * must be free. Returns the outcome. */
enum troth_outcome fixture_settle(struct fixture *f, struct fixture_tx *tx,
                                  enum troth_outcome told);
/* Waits until nothing is in doubt, then checks the bank's files. Stops the bank. */
void fixture_check_bank(struct fixture *f, struct bank *bank);

/* Runs the tests as suite_run does, with more time. */
int fixture_suite_run(const char *name, const TTest *const *tests);

#endif
