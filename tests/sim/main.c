/* troth-sim: runs simulated worlds of Troth and says which rule one breaks, if any (./dev sim). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "tests/sim/costs.h"
#include "tests/sim/diagram.h"
#include "tests/sim/trace.h"
#include "tests/sim/wan.h"
#include "tests/sim/workers.h"

#define EXIT_BROKEN  1
#define EXIT_USAGE   2
#define LAST_EVENTS  40
#define SHRINK_TRIES 1500
#define SHRINK_CRASH 300

struct args {
    struct workers_options many;
    bool one;   /* a single seed */
    bool range; /* --seeds was given */
    const char *only;
    const char *trace;
    const char *diagram;
    const char *json;
    uint32_t tx;
    bool no_shrink;
    bool coverage;
    bool costs;
    const char *wan;
};

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

static void wrong(const char *what, const char *value) {
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
        wrong(what, text);
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
        wrong("--seeds wants A..B with 1 <= A <= B", text);
    }
}

static void read_args(int argc, char **argv, struct args *args) {
    enum {
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
    struct workers_options *many = &args->many;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case SEEDS:
            seeds(many, optarg);
            args->range = true;
            break;
        case SEED:
            many->first = many->last = number(optarg, "--seed wants a number from 1", SEED_MAX);
            args->one = true;
            break;
        case JOBS:
            many->jobs = (uint32_t)number(optarg, "--jobs wants 1 to 64", WORKERS_MAX);
            break;
        case NODES:
            many->plan.nodes =
                (uint32_t)number(optarg, "--nodes wants 1, 3, 5 or 7", SIM_NODES_MAX);
            if (many->plan.nodes % 2 == 0) {
                wrong("--nodes wants 1, 3, 5 or 7", optarg);
            }
            break;
        case RMS:
            many->plan.rms = (uint32_t)number(optarg, "--participants wants 1 to 16", SIM_RMS_MAX);
            break;
        case NO_FAULTS:
            many->plan.no_faults = true;
            break;
        case ONLY:
            args->only = optarg;
            break;
        case TRACE:
            args->trace = optarg;
            break;
        case DIAGRAM:
            args->diagram = optarg;
            break;
        case TX:
            args->tx = (uint32_t)number(optarg, "--tx wants a number", 100000);
            break;
        case STOP:
            many->stop_at_first = true;
            break;
        case NO_SHRINK:
            args->no_shrink = true;
            break;
        case SECONDS:
            many->seconds_max = (double)number(optarg, "--seconds wants a number", 1000000);
            break;
        case COVERAGE:
            args->coverage = true;
            break;
        case JSON:
            args->json = optarg;
            break;
        case COSTS:
            args->costs = true;
            break;
        case WAN:
            args->wan = optarg;
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
    if (optind < argc) {
        wrong("this is no option", argv[optind]);
    }
    if (args->one && (args->range || args->json != NULL || args->coverage || many->stop_at_first)) {
        wrong("--seed runs one world", "leave out --seeds, --json, --coverage and --stop-at-first");
    }
    if (args->tx != 0 && args->diagram == NULL) {
        wrong("--tx says what is drawn", "give --diagram FILE.svg too");
    }
    if (!args->one && (args->only != NULL || args->trace != NULL || args->diagram != NULL)) {
        wrong("--only, --trace and --diagram are about one world", "give --seed N");
    }
}

/* ---- One world --------------------------------------------------------------------------------
 */

static void say_broken(uint64_t seed, const struct verdict *verdict) {
    printf("seed %llu: broke %s at %.3f ms", (unsigned long long)seed, verdict->rule,
           (double)verdict->at_us / 1000);
    if (verdict->tx != 0) {
        printf(", tx%u", verdict->tx);
    }
    printf(": %s\n", verdict->text);
}

static FILE *open_for_writing(const char *path) {
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (file == NULL) {
        perror(path);
        exit(EXIT_USAGE);
    }
    return file;
}

static void close_written(FILE *file, const char *path) {
    if ((file != stdout && fclose(file) != 0) || fflush(stdout) != 0) {
        perror(path);
        exit(EXIT_USAGE);
    }
}

static void draw(const struct plan *plan, const char *path, uint32_t tx) {
    struct diagram diagram;
    struct verdict verdict;
    if (diagram_init(&diagram, tx, plan->nodes) != 0) {
        fputs("troth-sim: no memory for the diagram\n", stderr);
        exit(EXIT_USAGE);
    }
    run_world(plan, &(struct world_look){.see = diagram_see, .arg = &diagram}, &verdict);
    char *picture = NULL;
    size_t bytes = 0;
    FILE *memory = open_memstream(&picture, &bytes);
    int err = memory == NULL ? TROTH_ERR_NO_MEMORY : diagram_write(&diagram, memory);
    diagram_release(&diagram);
    if (memory == NULL || fclose(memory) != 0 || err != 0) {
        wrong(err == TROTH_ERR_NOT_FOUND ? "--tx: nothing was seen of this transaction"
                                         : "the diagram can't be made",
              path);
    }
    FILE *file = open_for_writing(path);
    fwrite(picture, 1, bytes, file);
    close_written(file, path);
    free(picture);
    printf("drew tx%u: %s\n", tx, path);
}

static int run_one(const struct args *args) {
    static struct plan plan;
    struct verdict verdict;
    struct trace trace;
    plan_make(&plan, args->many.first, &args->many.plan);
    if (args->only != NULL && !run_keep_only(&plan, args->only)) {
        wrong("--only wants names of faults and transactions, such as f2,t0", args->only);
    }
    FILE *file = args->trace == NULL ? NULL : open_for_writing(args->trace);
    if (file != NULL) {
        setvbuf(file, NULL, _IOLBF, 0); /* a world may end in an assertion */
    }
    if (trace_init(&trace, file == NULL ? 4096 : 0, file) != 0) {
        return EXIT_USAGE;
    }
    run_world(&plan, &(struct world_look){.see = trace_see, .arg = &trace}, &verdict);
    bool broken = verdict.rule[0] != '\0';
    if (file != NULL) {
        close_written(file, args->trace);
    } else if (broken) {
        trace_print_last(&trace, stdout, LAST_EVENTS, 0);
    }
    trace_release(&trace);
    if (args->diagram != NULL) {
        draw(&plan, args->diagram, args->tx != 0 ? args->tx : verdict.tx != 0 ? verdict.tx : 1);
    }
    FILE *words = args->trace != NULL && strcmp(args->trace, "-") == 0 ? stderr : stdout;
    if (!broken) {
        fprintf(words,
                "seed %llu: %u nodes, %u participants, %u transactions, %.1f virtual s: all "
                "rules hold\n",
                (unsigned long long)args->many.first, plan.nodes, plan.rms, verdict.world.txs,
                (double)verdict.world.ended_us / 1e6);
        return 0;
    }
    say_broken(args->many.first, &verdict);
    return EXIT_BROKEN;
}

/* ---- Many worlds ------------------------------------------------------------------------------
 */

/* The same seed with fewer processes is another world; now and then it breaks the same rule. */
static void try_smaller_sizes(uint64_t seed, struct plan_options *options,
                              const struct verdict *broken, struct plan *plan) {
    struct plan_options best = *options;
    for (uint32_t nodes = 1; nodes <= plan->nodes; nodes += 2) {
        for (uint32_t rms = 1; rms <= plan->rms; rms++) {
            static struct plan smaller;
            struct verdict verdict;
            struct plan_options sizes = {
                .nodes = nodes, .rms = rms, .no_faults = options->no_faults};
            plan_make(&smaller, seed, &sizes);
            run_world_apart(&smaller, true, &verdict);
            if (strcmp(verdict.rule, broken->rule) == 0) {
                *plan = smaller;
                *options = sizes;
                return;
            }
        }
    }
    *options = best;
}

static uint32_t kept_txs(const struct plan *plan) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->n_txs; i++) {
        n += !plan->txs[i].left_out;
    }
    return n;
}

static uint32_t kept_faults(const struct plan *plan) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->n_faults; i++) {
        n += !plan->faults[i].left_out;
    }
    return n;
}

static void show_smaller(const struct args *args, const struct workers_broken *broken) {
    static struct plan plan;
    char kept[(PLAN_TXS_MAX + PLAN_FAULTS_MAX) * 5];
    struct plan_options sizes = args->many.plan;
    struct verdict verdict;
    plan_make(&plan, broken->seed, &sizes);
    try_smaller_sizes(broken->seed, &sizes, &broken->verdict, &plan);
    bool crash = strcmp(broken->verdict.rule, "CRASH") == 0;
    uint32_t tries = run_shrink(&plan, &broken->verdict, crash ? SHRINK_CRASH : SHRINK_TRIES);
    printf("\nmade smaller in %u tries: %u nodes, %u participants, %u of %u transactions, %u of %u "
           "faults\n",
           tries, plan.nodes, plan.rms, kept_txs(&plan), plan.n_txs, kept_faults(&plan),
           plan.n_faults);
    if (!crash) {
        struct trace trace;
        if (trace_init(&trace, 4096, NULL) == 0) {
            run_world(&plan, &(struct world_look){.see = trace_see, .arg = &trace}, &verdict);
            printf("its last events:\n");
            trace_print_last(&trace, stdout, LAST_EVENTS, 0);
            trace_release(&trace);
            say_broken(broken->seed, &verdict);
        }
    }
    printf("replay it with\n  ./dev sim --seed %llu", (unsigned long long)broken->seed);
    if (sizes.nodes != 0) {
        printf(" --nodes %u", sizes.nodes);
    }
    if (sizes.rms != 0) {
        printf(" --participants %u", sizes.rms);
    }
    printf("%s --only %s\nand see it with --trace FILE or --diagram FILE.svg\n",
           sizes.no_faults ? " --no-faults" : "", run_kept(&plan, kept, sizeof kept));
}

static void write_json(const struct args *args, FILE *file, const struct workers_sum *sum) {
    fprintf(file,
            "{\"worlds\": %llu, \"seconds\": %.3f, \"worlds_per_second\": %.1f, \"jobs\": %u, "
            "\"transactions\": %llu, \"committed\": %llu, \"events\": %llu, \"broken\": %llu, "
            "\"points_reached\": %u, \"points\": %u",
            (unsigned long long)sum->worlds, sum->seconds,
            sum->seconds > 0 ? (double)sum->worlds / sum->seconds : 0, args->many.jobs,
            (unsigned long long)sum->txs, (unsigned long long)sum->committed,
            (unsigned long long)sum->events, (unsigned long long)sum->broken_worlds,
            coverage_reached(&sum->coverage), coverage_reachable());
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        fprintf(file, ", \"fault: %s\": %llu", fault_name((enum fault_kind)kind),
                (unsigned long long)sum->faults[kind]);
    }
    fputs("}\n", file);
    close_written(file, args->json);
}

static void print_summary(const struct args *args, const struct workers_sum *sum) {
    double rate = sum->seconds > 0 ? (double)sum->worlds / sum->seconds : 0;
    printf("%llu worlds in %.1f s: %.0f a second, on %u processes; %.0f virtual hours\n",
           (unsigned long long)sum->worlds, sum->seconds, rate, args->many.jobs,
           (double)sum->virtual_us / 3.6e9);
    printf("%llu transactions (%.1f a world), %.0f %% of them committed\n",
           (unsigned long long)sum->txs,
           sum->worlds > 0 ? (double)sum->txs / (double)sum->worlds : 0,
           sum->txs > 0 ? 100.0 * (double)sum->committed / (double)sum->txs : 0);
    printf("faults:");
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        printf("%s %s %llu", kind == 0 ? "" : ",", fault_name((enum fault_kind)kind),
               (unsigned long long)sum->faults[kind]);
    }
    printf("\n");
    if (args->coverage) {
        coverage_print(stdout, &sum->coverage);
    } else {
        printf("reached %u of %u branches of the protocol", coverage_reached(&sum->coverage),
               coverage_reachable());
        const char *between = "; not reached: ";
        for (int point = 0; point < COVER_POINTS; point++) {
            if (sum->coverage.n[point] == 0 && coverage_should_reach((enum coverage_point)point)) {
                printf("%s%s", between, coverage_name((enum coverage_point)point));
                between = ", ";
            }
        }
        printf("\n");
    }
    if (sum->out_of_time) {
        printf("stopped before all seeds were run\n");
    }
}

static int run_many(const struct args *args) {
    static struct workers_sum sum;
    FILE *json = args->json != NULL ? open_for_writing(args->json) : NULL; /* before hours pass */
    workers_run(&args->many, &sum);
    for (uint32_t i = 0; i < sum.n_broken; i++) {
        say_broken(sum.broken[i].seed, &sum.broken[i].verdict);
    }
    print_summary(args, &sum);
    if (json != NULL) {
        write_json(args, json, &sum);
    }
    if (sum.broken_worlds == 0) {
        printf(sum.out_of_time ? "no rule is broken in those that ran\n" : "all rules hold\n");
        return 0;
    }
    printf("%llu worlds broke a rule\n", (unsigned long long)sum.broken_worlds);
    if (!args->many.stop_at_first && !args->no_shrink) {
        show_smaller(args, &sum.broken[0]);
    }
    return EXIT_BROKEN;
}

static int run_wan(const struct args *args) {
    struct wan wan;
    if (!wan_measure(&wan)) {
        fputs("troth-sim: a still world breaks a rule; run --costs\n", stderr);
        return EXIT_BROKEN;
    }
    wan_print(&wan, stdout);
    FILE *file = open_for_writing(args->wan);
    wan_plot(&wan, file);
    close_written(file, args->wan);
    return 0;
}

int main(int argc, char **argv) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct args args = {.many = {.first = 1,
                                 .last = 2000,
                                 .jobs = cores < 1                   ? 1
                                         : cores > (long)WORKERS_MAX ? WORKERS_MAX
                                                                     : (uint32_t)cores,
                                 .progress = isatty(2)}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_args(argc, argv, &args);
    if (args.costs) {
        return costs_print(stdout) == 0 ? 0 : EXIT_BROKEN;
    }
    return args.wan != NULL ? run_wan(&args) : args.one ? run_one(&args) : run_many(&args);
}
