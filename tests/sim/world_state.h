/* world_state: what the world's files share. Nothing outside of them includes it.
 *
 *     world.c        time, events, beginning and end
 *     host.c         what all processes have: clocks, syncs, crashes
 *     faults.c       what goes wrong, and is mended
 *     net.c          packets on their way, connections, cuts
 *     speak.c        messages as sights tell them, txids as small numbers
 *     sim_node.c     a node's loop, as coordinator/node.c; sim_node_peers.c greetings and trust, as
 *                    coordinator/peers.c and sessions.c; sim_node_disk.c its database
 *     sim_rm.c       a participant's loop, as participant/participant_loop.c; sim_rm_work.c the
 *                    resource manager: work, locks, callbacks; sim_rm_given.c work that comes with
 *                    Commit; sim_rm_disk.c its database; sim_rm_listed.c a participant without a
 *                    log; sim_rm_late.c its database prepares late
 *     sim_client.c   clients
 *
 * What a node's and a participant's files and a client's do for others: sim_node.h,
 * sim_rm.h, sim_client.h.
 */
#ifndef TESTS_SIM_WORLD_STATE_H
#define TESTS_SIM_WORLD_STATE_H

#include "base/bound.h"
#include "client/session.h"
#include "coordinator/detector.h"
#include "coordinator/engine.h"
#include "coordinator/membership.h"
#include "participant/batch.h"
#include "participant/branches.h"
#include "participant/shard/lock_table.h"
#include "tests/sim/world.h"

#define WORLD_TXS_MAX   256u /* numbers of transactions in a world */
#define WORLD_PROCESSES 31u  /* nodes, participants, clients: 7 + 16 + 8 */
#define WORLD_DIALLERS  23u  /* nodes and participants */
#define WORLD_MARKS_MAX 128u /* origins */

struct world;

/* ---- Packets --------------------------------------------------------------------------------- */

enum packet_kind {
    PACKET_HELLO,   /* dialler -> node: opens a connection */
    PACKET_WELCOME, /* node -> dialler */
    PACKET_CLOSED,  /* the connection is over; never lost */
    PACKET_MESSAGE, /* in a connection */
    PACKET_REQUEST, /* client -> node */
    PACKET_REPLY,
    PACKET_WORK, /* client -> participant */
    PACKET_WORKED,
};

struct greeting {
    struct wire_peer_hello peer; /* of nodes */
    struct paxos_participant participant;
    uint64_t incarnation; /* a node's, to participants */
    uint8_t disk[16];
};

struct packet {
    struct packet *next;
    enum packet_kind kind;
    struct process from, to;
    uint64_t id;   /* of the sight; a doubled packet has it twice */
    uint64_t conn; /* the connection; 0: none */
    struct greeting *greeting;
    struct message message;
    struct speech speech;
    /* Requests and replies, work and worked. */
    struct troth_txid txid;
    uint32_t call; /* the caller's number for it */
    enum session_request request;
    uint32_t timeout_ms;
    uint32_t count; /* of Begin, and of its reply */
    struct paxos_set *branches;
    struct work **works; /* of Commit: one for each of the branches, or NULL */
    int error;
    enum paxos_outcome outcome;
    enum bound bound; /* REPLY to a participant's GET: is it a part of the transaction? */
    bool refused;     /* REPLY: by who is not there: the way to the node failed */
    struct plan_op op;
    bool joins; /* WORK */
    int64_t result;
    int64_t *list; /* owned */
    uint32_t list_n;
    uint64_t incarnation; /* WORKED: the participant's */
};

/* Packets in order. */
struct packets {
    struct packet *first, *last;
    uint32_t n;
};

/* A dialler's connection to a node. */
struct conn {
    uint64_t id; /* 0: none, not even on its way */
    bool up_dialler, up_acceptor;
    int64_t fifo_us[2]; /* arrival of the last packet to the acceptor, to the dialler */
};

/* ---- Events ---------------------------------------------------------------------------------- */

enum event_kind {
    EVENT_ARRIVE,       /* packet */
    EVENT_WAKE,         /* of a process: time has come */
    EVENT_SYNCED,       /* of a process: its batch is on disk */
    EVENT_DIAL,         /* a: dialler's slot, b: node */
    EVENT_DIAL_TIMEOUT, /* the same, id: the connection */
    EVENT_KEEPALIVE,    /* the same: is it cut? */
    EVENT_FAULT,        /* a: index */
    EVENT_RESTART,      /* of a process */
    EVENT_RESUME,
    EVENT_MEND, /* a: index of the fault that ends */
    EVENT_HEAL,
    EVENT_LOOK,    /* is all over? */
    EVENT_CALL,    /* a: participant: a slow callback is done now; txid, b */
    EVENT_LAND,    /* a: participant: a late prepare is done now; txid */
    EVENT_NEXT_TX, /* a: client */
};
struct event {
    int64_t at_us;
    uint64_t order;
    enum event_kind kind;
    uint32_t a, b;
    uint64_t id; /* a process's epoch, a wake's turn, or a connection */
    struct packet *packet;
    struct troth_txid txid;
};

/* ---- What all processes have ----------------------------------------------------------------- */

enum life { LIFE_DOWN, LIFE_UP, LIFE_GONE };
struct host {
    struct world *world;
    struct process self;
    uint32_t slot; /* 0 to WORLD_PROCESSES - 1 */
    enum life life;
    bool paused;
    bool syncing;
    uint64_t epoch; /* grows with each crash */
    int64_t drift;
    struct packets inbox;
    struct packets held; /* waits until the batch is on disk, and what must not overtake it */
    uint32_t held_to[WORLD_PROCESSES];
    int64_t wake_us; /* the earliest wake that is on its way; INT64_MAX: none */
    uint64_t wake_turn;
    bool sync_fails, sync_full; /* the next one; every one until mended */
    int64_t sync_slow_us;
    bool crash_syncing, crash_synced; /* armed */
    bool crash_sending, crash_sent;   /* armed for crash_says */
    enum speech_kind crash_says;
    int64_t crash_for_us;
    bool doomed; /* dies when the step under way is over */
};

/* ---- Nodes ----------------------------------------------------------------------------------- */

/* One change of a database, in a batch or on disk. */
enum change_kind {
    CHANGE_RECORD,
    CHANGE_DELETE,
    CHANGE_DELETE_BELOW,
    CHANGE_MARK,
    CHANGE_PEER,
    CHANGE_ADMITTED,
};
struct change {
    enum change_kind kind;
    uint32_t tx;
    struct troth_txid txid;
    struct acceptor record; /* owned */
    uint32_t node;
    struct membership_node peer;
};

struct node_disk {
    bool has[WORLD_TXS_MAX];
    struct acceptor records[WORLD_TXS_MAX];
    struct troth_txid marks[WORLD_MARKS_MAX];
    uint32_t n_marks;
    uint8_t id[16];
    uint32_t incarnation;
    uint64_t boots[WIRE_BOOTS_MAX]; /* [start % WIRE_BOOTS_MAX], of the last starts */
    bool admitted;
    bool amnesia;
    struct {
        uint8_t disk[16];
        uint64_t incarnation;
        uint64_t boot;
    } peers[SIM_NODES_MAX + 1];
};

struct sim_peer {
    struct detector detector;
    uint64_t incarnation;
    bool greeted; /* our connection to it */
    uint64_t in;  /* its connection to us; 0: none */
    bool trusted;
};
struct sim_call { /* a request that waits for the engine's reply */
    uint64_t request;
    struct process client;
    uint32_t call;
    enum session_request kind;
    int64_t deadline_ms;
};
#define SIM_CALLS_MAX 128u

struct sim_node {
    struct host host;
    struct engine *engine;
    struct engine_effects effects;
    struct membership membership;
    struct sim_peer peers[SIM_NODES_MAX + 1];
    struct sim_call calls[SIM_CALLS_MAX];
    uint32_t n_calls;
    bool started;
    bool stop_asked, stopping; /* in order */
    int64_t stop_until_ms;
    bool damaged; /* one record can't be read at the next start */
    int64_t now_ms, last_beat_ms, next_beat_ms, next_look_ms;
    /* The batch. */
    bool urgent, holds;
    int64_t lazy_since_ms;
    struct change *changes;
    uint32_t n_changes, changes_capacity;
    struct packets self_free, self_held;
    struct node_disk disk;
    struct node_disk *older; /* as it was one start before; NULL: none yet */
    struct node_disk *own;   /* put aside while another one is in; NULL: none */
};

/* ---- Participants ---------------------------------------------------------------------------- */

enum rm_change_kind {
    RM_CHANGE_LOG,    /* tx, log, set */
    RM_CHANGE_DELETE, /* tx */
    RM_CHANGE_NODE,   /* node, disk, incarnation */
    RM_CHANGE_MARK,   /* txid */
    RM_CHANGE_INTEND, /* tx: the branch's writes are intents */
    RM_CHANGE_APPLY,  /* tx, writes */
    RM_CHANGE_DROP,   /* tx: its intents go */
};
struct rm_write {
    enum op_kind kind;
    uint32_t key;
    int64_t number; /* ADD: what was added; APPEND: what was appended */
    int64_t value;  /* ADD: the new balance */
};
struct rm_writes {
    uint32_t n;
    struct rm_write items[PLAN_OPS_MAX + 2];
};
struct rm_change {
    enum rm_change_kind kind;
    uint32_t tx;
    struct troth_txid txid;
    enum branches_record log;
    struct paxos_set *set; /* owned */
    uint32_t node;
    uint64_t incarnation;
    uint8_t disk[16];
    struct rm_writes writes;
    bool is_late; /* INTEND: see sim_rm_late.c */
};

struct rm_list {
    int64_t *items;
    uint32_t n, capacity;
};
/* The resource manager's database: its data, and the branch log. */
struct rm_disk {
    enum branches_record log[WORLD_TXS_MAX]; /* 0: none */
    struct paxos_set *sets[WORLD_TXS_MAX];
    struct {
        bool there;
        uint64_t incarnation;
        uint8_t disk[16];
    } nodes[SIM_NODES_MAX + 1];
    struct troth_txid marks[WORLD_MARKS_MAX];
    uint32_t n_marks;
    uint32_t incarnation;
    bool intends[WORLD_TXS_MAX];
    bool lands[WORLD_TXS_MAX]; /* prepared soon: its client has sent that, and is gone */
    bool landed[WORLD_TXS_MAX];
    struct rm_writes intents[WORLD_TXS_MAX];
    int64_t balances[PLAN_KEYS_MAX];
    struct rm_list lists[PLAN_KEYS_MAX];
};

enum rm_op_state { OP_FREE, OP_ENLISTING, OP_LOCKING, OP_GOES_ON };
struct rm_op { /* work that is under way */
    enum rm_op_state state;
    struct packet *packet; /* the WORK; NULL: it came with Commit */
    struct lock_request *request;
    /* What came with Commit: sim_rm_given.c */
    struct troth_txid txid;
    const struct plan_op *given;
    uint32_t at, n;
    bool is_locked;
    int64_t due_ms; /* it waits no longer for a lock */
};
#define RM_OPS_MAX 128u

struct rm_branch {
    enum { RM_BRANCH_NONE, RM_BRANCH_WORKING, RM_BRANCH_LANDING, RM_BRANCH_PREPARED } state;
    bool wounded;
    bool lost; /* its work is gone, and it knows */
    struct rm_writes writes;
    struct work *given; /* with its prepare */
};

struct sim_rm {
    struct host host;
    struct branches *branches;
    struct branches_effects effects;
    struct paxos_participant id;
    bool separate_storage;
    struct rm_listing *listing; /* of a participant without a log; else NULL */
    int64_t now_ms;
    struct batch batch;
    struct lock_table *locks;
    struct rm_branch of[WORLD_TXS_MAX];
    struct rm_op ops[RM_OPS_MAX];
    uint32_t n_given; /* of these: work that came with Commit */
    /* What callbacks and give-ups put off until the step is over. */
    struct branches_event *local;
    uint32_t n_local, local_at, local_capacity;
    struct rm_change *changes;
    uint32_t n_changes, changes_capacity;
    struct held_call {
        struct troth_txid txid;
        enum branches_call call;
        bool slow; /* it has taken its time already */
    } * calls;     /* wait for the batch */
    uint32_t n_calls, calls_capacity;
    int64_t balances[PLAN_KEYS_MAX]; /* as this process sees them: with the batch under way */
    struct rm_list lists[PLAN_KEYS_MAX];
    struct rm_disk disk;
};

/* ---- Clients --------------------------------------------------------------------------------- */

/* A call with failover: production's session over the simulated net. */
struct sim_call_session {
    bool live;
    struct session session;
    uint32_t number; /* of its packets */
    struct troth_txid txid;
    uint32_t tx;
    struct paxos_set *branches; /* where work was done before; NULL: it names none */
    struct paxos_set *all;      /* of a Commit with work: these, and those that are given some */
    struct work **works;        /* of each of all, or NULL */
    uint32_t timeout_ms;
};
enum client_stage { CLIENT_IDLE, CLIENT_BEGINNING, CLIENT_THINKING, CLIENT_WORKING, CLIENT_ENDING };
struct sim_client {
    struct host host;
    enum client_stage stage;
    uint32_t next; /* index of the next transaction to look at */
    const struct plan_tx *tx;
    uint32_t number; /* of the transaction under way */
    struct troth_txid txid;
    uint32_t op;
    uint32_t op_call;
    uint32_t op_answers; /* of work that was asked for at once, from op_call on */
    int64_t due_us;      /* of the think time or the work's answer */
    bool failed;
    struct paxos_participant members[SIM_RMS_MAX];
    uint32_t n_members;
    struct sim_call_session own, rival;
    uint32_t calls;
    struct troth_txid block; /* begun and not used yet: this one and those behind it */
    uint32_t block_left;
    int64_t block_ms; /* when it was begun, by the client's clock */
};

/* ---- The world ------------------------------------------------------------------------------- */

struct world {
    const struct plan *plan;
    struct world_look *looks;
    struct world_result *result;
    int64_t now_us;
    int64_t base_us; /* when all was formed: the plan's times count from here */
    bool formed;     /* the plan has begun */
    bool healed, ended;
    bool damaged; /* a record was */
    struct event *heap;
    uint32_t heap_n, heap_capacity;
    uint64_t orders, ids;
    struct packet *free_packets;
    struct packet *chunks; /* [0].next links them */
    uint32_t counters[WORLD_PROCESSES][WORLD_PROCESSES];
    uint8_t cut[WORLD_PROCESSES][WORLD_PROCESSES]; /* how many faults cut it */
    struct conn conns[WORLD_DIALLERS][SIM_NODES_MAX + 1];
    struct host *hosts[WORLD_PROCESSES];
    struct sim_node nodes[SIM_NODES_MAX + 1];
    struct sim_rm rms[SIM_RMS_MAX];
    struct sim_client clients[SIM_CLIENTS_MAX + 1];
    /* Transactions by number; a hash to find them. */
    struct troth_txid txids[WORLD_TXS_MAX];
    uint32_t n_txs;
    uint32_t tx_slots[4 * WORLD_TXS_MAX];
    uint8_t place[PLAN_KEYS_MAX]; /* key -> participant */
};

/* ---- world.c --------------------------------------------------------------------------------- */

void world_see(struct world *world, struct sight *sight);
void world_at(struct world *world, int64_t at_us, struct event event);
/* A fault of this kind takes place. */
void world_fault(struct world *world, enum fault_kind kind, struct process who, const char *text);
/* A core says that something must not be. */
void world_broken(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
uint64_t world_random(struct world *world, struct host *host);

void world_see_process(struct world *world, enum sight_kind kind, struct process who,
                       uint64_t incarnation);
/* It never returns from its next crash. */
bool world_is_gone(const struct world *world, struct process who);

/* ---- host.c ---------------------------------------------------------------------------------- */

uint32_t process_slot(struct process process);
struct process process_of_slot(uint32_t slot);

int64_t host_now_ms(const struct host *host);
/* A WAKE when the host's clock shows `at_ms`. */
void host_wake(struct host *host, int64_t at_ms);
void host_init(struct host *host, struct world *world, struct process self);
/* All in memory is lost. It comes back after for_us, unless it is gone. */
void host_crash(struct host *host, int64_t for_us);
void host_start(struct host *host);
/* Runs what waits, if it can run now. */
void host_run(struct host *host);
/* What depends on a record waits for the batch (`hold`); behind it everything to the same process.
 */
void host_send(struct host *host, struct packet *packet, bool hold);
/* The batch is on disk. */
void host_send_held(struct host *host);
void host_drop_held(struct host *host);
/* How long a sync takes; begins it. */
void host_sync(struct host *host);
/* Its time is over: the batch is on disk, or a fault befalls it. */
void host_synced(struct host *host);
/* A message is about to leave, or has left: an armed crash may be due. True: it must not leave. */
bool host_dies_sending(struct host *host, const struct packet *packet);
void host_has_sent(struct host *host, const struct packet *packet);

/* ---- faults.c -------------------------------------------------------------------------------- */

void faults_on_event(struct world *world, const struct event *event);
void faults_mend(struct world *world, const struct plan_fault *fault);

/* ---- net.c ----------------------------------------------------------------------------------- */

struct packet *packet_new(struct world *world, enum packet_kind kind, struct process from,
                          struct process to);
void packet_free(struct world *world, struct packet *packet);
/* Of `n` branches; NULL stays NULL. */
struct work **works_hold(struct work *const *works, uint32_t n);
void works_release(struct work **works, uint32_t n);
void packets_put(struct packets *packets, struct packet *packet);
struct packet *packets_take(struct packets *packets);
void packets_drop(struct world *world, struct packets *packets);

/* Gives it to the network now, which may lose, double or delay it. It is the network's then. */
void net_send(struct world *world, struct packet *packet);
/* Tells it to those who look on, where the packet has something to say. */
void net_see(struct world *world, enum sight_kind kind, const struct packet *packet);
void net_arrive(struct world *world, struct packet *packet);
bool net_is_cut(const struct world *world, struct process from, struct process to);
void net_cut(struct world *world, struct process from, struct process to, bool on);
struct conn *net_conn(struct world *world, struct process dialler, uint32_t node);
void net_dial(struct world *world, struct process dialler, uint32_t node);
void net_dial_later(struct world *world, struct process dialler, uint32_t node, int64_t in_us);
/* One end closes it; the other learns it. */
void net_close(struct world *world, struct process dialler, uint32_t node, struct process by);
/* The process is dead: its ends of all connections are. */
void net_close_all(struct world *world, struct process who);
/* Both ends see by themselves that nothing passes any more. */
void net_break(struct world *world, struct process dialler, uint32_t node);
void net_dial_timeout(struct world *world, struct process dialler, uint32_t node, uint64_t id);
void net_keepalive(struct world *world, struct process dialler, uint32_t node, uint64_t id);

/* ---- speak.c --------------------------------------------------------------------------------- */

uint32_t world_tx(struct world *world, struct troth_txid txid); /* 0 for the zero txid */
int32_t rm_of_name(const char *name);                           /* SIM_RMS_MAX: nobody's */
void speak_message(struct world *world, const struct message *message, struct speech *speech);
void speak_packet(struct world *world, struct packet *packet);
void speak_record(const struct acceptor *record, struct node_record *seen);

#endif
