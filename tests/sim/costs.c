#include "tests/sim/costs.h"

#include <string.h>

#include "tests/sim/run.h"

/* So different that a latency tells how many of each it consists of. */
#define DELAY_US 100
#define SYNC_US  10000

/* ---- Counting -------------------------------------------------------------------------------- */

struct count {
    struct costs costs;
    int64_t asked_us, told_us; /* 0: not yet */
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
    if (sight->kind == SIGHT_ASKS) {
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
    }
}

struct costs costs_counted(uint32_t n, uint32_t f, bool thrifty) {
    static struct plan plan;
    struct count count = {.asked_us = 0};
    struct verdict verdict;
    plan_make_still(&plan, 2 * f + 1, n, DELAY_US, SYNC_US);
    plan.thrifty = thrifty;
    run_world(&plan, &(struct world_look){.see = see, .arg = &count}, &verdict);
    int64_t latency_us = count.told_us - count.asked_us;
    if (verdict.rule[0] != '\0' || count.told_us == 0) {
        return (struct costs){.messages = 0};
    }
    count.costs.stable_delays = (uint64_t)latency_us / SYNC_US;
    count.costs.message_delays = (uint64_t)latency_us % SYNC_US / DELAY_US;
    return count.costs;
}

/* ---- The formula ----------------------------------------------------------------------------- */

struct costs costs_by_formula(uint32_t n, uint32_t f, bool thrifty) {
    uint32_t others = thrifty ? f : 2 * f; /* acceptors but the coordinator's own */
    if (n == 1) {
        return (struct costs){.messages = 3 * others + 4,
                              .message_delays = f == 0 ? 4 : 6,
                              .stable_delays = 2,
                              .stable_writes = others + 2};
    }
    return (struct costs){.messages = n * (others + 4) + 2 * others + 2,
                          .message_delays = f == 0 ? 4 : 5,
                          .stable_delays = 2,
                          .stable_writes = n + others + 1};
}

static uint32_t print_size(FILE *file, uint32_t n, uint32_t f, bool thrifty) {
    struct costs counted = costs_counted(n, f, thrifty);
    struct costs formula = costs_by_formula(n, f, thrifty);
    fprintf(file, "%u  %u  %8llu  %14llu  %13llu  %13llu\n", n, f,
            (unsigned long long)counted.messages, (unsigned long long)counted.message_delays,
            (unsigned long long)counted.stable_delays, (unsigned long long)counted.stable_writes);
    if (memcmp(&counted, &formula, sizeof counted) == 0) {
        return 0;
    }
    fprintf(file, "      the formula says %llu messages, %llu and %llu delays, %llu writes\n",
            (unsigned long long)formula.messages, (unsigned long long)formula.message_delays,
            (unsigned long long)formula.stable_delays, (unsigned long long)formula.stable_writes);
    return 1;
}

uint32_t costs_print(FILE *file) {
    uint32_t wrong = 0;
    for (int thrifty = 0; thrifty <= 1; thrifty++) {
        fprintf(file, "%s\nN  F  messages  message delays  stable delays  stable writes\n",
                thrifty ? "\nvotes to F + 1 acceptors (thrifty)" : "votes to all 2F + 1 acceptors");
        for (uint32_t f = 0; f <= COSTS_F_MAX; f++) {
            for (uint32_t n = 1; n <= COSTS_N_MAX; n++) {
                wrong += print_size(file, n, f, thrifty != 0);
            }
        }
    }
    return wrong;
}
