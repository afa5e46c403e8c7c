/* libtroth over gRPC: it asks other nodes when one is gone, and never guesses. */
#include "client/internal.h"
#include "tests/unit/test_client_nodes.h"

START_TEST(commit_asks_the_node_of_the_txid_with_all_branches) {
    struct troth *t = set_up();
    struct troth_txid begun;
    ck_assert_int_eq(troth_begin(t, 0, &begun, NULL), 0);
    ck_assert(troth_txid_equal(begun, txid()));
    struct troth_branch branches[] = {{"a", 1}, {"b", 2}};
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), branches, 2, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    unsigned asked;
    LOCKED(asked = nodes[0].asked + nodes[1].asked + nodes[2].asked);
    ck_assert_uint_ge(asked, 1);
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(ck_assert(nodes[i].asked == 0 || nodes[i].branches == 2));
    }
    tear_down(t);
}
END_TEST

/* Without them their locks would stay for a second. */
START_TEST(abort_names_the_branches_too) {
    struct troth *t = set_up();
    struct troth_branch branches[] = {{"a", 1}, {"b", 2}};
    LOCKED(nodes[0].say = nodes[1].say = nodes[2].say = SAY_ABORTED);
    struct troth_result result;
    ck_assert_int_eq(troth_abort_branches(t, txid(), branches, 2, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    LOCKED(ck_assert_uint_eq(nodes[0].branches, 2));
    tear_down(t);
}
END_TEST

/* They would end the stream that all requests share. */
START_TEST(branches_that_no_node_would_take_are_refused_here) {
    static struct troth_branch branches[TROTH_BRANCHES_MAX + 1];
    static char long_name[TROTH_NAME_MAX + 2];
    struct troth *t = set_up();
    struct troth_result result;
    memset(long_name, 'x', sizeof long_name - 1);
    for (size_t i = 0; i <= TROTH_BRANCHES_MAX; i++) {
        branches[i] = (struct troth_branch){"a", i};
    }
    ck_assert_int_eq(troth_commit(t, txid(), branches, TROTH_BRANCHES_MAX + 1, 0, &result),
                     TROTH_ERR_TOO_MANY);
    branches[0].participant = long_name;
    ck_assert_int_eq(troth_commit(t, txid(), branches, 1, 0, &result), TROTH_ERR_INVALID);
    ck_assert_int_eq(troth_commit(t, txid(), branches + 1, TROTH_BRANCHES_MAX, 0, &result), 0);
    LOCKED(ck_assert_uint_eq(nodes[0].asked, 1));
    tear_down(t);
}
END_TEST

START_TEST(an_abort_is_an_outcome_with_a_reason_and_no_error) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = nodes[1].say = nodes[2].say = SAY_ABORTED);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_int_eq(result.reason, TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE);
    ck_assert_str_eq(result.detail, "stock said no");
    tear_down(t);
}
END_TEST

START_TEST(a_dead_node_is_passed_over) {
    struct troth *t = set_up();
    kill_node(&nodes[0]);
    struct troth_txid begun;
    struct troth_result result;
    for (int i = 0; i < 3; i++) { /* each node has its turn */
        ck_assert_int_eq(troth_begin(t, 0, &begun, &result), 0);
    }
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    tear_down(t);
}
END_TEST

START_TEST(when_one_is_silent_another_is_asked_too) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = SAY_NOTHING);
    LOCKED(nodes[0].say_to_get = SAY_NOTHING);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    LOCKED(ck_assert_uint_le(nodes[0].asked, 1));
    tear_down(t); /* and the call that is still open does no harm */
}
END_TEST

START_TEST(unknown_when_no_majority_answers) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = SAY_NOTHING);
    LOCKED(nodes[0].say_to_get = SAY_UNDECIDED);
    kill_node(&nodes[1]);
    kill_node(&nodes[2]);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 400, &result), TROTH_ERR_UNKNOWN);
    ck_assert_int_eq(result.outcome, TROTH_OUTCOME_NONE);
    ck_assert_ptr_nonnull(strstr(result.detail, "no majority of the 3 nodes"));
    tear_down(t);
}
END_TEST

START_TEST(timeout_when_a_majority_answers_that_it_is_not_decided) {
    struct troth *t = set_up();
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_NOTHING);
        LOCKED(nodes[i].say_to_get = SAY_UNDECIDED);
    }
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 1000, &result), TROTH_ERR_TIMEOUT);
    ck_assert_int_eq(result.outcome, TROTH_OUTCOME_NONE);
    tear_down(t);
}
END_TEST

START_TEST(what_a_node_knows_before_the_end_is_the_outcome) {
    struct troth *t = set_up();
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_NOTHING);
        LOCKED(nodes[i].say_to_get = SAY_UNDECIDED);
    }
    LOCKED(nodes[2].say_to_get = SAY_COMMITTED);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 1000, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    tear_down(t);
}
END_TEST

START_TEST(a_reply_that_cannot_be_read_is_no_outcome) {
    struct troth *t = set_up();
    LOCKED(nodes[0].say = SAY_GARBAGE);
    struct troth_result result;
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED); /* another node's word */
    LOCKED(ck_assert_uint_ge(nodes[1].asked + nodes[2].asked, 1));
    tear_down(t);
}
END_TEST

START_TEST(definite_errors_come_back_with_the_nodes_words) {
    static const struct {
        int status;
        int err;
    } cases[] = {{RPC_NOT_FOUND, TROTH_ERR_NOT_FOUND},
                 {RPC_OUT_OF_RANGE, TROTH_ERR_FORGOTTEN},
                 {RPC_INVALID_ARGUMENT, TROTH_ERR_INVALID}};
    struct troth *t = set_up();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < NODES; k++) {
            LOCKED(nodes[k].say = nodes[k].say_to_get = SAY_STATUS);
            LOCKED(nodes[k].status = cases[i].status);
        }
        struct troth_result result;
        ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), cases[i].err);
        ck_assert_ptr_nonnull(strstr(result.detail, "because"));
        ck_assert_int_eq(troth_abort(t, txid(), 0, &result), cases[i].err);
        ck_assert_int_eq(troth_get(t, txid(), &result), cases[i].err);
    }
    tear_down(t);
}
END_TEST

START_TEST(enlist_says_what_the_coordinator_says) {
    struct troth *t = set_up();
    struct troth_branch branch = {"legacy", 1};
    struct troth_result result;
    ck_assert_int_eq(troth_enlist(t, txid(), &branch, &result), 0);
    for (size_t k = 0; k < NODES; k++) {
        LOCKED(nodes[k].say = SAY_STATUS);
        LOCKED(nodes[k].status = RPC_FAILED_PRECONDITION);
    }
    ck_assert_int_eq(troth_enlist(t, txid(), &branch, &result), TROTH_ERR_STATE);
    tear_down(t);
}
END_TEST

START_TEST(get_may_say_that_nothing_is_decided) {
    struct troth *t = set_up();
    for (size_t k = 0; k < NODES; k++) {
        LOCKED(nodes[k].say_to_get = SAY_UNDECIDED);
    }
    struct troth_result result;
    ck_assert_int_eq(troth_get(t, txid(), &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_OUTCOME_NONE);
    tear_down(t);
}
END_TEST

START_TEST(whether_a_branch_is_bound_is_asked_of_all_nodes_until_one_knows) {
    static const struct {
        const char *members[NODES];
        enum say outcome;
        enum bound bound;
        unsigned asked;
    } cases[] = {{{"orders", NULL, NULL}, SAY_COMMITTED, BOUND_YES, 1},
                 {{"order", "orders", NULL}, SAY_COMMITTED, BOUND_NO, 1}, /* no part of the name */
                 {{NULL, NULL, "orders"}, SAY_COMMITTED, BOUND_YES, 3},
                 {{NULL, "stock", "orders"}, SAY_COMMITTED, BOUND_NO, 2},
                 {{NULL, NULL, NULL}, SAY_COMMITTED, BOUND_NOT_KNOWN, 3},
                 {{NULL, "orders", NULL}, SAY_UNDECIDED, BOUND_NOT_KNOWN, 1}};
    attempt_ms = 2000; /* so that none is asked because another is slow */
    struct troth *t = set_up();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < NODES; k++) {
            LOCKED(nodes[k].member = cases[i].members[k]);
            LOCKED(nodes[k].say_to_get = cases[i].outcome);
            LOCKED(nodes[k].got = 0);
        }
        struct troth_result result;
        enum bound bound;
        ck_assert_int_eq(client_get_bound(t, txid(), "orders", &result, &bound), 0);
        ck_assert_int_eq(bound, cases[i].bound);
        unsigned asked = 0;
        for (size_t k = 0; k < NODES; k++) {
            LOCKED(asked += nodes[k].got);
        }
        ck_assert_uint_eq(asked, cases[i].asked);
    }
    tear_down(t);
    attempt_ms = ATTEMPT;
}
END_TEST

static void *commit_many(void *arg) {
    for (int i = 0; i < 50; i++) {
        struct troth_result result;
        ck_assert_int_eq(troth_commit(arg, txid(), NULL, 0, 0, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    }
    return NULL;
}

START_TEST(any_thread_may_ask) {
    struct troth *t = set_up();
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, commit_many, t), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    tear_down(t);
}
END_TEST

START_TEST(a_node_that_comes_back_is_asked_again) {
    struct troth *t = set_up();
    struct troth_result result;
    char address[sizeof nodes[0].address];
    kill_node(&nodes[1]);
    kill_node(&nodes[2]);
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    strcpy(address, nodes[0].address);
    kill_node(&nodes[0]);
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 200, &result), TROTH_ERR_UNKNOWN);
    start_node(&nodes[0], address);
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    LOCKED(ck_assert_uint_eq(nodes[0].opened, 2));
    tear_down(t);
}
END_TEST

START_TEST(what_a_stream_owes_when_it_ends_is_asked_of_another_node_at_once) {
    attempt_ms = 60000;
    struct troth *t = set_up();
    struct troth_result result;
    LOCKED(nodes[0].say = SAY_GARBAGE); /* which ends the stream */
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 30000, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    tear_down(t);
}
END_TEST

START_TEST(addresses_that_are_none_are_refused) {
    struct troth *t = NULL;
    ck_assert_int_eq(troth_open(&t, &(struct troth_options){.nodes = "nowhere"}),
                     TROTH_ERR_INVALID);
    ck_assert_ptr_null(t);
}
END_TEST

int main(void) {
    return suite_run(
        "client",
        (const TTest *[]){
            commit_asks_the_node_of_the_txid_with_all_branches, abort_names_the_branches_too,
            branches_that_no_node_would_take_are_refused_here,
            an_abort_is_an_outcome_with_a_reason_and_no_error, a_dead_node_is_passed_over,
            when_one_is_silent_another_is_asked_too, unknown_when_no_majority_answers,
            timeout_when_a_majority_answers_that_it_is_not_decided,
            what_a_node_knows_before_the_end_is_the_outcome,
            a_reply_that_cannot_be_read_is_no_outcome,
            definite_errors_come_back_with_the_nodes_words, enlist_says_what_the_coordinator_says,
            get_may_say_that_nothing_is_decided,
            whether_a_branch_is_bound_is_asked_of_all_nodes_until_one_knows, any_thread_may_ask,
            a_node_that_comes_back_is_asked_again,
            what_a_stream_owes_when_it_ends_is_asked_of_another_node_at_once,
            addresses_that_are_none_are_refused, NULL});
}
