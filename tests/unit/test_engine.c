/* engine: a transaction's life while nobody fails. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

static uint64_t ask_and_run(uint32_t node, enum engine_event_type type, struct troth_txid txid) {
    uint64_t request = world_ask(&w, node, type, txid);
    world_run(&w);
    return request;
}

START_TEST(S2_all_prepared_commits_everywhere) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(S3_one_vote_to_abort_aborts_everywhere_and_says_who) {
    world_init(&w, 3, 3);
    w.participant[2].votes = PAXOS_VOTE_ABORTED;
    struct troth_txid txid = world_two_branches(&w, 1);
    world_work(&w, 3, txid);
    world_run(&w);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[commit].reason, PAXOS_REASON_VOTE);
    ck_assert_ptr_nonnull(strstr(w.details[commit], "rm-2"));
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    ck_assert_int_eq(world_branch(&w, 3, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(one_node_is_two_phase_commit) {
    world_init(&w, 1, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

static bool is_decision_to_2(struct world *world, const struct world_message *message) {
    (void)world;
    ck_assert(!(message->to_participant == 2 && message->message.type == MESSAGE_DECISION));
    return false;
}

START_TEST(a_read_only_vote_leaves_phase_two) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_READ_ONLY;
    w.lose = is_decision_to_2;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

static bool is_prepare(struct world *world, const struct world_message *message) {
    (void)world;
    ck_assert_int_ne(message->message.type, MESSAGE_PREPARE);
    return false;
}

START_TEST(one_participant_commits_in_one_phase) {
    world_init(&w, 3, 1);
    w.lose = is_prepare;
    struct troth_txid txid = world_begin(&w, 2);
    world_work(&w, 1, txid);
    world_run(&w);
    uint64_t commit = ask_and_run(2, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(one_participant_may_refuse_in_one_phase) {
    world_init(&w, 3, 1);
    w.participant[1].votes = PAXOS_VOTE_ABORTED;
    struct troth_txid txid = world_begin(&w, 2);
    world_work(&w, 1, txid);
    world_run(&w);
    uint64_t commit = ask_and_run(2, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(S1_a_commit_without_participants_is_known_to_all_nodes) {
    world_init(&w, 3, 1);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_lose_node(&w, 1);
    commit = ask_and_run(2, ENGINE_COMMIT, txid);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

static size_t records_on_disk(uint32_t node) {
    size_t n = 0;
    for (size_t i = 0; i < WORLD_RECORDS; i++) {
        n += w.node[node].disk[i].there;
    }
    return n;
}

START_TEST(abort_before_any_prepare_writes_nothing) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t aborted = ask_and_run(1, ENGINE_ABORT, txid);
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    ck_assert_uint_eq(records_on_disk(1) + records_on_disk(2) + records_on_disk(3), 0);
    uint64_t commit = ask_and_run(2, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[commit].reason, PAXOS_REASON_CLIENT);
    world_release(&w);
}
END_TEST

START_TEST(commit_and_get_can_be_asked_of_any_node_and_again) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t before = ask_and_run(3, ENGINE_GET, txid);
    ck_assert_int_eq(world_outcome(&w, before), PAXOS_OUTCOME_NONE);
    for (uint32_t node = 3; node >= 1; node--) {
        uint64_t commit = ask_and_run(node, ENGINE_COMMIT, txid);
        ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
        uint64_t get = ask_and_run(node, ENGINE_GET, txid);
        ck_assert_int_eq(world_outcome(&w, get), PAXOS_OUTCOME_COMMITTED);
        uint64_t too_late = ask_and_run(node, ENGINE_ABORT, txid);
        ck_assert_int_eq(world_outcome(&w, too_late), PAXOS_OUTCOME_COMMITTED);
    }
    world_release(&w);
}
END_TEST

START_TEST(a_txid_that_cannot_be_is_refused_and_changes_nothing) {
    world_init(&w, 3, 1);
    static const struct {
        uint16_t cell, node;
        uint32_t incarnation;
        uint64_t sequence;
        int error;
    } cases[] = {
        {7, 1, 1, 1, TROTH_ERR_INVALID},       {0, 9, 1, 1, TROTH_ERR_INVALID},
        {0, 1, 1, 999, TROTH_ERR_NOT_FOUND},   {0, 1, 99, 1, TROTH_ERR_NOT_FOUND},
        {0, 2, 1, 12345, TROTH_ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct troth_txid txid =
            troth_txid_make(cases[i].cell, cases[i].node, cases[i].incarnation, cases[i].sequence);
        ck_assert_int_eq(world_error(&w, ask_and_run(1, ENGINE_COMMIT, txid)), cases[i].error);
        ck_assert_int_eq(world_error(&w, ask_and_run(1, ENGINE_ABORT, txid)), cases[i].error);
        ck_assert_int_eq(world_error(&w, ask_and_run(1, ENGINE_GET, txid)), cases[i].error);
    }
    ck_assert_uint_eq(records_on_disk(1), 0);
    world_release(&w);
}
END_TEST

START_TEST(enlist_is_refused_once_commit_began) {
    world_init(&w, 3, 3);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert(!world_replied(&w, commit));
    uint64_t request = ++w.request_next;
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_ENLIST,
                                     .request = request,
                                     .txid = txid,
                                     .participant = w.participant[3].id});
    ck_assert_int_eq(world_error(&w, request), TROTH_ERR_STATE);
    world_release(&w);
}
END_TEST

START_TEST(S5_another_incarnation_of_a_participant_dooms_the_transaction) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_participant_crash(&w, 2);
    world_participant_restart(&w, 2);
    world_work(&w, 2, txid);
    world_run(&w);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[commit].reason, PAXOS_REASON_LOST_WORK);
    world_release(&w);
}
END_TEST

START_TEST(S5_a_restart_between_work_and_prepare_aborts) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_participant_crash(&w, 2);
    world_participant_restart(&w, 2);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(the_deadline_aborts_what_is_active) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_advance(&w, ENGINE_TIMEOUT_DEFAULT_MS + 1);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    uint64_t commit = ask_and_run(2, ENGINE_COMMIT, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[commit].reason, PAXOS_REASON_DEADLINE);
    world_release(&w);
}
END_TEST

START_TEST(the_deadline_proposes_aborted_while_a_vote_is_missing) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert(!world_replied(&w, commit));
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_VOTED);
    world_advance(&w, ENGINE_TIMEOUT_DEFAULT_MS + 1);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(begin_with_one_key_is_one_transaction) {
    world_init(&w, 1, 1);
    struct troth_txid txids[3];
    static const char *const keys[] = {"a", "a", "b"};
    for (int i = 0; i < 3; i++) {
        uint64_t request = ++w.request_next;
        world_step(&w, 1,
                   (struct engine_event){.type = ENGINE_BEGIN, .request = request, .key = keys[i]});
        txids[i] = w.replies[request].txid;
    }
    ck_assert(troth_txid_equal(txids[0], txids[1]));
    ck_assert(!troth_txid_equal(txids[0], txids[2]));
    world_release(&w);
}
END_TEST

START_TEST(begin_may_begin_many_with_consecutive_txids) {
    world_init(&w, 1, 1);
    uint64_t request = ++w.request_next;
    world_step(&w, 1,
               (struct engine_event){
                   .type = ENGINE_BEGIN, .request = request, .timeout_ms = 5000, .count = 3});
    ck_assert_int_eq(world_error(&w, request), 0);
    struct troth_txid first = w.replies[request].txid;
    ck_assert_uint_eq(w.replies[request].count, 3);
    struct troth_txid next = world_begin(&w, 1);
    ck_assert_uint_eq(next.lo, first.lo + 3);
    struct troth_txid last = {.hi = first.hi, .lo = first.lo + 2};
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, last);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    /* Those that are not used end at their time. */
    world_advance(&w, 6000);
    commit = ask_and_run(1, ENGINE_COMMIT, first);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(begin_refuses_what_is_over_a_limit) {
    world_init(&w, 1, 1);
    uint64_t request = ++w.request_next;
    world_step(&w, 1,
               (struct engine_event){
                   .type = ENGINE_BEGIN, .request = request, .count = ENGINE_BEGIN_MAX + 1});
    ck_assert_int_eq(world_error(&w, request), TROTH_ERR_INVALID);
    request = ++w.request_next;
    world_step(
        &w, 1,
        (struct engine_event){.type = ENGINE_BEGIN, .request = request, .key = "a", .count = 2});
    ck_assert_int_eq(world_error(&w, request), TROTH_ERR_INVALID);
    request = ++w.request_next;
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_BEGIN,
                                     .request = request,
                                     .timeout_ms = ENGINE_TIMEOUT_MAX_MS + 1});
    ck_assert_int_eq(world_error(&w, request), TROTH_ERR_INVALID);
    static const char key[] = "12345678901234567890123456789012345678901234567890123456789012345";
    request = ++w.request_next;
    world_step(&w, 1, (struct engine_event){.type = ENGINE_BEGIN, .request = request, .key = key});
    ck_assert_int_eq(world_error(&w, request), TROTH_ERR_INVALID);
    world_release(&w);
}
END_TEST

START_TEST(S6_below_the_mark_it_is_forgotten_never_aborted) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    ask_and_run(1, ENGINE_COMMIT, txid);
    for (uint32_t node = 2; node <= 3; node++) {
        struct message heartbeat;
        engine_heartbeat(w.node[1].engine, &heartbeat);
        ck_assert_uint_eq(heartbeat.mark, txid.lo + 1);
        world_step(
            &w, node,
            (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 1, .message = &heartbeat});
    }
    ck_assert_int_eq(world_outcome(&w, ask_and_run(2, ENGINE_GET, txid)), PAXOS_OUTCOME_COMMITTED);
    world_advance(&w, 700000);
    for (uint32_t node = 1; node <= 3; node++) {
        ck_assert_uint_eq(records_on_disk(node), 0);
        ck_assert_int_eq(world_error(&w, ask_and_run(node, ENGINE_COMMIT, txid)),
                         TROTH_ERR_FORGOTTEN);
        ck_assert_int_eq(world_error(&w, ask_and_run(node, ENGINE_ABORT, txid)),
                         TROTH_ERR_FORGOTTEN);
        ck_assert_int_eq(world_error(&w, ask_and_run(node, ENGINE_GET, txid)), TROTH_ERR_FORGOTTEN);
    }
    /* A vote from the past opens nothing. */
    struct paxos_participant pair[] = {w.participant[1].id, w.participant[2].id};
    struct message vote = {.type = MESSAGE_VOTE,
                           .txid = txid,
                           .vote = PAXOS_VOTE_PREPARED,
                           .set = paxos_set_new(pair, 2)};
    world_step(&w, 3,
               (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                     .session = w.participant[1].session[3],
                                     .message = &vote});
    message_release(&vote);
    ck_assert_uint_eq(records_on_disk(3), 0);
    world_release(&w);
}
END_TEST

START_TEST(sequences_run_together_over_the_nodes) {
    world_init(&w, 3, 1);
    for (int i = 0; i < 100; i++) {
        world_begin(&w, 1);
    }
    struct message heartbeat;
    engine_heartbeat(w.node[1].engine, &heartbeat);
    world_step(
        &w, 2,
        (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 1, .message = &heartbeat});
    ck_assert_uint_gt(world_begin(&w, 2).lo, 100);
    world_release(&w);
}
END_TEST

static int first_seen(void *arg, const struct engine_view *view) {
    *(struct troth_txid *)arg = view->txid;
    return 1;
}

START_TEST(views_begin_with_the_oldest_or_with_the_newest) {
    world_init(&w, 1, 1);
    struct troth_txid oldest = world_begin(&w, 1);
    world_begin(&w, 1);
    struct troth_txid newest = world_begin(&w, 1);
    struct troth_txid seen;
    ck_assert_int_eq(engine_view_all(w.node[1].engine, w.now_ms, first_seen, &seen), 1);
    ck_assert(troth_txid_equal(seen, oldest));
    ck_assert_int_eq(engine_view_newest(w.node[1].engine, w.now_ms, first_seen, &seen), 1);
    ck_assert(troth_txid_equal(seen, newest));
    world_release(&w);
}
END_TEST

START_TEST(an_unfinished_transaction_holds_the_mark_back) {
    world_init(&w, 1, 2);
    struct troth_txid open = world_two_branches(&w, 1);
    struct troth_txid done = world_two_branches(&w, 1);
    ask_and_run(1, ENGINE_COMMIT, done);
    world_advance(&w, 5000);
    struct message heartbeat;
    engine_heartbeat(w.node[1].engine, &heartbeat);
    ck_assert_uint_eq(heartbeat.mark, open.lo);
    world_release(&w);
}
END_TEST

START_TEST(stop_finishes_what_is_preparing_and_aborts_what_is_active) {
    world_init(&w, 3, 2);
    struct troth_txid active = world_two_branches(&w, 1);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid preparing = world_two_branches(&w, 1);
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, preparing);
    world_step(&w, 1, (struct engine_event){.type = ENGINE_STOP});
    world_run(&w);
    ck_assert_int_eq(world_branch(&w, 1, active), BRANCH_ABORTED);
    ck_assert(!engine_is_idle(w.node[1].engine));
    uint64_t begin = ++w.request_next;
    world_step(&w, 1, (struct engine_event){.type = ENGINE_BEGIN, .request = begin});
    ck_assert_int_eq(world_error(&w, begin), TROTH_ERR_UNAVAILABLE);
    w.participant[2].votes = PAXOS_VOTE_PREPARED;
    world_advance(&w, 2000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert(engine_is_idle(w.node[1].engine));
    /* Its client may ask another node yet, which is not to call it forgotten. */
    struct message heartbeat;
    world_advance(&w, 5000);
    engine_heartbeat(w.node[1].engine, &heartbeat);
    ck_assert_uint_eq(heartbeat.mark, active.lo);
    world_release(&w);
}
END_TEST

START_TEST(a_name_that_another_live_process_holds_is_refused) {
    world_init(&w, 1, 1);
    struct engine_effects effects = {0};
    struct paxos_participant other = w.participant[1].id;
    other.incarnation = 7ull << 32 | 1;
    struct engine_event attach = {
        .type = ENGINE_ATTACHED, .now_ms = w.now_ms, .session = 999, .participant = other};
    ck_assert_int_eq(engine_step(w.node[1].engine, &attach, &effects), 0);
    ck_assert_uint_eq(effects.n, 1);
    ck_assert_int_eq(effects.items[0].type, ENGINE_REFUSE_SESSION);
    ck_assert_int_eq(effects.items[0].error, TROTH_ERR_EXISTS);
    ck_assert_uint_eq(effects.items[0].session, 999);
    /* An earlier start on the same disk is refused too; a later one replaces the session. */
    attach.session = 1000;
    attach.participant = w.participant[1].id;
    attach.participant.incarnation = 0;
    ck_assert_int_eq(engine_step(w.node[1].engine, &attach, &effects), 0);
    ck_assert_int_eq(effects.items[0].error, TROTH_ERR_AMNESIA);
    attach.session = 1001;
    attach.participant.incarnation = 5;
    ck_assert_int_eq(engine_step(w.node[1].engine, &attach, &effects), 0);
    ck_assert_uint_eq(effects.items[0].session, w.participant[1].session[1]);
    /* He must know that it is not his own second session. */
    ck_assert_ptr_nonnull(strstr(effects.items[0].detail, "stop both and start this one again"));
    attach.session = 1002;
    ck_assert_int_eq(engine_step(w.node[1].engine, &attach, &effects), 0);
    ck_assert_uint_eq(effects.items[0].session, 1001);
    ck_assert_str_eq(effects.items[0].detail, "attached anew in another session");
    engine_effects_release(&effects);
    world_release(&w);
}
END_TEST

/* A later start can't vote, since it does not know what the one before it has voted. */
START_TEST(S5_a_participant_that_lost_its_branch_needs_no_deadline_and_no_vote) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    uint64_t commit = ask_and_run(1, ENGINE_COMMIT, txid);
    ck_assert(!world_replied(&w, commit));
    struct message lost = {
        .type = MESSAGE_BRANCH_ABORTED, .txid = txid, .reason = PAXOS_REASON_LOST_WORK};
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_PARTICIPANT_MESSAGE,
                                     .session = w.participant[2].session[1],
                                     .message = &lost});
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[commit].reason, PAXOS_REASON_LOST_WORK);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine",
        (const TTest *[]){S2_all_prepared_commits_everywhere,
                          S3_one_vote_to_abort_aborts_everywhere_and_says_who,
                          one_node_is_two_phase_commit,
                          a_read_only_vote_leaves_phase_two,
                          one_participant_commits_in_one_phase,
                          one_participant_may_refuse_in_one_phase,
                          S1_a_commit_without_participants_is_known_to_all_nodes,
                          abort_before_any_prepare_writes_nothing,
                          commit_and_get_can_be_asked_of_any_node_and_again,
                          a_txid_that_cannot_be_is_refused_and_changes_nothing,
                          enlist_is_refused_once_commit_began,
                          S5_another_incarnation_of_a_participant_dooms_the_transaction,
                          S5_a_restart_between_work_and_prepare_aborts,
                          S5_a_participant_that_lost_its_branch_needs_no_deadline_and_no_vote,
                          the_deadline_aborts_what_is_active,
                          the_deadline_proposes_aborted_while_a_vote_is_missing,
                          begin_with_one_key_is_one_transaction,
                          begin_may_begin_many_with_consecutive_txids,
                          begin_refuses_what_is_over_a_limit,
                          S6_below_the_mark_it_is_forgotten_never_aborted,
                          sequences_run_together_over_the_nodes,
                          views_begin_with_the_oldest_or_with_the_newest,
                          an_unfinished_transaction_holds_the_mark_back,
                          stop_finishes_what_is_preparing_and_aborts_what_is_active,
                          a_name_that_another_live_process_holds_is_refused,
                          NULL});
}
