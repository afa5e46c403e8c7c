/* Time, events, faults, the end. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "client/placement.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_rm.h"

#define LOOK_US       500000
#define FORM_LIMIT_US 60000000
#define EVENTS_MAX    5000000u /* a world has a few thousand */
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

void world_see_process(struct world *world, enum sight_kind kind, struct process who,
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
            world_see_process(world, SIGHT_RESUME, host->self, 0);
            host_run(host);
        }
        if (world_is_gone(world, host->self) && host->life != LIFE_GONE) {
            host_crash(host, 0); /* its crash waited for something that never came */
            host->life = LIFE_GONE;
        }
        if (host->self.role == ROLE_NODE && world->nodes[host->self.index].stop_asked) {
            host_crash(host, 0); /* no stop lasts longer than the faults */
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

/* What was done in a branch is undone or kept when the branch ends: its locks go with that. */
static void look_for_leftovers(struct world *world, const struct sim_rm *rm) {
    for (uint32_t tx = 1; rm->branches != NULL && tx <= world->n_txs; tx++) {
        if (rm->of[tx].state != RM_BRANCH_NONE &&
            branches_state(rm->branches, world->txids[tx]) == BRANCH_NONE) {
            world_broken(world, "L3: participant %u still holds what tx%u did, in no branch",
                         rm->host.self.index, tx);
        }
    }
}

/* What a node still has to do. Votes without an outcome may be what a node that is gone for good,
 * or one that can't read its record, would have to tell; else they come to one. */
static uint64_t left_at(const struct world *world, uint32_t node, const char **what) {
    struct engine_counters counters = {0};
    if (world->nodes[node].engine != NULL) {
        engine_counters(world->nodes[node].engine, &counters);
    }
    *what = "decisions that were never acknowledged";
    if (counters.undelivered == 0 && world->plan->gone_nodes == 0 && !world->damaged) {
        *what = "transactions with votes and without an outcome";
        return counters.in_doubt;
    }
    return counters.undelivered;
}

/* All who are to return have, so every transaction is to be decided, and acknowledged. */
static bool all_is_delivered(const struct world *world, bool tell) {
    for (uint32_t i = 1; i <= world->plan->nodes && world->plan->gone_rms == 0; i++) {
        const char *what;
        uint64_t left = left_at(world, i, &what);
        if (left > 0 && tell) {
            world_broken((struct world *)world, "L2: node %u has %llu %s", i,
                         (unsigned long long)left, what);
        }
        if (left > 0) {
            return false;
        }
    }
    return true;
}

static void end(struct world *world) {
    all_is_delivered(world, true);
    for (uint32_t i = 0; i < world->plan->rms; i++) {
        struct branches_counters counters = {0};
        if (world->rms[i].branches != NULL) {
            branches_counters(world->rms[i].branches, &counters);
        }
        if (world->rms[i].listing != NULL) {
            counters.active = rm_listing_open(&world->rms[i]);
        }
        if (counters.active > 0) {
            world_broken(world, "L3: participant %u still holds %u branches that nobody ends", i,
                         counters.active);
        }
        look_for_leftovers(world, &world->rms[i]);
        rm_disk_tell_data(&world->rms[i]);
        see_in_doubt(world, &world->rms[i]);
    }
    struct sight sight = {.kind = SIGHT_END};
    world_see(world, &sight);
    world->ended = true;
}

static bool rm_is_over(const struct world *world, const struct sim_rm *rm) {
    struct branches_counters counters = {0};
    if (rm->branches == NULL && rm->listing == NULL) {
        return true;
    }
    if (rm->listing != NULL) {
        counters.active = rm_listing_open(rm);
    } else {
        branches_counters(rm->branches, &counters);
    }
    bool open = counters.in_doubt > 0 || counters.active > 0 || rm->host.syncing;
    for (uint32_t tx = 1; !open && tx <= world->n_txs; tx++) {
        open = rm->disk.lands[tx] || rm->disk.log[tx] == BRANCHES_RECORD_PREPARED ||
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

/* Unless a later turn has taken its place. */
static void wake(struct host *host, uint64_t turn) {
    if (host->wake_turn == turn) {
        host->wake_us = INT64_MAX;
        host_run(host);
    }
}

static void resume(struct world *world, struct host *host) {
    host->paused = false;
    world_see_process(world, SIGHT_RESUME, host->self, 0);
    host_run(host);
}

static void handle(struct world *world, const struct event *event) {
    struct host *host = event->a < WORLD_PROCESSES ? world->hosts[event->a] : NULL;
    bool current = host != NULL && host->epoch == event->id;
    struct process process = process_of_slot(event->a < WORLD_PROCESSES ? event->a : 0);
    switch (event->kind) {
    case EVENT_ARRIVE:
        net_arrive(world, event->packet);
        break;
    case EVENT_WAKE:
        wake(host, event->id);
        break;
    case EVENT_SYNCED:
        if (current && host->paused) {
            world_at(world, world->now_us + PAUSED_US, *event);
        } else if (current) {
            host_synced(host);
        }
        break;
    case EVENT_DIAL:
        if (current && host->life == LIFE_UP) {
            net_dial(world, process, event->b);
        }
        break;
    case EVENT_DIAL_TIMEOUT:
        net_dial_timeout(world, process, event->b, event->id);
        break;
    case EVENT_KEEPALIVE:
        net_keepalive(world, process, event->b, event->id);
        break;
    case EVENT_FAULT:
        faults_on_event(world, event);
        break;
    case EVENT_RESTART:
        if (current) {
            host_start(host);
        }
        break;
    case EVENT_RESUME:
        if (current && host->paused) {
            resume(world, host);
        }
        break;
    case EVENT_MEND:
        faults_mend(world, &world->plan->faults[event->a]);
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
    case EVENT_LAND:
        rm_land(&world->rms[host->self.index], event->txid);
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
        world->rms[i].separate_storage = plan->separate_storage[i] || plan->listed[i];
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
        if (result->events > EVENTS_MAX) {
            world_broken(world, "L1: the world comes to no end");
        }
        if (!world->formed && world->now_us > FORM_LIMIT_US) {
            world_broken(world, "the cluster does not form");
        }
    }
    result->ended_us = world->now_us;
    result->txs = world->n_txs;
    release(world);
}
