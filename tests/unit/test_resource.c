/* resource: the threads around listed.h, with a database that does what a test wants and a node
 * without a mind. */
#include "participant/adapters/resource.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "tests/lib/fake_node.h"
#include "tests/lib/suite.h"

#define ROWS 512

/* ---- The database ---------------------------------------------------------------------------- */

struct database {
    struct driver driver; /* first */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct troth_txid prepared[ROWS];
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

static struct driver_connection *connection_new(struct driver *driver) {
    struct database *database = (struct database *)(void *)driver;
    struct driver_connection *connection = malloc(sizeof *connection);
    connection->database = database;
    pthread_mutex_lock(&database->mutex);
    database->connections++;
    pthread_mutex_unlock(&database->mutex);
    return connection;
}

static void connection_free(struct driver_connection *connection) {
    struct database *database = connection->database;
    pthread_mutex_lock(&database->mutex);
    database->connections--;
    pthread_mutex_unlock(&database->mutex);
    free(connection);
}

static int check(struct driver_connection *connection, char why[DRIVER_WHY_BYTES]) {
    int result = connection->database->check_result;
    snprintf(why, DRIVER_WHY_BYTES, "%s", result != 0 ? "max_prepared_transactions is 0" : "");
    return result;
}

static size_t row_of(const struct database *database, struct troth_txid txid) {
    size_t row = 0;
    while (row < database->n_prepared &&
           memcmp(&database->prepared[row], &txid, sizeof txid) != 0) {
        row++;
    }
    return row;
}

/* Waits while the database is stuck; true: the call is to fail. */
static bool begin_call(struct database *database, const struct driver_branch *branch) {
    database->waiting++;
    pthread_cond_broadcast(&database->changed);
    while (database->all_stuck ||
           memcmp(&database->stuck, &branch->txid, sizeof branch->txid) == 0) {
        pthread_cond_wait(&database->changed, &database->mutex);
    }
    database->waiting--;
    return database->fails > 0 && database->fails-- > 0;
}

static void vote(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
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

static void end(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
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

static int list(struct driver_connection *connection, driver_each_fn *each, void *arg,
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

static void statements(struct driver *driver, struct troth_txid txid, char begin[DRIVER_WHY_BYTES],
                       char prepare[DRIVER_WHY_BYTES]) {
    (void)driver;
    (void)txid;
    snprintf(begin, DRIVER_WHY_BYTES, "BEGIN");
    snprintf(prepare, DRIVER_WHY_BYTES, "PREPARE");
}

static void driver_free(struct driver *driver) {
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

static struct troth_txid tx(uint64_t n) {
    return troth_txid_make(0, 1, 3, n);
}

static int open_resource(struct scene *scene, uint32_t connections) {
    char nodes[64];
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d", scene->node.port);
    struct troth_database_options options = {
        .name = "orders", .nodes = nodes, .connections = connections, .scan_ms = 20};
    return resource_open(&scene->resource, &scene->database.driver, &options, scene->why,
                         sizeof scene->why);
}

static void begin(struct scene *scene) {
    *scene = (struct scene){
        .database.driver = {.ops = &ops, .cluster = "troth", .participant = "orders"}};
    pthread_mutex_init(&scene->database.mutex, NULL);
    pthread_cond_init(&scene->database.changed, NULL);
    fake_node_start(&scene->node, 1, 3);
}

static int count_branch(void *arg, struct troth_txid txid, const char *state, uint64_t since_ms,
                        const char *detail) {
    (void)txid;
    (void)since_ms;
    *(size_t *)arg += strlen(state) + strlen(detail);
    return 0;
}

static void make_the_loop_go_round(struct scene *scene) {
    size_t letters = 0;
    ck_assert_int_eq(troth_database_branches(scene->resource, count_branch, &letters), 0);
}

static void begin_open(struct scene *scene) {
    begin(scene);
    ck_assert_msg(open_resource(scene, 2) == 0, "%s", scene->why);
    struct troth_database_counters counters = {0};
    while (counters.nodes_attached == 0) {
        make_the_loop_go_round(scene);
        troth_database_counters(scene->resource, &counters);
    }
}

static void finish(struct scene *scene) {
    troth_database_close(scene->resource);
    ck_assert_uint_eq(scene->database.freed, 1);
    ck_assert_uint_eq(scene->database.connections, 0);
    fake_node_stop(&scene->node);
    pthread_cond_destroy(&scene->database.changed);
    pthread_mutex_destroy(&scene->database.mutex);
}

static void prepare_in_database(struct scene *scene, struct troth_txid txid) {
    pthread_mutex_lock(&scene->database.mutex);
    ck_assert_uint_lt(scene->database.n_prepared, ROWS);
    scene->database.prepared[scene->database.n_prepared++] = txid;
    pthread_mutex_unlock(&scene->database.mutex);
}

static void ask_to_prepare(struct scene *scene, struct troth_txid txid) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", 1), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", 9), 0);
    fake_node_send(
        &scene->node,
        (struct message){.type = MESSAGE_PREPARE, .txid = txid, .set = paxos_set_new(members, 2)});
}

static void decide(struct scene *scene, struct troth_txid txid, enum paxos_outcome outcome) {
    fake_node_send(&scene->node,
                   (struct message){.type = MESSAGE_DECISION, .txid = txid, .outcome = outcome});
}

static void expect_vote(struct scene *scene, struct troth_txid txid) {
    const struct message *message = fake_node_expect(&scene->node, MESSAGE_VOTE);
    ck_assert_int_eq(message->vote, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(memcmp(&message->txid, &txid, sizeof txid), 0);
}

static void expect_ack(struct scene *scene, struct troth_txid txid, enum message_heuristic kind) {
    const struct message *message = fake_node_expect(&scene->node, MESSAGE_ACK);
    ck_assert_int_eq(memcmp(&message->txid, &txid, sizeof txid), 0);
    ck_assert_int_eq(message->heuristic, kind);
}

static void wait_waiting(struct scene *scene, unsigned calls) {
    pthread_mutex_lock(&scene->database.mutex);
    while (scene->database.waiting < calls) {
        pthread_cond_wait(&scene->database.changed, &scene->database.mutex);
    }
    pthread_mutex_unlock(&scene->database.mutex);
}

/* So many listings have begun from now on that one of them began and was read after now. */
static void wait_listed(struct scene *scene) {
    pthread_mutex_lock(&scene->database.mutex);
    unsigned enough = scene->database.listed + 2;
    while (scene->database.listed < enough) {
        pthread_cond_wait(&scene->database.changed, &scene->database.mutex);
    }
    pthread_mutex_unlock(&scene->database.mutex);
}

static void unstick(struct scene *scene) {
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

static void *enlist_and_wait(void *arg) {
    struct enlistment *enlistment = arg;
    char why[DRIVER_WHY_BYTES];
    enlistment->err =
        troth_database_enlist(enlistment->scene->resource, enlistment->txid, enlistment->timeout_ms,
                              &enlistment->branch, why, sizeof why);
    return NULL;
}

static void start_enlisting(struct enlistment *enlistment, struct scene *scene, uint64_t n) {
    *enlistment = (struct enlistment){.scene = scene, .txid = tx(n), .timeout_ms = 30000};
    ck_assert_int_eq(pthread_create(&enlistment->thread, NULL, enlist_and_wait, enlistment), 0);
}

static void answer_enlistment(struct scene *scene) {
    const struct message *message = fake_node_expect(&scene->node, MESSAGE_ENLIST);
    fake_node_send(&scene->node,
                   (struct message){.type = MESSAGE_ENLISTED, .txid = message->txid, .ok = true});
}

/* ---- The tests ------------------------------------------------------------------------------- */

START_TEST(a_branch_is_enlisted_voted_for_and_committed) {
    struct scene scene;
    struct enlistment enlistment;
    begin_open(&scene);
    start_enlisting(&enlistment, &scene, 1);
    answer_enlistment(&scene);
    pthread_join(enlistment.thread, NULL);
    ck_assert_int_eq(enlistment.err, 0);
    ck_assert_str_eq(enlistment.branch.participant, "orders");
    ck_assert_str_eq(enlistment.branch.begin_sql, "BEGIN");
    prepare_in_database(&scene, tx(1));
    ck_assert_int_eq(troth_database_prepared(scene.resource, tx(1)), 0);
    ask_to_prepare(&scene, tx(1));
    expect_vote(&scene, tx(1));
    decide(&scene, tx(1), PAXOS_OUTCOME_COMMITTED);
    expect_ack(&scene, tx(1), MESSAGE_HEURISTIC_NONE);
    ck_assert_uint_eq(scene.database.n_prepared, 0);
    finish(&scene);
}
END_TEST

START_TEST(no_node_is_dialled_before_the_list_was_read) {
    struct scene scene;
    begin(&scene);
    scene.database.failed_list = true;
    prepare_in_database(&scene, tx(1));
    ck_assert_int_eq(open_resource(&scene, 2), 0);
    wait_listed(&scene);
    struct troth_database_counters counters;
    troth_database_counters(scene.resource, &counters);
    ck_assert(!counters.reachable);
    ck_assert_uint_eq(scene.node.greeted, 0);
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.failed_list = false;
    pthread_mutex_unlock(&scene.database.mutex);
    fake_node_expect_sessions(&scene.node, 1);
    troth_database_counters(scene.resource, &counters);
    ck_assert_uint_eq(counters.orphans, 1);
    finish(&scene);
}
END_TEST

START_TEST(a_database_that_cannot_do_it_is_not_opened_and_says_why) {
    struct scene scene;
    begin(&scene);
    scene.database.check_result = TROTH_ERR_MISMATCH;
    ck_assert_int_eq(open_resource(&scene, 2), TROTH_ERR_MISMATCH);
    ck_assert_str_eq(scene.why, "max_prepared_transactions is 0");
    ck_assert_ptr_null(scene.resource);
    finish(&scene);
}
END_TEST

START_TEST(options_that_cannot_be_are_refused_and_the_driver_is_let_go_of) {
    struct scene scene;
    begin(&scene);
    ck_assert_int_eq(open_resource(&scene, 257), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(scene.why, "257 connections"));
    finish(&scene);
}
END_TEST

START_TEST(L3_a_call_that_is_stuck_delays_its_own_branch_only) {
    struct scene scene;
    begin_open(&scene);
    prepare_in_database(&scene, tx(1));
    prepare_in_database(&scene, tx(2));
    scene.database.stuck = tx(1);
    ask_to_prepare(&scene, tx(1));
    wait_waiting(&scene, 1);
    ask_to_prepare(&scene, tx(2));
    expect_vote(&scene, tx(2));
    unstick(&scene);
    expect_vote(&scene, tx(1));
    finish(&scene);
}
END_TEST

START_TEST(with_all_workers_stuck_the_list_is_read_on_and_enlistments_go_on) {
    struct scene scene;
    struct enlistment enlistment;
    begin_open(&scene);
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.all_stuck = true;
    pthread_mutex_unlock(&scene.database.mutex);
    ask_to_prepare(&scene, tx(1));
    ask_to_prepare(&scene, tx(2));
    wait_waiting(&scene, 2);
    wait_listed(&scene);
    start_enlisting(&enlistment, &scene, 3);
    answer_enlistment(&scene);
    pthread_join(enlistment.thread, NULL);
    ck_assert_int_eq(enlistment.err, 0);
    unstick(&scene);
    fake_node_expect(&scene.node, MESSAGE_BRANCH_ABORTED);
    finish(&scene);
}
END_TEST

START_TEST(calls_that_fail_are_made_again_until_they_succeed) {
    struct scene scene;
    begin_open(&scene);
    prepare_in_database(&scene, tx(1));
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.fails = 2;
    pthread_mutex_unlock(&scene.database.mutex);
    ask_to_prepare(&scene, tx(1));
    expect_vote(&scene, tx(1));
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.fails = 2;
    pthread_mutex_unlock(&scene.database.mutex);
    decide(&scene, tx(1), PAXOS_OUTCOME_ABORTED);
    expect_ack(&scene, tx(1), MESSAGE_HEURISTIC_NONE);
    finish(&scene);
}
END_TEST

START_TEST(H7_nonsense_from_a_driver_is_neither_a_vote_nor_an_end) {
    struct scene scene;
    begin_open(&scene);
    prepare_in_database(&scene, tx(1));
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.nonsense = 999;
    pthread_mutex_unlock(&scene.database.mutex);
    ask_to_prepare(&scene, tx(1));
    fake_node_expect(&scene.node, MESSAGE_BRANCH_ABORTED);
    decide(&scene, tx(2), PAXOS_OUTCOME_COMMITTED);
    expect_ack(&scene, tx(2), MESSAGE_HEURISTIC_HAZARD);
    finish(&scene);
}
END_TEST

START_TEST(an_enlistment_that_takes_too_long_gives_no_branch_and_its_late_answer_harms_nobody) {
    struct scene scene;
    begin_open(&scene);
    struct enlistment enlistment = {.scene = &scene, .txid = tx(1), .timeout_ms = 1};
    enlist_and_wait(&enlistment);
    ck_assert_int_eq(enlistment.err, TROTH_ERR_TIMEOUT);
    ck_assert_str_eq(enlistment.branch.gid, "");
    answer_enlistment(&scene);
    start_enlisting(&enlistment, &scene, 1); /* it was handed out, to nobody */
    pthread_join(enlistment.thread, NULL);
    ck_assert_int_eq(enlistment.err, TROTH_ERR_STATE);
    finish(&scene);
}
END_TEST

static void *close_it(void *arg) {
    struct scene *scene = arg;
    troth_database_close(scene->resource);
    return NULL;
}

START_TEST(closing_tells_who_waits_and_waits_for_calls_that_are_under_way) {
    struct scene scene;
    struct enlistment enlistment;
    pthread_t thread;
    begin_open(&scene);
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.all_stuck = true;
    pthread_mutex_unlock(&scene.database.mutex);
    for (uint64_t n = 10; n < 20; n++) {
        ask_to_prepare(&scene, tx(n));
    }
    wait_waiting(&scene, 2);
    start_enlisting(&enlistment, &scene, 1);
    fake_node_expect(&scene.node, MESSAGE_ENLIST);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_it, &scene), 0);
    pthread_join(enlistment.thread, NULL); /* though the workers are stuck */
    ck_assert_int_eq(enlistment.err, TROTH_ERR_CLOSED);
    unstick(&scene);
    pthread_join(thread, NULL);
    scene.resource = NULL;
    finish(&scene);
}
END_TEST

START_TEST(closing_waits_for_no_node_for_long) {
    struct scene scene;
    begin(&scene);
    prepare_in_database(&scene, tx(1)); /* will be asked about; the node has no such service */
    ck_assert_int_eq(open_resource(&scene, 1), 0);
    fake_node_expect_sessions(&scene.node, 1);
    wait_listed(&scene);
    finish(&scene);
}
END_TEST

START_TEST(an_operator_ends_a_branch_and_hears_of_it) {
    struct scene scene;
    char why[DRIVER_WHY_BYTES];
    begin_open(&scene);
    prepare_in_database(&scene, tx(1));
    ask_to_prepare(&scene, tx(1));
    expect_vote(&scene, tx(1));
    ck_assert_int_eq(troth_database_resolve(scene.resource, tx(1), true, "ann", why, sizeof why),
                     0);
    expect_ack(&scene, tx(1), MESSAGE_HEURISTIC_COMMIT);
    ck_assert_int_eq(troth_database_resolve(scene.resource, tx(2), true, "ann", why, sizeof why),
                     TROTH_ERR_NOT_FOUND);
    finish(&scene);
}
END_TEST

/* ---- Many threads ---------------------------------------------------------------------------- */

#define THREADS  4
#define BRANCHES 48 /* of each thread */

struct client {
    struct scene *scene;
    uint64_t first;
    pthread_t thread;
    atomic_uint enlisted;
};

static void *work_on(void *arg) {
    struct client *client = arg;
    for (uint64_t i = 0; i < BRANCHES; i++) {
        struct enlistment enlistment = {
            .scene = client->scene, .txid = tx(client->first + i), .timeout_ms = 30000};
        enlist_and_wait(&enlistment);
        if (enlistment.err != 0) {
            ck_assert(enlistment.err == TROTH_ERR_CLOSED || enlistment.err == TROTH_ERR_ABORTED ||
                      enlistment.err == TROTH_ERR_STATE); /* the last two: it was decided before */
            continue;
        }
        atomic_fetch_add(&client->enlisted, 1);
        prepare_in_database(client->scene, enlistment.txid);
        if (i % 2 == 0) {
            troth_database_prepared(client->scene->resource, enlistment.txid);
        }
        struct troth_database_counters counters;
        size_t letters = 0;
        troth_database_counters(client->scene->resource, &counters);
        troth_database_branches(client->scene->resource, count_branch, &letters);
    }
    return NULL;
}

static void start_clients(struct client clients[THREADS], struct scene *scene) {
    for (uint64_t i = 0; i < THREADS; i++) {
        clients[i] = (struct client){.scene = scene, .first = 1 + i * BRANCHES};
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, work_on, &clients[i]), 0);
    }
}

START_TEST(many_threads_and_branches_at_once_all_end) {
    struct scene scene;
    struct client clients[THREADS];
    begin_open(&scene);
    scene.database.fails = 20;
    start_clients(clients, &scene);
    for (unsigned i = 0; i < THREADS * BRANCHES; i++) {
        answer_enlistment(&scene);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(clients[i].thread, NULL);
        ck_assert_uint_eq(clients[i].enlisted, BRANCHES);
    }
    for (uint64_t n = 1; n <= THREADS * BRANCHES; n++) {
        ask_to_prepare(&scene, tx(n));
        ask_to_prepare(&scene, tx(n)); /* and twice */
        decide(&scene, tx(n), n % 3 == 0 ? PAXOS_OUTCOME_ABORTED : PAXOS_OUTCOME_COMMITTED);
    }
    for (unsigned i = 0; i < THREADS * BRANCHES; i++) {
        const struct message *ack = fake_node_expect(&scene.node, MESSAGE_ACK);
        ck_assert_int_eq(ack->heuristic, MESSAGE_HEURISTIC_NONE);
    }
    ck_assert_uint_eq(scene.database.n_prepared, 0);
    struct troth_database_counters counters = {0};
    while (counters.committed + counters.aborted < (uint64_t)THREADS * BRANCHES) {
        make_the_loop_go_round(&scene);
        troth_database_counters(scene.resource, &counters);
    }
    ck_assert_uint_eq(counters.aborted, THREADS * BRANCHES / 3);
    finish(&scene);
}
END_TEST

START_TEST(stopping_in_the_middle_of_everything_leaves_no_thread_waiting) {
    struct scene scene;
    struct client clients[THREADS];
    begin_open(&scene);
    start_clients(clients, &scene);
    for (uint64_t n = 1; n <= BRANCHES; n++) {
        answer_enlistment(&scene);
        ask_to_prepare(&scene, tx(n));
        decide(&scene, tx(n), PAXOS_OUTCOME_ABORTED);
    }
    resource_stop(scene.resource);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    finish(&scene);
}
END_TEST

int main(void) {
    return suite_run(
        "resource",
        (const TTest *[]){
            a_branch_is_enlisted_voted_for_and_committed,
            no_node_is_dialled_before_the_list_was_read,
            a_database_that_cannot_do_it_is_not_opened_and_says_why,
            options_that_cannot_be_are_refused_and_the_driver_is_let_go_of,
            L3_a_call_that_is_stuck_delays_its_own_branch_only,
            with_all_workers_stuck_the_list_is_read_on_and_enlistments_go_on,
            calls_that_fail_are_made_again_until_they_succeed,
            H7_nonsense_from_a_driver_is_neither_a_vote_nor_an_end,
            an_enlistment_that_takes_too_long_gives_no_branch_and_its_late_answer_harms_nobody,
            closing_tells_who_waits_and_waits_for_calls_that_are_under_way,
            closing_waits_for_no_node_for_long, an_operator_ends_a_branch_and_hears_of_it,
            many_threads_and_branches_at_once_all_end,
            stopping_in_the_middle_of_everything_leaves_no_thread_waiting, NULL});
}
