/* types: names, participant sets, ballots and majorities. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "paxos/types.h"
#include "tests/lib/suite.h"

START_TEST(names_are_for_people_and_unknown_numbers_are_a_question_mark) {
    ck_assert_str_eq(paxos_vote_name(PAXOS_VOTE_NONE), "none");
    ck_assert_str_eq(paxos_vote_name(PAXOS_VOTE_READ_ONLY), "read-only");
    ck_assert_str_eq(paxos_vote_name(PAXOS_VOTE_DELEGATED), "delegated");
    ck_assert_str_eq(paxos_vote_name((enum paxos_vote)(PAXOS_VOTE_LAST + 1)), "?");
    ck_assert_str_eq(paxos_outcome_name(PAXOS_OUTCOME_COMMITTED), "committed");
    ck_assert_str_eq(paxos_outcome_name((enum paxos_outcome)3), "?");
    ck_assert_str_eq(paxos_reason_name(PAXOS_REASON_DEADLINE), "deadline");
    ck_assert_str_eq(paxos_reason_name((enum paxos_reason)(PAXOS_REASON_LAST + 1)), "?");
    for (int i = 0; i <= (int)PAXOS_REASON_LAST; i++) {
        ck_assert_str_ne(paxos_reason_name((enum paxos_reason)i), "?");
    }
    for (int i = 0; i <= (int)PAXOS_VOTE_LAST; i++) {
        ck_assert_str_ne(paxos_vote_name((enum paxos_vote)i), "?");
    }
}
END_TEST

START_TEST(a_participants_name_has_1_to_47_plain_characters) {
    struct paxos_participant participant;
    char longest[PAXOS_NAME_BYTES + 1];
    memset(longest, 'x', sizeof longest);
    longest[PAXOS_NAME_BYTES - 1] = '\0';
    ck_assert_int_eq(paxos_participant_make(&participant, longest, 7), 0);
    ck_assert_str_eq(participant.name, longest);
    ck_assert_uint_eq(participant.incarnation, 7);
    ck_assert_int_eq(paxos_participant_make(&participant, "Az09._-", 1), 0);

    longest[PAXOS_NAME_BYTES - 1] = 'x';
    longest[PAXOS_NAME_BYTES] = '\0';
    static const char *const malformed[] = {"", "a b", "a/b", "a\n", "\xc3\xa9", "a:b"};
    ck_assert_int_eq(paxos_participant_make(&participant, longest, 1), TROTH_ERR_INVALID);
    ck_assert_int_eq(paxos_participant_make(&participant, NULL, 1), TROTH_ERR_INVALID);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        ck_assert_int_eq(paxos_participant_make(&participant, malformed[i], 1), TROTH_ERR_INVALID);
    }
    ck_assert_str_eq(participant.name, "Az09._-"); /* an error changes nothing */
}
END_TEST

START_TEST(sets_compare_by_content_and_live_as_long_as_they_are_held) {
    struct paxos_participant members[2];
    memset(members, 0xff, sizeof members); /* what was there before must not count */
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", 1), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", 2), 0);
    struct paxos_set *set = paxos_set_new(members, 2);
    struct paxos_set *same = paxos_set_new(members, 2);
    struct paxos_set *shorter = paxos_set_new(members, 1);
    members[1].incarnation = 3;
    struct paxos_set *later = paxos_set_new(members, 2);
    ck_assert(set != NULL && same != NULL && shorter != NULL && later != NULL);
    ck_assert(paxos_set_equal(set, set));
    ck_assert(paxos_set_equal(set, same));
    ck_assert(!paxos_set_equal(set, shorter));
    ck_assert(!paxos_set_equal(set, later));
    ck_assert(!paxos_set_equal(set, NULL));
    ck_assert_int_eq(paxos_set_find(set, "stock"), 1);
    ck_assert_int_eq(paxos_set_find(set, "stoc"), -1);

    ck_assert_ptr_eq(paxos_set_hold(set), set);
    paxos_set_release(set);
    ck_assert_uint_eq(set->refs, 1);
    paxos_set_release(set);
    paxos_set_release(same);
    paxos_set_release(shorter);
    paxos_set_release(later);
    paxos_set_release(NULL);
    ck_assert_ptr_null(paxos_set_hold(NULL));
}
END_TEST

static void *hold_and_release(void *arg) {
    for (int i = 0; i < 100000; i++) {
        paxos_set_release(paxos_set_hold(arg));
    }
    paxos_set_release(arg);
    return NULL;
}

START_TEST(threads_may_share_a_set) {
    pthread_t threads[3];
    struct paxos_participant member;
    ck_assert_int_eq(paxos_participant_make(&member, "orders", 1), 0);
    struct paxos_set *set = paxos_set_new(&member, 1);
    ck_assert_ptr_nonnull(set);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hold_and_release, paxos_set_hold(set)),
                         0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(set->refs, 1);
    paxos_set_release(set);
}
END_TEST

START_TEST(sets_that_differ_in_one_place_differ_in_their_hash) {
    struct paxos_participant members[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    uint64_t seen[3 * (PAXOS_NAME_BYTES + 8)];
    size_t n = 0;
    for (size_t i = 0; i < sizeof members; i++) {
        ((unsigned char *)members)[i] ^= 0x80;
        struct paxos_set *set = paxos_set_new(members, 3);
        ((unsigned char *)members)[i] ^= 0x80;
        ck_assert_ptr_nonnull(set);
        for (size_t j = 0; j < n; j++) {
            ck_assert_uint_ne(seen[j], set->hash);
        }
        seen[n++] = set->hash;
        paxos_set_release(set);
    }
}
END_TEST

START_TEST(every_ballot_above_0_has_one_owner_who_finds_it_next) {
    for (uint32_t nodes = 1; nodes <= PAXOS_NODES_MAX; nodes++) {
        for (uint32_t above = 0; above < 3 * nodes; above++) {
            for (uint32_t self = 1; self <= nodes; self++) {
                uint32_t next = paxos_ballot_next(above, self, nodes);
                ck_assert_uint_gt(next, above);
                ck_assert_uint_le(next, above + nodes);
                ck_assert_uint_eq(paxos_ballot_owner(next, nodes), self);
            }
        }
    }
    ck_assert_uint_eq(paxos_ballot_owner(3, 3), 3);
    ck_assert_uint_eq(paxos_ballot_owner(4, 3), 1);
}
END_TEST

START_TEST(two_majorities_always_share_a_node) {
    ck_assert_uint_eq(paxos_majority(1), 1);
    ck_assert_uint_eq(paxos_majority(3), 2);
    ck_assert_uint_eq(paxos_majority(5), 3);
    ck_assert_uint_eq(paxos_majority(31), 16);
    for (uint32_t nodes = 1; nodes <= 5; nodes++) {
        uint32_t all = (1u << (nodes + 1)) - 2; /* nodes are numbered from 1 */
        for (uint32_t mask = 0; mask <= all; mask += 2) {
            if (paxos_is_majority(mask, nodes)) {
                ck_assert(!paxos_is_majority(all & ~mask, nodes));
            } else if (nodes % 2 == 1) {
                ck_assert(paxos_is_majority(all & ~mask, nodes));
            }
        }
    }
}
END_TEST

int main(void) {
    return suite_run("types",
                     (const TTest *[]){names_are_for_people_and_unknown_numbers_are_a_question_mark,
                                       a_participants_name_has_1_to_47_plain_characters,
                                       sets_compare_by_content_and_live_as_long_as_they_are_held,
                                       threads_may_share_a_set,
                                       sets_that_differ_in_one_place_differ_in_their_hash,
                                       every_ballot_above_0_has_one_owner_who_finds_it_next,
                                       two_majorities_always_share_a_node, NULL});
}
