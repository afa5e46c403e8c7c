/* engine: work that comes with Commit, when somebody is away, restarts, or fails. */
#include <check.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

static uint64_t ask_and_run(uint32_t node, struct troth_txid txid) {
    uint64_t request = world_commit_both(&w, node, txid);
    world_run(&w);
    return request;
}

static uint64_t bytes_kept(uint32_t node) {
    return w.node[node].engine->work_bytes;
}

static bool is_prepare_to_2(struct world *world, const struct world_message *message) {
    (void)world;
    return message->to_participant == 2 && message->message.type == MESSAGE_PREPARE;
}

static bool is_prepare(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_PREPARE;
}

static bool is_vote(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_VOTE;
}

/* ---- Participants ---------------------------------------------------------------------------- */

START_TEST(one_that_is_away_is_named_and_nothing_changes) {
    world_init(&w, 3, 2);
    world_participant_crash(&w, 2);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    ck_assert_int_eq(world_error(&w, commit), TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(w.details[commit], "participant rm-2 has no session"));
    /* Not "commit again", which without the work would commit without it (S5). */
    ck_assert_ptr_nonnull(strstr(w.details[commit], "run the transaction again"));
    ck_assert_uint_eq(tx_find(w.node[1].engine, txid)->n_branches, 0);
    ck_assert_uint_eq(bytes_kept(1), 0);
    world_participant_restart(&w, 2);
    commit = ask_and_run(1, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(world_worked(&w, 2, txid), "credit");
    world_release(&w);
}
END_TEST

START_TEST(one_that_was_never_heard_of_is_away) {
    world_init(&w, 1, 1);
    struct paxos_participant far = {.name = "far"};
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = world_commit_work(&w, 1, txid, 1, &far, (const char *const[]){"credit"});
    ck_assert_int_eq(world_error(&w, commit), TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(w.details[commit], "participant far has no session"));
    ck_assert_ptr_null(sessions_find(w.node[1].engine, "far"));
    world_release(&w);
}
END_TEST

START_TEST(L2_who_attaches_again_is_given_its_work_again) {
    world_init(&w, 3, 2);
    w.lose = is_prepare_to_2;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    world_detach(&w, 2, 1);
    w.lose = NULL;
    world_attach(&w, 2, 1);
    world_run(&w); /* no time passes */
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(world_worked(&w, 2, txid), "credit");
    world_release(&w);
}
END_TEST

START_TEST(one_that_has_a_branch_and_is_away_is_waited_for) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_detach(&w, 2, 1);
    uint64_t commit = ask_and_run(1, txid);
    ck_assert(!world_replied(&w, commit));
    world_attach(&w, 2, 1);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(world_worked(&w, 2, txid), "credit");
    world_release(&w);
}
END_TEST

START_TEST(L1_a_prepare_with_work_that_got_lost_is_sent_again) {
    world_init(&w, 3, 2);
    w.lose = is_prepare;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    w.lose = NULL;
    world_advance(&w, 1500);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(world_worked(&w, 1, txid), "debit");
    world_release(&w);
}
END_TEST

/* Its earlier process may have done the work, voted, and be the one that counts. */
START_TEST(S5_who_has_restarted_in_between_is_not_given_it) {
    world_init(&w, 3, 2);
    w.lose = is_prepare_to_2;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    world_participant_crash(&w, 2);
    w.lose = NULL;
    world_participant_restart(&w, 2);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[commit].reason, PAXOS_REASON_LOST_WORK);
    ck_assert_str_eq(world_worked(&w, 2, txid), "");
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

/* Nodes 1 to 3 of five say that they hold participant 1's vote, and one to abort, each another
 * one's, so that nothing is decided. */
START_TEST(work_is_let_go_when_a_majority_has_its_vote) {
    static const enum paxos_vote votes[3][3] = {
        {PAXOS_VOTE_PREPARED, PAXOS_VOTE_ABORTED, PAXOS_VOTE_NONE},
        {PAXOS_VOTE_PREPARED, PAXOS_VOTE_NONE, PAXOS_VOTE_ABORTED},
        {PAXOS_VOTE_PREPARED, PAXOS_VOTE_NONE, PAXOS_VOTE_ABORTED}};
    world_init(&w, 5, 3);
    w.lose = is_vote;
    struct paxos_participant members[] = {w.participant[1].id, w.participant[2].id,
                                          w.participant[3].id};
    struct troth_txid txid = world_begin(&w, 1);
    world_commit_work(&w, 1, txid, 3, members, (const char *const[]){"debit", "one", "two"});
    world_run(&w);
    for (uint32_t node = 1; node <= 3; node++) {
        struct message message = {.type = MESSAGE_PHASE2B, .txid = txid, .n_votes = 3};
        message.votes = (enum paxos_vote *)votes[node - 1];
        world_step(
            &w, 1,
            (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = node, .message = &message});
    }
    ck_assert_int_eq(tx_find(w.node[1].engine, txid)->leader->phase, LEADER_LEARNING);
    world_advance(&w, 1000);
    ck_assert_uint_eq(bytes_kept(1), strlen("one") + strlen("two"));
    world_release(&w);
}
END_TEST

START_TEST(H12_when_the_deadline_passes_it_is_aborted_and_the_work_let_go) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    world_advance(&w, ENGINE_TIMEOUT_DEFAULT_MS - 1);
    ck_assert(!world_replied(&w, commit));
    ck_assert_uint_gt(bytes_kept(1), 0);
    world_advance(&w, 1000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_uint_eq(bytes_kept(1), 0);
    world_release(&w);
}
END_TEST

/* ---- Nodes ----------------------------------------------------------------------------------- */

START_TEST(L1_another_node_aborts_what_its_dead_coordinator_gave_to_nobody) {
    world_init(&w, 3, 2);
    w.lose = is_prepare;
    struct troth_txid txid = world_begin(&w, 1);
    ask_and_run(1, txid);
    world_lose_node(&w, 1);
    uint64_t aborted = world_ask(&w, 2, ENGINE_ABORT, txid);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_ABORTED);
    ck_assert_str_eq(world_worked(&w, 1, txid), "");
    world_release(&w);
}
END_TEST

/* An Abort proposes: who has the votes has the outcome. */
START_TEST(S2_another_node_commits_what_all_have_voted_for) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    world_commit_both(&w, 1, txid);
    for (uint32_t i = 1; i <= 2; i++) {
        while (world_branch(&w, i, txid) != BRANCH_VOTED) {
            ck_assert(world_deliver_one(&w));
        }
    }
    world_lose_node(&w, 1);
    world_run(&w);
    uint64_t aborted = world_ask(&w, 2, ENGINE_ABORT, txid);
    world_advance(&w, 5000);
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(an_earlier_life_s_commit_is_not_taken_up_with_work) {
    world_init(&w, 3, 2);
    w.lose = is_vote;
    struct troth_txid txid = world_begin(&w, 1);
    ask_and_run(1, txid);
    world_crash(&w, 1);
    world_restart(&w, 1);
    uint64_t again = world_commit_both(&w, 1, txid);
    ck_assert_int_eq(world_error(&w, again), TROTH_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(w.details[again], "call Abort or Get"));
    world_release(&w);
}
END_TEST

START_TEST(a_node_that_leads_another_s_transaction_does_not_take_it_with_work) {
    world_init(&w, 3, 2);
    w.lose = is_vote;
    struct troth_txid txid = world_begin(&w, 1);
    ask_and_run(1, txid);
    world_lose_node(&w, 1);
    world_ask(&w, 2, ENGINE_ABORT, txid); /* it opens a ballot, and nothing is delivered */
    ck_assert_int_eq(tx_find(w.node[2].engine, txid)->stage, TX_LEADING);
    ck_assert_int_eq(world_error(&w, world_commit_both(&w, 2, txid)), TROTH_ERR_STATE);
    world_release(&w);
}
END_TEST

START_TEST(S1_lost_doubled_and_shuffled_it_ends_and_works_once) {
    unsigned committed = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        world_init(&w, 3, 2);
        w.random = seed;
        w.shuffle = true;
        w.lose_percent = 20;
        w.double_percent = 20;
        struct troth_txid txid = world_begin(&w, 1);
        uint64_t commit = world_commit_both(&w, 1, txid);
        world_advance(&w, 20000);
        w.lose_percent = 0;
        world_advance(&w, 40000);
        bool is_committed = world_outcome(&w, commit) == PAXOS_OUTCOME_COMMITTED;
        for (uint32_t i = 1; i <= 2; i++) {
            enum world_branch branch = world_branch(&w, i, txid);
            ck_assert(is_committed ? branch == BRANCH_COMMITTED : branch != BRANCH_COMMITTED);
        }
        ck_assert_uint_eq(bytes_kept(1), 0);
        committed += is_committed;
        world_release(&w);
    }
    ck_assert_uint_gt(committed, 50);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_work_away",
        (const TTest *[]){one_that_is_away_is_named_and_nothing_changes,
                          one_that_was_never_heard_of_is_away,
                          L2_who_attaches_again_is_given_its_work_again,
                          one_that_has_a_branch_and_is_away_is_waited_for,
                          L1_a_prepare_with_work_that_got_lost_is_sent_again,
                          S5_who_has_restarted_in_between_is_not_given_it,
                          work_is_let_go_when_a_majority_has_its_vote,
                          H12_when_the_deadline_passes_it_is_aborted_and_the_work_let_go,
                          L1_another_node_aborts_what_its_dead_coordinator_gave_to_nobody,
                          S2_another_node_commits_what_all_have_voted_for,
                          an_earlier_life_s_commit_is_not_taken_up_with_work,
                          a_node_that_leads_another_s_transaction_does_not_take_it_with_work,
                          S1_lost_doubled_and_shuffled_it_ends_and_works_once, NULL});
}
