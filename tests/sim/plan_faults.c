/* plan: the faults. */
#include "tests/sim/plan.h"

static struct process draw_node(const struct plan *plan, struct random *r) {
    return (struct process){ROLE_NODE, (uint8_t)(1 + random_below(r, plan->nodes))};
}

static struct process draw_rm(const struct plan *plan, struct random *r) {
    return (struct process){ROLE_RM, (uint8_t)random_below(r, plan->rms)};
}

static struct process draw_client(const struct plan *plan, struct random *r) {
    return (struct process){ROLE_CLIENT, (uint8_t)(1 + random_below(r, plan->clients))};
}

static struct process draw_server(const struct plan *plan, struct random *r) {
    return random_percent(r, 60) ? draw_node(plan, r) : draw_rm(plan, r);
}

static enum speech_kind draw_speech(struct process who, struct random *r) {
    static const enum speech_kind node_says[] = {
        SAY_PREPARE, SAY_COMMIT_ONE_PHASE, SAY_DECISION, SAY_DECISION, SAY_PHASE1A, SAY_PHASE1B,
        SAY_PHASE2A, SAY_PHASE2A,          SAY_PHASE2B,  SAY_PHASE2B,  SAY_KNOWN,   SAY_ASK,
        SAY_ANSWER,  SAY_ENLISTED,         SAY_BEGUN,    SAY_REPLY};
    static const enum speech_kind rm_says[] = {SAY_ENLIST, SAY_VOTE,   SAY_VOTE,
                                               SAY_ACK,    SAY_WORKED, SAY_ONE_PHASE_RESULT};
    return who.role == ROLE_NODE ? node_says[random_below(r, sizeof node_says / sizeof *node_says)]
                                 : rm_says[random_below(r, sizeof rm_says / sizeof *rm_says)];
}

static void draw_fault(const struct plan *plan, struct random *r, const uint8_t *weights,
                       struct plan_fault *fault) {
    fault->kind = (enum fault_kind)random_weighted(r, weights, FAULT_KINDS);
    fault->at_us = random_between(r, 0, plan->heal_us * 9 / 10);
    fault->for_us = random_percent(r, 30)   ? random_between(r, 1000, 50000)
                    : random_percent(r, 60) ? random_between(r, 50000, 3000000)
                                            : random_between(r, 3000000, 10000000);
    fault->who = draw_server(plan, r);
    fault->to = draw_server(plan, r);
    fault->after = random_percent(r, 50);
    switch (fault->kind) {
    case FAULT_CRASH:
        if (random_percent(r, 10)) {
            fault->who = draw_client(plan, r);
        }
        break;
    case FAULT_CUT:
    case FAULT_CUT_ONE_WAY:
        if (random_percent(r, 15)) {
            fault->who = draw_client(plan, r);
        }
        break;
    case FAULT_ISOLATE_NODES:
    case FAULT_EMPTY_DISK:
    case FAULT_OLDER_DISK:
    case FAULT_STOP:
    case FAULT_DAMAGE:
        fault->who = draw_node(plan, r);
        break;
    case FAULT_LOSE_BRANCH:
        fault->who = draw_rm(plan, r);
        break;
    case FAULT_RESET: /* a node's connection */
        fault->to = draw_node(plan, r);
        break;
    case FAULT_CRASH_SENDING:
    case FAULT_CRASH_SYNCING:
    case FAULT_PAUSE:
    case FAULT_ISOLATE:
    case FAULT_SLOW_DISK:
    case FAULT_FULL_DISK:
    case FAULT_FAILED_SYNC:
    case FAULT_KINDS:
        break;
    }
    fault->says = draw_speech(fault->who, r);
}

static void add_fault(struct plan *plan, enum fault_kind kind, struct process who, int64_t at_us,
                      int64_t for_us) {
    if (plan->n_faults < PLAN_FAULTS_MAX) {
        plan->faults[plan->n_faults++] =
            (struct plan_fault){.kind = kind, .who = who, .at_us = at_us, .for_us = for_us};
    }
}

/* A leader that dies when it has proposed, while its own disk is slow, and is soon back; a
 * coordinator that is gone gives it something to lead. */
static void draw_slow_leader(struct plan *plan, struct random *r) {
    int64_t at_us = random_between(r, 0, plan->heal_us / 2);
    struct process leader = {ROLE_NODE, (uint8_t)plan->nodes}; /* the one that is preferred */
    struct process other = draw_node(plan, r);
    add_fault(plan, FAULT_CRASH, other, at_us, 3000000);
    add_fault(plan, FAULT_SLOW_DISK, leader, at_us, 4000000);
    add_fault(plan, FAULT_CRASH_SENDING, leader, at_us, random_between(r, 1000, 300000));
    plan->faults[plan->n_faults - 1].says = SAY_PHASE2A;
    plan->faults[plan->n_faults - 1].after = true;
}

/* A participant that starts anew between two pieces of work of one transaction. */
static void draw_quick_restart(struct plan *plan, struct random *r) {
    add_fault(plan, FAULT_CRASH_SENDING, draw_rm(plan, r),
              random_between(r, 0, plan->heal_us * 8 / 10), random_between(r, 1000, 20000));
    plan->faults[plan->n_faults - 1].says = SAY_WORKED;
    plan->faults[plan->n_faults - 1].after = true;
}

/* Each world has a mix of its own: some kinds often, others never. */
static void draw_mix(struct plan *plan, struct random *r) {
    static const uint8_t usual[FAULT_KINDS] = {
        [FAULT_CRASH] = 20,     [FAULT_CRASH_SENDING] = 40, [FAULT_CRASH_SYNCING] = 12,
        [FAULT_PAUSE] = 10,     [FAULT_CUT] = 10,           [FAULT_CUT_ONE_WAY] = 8,
        [FAULT_ISOLATE] = 6,    [FAULT_ISOLATE_NODES] = 6,  [FAULT_SLOW_DISK] = 4,
        [FAULT_FULL_DISK] = 2,  [FAULT_FAILED_SYNC] = 4,    [FAULT_EMPTY_DISK] = 2,
        [FAULT_OLDER_DISK] = 4, [FAULT_LOSE_BRANCH] = 6,    [FAULT_RESET] = 8,
        [FAULT_STOP] = 6,       [FAULT_DAMAGE] = 3};
    uint8_t weights[FAULT_KINDS];
    for (uint32_t i = 0; i < FAULT_KINDS; i++) {
        weights[i] = random_percent(r, 50) ? usual[i] : 0;
    }
    weights[FAULT_CRASH] = weights[FAULT_CRASH] == 0 ? 1 : weights[FAULT_CRASH];
    uint32_t n = random_percent(r, 8) ? 0 : 1 + random_below(r, random_percent(r, 30) ? 36 : 14);
    for (uint32_t i = 0; i < n; i++) {
        draw_fault(plan, r, weights, &plan->faults[plan->n_faults++]);
    }
    if (random_percent(r, 6) && plan->nodes > 1) {
        draw_slow_leader(plan, r);
    }
    for (uint32_t i = random_percent(r, 15) ? 3 : 0; i > 0; i--) {
        draw_quick_restart(plan, r);
    }
    if (random_percent(r, 25) && plan->nodes > 1) {
        uint32_t most = 1 + random_below(r, (plan->nodes - 1) / 2);
        for (uint32_t i = 0; i < most; i++) {
            plan->gone_nodes |= 1u << (1 + random_below(r, plan->nodes));
        }
    }
    if (random_percent(r, 10) && plan->rms > 1) {
        plan->gone_rms |= 1u << random_below(r, plan->rms);
    }
    for (uint32_t node = 1; node <= plan->nodes; node++) {
        if ((plan->gone_nodes & 1u << node) != 0) {
            struct plan_fault *fault = &plan->faults[plan->n_faults++];
            draw_fault(plan, r, weights, fault);
            fault->kind = random_percent(r, 50) ? FAULT_CRASH : FAULT_CRASH_SENDING;
            fault->who = (struct process){ROLE_NODE, (uint8_t)node};
            fault->says = draw_speech(fault->who, r);
        }
    }
}

/* A participant without a log that dies in doubt, while the nodes' disks are slow, and finds its
 * branch when it returns. The coordinator of all has been stopped in order meanwhile, and so has
 * told the nodes: none of them drives it, and the participant must ask. For a while it can't reach
 * the one that surely holds its vote. */
static void draw_found(struct plan *plan, struct random *r) {
    uint32_t rm = random_below(r, plan->rms);
    if (!plan->listed[rm] || plan->nodes == 1 ||
        plan->n_faults + plan->nodes + 3 > PLAN_FAULTS_MAX) {
        return;
    }
    struct process who = {ROLE_RM, (uint8_t)rm};
    struct process coordinator = draw_node(plan, r);
    for (uint32_t i = 0; i < plan->n_txs; i++) {
        plan->txs[i].node = plan->txs[i].after_heal ? plan->txs[i].node : coordinator.index;
    }
    int64_t at_us = random_between(r, plan->heal_us / 20, plan->heal_us / 2);
    for (uint32_t node = 1; node <= plan->nodes; node++) {
        add_fault(plan, FAULT_SLOW_DISK, (struct process){ROLE_NODE, (uint8_t)node}, at_us,
                  1500000);
    }
    int64_t dies_us = at_us + random_between(r, 500000, 1500000);
    int64_t stops_us = dies_us + random_between(r, 500000, 2000000);
    if (random_percent(r, 50)) { /* and never comes back */
        plan->gone_nodes = 1u << coordinator.index;
    }
    add_fault(plan, FAULT_CRASH, who, dies_us, random_between(r, 2000000, 4000000));
    add_fault(plan, FAULT_STOP, coordinator, stops_us, random_between(r, 6000000, 10000000));
    add_fault(plan, FAULT_CUT, who, stops_us, random_between(r, 2000000, 6000000));
    plan->faults[plan->n_faults - 1].to =
        (struct process){ROLE_NODE, (uint8_t)(coordinator.index % plan->nodes + 1)};
}

void plan_draw_faults(struct plan *plan, struct random *r) {
    draw_mix(plan, r);
    /* Another stream: the mix stays as it was without this. */
    struct random own = {.state = random_mix(plan->seed, 3)};
    if (random_percent(&own, 50)) {
        draw_found(plan, &own);
    }
}

const char *fault_name(enum fault_kind kind) {
    static const char *const names[FAULT_KINDS] = {
        [FAULT_CRASH] = "crash",
        [FAULT_CRASH_SENDING] = "crash while sending",
        [FAULT_CRASH_SYNCING] = "crash while syncing",
        [FAULT_PAUSE] = "pause",
        [FAULT_CUT] = "cut",
        [FAULT_CUT_ONE_WAY] = "cut one way",
        [FAULT_ISOLATE] = "isolate",
        [FAULT_ISOLATE_NODES] = "isolate from nodes",
        [FAULT_SLOW_DISK] = "slow disk",
        [FAULT_FULL_DISK] = "full disk",
        [FAULT_FAILED_SYNC] = "failed sync",
        [FAULT_EMPTY_DISK] = "empty disk",
        [FAULT_OLDER_DISK] = "older disk",
        [FAULT_LOSE_BRANCH] = "lost branch",
        [FAULT_RESET] = "reset",
        [FAULT_STOP] = "stop",
        [FAULT_DAMAGE] = "damaged record",
    };
    return kind < FAULT_KINDS ? names[kind] : "?";
}
