/* A node that only stores votes is killed at every point of that: F = 1 of three nodes survives it,
 * and nobody waits for it to come back. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/cluster_fixture.h"

static struct fixture f;
static struct fixture_tx tx;

static const struct fixture_options three_nodes = {.nodes = 3, .shards = 2};

#define COORDINATOR 0
#define ACCEPTOR    1 /* votes go to the coordinator and to it at first (thrifty) */
#define OTHER       2
#define N(points)   (sizeof(points) / sizeof *(points))

START_TEST(L1_a_killed_acceptor_blocks_no_one) {
    static const char *const points[] = {
        "before.store.votes",    "after.store.votes",    "before.send.phase2b",
        "after.send.phase2b",    "before.store.outcome", "after.store.outcome",
        "before.store.finished", "after.store.finished",
    };
    fixture_open(&f, &three_nodes);
    for (size_t i = 0; i < N(points); i++) {
        fixture_wait_quiet(&f);
        fixture_restart(&f, CLUSTER_NODE, ACCEPTOR, points[i]);
        fixture_work(&f, &tx, COORDINATOR, 0);
        ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
        fixture_settle(&f, &tx, TROTH_COMMITTED);
        if (strstr(points[i], "outcome") == NULL) {
            fixture_wait_crash(&f, CLUSTER_NODE, ACCEPTOR);
        } else if (!fixture_crashed(&f, CLUSTER_NODE, ACCEPTOR)) {
            fixture_wait_quiet(&f); /* it was finished so soon that nobody was told of less */
        }
        fixture_restart(&f, CLUSTER_NODE, ACCEPTOR, NULL);
        fixture_settle(&f, &tx, TROTH_COMMITTED);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(L1_a_dead_acceptor_is_not_missed_and_catches_up) {
    fixture_open(&f, &three_nodes);
    fixture_kill(&f, CLUSTER_NODE, ACCEPTOR);
    for (unsigned i = 0; i < 20; i++) {
        fixture_work(&f, &tx, COORDINATOR, 0);
        ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
        fixture_settle(&f, &tx, TROTH_COMMITTED);
    }
    fixture_start(&f, CLUSTER_NODE, ACCEPTOR, NULL);
    struct troth_result result;
    ck_assert_int_eq(troth_get(f.at[ACCEPTOR], tx.txid, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    fixture_close(&f);
}
END_TEST

/* ---- Without a majority ---------------------------------------------------------------------- */

START_TEST(S1_without_a_majority_nothing_is_decided_and_the_client_is_told_unknown) {
    fixture_open(&f, &three_nodes);
    struct fixture_tx two[2];
    for (unsigned i = 0; i < 2; i++) {
        fixture_work(&f, &two[i], COORDINATOR, 0);
    }
    fixture_kill(&f, CLUSTER_NODE, OTHER);
    fixture_kill(&f, CLUSTER_NODE, ACCEPTOR);
    enum troth_outcome outcome;
    ck_assert_int_eq(fixture_try_commit(&f, &two[0], 4000, &outcome), TROTH_ERR_UNKNOWN);
    ck_assert_int_eq(outcome, TROTH_OUTCOME_NONE);
    /* Its branches have voted, and stay in doubt: nobody may guess. */
    ck_assert_int_gt(fixture_in_doubt(&f, 0), 0);
    ck_assert_int_gt(fixture_in_doubt(&f, 1), 0);
    fixture_start(&f, CLUSTER_NODE, OTHER, NULL);
    ck_assert_int_eq(fixture_commit(&f, &two[0]), TROTH_COMMITTED);
    enum troth_outcome other = fixture_commit(&f, &two[1]);
    fixture_settle(&f, &two[0], TROTH_COMMITTED);
    fixture_settle(&f, &two[1], other);
    fixture_start(&f, CLUSTER_NODE, ACCEPTOR, NULL);
    fixture_settle(&f, &two[0], TROTH_COMMITTED);
    fixture_settle(&f, &two[1], other);
    fixture_close(&f);
}
END_TEST

START_TEST(everything_finishes_when_one_of_two_dead_nodes_returns) {
    /* The coordinator is one of the two, and what is left decides nothing. */
    fixture_open(&f, &three_nodes);
    fixture_restart(&f, CLUSTER_NODE, COORDINATOR, "before.reply.committed");
    fixture_work(&f, &tx, COORDINATOR, 0);
    struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
    fixture_wait_crash(&f, CLUSTER_NODE, COORDINATOR);
    fixture_kill(&f, CLUSTER_NODE, ACCEPTOR);
    fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
    ck_assert_int_eq(fixture_commit_end(&f, committing), TROTH_COMMITTED);
    fixture_settle(&f, &tx, TROTH_COMMITTED);
    fixture_start(&f, CLUSTER_NODE, ACCEPTOR, NULL);
    fixture_settle(&f, &tx, TROTH_COMMITTED);
    fixture_close(&f);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        L1_a_killed_acceptor_blocks_no_one,
        L1_a_dead_acceptor_is_not_missed_and_catches_up,
        S1_without_a_majority_nothing_is_decided_and_the_client_is_told_unknown,
        everything_finishes_when_one_of_two_dead_nodes_returns,
        NULL,
    };
    return fixture_suite_run("faults_acceptor", tests);
}
