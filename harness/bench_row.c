#include "harness/bench_row.h"

#include <string.h>

#include "base/troth_err.h"
#include "harness/stats.h"

static double share(double of, uint64_t committed) {
    return committed == 0 ? 0 : of / (double)committed;
}

void bench_row_add(struct bench_row *row, const struct bench_sample *sample,
                   const struct bench_cost *cost) {
    unsigned i = row->rounds++;
    row->per_second[i] = (double)sample->committed / sample->seconds;
    for (int kind = 0; kind < BENCH_KINDS; kind++) {
        row->cpu_us[kind][i] = share(cost->cpu_us[kind], sample->committed);
        row->syncs[kind][i] = share((double)cost->syncs[kind], sample->committed);
    }
    row->p50_us[i] = (double)histogram_percentile(&sample->whole, 50);
    row->p99_us[i] = (double)histogram_percentile(&sample->whole, 99);
    row->commit_p50_us[i] = (double)histogram_percentile(&sample->commit, 50);
    row->committed += sample->committed;
    row->aborted += sample->aborted;
    histogram_merge(&row->whole, &sample->whole);
    histogram_merge(&row->commit, &sample->commit);
}

struct bench_middle bench_middle(const double *values, unsigned n) {
    double sorted[BENCH_ROUNDS_AT_MOST];
    if (n == 0) {
        return (struct bench_middle){0};
    }
    memcpy(sorted, values, n * sizeof *sorted);
    double median = stats_percentile(sorted, n, 50); /* and they are in order now */
    return (struct bench_middle){.median = median,
                                 .least = sorted[0],
                                 .most = sorted[n - 1],
                                 .low_quarter = stats_percentile(sorted, n, 25),
                                 .high_quarter = stats_percentile(sorted, n, 75)};
}

struct bench_middle bench_quotient(const double *a, const double *b, unsigned n) {
    double quotients[BENCH_ROUNDS_AT_MOST];
    for (unsigned i = 0; i < n; i++) {
        quotients[i] = b[i] > 0 ? a[i] / b[i] : 0;
    }
    return bench_middle(quotients, n);
}

/* The median of the rounds' sums. */
static double sum_of(const double (*values)[BENCH_ROUNDS_AT_MOST], unsigned n) {
    double sums[BENCH_ROUNDS_AT_MOST] = {0};
    for (int kind = 0; kind < BENCH_KINDS; kind++) {
        for (unsigned i = 0; i < n; i++) {
            sums[i] += values[kind][i];
        }
    }
    return bench_middle(sums, n).median;
}

double bench_row_cpu_us(const struct bench_row *row) {
    return sum_of(row->cpu_us, row->rounds);
}

double bench_row_syncs(const struct bench_row *row) {
    return sum_of(row->syncs, row->rounds);
}

char *bench_row_name(const struct bench_row *row, char name[BENCH_ROW_NAME_BYTES]) {
    int n = snprintf(name, BENCH_ROW_NAME_BYTES, "n%u_f%u_", row->participants, row->nodes / 2);
    const char *way = row->one_call ? "_one_call" : "";
    if (row->in_flight > 0) {
        snprintf(name + n, BENCH_ROW_NAME_BYTES - (size_t)n, "%u%s", row->in_flight, way);
    } else {
        snprintf(name + n, BENCH_ROW_NAME_BYTES - (size_t)n, "%.0f_a_second%s", row->rate, way);
    }
    return name;
}

static void latencies(const struct histogram *histogram, FILE *out) {
    static const double percents[] = {50, 95, 99, 99.9};
    for (int i = 0; i < 4; i++) {
        fprintf(out, " %8.2f", (double)histogram_percentile(histogram, percents[i]) / 1e3);
    }
}

void bench_rows_table(const struct bench_row *rows, unsigned n, FILE *out) {
    fprintf(out, "  %-4s %-3s %13s  %8s %19s  %8s %8s %8s %8s  %9s  %s\n", "N", "F", "load", "tx/s",
            "(least-most)", "p50 ms", "p95", "p99", "p99.9", "commit p50",
            "CPU us/tx (nodes + participants + generator)  syncs/tx (nodes + participants)");
    for (unsigned i = 0; i < n; i++) {
        const struct bench_row *row = &rows[i];
        struct bench_middle rate = bench_middle(row->per_second, row->rounds);
        char load[32], range[40];
        snprintf(load, sizeof load, row->in_flight > 0 ? "%.0f%s" : "%.0f a s%s",
                 row->in_flight > 0 ? (double)row->in_flight : row->rate,
                 row->one_call        ? ", one call"
                 : row->in_flight > 0 ? " in flight"
                                      : "");
        snprintf(range, sizeof range, "(%.0f-%.0f)", rate.least, rate.most);
        fprintf(out, "  %-4u %-3u %13s  %8.0f %19s ", row->participants, row->nodes / 2, load,
                rate.median, range);
        latencies(&row->whole, out);
        fprintf(out, "  %10.2f", (double)histogram_percentile(&row->commit, 50) / 1e3);
        fprintf(out, "  %7.0f (%.0f + %.0f + %.0f)", bench_row_cpu_us(row),
                bench_middle(row->cpu_us[BENCH_NODES], row->rounds).median,
                bench_middle(row->cpu_us[BENCH_PARTICIPANTS], row->rounds).median,
                bench_middle(row->cpu_us[BENCH_GENERATOR], row->rounds).median);
        fprintf(out, "  %.3f (%.3f + %.3f)", bench_row_syncs(row),
                bench_middle(row->syncs[BENCH_NODES], row->rounds).median,
                bench_middle(row->syncs[BENCH_PARTICIPANTS], row->rounds).median);
        fprintf(out, "%s\n", row->aborted > 0 ? "  (some aborted)" : "");
    }
}

void bench_rows_json(const struct bench_row *rows, unsigned n, struct bench_json *json) {
    static const char *const kinds[BENCH_KINDS] = {"nodes", "participants", "generator"};
    for (unsigned i = 0; i < n; i++) {
        const struct bench_row *row = &rows[i];
        struct bench_middle rate = bench_middle(row->per_second, row->rounds);
        char name[BENCH_ROW_NAME_BYTES], key[64];
        bench_row_name(row, name);
        bench_json_number(json, name, "tps", rate.median);
        bench_json_number(json, name, "tps_least", rate.least);
        bench_json_number(json, name, "tps_most", rate.most);
        bench_json_number(json, name, "tps_low_quarter", rate.low_quarter);
        bench_json_number(json, name, "tps_high_quarter", rate.high_quarter);
        bench_json_number(json, name, "committed", (double)row->committed);
        bench_json_number(json, name, "aborted", (double)row->aborted);
        static const struct {
            double percent;
            const char *name;
        } percents[] = {{50, "p50"}, {95, "p95"}, {99, "p99"}, {99.9, "p999"}};
        for (int k = 0; k < 4; k++) {
            snprintf(key, sizeof key, "%s_us", percents[k].name);
            bench_json_number(json, name, key,
                              (double)histogram_percentile(&row->whole, percents[k].percent));
            snprintf(key, sizeof key, "commit_%s_us", percents[k].name);
            bench_json_number(json, name, key,
                              (double)histogram_percentile(&row->commit, percents[k].percent));
        }
        bench_json_number(json, name, "cpu_us_per_tx", bench_row_cpu_us(row));
        bench_json_number(json, name, "fsync_per_tx", bench_row_syncs(row));
        for (int kind = 0; kind < BENCH_KINDS; kind++) {
            snprintf(key, sizeof key, "cpu_us_per_tx_%s", kinds[kind]);
            bench_json_number(json, name, key, bench_middle(row->cpu_us[kind], row->rounds).median);
            snprintf(key, sizeof key, "fsync_per_tx_%s", kinds[kind]);
            bench_json_number(json, name, key, bench_middle(row->syncs[kind], row->rounds).median);
        }
    }
}
