/* engine: what gets lost, comes late, or is asked too early must not cost more than a moment. */
#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

/* Virtual milliseconds until the request is answered, in steps; far above any deadline if never. */
static int answered_after(uint64_t request) {
    int waited_ms = 0;
    while (!world_replied(&w, request) && waited_ms < 100000) {
        world_advance(&w, 500);
        waited_ms += 500;
    }
    return waited_ms;
}

START_TEST(L1_a_commit_asked_elsewhere_too_does_not_abort_a_slow_prepare) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t first = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_advance(&w, 2000);
    uint64_t second = world_ask(&w, 2, ENGINE_COMMIT, txid);
    world_advance(&w, 12000);
    ck_assert(!world_replied(&w, first));
    w.participant[2].votes = PAXOS_VOTE_PREPARED;
    world_advance(&w, 6000);
    ck_assert_int_eq(world_outcome(&w, first), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_outcome(&w, second), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

static bool is_type(struct world *world, const struct world_message *message) {
    return message->message.type == *(enum message_type *)world->lose_arg;
}

static bool votes_of_2_but_to_1(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_VOTE && message->from_participant == 2 &&
           message->to_node != 1;
}

static void vote_reaches_one_acceptor_only(enum paxos_vote vote, enum paxos_outcome outcome) {
    world_init(&w, 3, 2);
    w.participant[2].votes = vote;
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = votes_of_2_but_to_1;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    w.lose = NULL;
    ck_assert_int_lt(answered_after(commit), 5000);
    ck_assert_int_eq(world_outcome(&w, commit), outcome);
    world_release(&w);
}

START_TEST(L1_a_read_only_vote_that_got_lost_is_asked_for_again) {
    vote_reaches_one_acceptor_only(PAXOS_VOTE_READ_ONLY, PAXOS_OUTCOME_COMMITTED);
}
END_TEST

START_TEST(L1_a_vote_to_abort_that_got_lost_is_asked_for_again) {
    vote_reaches_one_acceptor_only(PAXOS_VOTE_ABORTED, PAXOS_OUTCOME_ABORTED);
}
END_TEST

static bool but_1a_to_1(struct world *world, const struct world_message *message) {
    (void)world;
    return (message->message.type == MESSAGE_PHASE1A && message->to_node == 2) ||
           message->message.type == MESSAGE_PHASE2A ||
           (message->from_participant == 2 && message->to_node == 2 &&
            message->message.type == MESSAGE_VOTE);
}

START_TEST(L1_a_coordinator_that_promised_a_ballot_to_a_dead_leader_goes_on) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    w.lose = but_1a_to_1;
    world_suspect(&w, 3, 1); /* falsely */
    world_advance(&w, 50);
    world_lose_node(&w, 3);
    w.lose = NULL;
    w.participant[2].votes = PAXOS_VOTE_PREPARED;
    ck_assert_int_lt(answered_after(commit), 6000);
    world_release(&w);
}
END_TEST

static bool between_1_and_other_nodes(struct world *world, const struct world_message *message) {
    (void)world;
    return (message->to_node == 1 && message->from_node > 1) ||
           (message->from_node == 1 && message->to_node > 1);
}

START_TEST(L1_a_coordinator_that_was_cut_off_learns_when_it_heals) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = between_1_and_other_nodes;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    for (uint32_t node = 2; node <= 3; node++) {
        world_suspect(&w, node, 1);
        world_suspect(&w, 1, node);
    }
    world_advance(&w, 3000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    w.lose = NULL;
    for (uint32_t node = 2; node <= 3; node++) {
        world_trust(&w, node, 1);
        world_trust(&w, 1, node);
    }
    ck_assert_int_lt(answered_after(commit), 6000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(S6_what_is_forgotten_stays_so_at_a_node_that_was_away) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_lose_node(&w, 3);
    /* Node 2 accepts the votes and dies before it hears the outcome. */
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    while (!world_replied(&w, commit)) {
        ck_assert(world_deliver_one(&w));
    }
    world_lose_node(&w, 2);
    world_advance(&w, 1000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    /* Node 1 forgets, starts anew, meets the others, and dies. */
    world_advance(&w, 700000);
    world_crash(&w, 1);
    world_restart(&w, 2);
    world_restart(&w, 1);
    world_restart(&w, 3);
    world_advance(&w, 20000);
    world_lose_node(&w, 1);
    uint64_t again = world_ask(&w, 2, ENGINE_COMMIT, txid);
    world_advance(&w, 20000);
    ck_assert(world_replied(&w, again));
    ck_assert_int_ne(w.replies[again].outcome, PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

static unsigned records_on_disk(uint32_t node) {
    unsigned n = 0;
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        n += w.node[node].disk[i].there;
    }
    return n;
}

static void beat(void) {
    for (uint32_t from = 1; from <= w.nodes; from++) {
        for (uint32_t to = 1; to <= w.nodes; to++) {
            struct message heartbeat;
            engine_heartbeat(w.node[from].engine, &heartbeat);
            world_step(&w, to,
                       (struct engine_event){
                           .type = ENGINE_NODE_MESSAGE, .node = from, .message = &heartbeat});
        }
    }
}

START_TEST(finished_records_are_deleted_over_a_restart_too) {
    world_init(&w, 3, 2);
    for (int i = 0; i < 10; i++) {
        world_ask(&w, 1, ENGINE_COMMIT, world_two_branches(&w, 1));
        world_run(&w);
    }
    for (int i = 0; i < 5; i++) {
        world_advance(&w, 2000);
        beat();
    }
    ck_assert_uint_ge(records_on_disk(1), 10);
    for (uint32_t node = 1; node <= 2; node++) {
        world_crash(&w, node);
        world_restart(&w, node);
    }
    for (int i = 0; i < 8; i++) {
        world_advance(&w, 300000);
        beat();
    }
    for (uint32_t node = 1; node <= 3; node++) {
        ck_assert_uint_lt(records_on_disk(node), 3);
    }
    world_release(&w);
}
END_TEST

START_TEST(L3_a_participant_that_never_returns_does_not_stop_forgetting) {
    world_init(&w, 1, 3);
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_work(&w, 3, txid);
    world_run(&w);
    world_participant_crash(&w, 3);
    world_ask(&w, 1, ENGINE_ABORT, txid);
    world_run(&w);
    for (int i = 0; i < 40; i++) {
        world_ask(&w, 1, ENGINE_COMMIT, world_two_branches(&w, 1));
        world_advance(&w, 1000);
    }
    world_advance(&w, 3600000);
    ck_assert_uint_lt(records_on_disk(1), 5);
    world_release(&w);
}
END_TEST

START_TEST(a_node_whose_record_is_damaged_does_not_lead) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_crash(&w, 1);
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        w.node[1].disk[i].damaged = w.node[1].disk[i].there;
    }
    world_restart(&w, 1); /* before anybody suspects it */
    struct message ask = {.type = MESSAGE_ASK, .txid = txid, .ask = MESSAGE_ASK_RESOLVE};
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &ask});
    world_advance(&w, 10000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(get_tells_what_others_know_and_decides_nothing) {
    world_init(&w, 3, 2);
    struct troth_txid done = world_two_branches(&w, 1);
    world_crash(&w, 1);
    world_restart(&w, 1); /* an earlier life's: it knows nothing of it */
    uint64_t nothing = world_ask(&w, 1, ENGINE_GET, done);
    world_advance(&w, 10000);
    ck_assert_int_eq(world_outcome(&w, nothing), PAXOS_OUTCOME_NONE);
    for (uint32_t node = 1; node <= 3; node++) {
        ck_assert_uint_eq(records_on_disk(node), 0);
    }
    uint64_t decides = world_ask(&w, 3, ENGINE_ABORT, done);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_outcome(&w, decides), PAXOS_OUTCOME_ABORTED);
    world_lose_node(&w, 2);
    uint64_t known = world_ask(&w, 1, ENGINE_GET, done);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_outcome(&w, known), PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(a_participant_that_holds_the_mark_back_is_told_to_an_operator) {
    world_init(&w, 1, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    enum message_type decision = MESSAGE_DECISION;
    w.lose = is_type;
    w.lose_arg = &decision;
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_participant_crash(&w, 2);
    w.lose = NULL;
    world_advance(&w, 30000);
    ck_assert_uint_eq(w.alarms, 0);
    world_advance(&w, 60000);
    ck_assert_uint_eq(w.alarms, 1);
    world_advance(&w, 60000);
    ck_assert_uint_eq(w.alarms, 1);
    world_participant_restart(&w, 2);
    world_advance(&w, 3600000);
    ck_assert_uint_eq(w.alarms, 1);
    world_release(&w);
}
END_TEST

static bool node_3(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_node == 3 || message->from_node == 3;
}

static bool node_2(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_node == 2 || message->from_node == 2;
}

START_TEST(S1_a_guessed_txid_decides_nothing_about_the_one_who_gets_it) {
    world_init(&w, 3, 2);
    struct troth_txid guessed = world_begin(&w, 1);
    guessed.lo++;
    world_suspect(&w, 2, 1);
    w.lose = node_3;
    uint64_t guess = world_ask(&w, 2, ENGINE_COMMIT, guessed);
    world_advance(&w, 1000);
    w.lose = NULL;
    world_trust(&w, 2, 1);
    w.lose = node_2;
    struct troth_txid txid = world_two_branches(&w, 1);
    ck_assert(troth_txid_equal(txid, guessed));
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_advance(&w, 500);
    bool two_outcomes = w.replies[guess].outcome == PAXOS_OUTCOME_ABORTED &&
                        w.replies[commit].outcome == PAXOS_OUTCOME_COMMITTED;
    ck_assert(!two_outcomes);
    world_release(&w);
}
END_TEST

START_TEST(asking_to_abort_again_and_again_does_not_keep_it_from_ending) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    uint64_t first = world_ask(&w, 1, ENGINE_ABORT, txid);
    for (int i = 0; i < 60; i++) {
        world_ask(&w, 1, ENGINE_ABORT, txid);
        for (int k = 0; k < 8; k++) {
            world_deliver_one(&w);
        }
    }
    ck_assert_int_eq(world_outcome(&w, first), PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_faults",
        (const TTest *[]){L1_a_commit_asked_elsewhere_too_does_not_abort_a_slow_prepare,
                          L1_a_read_only_vote_that_got_lost_is_asked_for_again,
                          L1_a_vote_to_abort_that_got_lost_is_asked_for_again,
                          L1_a_coordinator_that_promised_a_ballot_to_a_dead_leader_goes_on,
                          L1_a_coordinator_that_was_cut_off_learns_when_it_heals,
                          S6_what_is_forgotten_stays_so_at_a_node_that_was_away,
                          finished_records_are_deleted_over_a_restart_too,
                          L3_a_participant_that_never_returns_does_not_stop_forgetting,
                          a_node_whose_record_is_damaged_does_not_lead,
                          S1_a_guessed_txid_decides_nothing_about_the_one_who_gets_it,
                          get_tells_what_others_know_and_decides_nothing,
                          a_participant_that_holds_the_mark_back_is_told_to_an_operator,
                          asking_to_abort_again_and_again_does_not_keep_it_from_ending, NULL});
}
