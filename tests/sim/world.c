/* Time, events, faults, the end. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "client/placement.h"
#include "tests/sim/world_state.h"

#define LOOK_US       500000
#define CLIENT_SLOT   (SIM_NODES_MAX + SIM_RMS_MAX)
#define FORM_LIMIT_US 60000000
#define PAUSED_US     50000

/* ---- Sights ---------------------------------------------------------------------------------- */

void world_see(struct world *world, struct sight *sight) {
    sight->at_us = world->now_us;
    for (struct world_look *look = world->looks; look != NULL; look = look->next) {
        look->see(look->arg, sight);
    }
}

void world_fault(struct world *world, enum fault_kind kind, struct process who, const char *text) {
    struct sight sight = {.kind = SIGHT_FAULT, .who = who, .text = text};
    world->result->faults[kind]++;
    world_see(world, &sight);
}

void world_broken(struct world *world, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (world->result->broken[0] == '\0') {
        vsnprintf(world->result->broken, sizeof world->result->broken, format, args);
    }
    va_end(args);
    world->ended = true;
}

static void see_process(struct world *world, enum sight_kind kind, struct process who,
                        uint64_t incarnation) {
    struct sight sight = {.kind = kind, .who = who, .incarnation = incarnation};
    world_see(world, &sight);
}

/* ---- Events: a binary heap by time, then by order ----------------------------------------------
 */

static bool sooner(const struct event *a, const struct event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void world_at(struct world *world, int64_t at_us, struct event event) {
    if (world->heap_n + 1 >= world->heap_capacity) {
        world->heap_capacity = world->heap_capacity == 0 ? 512 : 2 * world->heap_capacity;
        world->heap = realloc(world->heap, world->heap_capacity * sizeof *world->heap);
    }
    event.at_us = at_us > world->now_us ? at_us : world->now_us;
    event.order = ++world->orders;
    uint32_t i = ++world->heap_n;
    while (i > 1 && sooner(&event, &world->heap[i / 2])) {
        world->heap[i] = world->heap[i / 2];
        i /= 2;
    }
    world->heap[i] = event;
}

static struct event next_event(struct world *world) {
    struct event first = world->heap[1];
    struct event last = world->heap[world->heap_n--];
    uint32_t i = 1;
    while (2 * i <= world->heap_n) {
        uint32_t child = 2 * i;
        if (child < world->heap_n && sooner(&world->heap[child + 1], &world->heap[child])) {
            child++;
        }
        if (!sooner(&world->heap[child], &last)) {
            break;
        }
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return first;
}

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

static void on_synced(struct host *host) {
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

static bool is_gone(const struct world *world, struct process who) {
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
    host->life = is_gone(world, host->self) && world->formed ? LIFE_GONE : LIFE_DOWN;
    host->epoch++;
    host->syncing = host->paused = host->doomed = false;
    host->crash_sending = host->crash_sent = host->crash_syncing = host->crash_synced = false;
    host->wake_us = INT64_MAX;
    host->wake_turn++;
    packets_drop(world, &host->inbox);
    see_process(world, host->life == LIFE_GONE ? SIGHT_GONE : SIGHT_CRASH, host->self, 0);
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
               world->plan->nodes > 1 && node->disk.admitted && !is_gone(world, fault->who);
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
        host->crash_sending = !fault->after;
        host->crash_sent = fault->after;
        host->crash_says = fault->says;
        host->crash_for_us = fault->for_us;
        break;
    case FAULT_CRASH_SYNCING:
        host->crash_syncing = !fault->after;
        host->crash_synced = fault->after;
        host->crash_for_us = fault->for_us;
        break;
    case FAULT_PAUSE:
        if (host->life == LIFE_UP && !host->paused) {
            world_fault(world, fault->kind, fault->who, "is paused");
            host->paused = true;
            see_process(world, SIGHT_PAUSE, fault->who, 0);
            world_at(world, world->now_us + fault->for_us,
                     (struct event){.kind = EVENT_RESUME, .a = host->slot, .id = host->epoch});
        }
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
    case FAULT_RESET:
        if (!same && net_conn(world, fault->who, fault->to.index)->up_dialler) {
            world_fault(world, fault->kind, fault->who, "a connection breaks");
            uint64_t id = net_conn(world, fault->who, fault->to.index)->id;
            for (int i = 0; i < 2; i++) {
                struct packet *packet =
                    packet_new(world, PACKET_CLOSED, i == 0 ? fault->to : fault->who,
                               i == 0 ? fault->who : fault->to);
                packet->conn = id;
                packet->id = ++world->ids;
                world_at(world, world->now_us,
                         (struct event){.kind = EVENT_ARRIVE, .packet = packet});
            }
        }
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

static void mend_fault(struct world *world, const struct plan_fault *fault) {
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

static void on_fault(struct world *world, const struct event *event) {
    if (event->a == UINT32_MAX) { /* an armed crash comes true */
        struct host *host = world->hosts[event->b];
        if (host->epoch == event->id) {
            world->result->faults[FAULT_CRASH_SYNCING] += host->syncing;
            host_crash(host, host->crash_for_us);
        }
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

/* ---- Beginning and end ----------------------------------------------------------------------- */

static bool is_formed(const struct world *world) {
    for (uint32_t node = 1; node <= world->plan->nodes; node++) {
        if (!world->nodes[node].started) {
            return false;
        }
        for (uint32_t other = 1; other <= world->plan->nodes; other++) {
            if (other != node && !world->nodes[node].peers[other].trusted) {
                return false;
            }
        }
        for (uint32_t i = 0; i < world->plan->rms; i++) {
            if (!world->conns[SIM_NODES_MAX + i][node].up_dialler) {
                return false;
            }
        }
    }
    return true;
}

/* All is up: now the plan begins. */
static void begin_plan(struct world *world) {
    const struct plan *plan = world->plan;
    world->formed = true;
    world->base_us = world->now_us;
    for (uint32_t i = 0; i < plan->n_faults; i++) {
        if (!plan->faults[i].left_out) {
            world_at(world, world->base_us + plan->faults[i].at_us,
                     (struct event){.kind = EVENT_FAULT, .a = i});
        }
    }
    world_at(world, world->base_us + plan->heal_us, (struct event){.kind = EVENT_HEAL});
    for (uint32_t client = 1; client <= plan->clients; client++) {
        host_start(&world->clients[client].host);
    }
}

static void heal(struct world *world) {
    world->healed = true;
    for (uint32_t slot = 0; slot < WORLD_PROCESSES; slot++) {
        struct host *host = world->hosts[slot];
        if (host == NULL) {
            continue;
        }
        host->crash_sending = host->crash_sent = host->crash_syncing = host->crash_synced = false;
        host->sync_fails = host->sync_full = false;
        if (host->paused) {
            host->paused = false;
            see_process(world, SIGHT_RESUME, host->self, 0);
            host_run(host);
        }
        if (is_gone(world, host->self) && host->life != LIFE_GONE) {
            host_crash(host, 0); /* its crash waited for something that never came */
            host->life = LIFE_GONE;
        }
        if (host->life == LIFE_DOWN) {
            host_start(host);
        }
    }
    struct sight sight = {.kind = SIGHT_HEALED};
    world_see(world, &sight);
    world_at(world, world->now_us + LOOK_US, (struct event){.kind = EVENT_LOOK});
}

static void see_in_doubt(struct world *world, const struct sim_rm *rm) {
    for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
        if (rm->disk.log[tx] == BRANCHES_RECORD_PREPARED) {
            struct sight sight = {.kind = SIGHT_IN_DOUBT, .who = rm->host.self, .tx = tx};
            world_see(world, &sight);
        }
    }
}

/* All who are to return have, so every decision is to be acknowledged. */
static bool all_is_delivered(const struct world *world, bool tell) {
    for (uint32_t i = 1; i <= world->plan->nodes && world->plan->gone_rms == 0; i++) {
        struct engine_counters counters = {0};
        if (world->nodes[i].engine != NULL) {
            engine_counters(world->nodes[i].engine, &counters);
        }
        if (counters.undelivered > 0 && tell) {
            world_broken((struct world *)world,
                         "L2: node %u has %llu decisions that were never acknowledged", i,
                         (unsigned long long)counters.undelivered);
        }
        if (counters.undelivered > 0) {
            return false;
        }
    }
    return true;
}

static void end(struct world *world) {
    all_is_delivered(world, true);
    for (uint32_t i = 0; i < world->plan->rms; i++) {
        rm_disk_tell_data(&world->rms[i]);
        see_in_doubt(world, &world->rms[i]);
    }
    struct sight sight = {.kind = SIGHT_END};
    world_see(world, &sight);
    world->ended = true;
}

static bool rm_is_over(const struct world *world, const struct sim_rm *rm) {
    struct branches_counters counters = {0};
    if (rm->branches == NULL) {
        return true;
    }
    branches_counters(rm->branches, &counters);
    bool open = counters.in_doubt > 0 || counters.active > 0 || rm->host.syncing;
    for (uint32_t tx = 1; !open && tx <= world->n_txs; tx++) {
        open = rm->disk.log[tx] == BRANCHES_RECORD_PREPARED ||
               rm->disk.log[tx] == BRANCHES_RECORD_COMMITTING;
    }
    return !open;
}

static bool is_over(const struct world *world) {
    for (uint32_t client = 1; client <= world->plan->clients; client++) {
        if (!sim_client_is_done(&world->clients[client])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < world->plan->rms; i++) {
        if (!rm_is_over(world, &world->rms[i])) {
            return false;
        }
    }
    return all_is_delivered(world, false);
}

static void look(struct world *world) {
    if (is_over(world) || world->now_us >= world->base_us + world->plan->end_us) {
        end(world);
    } else {
        world_at(world, world->now_us + LOOK_US, (struct event){.kind = EVENT_LOOK});
    }
}

/* ---- Running --------------------------------------------------------------------------------- */

static void handle(struct world *world, const struct event *event) {
    struct host *host = event->a < WORLD_PROCESSES ? world->hosts[event->a] : NULL;
    bool current = host != NULL && host->epoch == event->id;
    struct process process = process_of_slot(event->a < WORLD_PROCESSES ? event->a : 0);
    switch (event->kind) {
    case EVENT_ARRIVE:
        net_arrive(world, event->packet);
        break;
    case EVENT_WAKE:
        if (host->wake_turn == event->id) {
            host->wake_us = INT64_MAX;
            host_run(host);
        }
        break;
    case EVENT_SYNCED:
        if (current && host->paused) {
            world_at(world, world->now_us + PAUSED_US, *event);
        } else if (current) {
            on_synced(host);
        }
        break;
    case EVENT_DIAL:
        if (current && host->life == LIFE_UP) {
            net_dial(world, process, event->b);
        }
        break;
    case EVENT_DIAL_TIMEOUT: {
        const struct conn *conn = net_conn(world, process, event->b);
        if (conn->id == event->id && !conn->up_dialler && host->life == LIFE_UP) {
            net_close(world, process, event->b, process);
            net_dial(world, process, event->b);
        }
        break;
    }
    case EVENT_KEEPALIVE:
        net_keepalive(world, process, event->b, event->id);
        break;
    case EVENT_FAULT:
        on_fault(world, event);
        break;
    case EVENT_RESTART:
        if (current) {
            host_start(host);
        }
        break;
    case EVENT_RESUME:
        if (current && host->paused) {
            host->paused = false;
            see_process(world, SIGHT_RESUME, host->self, 0);
            host_run(host);
        }
        break;
    case EVENT_MEND:
        mend_fault(world, &world->plan->faults[event->a]);
        break;
    case EVENT_HEAL:
        heal(world);
        break;
    case EVENT_LOOK:
        look(world);
        break;
    case EVENT_CALL:
        if (current && host->life == LIFE_UP) {
            sim_rm_call_now(&world->rms[host->self.index], event->txid,
                            (enum branches_call)event->b);
        }
        break;
    case EVENT_NEXT_TX:
        if (current) {
            host_run(host);
        }
        break;
    }
}

static void place_keys(struct world *world) {
    struct placement_shard shards[SIM_RMS_MAX];
    for (uint32_t i = 0; i < world->plan->rms; i++) {
        shards[i].name = world->rms[i].id.name;
        shards[i].seed = placement_seed(shards[i].name);
    }
    for (uint32_t key = 0; key < world->plan->accounts + world->plan->lists; key++) {
        size_t at = world->plan->keys_in_turn
                        ? key % world->plan->rms
                        : placement_choose(shards, world->plan->rms, &key, sizeof key);
        world->place[key] = (uint8_t)at;
    }
}

static void make(struct world *world) {
    const struct plan *plan = world->plan;
    for (uint32_t i = 1; i <= plan->clients; i++) {
        host_init(&world->clients[i].host, world, (struct process){ROLE_CLIENT, (uint8_t)i});
    }
    for (uint32_t i = 0; i < plan->rms; i++) {
        char name[PAXOS_NAME_BYTES];
        snprintf(name, sizeof name, "rm%02u", i);
        host_init(&world->rms[i].host, world, (struct process){ROLE_RM, (uint8_t)i});
        paxos_participant_make(&world->rms[i].id, name, 0);
        world->rms[i].separate_storage = plan->separate_storage[i];
        for (uint32_t key = 0; key < plan->accounts; key++) {
            world->rms[i].disk.balances[key] = PLAN_BALANCE_FIRST;
        }
    }
    place_keys(world);
    for (uint32_t i = 1; i <= plan->nodes; i++) {
        host_init(&world->nodes[i].host, world, (struct process){ROLE_NODE, (uint8_t)i});
        node_disk_new(&world->nodes[i]);
        host_start(&world->nodes[i].host);
    }
    for (uint32_t i = 0; i < plan->rms; i++) {
        host_start(&world->rms[i].host);
    }
}

static void release(struct world *world) {
    for (uint32_t i = 1; i <= world->heap_n; i++) {
        if (world->heap[i].packet != NULL) {
            packet_free(world, world->heap[i].packet);
        }
    }
    for (uint32_t slot = 0; slot < WORLD_PROCESSES; slot++) {
        if (world->hosts[slot] != NULL) {
            packets_drop(world, &world->hosts[slot]->inbox);
        }
    }
    for (uint32_t i = 1; i <= world->plan->nodes; i++) {
        sim_node_release(&world->nodes[i]);
    }
    for (uint32_t i = 0; i < world->plan->rms; i++) {
        sim_rm_release(&world->rms[i]);
    }
    for (uint32_t i = 1; i <= world->plan->clients; i++) {
        sim_client_release(&world->clients[i]);
    }
    while (world->chunks != NULL) {
        struct packet *next = world->chunks[0].next;
        free(world->chunks);
        world->chunks = next;
    }
    free(world->heap);
    free(world);
}

void world_run_plan(const struct plan *plan, struct world_look *looks, const bool *stop,
                    struct world_result *result) {
    struct world *world = calloc(1, sizeof *world);
    *result = (struct world_result){0};
    world->plan = plan;
    world->looks = looks;
    world->result = result;
    make(world);
    while (!world->ended && (stop == NULL || !*stop)) {
        assert(world->heap_n > 0);
        struct event event = next_event(world);
        assert(event.at_us >= world->now_us);
        world->now_us = event.at_us;
        handle(world, &event);
        result->events++;
        if (!world->formed && is_formed(world)) {
            begin_plan(world);
        }
        if (!world->formed && world->now_us > FORM_LIMIT_US) {
            world_broken(world, "the cluster does not form");
        }
    }
    result->ended_us = world->now_us;
    result->txs = world->n_txs;
    release(world);
}
