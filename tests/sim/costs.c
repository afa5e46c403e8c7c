#include "tests/sim/costs.h"

#include <string.h>

#include "tests/sim/run.h"

/* So different that a latency tells how many of each it consists of. */
#define DELAY_US 100
#define SYNC_US  10000

/* ---- Counting -------------------------------------------------------------------------------- */

struct count {
    struct costs costs;
    int64_t asked_us, told_us, applied_us; /* 0: not yet */
    bool whole;                            /* from the work on */
    /* When each process last synced something of the transaction. */
    int64_t synced_us[ROLE_CLIENT + 1][SIM_RMS_MAX];
};

static void see_sync(struct count *count, const struct sight *sight) {
    int64_t *synced_us = &count->synced_us[sight->who.role][sight->who.index];
    if (*synced_us != sight->at_us && count->told_us == 0) {
        *synced_us = sight->at_us;
        count->costs.stable_writes++;
    }
}

static void see(void *arg, const struct sight *sight) {
    struct count *count = arg;
    if (sight->tx != 1) {
        return;
    }
    bool works = count->whole && sight->kind == SIGHT_SEND && sight->speech->kind == SAY_WORK;
    if (count->asked_us == 0 && (works || sight->kind == SIGHT_ASKS)) {
        count->asked_us = sight->at_us;
    }
    if (count->asked_us == 0) {
        return;
    }
    bool to_itself = sight->who.role == sight->to.role && sight->who.index == sight->to.index;
    if (sight->kind == SIGHT_SEND) {
        count->costs.messages += !to_itself;
    } else if (sight->kind == SIGHT_NODE_STORED || sight->kind == SIGHT_RM_STORED) {
        see_sync(count, sight);
    } else if (sight->kind == SIGHT_TOLD) {
        count->told_us = sight->at_us;
    } else if (sight->kind == SIGHT_RM_APPLIED) {
        count->applied_us = sight->at_us;
    }
}

struct costs costs_counted(uint32_t n, uint32_t f, struct costs_how how) {
    static struct plan plan;
    struct count count = {.whole = how.work != COSTS_FROM_COMMIT};
    struct verdict verdict;
    plan_make_still(&plan, 2 * f + 1, n, DELAY_US, SYNC_US);
    plan.thrifty = how.thrifty;
    plan.faster = how.faster;
    if (how.work != COSTS_FROM_COMMIT) {
        plan_hurry(&plan, how.work == COSTS_WITH_COMMIT);
    }
    run_world(&plan, &(struct world_look){.see = see, .arg = &count}, &verdict);
    int64_t latency_us = count.told_us - count.asked_us;
    if (verdict.rule[0] != '\0' || count.told_us == 0) {
        return (struct costs){.messages = 0};
    }
    count.costs.stable_delays = (uint64_t)latency_us / SYNC_US;
    count.costs.message_delays = (uint64_t)latency_us % SYNC_US / DELAY_US;
    count.costs.unlock_delays = (uint64_t)(count.applied_us - count.asked_us) % SYNC_US / DELAY_US;
    return count.costs;
}

/* ---- The formula ----------------------------------------------------------------------------- */

struct costs costs_by_formula(uint32_t n, uint32_t f, struct costs_how how) {
    uint32_t others = how.thrifty ? f : 2 * f;          /* acceptors but the coordinator's own */
    uint32_t work = how.work == COSTS_STEPWISE ? 2 : 0; /* there and back */
    if (n == 1 && how.work != COSTS_WITH_COMMIT) {
        return (struct costs){.messages = work + 2 * others + 2 * f + 4,
                              .message_delays = work + (f == 0 ? 4 : 6),
                              .unlock_delays = work + (f == 0 ? 2 : 4),
                              .stable_delays = 2,
                              .stable_writes = others + 2};
    }
    /* Faster, each acceptor tells each participant, and the coordinator tells none. */
    uint32_t tells = how.faster ? n * (others + 1) : n;
    return (struct costs){.messages = n * (work + others + 3) + tells + others + 2 * f + 2,
                          .message_delays = work + (f == 0 ? 4 : 5),
                          .unlock_delays = work + (f == 0 || how.faster ? 4 : 5),
                          .stable_delays = 2,
                          .stable_writes = n + others + 1};
}

static uint32_t print_size(FILE *file, uint32_t n, uint32_t f, struct costs_how how) {
    static const char format[] = "%s%u  %u  %8llu  %14llu  %13llu  %13llu  %13llu\n";
    struct costs counted = costs_counted(n, f, how);
    struct costs formula = costs_by_formula(n, f, how);
    const struct costs *rows[2] = {&counted, &formula};
    bool same = memcmp(&counted, &formula, sizeof counted) == 0;
    for (int i = 0; i < (same ? 1 : 2); i++) {
        fprintf(file, format, i == 0 ? "" : "not as the formula says:\n", n, f,
                (unsigned long long)rows[i]->messages, (unsigned long long)rows[i]->message_delays,
                (unsigned long long)rows[i]->unlock_delays,
                (unsigned long long)rows[i]->stable_delays,
                (unsigned long long)rows[i]->stable_writes);
    }
    return !same;
}

uint32_t costs_print(FILE *file) {
    static const struct {
        struct costs_how how;
        const char *name;
    } kinds[] = {
        {{.thrifty = false}, "votes to all 2F + 1 acceptors"},
        {{.thrifty = true}, "votes to F + 1 acceptors (thrifty)"},
        {{.faster = true}, "acceptors tell participants too (faster)"},
        {{.thrifty = true, .faster = true}, "thrifty and faster"},
        {{.work = COSTS_STEPWISE}, "whole, work before Commit"},
        {{.work = COSTS_WITH_COMMIT}, "whole, work with Commit"},
        {{.thrifty = true, .work = COSTS_STEPWISE}, "whole, work before Commit, thrifty"},
        {{.thrifty = true, .work = COSTS_WITH_COMMIT}, "whole, work with Commit, thrifty"},
        {{.thrifty = true, .faster = true, .work = COSTS_STEPWISE},
         "whole, work before Commit, thrifty and faster"},
        {{.thrifty = true, .faster = true, .work = COSTS_WITH_COMMIT},
         "whole, work with Commit, thrifty and faster"},
    };
    uint32_t wrong = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fprintf(
            file,
            "%s%s\nN  F  messages  message delays  unlock delays  stable delays  stable writes\n",
            i == 0 ? "" : "\n", kinds[i].name);
        for (uint32_t f = 0; f <= COSTS_F_MAX; f++) {
            for (uint32_t n = 1; n <= COSTS_N_MAX; n++) {
                wrong += print_size(file, n, f, kinds[i].how);
            }
        }
    }
    return wrong;
}
