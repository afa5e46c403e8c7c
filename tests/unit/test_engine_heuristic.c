/* engine: branches that end by themselves, and participants that keep no log. */
#include <check.h>
#include <string.h>

#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

static uint64_t ask_and_run(uint32_t node, enum engine_event_type type, struct troth_txid txid) {
    uint64_t request = world_ask(&w, node, type, txid);
    world_run(&w);
    return request;
}

static struct message ack_of(struct troth_txid txid, enum paxos_outcome told,
                             enum message_heuristic heuristic) {
    struct message ack = {
        .type = MESSAGE_ACK, .txid = txid, .outcome = told, .heuristic = heuristic};
    message_set_detail(&ack, "by hand: ada");
    return ack;
}

static void says(uint32_t participant, uint32_t node, struct message message) {
    world_step(&w, node,
               (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                     .session = w.participant[participant].session[node],
                                     .message = &message});
}

static bool is_decision_to_1(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_participant == 1 && message->message.type == MESSAGE_DECISION;
}

/* Committed, and branch 1 has not heard of it. */
static struct troth_txid undelivered_to_1(void) {
    w.lose = is_decision_to_1;
    struct troth_txid txid = world_two_branches(&w, 1);
    ck_assert_int_eq(world_outcome(&w, ask_and_run(1, ENGINE_COMMIT, txid)),
                     PAXOS_OUTCOME_COMMITTED);
    return txid;
}

static uint64_t undelivered(void) {
    struct engine_counters counters;
    engine_counters(w.node[1].engine, &counters);
    return counters.undelivered;
}

START_TEST(H7_what_a_branch_did_by_itself_is_stored_before_its_transaction_is_finished) {
    world_init(&w, 3, 2);
    struct troth_txid txid = undelivered_to_1();
    struct message ack = ack_of(txid, PAXOS_OUTCOME_COMMITTED, MESSAGE_HEURISTIC_ABORT);
    struct engine_event event = {.type = ENGINE_PARTICIPANT_MESSAGE,
                                 .now_ms = w.now_ms,
                                 .session = w.participant[1].session[1],
                                 .message = &ack};
    struct engine_effects effects = {0};
    ck_assert_int_eq(engine_step(w.node[1].engine, &event, &effects), 0);
    ck_assert_uint_gt(effects.n, 1);
    const struct engine_effect *first = &effects.items[0];
    ck_assert_int_eq(first->type, ENGINE_STORE_HEURISTIC);
    ck_assert(!first->lazy);
    ck_assert(troth_txid_equal(first->txid, txid));
    ck_assert_str_eq(first->participant.name, "rm-1");
    ck_assert_int_eq(first->message.heuristic, MESSAGE_HEURISTIC_ABORT);
    ck_assert_int_eq(first->message.outcome, PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(first->message.detail, "by hand: ada");
    unsigned told = 0;
    for (size_t i = 1; i < effects.n; i++) {
        bool finished = effects.items[i].type == ENGINE_SEND_NODE &&
                        effects.items[i].message.type == MESSAGE_KNOWN;
        told += finished;
        ck_assert(!finished || effects.items[i].after_store);
    }
    ck_assert_uint_eq(told, 2);
    engine_effects_release(&effects);
    world_release(&w);
}
END_TEST

START_TEST(a_heuristic_acknowledges_the_decision_that_it_was_told) {
    world_init(&w, 3, 2);
    struct troth_txid txid = undelivered_to_1();
    ck_assert_uint_eq(undelivered(), 1);
    says(1, 1, ack_of(txid, PAXOS_OUTCOME_COMMITTED, MESSAGE_HEURISTIC_HAZARD));
    ck_assert_uint_eq(undelivered(), 0);
    ck_assert_uint_eq(w.heuristics, 1);
    world_release(&w);
}
END_TEST

START_TEST(S2_a_branch_that_was_ended_by_hand_acknowledges_nothing) {
    world_init(&w, 3, 2);
    struct troth_txid txid = undelivered_to_1();
    says(1, 1, ack_of(txid, PAXOS_OUTCOME_NONE, MESSAGE_HEURISTIC_ABORT));
    ck_assert_uint_eq(w.heuristics, 1);
    ck_assert_int_eq(w.heuristic.message.outcome, PAXOS_OUTCOME_COMMITTED); /* this node knows */
    ck_assert_uint_eq(undelivered(), 1);
    says(1, 1, ack_of(txid, PAXOS_OUTCOME_NONE, MESSAGE_HEURISTIC_NONE)); /* nonsense */
    ck_assert_uint_eq(w.heuristics, 1);
    ck_assert_uint_eq(undelivered(), 1);
    world_release(&w);
}
END_TEST

START_TEST(S1_a_branch_that_was_ended_by_hand_decides_nothing) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE; /* it takes its time */
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    says(1, 1, ack_of(txid, PAXOS_OUTCOME_NONE, MESSAGE_HEURISTIC_ABORT));
    ck_assert_uint_eq(w.heuristics, 1);
    ck_assert_int_eq(w.heuristic.message.outcome, PAXOS_OUTCOME_NONE);
    world_run(&w);
    ck_assert(!world_replied(&w, commit));
    w.participant[2].votes = PAXOS_VOTE_PREPARED;
    world_advance(&w, 2000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(any_node_keeps_it_also_of_a_transaction_that_it_does_not_know) {
    world_init(&w, 3, 2);
    struct troth_txid unknown = troth_txid_make(0, 1, 77, 12345);
    for (uint32_t node = 1; node <= 3; node++) {
        says(2, node, ack_of(unknown, PAXOS_OUTCOME_NONE, MESSAGE_HEURISTIC_COMMIT));
        ck_assert_uint_eq(w.heuristics, node);
        ck_assert_uint_eq(w.heuristic_at, node);
        ck_assert_str_eq(w.heuristic.participant.name, "rm-2");
        struct engine_counters counters;
        engine_counters(w.node[node].engine, &counters);
        ck_assert_uint_eq(counters.records, 0); /* and nothing becomes known by it */
    }
    world_release(&w);
}
END_TEST

START_TEST(S1_a_branch_that_was_told_the_opposite_is_one_that_ended_by_itself) {
    world_init(&w, 3, 2);
    struct troth_txid txid = undelivered_to_1();
    says(1, 1, ack_of(txid, PAXOS_OUTCOME_ABORTED, MESSAGE_HEURISTIC_NONE));
    ck_assert_uint_eq(w.heuristics, 1);
    ck_assert_int_eq(w.heuristic.message.heuristic, MESSAGE_HEURISTIC_ABORT);
    ck_assert_int_eq(w.heuristic.message.outcome, PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

/* ---- Participants without a log ----------------------------------------------------------------
 */

static bool is_one_phase(struct world *world, const struct world_message *message) {
    (void)world;
    ck_assert_int_ne(message->message.type, MESSAGE_COMMIT_ONE_PHASE);
    return false;
}

START_TEST(a_lone_participant_without_a_log_is_asked_to_prepare) {
    for (uint32_t nodes = 1; nodes <= 3; nodes += 2) {
        for (int votes = PAXOS_VOTE_PREPARED; votes <= PAXOS_VOTE_ABORTED; votes++) {
            world_init(&w, nodes, 1);
            w.lose = is_one_phase;
            w.participant[1].votes = (enum paxos_vote)votes;
            world_participant_crash(&w, 1);
            w.participant[1].id.incarnation |= INCARNATION_TWO_PHASE_ONLY;
            world_participant_restart(&w, 1);
            struct troth_txid txid = world_begin(&w, 1);
            world_work(&w, 1, txid);
            world_run(&w);
            uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
            bool aborts = votes == PAXOS_VOTE_ABORTED;
            ck_assert_int_eq(world_outcome(&w, commit),
                             aborts ? PAXOS_OUTCOME_ABORTED : PAXOS_OUTCOME_COMMITTED);
            ck_assert(w.participant[1].branches[0].set != NULL); /* it voted */
            world_release(&w);
        }
    }
}
END_TEST

int main(void) {
    return suite_run(
        "engine_heuristic",
        (const TTest *[]){
            H7_what_a_branch_did_by_itself_is_stored_before_its_transaction_is_finished,
            a_heuristic_acknowledges_the_decision_that_it_was_told,
            S2_a_branch_that_was_ended_by_hand_acknowledges_nothing,
            S1_a_branch_that_was_ended_by_hand_decides_nothing,
            any_node_keeps_it_also_of_a_transaction_that_it_does_not_know,
            S1_a_branch_that_was_told_the_opposite_is_one_that_ended_by_itself,
            a_lone_participant_without_a_log_is_asked_to_prepare, NULL});
}
