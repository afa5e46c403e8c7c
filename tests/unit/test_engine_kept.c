/* engine: what is kept of transactions that are over, that never were, and that others ended. */
#include <check.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

#define RETAINED 8u

static struct world w;

static void start_anew(uint32_t nodes, uint32_t participants) {
    world_init(&w, nodes, participants);
    w.retained_max = RETAINED;
    for (uint32_t node = 1; node <= nodes; node++) {
        world_crash(&w, node);
        world_restart(&w, node);
    }
}

static struct troth_txid commit_at(uint32_t node, uint32_t participant) {
    struct troth_txid txid = world_begin(&w, node);
    world_work(&w, participant, txid);
    world_run(&w);
    world_ask(&w, node, ENGINE_COMMIT, txid);
    world_run(&w);
    return txid;
}

static int error_of_get(uint32_t node, struct troth_txid txid) {
    uint64_t get = world_ask(&w, node, ENGINE_GET, txid);
    world_run(&w);
    ck_assert(world_replied(&w, get));
    return w.replies[get].error;
}

START_TEST(with_too_many_the_oldest_go_and_the_youngest_stay) {
    struct troth_txid txids[3 * RETAINED];
    start_anew(1, 1);
    for (uint32_t i = 0; i < 3 * RETAINED; i++) {
        txids[i] = commit_at(1, 1);
        world_advance(&w, 1000);
        for (uint32_t young = 0; young <= i && young < RETAINED; young++) {
            ck_assert_int_eq(error_of_get(1, txids[i - young]), 0);
        }
    }
    ck_assert_int_eq(error_of_get(1, txids[0]), TROTH_ERR_FORGOTTEN);
    world_release(&w);
}
END_TEST

START_TEST(a_burst_of_too_many_is_kept_for_a_while_all_the_same) {
    struct troth_txid txids[3 * RETAINED];
    start_anew(1, 1);
    for (uint32_t i = 0; i < 3 * RETAINED; i++) {
        txids[i] = commit_at(1, 1);
    }
    world_advance(&w, 5000);
    for (uint32_t i = 0; i < 3 * RETAINED; i++) {
        ck_assert_int_eq(error_of_get(1, txids[i]), 0);
    }
    world_release(&w);
}
END_TEST

/* They can't go: their node's mark waits for a participant. */
START_TEST(L3_what_one_participant_holds_back_costs_no_other_its_outcome) {
    start_anew(3, 2);
    struct troth_txid held = world_begin(&w, 1);
    world_work(&w, 1, held);
    world_work(&w, 2, held);
    world_run(&w);
    world_participant_crash(&w, 2);
    world_ask(&w, 1, ENGINE_ABORT, held);
    world_run(&w);
    for (uint32_t i = 0; i < 2 * RETAINED; i++) {
        commit_at(1, 1);
    }
    /* Its sequences follow the others', so that most of them were never its own. */
    struct message heartbeat = {.type = MESSAGE_HEARTBEAT, .sequence_next = 1000};
    world_step(
        &w, 2,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 1, .message = &heartbeat});
    struct troth_txid other = commit_at(2, 1);
    world_advance(&w, 60000);
    ck_assert_int_eq(error_of_get(2, other), 0);
    world_release(&w);
}
END_TEST

/* Heartbeats lift the next sequence, and nothing tells of those in between that they were never
 * given. */
START_TEST(one_that_was_never_begun_can_be_asked_for_and_aborted_at_once) {
    world_init(&w, 3, 1);
    world_begin(&w, 1); /* keeps the mark below */
    struct message heartbeat = {.type = MESSAGE_HEARTBEAT, .sequence_next = 1000};
    world_step(
        &w, 1,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &heartbeat});
    struct troth_txid skipped = world_begin(&w, 1);
    skipped.lo -= 500;
    uint64_t get = world_ask(&w, 1, ENGINE_GET, skipped);
    uint64_t abort = world_ask(&w, 1, ENGINE_ABORT, skipped);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, skipped);
    world_advance(&w, 10000);
    ck_assert(world_replied(&w, get));
    for (uint64_t request = abort; request <= commit; request++) {
        ck_assert(world_replied(&w, request));
        ck_assert(w.replies[request].error == TROTH_ERR_FORGOTTEN || /* it is below the mark */
                  world_outcome(&w, request) == PAXOS_OUTCOME_ABORTED);
    }
    world_release(&w);
}
END_TEST

/* It was aborted without a record, so its origin alone knows of it; who has just started has the
 * origin's mark, and no word yet that the origin lives. */
START_TEST(who_has_just_started_asks_the_origin_before_it_says_forgotten) {
    world_init(&w, 3, 1);
    struct troth_txid txid = world_begin(&w, 1);
    world_ask(&w, 1, ENGINE_ABORT, txid);
    world_run(&w);
    w.starts_alone = true;
    world_crash(&w, 2);
    world_restart(&w, 2);
    struct message heartbeat;
    engine_heartbeat(w.node[1].engine, &heartbeat);
    ck_assert_uint_gt(heartbeat.mark, txid.lo);
    world_step(
        &w, 2,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 1, .message = &heartbeat});
    uint64_t get = world_ask(&w, 2, ENGINE_GET, txid);
    world_run(&w);
    ck_assert(world_replied(&w, get));
    ck_assert_int_eq(w.replies[get].error, 0);
    ck_assert_int_eq(world_outcome(&w, get), PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

static bool cut_off_1(struct world *world, const struct world_message *message) {
    (void)world;
    bool between_nodes = message->from_node != 0 && message->to_node != 0;
    bool to_itself = message->from_node == 1 && message->to_node == 1;
    bool with_1 = message->from_node == 1 || message->to_node == 1;
    return (between_nodes && with_1 && !to_itself) ||
           (message->to_participant != 0 && message->from_node != 1);
}

/* The participant was to decide alone, of which a minority knows; the others have aborted for
 * whomever it may concern, and could not reach it. */
START_TEST(L3_one_that_was_to_decide_alone_hears_that_others_have_aborted) {
    world_init(&w, 3, 1);
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_run(&w);
    w.lose = cut_off_1;
    world_suspect(&w, 2, 1);
    world_suspect(&w, 3, 1);
    world_suspect(&w, 1, 2);
    world_suspect(&w, 1, 3);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    uint64_t abort = world_ask(&w, 2, ENGINE_ABORT, txid);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_outcome(&w, abort), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ACTIVE);
    w.lose = NULL;
    for (uint32_t node = 2; node <= 3; node++) {
        world_trust(&w, 1, node);
        world_trust(&w, node, 1);
    }
    world_advance(&w, 5000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

/* A client that is asked through another node, and is gone, can't say so. */
static void ask_through_node_2(struct troth_txid txid, uint64_t request) {
    struct message ask = {
        .type = MESSAGE_ASK, .ask = MESSAGE_ASK_COMMIT, .txid = txid, .request = request};
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &ask});
}

START_TEST(L3_those_who_wait_for_one_outcome_are_not_without_end) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t oldest = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    for (uint64_t i = 1; i < ENGINE_WAITERS_MAX; i++) {
        ask_through_node_2(txid, 1000 + i);
    }
    ck_assert(!world_replied(&w, oldest));
    uint64_t youngest = world_ask(&w, 1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_error(&w, oldest), TROTH_ERR_UNAVAILABLE); /* it asks again */
    w.participant[2].votes = PAXOS_VOTE_PREPARED;
    world_advance(&w, 6000);
    ck_assert_int_eq(world_outcome(&w, youngest), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_kept",
        (const TTest *[]){with_too_many_the_oldest_go_and_the_youngest_stay,
                          a_burst_of_too_many_is_kept_for_a_while_all_the_same,
                          L3_what_one_participant_holds_back_costs_no_other_its_outcome,
                          one_that_was_never_begun_can_be_asked_for_and_aborted_at_once,
                          who_has_just_started_asks_the_origin_before_it_says_forgotten,
                          L3_one_that_was_to_decide_alone_hears_that_others_have_aborted,
                          L3_those_who_wait_for_one_outcome_are_not_without_end, NULL});
}
