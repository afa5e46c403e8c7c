/* troth-sim: runs simulated worlds of Troth and says which rule one breaks, if any (./dev sim). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "tests/sim/args.h"
#include "tests/sim/costs.h"
#include "tests/sim/diagram.h"
#include "tests/sim/trace.h"
#include "tests/sim/wan.h"

#define LAST_EVENTS  40
#define SHRINK_TRIES 1500
#define SHRINK_CRASH 300

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
        args_wrong(err == TROTH_ERR_NOT_FOUND ? "--tx: nothing was seen of this transaction"
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
        args_wrong("--only wants names of faults and transactions, such as f2,t0", args->only);
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
    args_read(argc, argv, &args);
    if (args.costs) {
        return costs_print(stdout) == 0 ? 0 : EXIT_BROKEN;
    }
    return args.wan != NULL ? run_wan(&args) : args.one ? run_one(&args) : run_many(&args);
}
