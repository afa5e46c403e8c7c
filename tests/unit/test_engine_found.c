/* engine: what the simulation found, each as a story of its own (CHANGELOG, Found by simulation).
 */
#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

static bool prepares(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_PREPARE;
}

/* Asked at another node that suspects the coordinator, before any vote: that node aborts for
 * participants that it does not know. They are not finished by that. */
START_TEST(L2_the_mark_waits_for_a_branch_that_another_leader_did_not_know) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_participant_crash(&w, 2); /* it cannot be told now */
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    struct message heartbeat;
    world_suspect(&w, 2, 1);
    uint64_t elsewhere = world_ask(&w, 2, ENGINE_ABORT, txid);
    w.lose = prepares;
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, elsewhere), PAXOS_OUTCOME_ABORTED);
    engine_heartbeat(w.node[1].engine, &heartbeat);
    ck_assert_uint_le(heartbeat.mark, txid.lo);
    world_release(&w);
}
END_TEST

static bool from_1_about_the_end(struct world *world, const struct world_message *message) {
    (void)world;
    return message->from_node == 1 && message->message.type == MESSAGE_KNOWN;
}

static bool has_record(uint32_t node, struct troth_txid txid) {
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        if (w.node[node].disk[i].there && troth_txid_equal(w.node[node].disk[i].txid, txid)) {
            return true;
        }
    }
    return false;
}

static uint64_t mark_on_disk(uint32_t node, uint64_t origin_hi) {
    for (size_t i = 0; i < sizeof w.node[node].marks / sizeof *w.node[node].marks; i++) {
        if (w.node[node].marks[i].hi == origin_hi) {
            return w.node[node].marks[i].lo;
        }
    }
    return 0;
}

/* A heartbeat has raised the mark in memory already when a node hears that the transaction is
 * forgotten and deletes its record: the mark must be stored with that. */
START_TEST(S6_a_record_goes_only_with_a_stored_mark) {
    world_init(&w, 3, 2);
    w.lose = from_1_about_the_end;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert(has_record(2, txid));
    uint64_t stored = mark_on_disk(2, txid.hi);
    world_beat(&w, 1, 2); /* housekeeping, which stores marks, is not due */
    ck_assert_uint_eq(mark_on_disk(2, txid.hi), stored);
    struct message forgotten = {.type = MESSAGE_KNOWN, .txid = txid, .forgotten = true};
    world_step(
        &w, 2,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 3, .message = &forgotten});
    ck_assert(!has_record(2, txid));
    ck_assert_uint_gt(mark_on_disk(2, txid.hi), txid.lo);
    world_release(&w);
}
END_TEST

static bool asks(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_ASK;
}

/* A client's question makes a forgotten transaction known again, as a name without a record. A
 * leader's 1a that comes then must not be promised anything. */
START_TEST(S6_a_question_does_not_bring_the_forgotten_back) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t abort = world_ask(&w, 1, ENGINE_ABORT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, abort), PAXOS_OUTCOME_ABORTED);
    world_beat(&w, 1, 2);
    world_advance(&w, 1500); /* the mark is stored */
    w.lose = asks;           /* node 1 does not answer what is passed on to it */
    world_ask(&w, 2, ENGINE_ABORT, txid);
    world_run(&w);
    struct message phase1a = {.type = MESSAGE_PHASE1A, .txid = txid, .ballot = 3};
    world_step(&w, 2,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 3, .message = &phase1a});
    world_run(&w);
    ck_assert(!has_record(2, txid));
    world_release(&w);
}
END_TEST

static bool of_1(struct world *world, const struct world_message *message) {
    (void)world;
    return message->from_node == 1 || message->to_node == 1;
}

/* A coordinator that is paused, with its streams open, is asked nothing by its participants;
 * another node aborts in its place, and does not know who they are. */
START_TEST(L3_locks_go_when_another_node_aborts_for_a_paused_coordinator) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = of_1;
    world_suspect(&w, 2, 1);
    world_suspect(&w, 3, 1);
    uint64_t abort = world_ask(&w, 2, ENGINE_ABORT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, abort), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

static bool to_other_nodes(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_node == 1 || message->to_node == 2;
}

/* A participant that votes with a set of its own making: whoever leads has another one. */
START_TEST(a_vote_with_another_set_does_no_harm) {
    world_init(&w, 3, 3);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_work(&w, 3, txid);
    world_run(&w);
    struct message vote = {.type = MESSAGE_VOTE,
                           .txid = txid,
                           .vote = PAXOS_VOTE_READ_ONLY,
                           .set = paxos_set_new(&w.participant[1].id, 1)};
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                     .session = w.participant[1].session[1],
                                     .message = &vote});
    message_release(&vote);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_advance(&w, 20000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 3, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

static bool to_1_about_votes(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_node == 1 &&
           (message->message.type == MESSAGE_VOTE || (message->message.type == MESSAGE_PHASE2B));
}

/* Participants know the outcome before their coordinator (faster, or a takeover), and say so. */
START_TEST(L3_an_acknowledgement_of_what_is_not_known_yet_leads_to_the_outcome_soon) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = to_1_about_votes;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    w.lose = NULL;
    for (uint32_t i = 1; i <= 2; i++) {
        struct message ack = {
            .type = MESSAGE_ACK, .txid = txid, .outcome = PAXOS_OUTCOME_COMMITTED};
        world_step(&w, 1,
                   (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                         .session = w.participant[i].session[1],
                                         .message = &ack});
    }
    ck_assert(!world_replied(&w, commit));
    world_advance(&w, 200);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

static unsigned told_1;
static bool counts_decisions_to_1(struct world *world, const struct world_message *message) {
    (void)world;
    bool decision = message->message.type == MESSAGE_DECISION;
    told_1 += decision && message->from_node == 3 && message->to_participant == 1;
    return decision; /* the participants of this story have not really voted */
}

/* A leader learns by promises that participant 1 voted read-only, and then from another node that
 * the transaction is committed. Participant 1 may have restarted, and would take that for a lost
 * branch. */
START_TEST(S5_who_was_seen_to_vote_read_only_is_never_told) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_suspect(&w, 3, 1);
    w.lose = to_other_nodes; /* node 2's answer is made by hand */
    world_ask(&w, 3, ENGINE_COMMIT, txid);
    struct paxos_participant pair[] = {w.participant[1].id, w.participant[2].id};
    struct paxos_accepted *accepted = calloc(2, sizeof *accepted);
    accepted[0].vote = PAXOS_VOTE_READ_ONLY;
    accepted[1].vote = PAXOS_VOTE_PREPARED;
    struct message promise = {.type = MESSAGE_PHASE1B,
                              .txid = txid,
                              .ballot = 3,
                              .set = paxos_set_new(pair, 2),
                              .accepted = accepted};
    world_step(&w, 3,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &promise});
    message_release(&promise);
    w.lose = counts_decisions_to_1;
    told_1 = 0;
    struct message known = {
        .type = MESSAGE_KNOWN, .txid = txid, .outcome = PAXOS_OUTCOME_COMMITTED};
    world_step(&w, 3,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &known});
    world_advance(&w, 200000);
    ck_assert_uint_eq(told_1, 0);
    world_release(&w);
}
END_TEST

static const char *enlisted; /* what the last ENLISTED said */

static bool hears_enlisted(struct world *world, const struct world_message *message) {
    (void)world;
    if (message->message.type == MESSAGE_ENLISTED) {
        enlisted = message->message.error != 0 ? "refused"
                   : message->message.already  ? "already"
                                               : "new";
    }
    return message->message.type == MESSAGE_PREPARE; /* they vote later */
}

static void enlist_by_itself(uint32_t participant, struct troth_txid txid) {
    enlisted = "nothing";
    struct message message = {.type = MESSAGE_ENLIST, .txid = txid};
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                     .session = w.participant[participant].session[1],
                                     .message = &message});
}

/* A joined branch that is not committed within a second enlists after all; were it told that it is
 * too late it would give up work that Commit has named. */
START_TEST(a_joined_branch_that_enlists_while_its_commit_is_under_way_is_bound_already) {
    world_init(&w, 3, 3);
    w.lose = hears_enlisted;
    struct troth_txid txid = world_begin(&w, 1);
    struct paxos_participant named[] = {w.participant[1].id, w.participant[2].id};
    struct paxos_set *set = paxos_set_new(named, 2);
    world_step(
        &w, 1,
        (struct engine_event){
            .type = ENGINE_COMMIT, .request = ++w.request_next, .txid = txid, .branches = set});
    world_run(&w);
    enlist_by_itself(2, txid);
    ck_assert_str_eq(enlisted, "already");
    enlist_by_itself(3, txid); /* nobody has named this one */
    ck_assert_str_eq(enlisted, "refused");
    world_participant_crash(&w, 2);
    world_participant_restart(&w, 2); /* its work is lost */
    enlist_by_itself(2, txid);
    ck_assert_str_eq(enlisted, "refused");
    paxos_set_release(set);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_found",
        (const TTest *[]){
            L2_the_mark_waits_for_a_branch_that_another_leader_did_not_know,
            S6_a_record_goes_only_with_a_stored_mark,
            L3_locks_go_when_another_node_aborts_for_a_paused_coordinator,
            a_vote_with_another_set_does_no_harm,
            L3_an_acknowledgement_of_what_is_not_known_yet_leads_to_the_outcome_soon,
            S5_who_was_seen_to_vote_read_only_is_never_told,
            S6_a_question_does_not_bring_the_forgotten_back,
            a_joined_branch_that_enlists_while_its_commit_is_under_way_is_bound_already, NULL});
}
