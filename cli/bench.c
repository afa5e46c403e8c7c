/* troth bench: a load on somebody's own cluster. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "cli/cli.h"
#include "load/load.h"
#include "shell/clock.h"

#define CLIENTS       8
#define SECONDS       10
#define LISTS         16
#define ACCOUNTS      64
#define LENGTH        4
#define LIST_READS    50 /* percent */
#define BANK_READS    10
#define TIMEOUT_MS    10000
#define CLOSING       6 /* timeouts: for reading back, and for removing */
#define PROGRESS_MS   200
#define KEYS_ADVICE   "Delete them with `troth kv scan` and `troth kv delete`."
#define READS_ADVICE  "The history is right, but does not show what became of the last appends."
#define OF(given, or) ((given) != 0 ? (given) : (or))

struct bench {
    struct cli *cli;
    const char *workload;
    struct load_options options;
    struct load *load;
    int64_t began_us;
    double seconds; /* that it took */
    struct load_totals totals;
    uint64_t p50_us, p99_us;
};

/* ---- What is asked for ----------------------------------------------------------------------- */

static int choose_history_format(const struct cli *cli, enum history_format *format) {
    const char *name = cli->bench.format;
    if (cli->bench.history == NULL) {
        return name == NULL ? 0 : cli_usage(cli, "--history-format needs --history");
    }
    if (name == NULL) {
        return history_format_of(cli->bench.history, format)
                   ? 0
                   : cli_usage(cli,
                               "--history: %s ends with neither .edn nor .jsonl; give "
                               "--history-format",
                               cli->bench.history);
    }
    if (strcmp(name, "edn") == 0) {
        *format = HISTORY_EDN;
    } else if (strcmp(name, "jsonl") == 0) {
        *format = HISTORY_JSONL;
    } else {
        return cli_usage(cli, "--history-format: \"%s\" is neither edn nor jsonl", name);
    }
    return 0;
}

static int choose(struct bench *bench, const char *workload) {
    struct cli *cli = bench->cli;
    const struct cli_bench *given = &cli->bench;
    bool bank = strcmp(workload, "bank") == 0;
    if (!bank && strcmp(workload, "append") != 0) {
        return cli_usage(cli, "there is no workload \"%s\"; there are append and bank", workload);
    }
    if (bank && given->length_max != 0) {
        return cli_usage(cli, "--max-txn-length is for the workload append");
    }
    if (bank && given->keys == 1) {
        return cli_usage(cli, "--keys: a bank needs 2 accounts");
    }
    if (!bank && given->one_call) {
        return cli_usage(cli, "--one-call is for the workload bank: an append reads its list");
    }
    bench->workload = workload;
    bench->options = (struct load_options){
        .kind = bank ? LOAD_BANK : LOAD_APPEND,
        .clients = OF(given->clients, CLIENTS),
        .keys = OF(given->keys, bank ? ACCOUNTS : LISTS),
        .length_max = OF(given->length_max, LENGTH),
        .read_percent = given->has_read_share ? given->read_share
                        : bank                ? BANK_READS
                                              : LIST_READS,
        .one_call = given->one_call,
        .transactions = given->transactions,
        .timeout_ms = OF(cli->timeout_ms, TIMEOUT_MS),
    };
    uint32_t seed = given->seed;
    if (!given->has_seed) {
        clock_random(&seed, sizeof seed);
    }
    bench->options.seed = seed;
    return 0;
}

/* ---- While it runs --------------------------------------------------------------------------- */

/* Before any thread is there, so that all leave them to this one. */
static void hold_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static void show_progress(const struct bench *bench) {
    struct load_totals totals;
    double seconds = (double)(clock_monotonic_us() - bench->began_us) / 1e6;
    load_totals(bench->load, &totals);
    fprintf(stderr,
            "\r\033[K%.0f s   %" PRIu64 " committed, %.0f a second   %" PRIu64 " aborted   %" PRIu64
            " unknown",
            seconds, totals.committed, (double)totals.committed / seconds,
            totals.aborted + totals.declined, totals.unknown);
}

static bool is_history_broken(const struct bench *bench) {
    return bench->options.history != NULL && history_error(bench->options.history) != 0;
}

/* Until the time is over, all is done, the history can't be written, or a signal asks to end. */
static void wait_for_end(const struct bench *bench, const sigset_t *signals) {
    const struct cli_bench *given = &bench->cli->bench;
    uint32_t seconds =
        given->transactions != 0 && given->seconds == 0 ? 0 : OF(given->seconds, SECONDS);
    bool terminal = isatty(STDERR_FILENO) == 1;
    bool asked = false;
    while (!asked && load_running(bench->load) && !is_history_broken(bench)) {
        int64_t left_ms = PROGRESS_MS;
        if (seconds != 0) {
            left_ms = seconds * INT64_C(1000) - (clock_monotonic_us() - bench->began_us) / 1000;
            if (left_ms <= 0) {
                break;
            }
            left_ms = left_ms < PROGRESS_MS ? left_ms : PROGRESS_MS;
        }
        struct timespec pause = {.tv_nsec = left_ms * 1000000};
        asked = sigtimedwait(signals, NULL, &pause) > 0;
        if (terminal) {
            show_progress(bench);
        }
    }
    if (terminal) {
        fprintf(stderr, "\r\033[K");
    }
    /* From here on a second signal ends the process at once. */
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

/* ---- What came of it ------------------------------------------------------------------------- */

/* With three digits behind the point. */
static void add_real(struct json_object *object, const char *name, double value) {
    char text[32];
    snprintf(text, sizeof text, "%.3f", value);
    json_object_object_add(object, name, json_object_new_double_s(value, text));
}

static void print_json(const struct bench *bench) {
    const struct load_totals *totals = &bench->totals;
    const struct load_options *options = &bench->options;
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "workload", json_object_new_string(bench->workload));
    json_object_object_add(object, "clients", json_object_new_int64(options->clients));
    json_object_object_add(object, "keys", json_object_new_int64(options->keys));
    json_object_object_add(object, "one_call", json_object_new_boolean(options->one_call));
    json_object_object_add(object, "seed", json_object_new_int64((int64_t)options->seed));
    add_real(object, "seconds", bench->seconds);
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {
        {"transactions", totals->tried}, {"committed", totals->committed},
        {"aborted", totals->aborted},    {"declined", totals->declined},
        {"unknown", totals->unknown},    {"unreached", totals->unreached},
        {"failed", totals->failed},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_object_object_add(object, counts[i].name, json_object_new_int64((int64_t)counts[i].n));
    }
    add_real(object, "per_second", (double)totals->committed / bench->seconds);
    add_real(object, "p50_ms", (double)bench->p50_us / 1e3);
    add_real(object, "p99_ms", (double)bench->p99_us / 1e3);
    if (bench->cli->bench.history != NULL) {
        json_object_object_add(object, "history",
                               json_object_new_string(bench->cli->bench.history));
        json_object_object_add(object, "history_lines",
                               json_object_new_int64((int64_t)history_lines(options->history)));
    }
    if (totals->last_error[0] != '\0') {
        json_object_object_add(object, "last_error", json_object_new_string(totals->last_error));
    }
    cli_print_json(object);
}

static void print_count(const char *name, uint64_t n, const char *what) {
    if (n > 0) {
        printf("%-14s%" PRIu64 "   %s\n", name, n, what);
    }
}

static void print_text(const struct bench *bench) {
    const struct load_totals *totals = &bench->totals;
    printf("%-14s%s%s, %u clients, %.1f s, seed %" PRIu64 "\n", "workload", bench->workload,
           bench->options.one_call ? " by one call" : "", bench->options.clients, bench->seconds,
           bench->options.seed);
    printf("%-14s%" PRIu64 "\n", "transactions", totals->tried);
    printf("%-14s%" PRIu64 "   %.0f a second\n", "committed", totals->committed,
           (double)totals->committed / bench->seconds);
    printf("%-14s%" PRIu64 "\n", "aborted", totals->aborted);
    print_count("declined", totals->declined, "the payer had too little");
    printf("%-14s%" PRIu64 "\n", "unknown", totals->unknown);
    print_count("unreached", totals->unreached, "no node or shard did the work");
    print_count("failed", totals->failed, "");
    printf("%-14sp50 %.2f ms, p99 %.2f ms\n", "latency", (double)bench->p50_us / 1e3,
           (double)bench->p99_us / 1e3);
    if (bench->options.history != NULL) {
        printf("%-14s%s, %" PRIu64 " lines\n", "history", bench->cli->bench.history,
               history_lines(bench->options.history));
    }
    if (totals->last_error[0] != '\0') {
        printf("%-14s%s\n", "last error", totals->last_error);
    }
}

static int status_of(const struct load_totals *totals) {
    if (totals->committed > 0) {
        return CLI_DONE;
    }
    if (totals->unknown > 0) {
        return CLI_UNKNOWN;
    }
    if (totals->unreached > 0) {
        return CLI_NO_CONTACT;
    }
    return totals->failed > 0 ? CLI_ERROR : CLI_NOT_DONE;
}

/* ---- The run --------------------------------------------------------------------------------- */

static void measure(struct bench *bench) {
    struct histogram latencies;
    int64_t took_us = clock_monotonic_us() - bench->began_us;
    bench->seconds = (double)(took_us > 0 ? took_us : 1) / 1e6;
    load_totals(bench->load, &bench->totals);
    load_latencies(bench->load, &latencies);
    bench->p50_us = histogram_percentile(&latencies, 50);
    bench->p99_us = histogram_percentile(&latencies, 99);
}

/* CLI_DONE, or the exit status that is due when all else was well. */
static int close_up(const struct bench *bench) {
    const struct cli *cli = bench->cli;
    char why[LOAD_WHY_BYTES];
    int status = CLI_DONE;
    int64_t time_ms = CLOSING * (int64_t)bench->options.timeout_ms;
    bool read_back = bench->options.history != NULL && !is_history_broken(bench);
    if (read_back && load_read_back(bench->load, time_ms, why) != 0) {
        fprintf(stderr, "%s: the closing reads did not commit: %s\n" READS_ADVICE "\n", cli->path,
                why);
        status = CLI_UNKNOWN;
    }
    if (!cli->bench.keep && load_remove(bench->load, time_ms, why) != 0) {
        fprintf(stderr, "%s: %s\n" KEYS_ADVICE "\n", cli->path, why);
        status = status == CLI_DONE ? CLI_ERROR : status;
    }
    return status;
}

static int run(struct bench *bench, const sigset_t *signals) {
    char why[LOAD_WHY_BYTES] = "";
    int err = load_new(&bench->load, &bench->options, why);
    if (err == 0) {
        /* There is nothing to end in order yet: a signal ends the process. */
        pthread_sigmask(SIG_UNBLOCK, signals, NULL);
        err = load_set_up(bench->load, why);
        pthread_sigmask(SIG_BLOCK, signals, NULL);
    }
    if (err == 0) {
        bench->began_us = clock_monotonic_us();
        err = load_start(bench->load, why);
    }
    if (err != 0) {
        load_free(bench->load);
        return cli_fail(bench->cli, "nothing is measured", err, why);
    }
    wait_for_end(bench, signals);
    load_stop(bench->load);
    measure(bench);
    int closed = close_up(bench);
    if (bench->cli->json) {
        print_json(bench);
    } else {
        print_text(bench);
    }
    load_free(bench->load);
    int status = status_of(&bench->totals);
    return status == CLI_DONE || status == CLI_NOT_DONE ? OF(closed, status) : status;
}

/* The same, with the history opened before and closed after. */
static int run_with_history(struct bench *bench, enum history_format format,
                            const sigset_t *signals) {
    const char *path = bench->cli->bench.history;
    char why[HISTORY_WHY_BYTES];
    int err = path == NULL ? 0 : history_open(&bench->options.history, path, format, why);
    if (err != 0) {
        return cli_fail(bench->cli, "nothing is measured", err, why);
    }
    int status = run(bench, signals);
    err = history_close(bench->options.history);
    return err == 0 ? status
                    : cli_fail(bench->cli, path, err,
                               "the history has an end too early; is the disk full?");
}

int cli_bench(struct cli *cli, int argc, char **argv) {
    (void)argc;
    struct bench bench = {.cli = cli};
    enum history_format format = HISTORY_EDN;
    struct troth *troth = NULL;
    struct troth_kv *kv = NULL;
    sigset_t signals;
    int status = choose(&bench, argv[0]);
    if (status == 0) {
        status = choose_history_format(cli, &format);
    }
    if (status != 0) {
        return status;
    }
    hold_signals(&signals);
    status = cli_open(cli, &troth);
    if (status == 0) {
        status = cli_open_kv(cli, troth, &kv);
    }
    if (status == 0) {
        bench.options.troth = troth;
        bench.options.kv = kv;
        status = run_with_history(&bench, format, &signals);
    }
    troth_kv_close(kv);
    if (troth != NULL) {
        troth_close(troth);
    }
    return status;
}
