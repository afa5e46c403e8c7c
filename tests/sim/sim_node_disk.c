/* A node's database: what is on disk, and the batch that is not yet. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_node.h"

/* ---- Records --------------------------------------------------------------------------------- */

static struct acceptor record_copy(const struct acceptor *from) {
    struct acceptor to = *from;
    if (from->set != NULL) {
        paxos_set_hold(from->set);
        to.accepted = malloc(from->set->n * sizeof *to.accepted);
        memcpy(to.accepted, from->accepted, from->set->n * sizeof *to.accepted);
    }
    return to;
}

static void disk_put(struct node_disk *disk, uint32_t tx, struct acceptor record) {
    if (disk->has[tx]) {
        acceptor_release(&disk->records[tx]);
    }
    disk->has[tx] = true;
    disk->records[tx] = record;
}

static void disk_drop(struct node_disk *disk, uint32_t tx) {
    if (disk->has[tx]) {
        acceptor_release(&disk->records[tx]);
        disk->has[tx] = false;
    }
}

void node_disk_copy(struct node_disk *to, const struct node_disk *from) {
    node_disk_release(to);
    *to = *from;
    for (uint32_t tx = 0; tx < WORLD_TXS_MAX; tx++) {
        if (from->has[tx]) {
            to->records[tx] = record_copy(&from->records[tx]);
        }
    }
}

void node_disk_release(struct node_disk *disk) {
    for (uint32_t tx = 0; tx < WORLD_TXS_MAX; tx++) {
        disk_drop(disk, tx);
    }
}

void node_disk_new(struct sim_node *node) {
    memset(&node->disk, 0, sizeof node->disk);
    struct random r = {.state = world_random(node->host.world, &node->host)};
    for (uint32_t i = 0; i < sizeof node->disk.id; i += 8) {
        uint64_t number = random_next(&r);
        memcpy(&node->disk.id[i], &number, 8);
    }
}

/* ---- The batch ------------------------------------------------------------------------------- */

static struct change *add_change(struct sim_node *node, enum change_kind kind) {
    if (node->n_changes == node->changes_capacity) {
        node->changes_capacity = node->changes_capacity == 0 ? 32 : 2 * node->changes_capacity;
        node->changes = realloc(node->changes, node->changes_capacity * sizeof *node->changes);
    }
    struct change *change = &node->changes[node->n_changes++];
    *change = (struct change){.kind = kind};
    return change;
}

void node_change(struct sim_node *node, const struct engine_effect *effect) {
    struct world *world = node->host.world;
    struct change *change;
    if (effect->type == ENGINE_STORE) {
        change = add_change(node, CHANGE_RECORD);
        change->tx = world_tx(world, effect->txid);
        change->record = record_copy(effect->record);
    } else if (effect->type == ENGINE_DELETE) {
        change = add_change(node, CHANGE_DELETE);
        change->tx = world_tx(world, effect->txid);
    } else {
        bool mark = effect->type == ENGINE_STORE_MARK;
        change = add_change(node, mark ? CHANGE_MARK : CHANGE_DELETE_BELOW);
    }
    change->txid = effect->txid;
}

void node_remember(struct sim_node *node, uint32_t changed) {
    for (uint32_t peer = 1; peer <= node->membership.nodes; peer++) {
        if ((changed & 1u << peer) != 0) {
            struct change *change = add_change(node, CHANGE_PEER);
            change->node = peer;
            change->peer = node->membership.peers[peer];
        }
    }
    if (changed != 0) {
        sim_node_commit_now(node);
    }
}

static void see_record(struct sim_node *node, uint32_t tx) {
    struct node_record seen;
    speak_record(&node->disk.records[tx], &seen);
    struct sight sight = {
        .kind = SIGHT_NODE_STORED, .who = node->host.self, .tx = tx, .record = &seen};
    world_see(node->host.world, &sight);
}

static void drop_and_see(struct sim_node *node, uint32_t tx) {
    if (node->disk.has[tx]) {
        disk_drop(&node->disk, tx);
        struct sight sight = {.kind = SIGHT_NODE_DELETED, .who = node->host.self, .tx = tx};
        world_see(node->host.world, &sight);
    }
}

static void see_mark(struct sim_node *node, struct troth_txid mark) {
    struct sight sight = {.kind = SIGHT_NODE_MARK,
                          .who = node->host.self,
                          .origin = (uint8_t)troth_txid_node(mark),
                          .origin_incarnation = troth_txid_incarnation(mark),
                          .sequence = mark.lo};
    world_see(node->host.world, &sight);
}

static void put_mark(struct sim_node *node, struct troth_txid mark) {
    struct node_disk *disk = &node->disk;
    uint32_t i = 0;
    while (i < disk->n_marks && disk->marks[i].hi != mark.hi) {
        i++;
    }
    assert(i < WORLD_MARKS_MAX);
    disk->n_marks += i == disk->n_marks;
    disk->marks[i] = mark;
    see_mark(node, mark);
}

static void store(struct sim_node *node, struct change *change) {
    struct world *world = node->host.world;
    struct node_disk *disk = &node->disk;
    switch (change->kind) {
    case CHANGE_RECORD:
        disk_put(disk, change->tx, change->record);
        change->record = (struct acceptor){0};
        see_record(node, change->tx);
        break;
    case CHANGE_DELETE:
        drop_and_see(node, change->tx);
        break;
    case CHANGE_DELETE_BELOW:
        for (uint32_t tx = 1; tx <= world->n_txs; tx++) {
            if (world->txids[tx].hi == change->txid.hi && world->txids[tx].lo < change->txid.lo) {
                drop_and_see(node, tx);
            }
        }
        break;
    case CHANGE_MARK:
        put_mark(node, change->txid);
        break;
    case CHANGE_PEER:
        memcpy(disk->peers[change->node].disk, change->peer.disk, sizeof change->peer.disk);
        disk->peers[change->node].incarnation = change->peer.incarnation;
        disk->peers[change->node].boot = change->peer.boot;
        break;
    case CHANGE_ADMITTED:
        disk->admitted = true;
        break;
    }
}

void node_disk_end_batch(struct sim_node *node, bool stored) {
    /* Marks come first: whoever looks on must not see a record go that no mark covers. */
    for (uint32_t i = 0; stored && i < node->n_changes; i++) {
        if (node->changes[i].kind == CHANGE_MARK) {
            store(node, &node->changes[i]);
        }
    }
    for (uint32_t i = 0; i < node->n_changes; i++) {
        if (stored && node->changes[i].kind != CHANGE_MARK) {
            store(node, &node->changes[i]);
        }
        acceptor_release(&node->changes[i].record);
    }
    node->n_changes = 0;
}

/* ---- Start-up -------------------------------------------------------------------------------- */

static void load_engine(struct sim_node *node) {
    for (uint32_t i = 0; i < node->disk.n_marks; i++) {
        sim_node_step(node,
                      (struct engine_event){.type = ENGINE_LOAD_MARK, .txid = node->disk.marks[i]});
    }
    for (uint32_t tx = node->host.world->n_txs; tx > 0; tx--) {
        if (node->disk.has[tx]) {
            struct acceptor record = record_copy(&node->disk.records[tx]);
            bool damaged = node->damaged && !record.finished;
            sim_node_step(node, (struct engine_event){.type = ENGINE_LOAD_RECORD,
                                                      .txid = node->host.world->txids[tx],
                                                      .record = damaged ? NULL : &record});
            node->damaged = node->damaged && !damaged; /* the newest one that matters */
            acceptor_release(&record);
        }
    }
}

/* This start's boot is drawn and kept with the incarnation. */
static void load_boots(struct sim_node *node) {
    struct node_disk *disk = &node->disk;
    uint32_t this_one = disk->incarnation;
    uint32_t first = this_one < WIRE_BOOTS_MAX ? 1 : this_one - WIRE_BOOTS_MAX + 1;
    disk->boots[this_one % WIRE_BOOTS_MAX] = world_random(node->host.world, &node->host) | 1;
    for (uint32_t start = first; start <= this_one; start++) {
        membership_add_boot(&node->membership, disk->boots[start % WIRE_BOOTS_MAX]);
    }
}

static void load_membership(struct sim_node *node) {
    const struct node_disk *disk = &node->disk;
    struct membership *membership = &node->membership;
    memset(membership, 0, sizeof *membership);
    strcpy(membership->cluster, "sim");
    membership->self = node->host.self.index;
    membership->nodes = node->host.world->plan->nodes;
    memcpy(membership->disk, disk->id, sizeof membership->disk);
    membership->incarnation = disk->incarnation;
    load_boots(node);
    membership->fresh = !disk->admitted;
    for (uint32_t peer = 1; peer <= membership->nodes; peer++) {
        memcpy(membership->peers[peer].disk, disk->peers[peer].disk, sizeof disk->id);
        membership->peers[peer].incarnation = disk->peers[peer].incarnation;
        membership->peers[peer].boot = disk->peers[peer].boot;
    }
}

static void keep_older(struct sim_node *node) {
    bool wanted = node->own == NULL && node->disk.admitted;
    if (!wanted) {
        return;
    }
    if (node->older == NULL) {
        node->older = calloc(1, sizeof *node->older);
    }
    node_disk_copy(node->older, &node->disk);
}

void node_disk_load(struct sim_node *node) {
    struct world *world = node->host.world;
    const struct plan *plan = world->plan;
    if (node->disk.amnesia) { /* refuses to start with this database, until it gets its own */
        node->host.life = LIFE_DOWN;
        return;
    }
    keep_older(node);
    node->disk.incarnation++;
    load_membership(node);
    struct sight sight = {
        .kind = SIGHT_START, .who = node->host.self, .incarnation = node->disk.incarnation};
    world_see(world, &sight);
    struct engine_options options = {.self = node->host.self.index,
                                     .nodes = plan->nodes,
                                     .incarnation = node->disk.incarnation,
                                     .seed = world_random(world, &node->host),
                                     .repeat_ms = plan->repeat_ms,
                                     .resolve_ms = plan->resolve_ms,
                                     .stagger_ms = plan->stagger_ms,
                                     .retention_ms = plan->retention_ms,
                                     .thrifty = plan->thrifty,
                                     .faster = plan->faster};
    int err = engine_new(&node->engine, &options);
    assert(err == 0);
    (void)err;
    node->now_ms = host_now_ms(&node->host);
    load_engine(node);
}
