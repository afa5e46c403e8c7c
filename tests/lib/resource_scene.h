/* resource_scene: a resource over a database that does what a test wants (it lists, looks, ends, is
 * stuck, fails, or returns nonsense), with a node without a mind. */
#ifndef TESTS_LIB_RESOURCE_SCENE_H
#define TESTS_LIB_RESOURCE_SCENE_H

#include <stdlib.h>

#include "participant/adapters/resource.h"
#include "tests/lib/fake_node.h"

#define SCENE_ROWS 512

/* ---- The database ---------------------------------------------------------------------------- */

struct database {
    struct driver driver; /* first */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct troth_txid prepared[SCENE_ROWS];
    size_t n_prepared;
    struct troth_txid stuck; /* calls for it wait */
    bool all_stuck;
    int fails;        /* so many calls of each kind return TROTH_ERR_UNAVAILABLE first */
    int nonsense;     /* not 0: what votes and ends return */
    int check_result; /* what check returns */
    unsigned looked, ended, listed, connections, freed, waiting;
    bool failed_list;
};
struct driver_connection {
    struct database *database;
};

static inline struct driver_connection *connection_new(struct driver *driver) {
    struct database *database = (struct database *)(void *)driver;
    struct driver_connection *connection = malloc(sizeof *connection);
    connection->database = database;
    pthread_mutex_lock(&database->mutex);
    database->connections++;
    pthread_mutex_unlock(&database->mutex);
    return connection;
}

static inline void connection_free(struct driver_connection *connection) {
    struct database *database = connection->database;
    pthread_mutex_lock(&database->mutex);
    database->connections--;
    pthread_mutex_unlock(&database->mutex);
    free(connection);
}

static inline int check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    int result = connection->database->check_result;
    snprintf(why, DRIVER_WHY_BYTES, "%s", result != 0 ? "max_prepared_transactions is 0" : "");
    return result;
}

static inline size_t row_of(const struct database *database, struct troth_txid txid) {
    size_t row = 0;
    while (row < database->n_prepared &&
           memcmp(&database->prepared[row], &txid, sizeof txid) != 0) {
        row++;
    }
    return row;
}

/* Waits while the database is stuck; true: the call is to fail. */
static inline bool begin_call(struct database *database, const struct driver_branch *branch) {
    database->waiting++;
    pthread_cond_broadcast(&database->changed);
    while (database->all_stuck ||
           memcmp(&database->stuck, &branch->txid, sizeof branch->txid) == 0) {
        pthread_cond_wait(&database->changed, &database->mutex);
    }
    database->waiting--;
    return database->fails > 0 && database->fails-- > 0;
}

static inline void vote(struct driver_connection *connection, struct driver_branch *branches,
                        size_t n) {
    struct database *database = connection->database;
    pthread_mutex_lock(&database->mutex);
    for (size_t i = 0; i < n; i++) {
        if (begin_call(database, &branches[i])) {
            branches[i].result = TROTH_ERR_UNAVAILABLE;
            continue;
        }
        bool is_there = row_of(database, branches[i].txid) < database->n_prepared;
        branches[i].result = database->nonsense != 0 ? database->nonsense
                             : is_there              ? DRIVER_PREPARED
                                                     : DRIVER_NOT_PREPARED;
        database->looked++;
    }
    pthread_cond_broadcast(&database->changed);
    pthread_mutex_unlock(&database->mutex);
}

static inline void end(struct driver_connection *connection, struct driver_branch *branches,
                       size_t n) {
    struct database *database = connection->database;
    pthread_mutex_lock(&database->mutex);
    for (size_t i = 0; i < n; i++) {
        if (begin_call(database, &branches[i])) {
            branches[i].result = TROTH_ERR_UNAVAILABLE;
            continue;
        }
        size_t row = row_of(database, branches[i].txid);
        branches[i].result = DRIVER_GONE;
        if (database->nonsense != 0) {
            branches[i].result = database->nonsense;
        } else if (row < database->n_prepared) {
            database->prepared[row] = database->prepared[--database->n_prepared];
            branches[i].result = TROTH_OK;
        }
        database->ended++;
    }
    pthread_cond_broadcast(&database->changed);
    pthread_mutex_unlock(&database->mutex);
}

static inline int list(struct driver_connection *connection, driver_each_fn *each, void *arg,
                       char why[DRIVER_WHY_BYTES]) {
    struct database *database = connection->database;
    int err = 0;
    pthread_mutex_lock(&database->mutex);
    database->listed++;
    pthread_cond_broadcast(&database->changed);
    if (database->failed_list) {
        snprintf(why, DRIVER_WHY_BYTES, "the server is away");
        err = TROTH_ERR_UNAVAILABLE;
    }
    for (size_t i = 0; err == 0 && i < database->n_prepared; i++) {
        err = each(arg, database->prepared[i], 0, 1);
    }
    pthread_mutex_unlock(&database->mutex);
    return err;
}

static inline void statements(struct driver *driver, struct troth_txid txid,
                              char begin[DRIVER_WHY_BYTES], char prepare[DRIVER_WHY_BYTES]) {
    (void)driver;
    (void)txid;
    snprintf(begin, DRIVER_WHY_BYTES, "BEGIN");
    snprintf(prepare, DRIVER_WHY_BYTES, "PREPARE");
}

static inline void driver_free(struct driver *driver) {
    ((struct database *)(void *)driver)->freed++;
}

static const struct driver_ops ops = {.kind = "fake",
                                      .connection_new = connection_new,
                                      .connection_free = connection_free,
                                      .check = check,
                                      .vote = vote,
                                      .end = end,
                                      .list = list,
                                      .statements = statements,
                                      .free = driver_free};

/* ---- The scene ------------------------------------------------------------------------------- */

struct scene {
    struct database database;
    struct fake_node node;
    struct troth_database *resource;
    char why[DRIVER_WHY_BYTES];
};

static inline struct troth_txid tx(uint64_t n) {
    return troth_txid_make(0, 1, 3, n);
}

static inline int open_resource(struct scene *scene, uint32_t connections) {
    char nodes[64];
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d", scene->node.port);
    struct troth_database_options options = {
        .name = "orders", .nodes = nodes, .connections = connections, .scan_ms = 20};
    return resource_open(&scene->resource, &scene->database.driver, &options, NULL, scene->why,
                         sizeof scene->why);
}

static inline void begin(struct scene *scene) {
    *scene = (struct scene){
        .database.driver = {.ops = &ops, .cluster = "troth", .participant = "orders"}};
    pthread_mutex_init(&scene->database.mutex, NULL);
    pthread_cond_init(&scene->database.changed, NULL);
    fake_node_start(&scene->node, 1, 3);
}

static inline int count_branch(void *arg, struct troth_txid txid, const char *state,
                               uint64_t since_ms, const char *detail) {
    (void)txid;
    (void)since_ms;
    *(size_t *)arg += strlen(state) + strlen(detail);
    return 0;
}

static inline void make_the_loop_go_round(struct scene *scene) {
    size_t letters = 0;
    ck_assert_int_eq(troth_database_branches(scene->resource, count_branch, &letters), 0);
}

static inline void begin_open(struct scene *scene) {
    begin(scene);
    ck_assert_msg(open_resource(scene, 2) == 0, "%s", scene->why);
    struct troth_database_counters counters = {0};
    while (counters.nodes_attached == 0) {
        make_the_loop_go_round(scene);
        troth_database_counters(scene->resource, &counters);
    }
}

static inline void finish(struct scene *scene) {
    troth_database_close(scene->resource);
    ck_assert_uint_eq(scene->database.freed, 1);
    ck_assert_uint_eq(scene->database.connections, 0);
    fake_node_stop(&scene->node);
    pthread_cond_destroy(&scene->database.changed);
    pthread_mutex_destroy(&scene->database.mutex);
}

static inline void prepare_in_database(struct scene *scene, struct troth_txid txid) {
    pthread_mutex_lock(&scene->database.mutex);
    ck_assert_uint_lt(scene->database.n_prepared, SCENE_ROWS);
    scene->database.prepared[scene->database.n_prepared++] = txid;
    pthread_mutex_unlock(&scene->database.mutex);
}

static inline void ask_to_prepare(struct scene *scene, struct troth_txid txid) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", 1), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", 9), 0);
    fake_node_send(
        &scene->node,
        (struct message){.type = MESSAGE_PREPARE, .txid = txid, .set = paxos_set_new(members, 2)});
}

static inline void decide(struct scene *scene, struct troth_txid txid, enum paxos_outcome outcome) {
    fake_node_send(&scene->node,
                   (struct message){.type = MESSAGE_DECISION, .txid = txid, .outcome = outcome});
}

static inline void expect_vote(struct scene *scene, struct troth_txid txid) {
    const struct message *message = fake_node_expect(&scene->node, MESSAGE_VOTE);
    ck_assert_int_eq(message->vote, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(memcmp(&message->txid, &txid, sizeof txid), 0);
}

static inline void expect_ack(struct scene *scene, struct troth_txid txid,
                              enum message_heuristic kind) {
    const struct message *message = fake_node_expect(&scene->node, MESSAGE_ACK);
    ck_assert_int_eq(memcmp(&message->txid, &txid, sizeof txid), 0);
    ck_assert_int_eq(message->heuristic, kind);
}

static inline size_t count_prepared(struct scene *scene) {
    pthread_mutex_lock(&scene->database.mutex);
    size_t n = scene->database.n_prepared;
    pthread_mutex_unlock(&scene->database.mutex);
    return n;
}

static inline void fail_calls(struct scene *scene, int calls) {
    pthread_mutex_lock(&scene->database.mutex);
    scene->database.fails = calls;
    pthread_mutex_unlock(&scene->database.mutex);
}

static inline void stick_all(struct scene *scene) {
    pthread_mutex_lock(&scene->database.mutex);
    scene->database.all_stuck = true;
    pthread_mutex_unlock(&scene->database.mutex);
}

static inline void wait_waiting(struct scene *scene, unsigned calls) {
    pthread_mutex_lock(&scene->database.mutex);
    while (scene->database.waiting < calls) {
        pthread_cond_wait(&scene->database.changed, &scene->database.mutex);
    }
    pthread_mutex_unlock(&scene->database.mutex);
}

/* So many listings have begun from now on that one of them began and was read after now. */
static inline void wait_listed(struct scene *scene) {
    pthread_mutex_lock(&scene->database.mutex);
    unsigned enough = scene->database.listed + 2;
    while (scene->database.listed < enough) {
        pthread_cond_wait(&scene->database.changed, &scene->database.mutex);
    }
    pthread_mutex_unlock(&scene->database.mutex);
}

static inline void unstick(struct scene *scene) {
    pthread_mutex_lock(&scene->database.mutex);
    scene->database.stuck = (struct troth_txid){0};
    scene->database.all_stuck = false;
    pthread_cond_broadcast(&scene->database.changed);
    pthread_mutex_unlock(&scene->database.mutex);
}

/* A call of troth_database_enlist in a thread of its own. */
struct enlistment {
    struct scene *scene;
    struct troth_txid txid;
    uint32_t timeout_ms;
    pthread_t thread;
    int err;
    struct troth_database_branch branch;
};

static inline void *enlist_and_wait(void *arg) {
    struct enlistment *enlistment = arg;
    char why[DRIVER_WHY_BYTES];
    enlistment->err =
        troth_database_enlist(enlistment->scene->resource, enlistment->txid, enlistment->timeout_ms,
                              &enlistment->branch, why, sizeof why);
    return NULL;
}

static inline void start_enlisting(struct enlistment *enlistment, struct scene *scene, uint64_t n) {
    *enlistment = (struct enlistment){.scene = scene, .txid = tx(n), .timeout_ms = 30000};
    ck_assert_int_eq(pthread_create(&enlistment->thread, NULL, enlist_and_wait, enlistment), 0);
}

static inline void answer_enlistment(struct scene *scene) {
    const struct message *message = fake_node_expect(&scene->node, MESSAGE_ENLIST);
    fake_node_send(&scene->node,
                   (struct message){.type = MESSAGE_ENLISTED, .txid = message->txid, .ok = true});
}

#endif
