/* What clients ask here, and what other nodes pass on: where the transaction is, and who can
 * answer. Every request becomes a waiter: see engine_waiters.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

/* ---- Where a transaction is
 * -------------------------------------------------------------------------- */

/* 0 with *tx (NULL when it is another node's and not known here), or why it can't be served. */
static int locate(struct engine *engine, struct troth_txid txid, struct tx **tx) {
    *tx = NULL;
    uint32_t node = troth_txid_node(txid);
    if (!tx_is_possible(engine, txid)) {
        return TROTH_ERR_INVALID;
    }
    *tx = tx_find(engine, txid);
    if (*tx != NULL) {
        return 0;
    }
    if (marks_forgotten(engine, txid)) {
        return TROTH_ERR_FORGOTTEN;
    }
    bool ours = node == engine->options.self;
    bool never_given = ours && (troth_txid_incarnation(txid) > engine->options.incarnation ||
                                tx_is_unborn(engine, txid));
    return never_given ? TROTH_ERR_NOT_FOUND : 0;
}

/* ---- This node's own transactions
 * ---------------------------------------------------------------------- */

static void enlist_own(struct engine *engine, struct tx *tx, const struct waiter *waiter,
                       const struct paxos_participant *participant) {
    int index = tx_branch_find(tx, participant->name);
    if (waiter->session != 0 && tx->stage == TX_LEADING && index >= 0 &&
        tx->branches[index].incarnation == participant->incarnation) {
        /* By the Commit that named it: what was joined will be asked to prepare. */
        waiter_answer(engine, waiter, tx->txid, (struct answer){.already = true});
        return;
    }
    bool already = false;
    int error = coordinate_enlist(engine, tx, participant, &already);
    if (error == TROTH_ERR_ABORTED || error == TROTH_ERR_STATE) {
        waiter_answer(engine, waiter, tx->txid, answer_too_late(tx));
    } else {
        waiter_answer(engine, waiter, tx->txid,
                      (struct answer){.error = error, .already = already});
    }
}

/* Enlists what Commit names. 0, or an error with nothing changed; a lost branch is no error here:
 * the transaction is aborted then, and says so. */
static int enlist_all(struct engine *engine, struct tx *tx, const struct paxos_set *set) {
    uint32_t added = 0, unheard = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        if (strcmp(set->members[i].name, ENGINE_NOBODY) == 0) {
            return TROTH_ERR_INVALID;
        }
        added += tx_branch_find(tx, set->members[i].name) < 0;
        unheard += sessions_find(engine, set->members[i].name) == NULL;
    }
    if (tx->n_branches + added > PAXOS_PARTICIPANTS_MAX || unheard > sessions_room(engine)) {
        return TROTH_ERR_TOO_MANY;
    }
    /* Another incarnation aborts it, and all are to hear that: those come last. */
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < set->n && tx->stage == TX_ACTIVE; i++) {
            bool already = tx_branch_find(tx, set->members[i].name) >= 0;
            if (already == (pass == 1) &&
                coordinate_enlist(engine, tx, &set->members[i], &already) == TROTH_ERR_NO_MEMORY) {
                return TROTH_ERR_NO_MEMORY; /* the step fails */
            }
        }
    }
    return 0;
}

static void commit_own(struct engine *engine, struct tx *tx, const struct waiter *waiter) {
    int error =
        tx->stage == TX_ACTIVE && waiter->set != NULL ? enlist_all(engine, tx, waiter->set) : 0;
    if (error != 0) {
        waiter_answer(engine, waiter, tx->txid, (struct answer){.error = error});
    } else if (tx_outcome(tx) != PAXOS_OUTCOME_NONE) {
        waiter_answer(engine, waiter, tx->txid, answer_outcome(tx));
    } else if (waiter_keep(engine, tx, waiter) != NULL && tx->stage == TX_ACTIVE) {
        if (waiter->works != NULL) {
            work_keep(engine, tx, waiter);
        }
        coordinate_commit(engine, tx, waiter->set);
    }
}

/* The first Commit, which comes with work. */
static void commit_with_work(struct engine *engine, struct tx *tx, const struct waiter *asked) {
    char detail[MESSAGE_DETAIL_BYTES] = "";
    struct waiter commit = *asked;
    int error = work_bind(engine, tx, asked, &commit.set, detail);
    if (error != 0) {
        waiter_answer(engine, asked, tx->txid,
                      (struct answer){.error = error, .detail = detail[0] != '\0' ? detail : NULL});
        return;
    }
    commit_own(engine, tx, &commit);
    paxos_set_release(commit.set);
}

static void abort_own(struct engine *engine, struct tx *tx, const struct waiter *waiter) {
    if (tx->stage == TX_ACTIVE && waiter->set != NULL) {
        /* Those that it names hear of the abort, too; where they can't be, they ask. */
        (void)enlist_all(engine, tx, waiter->set);
    }
    if (tx_outcome(tx) != PAXOS_OUTCOME_NONE) {
        waiter_answer(engine, waiter, tx->txid, answer_outcome(tx));
        return;
    }
    if (waiter_keep(engine, tx, waiter) == NULL) {
        return;
    }
    if (tx->stage == TX_ACTIVE) {
        coordinate_abort_active(engine, tx, PAXOS_REASON_CLIENT, "Abort was called");
    } else {
        /* Votes may be out: only a ballot can tell what comes of it. One is enough. */
        if (tx->reason == PAXOS_REASON_NONE) {
            tx->reason = PAXOS_REASON_CLIENT;
        }
        if (tx->leader->phase == LEADER_LEARNING) {
            lead_take_over(engine, tx);
        }
    }
}

static void serve_own(struct engine *engine, struct tx *tx, const struct waiter *waiter) {
    switch (waiter->kind) {
    case WAITER_COMMIT:
        if (waiter->works != NULL && tx->stage == TX_ACTIVE) {
            commit_with_work(engine, tx, waiter);
        } else {
            commit_own(engine, tx, waiter);
        }
        break;
    case WAITER_ABORT:
        abort_own(engine, tx, waiter);
        break;
    case WAITER_GET:
        waiter_answer(engine, waiter, tx->txid, answer_outcome(tx));
        break;
    case WAITER_ENLIST:
        enlist_own(engine, tx, waiter, &waiter->set->members[0]);
        break;
    }
}

/* ---- Those of other nodes, and of this node's earlier lives
 * ---------------------------------------------- */

static enum message_ask ask_of(enum waiter_kind kind) {
    switch (kind) {
    case WAITER_COMMIT:
        return MESSAGE_ASK_COMMIT;
    case WAITER_ABORT:
        return MESSAGE_ASK_ABORT;
    case WAITER_GET:
        return MESSAGE_ASK_GET;
    case WAITER_ENLIST:
        return MESSAGE_ASK_ENLIST;
    }
    return MESSAGE_ASK_NONE;
}

/* A participant is named with two incarnations: the work of one of them is lost (H2). */
static bool names_lost_work(const struct paxos_set *set) {
    for (uint32_t i = 1; set != NULL && i < set->n; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(set->members[i].name, set->members[k].name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* NULL without memory: then the participants find out by themselves. */
static struct paxos_set *each_name_once(const struct paxos_set *set) {
    struct paxos_participant *members = calloc(set->n, sizeof *members);
    uint32_t n = 0;
    for (uint32_t i = 0; members != NULL && i < set->n; i++) {
        if (paxos_set_find(set, set->members[i].name) == (int)i) {
            members[n++] = set->members[i];
        }
    }
    struct paxos_set *once = members != NULL ? paxos_set_new(members, n) : NULL;
    free(members);
    return once;
}

static void forward(struct engine *engine, const struct waiter *waiter, uint32_t node) {
    struct message *ask = effect_to_node(engine, node, MESSAGE_ASK, waiter->tx->txid);
    ask->request = waiter->request;
    if (names_lost_work(waiter->set)) {
        /* Such a set can't be sent: in a message each name is there once, which is enough to tell
         * them of the abort. */
        ask->ask = MESSAGE_ASK_ABORT;
        ask->set = each_name_once(waiter->set);
        return;
    }
    ask->ask = ask_of(waiter->kind);
    ask->set = waiter->set != NULL ? paxos_set_hold(waiter->set) : NULL;
}

void requests_forward(struct engine *engine, struct tx *tx) {
    uint32_t node = watch_leading_node(engine, tx);
    for (struct waiter *waiter = tx->waiters; waiter != NULL; waiter = waiter->next) {
        if (waiter->node == 0 && waiter->session == 0) {
            forward(engine, waiter, node);
        }
    }
}

/* Nobody leads it now. Another node may hold its outcome all the same; what it answers goes to the
 * waiter, and if it does not, the timer says that nothing is known. */
static void look_elsewhere(struct engine *engine, struct tx *tx, const struct waiter *waiter) {
    uint32_t node = engine->options.nodes;
    while (node > 0 && (node == engine->options.self || !watch_is_trusted(engine, node))) {
        node--;
    }
    bool asks = node > 0 && waiter->node == 0 && tx->stage == TX_KEPT;
    struct waiter *kept = asks ? waiter_keep(engine, tx, waiter) : NULL;
    if (kept != NULL) {
        forward(engine, kept, node);
        if (tx->timer_slot == 0) {
            tx_timer(engine, tx, engine->now_ms + engine->options.repeat_ms);
        }
    } else {
        waiter_answer(engine, waiter, tx->txid, answer_not_known());
        waiter_drop_if_empty(engine, tx);
    }
}

static void serve_foreign(struct engine *engine, struct tx *tx, struct troth_txid txid,
                          const struct waiter *waiter) {
    if (waiter->works != NULL) {
        /* Whether its participants have been given work is the coordinator's to know: here they
         * would be given it a second time, or not at all. */
        waiter_answer(engine, waiter, txid,
                      (struct answer){.error = TROTH_ERR_STATE,
                                      .detail = "a Commit with work is for the node that "
                                                "coordinates; call Abort or Get to learn the "
                                                "outcome"});
        return;
    }
    if (tx == NULL && (tx = tx_new(engine, txid, TX_KEPT)) == NULL) {
        return;
    }
    uint32_t node = watch_leading_node(engine, tx);
    /* What another node passed on is not passed on again, so that no question goes in circles. */
    bool pass_on = tx->stage == TX_KEPT && waiter->node == 0 && waiter->session == 0 &&
                   !watch_is_lost(engine, tx);
    if (pass_on) {
        struct waiter *kept = waiter_keep(engine, tx, waiter);
        if (kept != NULL) {
            forward(engine, kept, node);
            watch_kept(engine, tx);
        }
    } else if (waiter->kind == WAITER_ENLIST) {
        bool here = troth_txid_node(txid) == engine->options.self;
        waiter_answer(engine, waiter, txid,
                      (struct answer){.error = here || tx->stage != TX_KEPT
                                                   ? TROTH_ERR_STATE
                                                   : TROTH_ERR_UNAVAILABLE});
        waiter_drop_if_empty(engine, tx);
    } else if (waiter->kind == WAITER_GET) {
        look_elsewhere(engine, tx, waiter);
    } else if (waiter_keep(engine, tx, waiter) != NULL && tx->stage == TX_KEPT) {
        lead_take_over(engine, tx);
    }
}

static void serve(struct engine *engine, struct troth_txid txid, const struct waiter *waiter) {
    struct tx *tx;
    int error = locate(engine, txid, &tx);
    uint32_t node = troth_txid_node(txid);
    if (error == TROTH_ERR_FORGOTTEN && waiter->node == 0 && waiter->session == 0 &&
        node != engine->options.self && watch_may_live(engine, node)) {
        error = 0; /* its origin may still keep what was aborted without a record */
    }
    if (error != 0) {
        waiter_answer(engine, waiter, txid, (struct answer){.error = error});
    } else if (tx != NULL && tx->damaged) {
        waiter_answer(engine, waiter, txid,
                      (struct answer){.error = TROTH_ERR_UNAVAILABLE,
                                      .detail = "this node's record of the transaction is damaged; "
                                                "ask another node"});
    } else if (tx != NULL && tx_outcome(tx) != PAXOS_OUTCOME_NONE) {
        waiter_answer(engine, waiter, txid,
                      waiter->kind == WAITER_ENLIST ? answer_too_late(tx) : answer_outcome(tx));
    } else if (tx != NULL && tx_is_own(engine, tx) && tx->stage != TX_KEPT) {
        serve_own(engine, tx, waiter);
    } else {
        serve_foreign(engine, tx, txid, waiter);
    }
}

/* ---- Events
 * -------------------------------------------------------------------------------------------- */

void requests_commit_abort_get(struct engine *engine, const struct engine_event *event) {
    enum waiter_kind kind = event->type == ENGINE_COMMIT  ? WAITER_COMMIT
                            : event->type == ENGINE_ABORT ? WAITER_ABORT
                                                          : WAITER_GET;
    serve(engine, event->txid,
          &(struct waiter){.kind = kind,
                           .request = event->request,
                           .set = event->branches,
                           .works = event->type == ENGINE_COMMIT ? event->works : NULL});
}

void requests_enlist(struct engine *engine, const struct engine_event *event) {
    struct paxos_set *set = paxos_set_new(&event->participant, 1);
    if (set == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return;
    }
    serve(engine, event->txid,
          &(struct waiter){.kind = WAITER_ENLIST, .request = event->request, .set = set});
    paxos_set_release(set);
}

void requests_enlist_message(struct engine *engine, struct rm *rm, struct troth_txid txid) {
    struct paxos_set *set = paxos_set_new(&rm->participant, 1);
    if (set == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return;
    }
    serve(engine, txid,
          &(struct waiter){.kind = WAITER_ENLIST, .session = rm->session, .set = set});
    paxos_set_release(set);
}

void requests_ask(struct engine *engine, uint32_t node, struct message *message) {
    struct waiter waiter = {.node = node, .request = message->request, .set = message->set};
    switch (message->ask) {
    case MESSAGE_ASK_COMMIT:
        waiter.kind = WAITER_COMMIT;
        break;
    case MESSAGE_ASK_ABORT:
        waiter.kind = WAITER_ABORT;
        break;
    case MESSAGE_ASK_GET:
        waiter.kind = WAITER_GET;
        break;
    case MESSAGE_ASK_ENLIST:
        if (message->set == NULL || message->set->n != 1) {
            return;
        }
        waiter.kind = WAITER_ENLIST;
        break;
    case MESSAGE_ASK_RESOLVE:
        lead_resolve(engine, node, message);
        return;
    case MESSAGE_ASK_VOTES:
        accept_tell_votes(engine, node, message);
        return;
    case MESSAGE_ASK_NONE:
        return;
    }
    /* The asking node asks again when it hears nothing: one waiter for it is enough, and a word
     * that it is being dealt with, which keeps that node from taking over. */
    struct tx *tx = tx_find(engine, message->txid);
    for (struct waiter *old = tx != NULL ? tx->waiters : NULL; old != NULL; old = old->next) {
        if (old->node == node && old->request == message->request) {
            effect_to_node(engine, node, MESSAGE_ANSWER, message->txid);
            return;
        }
    }
    serve(engine, message->txid, &waiter);
}

void requests_answer(struct engine *engine, uint32_t node, struct message *message) {
    struct tx *tx = tx_find(engine, message->txid);
    if (tx != NULL && node == watch_leading_node(engine, tx)) {
        tx->unanswered = 0; /* it is there and at it */
    }
    struct waiter *waiter;
    HASH_FIND(by_request, engine->waiters, &message->request, sizeof message->request, waiter);
    if (waiter == NULL || waiter->tx != tx || message->request == 0) {
        return;
    }
    waiter_answer(engine, waiter, message->txid,
                  (struct answer){.error = message->error,
                                  .outcome = message->outcome,
                                  .reason = message->reason,
                                  .already = message->already,
                                  .detail = message->detail});
    waiter_free(engine, waiter);
    waiter_drop_if_empty(engine, tx);
}

static int begin_refusal(const struct engine *engine, const struct engine_event *event,
                         const char **why) {
    if (engine->stopping) {
        *why = "this node is stopping; begin at another node";
        return TROTH_ERR_UNAVAILABLE;
    }
    if (event->timeout_ms > ENGINE_TIMEOUT_MAX_MS) {
        *why = "timeout_ms is over the limit of 3600000";
        return TROTH_ERR_INVALID;
    }
    if (event->key != NULL && strlen(event->key) >= ENGINE_IDEMPOTENCY_KEY_BYTES) {
        *why = "the idempotency key is over the limit of 64 bytes";
        return TROTH_ERR_INVALID;
    }
    if (event->count > ENGINE_BEGIN_MAX) {
        *why = "count is over the limit of 1024";
        return TROTH_ERR_INVALID;
    }
    if (event->count > 1 && event->key != NULL && event->key[0] != '\0') {
        *why = "count must be 0 or 1 with an idempotency key";
        return TROTH_ERR_INVALID;
    }
    if (engine->n_txs >= ENGINE_OPEN_MAX) {
        *why = "this node knows as many transactions as it can; begin at another node, or later";
        return TROTH_ERR_UNAVAILABLE;
    }
    *why = "";
    return 0;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static struct tx *begin_new(struct engine *engine, const struct engine_event *event) {
    struct troth_txid txid = {.hi = engine->origin_hi, .lo = engine->sequence_next};
    struct tx *tx = tx_new(engine, txid, TX_ACTIVE);
    if (tx == NULL) {
        return NULL;
    }
    engine->sequence_next++;
    engine->counters.begun++;
    tx->timeout_ms =
        event->timeout_ms != 0 ? event->timeout_ms : engine->options.timeout_default_ms;
    tx->deadline_ms = engine->now_ms + tx->timeout_ms;
    tx_timer(engine, tx, tx->deadline_ms);
    if (event->key != NULL && event->key[0] != '\0' && (tx->key = strdup(event->key)) != NULL) {
        HASH_ADD_KEYPTR(by_key, engine->txs_by_key, tx->key, strlen(tx->key), tx);
    }
    return tx;
}

/* As many as are asked for and have room; the first of them, NULL without memory. */
static struct tx *begin_some(struct engine *engine, const struct engine_event *event,
                             uint32_t *count) {
    size_t room = ENGINE_OPEN_MAX - engine->n_txs;
    uint32_t most = event->count == 0 ? 1 : event->count;
    struct tx *first = NULL;
    for (*count = 0; *count < most && *count < room; (*count)++) {
        struct tx *tx = begin_new(engine, event);
        if (tx == NULL) {
            return NULL;
        }
        first = first == NULL ? tx : first;
    }
    return first;
}

void requests_begin(struct engine *engine, const struct engine_event *event) {
    const char *why;
    int error = begin_refusal(engine, event, &why);
    struct tx *tx = NULL;
    uint32_t count = 1;
    if (error == 0 && event->key != NULL && event->key[0] != '\0') {
        HASH_FIND(by_key, engine->txs_by_key, event->key, strlen(event->key), tx);
    }
    if (error == 0 && tx == NULL && (tx = begin_some(engine, event, &count)) == NULL) {
        return;
    }
    struct engine_effect *effect = effect_add(engine, ENGINE_REPLY);
    effect->request = event->request;
    effect->reply.error = error;
    if (tx != NULL) {
        effect->txid = effect->reply.txid = tx->txid;
        effect->reply.timeout_ms = tx->timeout_ms;
        effect->reply.count = count;
    }
    snprintf(effect->detail, sizeof effect->detail, "%s", why);
}
