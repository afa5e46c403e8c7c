/* How a transaction over two shards ends when no process dies: by votes, by the client, by its
 * deadline; and that what comes twice or late changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/scripted_participant.h"

static struct fixture f;
static struct fixture_tx tx;

static const struct fixture_options three_nodes = {.nodes = 3, .shards = 2};
static const struct fixture_options one_node = {.nodes = 1, .shards = 2};

START_TEST(S1_a_commit_is_on_every_shard_and_every_node_says_so) {
    const struct fixture_options *const sizes[] = {&one_node, &three_nodes};
    for (size_t i = 0; i < 2; i++) {
        fixture_open(&f, sizes[i]);
        for (unsigned node = 0; node < f.nodes; node++) {
            fixture_work(&f, &tx, node, 0);
            ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
            ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_COMMITTED), TROTH_COMMITTED);
        }
        fixture_close(&f);
    }
}
END_TEST

START_TEST(one_shard_alone_commits_in_one_phase) {
    fixture_open(&f, &three_nodes);
    fixture_begin(&f, &tx, 0, 0);
    ck_assert_int_eq(fixture_put(&f, &tx, 0), 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_COMMITTED), TROTH_COMMITTED);
    fixture_close(&f);
}
END_TEST

START_TEST(a_branch_that_only_reads_leaves_phase_two) {
    struct scripted reader;
    fixture_open(&f, &three_nodes);
    scripted_open(&f, &reader, "reader", TROTH_VOTE_READ_ONLY);
    fixture_work(&f, &tx, 1, 0);
    ck_assert_int_eq(scripted_enlist(&f, &reader, tx.txid), 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_COMMITTED), TROTH_COMMITTED);
    ck_assert_int_eq(reader.prepares, 1);
    ck_assert_int_eq(reader.commits + reader.aborts, 0);
    scripted_close(&reader);
    fixture_close(&f);
}
END_TEST

START_TEST(the_client_aborts_and_no_shard_keeps_anything) {
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 0, 0);
    ck_assert_int_eq(fixture_abort(&f, &tx), TROTH_ABORTED);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
    fixture_close(&f);
}
END_TEST

START_TEST(S2_one_vote_to_abort_aborts_everywhere) {
    const struct fixture_options *const sizes[] = {&one_node, &three_nodes};
    for (size_t i = 0; i < 2; i++) {
        struct scripted naysayer;
        fixture_open(&f, sizes[i]);
        scripted_open(&f, &naysayer, "naysayer", TROTH_VOTE_ABORTED);
        fixture_work(&f, &tx, f.nodes - 1, 0);
        ck_assert_int_eq(scripted_enlist(&f, &naysayer, tx.txid), 0);
        enum troth_outcome outcome;
        ck_assert_int_eq(fixture_try_commit(&f, &tx, 0, &outcome), 0);
        ck_assert_int_eq(outcome, TROTH_ABORTED);
        ck_assert_str_ne(tx.detail, ""); /* it says why */
        ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
        ck_assert_int_eq(naysayer.commits, 0);
        scripted_close(&naysayer);
        fixture_close(&f);
    }
}
END_TEST

START_TEST(S5_a_shard_that_lost_the_work_of_a_branch_aborts_it) {
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 0, 0);
    fixture_kill(&f, CLUSTER_SHARD, 0);
    fixture_start(&f, CLUSTER_SHARD, 0, NULL);
    /* Another piece of work in it must not hide that the first one is gone. */
    ck_assert_int_ne(fixture_put(&f, &tx, 0), 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_ABORTED);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
    fixture_close(&f);
}
END_TEST

START_TEST(S5_lost_work_aborts_also_when_the_client_has_not_seen_it) {
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 0, 0);
    fixture_kill(&f, CLUSTER_SHARD, 1);
    fixture_start(&f, CLUSTER_SHARD, 1, NULL);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_ABORTED);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
    fixture_close(&f);
}
END_TEST

START_TEST(a_client_that_never_commits_holds_its_locks_to_the_deadline_only) {
    struct fixture_tx kept;
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 0, 500);
    /* fixture_settle takes the locks, which are free once the deadline has aborted it. */
    kept = tx;
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
    /* The client that comes after all is told the truth, with the reason. */
    kept.kv = NULL;
    ck_assert_int_eq(fixture_commit(&f, &kept), TROTH_ABORTED);
    ck_assert_int_eq(fixture_settle(&f, &kept, TROTH_ABORTED), TROTH_ABORTED);
    fixture_close(&f);
}
END_TEST

START_TEST(a_participant_that_never_votes_delays_it_to_the_deadline_only) {
    struct scripted silent;
    fixture_open(&f, &three_nodes);
    scripted_open(&f, &silent, "silent", TROTH_PARTICIPANT_LATER);
    fixture_work(&f, &tx, 2, 3000);
    ck_assert_int_eq(scripted_enlist(&f, &silent, tx.txid), 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_ABORTED);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
    /* Its vote comes late, and does no harm (ARCHITECTURE H8). */
    ck_assert_int_eq(troth_participant_done(silent.participant, tx.txid, TROTH_VOTE_PREPARED, NULL),
                     0);
    fixture_wait(&f, silent.aborts == 1, "the late voter is not told to abort");
    ck_assert_int_eq(silent.commits, 0);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
    scripted_close(&silent);
    fixture_close(&f);
}
END_TEST

START_TEST(L3_one_that_never_votes_does_not_delay_another_transaction) {
    struct scripted silent;
    struct fixture_tx other;
    fixture_open(&f, &three_nodes);
    scripted_open(&f, &silent, "silent", TROTH_PARTICIPANT_LATER);
    fixture_work(&f, &tx, 0, 0);
    ck_assert_int_eq(scripted_enlist(&f, &silent, tx.txid), 0);
    struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
    fixture_wait(&f, silent.prepares == 1, "prepare does not come");
    fixture_work(&f, &other, 0, 0);
    ck_assert_int_eq(fixture_commit(&f, &other), TROTH_COMMITTED);
    ck_assert_int_eq(troth_participant_done(silent.participant, tx.txid, TROTH_VOTE_PREPARED, NULL),
                     0);
    ck_assert_int_eq(fixture_commit_end(&f, committing), TROTH_COMMITTED);
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_COMMITTED), TROTH_COMMITTED);
    ck_assert_int_eq(fixture_settle(&f, &other, TROTH_COMMITTED), TROTH_COMMITTED);
    fixture_wait(&f, silent.commits == 1, "the participant is not told to commit");
    scripted_close(&silent);
    fixture_close(&f);
}
END_TEST

START_TEST(commit_and_abort_tell_the_one_outcome_however_often_and_wherever_asked) {
    struct troth_result result;
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, 0, 0);
    ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
    for (unsigned node = 0; node < f.nodes; node++) {
        ck_assert_int_eq(troth_commit(f.at[node], tx.txid, NULL, 0, 30000, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
        ck_assert_int_eq(troth_abort(f.at[node], tx.txid, 30000, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    }
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_COMMITTED), TROTH_COMMITTED);

    fixture_work(&f, &tx, 1, 0);
    ck_assert_int_eq(fixture_abort(&f, &tx), TROTH_ABORTED);
    for (unsigned node = 0; node < f.nodes; node++) {
        ck_assert_int_eq(troth_commit(f.at[node], tx.txid, NULL, 0, 30000, &result), 0);
        ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    }
    ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_ABORTED), TROTH_ABORTED);
    fixture_close(&f);
}
END_TEST

START_TEST(work_that_comes_after_the_end_is_refused_and_leaves_nothing) {
    struct fixture_tx late;
    fixture_open(&f, &three_nodes);
    for (int commit = 0; commit < 2; commit++) {
        fixture_begin(&f, &tx, 0, 0);
        ck_assert_int_eq(fixture_put(&f, &tx, 0), 0);
        enum troth_outcome outcome = commit ? fixture_commit(&f, &tx) : fixture_abort(&f, &tx);
        /* An abort reaches the shard after the client. */
        ck_assert_int_eq(fixture_settle(&f, &tx, outcome), outcome);
        late = tx;
        ck_assert_int_eq(troth_kv_join(f.kv, tx.txid, &late.kv), 0);
        ck_assert_int_ne(fixture_put(&f, &late, 0), 0);
        ck_assert_int_ne(fixture_put(&f, &late, 1), 0);
        ck_assert_int_eq(fixture_settle(&f, &late, outcome), outcome);
    }
    fixture_close(&f);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        S1_a_commit_is_on_every_shard_and_every_node_says_so,
        one_shard_alone_commits_in_one_phase,
        a_branch_that_only_reads_leaves_phase_two,
        the_client_aborts_and_no_shard_keeps_anything,
        S2_one_vote_to_abort_aborts_everywhere,
        S5_a_shard_that_lost_the_work_of_a_branch_aborts_it,
        S5_lost_work_aborts_also_when_the_client_has_not_seen_it,
        a_client_that_never_commits_holds_its_locks_to_the_deadline_only,
        a_participant_that_never_votes_delays_it_to_the_deadline_only,
        L3_one_that_never_votes_does_not_delay_another_transaction,
        commit_and_abort_tell_the_one_outcome_however_often_and_wherever_asked,
        work_that_comes_after_the_end_is_refused_and_leaves_nothing,
        NULL,
    };
    return fixture_suite_run("faults_outcomes", tests);
}
