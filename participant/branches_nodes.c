/* The sessions with the nodes, and what is remembered of each node (ARCHITECTURE H4). */
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "participant/branches_internal.h"

void on_load_node(struct branches *all, const struct branches_event *event) {
    if (event->node == 0 || event->node > PAXOS_NODES_MAX) {
        return;
    }
    struct node *node = &all->nodes[event->node];
    node->known = true;
    memcpy(node->disk, event->disk, sizeof node->disk);
    node->incarnation = event->incarnation;
}

uint32_t branches_node_of(const struct branches *all, uint64_t session) {
    for (uint32_t node = 1; session != 0 && node <= PAXOS_NODES_MAX; node++) {
        if (all->nodes[node].session == session) {
            return node;
        }
    }
    return 0;
}

static void refuse(struct branches *all, const struct branches_event *event, int err,
                   const char *detail) {
    struct branches_effect *effect = branches_effect_add(all, BRANCHES_REFUSE);
    if (effect != NULL) {
        effect->session = event->session;
        effect->node = event->node;
        effect->error = err;
        snprintf(effect->detail, sizeof effect->detail, "%s", detail);
    }
    /* It will dial on: an operator needs to be told once. */
    if (!all->nodes[event->node % (PAXOS_NODES_MAX + 1)].refused) {
        all->nodes[event->node % (PAXOS_NODES_MAX + 1)].refused = true;
        branches_effect_alarm(all, (struct troth_txid){0}, "%s", detail);
    }
}

/* A node that has lost what it accepted could let two outcomes be chosen: no vote for it. */
static bool has_amnesia(struct branches *all, const struct branches_event *event) {
    const struct node *node = &all->nodes[event->node];
    char detail[MESSAGE_DETAIL_BYTES];
    if (!node->known) {
        return false;
    }
    if (memcmp(node->disk, event->disk, sizeof node->disk) != 0) {
        snprintf(detail, sizeof detail,
                 "node %u came back with another disk; it gets no votes. Give it back its old data "
                 "folder; if that is lost: docs/lost-disk.md",
                 event->node);
    } else if (event->incarnation < node->incarnation) {
        snprintf(detail, sizeof detail,
                 "node %u came back with an older disk (start %llu, known is %llu); it gets no "
                 "votes",
                 event->node, (unsigned long long)event->incarnation,
                 (unsigned long long)node->incarnation);
    } else {
        return false;
    }
    refuse(all, event, TROTH_ERR_AMNESIA, detail);
    return true;
}

static void drop_session(struct branches *all, uint32_t id) {
    all->nodes[id].session = 0;
    all->nodes[id].down_ms = all->now_ms;
    all->counters.nodes_attached--;
    on_origin_down(all, id);
}

void on_node_up(struct branches *all, const struct branches_event *event) {
    if (event->node == 0 || event->node > PAXOS_NODES_MAX) {
        refuse(all, event, TROTH_ERR_INVALID, "a node greeted with an id that is none");
        return;
    }
    struct node *node = &all->nodes[event->node];
    if (has_amnesia(all, event)) {
        return;
    }
    if (!node->known || node->incarnation != event->incarnation) {
        on_load_node(all, event);
        struct branches_effect *effect = branches_effect_add(all, BRANCHES_STORE_NODE);
        if (effect != NULL) {
            effect->node = event->node;
            effect->incarnation = node->incarnation;
            memcpy(effect->disk, node->disk, sizeof effect->disk);
        }
    }
    if (node->session != 0) {
        drop_session(all, event->node);
    }
    node->session = event->session;
    node->refused = false;
    all->counters.nodes_attached++;
    on_origin_up(all, event->node);
    /* L2: what is in doubt asks the returned node at once; of very many, the oldest do, and the
     * others when their vote's turn comes. */
    int n = 0;
    struct branch *branch;
    DL_FOREACH(all->doubt, branch) {
        if (n++ == BRANCHES_AT_ONCE) {
            break;
        }
        effect_vote(all, 1u << event->node, branch->txid, PAXOS_VOTE_PREPARED, branch->set,
                    PAXOS_REASON_NONE, NULL);
    }
}

void on_node_down(struct branches *all, const struct branches_event *event) {
    uint32_t node = branches_node_of(all, event->session);
    if (node != 0) {
        drop_session(all, node);
    }
}
