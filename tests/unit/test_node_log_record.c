/* node_log_record: what is written is read as it was, and nothing else is. */
#include "coordinator/node_log_record.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/suite.h"

static struct node_log_reader *reader;

static struct acceptor read_good(const char *text) {
    struct acceptor record = {0};
    ck_assert_int_eq(node_log_record_read(reader, text, &record), 0);
    return record;
}

START_TEST(what_is_written_is_read_as_it_was) {
    reader = node_log_reader_new();
    for (uint32_t n = 1; n <= PAXOS_PARTICIPANTS_MAX; n = n < 3 ? n + 1 : n * 7 / 2) {
        struct paxos_participant *members = calloc(n, sizeof *members);
        struct acceptor record = {.accepted = calloc(n, sizeof *record.accepted)};
        for (uint32_t i = 0; i < n; i++) {
            char name[PAXOS_NAME_BYTES];
            snprintf(name, sizeof name, "A.z_-%042u", i); /* as long as may be */
            ck_assert_int_eq(paxos_participant_make(&members[i], name, i == 0 ? UINT64_MAX : i - 1),
                             0);
            record.accepted[i] =
                (struct paxos_accepted){.ballot = i % 3 == 0 ? PAXOS_BALLOT_MAX : i,
                                        .vote = (enum paxos_vote)(i % (PAXOS_VOTE_LAST + 1))};
        }
        record.set = paxos_set_new(members, n);
        struct node_log_text text = {0};
        ck_assert_int_eq(node_log_record_write(&record, &text), 0);
        struct acceptor read = read_good(text.text);
        ck_assert(paxos_set_equal(read.set, record.set));
        ck_assert_mem_eq(read.accepted, record.accepted, n * sizeof *read.accepted);
        acceptor_release(&read);
        acceptor_release(&record);
        free(text.text);
        free(members);
    }
    node_log_reader_free(reader);
}
END_TEST

START_TEST(a_record_without_votes_has_no_text) {
    reader = node_log_reader_new();
    struct acceptor read = read_good("");
    ck_assert_ptr_null(read.set);
    node_log_reader_free(reader);
}
END_TEST

START_TEST(any_other_text_is_damaged) {
    static const char *const damaged[] = {
        " ", "[]", "null", "[[]]", "x", "[", "[[\"a\",1,0,1]", "[[\"a\",1,0,1]]]",
        "[[\"a\",1,0,1]] ", " [[\"a\",1,0,1]]", "[[\"a\", 1,0,1]]", "[[\"a\",1,0]]",
        "[[\"a\",1,0,1,1]]", "[[\"a\",1,0,1],]", "[[\"a\",1,0,1][\"b\",1,0,1]]", "[,[\"a\",1,0,1]]",
        /* names */
        "[[\"\",1,0,1]]", "[[\"a b\",1,0,1]]", "[[\"\\u0061\",1,0,1]]", "[[a,1,0,1]]",
        "[[\"a,1,0,1]]", "[[\"abcdefghijabcdefghijabcdefghijabcdefghijabcdefgh\",1,0,1]]",
        /* numbers */
        "[[\"a\",,0,1]]", "[[\"a\",-1,0,1]]", "[[\"a\",+1,0,1]]", "[[\"a\",01,0,1]]",
        "[[\"a\",1.0,0,1]]", "[[\"a\",\"1\",0,1]]", "[[\"a\",18446744073709551616,0,1]]",
        "[[\"a\",99999999999999999999999,0,1]]", "[[\"a\",1,1073741825,1]]", "[[\"a\",1,0,5]]",
        "[[\"a\",1,0,9]]", "[[\"a\",1,0,10]]"};
    reader = node_log_reader_new();
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct acceptor record = {0};
        ck_assert_msg(node_log_record_read(reader, damaged[i], &record) == TROTH_ERR_CORRUPT, "%s",
                      damaged[i]);
        ck_assert_ptr_null(record.set);
        ck_assert_ptr_null(record.accepted);
    }
    node_log_reader_free(reader);
}
END_TEST

START_TEST(a_participant_more_than_there_may_be_is_damage) {
    size_t entry = strlen("[\"a\",1,0,1],");
    char *text = malloc((PAXOS_PARTICIPANTS_MAX + 1) * entry + 3);
    reader = node_log_reader_new();
    for (uint32_t n = PAXOS_PARTICIPANTS_MAX; n <= PAXOS_PARTICIPANTS_MAX + 1; n++) {
        struct acceptor record = {0};
        for (uint32_t i = 0; i < n; i++) {
            memcpy(text + i * entry, i == 0 ? "[[\"a\",1,0,1]" : ",[\"a\",1,0,1]", entry + 1);
        }
        /* The first entry is as long as the others, for its bracket stands for their comma. */
        strcpy(text + n * entry, "]");
        ck_assert_int_eq(node_log_record_read(reader, text, &record),
                         n > PAXOS_PARTICIPANTS_MAX ? TROTH_ERR_CORRUPT : 0);
        acceptor_release(&record);
    }
    node_log_reader_free(reader);
    free(text);
}
END_TEST

START_TEST(equal_sets_are_one_in_memory_and_outlive_the_reader) {
    reader = node_log_reader_new();
    struct acceptor a = read_good("[[\"a\",1,0,1],[\"b\",1,0,1]]");
    struct acceptor b = read_good("[[\"a\",1,4,3],[\"b\",1,4,3]]");
    struct acceptor swapped = read_good("[[\"b\",1,0,1],[\"a\",1,0,1]]");
    struct acceptor restarted = read_good("[[\"a\",1,0,1],[\"b\",2,0,1]]");
    struct acceptor fewer = read_good("[[\"a\",1,0,1]]");
    ck_assert_ptr_eq(a.set, b.set);
    ck_assert_ptr_ne(a.set, swapped.set);
    ck_assert_ptr_ne(a.set, restarted.set);
    ck_assert_ptr_ne(a.set, fewer.set);
    ck_assert_int_eq(b.accepted[1].vote, PAXOS_VOTE_ABORTED);
    acceptor_release(&a);
    node_log_reader_free(reader);
    ck_assert_str_eq(b.set->members[1].name, "b");
    acceptor_release(&b);
    acceptor_release(&swapped);
    acceptor_release(&restarted);
    acceptor_release(&fewer);
}
END_TEST

START_TEST(sets_beyond_what_the_reader_remembers_are_read_all_the_same) {
    reader = node_log_reader_new();
    for (uint32_t i = 0; i < 20000; i++) {
        char text[64];
        snprintf(text, sizeof text, "[[\"a\",%u,0,1]]", i);
        struct acceptor record = read_good(text);
        ck_assert_uint_eq(record.set->members[0].incarnation, i);
        acceptor_release(&record);
    }
    node_log_reader_free(reader);
}
END_TEST

int main(void) {
    return suite_run(
        "node_log_record",
        (const TTest *[]){what_is_written_is_read_as_it_was, a_record_without_votes_has_no_text,
                          any_other_text_is_damaged, a_participant_more_than_there_may_be_is_damage,
                          equal_sets_are_one_in_memory_and_outlive_the_reader,
                          sets_beyond_what_the_reader_remembers_are_read_all_the_same, NULL});
}
