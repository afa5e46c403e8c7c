/* The faults of the plan, as they begin and end. */
#include <stdlib.h>

#include "tests/sim/sim_node.h"
#include "tests/sim/sim_rm.h"

/* ---- Faults ---------------------------------------------------------------------------------- */

static void cut_from_all(struct world *world, struct process who, bool nodes_only, bool on) {
    for (uint32_t slot = 0; slot < WORLD_PROCESSES; slot++) {
        struct process other = process_of_slot(slot);
        if (world->hosts[slot] == NULL || slot == process_slot(who) ||
            (nodes_only && other.role != ROLE_NODE)) {
            continue;
        }
        net_cut(world, who, other, on);
        net_cut(world, other, who, on);
    }
}

static void cut(struct world *world, const struct plan_fault *fault, bool on) {
    if (fault->kind == FAULT_CUT || fault->kind == FAULT_CUT_ONE_WAY) {
        net_cut(world, fault->who, fault->to, on);
    }
    if (fault->kind == FAULT_CUT) {
        net_cut(world, fault->to, fault->who, on);
    }
    if (fault->kind == FAULT_ISOLATE || fault->kind == FAULT_ISOLATE_NODES) {
        cut_from_all(world, fault->who, fault->kind == FAULT_ISOLATE_NODES, on);
    }
}

/* An older copy is known by what others remember: who could admit it must have heard of the start
 * that is missing on it, or nothing in the world could tell (ARCHITECTURE, Known limits). */
static bool start_is_known(const struct world *world, const struct sim_node *node) {
    for (uint32_t other = 1; other <= world->plan->nodes; other++) {
        const struct sim_node *peer = &world->nodes[other];
        if (peer != node &&
            peer->disk.peers[node->host.self.index].incarnation != node->disk.incarnation) {
            return false;
        }
    }
    return true;
}

/* Two that have forgotten at once would believe each other. */
static bool another_has_forgotten(const struct world *world) {
    for (uint32_t node = 1; node <= world->plan->nodes; node++) {
        if (world->nodes[node].own != NULL) {
            return true;
        }
    }
    return false;
}

/* The sights go on speaking of the own disk: what is written to another is a lie. */
static void other_disk(struct world *world, const struct plan_fault *fault) {
    struct sim_node *node = &world->nodes[fault->who.index];
    bool empty = fault->kind == FAULT_EMPTY_DISK;
    bool can = node->host.life == LIFE_UP && !another_has_forgotten(world) &&
               world->plan->nodes > 1 && node->disk.admitted && !world_is_gone(world, fault->who);
    bool older = node->older != NULL && start_is_known(world, node);
    if (can && !empty && !older && !world->healed) {
        /* It has started once only, or nobody has heard of this start yet. */
        if (node->older == NULL) {
            host_crash(&node->host, 1000);
        }
        world_at(world, world->now_us + 500000,
                 (struct event){.kind = EVENT_FAULT, .a = (uint32_t)(fault - world->plan->faults)});
    }
    can = can && (empty || older);
    if (!can) {
        return;
    }
    world_fault(world, fault->kind, fault->who,
                empty ? "comes back with an empty disk" : "comes back with an older disk");
    host_crash(&node->host, 1000);
    node->own = calloc(1, sizeof *node->own);
    node_disk_copy(node->own, &node->disk);
    if (empty) {
        node_disk_release(&node->disk);
        node_disk_new(node);
    } else {
        node_disk_copy(&node->disk, node->older);
    }
}

static void own_disk_again(struct world *world, struct process who) {
    struct sim_node *node = &world->nodes[who.index];
    if (node->own == NULL) {
        return;
    }
    host_crash(&node->host, 1000);
    node_disk_copy(&node->disk, node->own);
    node_disk_release(node->own);
    free(node->own);
    node->own = NULL;
    host_start(&node->host);
}

static void pause_it(struct world *world, struct host *host, const struct plan_fault *fault) {
    if (host->life != LIFE_UP || host->paused) {
        return;
    }
    world_fault(world, fault->kind, fault->who, "is paused");
    host->paused = true;
    world_see_process(world, SIGHT_PAUSE, fault->who, 0);
    world_at(world, world->now_us + fault->for_us,
             (struct event){.kind = EVENT_RESUME, .a = host->slot, .id = host->epoch});
}

/* A node that can't read a record is silent about it: that counts as a failure, and more than F of
 * these block by design. */
static void damage_record(struct world *world, struct host *host, const struct plan_fault *fault) {
    if (host->life != LIFE_UP || world->plan->nodes == 1 || world->plan->gone_nodes != 0 ||
        world->damaged) {
        return;
    }
    world->damaged = true;
    world_fault(world, fault->kind, fault->who, "dies, and a record is damaged");
    world->nodes[fault->who.index].damaged = true;
    host_crash(host, fault->for_us);
}

/* Both ends see by themselves that it is gone. */
static void break_connection(struct world *world, const struct plan_fault *fault) {
    bool same = process_slot(fault->who) == process_slot(fault->to);
    if (same || !net_conn(world, fault->who, fault->to.index)->up_dialler) {
        return;
    }
    world_fault(world, fault->kind, fault->who, "a connection breaks");
    net_break(world, fault->who, fault->to.index);
}

static void arm_crash(struct host *host, const struct plan_fault *fault) {
    host->crash_for_us = fault->for_us;
    if (fault->kind == FAULT_CRASH_SENDING) {
        host->crash_sending = !fault->after;
        host->crash_sent = fault->after;
        host->crash_says = fault->says;
    } else {
        host->crash_syncing = !fault->after;
        host->crash_synced = fault->after;
    }
}

static void begin_fault(struct world *world, const struct plan_fault *fault) {
    struct host *host = world->hosts[process_slot(fault->who)];
    bool same = process_slot(fault->who) == process_slot(fault->to);
    switch (fault->kind) {
    case FAULT_CRASH:
        if (host->life == LIFE_UP) {
            world_fault(world, fault->kind, fault->who, "crashes");
            host_crash(host, fault->for_us);
        }
        break;
    case FAULT_CRASH_SENDING:
    case FAULT_CRASH_SYNCING:
        arm_crash(host, fault);
        break;
    case FAULT_PAUSE:
        pause_it(world, host, fault);
        break;
    case FAULT_CUT:
    case FAULT_CUT_ONE_WAY:
        if (same) {
            break;
        }
        cut(world, fault, true);
        world_fault(world, fault->kind, fault->who, fault_name(fault->kind));
        break;
    case FAULT_ISOLATE:
    case FAULT_ISOLATE_NODES:
        cut(world, fault, true);
        world_fault(world, fault->kind, fault->who, fault_name(fault->kind));
        break;
    case FAULT_SLOW_DISK:
        world_fault(world, fault->kind, fault->who, "its disk is slow");
        host->sync_slow_us += 1000000;
        break;
    case FAULT_FULL_DISK:
        host->sync_full = true;
        break;
    case FAULT_FAILED_SYNC:
        host->sync_fails = true;
        break;
    case FAULT_EMPTY_DISK:
    case FAULT_OLDER_DISK:
        other_disk(world, fault);
        break;
    case FAULT_LOSE_BRANCH:
        if (rm_lose_branch(&world->rms[fault->who.index])) {
            world_fault(world, fault->kind, fault->who, "loses a live branch's work");
        }
        break;
    case FAULT_STOP:
        world->nodes[fault->who.index].stop_asked = host->life == LIFE_UP;
        host->crash_for_us = fault->for_us;
        break;
    case FAULT_DAMAGE:
        damage_record(world, host, fault);
        break;
    case FAULT_RESET:
        break_connection(world, fault);
        break;
    case FAULT_KINDS:
        break;
    }
}

static bool lasts(enum fault_kind kind) {
    return kind == FAULT_CUT || kind == FAULT_CUT_ONE_WAY || kind == FAULT_ISOLATE ||
           kind == FAULT_ISOLATE_NODES || kind == FAULT_SLOW_DISK || kind == FAULT_FULL_DISK ||
           kind == FAULT_EMPTY_DISK || kind == FAULT_OLDER_DISK;
}

void faults_mend(struct world *world, const struct plan_fault *fault) {
    struct host *host = world->hosts[process_slot(fault->who)];
    bool same = process_slot(fault->who) == process_slot(fault->to);
    if (fault->kind == FAULT_SLOW_DISK) {
        host->sync_slow_us -= 1000000;
    } else if (fault->kind == FAULT_FULL_DISK) {
        host->sync_full = false;
    } else if (fault->kind == FAULT_EMPTY_DISK || fault->kind == FAULT_OLDER_DISK) {
        own_disk_again(world, fault->who);
    } else if (!same || fault->kind == FAULT_ISOLATE || fault->kind == FAULT_ISOLATE_NODES) {
        cut(world, fault, false);
    }
}

void faults_on_event(struct world *world, const struct event *event) {
    if (event->a == UINT32_MAX) { /* an armed crash comes true */
        struct host *host = world->hosts[event->b];
        if (host->epoch == event->id) {
            world->result->faults[FAULT_CRASH_SYNCING] += host->syncing;
            host_crash(host, host->crash_for_us);
        }
        return;
    }
    if (world->healed) {
        return;
    }
    const struct plan_fault *fault = &world->plan->faults[event->a];
    int64_t heal_us = world->base_us + world->plan->heal_us;
    int64_t until_us = world->now_us + fault->for_us;
    if (lasts(fault->kind)) {
        world_at(world, until_us < heal_us ? until_us : heal_us - 1,
                 (struct event){.kind = EVENT_MEND, .a = event->a});
    }
    begin_fault(world, fault);
}
