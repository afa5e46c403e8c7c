#include "tests/sim/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: troth-sim [OPTION...]\n"
    "Runs worlds of Troth's own code in virtual time under faults, and says which rule breaks.\n\n"
    "  --seeds A..B        the worlds to run (default 1..2000)\n"
    "  --seed N            one world; with --trace or --diagram it is written down\n"
    "  --jobs N            processes (default: one for each core)\n"
    "  --nodes N           every world has N nodes (1, 3, 5 or 7); default: drawn from the seed\n"
    "  --participants N    every world has N participants (1 to 16)\n"
    "  --no-faults         nothing goes wrong\n"
    "  --only LIST         of one world, only these faults and transactions: f2,f7,t0,t4\n"
    "  --trace FILE        writes what happens, a line each; - for standard output\n"
    "  --diagram FILE.svg  draws the space-time diagram of one transaction\n"
    "  --tx N              which one (default: the one that broke the rule, else the first)\n"
    "  --stop-at-first     ends with the first broken rule, without making its world smaller\n"
    "  --no-shrink         does not make a failing world smaller\n"
    "  --seconds N         ends after N seconds, with what was run by then\n"
    "  --coverage          prints how often each branch of the protocol was reached\n"
    "  --json FILE         writes the summary as one flat object\n"
    "  --costs             counts what a transaction costs, and compares it with the formula\n"
    "  --wan FILE.svg      latencies between continents: a table, and a plot\n\n"
    "Exit: 0 all rules hold, 1 one is broken, 2 wrong use.\n";

/* ---- Arguments --------------------------------------------------------------------------------
 */

_Noreturn void args_wrong(const char *what, const char *value) {
    fprintf(stderr, "troth-sim: %s: %s\nTry troth-sim --help.\n", what, value);
    exit(EXIT_USAGE);
}

#define SEED_MAX (UINT64_MAX / 4)

/* Reads digits; false: there are none, or too many. */
static bool digits(const char *text, const char **end, uint64_t *value) {
    char *behind;
    errno = 0;
    *value = strtoull(text, &behind, 10);
    *end = behind;
    return text[0] >= '0' && text[0] <= '9' && errno == 0;
}

static uint64_t number(const char *text, const char *what, uint64_t most) {
    const char *end;
    uint64_t value;
    if (!digits(text, &end, &value) || *end != '\0' || value == 0 || value > most) {
        args_wrong(what, text);
    }
    return value;
}

static void seeds(struct workers_options *many, const char *text) {
    const char *end;
    bool ok = digits(text, &end, &many->first);
    many->last = many->first;
    if (ok && strncmp(end, "..", 2) == 0) {
        ok = digits(end + 2, &end, &many->last);
    }
    if (!ok || *end != '\0' || many->first == 0 || many->last < many->first ||
        many->last > SEED_MAX) {
        args_wrong("--seeds wants A..B with 1 <= A <= B", text);
    }
}

enum flag {
    SEEDS = 256,
    SEED,
    JOBS,
    NODES,
    RMS,
    NO_FAULTS,
    ONLY,
    TRACE,
    DIAGRAM,
    TX,
    STOP,
    NO_SHRINK,
    SECONDS,
    COVERAGE,
    JSON,
    COSTS,
    WAN,
    HELP
};

/* Which worlds are run. False: it is another option. */
static bool take_worlds(struct args *args, int option, const char *value) {
    struct workers_options *many = &args->many;
    switch (option) {
    case SEEDS:
        seeds(many, value);
        args->range = true;
        return true;
    case SEED:
        many->first = many->last = number(value, "--seed wants a number from 1", SEED_MAX);
        args->one = true;
        return true;
    case JOBS:
        many->jobs = (uint32_t)number(value, "--jobs wants 1 to 64", WORKERS_MAX);
        return true;
    case NODES:
        many->plan.nodes = (uint32_t)number(value, "--nodes wants 1, 3, 5 or 7", SIM_NODES_MAX);
        if (many->plan.nodes % 2 == 0) {
            args_wrong("--nodes wants 1, 3, 5 or 7", value);
        }
        return true;
    case RMS:
        many->plan.rms = (uint32_t)number(value, "--participants wants 1 to 16", SIM_RMS_MAX);
        return true;
    case NO_FAULTS:
        many->plan.no_faults = true;
        return true;
    case ONLY:
        args->only = value;
        return true;
    case STOP:
        many->stop_at_first = true;
        return true;
    case SECONDS:
        many->seconds_max = (double)number(value, "--seconds wants a number", 1000000);
        return true;
    default:
        return false;
    }
}

/* What is told of them. */
static void take_output(struct args *args, int option, const char *value) {
    switch (option) {
    case TRACE:
        args->trace = value;
        break;
    case DIAGRAM:
        args->diagram = value;
        break;
    case TX:
        args->tx = (uint32_t)number(value, "--tx wants a number", 100000);
        break;
    case NO_SHRINK:
        args->no_shrink = true;
        break;
    case COVERAGE:
        args->coverage = true;
        break;
    case JSON:
        args->json = value;
        break;
    case COSTS:
        args->costs = true;
        break;
    case WAN:
        args->wan = value;
        break;
    case 'h':
    case HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        fputs("Try troth-sim --help.\n", stderr);
        exit(EXIT_USAGE);
    }
}

static void check_args(const struct args *args) {
    if (args->one &&
        (args->range || args->json != NULL || args->coverage || args->many.stop_at_first)) {
        args_wrong("--seed runs one world",
                   "leave out --seeds, --json, --coverage and --stop-at-first");
    }
    if (args->tx != 0 && args->diagram == NULL) {
        args_wrong("--tx says what is drawn", "give --diagram FILE.svg too");
    }
    if (!args->one && (args->only != NULL || args->trace != NULL || args->diagram != NULL)) {
        args_wrong("--only, --trace and --diagram are about one world", "give --seed N");
    }
}

void args_read(int argc, char **argv, struct args *args) {
    static const struct option options[] = {
        {"seeds", required_argument, NULL, SEEDS},
        {"seed", required_argument, NULL, SEED},
        {"jobs", required_argument, NULL, JOBS},
        {"nodes", required_argument, NULL, NODES},
        {"participants", required_argument, NULL, RMS},
        {"no-faults", no_argument, NULL, NO_FAULTS},
        {"only", required_argument, NULL, ONLY},
        {"trace", required_argument, NULL, TRACE},
        {"diagram", required_argument, NULL, DIAGRAM},
        {"tx", required_argument, NULL, TX},
        {"stop-at-first", no_argument, NULL, STOP},
        {"no-shrink", no_argument, NULL, NO_SHRINK},
        {"seconds", required_argument, NULL, SECONDS},
        {"coverage", no_argument, NULL, COVERAGE},
        {"json", required_argument, NULL, JSON},
        {"costs", no_argument, NULL, COSTS},
        {"wan", required_argument, NULL, WAN},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (!take_worlds(args, option, optarg)) {
            take_output(args, option, optarg);
        }
    }
    if (optind < argc) {
        args_wrong("this is no option", argv[optind]);
    }
    check_args(args);
}
