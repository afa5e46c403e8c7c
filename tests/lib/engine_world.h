/* engine_world: a cluster of engines in one thread, with participants, for tests that read as
 * stories. Messages wait in one queue and are delivered in order, unless a test loses, holds or
 * shuffles them; time moves only when a test moves it. A node that crashes keeps what was stored.
 *
 * The participants are simple and obey the rules of participants.proto: a vote is kept until the
 * outcome is known and is repeated at each attachment; work that comes with a prepare is done once.
 */
#ifndef TESTS_LIB_ENGINE_WORLD_H
#define TESTS_LIB_ENGINE_WORLD_H

#include "coordinator/engine.h"

#define WORLD_NODES        5
#define WORLD_PARTICIPANTS 5
#define WORLD_TXS          64
#define WORLD_REQUESTS     512
#define WORLD_RECORDS      512
#define WORLD_WORK         16 /* bytes of work, with the NUL: it is a word here */

enum world_branch { BRANCH_NONE, BRANCH_ACTIVE, BRANCH_VOTED, BRANCH_COMMITTED, BRANCH_ABORTED };

struct world_participant {
    struct paxos_participant id;
    bool up;
    enum paxos_vote votes; /* how it votes when asked; NONE: not at all */
    uint64_t session[WORLD_NODES + 1];
    struct {
        struct troth_txid txid;
        enum world_branch state;
        enum paxos_vote vote;
        struct paxos_set *set;
        unsigned works;        /* done: work that came with a prepare */
        char work[WORLD_WORK]; /* the last of it */
    } branches[WORLD_TXS];
};

struct world_record {
    struct troth_txid txid;
    struct acceptor record; /* deep copy */
    bool there;
    bool damaged; /* can't be read at the next start */
};

struct world_node {
    struct engine *engine; /* NULL: down */
    uint32_t incarnation;
    struct world_record disk[WORLD_RECORDS];
    struct troth_txid marks[32];
    unsigned stores, lazy_stores; /* of records, so far */
};

/* One message on its way. */
struct world_message {
    uint32_t from_node, to_node;               /* 0: a participant */
    uint32_t from_participant, to_participant; /* from 1; 0: a node */
    uint64_t session;
    uint32_t to_incarnation; /* of the node it was sent to: lost if that is over */
    struct message message;
};

struct world {
    uint32_t nodes;
    uint32_t participants;
    int64_t now_ms;
    uint64_t random;
    uint64_t session_next;
    uint64_t request_next;
    struct world_node node[WORLD_NODES + 1];
    struct world_participant participant[WORLD_PARTICIPANTS + 1];
    struct engine_reply replies[WORLD_REQUESTS];
    bool replied[WORLD_REQUESTS];
    char details[WORLD_REQUESTS][MESSAGE_DETAIL_BYTES];
    struct world_message *queue;
    size_t queued;
    size_t queue_capacity;
    bool shuffle;
    bool thrifty; /* of nodes that start from now on, as is the next */
    uint32_t retained_max;
    bool starts_alone; /* who restarts does not trust the others yet */
    unsigned lose_percent;
    unsigned double_percent;
    /* NULL or: true for a message that is lost. */
    bool (*lose)(struct world *world, const struct world_message *message);
    void *lose_arg;
    unsigned alarms;
    unsigned heuristics;            /* stored, at any node */
    struct engine_effect heuristic; /* the last of them; its message holds no memory */
    uint32_t heuristic_at;
};

/* All nodes trust each other, all participants are attached to all. */
void world_init(struct world *world, uint32_t nodes, uint32_t participants);
void world_release(struct world *world);

struct troth_txid world_begin(struct world *world, uint32_t node);
/* The participant works for the transaction: it enlists at the node that began it. */
void world_work(struct world *world, uint32_t participant, struct troth_txid txid);
/* Begun at the node, and participants 1 and 2 have worked for it. */
struct troth_txid world_two_branches(struct world *world, uint32_t node);
/* A request; its reply is there once world_replied says so. */
uint64_t world_ask(struct world *world, uint32_t node, enum engine_event_type type,
                   struct troth_txid txid);
bool world_replied(const struct world *world, uint64_t request);
/* The reply's outcome; fails the test when there is none or it is an error. */
enum paxos_outcome world_outcome(const struct world *world, uint64_t request);
/* The reply's error; fails the test when there is no reply. */
int world_error(const struct world *world, uint64_t request);
/* A Commit with work: `words` has each member's, or NULL. Nothing is delivered yet. */
uint64_t world_commit_work(struct world *world, uint32_t node, struct troth_txid txid, uint32_t n,
                           const struct paxos_participant *members, const char *const *words);
/* The same, of participants 1 and 2, whichever of their incarnations are attached: "debit" and
 * "credit". */
uint64_t world_commit_both(struct world *world, uint32_t node, struct troth_txid txid);
/* The work that the participant has done for it with its prepare; "": none. */
const char *world_worked(const struct world *world, uint32_t participant, struct troth_txid txid);
enum world_branch world_branch(const struct world *world, uint32_t participant,
                               struct troth_txid txid);

/* What the node's log holds of the transaction; NULL: nothing. */
const struct acceptor *world_on_disk(const struct world *world, uint32_t node,
                                     struct troth_txid txid);

/* Delivers until nothing waits any more. */
void world_run(struct world *world);
/* Delivers one message; false when none waits. */
bool world_deliver_one(struct world *world);
/* Moves time, with ticks on the way, delivering all the while. */
void world_advance(struct world *world, int64_t ms);

void world_crash(struct world *world, uint32_t node);
void world_restart(struct world *world, uint32_t node);
/* Node `who` stops or begins to trust node `whom`. */
void world_suspect(struct world *world, uint32_t who, uint32_t whom);
void world_trust(struct world *world, uint32_t who, uint32_t whom);
/* Crashes it and lets every other node suspect it. */
void world_lose_node(struct world *world, uint32_t node);
/* A heartbeat of one node comes to another. */
void world_beat(struct world *world, uint32_t from, uint32_t to);
void world_participant_crash(struct world *world, uint32_t participant);
void world_participant_restart(struct world *world, uint32_t participant);
/* Its stream to the node ends, and comes back: it has forgotten nothing. */
void world_detach(struct world *world, uint32_t participant, uint32_t node);
/* Unless it is attached already, or one of them is down. */
void world_attach(struct world *world, uint32_t participant, uint32_t node);

/* A step with any event; now_ms is set. Carries the effects out. */
void world_step(struct world *world, uint32_t node, struct engine_event event);
uint32_t world_random(struct world *world, uint32_t below);

#endif
