/* leader: what it learns, when it takes over, what it may propose. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "paxos/leader.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/suite.h"

#define N             PAXOS_VOTE_NONE
#define P             PAXOS_VOTE_PREPARED
#define R             PAXOS_VOTE_READ_ONLY
#define A             PAXOS_VOTE_ABORTED
#define D             PAXOS_VOTE_DELEGATED

#define VOTES(...)    ((const enum paxos_vote[]){__VA_ARGS__})
#define ACCEPTED(...) ((const struct paxos_accepted[]){__VA_ARGS__})

/* Every test leads from node 1 of three, in a process of its own. */
static struct leader leader;
static struct leader_effects effects;
static struct paxos_set *set;

static struct paxos_set *make_set(uint32_t n, uint64_t incarnation) {
    struct paxos_participant members[2];
    for (uint32_t i = 0; i < n; i++) {
        char name[] = {(char)('a' + i), '\0'};
        ck_assert_int_eq(paxos_participant_make(&members[i], name, incarnation), 0);
    }
    struct paxos_set *made = paxos_set_new(members, n);
    ck_assert_ptr_nonnull(made);
    return made;
}

static void begin(uint32_t members, bool knows_set) {
    set = make_set(members, 1);
    ck_assert_int_eq(leader_init(&leader, 1, 3, knows_set ? set : NULL), 0);
}

static void end(void) {
    leader_release(&leader);
    ck_assert_uint_eq(set->refs, 1);
    paxos_set_release(set);
}

static int step(struct leader_event event) {
    return leader_step(&leader, &event, &effects);
}

static int phase2b(uint32_t from, uint32_t ballot, const enum paxos_vote *votes) {
    return step((struct leader_event){.type = LEADER_2B,
                                      .from = from,
                                      .ballot = ballot,
                                      .votes = votes,
                                      .n_votes = votes == NULL ? 0 : set->n});
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
    ck_assert_int_eq(effects.send, LEADER_SEND_1A);
    ck_assert_int_eq(leader.phase, LEADER_PROMISING);
    ck_assert_uint_eq(leader.ballot, ballot);
}

static int known(enum paxos_outcome outcome, bool forgotten) {
    return step(
        (struct leader_event){.type = LEADER_KNOWN, .outcome = outcome, .forgotten = forgotten});
}

static void expect_decided(enum paxos_outcome outcome) {
    ck_assert(effects.decided);
    ck_assert_int_eq(leader.phase, LEADER_DECIDED);
    ck_assert_int_eq(leader.outcome, outcome);
}

static void expect_nothing(enum leader_phase phase) {
    ck_assert_int_eq(effects.send, LEADER_SEND_NONE);
    ck_assert(!effects.decided && !effects.entrusted && !effects.forgotten && !effects.preempted);
    ck_assert_int_eq(leader.phase, phase);
}

static void expect_error(int err, int expected, const struct leader *before) {
    ck_assert_int_eq(err, expected);
    ck_assert_mem_eq(&leader, before, sizeof leader);
    expect_nothing(before->phase);
}

/* ---- Ballot 0 -------------------------------------------------------------------------------- */

START_TEST(S2_committed_once_every_instance_has_a_majority) {
    begin(2, true);
    ck_assert_int_eq(phase2b(1, 0, VOTES(P, N)), 0);
    ck_assert_int_eq(phase2b(2, 0, VOTES(P, N)), 0);
    expect_nothing(LEADER_LEARNING);
    ck_assert_int_eq(phase2b(3, 0, VOTES(N, R)), 0);
    expect_nothing(LEADER_LEARNING);
    ck_assert_int_eq(phase2b(3, 0, VOTES(N, R)), 0); /* twice is not two nodes */
    expect_nothing(LEADER_LEARNING);
    ck_assert_int_eq(phase2b(1, 0, VOTES(P, R)), 0);
    expect_decided(PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(phase2b(2, 0, VOTES(P, R)), 0);
    expect_nothing(LEADER_DECIDED);
    end();
}
END_TEST

START_TEST(S3_aborted_once_one_instance_has_a_majority_of_aborted) {
    begin(2, true);
    ck_assert_int_eq(phase2b(1, 0, VOTES(N, A)), 0);
    expect_nothing(LEADER_LEARNING);
    ck_assert_int_eq(phase2b(3, 0, VOTES(N, A)), 0);
    expect_decided(PAXOS_OUTCOME_ABORTED);
    end();
}
END_TEST

START_TEST(a_delegation_entrusts_the_only_participant_who_then_decides) {
    begin(1, true);
    ck_assert_int_eq(phase2b(1, 0, VOTES(D)), 0);
    expect_nothing(LEADER_LEARNING);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_PARTICIPANT_SAID,
                                                .outcome = PAXOS_OUTCOME_COMMITTED}),
                     0);
    expect_nothing(LEADER_LEARNING); /* nobody is asked before it is chosen */
    ck_assert_int_eq(phase2b(2, 0, VOTES(D)), 0);
    ck_assert(effects.entrusted);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_TAKE_OVER}), 0);
    expect_nothing(LEADER_ENTRUSTED); /* no ballot can change what it will say */
    struct leader before = leader;
    expect_error(step((struct leader_event){.type = LEADER_PARTICIPANT_SAID}), TROTH_ERR_INVALID,
                 &before);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_PARTICIPANT_SAID,
                                                .outcome = PAXOS_OUTCOME_COMMITTED}),
                     0);
    expect_decided(PAXOS_OUTCOME_COMMITTED);
    end();
}
END_TEST

START_TEST(S1_conflicting_or_malformed_votes_of_ballot_0_are_refused) {
    begin(2, true);
    ck_assert_int_eq(phase2b(1, 0, VOTES(P, N)), 0);
    struct leader before = leader;
    expect_error(phase2b(2, 0, VOTES(A, P)), TROTH_ERR_INVALID, &before);
    ck_assert_uint_eq(leader.accepted_by[1], 0); /* nothing of the bundle was taken */
    expect_error(phase2b(2, 0, VOTES(P, D)), TROTH_ERR_INVALID, &before);
    expect_error(phase2b(2, 0, VOTES(P, (enum paxos_vote)7)), TROTH_ERR_INVALID, &before);
    expect_error(phase2b(2, 0, NULL), TROTH_ERR_INVALID, &before);
    expect_error(phase2b(0, 0, VOTES(P, P)), TROTH_ERR_INVALID, &before);
    expect_error(phase2b(4, 0, VOTES(P, P)), TROTH_ERR_INVALID, &before);
    end();
}
END_TEST

START_TEST(a_leader_that_knows_no_set_learns_nothing_at_ballot_0) {
    begin(2, false);
    ck_assert_int_eq(phase2b(1, 0, VOTES(P, P)), 0);
    ck_assert_int_eq(phase2b(2, 0, VOTES(P, P)), 0);
    expect_nothing(LEADER_LEARNING);
    end();
}
END_TEST

/* ---- Takeover -------------------------------------------------------------------------------- */

START_TEST(a_takeover_opens_the_next_own_ballot_above_all_seen) {
    begin(2, true);
    take_over(1);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_REPEAT}), 0);
    ck_assert_int_eq(effects.send, LEADER_SEND_1A);
    ck_assert_int_eq(
        step((struct leader_event){.type = LEADER_REFUSED, .from = 2, .ballot = 1, .promised = 5}),
        0);
    ck_assert(effects.preempted);
    ck_assert_int_eq(leader.phase, LEADER_PROMISING);
    take_over(7);
    ck_assert_int_eq(
        step((struct leader_event){.type = LEADER_REFUSED, .from = 2, .ballot = 1, .promised = 8}),
        0);
    expect_nothing(LEADER_PROMISING); /* a late one, of another ballot */
    take_over(10);
    end();
}
END_TEST

START_TEST(S1_a_new_leader_goes_above_what_its_own_acceptor_promised) {
    begin(1, false);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_REFUSED, .from = 1, .promised = 4}),
                     0);
    expect_nothing(LEADER_LEARNING);
    take_over(7);
    end();
}
END_TEST

START_TEST(S1_no_proposal_without_the_own_acceptors_promise) {
    begin(1, true);
    take_over(1);
    ck_assert_int_eq(phase1b(2, NULL, 0), 0);
    ck_assert_int_eq(phase1b(3, NULL, 0), 0);
    expect_nothing(LEADER_PROMISING);
    ck_assert_int_eq(phase1b(1, NULL, 0), 0);
    ck_assert_int_eq(effects.send, LEADER_SEND_2A);
    ck_assert_int_eq(leader.phase, LEADER_PROPOSING);
    end();
}
END_TEST

START_TEST(S3_a_majority_that_knows_no_participant_means_void) {
    begin(2, false);
    take_over(1);
    ck_assert_int_eq(phase1b(1, NULL, 0), 0);
    ck_assert_int_eq(phase1b(1, NULL, 0), 0); /* twice is not two nodes */
    expect_nothing(LEADER_PROMISING);
    ck_assert_int_eq(phase1b(3, NULL, 0), 0);
    ck_assert_int_eq(effects.send, LEADER_SEND_2A);
    ck_assert_ptr_null(leader.set);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, P}, {0, P}), 0), 0); /* too late to matter */
    expect_nothing(LEADER_PROPOSING);
    ck_assert_int_eq(phase2b(1, 1, NULL), 0);
    ck_assert_int_eq(phase2b(1, 1, NULL), 0);
    expect_nothing(LEADER_PROPOSING);
    ck_assert_int_eq(phase2b(2, 1, NULL), 0);
    expect_decided(PAXOS_OUTCOME_ABORTED);
    end();
}
END_TEST

START_TEST(a_coordinator_that_knows_the_set_proposes_aborted_for_each_silent_instance) {
    begin(2, true);
    take_over(1);
    ck_assert_int_eq(phase1b(1, NULL, 0), 0);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, P}, {0, N}), 0), 0);
    ck_assert_int_eq(effects.send, LEADER_SEND_2A);
    ck_assert_int_eq(leader.votes[0], P);
    ck_assert_int_eq(leader.votes[1], A);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_REPEAT}), 0);
    ck_assert_int_eq(effects.send, LEADER_SEND_2A);
    ck_assert_int_eq(phase2b(1, 1, VOTES(P, A)), 0);
    ck_assert_int_eq(phase2b(3, 1, VOTES(P, A)), 0);
    expect_decided(PAXOS_OUTCOME_ABORTED);
    end();
}
END_TEST

START_TEST(S1_the_vote_of_the_highest_ballot_is_proposed) {
    begin(2, false);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_REFUSED, .from = 1, .promised = 5}),
                     0);
    take_over(7);
    ck_assert_int_eq(phase1b(1, ACCEPTED({2, P}, {2, A}), 0), 0);
    ck_assert_ptr_eq(leader.set, set);
    ck_assert_int_eq(phase1b(2, ACCEPTED({5, P}, {5, P}), 3), 0);
    ck_assert_int_eq(leader.votes[0], P);
    ck_assert_int_eq(leader.votes[1], P);
    ck_assert_int_eq(phase2b(2, 7, VOTES(P, P)), 0);
    ck_assert_int_eq(phase2b(3, 7, VOTES(P, P)), 0);
    expect_decided(PAXOS_OUTCOME_COMMITTED);
    end();
}
END_TEST

START_TEST(S1_an_accepted_void_outranks_votes_of_lower_ballots_only) {
    begin(2, false);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_REFUSED, .from = 1, .promised = 3}),
                     0);
    take_over(4);
    ck_assert_int_eq(phase1b(1, NULL, 2), 0);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, P}, {0, P}), 0), 0);
    ck_assert_int_eq(leader.votes[0], A);
    ck_assert_int_eq(leader.votes[1], A);

    take_over(7); /* what an earlier ballot was told does not count in this one */
    ck_assert_int_eq(phase1b(1, NULL, 0), 0);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, P}, {0, P}), 0), 0);
    ck_assert_int_eq(leader.votes[0], P);
    end();
}
END_TEST

START_TEST(a_takeover_that_finds_a_delegation_entrusts_again) {
    begin(1, false);
    take_over(1);
    ck_assert_int_eq(phase1b(1, NULL, 0), 0);
    ck_assert_int_eq(phase1b(3, ACCEPTED({0, D}), 0), 0);
    ck_assert_int_eq(phase2b(1, 1, VOTES(D)), 0);
    ck_assert_int_eq(phase2b(3, 1, VOTES(D)), 0);
    ck_assert(effects.entrusted);
    ck_assert(!effects.decided);
    ck_assert_int_eq(known(PAXOS_OUTCOME_ABORTED, false), 0);
    expect_decided(PAXOS_OUTCOME_ABORTED);
    end();
}
END_TEST

START_TEST(S1_promises_that_contradict_are_refused_and_change_nothing) {
    begin(2, true);
    take_over(1);
    take_over(4);
    ck_assert_int_eq(phase1b(1, ACCEPTED({3, P}, {3, A}), 0), 0);
    struct leader before = leader;
    expect_error(phase1b(2, ACCEPTED({3, A}, {3, A}), 0), TROTH_ERR_INVALID, &before);
    expect_error(phase1b(2, ACCEPTED({4, P}, {4, A}), 0), TROTH_ERR_INVALID, &before);
    expect_error(phase1b(2, ACCEPTED({0, P}, {0, D}), 0), TROTH_ERR_INVALID, &before);
    expect_error(phase1b(2, ACCEPTED({0, P}, {2, N}), 0), TROTH_ERR_INVALID, &before);
    expect_error(phase1b(2, NULL, 4), TROTH_ERR_INVALID, &before);
    expect_error(phase1b(5, NULL, 0), TROTH_ERR_INVALID, &before);
    struct paxos_set *other = make_set(2, 9);
    expect_error(step((struct leader_event){.type = LEADER_1B,
                                            .from = 2,
                                            .ballot = 4,
                                            .set = other,
                                            .accepted = ACCEPTED({0, P}, {0, P})}),
                 TROTH_ERR_INVALID, &before);
    paxos_set_release(other);
    end();
}
END_TEST

START_TEST(S1_answers_of_other_ballots_and_other_proposals_do_not_count) {
    begin(2, true);
    take_over(1);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_1B, .from = 2, .ballot = 2}), 0);
    expect_nothing(LEADER_PROMISING);
    ck_assert_uint_eq(leader.replied, 0);
    ck_assert_int_eq(phase1b(1, NULL, 0), 0);
    ck_assert_int_eq(phase1b(2, NULL, 0), 0);
    ck_assert_int_eq(phase2b(2, 0, VOTES(P, P)), 0);
    ck_assert_int_eq(phase2b(3, 4, VOTES(P, P)), 0);
    ck_assert_uint_eq(leader.replied, 0);
    struct leader before = leader;
    expect_error(phase2b(3, 1, VOTES(A, P)), TROTH_ERR_INVALID, &before);
    expect_error(phase2b(3, 1, NULL), TROTH_ERR_INVALID, &before);
    end();
}
END_TEST

START_TEST(when_the_ballots_are_used_up_a_takeover_is_an_error) {
    begin(1, true);
    ck_assert_int_eq(step((struct leader_event){
                         .type = LEADER_REFUSED, .from = 2, .promised = PAXOS_BALLOT_MAX}),
                     0);
    struct leader before = leader;
    expect_error(step((struct leader_event){.type = LEADER_TAKE_OVER}), TROTH_ERR_TOO_LARGE,
                 &before);
    expect_error(step((struct leader_event){
                     .type = LEADER_REFUSED, .from = 2, .promised = PAXOS_BALLOT_MAX + 1}),
                 TROTH_ERR_INVALID, &before);
    end();
}
END_TEST

/* ---- What others know ------------------------------------------------------------------------ */

START_TEST(a_known_outcome_ends_every_phase) {
    for (int phase = LEADER_LEARNING; phase <= LEADER_PROPOSING; phase++) {
        begin(1, true);
        if (phase >= LEADER_PROMISING) {
            take_over(1);
        }
        if (phase == LEADER_PROPOSING) {
            ck_assert_int_eq(phase1b(1, NULL, 0), 0);
            ck_assert_int_eq(phase1b(2, NULL, 0), 0);
        }
        ck_assert_int_eq(leader.phase, phase);
        ck_assert_int_eq(known(PAXOS_OUTCOME_COMMITTED, false), 0);
        expect_decided(PAXOS_OUTCOME_COMMITTED);
        ck_assert_int_eq(step((struct leader_event){.type = LEADER_TAKE_OVER}), 0);
        expect_nothing(LEADER_DECIDED);
        ck_assert_int_eq(step((struct leader_event){.type = LEADER_REPEAT}), 0);
        expect_nothing(LEADER_DECIDED);
        end();
    }
}
END_TEST

START_TEST(S1_a_contradicting_outcome_is_corruption) {
    begin(1, true);
    ck_assert_int_eq(known(PAXOS_OUTCOME_COMMITTED, false), 0);
    ck_assert_int_eq(known(PAXOS_OUTCOME_COMMITTED, false), 0);
    ck_assert_int_eq(known(PAXOS_OUTCOME_NONE, true), 0);
    expect_nothing(LEADER_DECIDED);
    struct leader before = leader;
    expect_error(known(PAXOS_OUTCOME_ABORTED, false), TROTH_ERR_CORRUPT, &before);
    expect_error(known(PAXOS_OUTCOME_NONE, false), TROTH_ERR_INVALID, &before);
    end();
}
END_TEST

START_TEST(S6_forgotten_opens_no_ballot) {
    begin(1, true);
    take_over(1);
    ck_assert_int_eq(known(PAXOS_OUTCOME_NONE, true), 0);
    ck_assert(effects.forgotten);
    ck_assert_int_eq(leader.phase, LEADER_FORGOTTEN);
    ck_assert_int_eq(step((struct leader_event){.type = LEADER_TAKE_OVER}), 0);
    expect_nothing(LEADER_FORGOTTEN);
    ck_assert_int_eq(known(PAXOS_OUTCOME_COMMITTED, false), 0);
    expect_nothing(LEADER_FORGOTTEN);
    end();
}
END_TEST

START_TEST(without_memory_nothing_changes) {
    set = make_set(2, 1);
    alloc_fail_after(0);
    int err = leader_init(&leader, 1, 3, set);
    ck_assert(alloc_failed());
    ck_assert_int_eq(err, TROTH_ERR_NO_MEMORY);
    leader_release(&leader);
    ck_assert_int_eq(leader_init(&leader, 1, 3, NULL), 0);
    take_over(1);
    struct leader before = leader;
    alloc_fail_after(0);
    err = phase1b(2, ACCEPTED({0, P}, {0, P}), 0);
    ck_assert(alloc_failed());
    expect_error(err, TROTH_ERR_NO_MEMORY, &before);
    ck_assert_int_eq(phase1b(2, ACCEPTED({0, P}, {0, P}), 0), 0);
    ck_assert_ptr_eq(leader.set, set);
    end();
}
END_TEST

int main(void) {
    return suite_run("leader",
                     (const TTest *[]){
                         S2_committed_once_every_instance_has_a_majority,
                         S3_aborted_once_one_instance_has_a_majority_of_aborted,
                         a_delegation_entrusts_the_only_participant_who_then_decides,
                         S1_conflicting_or_malformed_votes_of_ballot_0_are_refused,
                         a_leader_that_knows_no_set_learns_nothing_at_ballot_0,
                         a_takeover_opens_the_next_own_ballot_above_all_seen,
                         S1_a_new_leader_goes_above_what_its_own_acceptor_promised,
                         S1_no_proposal_without_the_own_acceptors_promise,
                         S3_a_majority_that_knows_no_participant_means_void,
                         a_coordinator_that_knows_the_set_proposes_aborted_for_each_silent_instance,
                         S1_the_vote_of_the_highest_ballot_is_proposed,
                         S1_an_accepted_void_outranks_votes_of_lower_ballots_only,
                         a_takeover_that_finds_a_delegation_entrusts_again,
                         S1_promises_that_contradict_are_refused_and_change_nothing,
                         S1_answers_of_other_ballots_and_other_proposals_do_not_count,
                         when_the_ballots_are_used_up_a_takeover_is_an_error,
                         a_known_outcome_ends_every_phase,
                         S1_a_contradicting_outcome_is_corruption,
                         S6_forgotten_opens_no_ballot,
                         without_memory_nothing_changes,
                         NULL});
}
