/* troth-bench: measures Troth, beside what it replaces, on servers and nodes of its own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/bench_all.h"
#include "harness/bench_args.h"
#include "harness/bench_commit.h"
#include "harness/bench_data.h"
#include "harness/bench_exit.h"
#include "harness/bench_json.h"
#include "harness/bench_plot.h"
#include "harness/bench_postgres_command.h"
#include "harness/bench_syncs.h"
#include "harness/bench_worker.h"
#include "harness/demo_screen.h"
#include "shell/mutex_checks.h"

static void help(FILE *out) {
    fputs(
        "usage: troth-bench [NAME] [OPTION...]\n\n"
        "Without a name: all that Troth sets out to show, with the goals; some minutes.\n\n"
        "  commit          transactions over participants that do nothing but vote durably: what\n"
        "                  Troth itself costs\n"
        "  scale           one, three and five nodes; two and many participants\n"
        "  lanes           the same load on one cell, and on two of half of it each\n"
        "  bank            transfers over two key-value shards, in one call and step by step\n"
        "  takeover        a node killed under load: how long its branches stay in doubt\n"
        "  many            a million transactions open, or undecided at a node's start\n"
        "  postgres        transactions over two PostgreSQL servers; has options of its own:\n"
        "                  troth-bench postgres --help\n\n"
        "Nodes, participants and servers are its own, on this machine, and sync every write.\n\n"
        "  --in-flight N,N how many transactions at the same time (1,8,64,256)\n"
        "  --rounds N      of each load, in turn (5)\n"
        "  --seconds S     of each round (3)\n"
        "  --warm-up MS    before each round, with the same load (1000)\n"
        "  --sync-ms MS    each sync of each process takes so much longer, as on a slower disk of\n"
        "                  its own (0)\n"
        "  --data FOLDER   new or empty folder for all files; else one under $TMPDIR\n"
        "  --json FILE     write the figures there\n"
        "  --plot FILE     draw latency against throughput there (SVG)\n"
        "  --help          show this\n\n"
        "Of all:\n"
        "  --peers         also etcd (three servers) and PostgreSQL by hand, in the same rounds\n"
        "  --many N        participants of the large transactions (64)\n"
        "  --open N        transactions at once at one node (1000000)\n\n"
        "Of commit:\n"
        "  --rate R,R      also so many a second, begun whether or not others have ended\n"
        "  --one-call      the same loads again, with the work in Commit\n"
        "  --participants N in each transaction (2)\n"
        "  --clients N     that share the load, each with connections of its own (1)\n"
        "  --nodes N       of Troth (3)\n\n"
        "Exit status: 0 measured, whether or not goals are met; 1 what was told and what was done\n"
        "are not the same; 2 wrong arguments; 3 it could not run.\n",
        out);
}

static int measure(const struct bench_args *args, struct bench_data *data,
                   char why[BENCH_WHY_BYTES]) {
    struct bench_json json;
    if (args->plot != NULL && bench_plot_check(args->plot, why) != 0) {
        return TROTH_ERR_SYSTEM;
    }
    if (bench_json_open(&json, args->json) != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot write %s: %s", args->json, strerror(errno));
        return TROTH_ERR_SYSTEM;
    }
    screen_say("all files are in %s (%s)", data->folder, data->file_system);
    if (data->in_memory) {
        screen_say("%sTHIS FOLDER IS IN MEMORY: syncing is free there, so no figure says anything. "
                   "Name one on a disk with --data.%s",
                   screen_bold(), screen_plain());
    }
    if (args->sync_ms > 0) {
        screen_say("each sync takes %u ms more than this disk needs", args->sync_ms);
    }
    bench_json_number(&json, "", "sync_ms", args->sync_ms);
    bench_json_text(&json, "file_system", data->file_system);
    bench_json_number(&json, "", "rounds", args->rounds);
    bench_json_number(&json, "", "seconds", args->seconds);
    int err = bench_all_has(args->what) ? bench_all(args, data, &json, why)
                                        : bench_commit(args, data, &json, why);
    if (bench_json_close(&json) != 0 && err == 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot write %s: %s", args->json, strerror(errno));
        err = TROTH_ERR_SYSTEM;
    }
    return err;
}

int main(int argc, char *argv[]) {
    mutex_checks_off();
    if (argc > 1 && strcmp(argv[1], "participant") == 0) {
        return bench_worker_main(argc - 1, argv + 1);
    }
    screen_setup();
    if (argc > 1 && strcmp(argv[1], "postgres") == 0) {
        return bench_postgres_command(argc, argv);
    }
    struct bench_args args;
    char why[BENCH_WHY_BYTES] = "";
    if (bench_args_read(&args, argc, argv, why) != 0) {
        fprintf(stderr, "troth-bench: %s\n", why);
        return BENCH_EXIT_ARGUMENTS;
    }
    if (args.help) {
        help(stdout);
        return 0;
    }
    if (strcmp(args.what, "commit") != 0 && !bench_all_has(args.what)) {
        fprintf(stderr, "troth-bench: it can't measure %s; --help lists what it can\n", args.what);
        return BENCH_EXIT_ARGUMENTS;
    }
    struct bench_data data;
    int err = bench_syncs_slow_down(args.sync_ms, argv);
    if (err != 0) {
        snprintf(why, sizeof why, "can't slow syncs down: %s", troth_err_text(err));
    } else {
        err = bench_data_make(&data, args.data, why);
    }
    if (err == 0) {
        err = measure(&args, &data, why);
        bool keep = err != 0 && err != TROTH_ERR_CLOSED && err != TROTH_ERR_NOT_FOUND;
        if (keep) {
            fprintf(stderr, "the files, with the logs of all processes, are in %s\n", data.folder);
        }
        bench_data_end(&data, keep);
    }
    return bench_exit_status(err, why);
}
