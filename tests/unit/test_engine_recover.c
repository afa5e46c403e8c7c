/* engine: a node that starts on what an earlier life has left. Where one acceptor is a majority, a
 * record with all its votes is the decision and costs no ballot; and however many records there
 * are, neither they nor a participant that comes back to them hold up what is new.
 */
#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/engine.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

static bool is_decision(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_DECISION;
}

/* All have voted, the record is on disk, and the only node dies before anybody hears of it. */
static struct troth_txid voted_and_died(enum paxos_vote second) {
    world_init(&w, 1, 2);
    w.participant[2].votes = second;
    w.lose = is_decision;
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_work(&w, 2, txid);
    world_run(&w);
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    world_crash(&w, 1);
    w.lose = NULL;
    ck_assert_int_eq(world_on_disk(&w, 1, txid)->outcome, PAXOS_OUTCOME_NONE);
    return txid;
}

static enum paxos_outcome asked(struct troth_txid txid) {
    uint64_t get = world_ask(&w, 1, ENGINE_GET, txid);
    return world_outcome(&w, get);
}

START_TEST(S2_a_single_node_finds_the_decision_in_its_record_without_a_ballot) {
    struct troth_txid txid = voted_and_died(PAXOS_VOTE_PREPARED);
    world_restart(&w, 1);
    ck_assert_int_eq(asked(txid), PAXOS_OUTCOME_COMMITTED);
    world_run(&w);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    ck_assert_uint_eq(world_on_disk(&w, 1, txid)->promised, 0);
    ck_assert_uint_eq(w.node[1].stores, 2); /* the votes, and the end */
    ck_assert_uint_eq(w.node[1].lazy_stores, 1);
    world_release(&w);
}
END_TEST

START_TEST(S3_a_single_node_finds_an_abort_in_its_record_without_a_ballot) {
    struct troth_txid txid = voted_and_died(PAXOS_VOTE_ABORTED);
    ck_assert_int_eq(world_on_disk(&w, 1, txid)->accepted[1].vote, PAXOS_VOTE_ABORTED);
    world_restart(&w, 1);
    ck_assert_int_eq(asked(txid), PAXOS_OUTCOME_ABORTED);
    world_run(&w);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(S4_while_participants_are_away_the_votes_on_disk_stay_what_says_it) {
    struct troth_txid txid = voted_and_died(PAXOS_VOTE_PREPARED);
    world_participant_crash(&w, 1);
    world_participant_crash(&w, 2);
    for (int life = 0; life < 3; life++) {
        world_restart(&w, 1);
        world_advance(&w, 60000);
        ck_assert_int_eq(asked(txid), PAXOS_OUTCOME_COMMITTED);
        ck_assert_uint_eq(w.node[1].stores, 1);
        world_crash(&w, 1);
    }
    world_restart(&w, 1);
    world_participant_restart(&w, 1);
    world_participant_restart(&w, 2);
    world_advance(&w, 1000);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    ck_assert(world_on_disk(&w, 1, txid)->finished);
    world_release(&w);
}
END_TEST

/* ---- An engine with records ------------------------------------------------------------------ */

static struct engine *engine;
static struct engine_effects effects;
static struct engine_counters counters;

static void step(struct engine_event event) {
    ck_assert_int_eq(engine_step(engine, &event, &effects), 0);
    engine_counters(engine, &counters);
}

static struct paxos_set *set_of_two(void) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "a", 1), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "b", 1), 0);
    return paxos_set_new(members, 2);
}

static struct troth_txid txid_of(uint32_t i) {
    return troth_txid_make(0, 1, 1, i);
}

/* Of `n` records the last one lacks the second vote, if `last_lacks`. */
static void open_engine(uint32_t nodes, uint32_t n, bool last_lacks) {
    ck_assert_int_eq(
        engine_new(&engine, &(struct engine_options){.self = 1, .nodes = nodes, .incarnation = 2}),
        0);
    struct paxos_set *set = set_of_two();
    for (uint32_t i = 1; i <= n; i++) {
        struct acceptor record = {.set = paxos_set_hold(set),
                                  .accepted = calloc(2, sizeof *record.accepted)};
        record.accepted[0].vote = PAXOS_VOTE_PREPARED;
        record.accepted[1].vote = last_lacks && i == n ? PAXOS_VOTE_NONE : PAXOS_VOTE_PREPARED;
        step((struct engine_event){
            .type = ENGINE_LOAD_RECORD, .txid = txid_of(i), .record = &record});
        acceptor_release(&record);
    }
    paxos_set_release(set);
}

static void close_engine(void) {
    engine_effects_release(&effects);
    engine_free(engine);
}

static unsigned effects_with(enum engine_effect_type type, enum message_type message) {
    unsigned n = 0;
    for (size_t i = 0; i < effects.n; i++) {
        n += effects.items[i].type == type && effects.items[i].message.type == message;
    }
    return n;
}

START_TEST(L3_many_records_are_seen_to_in_slices_the_oldest_first) {
    enum { N = 2000 };
    open_engine(1, N, false);
    step((struct engine_event){.type = ENGINE_START});
    ck_assert_uint_gt(counters.in_doubt, 0);
    ck_assert_uint_lt(counters.in_doubt, N);
    for (unsigned turn = 0; counters.in_doubt > 0; turn++) {
        uint64_t left = counters.in_doubt;
        ck_assert_uint_lt(turn, N);
        ck_assert_int_eq(engine_deadline_ms(engine), 0); /* it goes on at once */
        uint32_t seen = (uint32_t)(N - left);
        step((struct engine_event){.type = ENGINE_GET, .txid = txid_of(seen), .request = 1 + turn});
        ck_assert_int_eq(effects.items[0].reply.outcome, PAXOS_OUTCOME_COMMITTED);
        step((struct engine_event){.type = ENGINE_BEGIN, .request = 10000 + turn});
        ck_assert_int_eq(effects.items[0].reply.error, 0);
        step((struct engine_event){.type = ENGINE_TICK});
        ck_assert_uint_lt(counters.in_doubt, left);
    }
    step((struct engine_event){.type = ENGINE_TICK});
    ck_assert_int_gt(engine_deadline_ms(engine), 0);
    close_engine();
}
END_TEST

START_TEST(L3_who_asks_before_its_turn_does_not_wait_for_it) {
    enum { N = 600 };
    open_engine(1, N, false);
    step((struct engine_event){.type = ENGINE_START});
    step((struct engine_event){.type = ENGINE_COMMIT, .txid = txid_of(N), .request = 7});
    ck_assert_uint_eq(effects.n, 1);
    ck_assert_int_eq(effects.items[0].type, ENGINE_REPLY);
    ck_assert_int_eq(effects.items[0].reply.outcome, PAXOS_OUTCOME_COMMITTED);
    step((struct engine_event){.type = ENGINE_TICK});
    ck_assert_uint_eq(counters.in_doubt, 0);
    close_engine();
}
END_TEST

/* The last vote comes in the same batch as the record's turn: what is in memory is not on disk. */
START_TEST(S4_a_record_that_has_changed_since_it_was_read_decides_nothing_by_itself) {
    enum { N = 600 };
    open_engine(1, N, true);
    step((struct engine_event){.type = ENGINE_START});
    struct paxos_participant b;
    ck_assert_int_eq(paxos_participant_make(&b, "b", 1), 0);
    step((struct engine_event){.type = ENGINE_ATTACHED, .session = 5, .participant = b});
    struct message vote = {
        .type = MESSAGE_VOTE, .txid = txid_of(N), .vote = PAXOS_VOTE_PREPARED, .set = set_of_two()};
    step((struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE, .session = 5, .message = &vote});
    message_release(&vote);
    ck_assert_uint_eq(effects_with(ENGINE_STORE, MESSAGE_NONE), 1);
    step((struct engine_event){.type = ENGINE_TICK});
    ck_assert_uint_eq(counters.in_doubt, 1);
    for (size_t i = 0; i < effects.n; i++) {
        ck_assert(effects.items[i].type != ENGINE_SEND_PARTICIPANT ||
                  !troth_txid_equal(effects.items[i].message.txid, txid_of(N)));
    }
    close_engine();
}
END_TEST

START_TEST(S3_a_record_that_lacks_a_vote_is_decided_by_a_ballot) {
    open_engine(1, 1, true);
    step((struct engine_event){.type = ENGINE_START});
    ck_assert_uint_eq(counters.in_doubt, 1);
    step((struct engine_event){.type = ENGINE_TICK});
    ck_assert_uint_eq(effects_with(ENGINE_SEND_NODE, MESSAGE_PHASE1A), 1);
    close_engine();
}
END_TEST

START_TEST(S1_one_record_of_three_is_no_majority_and_decides_nothing) {
    open_engine(3, 1, false);
    step((struct engine_event){.type = ENGINE_START});
    ck_assert_uint_eq(counters.in_doubt, 1);
    step((struct engine_event){.type = ENGINE_TICK});
    ck_assert_uint_eq(effects_with(ENGINE_SEND_NODE, MESSAGE_PHASE1A), 3);
    close_engine();
}
END_TEST

/* ---- A participant that comes back to many --------------------------------------------------- */

enum { MANY = 2000 };

static unsigned told[MANY + 1];

static void attach(const char *name, uint64_t session) {
    struct paxos_participant participant;
    ck_assert_int_eq(paxos_participant_make(&participant, name, 1), 0);
    step((struct engine_event){
        .type = ENGINE_ATTACHED, .session = session, .participant = participant});
}

/* Counts the decisions of the last step for a session, by sequence. */
static unsigned decisions(uint64_t session) {
    unsigned n = 0;
    for (size_t i = 0; i < effects.n; i++) {
        const struct engine_effect *effect = &effects.items[i];
        if (effect->type == ENGINE_SEND_PARTICIPANT && effect->session == session &&
            effect->message.type == MESSAGE_DECISION) {
            told[effect->message.txid.lo]++;
            n++;
        }
    }
    return n;
}

static void recover_all(void) {
    open_engine(1, MANY, false);
    step((struct engine_event){.type = ENGINE_START});
    while (counters.in_doubt > 0) {
        step((struct engine_event){.type = ENGINE_TICK});
    }
    step((struct engine_event){.type = ENGINE_TICK});
}

START_TEST(L2_a_participant_that_comes_back_to_many_is_told_of_each_once_in_slices) {
    recover_all();
    attach("b", 5);
    unsigned n = decisions(5);
    for (unsigned slices = 1; engine_deadline_ms(engine) <= 0; slices++) {
        ck_assert_uint_lt(effects.n, MANY / 2);
        ck_assert_uint_lt(slices, MANY);
        step((struct engine_event){.type = ENGINE_TICK});
        n += decisions(5);
    }
    ck_assert_uint_eq(n, MANY);
    for (unsigned i = 1; i <= MANY; i++) {
        ck_assert_uint_eq(told[i], 1);
    }
    close_engine();
}
END_TEST

START_TEST(L3_one_that_comes_back_to_many_does_not_hold_up_the_next) {
    recover_all();
    attach("a", 4);
    attach("b", 5);
    step((struct engine_event){.type = ENGINE_TICK});
    ck_assert_uint_gt(decisions(4), 0);
    ck_assert_uint_gt(decisions(5), 0);
    close_engine();
}
END_TEST

START_TEST(L2_what_it_acknowledges_meanwhile_and_its_leaving_do_not_matter) {
    recover_all();
    attach("b", 5);
    decisions(5);
    for (uint32_t i = 1; i <= MANY; i += 2) {
        struct message ack = {
            .type = MESSAGE_ACK, .txid = txid_of(i), .outcome = PAXOS_OUTCOME_COMMITTED};
        step((struct engine_event){
            .type = ENGINE_PARTICIPANT_MESSAGE, .session = 5, .message = &ack});
    }
    step((struct engine_event){.type = ENGINE_TICK});
    decisions(5);
    step((struct engine_event){.type = ENGINE_DETACHED, .session = 5});
    step((struct engine_event){.type = ENGINE_TICK});
    ck_assert_uint_eq(effects.n, 0);
    ck_assert_int_gt(engine_deadline_ms(engine), 0);
    attach("b", 6);
    unsigned n = decisions(6);
    while (engine_deadline_ms(engine) <= 0) {
        step((struct engine_event){.type = ENGINE_TICK});
        n += decisions(6);
    }
    ck_assert_uint_eq(n, MANY / 2);
    close_engine();
}
END_TEST

static struct troth_txid begin_many(uint32_t count) {
    uint64_t request = ++w.request_next;
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_BEGIN, .request = request, .count = count});
    struct troth_txid first = w.replies[request].txid;
    return (struct troth_txid){.hi = first.hi, .lo = first.lo + count - 1};
}

static enum paxos_outcome outcome_of(uint32_t node, enum engine_event_type type,
                                     struct troth_txid txid) {
    uint64_t request = world_ask(&w, node, type, txid);
    world_run(&w);
    return world_outcome(&w, request);
}

/* The engine finds what was looked for last by a table whose places many transactions share. */
START_TEST(transactions_that_share_a_place_are_told_apart) {
    world_init(&w, 3, 2);
    struct troth_txid first = world_begin(&w, 1);
    struct troth_txid last = first;
    while (last.lo < first.lo + 3 * 4096) {
        last = begin_many(1024);
    }
    struct troth_txid twin = {.hi = first.hi, .lo = first.lo + 4096};
    ck_assert_int_eq(outcome_of(1, ENGINE_ABORT, twin), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(outcome_of(1, ENGINE_COMMIT, first), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(outcome_of(1, ENGINE_GET, twin), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(outcome_of(1, ENGINE_GET, first), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_recover",
        (const TTest *[]){S2_a_single_node_finds_the_decision_in_its_record_without_a_ballot,
                          S3_a_single_node_finds_an_abort_in_its_record_without_a_ballot,
                          S4_while_participants_are_away_the_votes_on_disk_stay_what_says_it,
                          L3_many_records_are_seen_to_in_slices_the_oldest_first,
                          L3_who_asks_before_its_turn_does_not_wait_for_it,
                          S4_a_record_that_has_changed_since_it_was_read_decides_nothing_by_itself,
                          S3_a_record_that_lacks_a_vote_is_decided_by_a_ballot,
                          S1_one_record_of_three_is_no_majority_and_decides_nothing,
                          L2_a_participant_that_comes_back_to_many_is_told_of_each_once_in_slices,
                          L3_one_that_comes_back_to_many_does_not_hold_up_the_next,
                          L2_what_it_acknowledges_meanwhile_and_its_leaving_do_not_matter,
                          transactions_that_share_a_place_are_told_apart, NULL});
}
