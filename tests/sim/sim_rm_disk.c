/* A participant's database: its data and its branch log, on disk and in the batch. With separate
 * storage the data has a disk of its own, which is synced at once, before the branch log. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_rm.h"

void rm_list_append(struct rm_list *list, int64_t number) {
    if (list->n == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
    }
    list->items[list->n++] = number;
}

/* ---- What is on disk now --------------------------------------------------------------------- */

static void see_log(struct sim_rm *rm, uint32_t tx, bool is_late) {
    static const enum branch_log logs[] = {
        [0] = LOG_NONE,
        [BRANCHES_RECORD_PREPARED] = LOG_PREPARED,
        [BRANCHES_RECORD_COMMITTING] = LOG_COMMITTING,
        [BRANCHES_RECORD_COMMITTED] = LOG_COMMITTED,
        [BRANCHES_RECORD_HAZARD] = LOG_HAZARD,
    };
    struct sight sight = {.kind = SIGHT_RM_STORED,
                          .who = rm->host.self,
                          .tx = tx,
                          .log = logs[rm->disk.log[tx]],
                          .late = is_late};
    world_see(rm->host.world, &sight);
}

static void put_log(struct sim_rm *rm, uint32_t tx, enum branches_record log, struct paxos_set *set,
                    bool is_late) {
    bool changed = rm->disk.log[tx] != log;
    paxos_set_release(rm->disk.sets[tx]);
    rm->disk.sets[tx] = set;
    rm->disk.log[tx] = log;
    if (changed) {
        see_log(rm, tx, is_late);
    }
}

static void apply(struct sim_rm *rm, const struct rm_change *change) {
    struct op_seen ops[PLAN_OPS_MAX + 2];
    for (uint32_t i = 0; i < change->writes.n; i++) {
        const struct rm_write *write = &change->writes.items[i];
        ops[i] = (struct op_seen){.kind = write->kind,
                                  .key = write->key,
                                  .number = write->number,
                                  .result = write->value};
        if (write->kind == OP_ADD) {
            rm->disk.balances[write->key] = write->value;
        } else {
            rm_list_append(&rm->disk.lists[write->key], write->number);
        }
    }
    rm->disk.intends[change->tx] = false;
    struct sight sight = {.kind = SIGHT_RM_APPLIED,
                          .who = rm->host.self,
                          .tx = change->tx,
                          .ops = ops,
                          .ops_n = change->writes.n};
    world_see(rm->host.world, &sight);
}

static void drop(struct sim_rm *rm, const struct rm_change *change) {
    rm->disk.intends[change->tx] = false;
    if (rm->disk.log[change->tx] == BRANCHES_RECORD_PREPARED) {
        struct sight sight = {.kind = SIGHT_RM_UNDONE, .who = rm->host.self, .tx = change->tx};
        world_see(rm->host.world, &sight);
    }
}

static void put_mark(struct sim_rm *rm, struct troth_txid mark) {
    struct world *world = rm->host.world;
    uint32_t i = 0;
    while (i < rm->disk.n_marks && rm->disk.marks[i].hi != mark.hi) {
        i++;
    }
    assert(i < WORLD_MARKS_MAX);
    rm->disk.n_marks += i == rm->disk.n_marks;
    rm->disk.marks[i] = mark;
    for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
        if (rm->disk.log[tx] == BRANCHES_RECORD_COMMITTED && world->txids[tx].hi == mark.hi &&
            world->txids[tx].lo < mark.lo) {
            put_log(rm, tx, 0, NULL, false);
        }
    }
}

/* Without a log, the database's list and its evidence stand for one. */
static void list_as(struct sim_rm *rm, uint32_t tx, enum branches_record record, bool is_late) {
    if (rm->host.world->plan->listed[rm->host.self.index]) {
        put_log(rm, tx, record, NULL, is_late);
    }
}

static void store(struct sim_rm *rm, struct rm_change *change) {
    switch (change->kind) {
    case RM_CHANGE_LOG:
        put_log(rm, change->tx, change->log, change->set, false);
        change->set = NULL;
        break;
    case RM_CHANGE_DELETE:
        put_log(rm, change->tx, 0, NULL, false);
        break;
    case RM_CHANGE_NODE:
        rm->disk.nodes[change->node].there = true;
        rm->disk.nodes[change->node].incarnation = change->incarnation;
        memcpy(rm->disk.nodes[change->node].disk, change->disk, sizeof change->disk);
        break;
    case RM_CHANGE_MARK:
        put_mark(rm, change->txid);
        break;
    case RM_CHANGE_INTEND:
        rm->disk.intends[change->tx] = true;
        rm->disk.intents[change->tx] = change->writes;
        list_as(rm, change->tx, BRANCHES_RECORD_PREPARED, change->is_late);
        break;
    case RM_CHANGE_APPLY:
        apply(rm, change);
        list_as(rm, change->tx, BRANCHES_RECORD_COMMITTED, false);
        break;
    case RM_CHANGE_DROP:
        drop(rm, change);
        list_as(rm, change->tx, 0, false);
        break;
    }
}

/* ---- The batch ------------------------------------------------------------------------------- */

void rm_change(struct sim_rm *rm, struct rm_change *change) {
    if (rm->separate_storage && change->kind >= RM_CHANGE_INTEND) {
        store(rm, change);
        return;
    }
    if (rm->n_changes == rm->changes_capacity) {
        rm->changes_capacity = rm->changes_capacity == 0 ? 16 : 2 * rm->changes_capacity;
        rm->changes = realloc(rm->changes, rm->changes_capacity * sizeof *rm->changes);
    }
    rm->changes[rm->n_changes++] = *change;
}

void rm_disk_end_batch(struct sim_rm *rm, bool stored) {
    for (uint32_t i = 0; i < rm->n_changes; i++) {
        if (stored) {
            store(rm, &rm->changes[i]);
        }
        paxos_set_release(rm->changes[i].set);
    }
    rm->n_changes = 0;
}

/* ---- Start-up and end ------------------------------------------------------------------------ */

static void load_data(struct sim_rm *rm) {
    memcpy(rm->balances, rm->disk.balances, sizeof rm->balances);
    for (uint32_t key = 0; key < PLAN_KEYS_MAX; key++) {
        rm->lists[key].n = 0;
        for (uint32_t i = 0; i < rm->disk.lists[key].n; i++) {
            rm_list_append(&rm->lists[key], rm->disk.lists[key].items[i]);
        }
    }
}

void rm_disk_load(struct sim_rm *rm) {
    struct world *world = rm->host.world;
    load_data(rm);
    if (world->plan->listed[rm->host.self.index]) {
        return;
    }
    for (uint32_t node = 1; node <= SIM_NODES_MAX; node++) {
        if (rm->disk.nodes[node].there) {
            rm_load_step(rm,
                         (struct branches_event){.type = BRANCHES_LOAD_NODE,
                                                 .node = node,
                                                 .disk = rm->disk.nodes[node].disk,
                                                 .incarnation = rm->disk.nodes[node].incarnation});
        }
    }
    for (uint32_t i = 0; i < rm->disk.n_marks; i++) {
        rm_load_step(
            rm, (struct branches_event){.type = BRANCHES_LOAD_MARK, .txid = rm->disk.marks[i]});
    }
    for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
        if (rm->disk.log[tx] != 0) {
            rm_load_step(rm, (struct branches_event){.type = BRANCHES_LOAD_BRANCH,
                                                     .txid = world->txids[tx],
                                                     .record = rm->disk.log[tx],
                                                     .set = rm->disk.sets[tx]});
        }
    }
}

void rm_disk_tell_data(struct sim_rm *rm) {
    struct world *world = rm->host.world;
    for (uint32_t key = 0; key < world->plan->accounts + world->plan->lists; key++) {
        bool is_list = key >= world->plan->accounts;
        struct op_seen op = {.kind = is_list ? OP_READ_LIST : OP_READ_BALANCE,
                             .key = key,
                             .result = rm->disk.balances[key],
                             .list = rm->disk.lists[key].items,
                             .list_n = rm->disk.lists[key].n};
        struct sight sight = {.kind = SIGHT_DATA, .who = rm->host.self, .ops = &op, .ops_n = 1};
        if (world->place[key] == rm->host.self.index) {
            world_see(world, &sight);
        }
    }
}

void rm_disk_release(struct sim_rm *rm) {
    for (uint32_t tx = 0; tx < WORLD_TXS_MAX; tx++) {
        paxos_set_release(rm->disk.sets[tx]);
    }
    for (uint32_t key = 0; key < PLAN_KEYS_MAX; key++) {
        free(rm->lists[key].items);
        free(rm->disk.lists[key].items);
    }
}
