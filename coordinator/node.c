#include "coordinator/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "coordinator/node_internal.h"
#include "shell/clock.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

#define TELL_WAITING_MS 5000
/* How long the last messages of a stop may take. */
#define LEAVE_MS 500

extern const uint8_t troth_descriptor_set[];
extern const size_t troth_descriptor_set_size;

bool node_post(struct node *node, const struct node_item *item) {
    return inbox_put(node->inbox, item) == 0;
}

uint64_t node_next_id(struct node *node) {
    return atomic_fetch_add(&node->next_id, 1) + 1;
}

void node_die(enum node_exit status, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    logline(LOGLINE_ERROR, "%s", text);
    _exit((int)status);
}

/* ---- The database -------------------------------------------------------------------------- */

void node_check_stored(const struct node *node, int err) {
    if (err != 0) {
        node_die(
            NODE_EXIT_STORAGE,
            "cannot write %s: %s; nothing that depends on it was sent. Free or repair the disk "
            "and start this node again",
            node_log_path(node->log), troth_err_text(err));
    }
}

static void put_on_disk(struct node *node) {
    int err = node_log_commit(node->log);
    if (err != 0) {
        node_die(NODE_EXIT_STORAGE,
                 "cannot put %s on disk: %s; nothing that depends on it was sent. Free or repair "
                 "the disk and start this node again",
                 node_log_path(node->log), troth_err_text(err));
    }
    node->urgent = false;
    node->lazy_since_ms = 0;
}

void node_commit(struct node *node) {
    CRASH_POINT_HERE(CRASH_BEFORE_STORE);
    put_on_disk(node);
    CRASH_POINT_HERE(CRASH_AFTER_STORE);
}

void node_remember(struct node *node, uint32_t changed) {
    for (uint32_t other = 1; other <= node->membership.nodes; other++) {
        if ((changed & 1u << other) != 0) {
            node_check_stored(node,
                              node_log_remember(node->log, other, &node->membership.peers[other]));
        }
    }
    if (changed != 0) {
        CRASH_POINT_STORE(CRASH_TROTHD, "peer");
        node_commit(node);
    }
}

void node_amnesia(const struct node *node, const char *text) {
    CRASH_POINT(CRASH_TROTHD, "before.store.", "amnesia");
    if (node_log_set_amnesia(node->log, text) != 0 || node_log_commit(node->log) != 0) {
        logline(LOGLINE_ERROR, "cannot write %s", node_log_path(node->log));
    }
    CRASH_POINT(CRASH_TROTHD, "after.store.", "amnesia");
    node_die(NODE_EXIT_AMNESIA, "this node must not take part: %s", text);
}

static int load_mark(void *arg, struct troth_txid mark) {
    struct node *node = arg;
    node_step(node, &(struct engine_event){.type = ENGINE_LOAD_MARK, .txid = mark});
    return 0;
}

static int load_record(void *arg, struct troth_txid txid, struct acceptor *record) {
    struct node *node = arg;
    node_step(node,
              &(struct engine_event){.type = ENGINE_LOAD_RECORD, .txid = txid, .record = record});
    return 0;
}

static int open_engine(struct node *node) {
    const struct config *config = node->config;
    struct engine_options options = {
        .cell = (uint16_t)config->cell,
        .self = config->node,
        .nodes = config->nodes,
        .incarnation = (uint32_t)node->membership.incarnation,
        .timeout_default_ms = config->timeout_default_ms,
        .repeat_ms = config->repeat_ms,
        .resolve_ms = config->resolve_ms,
        .stagger_ms = config->stagger_ms,
        .retention_ms = config->retention_ms,
        .thrifty = config->thrifty != 0,
        .faster = config->faster != 0,
    };
    clock_random(&options.seed, sizeof options.seed);
    int err = engine_new(&node->engine, &options);
    return err != 0 ? err : node_log_replay(node->log, load_mark, load_record, node);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int open_storage(struct node *node, char why[NODE_WHY_BYTES]) {
    const struct config *config = node->config;
    const struct node_log_owner owner = {.cluster = config->cluster,
                                         .node = config->node,
                                         .nodes = config->nodes,
                                         .cell = config->cell};
    int err = node_log_open(&node->log, config->data, &owner, &node->membership, why);
    if (err == TROTH_ERR_AMNESIA) {
        return NODE_EXIT_AMNESIA;
    }
    if (err != 0) {
        return err == TROTH_ERR_STORAGE ? NODE_EXIT_STORAGE : NODE_EXIT_FAILED;
    }
    err = open_engine(node);
    if (err != 0) {
        snprintf(why, NODE_WHY_BYTES, "cannot replay %s: %s", node_log_path(node->log),
                 troth_err_text(err));
        return NODE_EXIT_FAILED;
    }
    return 0;
}

static int open_network(struct node *node, char why[NODE_WHY_BYTES]) {
    const struct config *config = node->config;
    int err = rpc_new(&node->rpc, &(struct rpc_options){.threads = config->rpc_threads,
                                                        .driven = config->rpc_threads == 0});
    if (err == 0) {
        err = rpc_server_new(&node->server, node->rpc, config->listen);
        if (err == TROTH_ERR_ADDRESS) {
            snprintf(why, NODE_WHY_BYTES,
                     "cannot listen on %s: the port is in use or the address is not of this "
                     "machine; stop what uses it, or give another with `listen`",
                     config->listen);
            return NODE_EXIT_FAILED;
        }
    }
    if (err == 0) {
        snprintf(node->address, sizeof node->address, "%.*s:%d",
                 (int)(strrchr(config->listen, ':') - config->listen), config->listen,
                 rpc_server_port(node->server));
        err = peers_new(&node->peers, node);
    }
    if (err == 0) {
        err = sessions_new(&node->sessions, node);
    }
    if (err == 0) {
        err = calls_new(&node->calls, node);
    }
    if (err == 0) {
        err = peers_register(node->peers, node->server);
    }
    if (err == 0) {
        err = sessions_register(node->sessions, node->server);
    }
    if (err == 0) {
        err = calls_register(node->calls, node->server);
    }
    if (err == 0) {
        err = rpc_server_standard(node->server, troth_descriptor_set, troth_descriptor_set_size);
    }
    if (err != 0) {
        snprintf(why, NODE_WHY_BYTES, "cannot open the network: %s", troth_err_text(err));
        return NODE_EXIT_FAILED;
    }
    return 0;
}

int node_open(struct node **out, const struct config *config, char why[NODE_WHY_BYTES]) {
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL ||
        inbox_new(&node->inbox, sizeof(struct node_item), NODE_INBOX_ITEMS_MAX) != 0) {
        snprintf(why, NODE_WHY_BYTES, "out of memory");
        free(node);
        return NODE_EXIT_FAILED;
    }
    node->config = config;
    node->now_ms = clock_monotonic_ms();
    node->opened_ms = node->now_ms;
    /* An answer to a request of this node's last life must not meet one of this life's. */
    uint32_t first_id;
    clock_random(&first_id, sizeof first_id);
    atomic_init(&node->next_id, (uint64_t)first_id << 31);
    int status = open_network(node, why);
    if (status == 0) {
        status = open_storage(node, why);
    }
    if (status != 0) {
        node_free(node);
        return status;
    }
    *out = node;
    return 0;
}

void node_free(struct node *node) {
    if (node == NULL) {
        return;
    }
    rpc_server_free(node->server);
    peers_free(node->peers);
    sessions_free(node->sessions);
    calls_free(node->calls);
    rpc_free(node->rpc);
    node_effects_release(node);
    engine_free(node->engine);
    node_log_close(node->log);
    inbox_free(node->inbox);
    free(node);
}

/* ---- Taking part --------------------------------------------------------------------------- */

static void take_part(struct node *node) {
    if (node->membership.fresh) {
        node_check_stored(node, node_log_set_admitted(node->log));
        CRASH_POINT_STORE(CRASH_TROTHD, "admitted");
        node_commit(node);
        node->membership.fresh = false;
    }
    node->started = true;
    node_step(node, &(struct engine_event){.type = ENGINE_START});
    rpc_server_set_serving(node->server, true);
    logline(LOGLINE_INFO, "node %u of cluster %s is ready at %s (start %llu)",
            node->membership.self, node->membership.cluster, node->address,
            (unsigned long long)node->membership.incarnation);
    /* Scripts wait for this line. */
    printf("trothd: node %u of cluster %s is ready at %s\n", node->membership.self,
           node->membership.cluster, node->address);
    fflush(stdout);
}

static void wait_to_take_part(struct node *node) {
    char text[MEMBERSHIP_TEXT_BYTES];
    if (membership_is_ready(&node->membership)) {
        take_part(node);
    } else if (node->now_ms - node->told_waiting_ms >= TELL_WAITING_MS) {
        node->told_waiting_ms = node->now_ms;
        membership_waiting_for(&node->membership, text);
        logline(LOGLINE_INFO, "%s", text);
    }
}

const char *node_refusal(const struct node *node) {
    static char text[MEMBERSHIP_TEXT_BYTES + 64];
    char waiting_for[MEMBERSHIP_TEXT_BYTES];
    if (node->leaving || node->ended) {
        return "this node is stopping; ask another one";
    }
    if (node->started) {
        return NULL;
    }
    membership_waiting_for(&node->membership, waiting_for);
    snprintf(text, sizeof text, "node %u is not ready: %s", node->membership.self, waiting_for);
    return text;
}

/* ---- Stopping ------------------------------------------------------------------------------ */

static void on_stop(struct node *node, struct node_item *item) {
    (void)item;
    if (node->stopping || node->ended) {
        return;
    }
    node->stopping = true;
    node->stop_until_ms = node->now_ms + node->config->stop_timeout_ms;
    rpc_server_set_serving(node->server, false);
    if (node->started) {
        node_step(node, &(struct engine_event){.type = ENGINE_STOP});
    }
}

void node_stop(struct node *node) {
    node_post(node, &(struct node_item){.handle = on_stop});
}

static void go_on_stopping(struct node *node) {
    if (!node->leaving) {
        bool idle =
            !node->started || (engine_is_idle(node->engine) && calls_count(node->calls) == 0);
        if (!idle && node->now_ms < node->stop_until_ms) {
            return;
        }
        if (!idle) {
            logline(LOGLINE_WARN,
                    "stopping with transactions under way: the other nodes take over");
        }
        node->leaving = true;
        node->stop_until_ms = node->now_ms + LEAVE_MS;
        calls_end(node->calls);
        if (node->holds && node_log_has_batch(node->log)) {
            node_commit(node); /* what is held for it leaves with the goodbye (S4) */
        }
        peers_leave(node->peers);
    } else if (peers_have_left(node->peers) || node->now_ms >= node->stop_until_ms) {
        node->ended = true;
    }
}

static void end(struct node *node) {
    void *items;
    size_t n;
    node->ended = true;
    rpc_let_go(node->rpc);
    inbox_close(node->inbox);
    while (inbox_take(node->inbox, 0, &items, &n) == 0) {
        struct node_item *item = items;
        for (size_t i = 0; i < n; i++) {
            item[i].handle(node, &item[i]);
        }
    }
    /* Lazy records: with them the next start has nothing to find out again. */
    if (node_log_has_batch(node->log)) {
        CRASH_POINT(CRASH_TROTHD, "before.store.", "rest");
        put_on_disk(node);
        CRASH_POINT(CRASH_TROTHD, "after.store.", "rest");
    }
    calls_finish(node->calls);
    sessions_finish(node->sessions);
    rpc_server_stop(node->server, LEAVE_MS);
    logline(LOGLINE_INFO, "stopped");
}

/* ---- The loop ------------------------------------------------------------------------------ */

static int64_t min_ms(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t next_wake_ms(const struct node *node) {
    if (node->self_free.n > 0) {
        return 0;
    }
    int64_t wake = min_ms(node->next_beat_ms, node->next_look_ms);
    if (node->started) {
        wake = min_ms(wake, engine_deadline_ms(node->engine));
    }
    if (node->lazy_since_ms != 0) {
        wake = min_ms(wake, node->lazy_since_ms + ENGINE_LAZY_MS);
    }
    return wake;
}

/* What is done every heartbeat interval. */
static void beat(struct node *node) {
    if (node->now_ms < node->next_beat_ms) {
        if (node->now_ms >= node->next_look_ms) {
            peers_watch(node->peers);
        }
        return;
    }
    node->last_beat_ms = node->now_ms;
    node->next_beat_ms = node->now_ms + node->config->heartbeat_ms;
    peers_beat(node->peers);
    calls_expire(node->calls);
}

/* Puts the batch on disk if there is a reason to, and sends. */
static void end_batch(struct node *node) {
    bool lazy_is_due =
        node->lazy_since_ms != 0 && node->now_ms >= node->lazy_since_ms + ENGINE_LAZY_MS;
    /* What depends on no record need not wait for the disk. */
    peers_flush(node->peers, false);
    sessions_flush(node->sessions, false);
    calls_flush(node->calls, false);
    if (node->urgent || lazy_is_due || (node->holds && node_log_has_batch(node->log))) {
        node_commit(node);
    }
    peers_flush(node->peers, true);
    sessions_flush(node->sessions, true);
    calls_flush(node->calls, true);
    CRASH_POINT_HERE(CRASH_AFTER_SEND);
    node_effects_stored(node);
    node->holds = false;
    node_check_stored(node, node_log_make_room(node->log));
}

static void wake(void *arg) {
    struct node *node = arg;
    rpc_wake(node->rpc);
}

/* What has come, at the latest when there is something to do anyway. */
static void take_items(struct node *node, void **items, size_t *n) {
    int64_t until_ms = next_wake_ms(node);
    if (node->config->rpc_threads == 0) {
        rpc_poll(node->rpc, inbox_has_items(node->inbox) ? 0 : until_ms);
        until_ms = 0;
    }
    inbox_take(node->inbox, until_ms, items, n);
}

static void run_once(struct node *node) {
    void *items;
    size_t n;
    take_items(node, &items, &n);
    node->now_ms = clock_monotonic_ms();
    /* We were not there ourselves (stopped, or starved): that silence was not the peers'. */
    int64_t late_ms = node->now_ms - node->last_beat_ms - node->config->heartbeat_ms;
    if (late_ms > 2 * (int64_t)node->config->heartbeat_ms) {
        peers_excuse(node->peers, late_ms);
    }
    struct node_item *item = items;
    for (size_t i = 0; i < n; i++) {
        item[i].handle(node, &item[i]);
    }
    node_effects_run_self(node);
    beat(node); /* what a suspected node led is due in the step behind it */
    if (node->started && engine_deadline_ms(node->engine) <= node->now_ms) {
        node_step(node, &(struct engine_event){.type = ENGINE_TICK});
    }
    if (!node->started && !node->stopping) {
        wait_to_take_part(node);
    }
    if (node->stopping) {
        go_on_stopping(node);
    }
    node_effects_run_self(node);
    end_batch(node);
}

int node_run(struct node *node) {
    if (node->config->rpc_threads == 0) {
        inbox_set_wake(node->inbox, wake, node);
    }
    node->now_ms = clock_monotonic_ms();
    node->last_beat_ms = node->now_ms;
    node->next_beat_ms = node->now_ms;
    node->next_look_ms = INT64_MAX;
    node->told_waiting_ms = node->now_ms;
    int err = rpc_server_start(node->server);
    if (err == 0) {
        rpc_server_set_serving(node->server, false);
        err = peers_start(node->peers);
    }
    if (err != 0) {
        logline(LOGLINE_ERROR, "cannot open the network: %s", troth_err_text(err));
        end(node);
        return NODE_EXIT_FAILED;
    }
    while (!node->ended) {
        run_once(node);
    }
    end(node);
    return NODE_EXIT_STOPPED;
}
