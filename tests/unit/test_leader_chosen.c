/* leader: promises that show that a vote is chosen already, and those that only seem to. */
#include <check.h>

#include "paxos/leader.h"
#include "tests/lib/suite.h"

#define N             PAXOS_VOTE_NONE
#define P             PAXOS_VOTE_PREPARED
#define R             PAXOS_VOTE_READ_ONLY
#define A             PAXOS_VOTE_ABORTED
#define D             PAXOS_VOTE_DELEGATED

#define ACCEPTED(...) ((const struct paxos_accepted[]){__VA_ARGS__})

/* Every test leads from node 1 of three, which knows no participant before, in a process of its
 * own. */
static struct leader leader;
static struct leader_effects effects;
static struct paxos_set *set;

static void begin(uint32_t members) {
    struct paxos_participant participants[2];
    ck_assert_int_eq(paxos_participant_make(&participants[0], "a", 1), 0);
    ck_assert_int_eq(paxos_participant_make(&participants[1], "b", 1), 0);
    set = paxos_set_new(participants, members);
    ck_assert_ptr_nonnull(set);
    ck_assert_int_eq(leader_init(&leader, 1, 3, NULL), 0);
}

static void end(void) {
    leader_release(&leader);
    ck_assert_uint_eq(set->refs, 1);
    paxos_set_release(set);
}

static int step(struct leader_event event) {
    return leader_step(&leader, &event, &effects);
}

/* A promise for the leader's ballot; `accepted` NULL: that acceptor holds no vote. */
static int phase1b(uint32_t from, const struct paxos_accepted *accepted, uint32_t void_ballot) {
    return step((struct leader_event){.type = LEADER_1B,
                                      .from = from,
                                      .ballot = leader.ballot,
                                      .set = accepted == NULL ? NULL : set,
                                      .accepted = accepted,
                                      .void_ballot = void_ballot});
}

static void take_over(uint32_t ballot) {
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_TAKE_OVER}), 0);
    ck_assert_uint_eq(leader.ballot, ballot);
}

static void expect_decided(enum paxos_outcome outcome) {
    ck_assert(effects.decided);
    ck_assert_int_eq(leader.phase, LEADER_DECIDED);
    ck_assert_int_eq(leader.outcome, outcome);
    ck_assert_int_eq(effects.send, LEADER_SEND_NONE);
}

static void expect_proposed(enum paxos_vote first, enum paxos_vote second) {
    ck_assert_int_eq(effects.send, LEADER_SEND_2A);
    ck_assert_int_eq(leader.phase, LEADER_PROPOSING);
    ck_assert_int_eq(leader.votes[0], first);
    ck_assert_int_eq(leader.votes[1], second);
}

START_TEST(what_a_majority_has_accepted_in_one_ballot_is_decided_without_a_proposal) {
    begin(2);
    take_over(1);
    ck_assert_int_eq(phase1b(3, ACCEPTED({0, P}, {0, R}), 0), 0);
    ck_assert_int_eq(leader.phase, LEADER_PROMISING);
    ck_assert_int_eq(phase1b(1, ACCEPTED({0, P}, {0, R}), 0), 0);
    expect_decided(PAXOS_OUTCOME_COMMITTED);
    end();
}
END_TEST

START_TEST(S3_an_abort_that_a_majority_has_accepted_is_decided_without_a_proposal) {
    begin(2);
    take_over(1);
    phase1b(1, ACCEPTED({0, P}, {0, A}), 0);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, P}, {0, A}), 0), 0);
    expect_decided(PAXOS_OUTCOME_ABORTED);
    end();
}
END_TEST

START_TEST(a_delegation_that_a_majority_has_accepted_entrusts_without_a_proposal) {
    begin(1);
    take_over(1);
    phase1b(1, ACCEPTED({0, D}), 0);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, D}), 0), 0);
    ck_assert(effects.entrusted);
    end();
}
END_TEST

/* One acceptor with all votes, and the word of another one that has some: none of it is chosen. */
START_TEST(S1_votes_that_only_one_acceptor_has_are_proposed_and_not_decided) {
    begin(2);
    take_over(1);
    phase1b(1, ACCEPTED({0, P}, {0, P}), 0);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, P}, {0, N}), 0), 0);
    expect_proposed(P, P);
    end();
}
END_TEST

START_TEST(S1_the_same_votes_in_two_ballots_are_proposed_and_not_decided) {
    begin(2);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_REFUSED, .from = 1, .promised = 3}),
                     0);
    take_over(4);
    phase1b(1, ACCEPTED({0, P}, {0, P}), 0);
    ck_assert_int_eq(phase1b(2, ACCEPTED({2, P}, {2, P}), 0), 0);
    expect_proposed(P, P);
    end();
}
END_TEST

/* What the promises for the last ballot told is of no worth for the next one. */
START_TEST(S1_promises_for_another_ballot_do_not_make_a_majority) {
    begin(2);
    take_over(1);
    phase1b(3, ACCEPTED({0, P}, {0, P}), 0);
    take_over(4);
    phase1b(1, ACCEPTED({0, P}, {0, P}), 0);
    ck_assert_int_eq(leader.phase, LEADER_PROMISING);
    ck_assert_int_eq(phase1b(2, NULL, 2), 0);
    expect_proposed(A, A);
    end();
}
END_TEST

int main(void) {
    return suite_run(
        "leader_chosen",
        (const TTest *[]){what_a_majority_has_accepted_in_one_ballot_is_decided_without_a_proposal,
                          S3_an_abort_that_a_majority_has_accepted_is_decided_without_a_proposal,
                          a_delegation_that_a_majority_has_accepted_entrusts_without_a_proposal,
                          S1_votes_that_only_one_acceptor_has_are_proposed_and_not_decided,
                          S1_the_same_votes_in_two_ballots_are_proposed_and_not_decided,
                          S1_promises_for_another_ballot_do_not_make_a_majority, NULL});
}
