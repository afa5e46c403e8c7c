/* message: owning, naming, and details for people. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "tests/lib/suite.h"

START_TEST(release_gives_back_what_a_message_owns) {
    struct paxos_participant member;
    ck_assert_int_eq(paxos_participant_make(&member, "a", 1), 0);
    struct paxos_set *set = paxos_set_new(&member, 1);
    ck_assert_ptr_nonnull(set);
    struct message message = {.type = MESSAGE_PHASE2A,
                              .set = paxos_set_hold(set),
                              .votes = calloc(1, sizeof *message.votes),
                              .n_votes = 1,
                              .accepted = calloc(1, sizeof *message.accepted)};
    message_release(&message);
    ck_assert_int_eq(message.type, MESSAGE_NONE);
    ck_assert_ptr_null(message.votes);
    ck_assert_uint_eq(set->refs, 1);
    message_release(&message);
    paxos_set_release(set);
}
END_TEST

START_TEST(a_detail_is_cut_between_characters) {
    struct message message = {.type = MESSAGE_NONE};
    message_set_detail(&message, NULL);
    ck_assert_str_eq(message.detail, "");
    message_set_detail(&message, "lock on \xc3\xa9t\xc3\xa9 lost");
    ck_assert_str_eq(message.detail, "lock on \xc3\xa9t\xc3\xa9 lost");

    char text[2 * MESSAGE_DETAIL_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    message_set_detail(&message, text);
    ck_assert_uint_eq(strlen(message.detail), MESSAGE_DETAIL_BYTES - 1);
    memcpy(&text[MESSAGE_DETAIL_BYTES - 2], "\xe2\x82\xac", 3); /* would be cut in its middle */
    message_set_detail(&message, text);
    ck_assert_uint_eq(strlen(message.detail), MESSAGE_DETAIL_BYTES - 2);
}
END_TEST

START_TEST(a_detail_is_always_text_that_can_be_shown_and_sent) {
    struct message message = {.type = MESSAGE_NONE};
    message_set_detail(&message, "a\x1b[31m\nb\x7f");
    ck_assert_str_eq(message.detail, "a?[31m?b?");
    message_set_detail(&message, "\xff\xc3(\xe2\x82");
    ck_assert_str_eq(message.detail, "?\?(??");
}
END_TEST

START_TEST(every_type_has_a_name_of_its_own) {
    for (int i = 0; i <= MESSAGE_PING; i++) {
        ck_assert_str_ne(message_type_name((enum message_type)i), "?");
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(message_type_name((enum message_type)i),
                             message_type_name((enum message_type)j));
        }
    }
    ck_assert_str_eq(message_type_name((enum message_type)(MESSAGE_PING + 1)), "?");
}
END_TEST

int main(void) {
    return suite_run("message",
                     (const TTest *[]){release_gives_back_what_a_message_owns,
                                       a_detail_is_cut_between_characters,
                                       a_detail_is_always_text_that_can_be_shown_and_sent,
                                       every_type_has_a_name_of_its_own, NULL});
}
