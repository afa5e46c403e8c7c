#include "tests/sim/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/oracle.h"

/* ---- One world ------------------------------------------------------------------------------- */

struct judge {
    struct oracle oracle;
    bool stop;
};

static void see(void *arg, const struct sight *sight) {
    struct judge *judge = arg;
    oracle_see(&judge->oracle, sight);
    judge->stop = judge->oracle.broken.rule != NULL;
}

/* "S1: what" is what a core says must not be. */
static void core_says(const struct world_result *world, struct verdict *verdict) {
    size_t n = strcspn(world->broken, ":");
    snprintf(verdict->rule, sizeof verdict->rule, "%.*s", n < sizeof verdict->rule ? (int)n : 0,
             world->broken);
    if (verdict->rule[0] == '\0') {
        strcpy(verdict->rule, "WORLD");
    }
    verdict->at_us = world->ended_us;
    snprintf(verdict->text, sizeof verdict->text, "%s", world->broken);
}

void run_world(const struct plan *plan, struct world_look *looks, struct verdict *verdict) {
    struct judge judge = {.stop = false};
    oracle_init(&judge.oracle, &(struct oracle_options){
                                   .nodes = plan->nodes,
                                   .rms = plan->rms,
                                   .money = (int64_t)plan->accounts * PLAN_BALANCE_FIRST,
                                   .gone_nodes = plan->gone_nodes,
                                   .gone_rms = plan->gone_rms,
                               });
    struct world_look judging = {.see = see, .arg = &judge};
    struct world_look **last = &looks;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = &judging;
    *verdict = (struct verdict){.tx = 0};
    world_run_plan(plan, looks, &judge.stop, &verdict->world);
    *last = NULL;
    const struct broken *broken = &judge.oracle.broken;
    if (broken->rule != NULL) {
        snprintf(verdict->rule, sizeof verdict->rule, "%s", broken->rule);
        verdict->at_us = broken->at_us;
        verdict->tx = broken->tx;
        snprintf(verdict->text, sizeof verdict->text, "%s", broken->text);
    } else if (verdict->world.broken[0] != '\0') {
        core_says(&verdict->world, verdict);
    }
    oracle_release(&judge.oracle);
}

void run_world_apart(const struct plan *plan, bool quiet, struct verdict *verdict) {
    struct verdict *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = quiet ? open("/dev/null", O_WRONLY) : -1;
        if (null >= 0) {
            dup2(null, 2);
        }
        run_world(plan, NULL, shared);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    *verdict = *shared;
    munmap(shared, sizeof *shared);
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        *verdict = (struct verdict){.rule = "CRASH"};
        snprintf(verdict->text, sizeof verdict->text, "the process ended with status 0x%x",
                 (unsigned)status);
    }
}

/* ---- Making it smaller: delta debugging [Zeller, Hildebrandt 2002], over one list of flags
 * ------- */

struct shrinking {
    struct plan *plan;
    bool *flags[PLAN_TXS_MAX + PLAN_FAULTS_MAX]; /* left_out of each part that is still there */
    uint32_t n;
    const struct verdict *broken;
    uint32_t tries, tries_max;
};

static bool still_breaks(struct shrinking *s) {
    struct verdict verdict;
    s->tries++;
    run_world_apart(s->plan, true, &verdict);
    return strcmp(verdict.rule, s->broken->rule) == 0;
}

static void set_range(struct shrinking *s, uint32_t from, uint32_t to, bool left_out) {
    for (uint32_t i = from; i < to && i < s->n; i++) {
        *s->flags[i] = left_out;
    }
}

static void collect(struct shrinking *s) {
    s->n = 0;
    for (uint32_t i = 0; i < s->plan->n_faults; i++) {
        if (!s->plan->faults[i].left_out) {
            s->flags[s->n++] = &s->plan->faults[i].left_out;
        }
    }
    for (uint32_t i = 0; i < s->plan->n_txs; i++) {
        if (!s->plan->txs[i].left_out) {
            s->flags[s->n++] = &s->plan->txs[i].left_out;
        }
    }
}

uint32_t run_shrink(struct plan *plan, const struct verdict *broken, uint32_t tries_max) {
    struct shrinking s = {.plan = plan, .broken = broken, .tries_max = tries_max};
    collect(&s);
    for (uint32_t chunk = (s.n + 1) / 2; chunk > 0 && s.tries < tries_max;) {
        bool smaller = false;
        for (uint32_t at = 0; at < s.n && s.tries < tries_max; at += chunk) {
            set_range(&s, at, at + chunk, true);
            if (still_breaks(&s)) {
                smaller = true;
            } else {
                set_range(&s, at, at + chunk, false);
            }
        }
        collect(&s);
        chunk = smaller && chunk == 1 ? 1 : chunk / 2;
    }
    return s.tries;
}

/* ---- Naming parts ---------------------------------------------------------------------------- */

char *run_kept(const struct plan *plan, char *text, size_t n) {
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < plan->n_faults && at < n; i++) {
        if (!plan->faults[i].left_out) {
            at += (size_t)snprintf(text + at, n - at, "%sf%u", at == 0 ? "" : ",", i);
        }
    }
    for (uint32_t i = 0; i < plan->n_txs && at < n; i++) {
        if (!plan->txs[i].left_out) {
            at += (size_t)snprintf(text + at, n - at, "%st%u", at == 0 ? "" : ",", i);
        }
    }
    return text;
}

bool run_keep_only(struct plan *plan, const char *kept) {
    for (uint32_t i = 0; i < plan->n_faults; i++) {
        plan->faults[i].left_out = true;
    }
    for (uint32_t i = 0; i < plan->n_txs; i++) {
        plan->txs[i].left_out = true;
    }
    while (*kept != '\0') {
        char *end;
        char what = *kept;
        unsigned long i = strtoul(kept + 1, &end, 10);
        bool fault = what == 'f' && i < plan->n_faults;
        bool tx = what == 't' && i < plan->n_txs;
        if (end == kept + 1 || (*end != ',' && *end != '\0') || (!fault && !tx)) {
            return false;
        }
        if (fault) {
            plan->faults[i].left_out = false;
        } else {
            plan->txs[i].left_out = false;
        }
        kept = *end == ',' ? end + 1 : end;
    }
    return true;
}
