/* node: what its loop does in which order, with a real engine and a real log. The network around it
 * is this test's own: it hands items to the loop and looks at what leaves. */
#include <poll.h>

#include "coordinator/node_internal.h"
#include "shell/clock.h"
#include "tests/lib/node_log_folder.h"

const uint8_t troth_descriptor_set[1] = {0};
const size_t troth_descriptor_set_size = 0;

static struct config config;
static struct node *here;
static node_item_fn *story; /* run once, as soon as the node takes part */
static bool stops;          /* in the story's batch */
static bool stored_at_goodbye;
static unsigned goodbyes, hurries, marks;

/* ---- The network ------------------------------------------------------------------------------
 */

int rpc_new(struct rpc **out, const struct rpc_options *options) {
    ck_assert(options->driven);
    *out = NULL;
    return 0;
}

void rpc_poll(struct rpc *rpc, int64_t until_ms) {
    (void)rpc;
    if (story != NULL && here->started) {
        node_post(here, &(struct node_item){.handle = story});
        story = NULL;
        if (stops) {
            node_stop(here);
        }
        return;
    }
    int64_t left_ms = until_ms - clock_monotonic_ms();
    poll(NULL, 0, left_ms < 0 ? 0 : left_ms > 20 ? 20 : (int)left_ms);
}

void rpc_wake(struct rpc *rpc) {
    (void)rpc;
}

void rpc_let_go(struct rpc *rpc) {
    (void)rpc;
}

void rpc_free(struct rpc *rpc) {
    (void)rpc;
}

int rpc_server_new(struct rpc_server **out, struct rpc *rpc, const char *listen) {
    (void)rpc;
    (void)listen;
    *out = NULL;
    return 0;
}

int rpc_server_port(const struct rpc_server *server) {
    (void)server;
    return 1;
}

int rpc_server_standard(struct rpc_server *server, const uint8_t *descriptor_set, size_t n) {
    (void)server;
    (void)descriptor_set;
    (void)n;
    return 0;
}

void rpc_server_set_serving(struct rpc_server *server, bool serving) {
    (void)server;
    (void)serving;
}

int rpc_server_start(struct rpc_server *server) {
    (void)server;
    return 0;
}

void rpc_server_stop(struct rpc_server *server, int64_t grace_ms) {
    (void)server;
    (void)grace_ms;
}

void rpc_server_free(struct rpc_server *server) {
    (void)server;
}

/* ---- Peers ------------------------------------------------------------------------------------
 */

int peers_new(struct peers **out, struct node *node) {
    (void)node;
    *out = NULL;
    return 0;
}

int peers_start(struct peers *peers) {
    (void)peers;
    return 0;
}

void peers_free(struct peers *peers) {
    (void)peers;
}

int peers_register(struct peers *peers, struct rpc_server *server) {
    (void)peers;
    (void)server;
    return 0;
}

int peers_send(struct peers *peers, uint32_t node, const struct message *message, bool hold) {
    (void)peers;
    (void)node;
    (void)message;
    (void)hold;
    return 0;
}

void peers_flush(struct peers *peers, bool stored) {
    (void)peers;
    (void)stored;
}

void peers_hurry(struct peers *peers) {
    (void)peers;
    hurries++;
}

void peers_beat(struct peers *peers) {
    (void)peers;
}

void peers_watch(struct peers *peers) {
    (void)peers;
}

void peers_excuse(struct peers *peers, int64_t late_ms) {
    (void)peers;
    (void)late_ms;
}

void peers_leave(struct peers *peers) {
    (void)peers;
    goodbyes++;
    stored_at_goodbye = !node_log_has_batch(here->log);
}

bool peers_have_left(const struct peers *peers) {
    (void)peers;
    return true;
}

/* ---- Participants and clients -----------------------------------------------------------------
 */

int sessions_new(struct sessions **out, struct node *node) {
    (void)node;
    *out = NULL;
    return 0;
}

void sessions_free(struct sessions *sessions) {
    (void)sessions;
}

void sessions_finish(struct sessions *sessions) {
    (void)sessions;
}

int sessions_register(struct sessions *sessions, struct rpc_server *server) {
    (void)sessions;
    (void)server;
    return 0;
}

int sessions_send(struct sessions *sessions, uint64_t id, const struct message *message,
                  bool hold) {
    (void)sessions;
    (void)id;
    if (message->type == MESSAGE_MARK) {
        ck_assert(hold);
        ck_assert_uint_gt(hurries, marks); /* what waits for the other nodes leaves with it */
        marks++;
        node_stop(here);
    }
    return 0;
}

void sessions_flush(struct sessions *sessions, bool stored) {
    (void)sessions;
    (void)stored;
}

void sessions_refuse(struct sessions *sessions, uint64_t id, int error, const char *detail) {
    (void)sessions;
    (void)id;
    (void)error;
    (void)detail;
}

int calls_new(struct calls **out, struct node *node) {
    (void)node;
    *out = NULL;
    return 0;
}

void calls_free(struct calls *calls) {
    (void)calls;
}

int calls_register(struct calls *calls, struct rpc_server *server) {
    (void)calls;
    (void)server;
    return 0;
}

int calls_reply(struct calls *calls, const struct engine_effect *effect, bool hold) {
    (void)calls;
    (void)effect;
    (void)hold;
    return 0;
}

void calls_flush(struct calls *calls, bool stored) {
    (void)calls;
    (void)stored;
}

void calls_expire(struct calls *calls) {
    (void)calls;
}

void calls_end(struct calls *calls) {
    (void)calls;
}

void calls_finish(struct calls *calls) {
    (void)calls;
}

size_t calls_count(const struct calls *calls) {
    (void)calls;
    return 0;
}

/* ---- Stories ----------------------------------------------------------------------------------
 */

/* A node by itself; returns when it has stopped. */
static void run(node_item_fn *told) {
    char why_not[NODE_WHY_BYTES];
    config = (struct config){.cluster = "troth",
                             .node = 1,
                             .nodes = 1,
                             .listen = "127.0.0.1:0",
                             .cell = 1,
                             .heartbeat_ms = 100,
                             .phi_threshold = 8,
                             .stop_timeout_ms = 10000};
    snprintf(config.data, sizeof config.data, "%s", folder);
    ck_assert_msg(node_open(&here, &config, why_not) == 0, "%s", why_not);
    story = told;
    ck_assert_int_eq(node_run(here), NODE_EXIT_STOPPED);
    ck_assert_uint_eq(goodbyes, 1);
    node_free(here);
}

static void stores(struct node *of) {
    ck_assert_int_eq(node_log_store_mark(of->log, (struct troth_txid){.hi = 1, .lo = 1}), 0);
    of->lazy_since_ms = of->now_ms;
}

static void holds_a_message(struct node *of, struct node_item *item) {
    (void)item;
    stores(of);
    of->holds = true;
}

START_TEST(S4_what_is_held_is_on_disk_before_the_goodbye_that_it_leaves_with) {
    stops = true;
    run(holds_a_message);
    ck_assert(stored_at_goodbye);
}
END_TEST

static void is_lazy(struct node *of, struct node_item *item) {
    (void)item;
    stores(of);
}

START_TEST(what_nobody_waits_for_is_stored_behind_the_goodbye) {
    stops = true;
    run(is_lazy);
    ck_assert(!stored_at_goodbye);
    ck_assert_str_eq(sql("SELECT count(*) FROM mark WHERE sequence = 1"), "1");
}
END_TEST

static void finishes_a_transaction(struct node *of, struct node_item *item) {
    (void)item;
    struct paxos_participant participant;
    ck_assert_int_eq(paxos_participant_make(&participant, "a", 1), 0);
    node_step(of, &(struct engine_event){
                      .type = ENGINE_ATTACHED, .session = 1, .participant = participant});
    node_step(of, &(struct engine_event){.type = ENGINE_BEGIN, .request = 1});
    struct troth_txid txid = troth_txid_make(1, 1, (uint32_t)of->membership.incarnation, 1);
    node_step(of, &(struct engine_event){.type = ENGINE_ABORT, .request = 2, .txid = txid});
}

/* sessions_send looks at it. */
START_TEST(S6_the_other_nodes_hear_of_the_finished_before_participants_hear_of_the_mark) {
    run(finishes_a_transaction);
    ck_assert_uint_ge(marks, 1);
}
END_TEST

int main(void) {
    return node_log_suite(
        "node",
        (const TTest *[]){
            S4_what_is_held_is_on_disk_before_the_goodbye_that_it_leaves_with,
            what_nobody_waits_for_is_stored_behind_the_goodbye,
            S6_the_other_nodes_hear_of_the_finished_before_participants_hear_of_the_mark, NULL});
}
