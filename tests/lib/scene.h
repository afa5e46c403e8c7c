/* scene: one cluster of real processes that a whole file of tests shares, to send it what it must
 * refuse: each refusal changes nothing, and the cluster serves as before.
 *
 *     char *before = scene_snapshot();
 *     scene_refuses(raw_call(...), RPC_INVALID_ARGUMENT, (const char *[]){"txid", NULL});
 *     scene_unchanged(before);
 *     scene_serves();
 */
#ifndef TESTS_LIB_SCENE_H
#define TESTS_LIB_SCENE_H

#include "harness/cluster.h"
#include "tests/lib/raw_rpc.h"
#include "tests/lib/suite.h"
#include "troth/v1/keyvalue.pb-c.h"
#include "troth/v1/transactions.pb-c.h"

#define SCENE_TXID_BYTES 33

struct scene_options {
    unsigned nodes;
    unsigned shards;
    const char *const *node_args; /* more flags for trothd, which NULL ends; or NULL */
};
/* Starts the cluster, runs the tests, in this process, since they share it, and stops it in
 * order: each process must exit with 0, and no log may have a sanitizer's report. Returns main's
 * exit status. */
int scene_suite_run(const char *name, const struct scene_options *options,
                    const TTest *const *tests);
struct cluster *scene_cluster(void);
const char *scene_node(unsigned index);  /* its address */
const char *scene_shard(unsigned index); /* its address */

/* What nodes and shards hold: votes and outcomes in the nodes' files, data and prepared branches
 * in the shards' files, and what the nodes say of every transaction. To be freed. */
char *scene_snapshot(void);
/* The same as now; frees it. */
void scene_unchanged(char *before);
/* A transaction from every node over all shards commits, and the shards' files have it. */
void scene_serves(void);

void scene_begin(unsigned node, char txid[SCENE_TXID_BYTES]);
struct raw_answer scene_put(unsigned shard, const char *txid, const void *key, size_t key_n,
                            const void *value, size_t value_n);
struct raw_answer scene_commit(unsigned node, const char *txid, size_t n,
                               Troth__V1__Branch **branches);
struct raw_answer scene_abort(unsigned node, const char *txid);
struct raw_answer scene_get(unsigned node, const char *txid);

/* The call failed with this status, and its text has each of the words, which NULL ends. */
void scene_refuses(struct raw_answer answer, int status, const char *const *words);
void scene_has_words(const char *text, const char *const *words);

#endif
