/* history: what the lines look like, and that they are whole and in order. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "load/history.h"
#include "load/history_text.h"
#include "tests/lib/suite.h"

/* ---- One line -------------------------------------------------------------------------------- */

static uint32_t seen[] = {1, 2};
static struct history_step steps[] = {{.append = true, .key = 3, .value = 1},
                                      {.key = 4, .list = seen, .n = 2}};
static const struct history_call txn = {.f = HISTORY_TXN, .steps = steps, .n_steps = 2};
static const struct history_call transfer = {
    .f = HISTORY_TRANSFER, .from = 7, .to = 0, .amount = 25};
static struct history_balance balances[] = {{.account = 0, .amount = 1025},
                                            {.account = 1, .amount = -5}};
static const struct history_call read_all = {
    .f = HISTORY_READ, .balances = balances, .n_balances = 2};

static void prints(enum history_format format, struct history_event event, const char *line) {
    char *text = NULL;
    size_t n = 0;
    FILE *file = open_memstream(&text, &n);
    event.time_ns = 123456;
    history_text_print(file, format, &event);
    fclose(file);
    ck_assert_str_eq(text, line);
    free(text);
}

START_TEST(a_transaction_on_lists_is_as_Jepsen_writes_it) {
    prints(HISTORY_EDN, (struct history_event){.type = HISTORY_INVOKE, .call = &txn},
           "{:index 0, :type :invoke, :f :txn, :process 0, :time 123456, :value [[:append 3 1] [:r "
           "4 nil]]}\n");
    prints(HISTORY_EDN,
           (struct history_event){.index = 1, .type = HISTORY_OK, .call = &txn, .txid = "ab"},
           "{:index 1, :type :ok, :f :txn, :process 0, :time 123456, :value [[:append 3 1] [:r 4 "
           "[1 2]]], :txid \"ab\"}\n");
    prints(HISTORY_JSONL, (struct history_event){.type = HISTORY_INVOKE, .call = &txn},
           "{\"index\":0, \"type\":\"invoke\", \"f\":\"txn\", \"process\":0, \"time\":123456, "
           "\"value\":[[\"append\",3,1],[\"r\",4,null]]}\n");
    prints(HISTORY_JSONL,
           (struct history_event){.index = 1, .type = HISTORY_OK, .call = &txn, .txid = "ab"},
           "{\"index\":1, \"type\":\"ok\", \"f\":\"txn\", \"process\":0, \"time\":123456, "
           "\"value\":[[\"append\",3,1],[\"r\",4,[1,2]]], \"txid\":\"ab\"}\n");
}
END_TEST

START_TEST(an_operation_that_is_no_success_shows_nothing_that_it_may_have_read) {
    prints(HISTORY_EDN, (struct history_event){.type = HISTORY_INFO, .call = &txn},
           "{:index 0, :type :info, :f :txn, :process 0, :time 123456, :value [[:append 3 1] [:r 4 "
           "nil]]}\n");
    prints(HISTORY_EDN, (struct history_event){.type = HISTORY_FAIL, .call = &read_all},
           "{:index 0, :type :fail, :f :read, :process 0, :time 123456, :value nil}\n");
    prints(HISTORY_JSONL, (struct history_event){.type = HISTORY_FAIL, .call = &read_all},
           "{\"index\":0, \"type\":\"fail\", \"f\":\"read\", \"process\":0, \"time\":123456, "
           "\"value\":null}\n");
}
END_TEST

START_TEST(the_bank_is_as_Jepsen_writes_it) {
    prints(HISTORY_EDN,
           (struct history_event){.type = HISTORY_INVOKE, .process = 9, .call = &transfer},
           "{:index 0, :type :invoke, :f :transfer, :process 9, :time 123456, :value {:from 7 :to "
           "0 :amount 25}}\n");
    prints(HISTORY_EDN, (struct history_event){.type = HISTORY_OK, .call = &read_all},
           "{:index 0, :type :ok, :f :read, :process 0, :time 123456, :value {0 1025 1 -5}}\n");
    prints(HISTORY_JSONL, (struct history_event){.type = HISTORY_INVOKE, .call = &transfer},
           "{\"index\":0, \"type\":\"invoke\", \"f\":\"transfer\", \"process\":0, \"time\":123456, "
           "\"value\":{\"from\":7,\"to\":0,\"amount\":25}}\n");
    prints(HISTORY_JSONL, (struct history_event){.type = HISTORY_OK, .call = &read_all},
           "{\"index\":0, \"type\":\"ok\", \"f\":\"read\", \"process\":0, \"time\":123456, "
           "\"value\":{\"0\":1025,\"1\":-5}}\n");
}
END_TEST

START_TEST(a_text_in_a_line_can_neither_end_it_nor_its_string) {
    prints(
        HISTORY_EDN,
        (struct history_event){.type = HISTORY_FAIL, .call = &transfer, .error = "a \"b\"\\\n\tc"},
        "{:index 0, :type :fail, :f :transfer, :process 0, :time 123456, :value {:from 7 :to 0 "
        ":amount 25}, :error \"a \\\"b\\\"\\\\  c\"}\n");
}
END_TEST

START_TEST(the_format_is_told_by_the_end_of_the_path) {
    enum history_format format = HISTORY_JSONL;
    ck_assert(history_format_of("a.b/run.edn", &format));
    ck_assert_int_eq(format, HISTORY_EDN);
    ck_assert(history_format_of("run.jsonl", &format));
    ck_assert_int_eq(format, HISTORY_JSONL);
    ck_assert(!history_format_of("run", &format));
    ck_assert(!history_format_of("run.edn.gz", &format));
}
END_TEST

/* ---- Many lines ------------------------------------------------------------------------------ */

#define THREADS     4
#define CALLS       2000
#define KILLED_WITH 20000

static char path[64];

static void make_path(void) {
    snprintf(path, sizeof path, "/tmp/troth-history-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

/* Checks that there are only whole lines, numbered from 0, and no time before the one above.
 * Returns how many. */
static unsigned long check_lines(void) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    unsigned long n = 0;
    unsigned long last_time = 0;
    for (ssize_t length; (length = getline(&line, &room, file)) > 0; n++) {
        unsigned long index;
        unsigned long time;
        ck_assert_int_eq(sscanf(line, "{:index %lu,", &index), 1);
        ck_assert_uint_eq(index, n);
        ck_assert_int_eq(sscanf(strstr(line, ":time"), ":time %lu,", &time), 1);
        ck_assert_uint_ge(time, last_time);
        last_time = time;
        ck_assert_msg(length > 2 && strcmp(line + length - 2, "}\n") == 0, "%s", line);
    }
    free(line);
    fclose(file);
    return n;
}

static struct history *shared;

static void *write_calls(void *arg) {
    uint32_t process = *(uint32_t *)arg;
    for (unsigned i = 0; i < CALLS; i++) {
        history_invoke(shared, process, &txn);
        history_complete(shared, HISTORY_OK, process, &txn, NULL, NULL);
    }
    return NULL;
}

START_TEST(lines_of_many_threads_are_whole_and_in_the_order_of_their_times) {
    char why[HISTORY_WHY_BYTES];
    pthread_t threads[THREADS];
    uint32_t processes[THREADS];
    make_path();
    ck_assert_int_eq(history_open(&shared, path, HISTORY_EDN, why), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        processes[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_calls, &processes[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(history_lines(shared), 2ul * THREADS * CALLS);
    ck_assert_int_eq(history_close(shared), 0);
    ck_assert_uint_eq(check_lines(), 2ul * THREADS * CALLS);
    unlink(path);
}
END_TEST

START_TEST(what_a_killed_process_leaves_is_a_beginning_in_whole_lines) {
    char why[HISTORY_WHY_BYTES];
    make_path();
    pid_t child = fork();
    if (child == 0) {
        if (history_open(&shared, path, HISTORY_EDN, why) != 0) {
            _exit(1);
        }
        for (unsigned i = 0; i < KILLED_WITH; i++) {
            history_invoke(shared, 0, &txn);
        }
        kill(getpid(), SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    unsigned long n = check_lines();
    ck_assert_uint_gt(n, KILLED_WITH / 2);
    ck_assert_uint_le(n, KILLED_WITH);
    unlink(path);
}
END_TEST

START_TEST(a_file_that_cannot_be_made_is_refused_with_the_reason) {
    char why[HISTORY_WHY_BYTES];
    struct history *history;
    ck_assert_int_eq(history_open(&history, "/nowhere/run.edn", HISTORY_EDN, why),
                     TROTH_ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(why, "/nowhere/run.edn"));
    ck_assert_ptr_nonnull(strstr(why, strerror(ENOENT)));
}
END_TEST

START_TEST(a_disk_that_is_full_is_an_error_at_the_close) {
    char why[HISTORY_WHY_BYTES];
    struct history *history;
    ck_assert_int_eq(history_open(&history, "/dev/full", HISTORY_EDN, why), 0);
    history_invoke(history, 0, &transfer);
    ck_assert_int_eq(history_close(history), TROTH_ERR_STORAGE);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        a_transaction_on_lists_is_as_Jepsen_writes_it,
        an_operation_that_is_no_success_shows_nothing_that_it_may_have_read,
        the_bank_is_as_Jepsen_writes_it,
        a_text_in_a_line_can_neither_end_it_nor_its_string,
        the_format_is_told_by_the_end_of_the_path,
        lines_of_many_threads_are_whole_and_in_the_order_of_their_times,
        what_a_killed_process_leaves_is_a_beginning_in_whole_lines,
        a_file_that_cannot_be_made_is_refused_with_the_reason,
        a_disk_that_is_full_is_an_error_at_the_close,
        NULL,
    };
    return suite_run("history", tests);
}
