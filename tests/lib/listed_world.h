/* A listed participant without a database: events go in by short calls, and effects are looked for.
 */
#ifndef TESTS_LIB_LISTED_WORLD_H
#define TESTS_LIB_LISTED_WORLD_H

#include "participant/adapters/driver.h"
#include "participant/adapters/listed.h"

#define WORLD_NODES 3

struct listed_world {
    struct listed *listed;
    struct listed_effects effects; /* of the last step */
    int64_t now_ms;
    uint64_t sessions;                 /* given out so far */
    uint64_t session[WORLD_NODES + 1]; /* 0: detached */
};

/* Opened, with the nodes attached; patience 10,000 ms, FORGET wanted. */
void world_open(struct listed_world *world);
/* The same; keeps so many branches at most. */
void world_open_small(struct listed_world *world, uint32_t held_max);
void world_close(struct listed_world *world);
/* What a restart leaves: nothing. */
void world_restart(struct listed_world *world);

struct troth_txid world_txid(uint64_t sequence); /* of node 1 */

void world_attach(struct listed_world *world, uint32_t node);
void world_detach(struct listed_world *world, uint32_t node);
void world_wait(struct listed_world *world, int64_t ms); /* with a TICK if one is due */

void world_enlist(struct listed_world *world, struct troth_txid txid, uint64_t request);
/* The coordinator's answer. */
void world_enlisted(struct listed_world *world, struct troth_txid txid, bool ok, bool already);
void world_prepare(struct listed_world *world, struct troth_txid txid);
/* The same with work that came with Commit. */
void world_prepare_work(struct listed_world *world, struct troth_txid txid);
void world_decide(struct listed_world *world, uint32_t node, struct troth_txid txid,
                  enum paxos_outcome outcome);
void world_forgotten(struct listed_world *world, struct troth_txid txid);
void world_mark(struct listed_world *world, uint64_t sequence);
void world_message(struct listed_world *world, uint32_t node, struct message *message);
void world_result(struct listed_world *world, struct troth_txid txid, int result, uint64_t receipt);
void world_hint(struct listed_world *world, struct troth_txid txid);
void world_answer(struct listed_world *world, struct troth_txid txid, int result,
                  enum paxos_outcome outcome, enum bound bound);
void world_resolve(struct listed_world *world, struct troth_txid txid, enum paxos_outcome outcome,
                   uint64_t request);
/* A whole listing with at most one row (txid zero: none). Its last effects are those of the row. */
void world_list(struct listed_world *world, struct troth_txid txid, uint64_t receipt,
                int64_t began_ms);

/* Effects of the last step. */
uint32_t world_sent(const struct listed_world *world, enum message_type type); /* a mask of nodes */
const struct message *world_message_sent(const struct listed_world *world, enum message_type type);
const struct listed_effect *world_effect(const struct listed_world *world,
                                         enum listed_effect_type type);
/* The call that was begun, or NONE. */
enum listed_call world_call(const struct listed_world *world);

/* The way to a state, with assertions. */
/* A look bears a hint out (of branch 900), so that others are believed for LISTED_HINTS_MS. */
void world_believe_hints(struct listed_world *world);
void world_be_prepared(struct listed_world *world, struct troth_txid txid, uint64_t receipt);

#endif
