/* engine: nodes, participants and messages that fail. */
#include <check.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

/* Loses what goes to or comes from the nodes of a mask. */
static bool to_or_from_mask(struct world *world, const struct world_message *message) {
    uint32_t mask = *(uint32_t *)world->lose_arg;
    return (mask >> message->to_node & 1 && message->to_node != 0) ||
           (mask >> message->from_node & 1 && message->from_node != 0);
}

static bool is_type(struct world *world, const struct world_message *message) {
    return message->message.type == *(enum message_type *)world->lose_arg;
}

START_TEST(L1_all_prepared_and_the_coordinator_dies_commits) {
    world_init(&w, 3, 2);
    enum message_type phase2b = MESSAGE_PHASE2B;
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = is_type;
    w.lose_arg = &phase2b;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    /* Votes are stored everywhere; the coordinator hears of its own only. */
    world_run(&w);
    ck_assert(!world_replied(&w, commit));
    w.lose = NULL;
    world_lose_node(&w, 1);
    world_advance(&w, 1000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    uint64_t again = world_ask(&w, 2, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, again), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(L1_a_vote_is_missing_and_the_coordinator_dies_aborts) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 3);
    world_ask(&w, 3, ENGINE_COMMIT, txid);
    world_run(&w);
    world_lose_node(&w, 3);
    world_advance(&w, 1000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(S1_a_void_decision_outlives_votes_that_come_late) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_crash(&w, 1); /* before Commit: no votes anywhere */
    world_suspect(&w, 2, 1);
    world_suspect(&w, 3, 1);
    uint64_t aborted = world_ask(&w, 2, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_ABORTED);
    /* A prepare of the dead coordinator arrives late; both vote prepared. */
    struct paxos_participant pair[] = {w.participant[1].id, w.participant[2].id};
    struct message vote = {.type = MESSAGE_VOTE,
                           .txid = txid,
                           .vote = PAXOS_VOTE_PREPARED,
                           .set = paxos_set_new(pair, 2)};
    for (uint32_t i = 1; i <= 2; i++) {
        world_step(&w, 3,
                   (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                         .session = w.participant[i].session[3],
                                         .message = &vote});
    }
    message_release(&vote);
    world_advance(&w, 10000);
    uint64_t get = world_ask(&w, 3, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, get), PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(a_client_whose_node_dies_asks_another_and_gets_the_one_outcome) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t first = world_ask(&w, 2, ENGINE_COMMIT, txid);
    world_crash(&w, 1); /* the question that node 2 passed on is lost with it */
    world_run(&w);
    ck_assert(!world_replied(&w, first));
    world_suspect(&w, 2, 1);
    world_suspect(&w, 3, 1);
    world_advance(&w, 2000);
    ck_assert_int_eq(world_outcome(&w, first), PAXOS_OUTCOME_ABORTED);
    world_restart(&w, 1);
    uint64_t second = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_advance(&w, 2000);
    ck_assert_int_eq(world_outcome(&w, second), PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(without_a_majority_nothing_is_decided_and_with_it_everything_is) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    for (int i = 0; i < 2; i++) {
        ck_assert(world_deliver_one(&w)); /* the prepares */
    }
    world_lose_node(&w, 1);
    world_lose_node(&w, 2);
    uint64_t elsewhere = world_ask(&w, 3, ENGINE_COMMIT, txid);
    world_advance(&w, 60000);
    ck_assert(!world_replied(&w, commit));
    ck_assert(!world_replied(&w, elsewhere));
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_VOTED);
    world_restart(&w, 2);
    world_advance(&w, 10000);
    enum paxos_outcome outcome = world_outcome(&w, elsewhere);
    enum world_branch expected =
        outcome == PAXOS_OUTCOME_COMMITTED ? BRANCH_COMMITTED : BRANCH_ABORTED;
    ck_assert_int_ne(outcome, PAXOS_OUTCOME_NONE);
    ck_assert_int_eq(world_branch(&w, 1, txid), expected);
    ck_assert_int_eq(world_branch(&w, 2, txid), expected);
    world_release(&w);
}
END_TEST

START_TEST(one_node_blocks_until_it_is_back_and_then_ends_all) {
    world_init(&w, 1, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    while (world_branch(&w, 2, txid) != BRANCH_VOTED) {
        ck_assert(world_deliver_one(&w));
    }
    world_crash(&w, 1);
    world_advance(&w, 100000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_VOTED);
    world_restart(&w, 1);
    world_advance(&w, 5000);
    enum world_branch state = world_branch(&w, 1, txid);
    ck_assert(state == BRANCH_COMMITTED || state == BRANCH_ABORTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), state);
    world_release(&w);
}
END_TEST

START_TEST(S4_a_single_node_that_dies_after_the_last_vote_commits_on_return) {
    world_init(&w, 1, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    enum message_type decision = MESSAGE_DECISION;
    w.lose = is_type;
    w.lose_arg = &decision;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    w.lose = NULL;
    world_crash(&w, 1);
    world_restart(&w, 1);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(L2_a_participant_that_was_away_finishes_its_branch) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    enum message_type decision = MESSAGE_DECISION;
    w.lose = is_type;
    w.lose_arg = &decision;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_participant_crash(&w, 2);
    w.lose = NULL;
    world_advance(&w, 600000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_VOTED);
    world_participant_restart(&w, 2);
    world_run(&w);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(L2_it_finishes_though_its_coordinator_is_gone_for_good) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    while (world_branch(&w, 2, txid) != BRANCH_VOTED) {
        ck_assert(world_deliver_one(&w));
    }
    world_participant_crash(&w, 2);
    world_run(&w);
    world_lose_node(&w, 1);
    world_advance(&w, 600000);
    world_participant_restart(&w, 2);
    world_run(&w);
    ck_assert_int_eq(world_branch(&w, 2, txid), world_branch(&w, 1, txid));
    ck_assert_int_ne(world_branch(&w, 2, txid), BRANCH_VOTED);
    world_release(&w);
}
END_TEST

START_TEST(a_paused_coordinator_wakes_up_into_a_world_that_moved_on) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_suspect(&w, 2, 1);
    world_suspect(&w, 3, 1);
    uint32_t paused = 1u << 1;
    w.lose = to_or_from_mask;
    w.lose_arg = &paused;
    world_advance(&w, 900);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    w.lose = NULL;
    world_trust(&w, 2, 1);
    world_trust(&w, 3, 1);
    w.participant[2].votes = PAXOS_VOTE_PREPARED;
    world_advance(&w, 40000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(duelling_leaders_come_to_one_outcome) {
    world_init(&w, 5, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_lose_node(&w, 1);
    uint64_t asked[4];
    for (uint32_t node = 2; node <= 5; node++) {
        asked[node - 2] = world_ask(&w, node, ENGINE_ABORT, txid);
    }
    world_advance(&w, 20000);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(world_outcome(&w, asked[i]), PAXOS_OUTCOME_ABORTED);
    }
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(one_phase_and_the_coordinator_dies_the_participant_still_decides_once) {
    for (int when = 0; when < 12; when++) {
        world_init(&w, 3, 1);
        struct troth_txid txid = world_begin(&w, 1);
        world_work(&w, 1, txid);
        world_run(&w);
        world_ask(&w, 1, ENGINE_COMMIT, txid);
        for (int i = 0; i < when; i++) {
            world_deliver_one(&w);
        }
        world_lose_node(&w, 1);
        uint64_t commit = world_ask(&w, 2, ENGINE_COMMIT, txid);
        world_advance(&w, 20000);
        enum paxos_outcome outcome = world_outcome(&w, commit);
        ck_assert_int_eq(world_branch(&w, 1, txid) == BRANCH_COMMITTED,
                         outcome == PAXOS_OUTCOME_COMMITTED);
        world_restart(&w, 1);
        uint64_t again = world_ask(&w, 1, ENGINE_COMMIT, txid);
        world_advance(&w, 20000);
        ck_assert_int_eq(world_outcome(&w, again), outcome);
        world_release(&w);
    }
}
END_TEST

/* The participant has forgotten it, and until it is said otherwise node 2 is not heard. */
static bool no_more_is_heard_of_it(struct world *world, const struct world_message *message) {
    const bool *is_cut = world->lose_arg;
    return message->message.type == MESSAGE_COMMIT_ONE_PHASE ||
           (*is_cut && message->from_node == 2 && message->to_node == 1);
}

/* Found by the simulation (seed 3083011). */
START_TEST(L2_who_has_entrusted_in_an_earlier_life_asks_all_what_came_of_it) {
    static bool is_cut;
    world_init(&w, 3, 1);
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_run(&w);
    is_cut = false;
    w.lose = no_more_is_heard_of_it;
    w.lose_arg = &is_cut;
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w); /* delegated, at all nodes */
    struct message known = {
        .type = MESSAGE_KNOWN, .txid = txid, .outcome = PAXOS_OUTCOME_COMMITTED, .finished = true};
    world_step(&w, 2,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 1, .message = &known});
    is_cut = true;
    world_crash(&w, 1);
    world_restart(&w, 1);
    world_advance(&w, 10000); /* it leads again, and asks the participant */
    ck_assert_int_eq(world_on_disk(&w, 1, txid)->outcome, PAXOS_OUTCOME_NONE);
    is_cut = false;
    world_advance(&w, 40000);
    ck_assert_int_eq(world_on_disk(&w, 1, txid)->outcome, PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

/* A branch that was never asked to prepare may still be active after an abort: nobody knows of
 * it any more, and its participant gives it up by itself. None is left in doubt. */
static void check_branches(struct troth_txid txid, enum paxos_outcome outcome) {
    for (uint32_t i = 1; i <= 2; i++) {
        enum world_branch branch = world_branch(&w, i, txid);
        ck_assert_int_eq(branch == BRANCH_COMMITTED, outcome == PAXOS_OUTCOME_COMMITTED);
        ck_assert_int_ne(branch, BRANCH_VOTED);
    }
}

START_TEST(a_crash_after_any_message_leaves_one_outcome) {
    for (uint32_t victim = 1; victim <= 3; victim++) {
        for (int when = 0; when < 40; when++) {
            world_init(&w, 3, 2);
            struct troth_txid txid = world_two_branches(&w, 1);
            uint64_t first = world_ask(&w, 1, ENGINE_COMMIT, txid);
            for (int i = 0; i < when; i++) {
                world_deliver_one(&w);
            }
            world_lose_node(&w, victim);
            uint32_t other = victim == 2 ? 3 : 2;
            uint64_t second = world_ask(&w, other, ENGINE_COMMIT, txid);
            world_advance(&w, 20000);
            enum paxos_outcome outcome = world_outcome(&w, second);
            ck_assert(!world_replied(&w, first) || world_outcome(&w, first) == outcome);
            check_branches(txid, outcome);
            world_restart(&w, victim);
            world_advance(&w, 20000);
            uint64_t third = world_ask(&w, victim, ENGINE_COMMIT, txid);
            world_advance(&w, 20000);
            ck_assert_int_eq(world_outcome(&w, third), outcome);
            ck_assert_uint_eq(w.alarms, 0);
            world_release(&w);
        }
    }
}
END_TEST

START_TEST(a_damaged_record_keeps_its_node_silent_until_another_tells) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    enum message_type known = MESSAGE_KNOWN;
    w.lose = is_type;
    w.lose_arg = &known;
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_crash(&w, 3);
    w.lose = NULL;
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        w.node[3].disk[i].damaged = w.node[3].disk[i].there;
    }
    world_restart(&w, 3);
    uint64_t commit = world_ask(&w, 3, ENGINE_COMMIT, txid);
    ck_assert_int_eq(w.replies[commit].error, TROTH_ERR_UNAVAILABLE);
    world_advance(&w, 5000);
    commit = world_ask(&w, 3, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_takeover",
        (const TTest *[]){L1_all_prepared_and_the_coordinator_dies_commits,
                          L1_a_vote_is_missing_and_the_coordinator_dies_aborts,
                          S1_a_void_decision_outlives_votes_that_come_late,
                          a_client_whose_node_dies_asks_another_and_gets_the_one_outcome,
                          without_a_majority_nothing_is_decided_and_with_it_everything_is,
                          one_node_blocks_until_it_is_back_and_then_ends_all,
                          S4_a_single_node_that_dies_after_the_last_vote_commits_on_return,
                          L2_a_participant_that_was_away_finishes_its_branch,
                          L2_it_finishes_though_its_coordinator_is_gone_for_good,
                          a_paused_coordinator_wakes_up_into_a_world_that_moved_on,
                          duelling_leaders_come_to_one_outcome,
                          one_phase_and_the_coordinator_dies_the_participant_still_decides_once,
                          L2_who_has_entrusted_in_an_earlier_life_asks_all_what_came_of_it,
                          a_crash_after_any_message_leaves_one_outcome,
                          a_damaged_record_keeps_its_node_silent_until_another_tells, NULL});
}
