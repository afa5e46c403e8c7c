/* What all processes have: clocks, syncs, crashes and starts. */
#include <string.h>

#include "tests/sim/sim_client.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_rm.h"

#define CLIENT_SLOT (SIM_NODES_MAX + SIM_RMS_MAX)

/* ---- Processes ------------------------------------------------------------------------------- */

uint32_t process_slot(struct process process) {
    return process.role == ROLE_NODE ? process.index - 1u
           : process.role == ROLE_RM ? SIM_NODES_MAX + process.index
                                     : CLIENT_SLOT + process.index - 1u;
}

struct process process_of_slot(uint32_t slot) {
    if (slot < SIM_NODES_MAX) {
        return (struct process){ROLE_NODE, (uint8_t)(slot + 1)};
    }
    if (slot < CLIENT_SLOT) {
        return (struct process){ROLE_RM, (uint8_t)(slot - SIM_NODES_MAX)};
    }
    return (struct process){ROLE_CLIENT, (uint8_t)(slot - CLIENT_SLOT + 1)};
}

void host_init(struct host *host, struct world *world, struct process self) {
    host->world = world;
    host->self = self;
    host->slot = process_slot(self);
    host->wake_us = INT64_MAX;
    host->drift = self.role == ROLE_CLIENT ? 0 : world->plan->drift[host->slot];
    world->hosts[host->slot] = host;
}

uint64_t world_random(struct world *world, struct host *host) {
    uint64_t turn = world->counters[host->slot][host->slot]++;
    return random_mix(world->plan->seed, (uint64_t)host->slot << 56 | 1ull << 55 | turn);
}

/* Clocks start at different times, and drift. */
int64_t host_now_ms(const struct host *host) {
    int64_t us = host->world->now_us;
    return (us + us * host->drift / 1024) / 1000 + 1000 + 77 * (int64_t)host->slot;
}

void host_wake(struct host *host, int64_t at_ms) {
    if (at_ms == INT64_MAX) {
        return;
    }
    int64_t wait_ms = at_ms - host_now_ms(host);
    int64_t wait_us = wait_ms <= 0 ? 0 : wait_ms * 1000 * 1024 / (1024 + host->drift) + 1;
    int64_t at_us = host->world->now_us + wait_us;
    if (at_us >= host->wake_us) {
        return;
    }
    host->wake_us = at_us;
    world_at(host->world, at_us,
             (struct event){.kind = EVENT_WAKE, .a = host->slot, .id = ++host->wake_turn});
}

void host_run(struct host *host) {
    if (host->life != LIFE_UP || host->paused || host->syncing) {
        return;
    }
    switch (host->self.role) {
    case ROLE_NODE:
        sim_node_run(&host->world->nodes[host->self.index]);
        break;
    case ROLE_RM:
        sim_rm_run(&host->world->rms[host->self.index]);
        break;
    default:
        sim_client_run(&host->world->clients[host->self.index]);
        break;
    }
}

/* ---- Sending --------------------------------------------------------------------------------- */

void host_send(struct host *host, struct packet *packet, bool hold) {
    uint32_t to = process_slot(packet->to);
    if (hold || host->held_to[to] > 0) {
        host->held_to[to]++;
        packets_put(&host->held, packet);
    } else {
        net_send(host->world, packet);
    }
}

void host_send_held(struct host *host) {
    struct packet *packet;
    memset(host->held_to, 0, sizeof host->held_to);
    while ((packet = packets_take(&host->held)) != NULL) {
        net_send(host->world, packet);
    }
}

void host_drop_held(struct host *host) {
    packets_drop(host->world, &host->held);
    memset(host->held_to, 0, sizeof host->held_to);
}

/* ---- Syncs ----------------------------------------------------------------------------------- */

void host_sync(struct host *host) {
    struct world *world = host->world;
    const struct plan *plan = world->plan;
    struct random r = {.state = world_random(world, host)};
    int64_t us = plan->sync_us + random_between(&r, 0, plan->sync_jitter_us) + host->sync_slow_us;
    if (!world->healed && random_below(&r, 1000) < plan->sync_stall_permille) {
        us += random_between(&r, 100000, 2000000);
    }
    host->syncing = true;
    world_at(world, world->now_us + us,
             (struct event){.kind = EVENT_SYNCED, .a = host->slot, .id = host->epoch});
    if (host->crash_syncing) {
        host->crash_syncing = false;
        world_at(world, world->now_us + us / 2,
                 (struct event){
                     .kind = EVENT_FAULT, .a = UINT32_MAX, .b = host->slot, .id = host->epoch});
    }
}

static void end_sync(struct host *host, bool stored) {
    if (host->self.role == ROLE_NODE) {
        sim_node_synced(&host->world->nodes[host->self.index], stored);
    } else {
        sim_rm_synced(&host->world->rms[host->self.index], stored);
    }
}

void host_synced(struct host *host) {
    struct random r = {.state = world_random(host->world, host)};
    if (host->sync_full || host->sync_fails) {
        /* Full: nothing is written. A failed fsync: what is on disk is not known. The process ends,
         * and nothing of the batch has left (H9). */
        world_fault(host->world, host->sync_fails ? FAULT_FAILED_SYNC : FAULT_FULL_DISK, host->self,
                    host->sync_fails ? "a sync fails" : "the disk is full");
        bool stored = host->sync_fails && random_percent(&r, 50);
        host->sync_fails = false;
        if (stored) {
            end_sync(host, true);
        }
        host_crash(host, 200000);
        return;
    }
    host->syncing = false;
    end_sync(host, true);
    if (host->crash_synced) {
        host->crash_synced = false;
        world_fault(host->world, FAULT_CRASH_SYNCING, host->self, "dies behind a sync");
        host_crash(host, host->crash_for_us);
        return;
    }
    if (host->inbox.n > 0 || host->self.role == ROLE_RM) {
        host_run(host);
    }
}

/* ---- Crashes --------------------------------------------------------------------------------- */

bool world_is_gone(const struct world *world, struct process who) {
    uint32_t mask = who.role == ROLE_NODE ? world->plan->gone_nodes
                    : who.role == ROLE_RM ? world->plan->gone_rms
                                          : 0;
    return (mask & 1u << who.index) != 0;
}

void host_crash(struct host *host, int64_t for_us) {
    struct world *world = host->world;
    if (host->life != LIFE_UP) {
        return;
    }
    if (host->syncing) { /* the batch under way is on disk as a whole, or not at all */
        struct random r = {.state = world_random(world, host)};
        bool stored = random_percent(&r, 50);
        if (stored) {
            end_sync(host, true);
        }
    }
    host->life = world_is_gone(world, host->self) && world->formed ? LIFE_GONE : LIFE_DOWN;
    host->epoch++;
    host->syncing = host->paused = host->doomed = false;
    host->crash_sending = host->crash_sent = host->crash_syncing = host->crash_synced = false;
    host->wake_us = INT64_MAX;
    host->wake_turn++;
    packets_drop(world, &host->inbox);
    world_see_process(world, host->life == LIFE_GONE ? SIGHT_GONE : SIGHT_CRASH, host->self, 0);
    if (host->self.role == ROLE_NODE) {
        sim_node_crash(&world->nodes[host->self.index]);
    } else if (host->self.role == ROLE_RM) {
        sim_rm_crash(&world->rms[host->self.index]);
    } else {
        sim_client_crash(&world->clients[host->self.index]);
    }
    net_close_all(world, host->self);
    if (host->life == LIFE_DOWN) {
        int64_t at_us = world->now_us + for_us;
        int64_t heal_us = world->base_us + world->plan->heal_us;
        at_us = world->formed && !world->healed && at_us > heal_us ? heal_us : at_us;
        world_at(world, at_us,
                 (struct event){.kind = EVENT_RESTART, .a = host->slot, .id = host->epoch});
    }
}

void host_start(struct host *host) {
    struct world *world = host->world;
    if (host->life != LIFE_DOWN) {
        return;
    }
    host->life = LIFE_UP;
    if (host->self.role == ROLE_NODE) {
        sim_node_start(&world->nodes[host->self.index]);
    } else if (host->self.role == ROLE_RM) {
        sim_rm_start(&world->rms[host->self.index]);
    } else {
        sim_client_start(&world->clients[host->self.index]);
    }
}

bool host_dies_sending(struct host *host, const struct packet *packet) {
    if (host->doomed || host->life != LIFE_UP) {
        return true;
    }
    if (!host->crash_sending || packet->speech.kind != host->crash_says) {
        return false;
    }
    host->crash_sending = false;
    host->doomed = true;
    world_fault(host->world, FAULT_CRASH_SENDING, host->self, "dies before it sends");
    world_at(
        host->world, host->world->now_us,
        (struct event){.kind = EVENT_FAULT, .a = UINT32_MAX, .b = host->slot, .id = host->epoch});
    return true;
}

void host_has_sent(struct host *host, const struct packet *packet) {
    if (!host->crash_sent || packet->kind < PACKET_MESSAGE ||
        packet->speech.kind != host->crash_says) {
        return;
    }
    host->crash_sent = false;
    host->doomed = true;
    world_fault(host->world, FAULT_CRASH_SENDING, host->self, "dies behind a sending");
    world_at(
        host->world, host->world->now_us,
        (struct event){.kind = EVENT_FAULT, .a = UINT32_MAX, .b = host->slot, .id = host->epoch});
}
