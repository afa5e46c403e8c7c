/* Clients: each runs its transactions of the plan one after the other, with production's session
 * for the calls that nodes answer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/sim_client.h"

#define BLOCK_AGE_MS 5000 /* txids of an older block are not used, as in client/blocks.c */

/* ---- Calls with failover --------------------------------------------------------------------- */

static void told(struct sim_client *client, const struct sim_call_session *call, int error,
                 enum paxos_outcome outcome) {
    if (call->session.options.request == SESSION_BEGIN) {
        return;
    }
    struct sight sight = {.kind = SIGHT_TOLD,
                          .who = client->host.self,
                          .tx = call->tx,
                          .error = error,
                          .outcome =
                              outcome == PAXOS_OUTCOME_COMMITTED ? OUTCOME_COMMITTED
                              : outcome == PAXOS_OUTCOME_ABORTED || error == TROTH_ERR_ABORTED
                                  ? OUTCOME_ABORTED
                                  : OUTCOME_NONE};
    if (sight.outcome == OUTCOME_COMMITTED && call == &client->own) {
        client->host.world->result->committed++;
    }
    world_see(client->host.world, &sight);
}

/* In every second world, clients begin some transactions at once. */
static uint32_t block_size(const struct sim_client *client) {
    uint64_t seed = client->host.world->plan->seed;
    return seed % 2 == 0 ? 1 : 1 + (uint32_t)((seed / 2 + client->host.self.index) % 4);
}

static void ask(struct sim_client *client, const struct sim_call_session *call,
                const struct session_ask *ask) {
    struct world *world = client->host.world;
    struct packet *packet = packet_new(world, PACKET_REQUEST, client->host.self,
                                       (struct process){ROLE_NODE, (uint8_t)(ask->node + 1)});
    packet->call = call->number;
    packet->request = ask->request;
    packet->txid = call->txid;
    packet->timeout_ms = call->timeout_ms;
    packet->count = ask->request == SESSION_BEGIN ? block_size(client) : 0;
    if (ask->request == SESSION_COMMIT_WORK) {
        packet->branches = paxos_set_hold(call->all);
        packet->works = works_hold(call->works, call->all->n);
    } else if (ask->request == SESSION_COMMIT || ask->request == SESSION_ABORT) {
        packet->branches = paxos_set_hold(call->branches);
    }
    net_send(world, packet);
}

static void call_over(struct sim_call_session *call) {
    works_release(call->works, call->all == NULL ? 0 : call->all->n);
    paxos_set_release(call->branches);
    paxos_set_release(call->all);
    call->branches = call->all = NULL;
    call->works = NULL;
    call->live = false;
}

/* True when it is done; *error is its result. */
static bool step(struct sim_client *client, struct sim_call_session *call,
                 struct session_event event, int *error) {
    struct session_effects effects;
    event.now_ms = host_now_ms(&client->host);
    event.random = (uint32_t)world_random(client->host.world, &client->host);
    session_step(&call->session, &event, &effects);
    for (uint32_t i = 0; i < effects.n_asks; i++) {
        ask(client, call, &effects.asks[i]);
    }
    if (effects.done) {
        *error = effects.err;
        call_over(call);
        return true;
    }
    host_wake(&client->host, effects.tick_ms);
    return false;
}

static void begin_call(struct sim_client *client, struct sim_call_session *call,
                       enum session_request request, uint32_t first_node, uint32_t timeout_ms) {
    const struct plan *plan = client->host.world->plan;
    int error;
    struct session_options options = {.request = request,
                                      .nodes = plan->nodes,
                                      .first = first_node - 1,
                                      .attempt_ms = plan->attempt_ms,
                                      .timeout_ms = plan->client_timeout_ms};
    call->live = true;
    call->number = ++client->calls;
    call->timeout_ms = timeout_ms;
    session_init(&call->session, &options);
    step(client, call, (struct session_event){.type = SESSION_START}, &error);
}

/* ---- A transaction's stages ------------------------------------------------------------------ */

static bool has_turn(const struct sim_client *client, const struct plan_tx *tx) {
    const struct world *world = client->host.world;
    if (world->now_us < world->base_us + tx->at_us) {
        return false;
    }
    for (uint32_t i = 1; tx->after_heal && i <= world->plan->clients; i++) {
        const struct sim_client *other = &world->clients[i];
        /* The healed world is tried by one after the other, when all else is over. */
        uint32_t first_trial = world->plan->n_txs - world->plan->clients;
        if (other != client && (other->stage != CLIENT_IDLE || other->next < first_trial ||
                                (i < client->host.self.index && !sim_client_is_done(other)))) {
            return false;
        }
    }
    return true;
}

bool sim_client_is_done(const struct sim_client *client) {
    return client->stage == CLIENT_IDLE && client->next == client->host.world->plan->n_txs;
}

static void go_idle(struct sim_client *client) {
    client->stage = CLIENT_IDLE;
    client->tx = NULL;
    call_over(&client->own);
    call_over(&client->rival);
}

static void begun(struct sim_client *client, int error, struct troth_txid txid);

static void begin(struct sim_client *client) {
    const struct plan_tx *tx = client->tx;
    int64_t age_ms = host_now_ms(&client->host) - client->block_ms;
    client->stage = CLIENT_BEGINNING;
    client->own.txid = (struct troth_txid){0};
    client->own.tx = 0;
    /* The last trials have the time that they ask for, or the oracle could ask for no commit. */
    if (client->block_left > 0 && age_ms < BLOCK_AGE_MS && !tx->after_heal) {
        client->block_left--;
        begun(client, 0, (struct troth_txid){client->block.hi, client->block.lo++});
    } else {
        uint32_t more_ms = block_size(client) > 1 ? BLOCK_AGE_MS : 0;
        begin_call(client, &client->own, SESSION_BEGIN, tx->node, tx->timeout_ms + more_ms);
    }
}

static void try_next(struct sim_client *client) {
    const struct world *world = client->host.world;
    const struct plan *plan = world->plan;
    while (client->next < plan->n_txs &&
           (plan->txs[client->next].client != client->host.self.index ||
            plan->txs[client->next].left_out)) {
        client->next++;
    }
    if (client->next == plan->n_txs) {
        return;
    }
    const struct plan_tx *tx = &plan->txs[client->next];
    if (!has_turn(client, tx)) {
        int64_t wait_us = world->base_us + tx->at_us - world->now_us;
        host_wake(&client->host,
                  host_now_ms(&client->host) + (wait_us > 50000 ? wait_us / 1000 + 1 : 50));
        return;
    }
    client->next++;
    client->tx = tx;
    client->op = client->n_members = 0;
    client->failed = false;
    begin(client);
}

static struct paxos_set *members_as_set(const struct sim_client *client) {
    return client->n_members == 0 ? NULL : paxos_set_new(client->members, client->n_members);
}

/* ---- Work that comes with Commit --------------------------------------------------------------
 */

/* Those without a log take none, and so are given some only to be refused. */
static bool is_given(const struct sim_client *client, const struct plan_op *op) {
    const struct world *world = client->host.world;
    bool is_listed = world->plan->listed[world->place[op->key]];
    bool asks = client->tx->asks_listed && !client->tx->after_heal;
    return op->with_commit && (!is_listed || asks);
}

static bool gives_work(const struct sim_client *client) {
    bool any = false;
    for (uint32_t i = 0; i < client->tx->n_ops; i++) {
        any = any || is_given(client, &client->tx->ops[i]);
    }
    return any;
}

/* The work of one participant, in order; how many pieces. */
static uint32_t work_of(const struct sim_client *client, uint32_t rm, struct plan_op *ops) {
    uint32_t n = 0;
    memset(ops, 0, PLAN_OPS_MAX * sizeof *ops);
    for (uint32_t i = 0; i < client->tx->n_ops; i++) {
        const struct plan_op *op = &client->tx->ops[i];
        if (is_given(client, op) && client->host.world->place[op->key] == rm) {
            ops[n++] = *op;
        }
    }
    return n;
}

/* All members: who did work before is named by the incarnation that did, if this client names
 * branches; who gets its first work now is whoever is attached. */
static void collect_works(struct sim_client *client, struct sim_call_session *call) {
    const struct world *world = client->host.world;
    struct paxos_participant members[SIM_RMS_MAX] = {0};
    struct work *works[SIM_RMS_MAX];
    struct plan_op ops[PLAN_OPS_MAX];
    uint32_t n = 0;
    for (uint32_t rm = 0; rm < world->plan->rms; rm++) {
        uint32_t n_ops = work_of(client, rm, ops);
        int at =
            call->branches == NULL ? -1 : paxos_set_find(call->branches, world->rms[rm].id.name);
        if (n_ops > 0 || at >= 0) {
            members[n] = at >= 0 ? call->branches->members[at] : world->rms[rm].id;
            members[n].incarnation = at >= 0 ? members[n].incarnation : 0;
            works[n++] = n_ops > 0 ? work_new(ops, n_ops * sizeof *ops) : NULL;
        }
    }
    call->all = paxos_set_new(members, n);
    call->works = works_hold(works, n);
    for (uint32_t i = 0; i < n; i++) {
        work_release(works[i]);
    }
}

static void see_given(const struct sim_client *client) {
    struct world *world = client->host.world;
    for (uint8_t rm = 0; rm < world->plan->rms; rm++) {
        struct plan_op ops[PLAN_OPS_MAX];
        struct op_seen seen[PLAN_OPS_MAX];
        uint32_t n = work_of(client, rm, ops);
        for (uint32_t i = 0; i < n; i++) {
            seen[i] = (struct op_seen){.kind = ops[i].kind,
                                       .key = ops[i].key,
                                       .number = ops[i].number,
                                       .has_least = ops[i].has_least,
                                       .least = ops[i].least};
        }
        struct sight sight = {.kind = SIGHT_WORK_GIVEN,
                              .who = client->host.self,
                              .to = {ROLE_RM, rm},
                              .tx = client->number,
                              .ops = seen,
                              .ops_n = n};
        if (n > 0) {
            world_see(world, &sight);
        }
    }
}

/* ---- The end ---------------------------------------------------------------------------------
 */

static void begin_end(struct sim_client *client, struct sim_call_session *call, enum plan_end end,
                      uint32_t node) {
    call->txid = client->txid;
    call->tx = client->number;
    call->branches = client->tx->names_branches ? members_as_set(client) : NULL;
    bool gives = end == END_COMMIT && gives_work(client);
    if (gives) {
        collect_works(client, call);
    }
    begin_call(client, call,
               gives               ? SESSION_COMMIT_WORK
               : end == END_COMMIT ? SESSION_COMMIT
                                   : SESSION_ABORT,
               node, client->host.world->plan->client_timeout_ms);
}

static void ask_for_end(struct sim_client *client) {
    const struct plan_tx *tx = client->tx;
    bool commits = tx->end == END_COMMIT && !client->failed;
    if (tx->end == END_NONE && !client->failed) {
        go_idle(client);
        host_wake(&client->host, 0);
        return;
    }
    struct sight sight = {.kind = SIGHT_ASKS,
                          .who = client->host.self,
                          .tx = client->number,
                          .ok = tx->after_heal,
                          .outcome = commits ? OUTCOME_COMMITTED : OUTCOME_ABORTED};
    world_see(client->host.world, &sight);
    client->stage = CLIENT_ENDING;
    bool gives = commits && gives_work(client);
    if (gives) {
        see_given(client);
    }
    begin_end(client, &client->own, commits ? END_COMMIT : END_ABORT,
              tx->rival == 0 || gives ? troth_txid_node(client->txid) : tx->node);
    /* Somebody else asks too; for work that was refused, nobody asks to commit. */
    if (tx->rival != 0 && (commits || tx->rival_end == END_ABORT)) {
        begin_end(client, &client->rival, tx->rival_end, tx->rival);
    }
}

static void ask_for_work(struct sim_client *client, const struct plan_op *op) {
    struct world *world = client->host.world;
    struct packet *packet = packet_new(world, PACKET_WORK, client->host.self,
                                       (struct process){ROLE_RM, world->place[op->key]});
    packet->txid = client->txid;
    packet->op = *op;
    packet->joins = client->tx->joins;
    packet->call = ++client->calls;
    net_send(world, packet);
}

static void do_work(struct sim_client *client) {
    struct world *world = client->host.world;
    while (client->op < client->tx->n_ops && is_given(client, &client->tx->ops[client->op])) {
        client->op++; /* later, with Commit */
    }
    if (client->failed || client->op == client->tx->n_ops) {
        ask_for_end(client);
        return;
    }
    client->stage = CLIENT_WORKING;
    client->op_call = client->calls + 1;
    client->op_answers = 0;
    client->due_us = world->now_us + (int64_t)world->plan->op_timeout_ms * 1000;
    host_wake(&client->host, host_now_ms(&client->host) + world->plan->op_timeout_ms + 1);
    uint32_t n = client->tx->at_once ? client->tx->n_ops : client->op + 1;
    for (uint32_t i = client->op; i < n; i++) {
        ask_for_work(client, &client->tx->ops[i]);
    }
}

static void think(struct sim_client *client) {
    if (client->tx->think_us == 0) {
        do_work(client);
        return;
    }
    client->stage = CLIENT_THINKING;
    client->due_us = client->host.world->now_us + client->tx->think_us;
    host_wake(&client->host, host_now_ms(&client->host) + client->tx->think_us / 1000 + 1);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void begun(struct sim_client *client, int error, struct troth_txid txid) {
    if (error != 0) {
        go_idle(client);
        host_wake(&client->host, 0);
        return;
    }
    client->txid = txid;
    client->number = world_tx(client->host.world, txid);
    struct sight sight = {.kind = SIGHT_BEGINS, .who = client->host.self, .tx = client->number};
    world_see(client->host.world, &sight);
    think(client);
}

static void on_done(struct sim_client *client, struct sim_call_session *call, int error,
                    const struct packet *packet) {
    if (client->stage == CLIENT_BEGINNING) {
        if (error == 0 && packet != NULL && packet->count > 1) {
            client->block = (struct troth_txid){packet->txid.hi, packet->txid.lo + 1};
            client->block_left = packet->count - 1;
            client->block_ms = host_now_ms(&client->host);
        }
        begun(client, error, packet != NULL ? packet->txid : (struct troth_txid){0});
        return;
    }
    told(client, call, error, error == 0 && packet != NULL ? packet->outcome : PAXOS_OUTCOME_NONE);
    if (!client->own.live && !client->rival.live) {
        go_idle(client);
        host_wake(&client->host, 0);
    }
}

static void on_reply(struct sim_client *client, const struct packet *packet) {
    struct sim_call_session *calls[2] = {&client->own, &client->rival};
    for (int i = 0; i < 2; i++) {
        int error;
        struct session_event event = {.type = SESSION_REPLY,
                                      .node = packet->from.index - 1u,
                                      .request = packet->request,
                                      .err = packet->error,
                                      .decided = packet->error == 0 &&
                                                 packet->outcome != PAXOS_OUTCOME_NONE};
        if (calls[i]->live && calls[i]->number == packet->call &&
            step(client, calls[i], event, &error)) {
            on_done(client, calls[i], error, packet);
            return;
        }
    }
}

/* The first start of a participant that the work was done in: that one is meant by Commit, whatever
 * became of it. */
static void bind(struct sim_client *client, const struct packet *packet) {
    for (uint32_t i = 0; i < client->n_members; i++) {
        if (rm_of_name(client->members[i].name) == packet->from.index) {
            return;
        }
    }
    struct paxos_participant *member = &client->members[client->n_members++];
    *member = client->host.world->rms[packet->from.index].id;
    member->incarnation = packet->incarnation;
}

static void on_worked(struct sim_client *client, const struct packet *packet) {
    uint32_t turn = packet->call - client->op_call; /* earlier calls make it very large */
    if (client->stage != CLIENT_WORKING || turn > client->calls - client->op_call) {
        return;
    }
    struct op_seen op = {.kind = packet->op.kind,
                         .key = packet->op.key,
                         .number = packet->op.number,
                         .result = packet->result,
                         .list = packet->list,
                         .list_n = packet->list_n};
    struct sight sight = {.kind = SIGHT_OP_DONE,
                          .who = packet->from,
                          .to = client->host.self,
                          .tx = client->number,
                          .ops = &op,
                          .ops_n = 1,
                          .ok = packet->error == 0};
    world_see(client->host.world, &sight);
    client->failed = client->failed || packet->error != 0;
    if (packet->error == 0) {
        bind(client, packet);
    }
    client->op_answers++;
    if (client->failed || client->op_answers > client->calls - client->op_call) {
        client->op += client->op_answers;
        think(client);
    }
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void on_time(struct sim_client *client) {
    struct sim_call_session *calls[2] = {&client->own, &client->rival};
    int64_t now_us = client->host.world->now_us;
    for (int i = 0; i < 2; i++) {
        int error;
        if (calls[i]->live &&
            step(client, calls[i], (struct session_event){.type = SESSION_TICK}, &error)) {
            on_done(client, calls[i], error, NULL);
        }
    }
    if (client->stage == CLIENT_THINKING && now_us >= client->due_us) {
        do_work(client);
    } else if (client->stage == CLIENT_WORKING && now_us >= client->due_us) {
        client->failed = true; /* it may have been done, or not */
        ask_for_end(client);
    }
    if (client->stage == CLIENT_THINKING || client->stage == CLIENT_WORKING) {
        host_wake(&client->host, host_now_ms(&client->host) + (client->due_us - now_us) / 1000 + 1);
    }
    if (client->stage == CLIENT_IDLE) {
        try_next(client);
    }
}

void sim_client_run(struct sim_client *client) {
    struct packet *packet;
    while ((packet = packets_take(&client->host.inbox)) != NULL) {
        if (!packet->refused) {
            net_see(client->host.world, SIGHT_RECEIVE, packet);
        }
        if (packet->kind == PACKET_REPLY) {
            on_reply(client, packet);
        } else {
            on_worked(client, packet);
        }
        packet_free(client->host.world, packet);
    }
    on_time(client);
}

void sim_client_start(struct sim_client *client) {
    struct sight sight = {.kind = SIGHT_START, .who = client->host.self, .incarnation = 1};
    world_see(client->host.world, &sight);
    host_wake(&client->host, 0);
}

void sim_client_crash(struct sim_client *client) {
    client->block_left = 0;
    go_idle(client);
}

void sim_client_release(struct sim_client *client) {
    go_idle(client);
}
