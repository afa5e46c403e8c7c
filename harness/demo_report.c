#include "harness/demo_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "harness/demo_screen.h"
#include "harness/stats.h"

int half_add_outage(struct half *half, const struct outage *outage) {
    double *grown = realloc(half->waits_ms, (half->n_waits + outage->n + 1) * sizeof *grown);
    if (grown == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    half->waits_ms = grown;
    for (size_t i = 0; i < outage->n; i++) {
        if (outage->branches[i].orphaned) {
            half->waits_ms[half->n_waits++] = outage->branches[i].waited_ms;
        }
    }
    half->kills++;
    if (outage->return_ms > half->return_ms) {
        half->return_ms = outage->return_ms;
    }
    return 0;
}

double half_wait(struct half *half, double percent) {
    return stats_percentile(half->waits_ms, half->n_waits, percent);
}

void half_release(struct half *half) {
    free(half->waits_ms);
    *half = (struct half){0};
}

/* ---- The table ------------------------------------------------------------------------------- */

#define CELL_BYTES 64

struct table {
    FILE *out;
    struct half *halves[2];
};

typedef void cell_fn(struct half *half, char cell[CELL_BYTES]);

static void number_cell(char cell[CELL_BYTES], double value, const char *unit) {
    char text[SCREEN_NUMBER_BYTES];
    snprintf(cell, CELL_BYTES, "%s%s", screen_number(text, value), unit);
}

static void cell_title(struct half *half, char cell[CELL_BYTES]) {
    snprintf(cell, CELL_BYTES, half->nodes == 1 ? "1 node (two-phase commit)" : "%u nodes",
             half->nodes);
}
static void cell_committed(struct half *half, char cell[CELL_BYTES]) {
    number_cell(cell, (double)half->counts.committed, "");
}
static void cell_tps(struct half *half, char cell[CELL_BYTES]) {
    number_cell(cell, half->tps, "");
}
static void cell_kills(struct half *half, char cell[CELL_BYTES]) {
    number_cell(cell, (double)half->kills, "");
}
static void cell_branches(struct half *half, char cell[CELL_BYTES]) {
    number_cell(cell, (double)half->n_waits, "");
}
static void wait_cell(struct half *half, double percent, char cell[CELL_BYTES]) {
    if (half->n_waits == 0) {
        snprintf(cell, CELL_BYTES, "-");
    } else {
        number_cell(cell, half_wait(half, percent), " ms");
    }
}
static void cell_median(struct half *half, char cell[CELL_BYTES]) {
    wait_cell(half, 50, cell);
}
static void cell_p99(struct half *half, char cell[CELL_BYTES]) {
    wait_cell(half, 99, cell);
}
static void cell_longest(struct half *half, char cell[CELL_BYTES]) {
    wait_cell(half, 100, cell);
}
static void cell_until(struct half *half, char cell[CELL_BYTES]) {
    snprintf(cell, CELL_BYTES, "%s",
             half->nodes == 1 ? "the killed node was back" : "another node took over");
}
static void cell_money(struct half *half, char cell[CELL_BYTES]) {
    char found[SCREEN_NUMBER_BYTES];
    char expected[SCREEN_NUMBER_BYTES];
    snprintf(cell, CELL_BYTES, "%.20s of %.20s",
             screen_number(found, (double)half->bank.money_found),
             screen_number(expected, (double)half->bank.money_expected));
}
static void cell_half_done(struct half *half, char cell[CELL_BYTES]) {
    number_cell(cell,
                (double)(half->bank.half_done + half->bank.lost + half->bank.resurrected +
                         half->bank.wrong_balances),
                "");
}
static void cell_left(struct half *half, char cell[CELL_BYTES]) {
    number_cell(cell, (double)half->in_doubt_left, "");
}

static void row(const struct table *table, const char *label, cell_fn *fn) {
    fprintf(table->out, "  %-38s", label);
    for (int i = 0; i < 2; i++) {
        char cell[CELL_BYTES];
        if (table->halves[i]->ran) {
            fn(table->halves[i], cell);
            fprintf(table->out, "  %26s", cell);
        }
    }
    fputc('\n', table->out);
}

void report_table(struct half *paxos, struct half *classic, FILE *out) {
    struct table table = {.out = out, .halves = {paxos, classic}};
    row(&table, "", cell_title);
    row(&table, "transfers committed", cell_committed);
    row(&table, "a second, before the first kill", cell_tps);
    row(&table, "coordinators killed", cell_kills);
    row(&table, "branches left in doubt by them", cell_branches);
    row(&table, "  waited from the kill, median", cell_median);
    row(&table, "  99th percentile", cell_p99);
    row(&table, "  longest", cell_longest);
    row(&table, "  until", cell_until);
    row(&table, classic->databases ? "money in the databases" : "money in the shards' files",
        cell_money);
    row(&table, "transfers lost, half done or wrong", cell_half_done);
    row(&table, "branches in doubt at the end", cell_left);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_number(FILE *out, const char *key, bool measured, double value) {
    if (measured) {
        fprintf(out, ",\n  \"%s\": %.10g", key, value);
    } else {
        fprintf(out, ",\n  \"%s\": null", key);
    }
}

static void json_waits(FILE *out, struct half *paxos, struct half *classic) {
    bool moved = paxos->ran && paxos->n_waits > 0;
    bool blocked = classic->ran && classic->n_waits > 0;
    json_number(out, "kills", paxos->ran, (double)paxos->kills);
    json_number(out, "takeover_branches", paxos->ran, (double)paxos->n_waits);
    json_number(out, "takeover_p50_ms", moved, moved ? half_wait(paxos, 50) : 0);
    json_number(out, "takeover_p99_ms", moved, moved ? half_wait(paxos, 99) : 0);
    json_number(out, "takeover_max_ms", moved, moved ? half_wait(paxos, 100) : 0);
    json_number(out, "return_ms", paxos->ran, (double)paxos->return_ms);
    json_number(out, "blocked_2pc_branches", classic->ran, (double)classic->n_waits);
    json_number(out, "blocked_2pc_ms", blocked, blocked ? half_wait(classic, 50) : 0);
    json_number(out, "blocked_2pc_max_ms", blocked, blocked ? half_wait(classic, 100) : 0);
}

static void json_write(FILE *out, const struct demo_args *args, struct half *paxos,
                       struct half *classic) {
    const struct half *main_half = paxos->ran ? paxos : classic;
    bool good = (!paxos->ran || bank_report_good(&paxos->bank)) &&
                (!classic->ran || bank_report_good(&classic->bank));
    fprintf(out, "{\n  \"nodes\": %u,\n  \"shards\": %u,\n  \"clients\": %u", args->nodes,
            args->shards, args->clients);
    json_number(out, "committed", true, (double)main_half->counts.committed);
    json_number(out, "aborted", true, (double)main_half->counts.aborted);
    json_number(out, "declined", true, (double)main_half->counts.declined);
    json_number(out, "unknown", true, (double)(paxos->counts.unknown + classic->counts.unknown));
    json_number(out, "in_doubt_left", true,
                (double)(paxos->in_doubt_left + classic->in_doubt_left));
    fprintf(out, ",\n  \"money_conserved\": %s", good ? "true" : "false");
    json_waits(out, paxos, classic);
    json_number(out, "tps", true, main_half->tps);
    json_number(out, "tps_2pc", classic->ran, classic->tps);
    fputs("\n}\n", out);
}

int report_json(const struct demo_args *args, struct half *paxos, struct half *classic,
                const char *path) {
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        return TROTH_ERR_SYSTEM;
    }
    json_write(out, args, paxos, classic);
    bool written = ferror(out) == 0;
    return fclose(out) == 0 && written ? 0 : TROTH_ERR_SYSTEM;
}
