#include "harness/bench_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/stats.h"

static struct bench_spread spread_of(const double *values, unsigned n) {
    double sorted[BENCH_ROUNDS_MAX];
    memcpy(sorted, values, n * sizeof *sorted);
    double median = stats_percentile(sorted, n, 50); /* and they are in order now */
    return (struct bench_spread){.median = median, .least = sorted[0], .most = sorted[n - 1]};
}

struct bench_spread bench_rate(const struct bench_postgres_size *size, enum bench_way way) {
    return spread_of(size->figures[way].rates, size->rounds);
}

struct bench_spread bench_ratio(const struct bench_postgres_size *size) {
    double ratios[BENCH_ROUNDS_MAX];
    for (unsigned i = 0; i < size->rounds; i++) {
        ratios[i] = size->figures[BENCH_TROTH].rates[i] / size->figures[BENCH_BY_HAND].rates[i];
    }
    struct bench_spread spread = spread_of(ratios, size->rounds);
    spread.median = bench_rate(size, BENCH_TROTH).median / bench_rate(size, BENCH_BY_HAND).median;
    return spread;
}

static double latency_ms(const struct bench_postgres_size *size, enum bench_way way,
                         double percent) {
    return (double)histogram_percentile(&size->figures[way].latencies, percent) / 1e3;
}

void bench_report_table(const struct bench_postgres_size *sizes, unsigned n, FILE *out) {
    fprintf(out, "  %7s  %-8s  %20s  %9s  %9s  %s\n", "clients", "", "commits a second", "p50",
            "p99", "Troth / by hand");
    for (unsigned i = 0; i < n; i++) {
        static const char *const names[BENCH_WAYS] = {"by hand", "Troth"};
        for (int way = 0; way < BENCH_WAYS; way++) {
            struct bench_spread rate = bench_rate(&sizes[i], (enum bench_way)way);
            char clients[12] = "";
            char range[40];
            if (way == 0) {
                snprintf(clients, sizeof clients, "%u", sizes[i].clients);
            }
            snprintf(range, sizeof range, "(%.0f-%.0f)", rate.least, rate.most);
            fprintf(out, "  %7s  %-8s  %6.0f %13s  %6.2f ms  %6.2f ms", clients, names[way],
                    rate.median, range, latency_ms(&sizes[i], (enum bench_way)way, 50),
                    latency_ms(&sizes[i], (enum bench_way)way, 99));
            if (way == BENCH_TROTH) {
                struct bench_spread ratio = bench_ratio(&sizes[i]);
                fprintf(out, "  %.2f (%.2f-%.2f)", ratio.median, ratio.least, ratio.most);
            }
            fputc('\n', out);
        }
    }
}

static void json_way(const struct bench_postgres_size *size, enum bench_way way, const char *name,
                     FILE *out) {
    struct bench_spread rate = bench_rate(size, way);
    fprintf(out,
            ",\n      \"%s\": {\"per_second\": %.1f, \"per_second_least\": %.1f, "
            "\"per_second_most\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"committed\": %" PRIu64
            ", \"aborted\": %" PRIu64 "}",
            name, rate.median, rate.least, rate.most, latency_ms(size, way, 50),
            latency_ms(size, way, 99), size->figures[way].committed, size->figures[way].aborted);
}

int bench_report_json(const struct bench_postgres_options *options,
                      const struct bench_postgres_size *sizes, const char *path) {
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        return TROTH_ERR_SYSTEM;
    }
    fprintf(out, "{\n  \"nodes\": %u,\n  \"servers\": %d,\n  \"rounds\": %u,\n  \"seconds\": %u,\n",
            options->nodes, BENCH_SERVERS, options->rounds, options->seconds);
    fprintf(out, "  \"apart\": %s,\n", options->apart ? "true" : "false");
    fputs("  \"sizes\": [", out);
    for (unsigned i = 0; i < options->n_sizes; i++) {
        struct bench_spread ratio = bench_ratio(&sizes[i]);
        fprintf(out,
                "%s\n    {\n      \"clients\": %u,\n      \"ratio\": %.3f,\n"
                "      \"ratio_least\": %.3f,\n      \"ratio_most\": %.3f",
                i == 0 ? "" : ",", sizes[i].clients, ratio.median, ratio.least, ratio.most);
        json_way(&sizes[i], BENCH_BY_HAND, "by_hand", out);
        json_way(&sizes[i], BENCH_TROTH, "troth", out);
        fputs("\n    }", out);
    }
    fputs("\n  ]\n}\n", out);
    bool written = ferror(out) == 0;
    return fclose(out) == 0 && written ? 0 : TROTH_ERR_SYSTEM;
}
