#include <check.h>
#include <string.h>

#include "tests/lib/engine_world_internal.h"

static void participant_send(struct world *world, uint32_t participant, uint32_t node,
                             struct message *message) {
    struct world_participant *p = &world->participant[participant];
    if (p->session[node] == 0) {
        message_release(message);
        return;
    }
    world_send(world, &(struct world_message){.from_participant = participant,
                                              .to_node = node,
                                              .session = p->session[node],
                                              .message = *message});
}

static size_t branch_index(struct world_participant *p, struct troth_txid txid) {
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state == BRANCH_NONE) {
            p->branches[i].txid = txid;
            return i;
        }
        if (troth_txid_equal(p->branches[i].txid, txid)) {
            return i;
        }
    }
    ck_abort_msg("too many branches");
    return 0;
}

static void vote_to(struct world *world, uint32_t participant, size_t index, uint32_t node) {
    struct world_participant *p = &world->participant[participant];
    struct message vote = {.type = MESSAGE_VOTE,
                           .txid = p->branches[index].txid,
                           .vote = p->branches[index].vote,
                           .set = paxos_set_hold(p->branches[index].set)};
    participant_send(world, participant, node, &vote);
}

static void do_work(struct world_participant *p, size_t index, const struct work *work) {
    ck_assert_uint_lt(work->n, WORLD_WORK);
    memcpy(p->branches[index].work, work->bytes, work->n);
    p->branches[index].works++;
    ck_assert_uint_eq(p->branches[index].works, 1); /* once, ever (S5) */
}

static void on_prepare(struct world *world, uint32_t participant, struct message *message) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, message->txid);
    int own = paxos_set_find(message->set, p->id.name);
    ck_assert_int_ge(own, 0);
    bool ours = message->set->members[own].incarnation == p->id.incarnation;
    bool begins = p->branches[index].state == BRANCH_NONE && message->work != NULL;
    bool live = (p->branches[index].state == BRANCH_ACTIVE || begins) && ours;
    if (live && p->votes == PAXOS_VOTE_NONE) {
        return;
    }
    if (live) {
        if (message->work != NULL) {
            do_work(p, index, message->work);
        }
        p->branches[index].vote = p->votes;
        p->branches[index].state = p->votes == PAXOS_VOTE_PREPARED ? BRANCH_VOTED : BRANCH_ABORTED;
    } else if (p->branches[index].vote == PAXOS_VOTE_NONE) {
        /* Lost over a restart: it may have voted, so it must not vote again. */
        struct message gone = {.type = MESSAGE_BRANCH_ABORTED,
                               .txid = message->txid,
                               .reason = PAXOS_REASON_LOST_WORK};
        p->branches[index].state = BRANCH_ABORTED;
        participant_send(world, participant, troth_txid_node(message->txid), &gone);
        return;
    }
    if (p->branches[index].set == NULL) {
        p->branches[index].set = paxos_set_hold(message->set);
    }
    for (uint32_t node = 1; node <= world->nodes; node++) {
        if (!live || message->acceptors == 0 || (message->acceptors & 1u << node) != 0) {
            vote_to(world, participant, index, node);
        }
    }
}

static void on_decision(struct world *world, uint32_t participant, uint32_t node,
                        struct message *message) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, message->txid);
    enum world_branch *state = &p->branches[index].state;
    bool committed = message->outcome == PAXOS_OUTCOME_COMMITTED;
    struct message ack = {.type = MESSAGE_ACK, .txid = message->txid, .outcome = message->outcome};
    if (message->forgotten) {
        return;
    }
    if (p->branches[index].vote == PAXOS_VOTE_READ_ONLY) {
        /* Out of it already; a leader that has not heard of the vote may still tell. */
        participant_send(world, participant, node, &ack);
        return;
    }
    /* The participant's own view of S1 and S2. */
    ck_assert(!(committed && *state == BRANCH_ABORTED));
    ck_assert(!(!committed && *state == BRANCH_COMMITTED));
    ck_assert(!(committed && *state == BRANCH_ACTIVE));
    ack.heuristic =
        committed && *state == BRANCH_NONE ? MESSAGE_HEURISTIC_HAZARD : MESSAGE_HEURISTIC_NONE;
    if (*state != BRANCH_NONE || !committed) {
        *state = committed ? BRANCH_COMMITTED : BRANCH_ABORTED;
    }
    participant_send(world, participant, node, &ack);
}

static void on_one_phase(struct world *world, uint32_t participant, uint32_t node,
                         struct message *message) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, message->txid);
    enum world_branch *state = &p->branches[index].state;
    if (*state == BRANCH_ACTIVE && message->incarnation == p->id.incarnation &&
        p->votes == PAXOS_VOTE_PREPARED) {
        *state = BRANCH_COMMITTED;
    } else if (*state != BRANCH_COMMITTED) {
        *state = BRANCH_ABORTED;
    }
    struct message result = {.type = MESSAGE_ONE_PHASE_RESULT,
                             .txid = message->txid,
                             .outcome = *state == BRANCH_COMMITTED ? PAXOS_OUTCOME_COMMITTED
                                                                   : PAXOS_OUTCOME_ABORTED};
    participant_send(world, participant, node, &result);
}

void world_participant_receive(struct world *world, struct world_message *message) {
    uint32_t participant = message->to_participant;
    struct world_participant *p = &world->participant[participant];
    if (!p->up || p->session[message->from_node] != message->session) {
        return;
    }
    if (message->message.type == MESSAGE_PREPARE) {
        on_prepare(world, participant, &message->message);
    } else if (message->message.type == MESSAGE_DECISION) {
        on_decision(world, participant, message->from_node, &message->message);
    } else if (message->message.type == MESSAGE_COMMIT_ONE_PHASE) {
        on_one_phase(world, participant, message->from_node, &message->message);
    }
}

void world_attach(struct world *world, uint32_t participant, uint32_t node) {
    struct world_participant *p = &world->participant[participant];
    if (!p->up || world->node[node].engine == NULL || p->session[node] != 0) {
        return;
    }
    p->session[node] = ++world->session_next;
    world_step(world, node,
               (struct engine_event){
                   .type = ENGINE_ATTACHED, .session = p->session[node], .participant = p->id});
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state == BRANCH_VOTED) {
            vote_to(world, participant, i, node);
        }
    }
}

void world_detach(struct world *world, uint32_t participant, uint32_t node) {
    struct world_participant *p = &world->participant[participant];
    if (p->session[node] != 0 && world->node[node].engine != NULL) {
        world_step(world, node,
                   (struct engine_event){.type = ENGINE_DETACHED, .session = p->session[node]});
    }
    p->session[node] = 0;
}

/* ---- Crashes and returns -------------------------------------------------------------------- */

void world_participant_crash(struct world *world, uint32_t participant) {
    struct world_participant *p = &world->participant[participant];
    p->up = false;
    for (uint32_t node = 1; node <= world->nodes; node++) {
        world_detach(world, participant, node);
    }
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state == BRANCH_ACTIVE) {
            p->branches[i].state = BRANCH_ABORTED; /* its work is gone; nothing of it is kept */
        }
        if (p->branches[i].state == BRANCH_ABORTED) {
            p->branches[i].vote = PAXOS_VOTE_NONE; /* read-only and aborted are not stored */
        }
    }
}

void world_participant_restart(struct world *world, uint32_t participant) {
    world->participant[participant].up = true;
    world->participant[participant].id.incarnation++;
    for (uint32_t node = 1; node <= world->nodes; node++) {
        world_attach(world, participant, node);
    }
}

/* ---- The tests' own calls ------------------------------------------------------------------- */

void world_work(struct world *world, uint32_t participant, struct troth_txid txid) {
    struct world_participant *p = &world->participant[participant];
    size_t index = branch_index(p, txid);
    if (p->branches[index].state == BRANCH_NONE) {
        p->branches[index].state = BRANCH_ACTIVE;
    }
    uint32_t node = troth_txid_node(txid);
    struct message enlist = {.type = MESSAGE_ENLIST, .txid = txid};
    participant_send(world, participant, node, &enlist);
}

enum world_branch world_branch(const struct world *world, uint32_t participant,
                               struct troth_txid txid) {
    const struct world_participant *p = &world->participant[participant];
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state != BRANCH_NONE && troth_txid_equal(p->branches[i].txid, txid)) {
            return p->branches[i].state;
        }
    }
    return BRANCH_NONE;
}

const char *world_worked(const struct world *world, uint32_t participant, struct troth_txid txid) {
    const struct world_participant *p = &world->participant[participant];
    for (size_t i = 0; i < WORLD_TXS; i++) {
        if (p->branches[i].state != BRANCH_NONE && troth_txid_equal(p->branches[i].txid, txid)) {
            return p->branches[i].work;
        }
    }
    return "";
}
