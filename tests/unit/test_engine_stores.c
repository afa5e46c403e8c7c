/* engine: what a transaction costs its log. Votes that are not all yet stay in memory, where a
 * crash may lose them as it would a message; the last one's store holds all. A decision can be had
 * from the votes that a majority has on disk, so it is stored with the end.
 */
#include <check.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

static struct troth_txid branches(uint32_t n) {
    struct troth_txid txid = world_begin(&w, 1);
    for (uint32_t i = 1; i <= n; i++) {
        world_work(&w, i, txid);
    }
    world_run(&w);
    return txid;
}

static struct paxos_set *set_of(uint32_t n) {
    struct paxos_participant members[WORLD_PARTICIPANTS];
    for (uint32_t i = 0; i < n; i++) {
        members[i] = w.participant[i + 1].id;
    }
    return paxos_set_new(members, n);
}

/* The participant's vote arrives at one node. */
static void vote_of(uint32_t participant, uint32_t node, struct troth_txid txid, uint32_t n,
                    enum paxos_vote vote) {
    struct message message = {.type = MESSAGE_VOTE, .txid = txid, .vote = vote, .set = set_of(n)};
    world_step(&w, node,
               (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                     .session = w.participant[participant].session[node],
                                     .message = &message});
    message_release(&message);
}

static void tell(uint32_t from, uint32_t to, struct message message) {
    world_step(
        &w, to,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = from, .message = &message});
}

static void expect_stores(unsigned n, unsigned lazy) {
    for (uint32_t node = 1; node <= w.nodes; node++) {
        ck_assert_uint_eq(w.node[node].stores, n);
        ck_assert_uint_eq(w.node[node].lazy_stores, lazy);
    }
}

/* ---- Votes ----------------------------------------------------------------------------------- */

START_TEST(S4_the_last_vote_is_stored_with_all_before_it) {
    world_init(&w, 3, 3);
    w.participant[2].votes = w.participant[3].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = branches(3);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    expect_stores(0, 0);
    vote_of(2, 3, txid, 3, PAXOS_VOTE_READ_ONLY);
    expect_stores(0, 0);
    vote_of(3, 3, txid, 3, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(w.node[3].stores, 1);
    ck_assert_uint_eq(w.node[3].lazy_stores, 0); /* its 2b waits for it */
    const struct acceptor *record = world_on_disk(&w, 3, txid);
    ck_assert_uint_eq(record->set->n, 3);
    ck_assert_int_eq(record->accepted[0].vote, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(record->accepted[1].vote, PAXOS_VOTE_READ_ONLY);
    ck_assert_int_eq(record->accepted[2].vote, PAXOS_VOTE_PREPARED);
    world_release(&w);
}
END_TEST

START_TEST(S4_a_vote_to_abort_is_stored_at_once_with_those_before_it) {
    world_init(&w, 3, 3);
    w.participant[2].votes = w.participant[3].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = branches(3);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    vote_of(2, 3, txid, 3, PAXOS_VOTE_ABORTED);
    ck_assert_uint_eq(w.node[3].stores, 1);
    const struct acceptor *record = world_on_disk(&w, 3, txid);
    ck_assert_int_eq(record->accepted[0].vote, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(record->accepted[1].vote, PAXOS_VOTE_ABORTED);
    world_release(&w);
}
END_TEST

static unsigned answers; /* 2b messages of node 3 so far */

/* A 2b of node 3 tells of no vote that its log does not hold. */
static bool tells_what_is_not_stored(struct world *world, const struct world_message *message) {
    const struct message *phase2b = &message->message;
    if (message->from_node != 3 || phase2b->type != MESSAGE_PHASE2B) {
        return false;
    }
    const struct acceptor *record = world_on_disk(world, 3, phase2b->txid);
    ck_assert_ptr_nonnull(record);
    for (uint32_t i = 0; i < phase2b->n_votes; i++) {
        ck_assert(phase2b->votes[i] == PAXOS_VOTE_NONE ||
                  record->accepted[i].vote == phase2b->votes[i]);
    }
    answers++;
    return true;
}

/* Found by the simulation (seed 1493). */
START_TEST(S4_a_2b_that_is_asked_for_again_tells_only_of_what_is_stored) {
    world_init(&w, 3, 3);
    w.lose = tells_what_is_not_stored;
    struct troth_txid txid = branches(3);
    vote_of(1, 3, txid, 3, PAXOS_VOTE_ABORTED);
    ck_assert_uint_eq(answers, 1);
    vote_of(2, 3, txid, 3, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(answers, 1);
    ck_assert_uint_eq(w.node[3].stores, 1); /* this one is not answered */
    vote_of(1, 3, txid, 3, PAXOS_VOTE_ABORTED);
    ck_assert_uint_eq(answers, 2);
    ck_assert_uint_eq(w.node[3].stores, 2);
    vote_of(1, 3, txid, 3, PAXOS_VOTE_ABORTED);
    ck_assert_uint_eq(answers, 3);
    ck_assert_uint_eq(w.node[3].stores, 2); /* nothing is new */
    world_release(&w);
}
END_TEST

static bool checks_phase1b_of_3(struct world *world, const struct world_message *message) {
    if (message->from_node == 3 && message->message.type == MESSAGE_PHASE1B) {
        const struct acceptor *record = world_on_disk(world, 3, message->message.txid);
        ck_assert_ptr_nonnull(record);
        ck_assert_uint_eq(record->promised, 2);
        ck_assert_int_eq(record->accepted[0].vote, PAXOS_VOTE_PREPARED);
        ck_assert_int_eq(record->accepted[1].vote, PAXOS_VOTE_NONE);
        answers++;
    }
    return false;
}

START_TEST(S4_a_promise_that_tells_of_a_vote_in_memory_is_stored_with_it) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    w.lose = checks_phase1b_of_3;
    struct troth_txid txid = branches(2);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    expect_stores(0, 0);
    tell(2, 3, (struct message){.type = MESSAGE_PHASE1A, .txid = txid, .ballot = 2});
    ck_assert_uint_eq(answers, 1);
    world_release(&w);
}
END_TEST

START_TEST(L2_a_vote_that_a_crash_took_from_memory_leaves_nobody_in_doubt) {
    world_init(&w, 1, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = branches(2);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_VOTED);
    world_crash(&w, 1);
    ck_assert_ptr_null(world_on_disk(&w, 1, txid));
    world_restart(&w, 1); /* hears that vote once more, and nobody else's */
    world_advance(&w, ENGINE_TIMEOUT_DEFAULT_MS + 1000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

/* ---- The decision ---------------------------------------------------------------------------- */

START_TEST(a_commit_costs_each_log_a_store_of_all_votes_and_one_of_the_end) {
    world_init(&w, 3, 3);
    struct troth_txid txid = branches(3);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    expect_stores(2, 1);
    for (uint32_t node = 1; node <= 3; node++) {
        ck_assert_int_eq(world_on_disk(&w, node, txid)->outcome, PAXOS_OUTCOME_COMMITTED);
        ck_assert(world_on_disk(&w, node, txid)->finished);
    }
    world_advance(&w, 5000);
    expect_stores(2, 1);
    world_release(&w);
}
END_TEST

static bool is_ack(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_ACK;
}

START_TEST(a_decision_is_stored_by_itself_only_when_its_acknowledgements_take_long) {
    world_init(&w, 3, 2);
    w.lose = is_ack;
    struct troth_txid txid = branches(2);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    expect_stores(1, 0);
    ck_assert_int_eq(world_on_disk(&w, 1, txid)->outcome, PAXOS_OUTCOME_NONE);
    world_advance(&w, 99);
    expect_stores(1, 0);
    world_advance(&w, 1);
    expect_stores(2, 1); /* the other nodes are told, too */
    for (uint32_t node = 1; node <= 3; node++) {
        ck_assert_int_eq(world_on_disk(&w, node, txid)->outcome, PAXOS_OUTCOME_COMMITTED);
        ck_assert(!world_on_disk(&w, node, txid)->finished);
    }
    w.lose = NULL;
    world_advance(&w, 30000);
    expect_stores(3, 2);
    ck_assert(world_on_disk(&w, 1, txid)->finished);
    world_release(&w);
}
END_TEST

START_TEST(S4_a_decision_that_was_not_stored_is_had_again_from_the_votes) {
    world_init(&w, 3, 2);
    w.lose = is_ack;
    struct troth_txid txid = branches(2);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    for (uint32_t node = 1; node <= 3; node++) {
        ck_assert_int_eq(world_on_disk(&w, node, txid)->outcome, PAXOS_OUTCOME_NONE);
        world_crash(&w, node);
    }
    w.lose = NULL;
    for (uint32_t node = 1; node <= 3; node++) {
        world_restart(&w, node);
    }
    world_run(&w);
    commit = world_ask(&w, 2, ENGINE_COMMIT, txid);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

/* It sees to no phase two, so nothing comes that its store could wait for. */
START_TEST(an_abort_for_participants_that_its_leader_does_not_know_is_stored_at_once) {
    world_init(&w, 3, 2);
    struct troth_txid txid = branches(2);
    world_suspect(&w, 2, 1);
    uint64_t elsewhere = world_ask(&w, 2, ENGINE_ABORT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, elsewhere), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_on_disk(&w, 2, txid)->outcome, PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(an_outcome_is_stored_where_only_memory_holds_a_vote) {
    world_init(&w, 3, 2);
    struct troth_txid txid = branches(2);
    vote_of(1, 3, txid, 2, PAXOS_VOTE_PREPARED);
    ck_assert_uint_eq(w.node[3].stores, 0);
    tell(1, 3,
         (struct message){.type = MESSAGE_KNOWN, .txid = txid, .outcome = PAXOS_OUTCOME_COMMITTED});
    ck_assert_uint_eq(w.node[3].stores, 1);
    ck_assert_int_eq(world_on_disk(&w, 3, txid)->outcome, PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

/* ---- Below the mark -------------------------------------------------------------------------- */

static bool cuts_off_3(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_node == 3 && (message->from_node != 0 || message->from_participant == 2);
}

/* Node 3 holds one of two votes in memory when the transaction is finished without it, and has
 * heard by a heartbeat that the mark has passed. */
static struct troth_txid outlived_at_3(void) {
    world_init(&w, 3, 2);
    struct troth_txid txid = branches(2);
    w.lose = cuts_off_3;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    struct message heartbeat;
    engine_heartbeat(w.node[1].engine, &heartbeat);
    ck_assert_uint_eq(heartbeat.mark, txid.lo + 1);
    tell(1, 3, heartbeat);
    ck_assert_ptr_null(world_on_disk(&w, 3, txid));
    return txid;
}

static bool expects_no_promise_of_3(struct world *world, const struct world_message *message) {
    (void)world;
    if (message->from_node == 3 && message->message.type == MESSAGE_KNOWN) {
        ck_assert(message->message.forgotten);
        answers++;
    }
    ck_assert(message->from_node != 3 || (message->message.type != MESSAGE_PHASE1A &&
                                          message->message.type != MESSAGE_PHASE1B));
    return false;
}

/* Found by the simulation (seed 468). */
START_TEST(S6_a_vote_in_memory_does_not_keep_a_transaction_from_being_forgotten) {
    struct troth_txid txid = outlived_at_3();
    w.lose = expects_no_promise_of_3;
    tell(2, 3, (struct message){.type = MESSAGE_PHASE1A, .txid = txid, .ballot = 2});
    ck_assert_uint_eq(answers, 1);
    vote_of(2, 3, txid, 2, PAXOS_VOTE_PREPARED); /* all that it waited for */
    ck_assert_uint_eq(w.node[3].stores, 0);
    world_suspect(&w, 3, 1);
    world_suspect(&w, 3, 2);
    world_advance(&w, 5000); /* it takes nothing over */
    ck_assert_uint_eq(w.node[3].stores, 0);
    world_release(&w);
}
END_TEST

/* Found by the simulation (seed 12674). */
START_TEST(S6_an_outcome_below_the_mark_is_not_stored_for_votes_in_memory) {
    for (int finished = 0; finished <= 1; finished++) {
        struct troth_txid txid = outlived_at_3();
        w.lose = NULL;
        tell(1, 3,
             (struct message){.type = MESSAGE_KNOWN,
                              .txid = txid,
                              .outcome = PAXOS_OUTCOME_COMMITTED,
                              .finished = finished});
        world_advance(&w, 5000);
        ck_assert_uint_eq(w.node[3].stores, 0);
        world_release(&w);
    }
}
END_TEST

static bool is_of_3(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_node == 3 || message->from_node == 3;
}

/* Found by the simulation (seed 3191979): who asked is as any. */
START_TEST(S6_an_outcome_below_the_mark_is_not_stored_by_a_node_that_led) {
    world_init(&w, 3, 2);
    struct troth_txid txid = branches(2);
    w.lose = is_of_3;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_suspect(&w, 3, 1);
    uint64_t abort = world_ask(&w, 3, ENGINE_ABORT, txid); /* it opens a ballot */
    struct message heartbeat;
    engine_heartbeat(w.node[1].engine, &heartbeat);
    tell(1, 3, heartbeat); /* before its own 1a reaches it */
    tell(1, 3,
         (struct message){.type = MESSAGE_KNOWN,
                          .txid = txid,
                          .outcome = PAXOS_OUTCOME_COMMITTED,
                          .finished = true});
    ck_assert_int_eq(world_outcome(&w, abort), PAXOS_OUTCOME_COMMITTED);
    world_advance(&w, 5000);
    ck_assert_uint_eq(w.node[3].stores, 0);
    world_release(&w);
}
END_TEST

/* ---- Abort ----------------------------------------------------------------------------------- */

/* Who hears a mark drops what is below it, and can't tell it any more to a node that has forgotten
 * that it is finished. */
START_TEST(S6_participants_hear_of_a_mark_once_it_is_on_disk) {
    world_init(&w, 3, 2);
    struct troth_txid txid = branches(2);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    struct engine_effects effects = {0};
    struct engine_event tick = {.type = ENGINE_TICK, .now_ms = w.now_ms += 2000};
    ck_assert_int_eq(engine_step(w.node[1].engine, &tick, &effects), 0);
    bool stored = false;
    unsigned told = 0;
    for (size_t i = 0; i < effects.n; i++) {
        const struct engine_effect *effect = &effects.items[i];
        stored = stored || effect->type == ENGINE_STORE_MARK;
        if (effect->type == ENGINE_SEND_PARTICIPANT && effect->message.type == MESSAGE_MARK) {
            ck_assert(stored && effect->after_store);
            ck_assert_uint_eq(effect->message.txid.lo, txid.lo + 1);
            told++;
        }
    }
    ck_assert_uint_eq(told, 2);
    engine_effects_release(&effects);
    world_release(&w);
}
END_TEST

static uint64_t abort_naming(uint32_t node, struct troth_txid txid, struct paxos_set *set) {
    uint64_t request = ++w.request_next;
    world_step(&w, node,
               (struct engine_event){
                   .type = ENGINE_ABORT, .request = request, .txid = txid, .branches = set});
    paxos_set_release(set);
    world_run(&w);
    ck_assert(world_replied(&w, request));
    return request;
}

/* Those that were joined: their coordinator never heard of them. */
START_TEST(branches_that_abort_names_hear_of_it) {
    for (uint32_t node = 1; node <= 2; node++) { /* its coordinator, or one that passes it on */
        world_init(&w, 3, 3);
        struct troth_txid txid = branches(1);
        uint64_t aborted = abort_naming(node, txid, set_of(2));
        ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_ABORTED);
        ck_assert_int_eq(w.replies[aborted].reason, PAXOS_REASON_CLIENT);
        ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
        ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_ABORTED);
        ck_assert_int_eq(world_branch(&w, 3, txid), BRANCH_NONE); /* it was not named */
        expect_stores(0, 0);
        world_release(&w);
    }
}
END_TEST

START_TEST(an_abort_that_names_a_lost_branch_is_answered_once) {
    world_init(&w, 3, 2);
    struct troth_txid txid = branches(2);
    w.participant[2].id.incarnation++; /* as the client was told after a restart */
    uint64_t aborted = abort_naming(1, txid, set_of(2));
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[aborted].reason, PAXOS_REASON_LOST_WORK);
    world_release(&w);
}
END_TEST

START_TEST(an_abort_that_names_branches_comes_too_late_for_a_committed_transaction) {
    world_init(&w, 3, 3);
    struct troth_txid txid = branches(2);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    uint64_t aborted = abort_naming(1, txid, set_of(3));
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 3, txid), BRANCH_NONE);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine: stores",
        (const TTest *[]){S4_the_last_vote_is_stored_with_all_before_it,
                          S4_a_vote_to_abort_is_stored_at_once_with_those_before_it,
                          S4_a_2b_that_is_asked_for_again_tells_only_of_what_is_stored,
                          S4_a_promise_that_tells_of_a_vote_in_memory_is_stored_with_it,
                          L2_a_vote_that_a_crash_took_from_memory_leaves_nobody_in_doubt,
                          a_commit_costs_each_log_a_store_of_all_votes_and_one_of_the_end,
                          a_decision_is_stored_by_itself_only_when_its_acknowledgements_take_long,
                          S4_a_decision_that_was_not_stored_is_had_again_from_the_votes,
                          an_abort_for_participants_that_its_leader_does_not_know_is_stored_at_once,
                          an_outcome_is_stored_where_only_memory_holds_a_vote,
                          S6_a_vote_in_memory_does_not_keep_a_transaction_from_being_forgotten,
                          S6_an_outcome_below_the_mark_is_not_stored_for_votes_in_memory,
                          S6_an_outcome_below_the_mark_is_not_stored_by_a_node_that_led,
                          branches_that_abort_names_hear_of_it,
                          an_abort_that_names_a_lost_branch_is_answered_once,
                          an_abort_that_names_branches_comes_too_late_for_a_committed_transaction,
                          S6_participants_hear_of_a_mark_once_it_is_on_disk, NULL});
}
