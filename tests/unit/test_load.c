/* load: what can be said without a cluster. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "load/load.h"
#include "load/workload.h"
#include "tests/lib/suite.h"

static struct troth *troth;
static struct troth_kv *kv;
static struct load *load;
static char why[LOAD_WHY_BYTES];

static struct load_options options_of(enum load_kind kind) {
    return (struct load_options){.troth = troth,
                                 .kv = kv,
                                 .kind = kind,
                                 .clients = 2,
                                 .keys = 4,
                                 .length_max = 4,
                                 .read_percent = 50,
                                 .seed = 7,
                                 .timeout_ms = 300};
}

static void make(enum load_kind kind) {
    struct load_options options = options_of(kind);
    ck_assert_int_eq(load_new(&load, &options, why), 0);
}

START_TEST(numbers_out_of_their_range_are_refused_with_the_reason) {
    struct load_options options[8];
    for (size_t i = 0; i < 8; i++) {
        options[i] = options_of(i == 6 ? LOAD_BANK : LOAD_APPEND);
    }
    options[0].clients = 0;
    options[1].clients = LOAD_CLIENTS_MAX + 1;
    options[2].keys = 0;
    options[3].length_max = 0;
    options[4].length_max = LOAD_LENGTH_MAX + 1;
    options[5].read_percent = 101;
    options[6].keys = 1; /* nobody to send money to */
    options[7].one_call = true;
    for (size_t i = 0; i < 8; i++) {
        why[0] = '\0';
        ck_assert_int_eq(load_new(&load, &options[i], why), TROTH_ERR_INVALID);
        ck_assert(why[0] != '\0');
    }
}
END_TEST

START_TEST(a_value_is_never_drawn_twice_for_a_list_and_a_full_list_is_left) {
    static bool drawn[1000][LOAD_LIST_MAX + 1];
    struct history_call call;
    make(LOAD_APPEND);
    for (unsigned i = 0; i < 2000; i++) {
        workload_append.draw(&load->clients[i % 2], &call);
        ck_assert(call.n_steps >= 1 && call.n_steps <= 4);
        for (size_t k = 0; k < call.n_steps; k++) {
            const struct history_step *step = &call.steps[k];
            if (step->append) {
                ck_assert(step->key < 1000 && step->value >= 1 && step->value <= LOAD_LIST_MAX);
                ck_assert(!drawn[step->key][step->value]);
                drawn[step->key][step->value] = true;
            }
        }
    }
    ck_assert_uint_gt(load->next_key, 4);
    load_free(load);
}
END_TEST

START_TEST(one_seed_draws_the_same_and_another_something_else) {
    struct load *other;
    struct history_call call;
    struct history_call same;
    struct load_options options = options_of(LOAD_BANK);
    options.read_percent = 0;
    bool differs = false;
    for (unsigned seed = 7; seed <= 8; seed++) {
        make(LOAD_BANK);
        load->options.read_percent = 0;
        options.seed = seed;
        ck_assert_int_eq(load_new(&other, &options, why), 0);
        for (unsigned i = 0; i < 100; i++) {
            workload_bank.draw(&load->clients[0], &call);
            workload_bank.draw(&other->clients[0], &same);
            ck_assert(call.from != call.to && call.from < 4 && call.to < 4);
            bool equal = call.from == same.from && call.to == same.to && call.amount == same.amount;
            ck_assert(equal || seed == 8);
            differs = differs || !equal;
        }
        load_free(load);
        load_free(other);
    }
    ck_assert(differs);
}
END_TEST

START_TEST(where_nobody_is_the_set_up_says_so) {
    make(LOAD_BANK);
    ck_assert_int_eq(load_set_up(load, why), TROTH_ERR_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(why, "127.0.0.1:1"));
    load_free(load);
}
END_TEST

static void reach_nobody(enum load_kind kind, bool one_call) {
    char path[] = "/tmp/troth-load-XXXXXX";
    struct history *history;
    struct load_options options = options_of(kind);
    struct load_totals totals;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(history_open(&history, path, HISTORY_EDN, why), 0);
    options.transactions = 3;
    options.read_percent = one_call ? 0 : 50;
    options.one_call = one_call;
    options.history = history;
    ck_assert_int_eq(load_new(&load, &options, why), 0);
    ck_assert_int_eq(load_start(load, why), 0);
    while (load_running(load)) {
        usleep(1000);
    }
    load_stop(load);
    load_totals(load, &totals);
    ck_assert_uint_eq(totals.tried, 3);
    ck_assert_uint_eq(totals.unreached, 3);
    ck_assert_ptr_nonnull(strstr(totals.last_error, "127.0.0.1:1"));
    load_free(load);
    ck_assert_uint_eq(history_lines(history), 6);
    ck_assert_int_eq(history_close(history), 0);
    FILE *file = fdopen(fd, "r");
    char *line = NULL;
    size_t room = 0;
    unsigned failed = 0;
    while (getline(&line, &room, file) > 0) {
        failed += strstr(line, ":type :fail") != NULL ? 1 : 0;
    }
    ck_assert_uint_eq(failed, 3);
    free(line);
    fclose(file);
    unlink(path);
}

START_TEST(transactions_that_reach_nobody_failed_and_are_counted) {
    reach_nobody(LOAD_APPEND, false);
    reach_nobody(LOAD_BANK, true);
}
END_TEST

/* Nobody listens at port 1. */
static int with_nobody(const TTest *const *tests) {
    if (troth_open(&troth, &(struct troth_options){.nodes = "127.0.0.1:1", .timeout_ms = 300}) !=
            0 ||
        troth_kv_open(&kv, troth,
                      &(struct troth_kv_options){.shards = "a=127.0.0.1:1", .timeout_ms = 300}) !=
            0) {
        return EXIT_FAILURE;
    }
    int status = suite_run("load", tests);
    troth_kv_close(kv);
    troth_close(troth);
    return status;
}

int main(void) {
    const TTest *const tests[] = {
        numbers_out_of_their_range_are_refused_with_the_reason,
        a_value_is_never_drawn_twice_for_a_list_and_a_full_list_is_left,
        one_seed_draws_the_same_and_another_something_else,
        where_nobody_is_the_set_up_says_so,
        transactions_that_reach_nobody_failed_and_are_counted,
        NULL,
    };
    /* The library's threads do not survive a fork. */
    setenv("CK_FORK", "no", 1);
    return with_nobody(tests);
}
