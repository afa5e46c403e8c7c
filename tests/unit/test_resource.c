/* resource: the threads around listed.h. */
#include "tests/lib/resource_scene.h"

#include <stdatomic.h>

#include "tests/lib/suite.h"

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
    ck_assert_uint_eq(count_prepared(&scene), 0);
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
    pthread_mutex_lock(&scene.node.mutex);
    ck_assert_uint_eq(scene.node.greeted, 0);
    pthread_mutex_unlock(&scene.node.mutex);
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
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.stuck = tx(1);
    pthread_mutex_unlock(&scene.database.mutex);
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
    stick_all(&scene);
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
    fail_calls(&scene, 2);
    ask_to_prepare(&scene, tx(1));
    expect_vote(&scene, tx(1));
    fail_calls(&scene, 2);
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
    stick_all(&scene);
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

START_TEST(L2_closing_acknowledges_what_has_ended_meanwhile) {
    struct scene scene;
    pthread_t thread;
    begin_open(&scene);
    prepare_in_database(&scene, tx(1));
    ask_to_prepare(&scene, tx(1));
    expect_vote(&scene, tx(1));
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.stuck = tx(1);
    pthread_mutex_unlock(&scene.database.mutex);
    decide(&scene, tx(1), PAXOS_OUTCOME_COMMITTED);
    wait_waiting(&scene, 1);
    resource_stop(scene.resource);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_it, &scene), 0);
    unstick(&scene);
    pthread_join(thread, NULL);
    scene.resource = NULL;
    expect_ack(&scene, tx(1), MESSAGE_HEURISTIC_NONE);
    finish(&scene);
}
END_TEST

struct told {
    unsigned n;
    int err;
};

static void note_told(void *arg, struct troth_txid txid, int err, const char *detail) {
    struct told *told = arg;
    (void)txid;
    (void)detail;
    told->n++;
    told->err = err;
}

START_TEST(closing_tells_an_operator_once_though_his_end_is_under_way) {
    struct scene scene;
    struct told told = {.n = 0};
    pthread_t thread;
    begin_open(&scene);
    prepare_in_database(&scene, tx(1));
    ask_to_prepare(&scene, tx(1));
    expect_vote(&scene, tx(1));
    pthread_mutex_lock(&scene.database.mutex);
    scene.database.stuck = tx(1);
    pthread_mutex_unlock(&scene.database.mutex);
    ck_assert_int_eq(resource_resolve(scene.resource, tx(1), true, "ann", note_told, &told), 0);
    wait_waiting(&scene, 1);
    resource_stop(scene.resource);
    ck_assert_uint_eq(told.n, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_CLOSED);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_it, &scene), 0);
    unstick(&scene);
    pthread_join(thread, NULL);
    scene.resource = NULL;
    ck_assert_uint_eq(told.n, 1);
    ck_assert_uint_eq(count_prepared(&scene), 0);
    expect_ack(&scene, tx(1), MESSAGE_HEURISTIC_COMMIT); /* the node hears what was done */
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

START_TEST(H4_who_claims_to_be_a_node_does_not_cut_off_the_true_one) {
    struct scene scene;
    struct fake_node other = {0};
    char nodes[64];
    begin(&scene);
    fake_node_start(&other, 1, 3);
    fake_node_stop(&other); /* keeps its port */
    memset(other.welcome.disk, 0xee, sizeof other.welcome.disk);
    snprintf(nodes, sizeof nodes, "127.0.0.1:%d,127.0.0.1:%d", scene.node.port, other.port);
    ck_assert_int_eq(resource_open(&scene.resource, &scene.database.driver,
                                   &(struct troth_database_options){
                                       .name = "orders", .nodes = nodes, .scan_ms = 20},
                                   NULL, scene.why, sizeof scene.why),
                     0);
    fake_node_expect_sessions(&scene.node, 1);
    fake_node_start(&other, 1, 4);
    fake_node_expect_ended(&other, 1);
    prepare_in_database(&scene, tx(1));
    ask_to_prepare(&scene, tx(1));
    expect_vote(&scene, tx(1));
    finish(&scene);
    fake_node_stop(&other);
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
    fail_calls(&scene, 20);
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
    ck_assert_uint_eq(count_prepared(&scene), 0);
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
            L2_closing_acknowledges_what_has_ended_meanwhile,
            closing_tells_an_operator_once_though_his_end_is_under_way,
            closing_waits_for_no_node_for_long, an_operator_ends_a_branch_and_hears_of_it,
            H4_who_claims_to_be_a_node_does_not_cut_off_the_true_one,
            many_threads_and_branches_at_once_all_end,
            stopping_in_the_middle_of_everything_leaves_no_thread_waiting, NULL});
}
