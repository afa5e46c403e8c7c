/* What troth.c shares with kv.c and with the troth command. */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include <stdatomic.h>

#include "base/bound.h"
#include "client/addresses.h"
#include "client/session.h"
#include "client/troth.h"
#include "rpc/rpc.h"

#define TROTH_NODES_DEFAULT "127.0.0.1:7101"
#define TROTH_ATTEMPT_MS    2000u
#define TROTH_TIMEOUT_MS    10000u

struct link;
struct troth_node {
    struct troth *troth;
    uint32_t number; /* its place in the list */
    struct link *link;
    struct rpc_channel *channel; /* for other calls than requests */
    const char *address;
    atomic_uint id; /* the node's, once one of its answers told it; 0: not known */
};
struct blocks;
struct links;
struct requests;
struct troth {
    struct rpc *rpc;
    bool has_own_rpc;
    struct requests *requests; /* that are under way */
    struct blocks *blocks;     /* of txids */
    struct links *links;       /* to nodes and shards */
    struct addresses addresses;
    uint32_t n_nodes;
    struct troth_node nodes[SESSION_NODES_MAX];
    uint32_t attempt_ms;
    uint32_t timeout_ms;
    uint32_t block_age_ms;   /* BLOCKS_AGE_MS */
    uint32_t block_stay;     /* BLOCKS_STAY */
    uint32_t block_stay_ms;  /* blocks_stay_ms */
    uint32_t block_avoid_ms; /* BLOCKS_AVOID_MS */
};

/* troth_open, on an rpc that others use too and that outlives it; NULL: one of its own. */
int client_open_on(struct troth **out, const struct troth_options *options, struct rpc *rpc);
/* As troth_get. *bound: has the transaction a branch at this participant? Where one node knows the
 * outcome and not the branches, the others are asked, too. */
int client_get_bound(struct troth *t, struct troth_txid txid, const char *participant,
                     struct troth_result *result, enum bound *bound);
/* As troth_commit_async, or as troth_abort_branches without waiting. */
void client_end_async(struct troth *t, bool commits, struct troth_txid txid,
                      const struct troth_branch *branches, size_t n_branches, uint32_t timeout_ms,
                      troth_done_fn *done, void *arg);
/* A gRPC status as one of our errors: what Transactions' services mean by it. */
int client_err_of_status(int status);
/* The value, or the environment's, or `otherwise`; never an empty string, but maybe NULL. */
const char *client_setting(const char *value, const char *variable, const char *otherwise);

#endif
