/* Work that comes with Commit: it is given once, and what is asked afterwards can't lose it. */
#include "tests/unit/test_client_nodes.h"

struct told {
    unsigned n;
    int err;
    struct troth_result result;
};
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void ended(void *arg, int err, const struct troth_result *result) {
    struct told *told = arg;
    pthread_mutex_lock(&mutex);
    told->n++;
    told->err = err;
    told->result = *result;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_for(const struct told *told, unsigned n) {
    pthread_mutex_lock(&mutex);
    while (told->n < n) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static const struct troth_work works[] = {{"a", "take 5", 6}, {"b", "give 5", 6}};

/* Of the txid's transaction, which is the first node's. */
static int commit_work(struct troth *t, uint32_t timeout_ms, struct troth_result *result) {
    return troth_commit_work(t, txid(), NULL, 0, works, 2, timeout_ms, result);
}

/* The first node says this to work, and the others to all. */
static void script(enum say to_work, int status, enum say others) {
    pthread_mutex_lock(&mutex);
    nodes[0].says_to_work = true;
    nodes[0].say_to_work = to_work;
    nodes[0].status = status;
    nodes[0].say = nodes[1].say = nodes[2].say = others;
    nodes[0].say_to_get = nodes[1].say_to_get = nodes[2].say_to_get = SAY_UNDECIDED;
    pthread_mutex_unlock(&mutex);
}

/* S5: whoever gets another request than this for it could commit without the work. */
static void work_was_given(unsigned times) {
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < NODES; i++) {
        ck_assert_uint_eq(nodes[i].worked, i == 0 ? times : 0);
        ck_assert_uint_eq(nodes[i].asked, nodes[i].worked + nodes[i].aborts);
    }
    pthread_mutex_unlock(&mutex);
}

static unsigned aborts(void) {
    unsigned n;
    LOCKED(n = nodes[0].aborts + nodes[1].aborts + nodes[2].aborts);
    return n;
}

START_TEST(work_goes_to_the_node_that_coordinates_with_the_branches) {
    struct troth *t = set_up();
    struct told told = {.n = 0};
    char name[] = "a";
    char bytes[] = "take 5";
    struct troth_work own[] = {{name, bytes, 6}, works[1]};
    struct troth_branch branch = {"c", 3};
    troth_commit_work_async(t, txid(), &branch, 1, own, 2, 0, ended, &told);
    name[0] = bytes[0] = '?'; /* the caller's memory is not needed any more */
    wait_for(&told, 1);
    ck_assert_int_eq(told.err, 0);
    ck_assert_int_eq(told.result.outcome, TROTH_COMMITTED);
    work_was_given(1);
    LOCKED(ck_assert_uint_eq(nodes[0].branches, 1));
    LOCKED(ck_assert_str_eq(nodes[0].work, "a:take 5,b:give 5,"));
    ck_assert_uint_eq(aborts(), 0);
    tear_down(t);
}
END_TEST

START_TEST(a_participant_that_refuses_its_work_says_why) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_ABORTED, 0, SAY_COMMITTED);
    ck_assert_int_eq(commit_work(t, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_int_eq(result.reason, TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE);
    ck_assert_str_eq(result.detail, "stock said no");
    tear_down(t);
}
END_TEST

START_TEST(S5_work_that_was_refused_is_aborted_and_the_outcome_says_why) {
    static const int refusals[] = {RPC_UNAVAILABLE, RPC_FAILED_PRECONDITION,
                                   RPC_RESOURCE_EXHAUSTED};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct troth *t = set_up();
        struct troth_result result;
        script(SAY_STATUS, refusals[i], SAY_ABORTED_BY_CLIENT);
        ck_assert_int_eq(commit_work(t, 0, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_ABORTED);
        ck_assert_int_eq(result.reason, TROTH__V1__ABORT_REASON__ABORT_REASON_CLIENT);
        ck_assert_ptr_nonnull(strstr(result.detail, "because"));
        ck_assert_ptr_nonnull(strstr(result.detail, rpc_status_name(refusals[i])));
        work_was_given(1);
        ck_assert_uint_eq(aborts(), 1);
        tear_down(t);
    }
}
END_TEST

/* Who is asked to abort may find that it is committed, and does not say who lost the work. */
START_TEST(S1_an_abort_in_its_place_may_answer_committed) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_GOOD_BYE, 0, SAY_COMMITTED);
    ck_assert_int_eq(commit_work(t, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    ck_assert_str_eq(result.detail, "");
    work_was_given(1);
    ck_assert_uint_eq(aborts(), 1);
    tear_down(t);
}
END_TEST

/* An outcome that is not our Abort's has its own reason. */
START_TEST(a_vote_is_told_as_one_though_the_way_to_it_was_lost) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_GOOD_BYE, 0, SAY_ABORTED);
    ck_assert_int_eq(commit_work(t, 0, &result), 0);
    ck_assert_int_eq(result.reason, TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE);
    ck_assert_str_eq(result.detail, "stock said no");
    tear_down(t);
}
END_TEST

START_TEST(S5_work_for_a_node_that_can_not_be_reached_is_given_to_no_other) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_COMMITTED, 0, SAY_ABORTED_BY_CLIENT);
    kill_node(&nodes[0]);
    ck_assert_int_eq(commit_work(t, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_ptr_nonnull(strstr(result.detail, nodes[0].address));
    work_was_given(0);
    tear_down(t);
}
END_TEST

START_TEST(S5_every_later_attempt_is_abort_at_all_nodes) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_STATUS, RPC_UNAVAILABLE, SAY_STATUS);
    LOCKED(nodes[1].status = nodes[2].status = RPC_UNAVAILABLE);
    ck_assert_int_eq(commit_work(t, 500, &result), TROTH_ERR_TIMEOUT);
    work_was_given(1);
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(ck_assert_uint_gt(nodes[i].aborts, 0));
    }
    tear_down(t);
}
END_TEST

/* A participant that waits for a lock does not make the client abort. */
START_TEST(a_node_that_lives_is_waited_for) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_COMMITTED, 0, SAY_COMMITTED);
    LOCKED(nodes[0].answers_late = 3);
    ck_assert_int_eq(commit_work(t, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    work_was_given(1);
    ck_assert_uint_eq(aborts(), 0);
    LOCKED(ck_assert_uint_eq(nodes[1].got + nodes[2].got, 0));
    tear_down(t);
}
END_TEST

START_TEST(a_node_that_is_silent_is_given_up) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_NOTHING, 0, SAY_ABORTED_BY_CLIENT);
    LOCKED(nodes[0].say_to_get = SAY_NOTHING);
    ck_assert_int_eq(commit_work(t, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_str_eq(result.detail, "the node that was given the work did not answer");
    work_was_given(1);
    tear_down(t);
}
END_TEST

START_TEST(the_time_ends_without_an_abort_while_the_node_lives) {
    struct troth *t = set_up();
    struct troth_result result;
    script(SAY_NOTHING, 0, SAY_COMMITTED);
    ck_assert_int_eq(commit_work(t, 400, &result), TROTH_ERR_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(result.detail, "CommitWork"));
    work_was_given(1);
    ck_assert_uint_eq(aborts(), 0);
    tear_down(t);
}
END_TEST

START_TEST(what_no_node_would_take_is_refused_here) {
    static struct troth_branch branches[TROTH_BRANCHES_MAX];
    static uint8_t bytes[TROTH_WORK_MAX + 1];
    static struct troth_work many[1 + TROTH_WORK_ALL_MAX / TROTH_WORK_MAX];
    static char long_name[TROTH_NAME_MAX + 2];
    struct troth *t = set_up();
    struct troth_result result;
    memset(long_name, 'x', sizeof long_name - 1);
    struct troth_work invalid[] = {
        {"a", bytes, 0}, {"a", bytes, sizeof bytes}, {long_name, "1", 1}};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        ck_assert_int_eq(troth_commit_work(t, txid(), NULL, 0, &invalid[i], 1, 0, &result),
                         TROTH_ERR_INVALID);
    }
    for (size_t i = 0; i < TROTH_BRANCHES_MAX; i++) {
        branches[i] = (struct troth_branch){"a", i};
    }
    ck_assert_int_eq(
        troth_commit_work(t, txid(), branches, TROTH_BRANCHES_MAX, works, 1, 0, &result),
        TROTH_ERR_TOO_MANY);
    size_t fit = sizeof many / sizeof *many - 1;
    for (size_t i = 0; i <= fit; i++) {
        many[i] = (struct troth_work){"a", bytes, TROTH_WORK_MAX};
    }
    ck_assert_int_eq(troth_commit_work(t, txid(), NULL, 0, many, fit + 1, 0, &result),
                     TROTH_ERR_TOO_MANY);
    LOCKED(ck_assert_uint_eq(nodes[0].asked, 0));
    ck_assert_int_eq(troth_commit_work(t, txid(), NULL, 0, many, fit, 0, &result), 0);
    ck_assert_int_eq(
        troth_commit_work(t, txid(), branches, TROTH_BRANCHES_MAX - 1, works, 1, 0, &result), 0);
    LOCKED(ck_assert_uint_eq(nodes[0].worked, 2));
    tear_down(t);
}
END_TEST

START_TEST(work_beyond_what_may_be_open_is_refused_alone) {
    static uint8_t bytes[TROTH_WORK_MAX];
    struct troth_work large[TROTH_WORK_ALL_MAX / TROTH_WORK_MAX];
    const size_t n = sizeof large / sizeof *large;
    const unsigned fit = TROTH_WORK_OPEN_MAX / TROTH_WORK_ALL_MAX;
    struct told open = {.n = 0};
    struct told refused = {.n = 0};
    attempt_ms = 60000; /* nobody is in doubt of the node */
    struct troth *t = set_up();
    struct troth_result result;
    for (size_t i = 0; i < n; i++) {
        large[i] = (struct troth_work){"a", bytes, sizeof bytes};
    }
    ck_assert_int_eq(commit_work(t, 60000, &result),
                     0); /* the stream is up: nothing waits for it */
    script(SAY_NOTHING, 0, SAY_COMMITTED);
    for (unsigned i = 0; i < fit; i++) {
        troth_commit_work_async(t, txid(), NULL, 0, large, n, 60000, ended, &open);
    }
    troth_commit_work_async(t, txid(), NULL, 0, works, 2, 60000, ended, &refused);
    ck_assert_uint_eq(refused.n, 1);
    ck_assert_int_eq(refused.err, TROTH_ERR_TOO_MANY);
    LOCKED(ck_assert_uint_eq(open.n, 0));
    /* Others go on, and what is over makes room. */
    ck_assert_int_eq(troth_commit(t, txid(), NULL, 0, 60000, &result), 0);
    rpc_server_stop(nodes[0].server, 0);
    wait_for(&open, fit);
    ck_assert_int_eq(commit_work(t, 60000, &result), 0);
    tear_down(t);
    attempt_ms = ATTEMPT;
}
END_TEST

START_TEST(closing_ends_it_and_the_callback_runs_once) {
    struct troth *t = set_up();
    struct told told = {.n = 0};
    script(SAY_NOTHING, 0, SAY_COMMITTED);
    troth_commit_work_async(t, txid(), NULL, 0, works, 2, 60000, ended, &told);
    troth_close(t);
    ck_assert_uint_eq(told.n, 1);
    ck_assert_int_eq(told.err, TROTH_ERR_CLOSED);
    stop_nodes();
    ck_assert_uint_eq(told.n, 1);
}
END_TEST

START_TEST(without_work_it_is_a_commit_which_may_be_asked_of_any_node) {
    struct troth *t = set_up();
    struct troth_result result;
    kill_node(&nodes[0]);
    ck_assert_int_eq(troth_commit_work(t, txid(), NULL, 0, NULL, 0, 0, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    ck_assert_uint_eq(aborts(), 0);
    tear_down(t);
}
END_TEST

/* What was begun ahead at a node is not thrown away for a participant that is not there. */
START_TEST(a_participant_that_is_not_there_says_nothing_of_its_node) {
    struct troth *t = set_up();
    struct troth_txid begun[2 * NODES + 1];
    struct troth_result result;
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].grants = true);
    }
    /* The second block of each node holds two. */
    for (size_t i = 0; i < 2 * NODES; i++) {
        ck_assert_int_eq(troth_begin(t, 0, &begun[i], NULL), 0);
    }
    unsigned asked;
    LOCKED(asked = nodes[0].begun + nodes[1].begun + nodes[2].begun);
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].says_to_work = true; nodes[i].say_to_work = SAY_STATUS;
               nodes[i].status = RPC_UNAVAILABLE; nodes[i].say = SAY_ABORTED_BY_CLIENT);
    }
    for (size_t i = 0; i < NODES; i++) {
        ck_assert_int_eq(troth_commit_work(t, begun[i], NULL, 0, works, 2, 0, &result), 0);
    }
    for (size_t i = 0; i < NODES; i++) {
        LOCKED(nodes[i].say = SAY_COMMITTED);
    }
    ck_assert_int_eq(troth_begin(t, 0, &begun[2 * NODES], NULL), 0);
    LOCKED(ck_assert_uint_eq(nodes[0].begun + nodes[1].begun + nodes[2].begun, asked));
    tear_down(t);
}
END_TEST

int main(void) {
    return suite_run(
        "client_work",
        (const TTest *[]){
            work_goes_to_the_node_that_coordinates_with_the_branches,
            a_participant_that_refuses_its_work_says_why,
            S5_work_that_was_refused_is_aborted_and_the_outcome_says_why,
            S1_an_abort_in_its_place_may_answer_committed,
            a_vote_is_told_as_one_though_the_way_to_it_was_lost,
            S5_work_for_a_node_that_can_not_be_reached_is_given_to_no_other,
            S5_every_later_attempt_is_abort_at_all_nodes, a_node_that_lives_is_waited_for,
            a_node_that_is_silent_is_given_up, the_time_ends_without_an_abort_while_the_node_lives,
            what_no_node_would_take_is_refused_here, work_beyond_what_may_be_open_is_refused_alone,
            closing_ends_it_and_the_callback_runs_once,
            without_work_it_is_a_commit_which_may_be_asked_of_any_node,
            a_participant_that_is_not_there_says_nothing_of_its_node, NULL});
}
