/* A participant is killed in each state of its branch, and comes back (L2). */
#include <stdlib.h>

#include "base/troth_err.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/scripted_participant.h"

static struct fixture f;
static struct fixture_tx tx;

static const struct fixture_options three_nodes = {.nodes = 3, .shards = 2};

#define VICTIM    0
#define N(points) (sizeof(points) / sizeof *(points))

/* Starts the shard armed, when nothing is left that would make it pass its point by itself. */
static void arm(const char *point) {
    fixture_wait_quiet(&f);
    fixture_restart(&f, CLUSTER_SHARD, VICTIM, point);
}

static void must_be(const char *point, enum troth_outcome outcome, enum troth_outcome wanted) {
    fixture_must(&f, outcome == wanted, "%s: the outcome is %d, and must be %d", point,
                 (int)outcome, (int)wanted);
}

START_TEST(S5_a_shard_that_dies_before_it_has_voted_takes_the_transaction_with_it) {
    static const char *const points[] = {"before.call.prepare", "after.call.prepare",
                                         "before.store.prepared"};
    fixture_open(&f, &three_nodes);
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        fixture_work(&f, &tx, i % f.nodes, 0);
        struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        fixture_start(&f, CLUSTER_SHARD, VICTIM, NULL);
        must_be(points[i], fixture_commit_end(&f, committing), TROTH_ABORTED);
        fixture_settle(&f, &tx, TROTH_ABORTED);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_shard_that_dies_while_it_enlists_does_no_work) {
    static const char *const points[] = {"before.send.enlist", "after.send.enlist"};
    fixture_open(&f, &three_nodes);
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        ck_assert(!fixture_try_work(&f, &tx, i % f.nodes));
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        fixture_start(&f, CLUSTER_SHARD, VICTIM, NULL);
        must_be(points[i], fixture_commit(&f, &tx), TROTH_ABORTED);
        fixture_settle(&f, &tx, TROTH_ABORTED);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(L2_a_shard_that_dies_prepared_finishes_when_it_is_back) {
    static const char *const points[] = {"after.store.prepared", "before.send.vote",
                                         "before.send.vote:2"};
    fixture_open(&f, &three_nodes);
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        fixture_work(&f, &tx, i % f.nodes, 0);
        struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        fixture_start(&f, CLUSTER_SHARD, VICTIM, NULL);
        /* By its repeated vote, or against it by a ballot that was quicker. */
        enum troth_outcome outcome = fixture_commit_end(&f, committing);
        fixture_settle(&f, &tx, outcome);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(L2_what_was_decided_while_a_shard_was_dead_is_done_when_it_is_back) {
    static const char *const points[] = {"after.send.vote",       "before.call.commit",
                                         "after.call.commit",     "before.store.committed",
                                         "after.store.committed", "before.send.ack",
                                         "after.send.ack"};
    fixture_open(&f, &three_nodes);
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        fixture_work(&f, &tx, i % f.nodes, 0);
        struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        /* The client need not wait for it. */
        must_be(points[i], fixture_commit_end(&f, committing), TROTH_COMMITTED);
        fixture_start(&f, CLUSTER_SHARD, VICTIM, NULL);
        fixture_settle(&f, &tx, TROTH_COMMITTED);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(an_abort_reaches_a_shard_that_dies_of_it) {
    static const char *const points[] = {"before.call.abort", "after.call.abort"};
    fixture_open(&f, &three_nodes);
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        fixture_work(&f, &tx, i % f.nodes, 0);
        must_be(points[i], fixture_abort(&f, &tx), TROTH_ABORTED);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        fixture_start(&f, CLUSTER_SHARD, VICTIM, NULL);
        fixture_settle(&f, &tx, TROTH_ABORTED);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_prepared_shard_aborts_what_another_votes_down_even_if_it_dies_of_it) {
    static const char *const points[] = {"before.call.abort", "after.call.abort",
                                         "before.store.deletion", "after.store.deletion"};
    struct scripted late;
    fixture_open(&f, &three_nodes);
    scripted_open(&f, &late, "late", TROTH_PARTICIPANT_LATER);
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        fixture_work(&f, &tx, i % f.nodes, 0);
        ck_assert_int_eq(scripted_enlist(&f, &late, tx.txid), 0);
        struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
        fixture_wait(&f, fixture_in_doubt(&f, VICTIM) > 0, "the shard is never in doubt");
        ck_assert_int_eq(
            troth_participant_done(late.participant, tx.txid, TROTH_VOTE_ABORTED, "no"), 0);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        must_be(points[i], fixture_commit_end(&f, committing), TROTH_ABORTED);
        fixture_start(&f, CLUSTER_SHARD, VICTIM, NULL);
        fixture_settle(&f, &tx, TROTH_ABORTED);
    }
    scripted_close(&late);
    fixture_close(&f);
}
END_TEST

/* The only participant decides by itself: what it answered, or would have, must be what it did. */
START_TEST(S1_a_one_phase_commit_has_one_outcome_also_when_its_shard_dies_of_it) {
    static const char *const points[] = {
        "before.call.commit-one-phase", "after.call.commit-one-phase",
        "before.store.committed",       "after.store.committed",
        "before.send.one-phase-result", "after.send.one-phase-result"};
    fixture_open(&f, &three_nodes);
    for (unsigned i = 0; i < N(points); i++) {
        arm(points[i]);
        fixture_begin(&f, &tx, i % f.nodes, 0);
        ck_assert_int_eq(fixture_put(&f, &tx, VICTIM), 0);
        struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
        fixture_wait_crash(&f, CLUSTER_SHARD, VICTIM);
        fixture_start(&f, CLUSTER_SHARD, VICTIM, NULL);
        enum troth_outcome outcome = fixture_commit_end(&f, committing);
        fixture_settle(&f, &tx, outcome);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(L2_both_shards_dead_with_prepared_branches_finish_when_they_are_back) {
    fixture_open(&f, &three_nodes);
    fixture_restart(&f, CLUSTER_SHARD, 0, "after.send.vote");
    fixture_restart(&f, CLUSTER_SHARD, 1, "after.send.vote");
    fixture_work(&f, &tx, 0, 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    fixture_wait_crash(&f, CLUSTER_SHARD, 0);
    fixture_wait_crash(&f, CLUSTER_SHARD, 1);
    ck_assert_int_gt(fixture_in_doubt(&f, 0), 0);
    ck_assert_int_gt(fixture_in_doubt(&f, 1), 0);
    fixture_start(&f, CLUSTER_SHARD, 1, NULL);
    fixture_start(&f, CLUSTER_SHARD, 0, NULL);
    fixture_settle(&f, &tx, TROTH_COMMITTED);
    fixture_close(&f);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        S5_a_shard_that_dies_before_it_has_voted_takes_the_transaction_with_it,
        a_shard_that_dies_while_it_enlists_does_no_work,
        L2_a_shard_that_dies_prepared_finishes_when_it_is_back,
        L2_what_was_decided_while_a_shard_was_dead_is_done_when_it_is_back,
        an_abort_reaches_a_shard_that_dies_of_it,
        a_prepared_shard_aborts_what_another_votes_down_even_if_it_dies_of_it,
        S1_a_one_phase_commit_has_one_outcome_also_when_its_shard_dies_of_it,
        L2_both_shards_dead_with_prepared_branches_finish_when_they_are_back,
        NULL,
    };
    return fixture_suite_run("faults_participant", tests);
}
