#include "harness/bench_postgres_command.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/bench_args.h"
#include "harness/bench_data.h"
#include "harness/bench_exit.h"
#include "harness/bench_postgres.h"
#include "harness/bench_report.h"
#include "harness/bench_syncs.h"
#include "harness/demo_screen.h"

#define CLIENTS_MAX 64u

static void help(FILE *out) {
    fputs(
        "usage: troth-bench postgres [OPTION...]\n\n"
        "Transactions that change a row at each of two PostgreSQL servers: through Troth, and by\n"
        "the same program with PREPARE TRANSACTION and COMMIT PREPARED alone, in turn. Servers\n"
        "and nodes are its own, on this machine, and sync every write.\n\n"
        "  --clients N,N   how many work at the same time (1,8,32)\n"
        "  --rounds N      of each of the two, for each number of clients (5)\n"
        "  --seconds S     of each round (4)\n"
        "  --nodes N       of Troth (3)\n"
        "  --apart         statements go to one server after the other, as in most programs; else "
        "to\n"
        "                  both at the same time\n"
        "  --sync-ms MS    each sync of each process takes so much longer, as on a slower disk of\n"
        "                  its own (0)\n"
        "  --data FOLDER   new or empty folder for all files; else one under $TMPDIR\n"
        "  --json FILE     write the figures there\n"
        "  --help          show this\n\n"
        "Exit status: 0 measured, and the servers agree; 1 they do not; 2 wrong arguments; 3 it\n"
        "could not run.\n",
        out);
}

static bool read_number(const char *text, unsigned most, unsigned *number) {
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value < 1 ||
        value > most) {
        return false;
    }
    *number = (unsigned)value;
    return true;
}

static bool read_sizes(const char *text, struct bench_postgres_options *options) {
    options->n_sizes = 0;
    for (;;) {
        char word[16];
        size_t n = strcspn(text, ",");
        if (options->n_sizes == BENCH_SIZES_MAX || n >= sizeof word) {
            return false;
        }
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        if (!read_number(word, CLIENTS_MAX, &options->sizes[options->n_sizes++])) {
            return false;
        }
        if (text[n] == '\0') {
            return true;
        }
        text += n + 1;
    }
}

struct asked {
    struct bench_postgres_options options;
    unsigned sync_ms;
    const char *json;
    bool help;
};

/* Starts the program anew where syncs are to be slower. The name comes first then, as it did:
 * getopt has put it behind the options. */
static int slow_down(const struct asked *asked, int argc, char *argv[], char why[BENCH_WHY_BYTES]) {
    char **again = calloc((size_t)argc + 1, sizeof *again);
    int err = again == NULL ? TROTH_ERR_NO_MEMORY : 0;
    if (err == 0) {
        again[0] = argv[0];
        again[1] = argv[argc - 1];
        memcpy(&again[2], &argv[1], (size_t)(argc - 2) * sizeof *again);
        err = bench_syncs_slow_down(asked->sync_ms, again);
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "can't slow syncs down: %s", troth_err_text(err));
    } else if (asked->sync_ms > 0) {
        screen_say("each sync takes %u ms more than this disk needs", asked->sync_ms);
    }
    free(again);
    return err;
}

/* False, with a message, when it is wrong. */
static bool read_args(struct asked *asked, int argc, char *argv[]) {
    static const struct option longs[] = {
        {"clients", required_argument, NULL, 'c'}, {"rounds", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'}, {"nodes", required_argument, NULL, 'n'},
        {"apart", no_argument, NULL, 'a'},         {"sync-ms", required_argument, NULL, 'y'},
        {"data", required_argument, NULL, 'd'},    {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    struct bench_postgres_options *options = &asked->options;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        bool good = c != '?';
        const char *range = "";
        switch (c) {
        case 'c':
            good = read_sizes(optarg, options);
            range = "--clients takes up to 8 numbers from 1 to 64, with commas between them";
            break;
        case 'r':
            good = read_number(optarg, BENCH_ROUNDS_MAX, &options->rounds);
            range = "--rounds takes a number from 1 to 32";
            break;
        case 's':
            good = read_number(optarg, 3600, &options->seconds);
            range = "--seconds takes a number from 1 to 3600";
            break;
        case 'n':
            good = read_number(optarg, 31, &options->nodes) && options->nodes % 2 == 1;
            range = "--nodes takes an odd number from 1 to 31";
            break;
        case 'a':
            options->apart = true;
            break;
        case 'y':
            good = read_number(optarg, BENCH_SYNC_MS_MOST, &asked->sync_ms);
            range = "--sync-ms takes a number from 1 to 1000";
            break;
        case 'd':
            options->data = optarg;
            break;
        case 'j':
            asked->json = optarg;
            break;
        case 'h':
            asked->help = true;
            break;
        default:
            return false; /* getopt_long said it */
        }
        if (!good) {
            fprintf(stderr, "troth-bench: %s, not \"%s\"\n", range, optarg);
            return false;
        }
    }
    if (!asked->help && (optind + 1 != argc || strcmp(argv[optind], "postgres") != 0)) {
        fprintf(stderr, "troth-bench: name what is to be measured: postgres\n");
        return false;
    }
    return true;
}

static int run(struct asked *asked, struct bench_postgres_size *sizes, char why[BENCH_WHY_BYTES]) {
    struct bench_data data;
    int err = bench_data_make(&data, asked->options.data, why);
    if (err != 0) {
        return err;
    }
    asked->options.data = data.folder;
    err = bench_postgres_run(&asked->options, sizes, why);
    if (err == 0) {
        printf("\n");
        bench_report_table(sizes, asked->options.n_sizes, stdout);
    }
    if (err == 0 && asked->json != NULL &&
        bench_report_json(&asked->options, sizes, asked->json) != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot write %s: %s", asked->json, strerror(errno));
        err = TROTH_ERR_SYSTEM;
    }
    bool keep = err != 0 && err != TROTH_ERR_CLOSED && err != TROTH_ERR_NOT_FOUND;
    if (keep) {
        fprintf(stderr, "the files, with the logs of all processes, are in %s\n", data.folder);
    }
    bench_data_end(&data, keep);
    return err;
}

int bench_postgres_command(int argc, char *argv[]) {
    static struct bench_postgres_size sizes[BENCH_SIZES_MAX];
    struct asked asked = {
        .options = {.sizes = {1, 8, 32}, .n_sizes = 3, .rounds = 5, .seconds = 4, .nodes = 3}};
    char why[BENCH_WHY_BYTES] = "";
    if (!read_args(&asked, argc, argv)) {
        return BENCH_EXIT_ARGUMENTS;
    }
    if (asked.help) {
        help(stdout);
        return 0;
    }
    int err = slow_down(&asked, argc, argv, why);
    return bench_exit_status(err == 0 ? run(&asked, sizes, why) : err, why);
}
