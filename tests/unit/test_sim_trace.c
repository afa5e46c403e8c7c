#include "tests/sim/trace.h"

#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/lib/suite.h"
#include "tests/sim/made.h"

static struct made made;

static struct speech prepare_of(uint32_t tx) {
    return (struct speech){.kind = SAY_PREPARE, .tx = tx, .set = 1u << 1 | 1u << 2};
}

/* What the trace writes of the made sights, all of it; the caller frees it. */
static char *write_all(void) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    struct trace trace;
    ck_assert_int_eq(trace_init(&trace, 0, file), 0);
    made_tell(&made, trace_see, &trace);
    trace_release(&trace);
    fclose(file);
    return text;
}

static char *print_last(const struct trace *trace, size_t n, uint32_t tx) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    trace_print_last(trace, file, n, tx);
    fclose(file);
    return text;
}

static int lines(const char *text) {
    int n = 0;
    for (; *text != '\0'; text++) {
        n += *text == '\n';
    }
    return n;
}

START_TEST(a_message_is_a_line_when_sent_and_when_received) {
    made_init(&made);
    made_say(&made, 1204337, made_node(1), made_rm(2), 663, prepare_of(3));
    char *text = write_all();
    ck_assert_str_eq(text, "       1204.337  n1 -> rm2     prepare tx3 {rm1 rm2}  #1\n"
                           "       1205.000  rm2           gets prepare tx3 {rm1 rm2}  #1\n");
    free(text);
}
END_TEST

START_TEST(ballots_votes_and_records_are_told_in_full) {
    made_init(&made);
    struct speech promise = {.kind = SAY_PHASE1B, .tx = 3, .ballot = 4, .set_known = true};
    promise.set = 1u << 1 | 1u << 2;
    promise.votes[1] = VOTE_PREPARED;
    made_say(&made, 1000, made_node(2), made_node(1), 10, promise);
    struct speech none = {.kind = SAY_PHASE2A, .tx = 3, .ballot = 4};
    made_say(&made, 2000, made_node(1), made_node(2), 10, none);
    struct node_record record = {
        .promised = 4, .set_known = true, .set = 1u << 1, .outcome = OUTCOME_COMMITTED};
    record.votes[1] = VOTE_PREPARED;
    made_store(&made, 3000, 2, 3, record);
    char *text = write_all();
    ck_assert_ptr_nonnull(strstr(text, "1b tx3 ballot 4 {rm1 rm2} rm1 prepared@0  #1\n"));
    ck_assert_ptr_nonnull(strstr(text, "2a tx3 ballot 4 void  #2\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "stores tx3 {rm1} votes: rm1 prepared@0; promised 4; committed\n"));
    free(text);
}
END_TEST

START_TEST(a_lost_message_is_named_though_only_its_number_is_told) {
    made_init(&made);
    made_lose(&made, 1000, made_node(1), made_rm(2), 500, prepare_of(3));
    char *text = write_all();
    ck_assert_ptr_nonnull(strstr(text, "          1.500  n1 -x rm2     lost: prepare tx3  #1\n"));
    free(text);
}
END_TEST

START_TEST(every_kind_of_sight_has_words) {
    made_init(&made);
    int64_t list[] = {1, 2, 3, 4, 5, 6, 7};
    struct op_seen ops[] = {
        {.kind = OP_ADD, .key = 4, .number = -5, .result = 95, .has_least = true, .least = 90},
        {.kind = OP_READ_LIST, .key = 5, .list = list, .list_n = 7}};
    for (int kind = SIGHT_NODE_DELETED; kind <= SIGHT_IN_DOUBT; kind++) {
        bool data = kind == SIGHT_RM_APPLIED || kind == SIGHT_DATA || kind == SIGHT_OP_DONE ||
                    kind == SIGHT_WORK_GIVEN;
        made_happens(&made, (struct sight){.kind = (enum sight_kind)kind,
                                           .at_us = kind,
                                           .who = made_rm(1),
                                           .to = made_client(1),
                                           .tx = 3,
                                           .text = kind == SIGHT_ALARM ? "too late" : NULL,
                                           .ops = data ? ops : NULL,
                                           .ops_n = data ? 2 : 0});
    }
    char *text = write_all();
    ck_assert_int_eq(lines(text), SIGHT_IN_DOUBT - SIGHT_NODE_DELETED + 1);
    ck_assert_ptr_nonnull(strstr(text, "applies tx3 k4 -5 = 95; k5 = [1 2 3 4 5 6 ... 7]\n"));
    ck_assert_ptr_nonnull(strstr(text, "gives c1 with the commit of tx3 k4 -5 if 90 are left;"));
    ck_assert_ptr_nonnull(strstr(text, "ALARM: too late\n"));
    ck_assert_ptr_nonnull(strstr(text, "rm1           crashes\n"));
    ck_assert_ptr_null(strstr(text, "?"));
    free(text);
}
END_TEST

START_TEST(every_message_has_words) {
    made_init(&made);
    for (int kind = 0; kind < SAY_KINDS; kind++) {
        struct speech speech = {.kind = (enum speech_kind)kind, .tx = 3, .set_known = true};
        made_say(&made, kind, made_node(1), made_node(2), 0, speech);
    }
    char *text = write_all();
    ck_assert_int_eq(lines(text), 2 * SAY_KINDS);
    ck_assert_ptr_null(strstr(text, "?"));
    free(text);
}
END_TEST

START_TEST(the_ring_keeps_the_last_as_they_were) {
    struct trace trace;
    ck_assert_int_eq(trace_init(&trace, 8, NULL), 0);
    made_init(&made);
    for (int i = 0; i < 20; i++) {
        made_say(&made, 1000 * i, made_node(1), made_rm(2), 100, prepare_of((uint32_t)i + 1));
    }
    made_tell(&made, trace_see, &trace);
    memset(made.sights, 0x55, sizeof made.sights); /* what it kept are copies */
    char *text = print_last(&trace, 3, 0);
    ck_assert_str_eq(text, "  ... 37 sights before\n"
                           "         18.100  rm2           gets prepare tx19 {rm1 rm2}  #19\n"
                           "         19.000  n1 -> rm2     prepare tx20 {rm1 rm2}  #20\n"
                           "         19.100  rm2           gets prepare tx20 {rm1 rm2}  #20\n");
    free(text);
    text = print_last(&trace, 100, 0);
    ck_assert_int_eq(lines(text), 9);
    free(text);
    trace_clear(&trace);
    text = print_last(&trace, 100, 0);
    ck_assert_str_eq(text, "");
    free(text);
    trace_release(&trace);
}
END_TEST

START_TEST(one_transaction_is_printed_with_what_happens_to_processes) {
    struct trace trace;
    ck_assert_int_eq(trace_init(&trace, 64, NULL), 0);
    made_init(&made);
    made_say(&made, 1000, made_node(1), made_rm(2), 100, prepare_of(3));
    made_say(&made, 2000, made_node(1), made_rm(2), 100, prepare_of(4));
    made_happens(&made, (struct sight){.kind = SIGHT_CRASH, .at_us = 3000, .who = made_rm(2)});
    made_lose(&made, 4000, made_node(1), made_rm(2), 100, prepare_of(3));
    made_lose(&made, 4000, made_node(1), made_rm(2), 100, prepare_of(4));
    made_tell(&made, trace_see, &trace);
    char *text = print_last(&trace, 100, 3);
    ck_assert_int_eq(lines(text), 5);
    ck_assert_ptr_null(strstr(text, "tx4"));
    ck_assert_ptr_nonnull(strstr(text, "crashes"));
    ck_assert_ptr_nonnull(strstr(text, "lost: prepare tx3"));
    free(text);
    trace_release(&trace);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_message_is_a_line_when_sent_and_when_received,
        ballots_votes_and_records_are_told_in_full,
        a_lost_message_is_named_though_only_its_number_is_told,
        every_kind_of_sight_has_words,
        every_message_has_words,
        the_ring_keeps_the_last_as_they_were,
        one_transaction_is_printed_with_what_happens_to_processes,
        NULL,
    };
    return suite_run("sim_trace", tests);
}
