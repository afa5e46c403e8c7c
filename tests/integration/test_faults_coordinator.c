/* The coordinator of a transaction is killed at every point of its way. With three nodes the others
 * end the transaction at once, without it (L1); with one node, which is two-phase commit, the
 * branches wait for it, and end rightly when it is back. */
#include <stdlib.h>

#include "base/troth_err.h"
#include "tests/lib/cluster_fixture.h"

static struct fixture f;
static struct fixture_tx tx;

static const struct fixture_options three_nodes = {.nodes = 3, .shards = 2};
static const struct fixture_options one_node = {.nodes = 1, .shards = 2};

#define COORDINATOR 0

struct point {
    const char *name;
    /* What must come of it; NONE: whatever was decided by the votes that got through. */
    enum troth_outcome outcome;
    bool in_doubt; /* some branch has voted by then, and none has its outcome */
    bool no_work;  /* dies before the work is done */
};

/* Before all is decided the transaction may end in both ways, by the votes that are stored. */
static const struct point points[] = {
    {.name = "before.send.enlisted", .outcome = TROTH_ABORTED, .no_work = true},
    {.name = "after.send.enlisted", .outcome = TROTH_ABORTED, .no_work = true},
    {.name = "before.send.enlisted:2", .outcome = TROTH_ABORTED, .no_work = true},
    {.name = "before.send.prepare", .outcome = TROTH_ABORTED},
    {.name = "after.send.prepare", .outcome = TROTH_OUTCOME_NONE, .in_doubt = true},
    {.name = "before.store.votes", .outcome = TROTH_OUTCOME_NONE, .in_doubt = true},
    {.name = "after.store.votes", .outcome = TROTH_OUTCOME_NONE, .in_doubt = true},
    {.name = "before.reply.committed", .outcome = TROTH_COMMITTED, .in_doubt = true},
    {.name = "after.reply.committed", .outcome = TROTH_COMMITTED},
    {.name = "before.send.decision", .outcome = TROTH_COMMITTED},
    {.name = "before.send.decision:2", .outcome = TROTH_COMMITTED},
    {.name = "after.send.decision", .outcome = TROTH_COMMITTED},
    {.name = "before.store.finished", .outcome = TROTH_COMMITTED},
    {.name = "after.store.finished", .outcome = TROTH_COMMITTED},
};
/* Only where there are other nodes to send to. */
static const struct point points_of_many[] = {
    {.name = "before.send.known", .outcome = TROTH_COMMITTED},
    {.name = "after.send.known", .outcome = TROTH_COMMITTED},
    {.name = "before.send.known:2", .outcome = TROTH_COMMITTED},
};
#define N(points) (sizeof(points) / sizeof *(points))

/* Begins a transaction at the armed coordinator and commits it, which kills that. */
static struct fixture_committing *commit_until_crash(const struct point *point) {
    fixture_wait_quiet(&f);
    fixture_restart(&f, CLUSTER_NODE, COORDINATOR, point->name);
    bool worked = fixture_try_work(&f, &tx, COORDINATOR);
    fixture_must(&f, worked != point->no_work, "%s: the work was %s: %s", point->name,
                 worked ? "done" : "not done", tx.detail);
    struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
    fixture_wait_crash(&f, CLUSTER_NODE, COORDINATOR);
    return committing;
}

static void check_outcome(const struct point *point, enum troth_outcome outcome) {
    fixture_must(&f, point->outcome == TROTH_OUTCOME_NONE || point->outcome == outcome,
                 "%s: the outcome is %d, and must be %d", point->name, (int)outcome,
                 (int)point->outcome);
}

/* L1: the outcome and the locks, while the coordinator is dead; and the same after it is back. */
static void others_end_it(const struct point *point) {
    struct fixture_committing *committing = commit_until_crash(point);
    enum troth_outcome outcome = fixture_commit_end(&f, committing);
    check_outcome(point, outcome);
    fixture_settle(&f, &tx, outcome);
    fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
    fixture_settle(&f, &tx, outcome);
}

START_TEST(L1_a_killed_coordinator_of_three_blocks_no_one) {
    fixture_open(&f, &three_nodes);
    for (size_t i = 0; i < N(points); i++) {
        others_end_it(&points[i]);
    }
    for (size_t i = 0; i < N(points_of_many); i++) {
        others_end_it(&points_of_many[i]);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_single_coordinator_blocks_until_it_is_back_and_then_ends_it) {
    fixture_open(&f, &one_node);
    for (size_t i = 0; i < N(points); i++) {
        const struct point *point = &points[i];
        struct fixture_committing *committing = commit_until_crash(point);
        if (point->in_doubt) {
            /* They have voted, and nobody may tell them how it ends. */
            fixture_wait(&f, fixture_in_doubt(&f, 0) + fixture_in_doubt(&f, 1) > 0,
                         "%s: no branch is in doubt", point->name);
        }
        fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
        enum troth_outcome outcome = fixture_commit_end(&f, committing);
        check_outcome(point, outcome);
        fixture_settle(&f, &tx, outcome);
    }
    fixture_close(&f);
}
END_TEST

/* The outcome is written lazily: it may be that there is no record without *finished*. */
START_TEST(S4_an_outcome_that_was_told_needs_no_record_of_its_own) {
    static const char *const names[] = {"before.store.outcome", "after.store.outcome"};
    const struct fixture_options *const sizes[] = {&one_node, &three_nodes};
    for (size_t size = 0; size < N(sizes); size++) {
        fixture_open(&f, sizes[size]);
        for (size_t i = 0; i < N(names); i++) {
            fixture_restart(&f, CLUSTER_NODE, COORDINATOR, names[i]);
            fixture_work(&f, &tx, COORDINATOR, 0);
            ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
            if (!fixture_crashed(&f, CLUSTER_NODE, COORDINATOR)) {
                fixture_kill(&f, CLUSTER_NODE, COORDINATOR);
            }
            fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
            fixture_settle(&f, &tx, TROTH_COMMITTED);
        }
        fixture_close(&f);
    }
}
END_TEST

/* ---- Failover of the client ------------------------------------------------------------------ */

START_TEST(a_client_whose_node_dies_before_commit_asks_another_and_gets_the_one_outcome) {
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, COORDINATOR, 0);
    fixture_kill(&f, CLUSTER_NODE, COORDINATOR);
    enum troth_outcome outcome = fixture_commit(&f, &tx);
    fixture_settle(&f, &tx, outcome);
    fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
    fixture_settle(&f, &tx, outcome);
    /* A new transaction goes through whatever node it begins at. */
    for (unsigned node = 0; node < f.nodes; node++) {
        fixture_work(&f, &tx, node, 0);
        ck_assert_int_eq(fixture_commit(&f, &tx), TROTH_COMMITTED);
        ck_assert_int_eq(fixture_settle(&f, &tx, TROTH_COMMITTED), TROTH_COMMITTED);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(a_client_that_dies_with_its_node_leaves_no_lock) {
    fixture_open(&f, &three_nodes);
    fixture_work(&f, &tx, COORDINATOR, 0);
    fixture_kill(&f, CLUSTER_NODE, COORDINATOR);
    /* Nobody asks. When the coordinator is back it does not know the transaction any more. */
    fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
    fixture_settle(&f, &tx, TROTH_ABORTED);
    fixture_close(&f);
}
END_TEST

START_TEST(S1_an_abort_survives_its_coordinator) {
    static const char *const names[] = {"before.send.decision", "after.send.decision",
                                        "before.reply.aborted", "after.reply.aborted"};
    fixture_open(&f, &three_nodes);
    for (size_t i = 0; i < N(names); i++) {
        fixture_wait_quiet(&f);
        fixture_restart(&f, CLUSTER_NODE, COORDINATOR, names[i]);
        fixture_work(&f, &tx, COORDINATOR, 0);
        ck_assert_int_eq(fixture_abort(&f, &tx), TROTH_ABORTED);
        fixture_wait_crash(&f, CLUSTER_NODE, COORDINATOR);
        fixture_settle(&f, &tx, TROTH_ABORTED);
        fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
        fixture_settle(&f, &tx, TROTH_ABORTED);
    }
    fixture_close(&f);
}
END_TEST

/* ---- The one that takes over is killed, too -------------------------------------------------- */

#define LEADER 1 /* the next behind the coordinator is preferred, since votes go to it first */

START_TEST(a_takeover_survives_the_death_of_the_one_that_took_over) {
    static const char *const names[] = {
        "before.send.phase1a", "after.send.phase1a",   "before.store.ballot", "after.store.ballot",
        "before.send.known",   "before.send.decision", "after.send.decision"};
    fixture_open(&f, &three_nodes);
    for (size_t i = 0; i < N(names); i++) {
        fixture_wait_quiet(&f);
        fixture_restart(&f, CLUSTER_NODE, LEADER, names[i]);
        fixture_restart(&f, CLUSTER_NODE, COORDINATOR, "before.reply.committed");
        fixture_work(&f, &tx, COORDINATOR, 0);
        struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
        fixture_wait_crash(&f, CLUSTER_NODE, COORDINATOR);
        fixture_wait_crash(&f, CLUSTER_NODE, LEADER);
        /* One node of three decides nothing; with the second one back it goes on. */
        fixture_start(&f, CLUSTER_NODE, LEADER, NULL);
        ck_assert_int_eq(fixture_commit_end(&f, committing), TROTH_COMMITTED);
        fixture_settle(&f, &tx, TROTH_COMMITTED);
        fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
        fixture_settle(&f, &tx, TROTH_COMMITTED);
    }
    fixture_close(&f);
}
END_TEST

/* Where all have voted, the promises show what is chosen, and nothing is proposed. */
START_TEST(a_takeover_that_lacks_a_vote_survives_the_death_of_the_one_that_proposed) {
    static const char *const names[] = {"before.send.phase2a", "after.send.phase2a"};
    fixture_open(&f, &three_nodes);
    for (size_t i = 0; i < N(names); i++) {
        fixture_wait_quiet(&f);
        fixture_restart(&f, CLUSTER_NODE, LEADER, names[i]);
        fixture_restart(&f, CLUSTER_SHARD, 1, "before.send.vote");
        fixture_work(&f, &tx, COORDINATOR, 0);
        struct fixture_committing *committing = fixture_commit_begin(&f, &tx);
        fixture_wait_crash(&f, CLUSTER_SHARD, 1);
        fixture_kill(&f, CLUSTER_NODE, COORDINATOR);
        fixture_wait_crash(&f, CLUSTER_NODE, LEADER);
        fixture_start(&f, CLUSTER_NODE, LEADER, NULL);
        fixture_start(&f, CLUSTER_SHARD, 1, NULL);
        ck_assert_int_eq(fixture_commit_end(&f, committing), TROTH_ABORTED);
        fixture_settle(&f, &tx, TROTH_ABORTED);
        fixture_start(&f, CLUSTER_NODE, COORDINATOR, NULL);
        fixture_settle(&f, &tx, TROTH_ABORTED);
    }
    fixture_close(&f);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        L1_a_killed_coordinator_of_three_blocks_no_one,
        a_single_coordinator_blocks_until_it_is_back_and_then_ends_it,
        S4_an_outcome_that_was_told_needs_no_record_of_its_own,
        a_client_whose_node_dies_before_commit_asks_another_and_gets_the_one_outcome,
        a_client_that_dies_with_its_node_leaves_no_lock,
        S1_an_abort_survives_its_coordinator,
        a_takeover_survives_the_death_of_the_one_that_took_over,
        a_takeover_that_lacks_a_vote_survives_the_death_of_the_one_that_proposed,
        NULL,
    };
    return fixture_suite_run("faults_coordinator", tests);
}
