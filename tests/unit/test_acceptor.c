/* acceptor: what is accepted, stored and answered, rule by rule. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "paxos/acceptor.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/suite.h"

#define P PAXOS_VOTE_PREPARED
#define R PAXOS_VOTE_READ_ONLY
#define A PAXOS_VOTE_ABORTED
#define D PAXOS_VOTE_DELEGATED

static struct acceptor acceptor;
static struct acceptor_effects effects;

static struct paxos_set *make_set(uint32_t n, uint64_t incarnation) {
    struct paxos_participant members[3];
    for (uint32_t i = 0; i < n; i++) {
        char name[] = {(char)('a' + i), '\0'};
        ck_assert_int_eq(paxos_participant_make(&members[i], name, incarnation), 0);
    }
    struct paxos_set *set = paxos_set_new(members, n);
    ck_assert_ptr_nonnull(set);
    return set;
}

static int vote(struct paxos_set *set, uint32_t index, enum paxos_vote value) {
    return acceptor_step(
        &acceptor,
        &(struct acceptor_event){.type = ACCEPTOR_VOTE,
                                 .set = set,
                                 .index = index,
                                 .vote = value,
                                 .reason = value == A ? PAXOS_REASON_CONFLICT : PAXOS_REASON_NONE},
        &effects);
}

static int phase1a(uint32_t ballot) {
    return acceptor_step(&acceptor, &(struct acceptor_event){.type = ACCEPTOR_1A, .ballot = ballot},
                         &effects);
}

static int phase2a(uint32_t ballot, struct paxos_set *set, const enum paxos_vote *votes) {
    return acceptor_step(
        &acceptor,
        &(struct acceptor_event){.type = ACCEPTOR_2A, .ballot = ballot, .set = set, .votes = votes},
        &effects);
}

static int learn(enum paxos_outcome outcome, bool finished) {
    return acceptor_step(&acceptor,
                         &(struct acceptor_event){.type = ACCEPTOR_LEARN,
                                                  .outcome = outcome,
                                                  .reason = PAXOS_REASON_DEADLINE,
                                                  .finished = finished},
                         &effects);
}

/* The last step stored or not, and answered so. */
static void expect(bool store, enum acceptor_reply reply, uint32_t ballot) {
    ck_assert_int_eq(effects.store, store);
    ck_assert_int_eq(effects.reply, reply);
    ck_assert_uint_eq(effects.ballot, ballot);
}

/* The last step failed and left nothing behind. */
static void expect_unchanged(int err, int expected, const struct acceptor *before) {
    ck_assert_int_eq(err, expected);
    expect(false, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_mem_eq(&acceptor, before, sizeof acceptor);
}

START_TEST(votes_are_stored_one_by_one_and_answered_once_all_are_in) {
    struct paxos_set *set = make_set(3, 1);
    ck_assert_int_eq(vote(set, 1, P), 0);
    expect(true, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_int_eq(vote(set, 0, R), 0);
    expect(true, ACCEPTOR_REPLY_NONE, 0);
    ck_assert(!acceptor_has_all_votes(&acceptor));
    ck_assert_int_eq(vote(set, 2, P), 0);
    expect(true, ACCEPTOR_REPLY_2B, 0);
    ck_assert(acceptor_has_all_votes(&acceptor));
    ck_assert_int_eq(acceptor.accepted[0].vote, R);
    acceptor_release(&acceptor);
    paxos_set_release(set);
}
END_TEST

START_TEST(an_aborted_vote_is_answered_at_once_and_the_rest_when_complete) {
    struct paxos_set *set = make_set(3, 1);
    ck_assert_int_eq(vote(set, 1, A), 0);
    expect(true, ACCEPTOR_REPLY_2B, 0);
    ck_assert_int_eq(acceptor.reason, PAXOS_REASON_CONFLICT);
    ck_assert_int_eq(vote(set, 0, P), 0);
    expect(true, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_int_eq(vote(set, 0, P), 0); /* again: the question for the outcome */
    expect(false, ACCEPTOR_REPLY_2B, 0);
    ck_assert_int_eq(vote(set, 2, R), 0);
    expect(true, ACCEPTOR_REPLY_2B, 0);
    acceptor_release(&acceptor);
    paxos_set_release(set);
}
END_TEST

START_TEST(a_repeated_vote_stores_nothing) {
    struct paxos_set *set = make_set(2, 1);
    struct paxos_set *same = make_set(2, 1);
    ck_assert_int_eq(vote(set, 0, P), 0);
    ck_assert_int_eq(vote(same, 0, P), 0);
    expect(false, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_int_eq(vote(set, 1, P), 0);
    ck_assert_int_eq(vote(same, 0, P), 0);
    expect(false, ACCEPTOR_REPLY_2B, 0);
    ck_assert_uint_eq(same->refs, 1);
    acceptor_release(&acceptor);
    ck_assert_uint_eq(set->refs, 1);
    paxos_set_release(set);
    paxos_set_release(same);
}
END_TEST

START_TEST(S1_a_vote_of_another_value_or_set_is_refused_and_changes_nothing) {
    struct paxos_set *set = make_set(2, 1);
    struct paxos_set *other = make_set(2, 2);
    struct paxos_set *one = make_set(1, 1);
    struct acceptor before = acceptor;
    expect_unchanged(vote(set, 2, P), TROTH_ERR_INVALID, &before);
    expect_unchanged(vote(set, 0, PAXOS_VOTE_NONE), TROTH_ERR_INVALID, &before);
    expect_unchanged(vote(set, 0, D), TROTH_ERR_INVALID, &before);
    expect_unchanged(vote(set, 0, (enum paxos_vote)9), TROTH_ERR_INVALID, &before);
    expect_unchanged(vote(NULL, 0, P), TROTH_ERR_INVALID, &before);
    ck_assert_int_eq(vote(set, 0, P), 0);
    before = acceptor;
    expect_unchanged(vote(set, 0, A), TROTH_ERR_INVALID, &before);
    expect_unchanged(vote(other, 1, P), TROTH_ERR_INVALID, &before);
    expect_unchanged(vote(one, 0, P), TROTH_ERR_INVALID, &before);
    ck_assert_int_eq(acceptor.accepted[0].vote, P);
    acceptor_release(&acceptor);
    paxos_set_release(set);
    paxos_set_release(other);
    paxos_set_release(one);
}
END_TEST

START_TEST(a_delegation_of_the_only_participant_is_answered_at_once) {
    struct paxos_set *set = make_set(1, 1);
    ck_assert_int_eq(vote(set, 0, D), 0);
    expect(true, ACCEPTOR_REPLY_2B, 0);
    acceptor_release(&acceptor);
    paxos_set_release(set);
}
END_TEST

START_TEST(S1_no_vote_of_ballot_0_is_accepted_under_a_promise) {
    struct paxos_set *set = make_set(1, 1);
    ck_assert_int_eq(phase1a(2), 0);
    expect(true, ACCEPTOR_REPLY_1B, 2);
    ck_assert_int_eq(vote(set, 0, P), 0);
    expect(false, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_ptr_null(acceptor.set);
    acceptor_release(&acceptor);
    paxos_set_release(set);
}
END_TEST

START_TEST(S1_promises_only_grow) {
    ck_assert_int_eq(phase1a(5), 0);
    expect(true, ACCEPTOR_REPLY_1B, 5);
    ck_assert_int_eq(phase1a(5), 0); /* the answer was lost */
    expect(false, ACCEPTOR_REPLY_1B, 5);
    ck_assert_int_eq(phase1a(4), 0);
    expect(false, ACCEPTOR_REPLY_REFUSED, 4);
    ck_assert_int_eq(phase2a(4, NULL, NULL), 0);
    expect(false, ACCEPTOR_REPLY_REFUSED, 4);
    ck_assert_uint_eq(acceptor.promised, 5);
    struct acceptor before = acceptor;
    expect_unchanged(phase1a(0), TROTH_ERR_INVALID, &before);
    expect_unchanged(phase1a(PAXOS_BALLOT_MAX + 1), TROTH_ERR_INVALID, &before);
    ck_assert_int_eq(phase1a(PAXOS_BALLOT_MAX), 0);
    expect(true, ACCEPTOR_REPLY_1B, PAXOS_BALLOT_MAX);
}
END_TEST

START_TEST(a_proposal_is_accepted_for_all_instances_and_promised_too) {
    struct paxos_set *set = make_set(2, 1);
    ck_assert_int_eq(phase2a(3, set, (enum paxos_vote[]){P, A}), 0);
    expect(true, ACCEPTOR_REPLY_2B, 3);
    ck_assert_uint_eq(acceptor.promised, 3);
    ck_assert_uint_eq(acceptor.accepted[0].ballot, 3);
    ck_assert_int_eq(acceptor.accepted[1].vote, A);
    ck_assert_int_eq(phase2a(3, set, (enum paxos_vote[]){P, A}), 0);
    expect(false, ACCEPTOR_REPLY_2B, 3);
    ck_assert_int_eq(phase2a(7, set, (enum paxos_vote[]){P, P}), 0);
    expect(true, ACCEPTOR_REPLY_2B, 7);
    ck_assert_uint_eq(acceptor.accepted[1].ballot, 7);
    acceptor_release(&acceptor);
    paxos_set_release(set);
}
END_TEST

START_TEST(a_void_proposal_leaves_the_votes_beside_it) {
    struct paxos_set *set = make_set(2, 1);
    ck_assert_int_eq(vote(set, 0, P), 0);
    ck_assert_int_eq(phase2a(3, NULL, NULL), 0);
    expect(true, ACCEPTOR_REPLY_2B, 3);
    ck_assert_uint_eq(acceptor.void_ballot, 3);
    ck_assert_int_eq(acceptor.accepted[0].vote, P);
    ck_assert_uint_eq(acceptor.accepted[0].ballot, 0);
    ck_assert_int_eq(phase2a(3, NULL, NULL), 0);
    expect(false, ACCEPTOR_REPLY_2B, 3);
    acceptor_release(&acceptor);
    paxos_set_release(set);
}
END_TEST

START_TEST(S1_a_ballot_has_one_proposal) {
    struct paxos_set *set = make_set(2, 1);
    struct paxos_set *other = make_set(2, 2);
    struct paxos_set *one = make_set(1, 1);
    ck_assert_int_eq(phase2a(3, set, (enum paxos_vote[]){P, P}), 0);
    struct acceptor before = acceptor;
    expect_unchanged(phase2a(3, set, (enum paxos_vote[]){P, A}), TROTH_ERR_INVALID, &before);
    expect_unchanged(phase2a(3, NULL, NULL), TROTH_ERR_INVALID, &before);
    expect_unchanged(phase2a(4, other, (enum paxos_vote[]){P, P}), TROTH_ERR_INVALID, &before);
    expect_unchanged(phase2a(4, one, (enum paxos_vote[]){D}), TROTH_ERR_INVALID, &before);
    expect_unchanged(phase2a(4, set, (enum paxos_vote[]){P, PAXOS_VOTE_NONE}), TROTH_ERR_INVALID,
                     &before);
    expect_unchanged(phase2a(4, set, (enum paxos_vote[]){P, D}), TROTH_ERR_INVALID, &before);
    expect_unchanged(phase2a(4, set, NULL), TROTH_ERR_INVALID, &before);
    expect_unchanged(phase2a(0, set, (enum paxos_vote[]){P, P}), TROTH_ERR_INVALID, &before);
    ck_assert_int_eq(phase2a(6, NULL, NULL), 0);
    before = acceptor;
    expect_unchanged(phase2a(6, set, (enum paxos_vote[]){P, P}), TROTH_ERR_INVALID, &before);
    acceptor_release(&acceptor);
    paxos_set_release(set);
    paxos_set_release(other);
    paxos_set_release(one);
}
END_TEST

START_TEST(S1_a_known_outcome_answers_everything_and_never_changes) {
    struct paxos_set *set = make_set(1, 1);
    ck_assert_int_eq(vote(set, 0, P), 0);
    ck_assert_int_eq(learn(PAXOS_OUTCOME_COMMITTED, false), 0);
    expect(true, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_int_eq(acceptor.reason, PAXOS_REASON_NONE);
    ck_assert_ptr_nonnull(acceptor.set);
    ck_assert_int_eq(learn(PAXOS_OUTCOME_COMMITTED, false), 0);
    expect(false, ACCEPTOR_REPLY_NONE, 0);

    ck_assert_int_eq(vote(set, 0, P), 0);
    expect(false, ACCEPTOR_REPLY_KNOWN, 0);
    ck_assert_int_eq(phase1a(9), 0);
    expect(false, ACCEPTOR_REPLY_KNOWN, 9);
    ck_assert_int_eq(phase2a(9, set, (enum paxos_vote[]){A}), 0);
    expect(false, ACCEPTOR_REPLY_KNOWN, 9);
    ck_assert_uint_eq(acceptor.promised, 0);

    struct acceptor before = acceptor;
    expect_unchanged(learn(PAXOS_OUTCOME_ABORTED, true), TROTH_ERR_CORRUPT, &before);
    expect_unchanged(learn(PAXOS_OUTCOME_NONE, true), TROTH_ERR_INVALID, &before);
    acceptor_release(&acceptor);
    paxos_set_release(set);
}
END_TEST

START_TEST(S6_finished_keeps_the_outcome_alone_and_still_refuses_votes) {
    struct paxos_set *set = make_set(1, 1);
    ck_assert_int_eq(vote(set, 0, P), 0);
    ck_assert_int_eq(learn(PAXOS_OUTCOME_ABORTED, false), 0);
    ck_assert_int_eq(acceptor.reason, PAXOS_REASON_DEADLINE);
    ck_assert_int_eq(learn(PAXOS_OUTCOME_ABORTED, true), 0);
    expect(true, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_ptr_null(acceptor.set);
    ck_assert_ptr_null(acceptor.accepted);
    ck_assert_uint_eq(set->refs, 1);
    ck_assert_int_eq(learn(PAXOS_OUTCOME_ABORTED, true), 0);
    expect(false, ACCEPTOR_REPLY_NONE, 0);
    ck_assert_int_eq(vote(set, 0, P), 0);
    expect(false, ACCEPTOR_REPLY_KNOWN, 0);
    ck_assert_ptr_null(acceptor.set);
    paxos_set_release(set);
}
END_TEST

START_TEST(without_memory_nothing_is_accepted_and_nothing_changes) {
    struct paxos_set *set = make_set(1, 1);
    struct acceptor before = acceptor;
    alloc_fail_after(0);
    int err = vote(set, 0, P);
    ck_assert(alloc_failed());
    expect_unchanged(err, TROTH_ERR_NO_MEMORY, &before);
    alloc_fail_after(0);
    err = phase2a(1, set, (enum paxos_vote[]){P});
    ck_assert(alloc_failed());
    expect_unchanged(err, TROTH_ERR_NO_MEMORY, &before);
    ck_assert_uint_eq(set->refs, 1);
    paxos_set_release(set);
}
END_TEST

int main(void) {
    return suite_run(
        "acceptor",
        (const TTest *[]){votes_are_stored_one_by_one_and_answered_once_all_are_in,
                          an_aborted_vote_is_answered_at_once_and_the_rest_when_complete,
                          a_repeated_vote_stores_nothing,
                          S1_a_vote_of_another_value_or_set_is_refused_and_changes_nothing,
                          a_delegation_of_the_only_participant_is_answered_at_once,
                          S1_no_vote_of_ballot_0_is_accepted_under_a_promise, S1_promises_only_grow,
                          a_proposal_is_accepted_for_all_instances_and_promised_too,
                          a_void_proposal_leaves_the_votes_beside_it, S1_a_ballot_has_one_proposal,
                          S1_a_known_outcome_answers_everything_and_never_changes,
                          S6_finished_keeps_the_outcome_alone_and_still_refuses_votes,
                          without_memory_nothing_is_accepted_and_nothing_changes, NULL});
}
