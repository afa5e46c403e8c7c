/* engine: votes that go to F + 1 acceptors first [GL 5], and when they go to all. */
#include <check.h>

#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;
static unsigned votes_seen; /* by node 2, or lost on the way to it */

static void start_thriftily(uint32_t nodes) {
    world_init(&w, nodes, 2);
    w.thrifty = true;
    for (uint32_t node = 1; node <= nodes; node++) {
        world_crash(&w, node);
        world_restart(&w, node);
    }
}

START_TEST(an_outcome_is_kept_by_nodes_that_got_no_vote) {
    start_thriftily(3);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    for (uint32_t to = 2; to <= 3; to++) {
        world_beat(&w, 1, to); /* the mark passes it */
    }
    world_lose_node(&w, 1);
    for (uint32_t node = 2; node <= 3; node++) {
        uint64_t again = world_ask(&w, node, ENGINE_COMMIT, txid);
        world_run(&w);
        ck_assert_int_eq(world_outcome(&w, again), PAXOS_OUTCOME_COMMITTED);
    }
    world_release(&w);
}
END_TEST

static bool votes_to_2(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_VOTE && message->to_node == 2;
}

START_TEST(L1_votes_that_get_lost_go_to_all_and_need_no_ballot) {
    start_thriftily(3);
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = votes_to_2;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert(!world_replied(&w, commit));
    world_advance(&w, 250);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    struct engine_counters counters;
    engine_counters(w.node[1].engine, &counters);
    ck_assert_uint_eq(counters.takeovers, 0);
    world_release(&w);
}
END_TEST

static bool to_coordinator(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_PHASE2B && message->to_node == 1;
}

/* The votes are at node 2: node 3, which is higher, knows nothing that it could take over. */
START_TEST(L1_a_takeover_waits_for_no_node_that_got_no_votes) {
    start_thriftily(3);
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = to_coordinator;
    world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_ptr_null(world_on_disk(&w, 3, txid));
    w.lose = NULL;
    world_lose_node(&w, 1);
    world_advance(&w, 1);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(L1_votes_go_to_all_as_soon_as_one_of_the_few_is_suspected) {
    start_thriftily(3);
    struct troth_txid txid = world_two_branches(&w, 1);
    world_crash(&w, 2);
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert(!world_replied(&w, commit));
    world_suspect(&w, 1, 2);
    world_advance(&w, 1);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    struct engine_counters counters;
    engine_counters(w.node[1].engine, &counters);
    ck_assert_uint_eq(counters.takeovers, 0);
    world_release(&w);
}
END_TEST

static bool sees_votes_to_2(struct world *world, const struct world_message *message) {
    votes_seen += votes_to_2(world, message);
    return false;
}

/* Begun at node 1, whose few are itself and node 2. */
static bool are_votes_sent_to_2(void) {
    votes_seen = 0;
    w.lose = sees_votes_to_2;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, world_two_branches(&w, 1));
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    return votes_seen > 0;
}

static uint64_t commit_while(bool (*lose)(struct world *, const struct world_message *)) {
    struct troth_txid txid = world_two_branches(&w, 1);
    w.lose = lose;
    uint64_t commit = world_ask(&w, 1, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert(!world_replied(&w, commit));
    return commit;
}

START_TEST(L1_the_quicker_they_were_the_sooner_votes_go_to_all) {
    start_thriftily(3);
    for (unsigned i = 0; i < 40; i++) {
        ck_assert(are_votes_sent_to_2());
    }
    uint64_t commit = commit_while(votes_to_2);
    world_advance(&w, 15);
    ck_assert(!world_replied(&w, commit));
    world_advance(&w, 10);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(who_kept_votes_waiting_gets_none_until_it_accepts_some) {
    start_thriftily(3);
    commit_while(votes_to_2);
    world_advance(&w, 250);
    ck_assert(!are_votes_sent_to_2());
    ck_assert(!are_votes_sent_to_2());
    /* Votes that were on their way to it are answered at last. */
    struct message late = {.type = MESSAGE_PHASE2B, .txid = {.hi = 1, .lo = 1}};
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_NODE_MESSAGE, .node = 2, .message = &late});
    ck_assert(are_votes_sent_to_2());
    world_release(&w);
}
END_TEST

START_TEST(a_slow_participant_is_not_blamed_on_the_acceptors) {
    start_thriftily(3);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    uint64_t commit = commit_while(NULL);
    world_advance(&w, 1500);
    ck_assert(!world_replied(&w, commit));
    w.participant[2].votes = PAXOS_VOTE_PREPARED;
    world_advance(&w, 1500);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert(are_votes_sent_to_2());
    world_release(&w);
}
END_TEST

/* Of two that were kept waiting at once only the first doubles it. */
START_TEST(who_was_too_slow_is_given_twice_as_long_the_next_time) {
    start_thriftily(3);
    commit_while(votes_to_2);
    commit_while(votes_to_2);
    world_advance(&w, 250);
    world_suspect(&w, 1, 2);
    world_trust(&w, 1, 2); /* it is as good as any again */
    uint64_t commit = commit_while(votes_to_2);
    world_advance(&w, 350);
    ck_assert(!world_replied(&w, commit));
    world_advance(&w, 100);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(where_too_few_are_quick_all_are_asked) {
    start_thriftily(3);
    world_suspect(&w, 1, 3);
    commit_while(votes_to_2);
    world_advance(&w, 250);
    ck_assert(are_votes_sent_to_2());
    world_release(&w);
}
END_TEST

static bool to_4_about_votes(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_PHASE2B && message->to_node == 4;
}

static bool notes_ballots(struct world *world, const struct world_message *message) {
    uint32_t *leaders = world->lose_arg;
    *leaders |= message->message.type == MESSAGE_PHASE1A ? 1u << message->from_node : 0;
    return false;
}

/* Of five nodes the votes are at 4, 5 and 1; `and_5`: that one dies as well. Who opens a ballot? */
static uint32_t who_takes_over(bool and_5) {
    start_thriftily(5);
    struct troth_txid txid = world_two_branches(&w, 4);
    w.lose = to_4_about_votes;
    world_ask(&w, 4, ENGINE_COMMIT, txid);
    world_run(&w);
    ck_assert_ptr_null(world_on_disk(&w, 2, txid));
    ck_assert_ptr_null(world_on_disk(&w, 3, txid));
    uint32_t leaders = 0;
    w.lose = notes_ballots;
    w.lose_arg = &leaders;
    if (and_5) {
        world_lose_node(&w, 5);
    }
    world_lose_node(&w, 4);
    world_advance(&w, 1);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
    world_release(&w);
    return leaders;
}

START_TEST(the_next_live_node_behind_the_coordinator_takes_over_at_once_and_alone) {
    ck_assert_uint_eq(who_takes_over(false), 1u << 5);
    ck_assert_uint_eq(who_takes_over(true), 1u << 1); /* behind the last comes the first */
}
END_TEST

int main(void) {
    return suite_run(
        "engine_thrifty",
        (const TTest *[]){an_outcome_is_kept_by_nodes_that_got_no_vote,
                          L1_votes_that_get_lost_go_to_all_and_need_no_ballot,
                          L1_a_takeover_waits_for_no_node_that_got_no_votes,
                          the_next_live_node_behind_the_coordinator_takes_over_at_once_and_alone,
                          L1_votes_go_to_all_as_soon_as_one_of_the_few_is_suspected,
                          L1_the_quicker_they_were_the_sooner_votes_go_to_all,
                          who_kept_votes_waiting_gets_none_until_it_accepts_some,
                          a_slow_participant_is_not_blamed_on_the_acceptors,
                          who_was_too_slow_is_given_twice_as_long_the_next_time,
                          where_too_few_are_quick_all_are_asked, NULL});
}
