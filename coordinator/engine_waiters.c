/* Who waits for an answer about a transaction: clients of this node, other nodes that passed a
 * question on, participants that enlist. Each is answered exactly once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

/* ---- Answers
 * -------------------------------------------------------------------------------------- */

/* Whether it may have been begun in this cluster. */
static const char *explain(const struct engine *engine, int error, char text[MESSAGE_DETAIL_BYTES],
                           struct troth_txid txid) {
    char hex[TROTH_TXID_TEXT];
    troth_txid_format(txid, hex);
    const char *why = troth_err_text(error);
    if (error == TROTH_ERR_NOT_FOUND) {
        why = "was never given out; use a txid from Begin";
    } else if (error == TROTH_ERR_FORGOTTEN) {
        why = "finished long ago and its outcome is forgotten; it is not known to be aborted";
    } else if (error == TROTH_ERR_STATE) {
        why = "takes no more work: its commit has begun or it has ended; begin another";
    } else if (error == TROTH_ERR_TOO_MANY) {
        why =
            "would have more than 1024 participants, or names more than this node has room to hear "
            "of; nothing was changed";
    } else if (error == TROTH_ERR_UNAVAILABLE) {
        why = "is coordinated by a node that cannot be reached; begin another";
    } else if (error == TROTH_ERR_INVALID && tx_is_possible(engine, txid)) {
        why = "was given a reserved participant name; use another";
    } else if (error == TROTH_ERR_INVALID) {
        why = "is of another cell, or names a node that the cluster does not have; use a txid "
              "that was begun here";
    }
    snprintf(text, MESSAGE_DETAIL_BYTES, "transaction %s %s", hex, why);
    return text;
}

static void answer_node(struct engine *engine, const struct waiter *waiter, struct troth_txid txid,
                        const struct answer *answer) {
    struct message *message = effect_to_node(engine, waiter->node, MESSAGE_ANSWER, txid);
    message->request = waiter->request;
    message->error = answer->error;
    message->outcome = answer->outcome;
    message->reason = answer->reason;
    message->already = answer->already;
    message_set_detail(message, answer->detail);
}

static void answer_session(struct engine *engine, const struct waiter *waiter,
                           struct troth_txid txid, const struct answer *answer) {
    struct message *message = effect_to_rm(engine, waiter->session, MESSAGE_ENLISTED, txid);
    message->ok = answer->error == 0;
    message->already = answer->already;
    message->reason = answer->reason;
    message->error = answer->error;
    message_set_detail(message, answer->detail);
}

static void answer_shell(struct engine *engine, const struct waiter *waiter, struct troth_txid txid,
                         const struct answer *answer) {
    struct engine_effect *effect = effect_add(engine, ENGINE_REPLY);
    effect->request = waiter->request;
    effect->txid = txid;
    effect->reply = (struct engine_reply){.error = answer->error,
                                          .txid = txid,
                                          .outcome = answer->outcome,
                                          .reason = answer->reason,
                                          .already = answer->already};
    snprintf(effect->detail, sizeof effect->detail, "%s", answer->detail);
}

void waiter_answer(struct engine *engine, const struct waiter *waiter, struct troth_txid txid,
                   struct answer answer) {
    char text[MESSAGE_DETAIL_BYTES];
    if (answer.detail == NULL) {
        answer.detail = answer.error == 0 ? "" : explain(engine, answer.error, text, txid);
    }
    if (waiter->session != 0) {
        answer_session(engine, waiter, txid, &answer);
    } else if (waiter->node != 0) {
        answer_node(engine, waiter, txid, &answer);
    } else {
        answer_shell(engine, waiter, txid, &answer);
    }
}

struct answer answer_outcome(const struct tx *tx) {
    return (struct answer){.outcome = tx_outcome(tx), .reason = tx->reason, .detail = tx->detail};
}

struct answer answer_not_known(void) {
    return (struct answer){.detail = "not decided as far as this node knows, and the node that "
                                     "coordinates it cannot be reached; Commit or Abort, asked of "
                                     "any node, decides it"};
}

/* What an enlistment gets when it is refused because of the transaction's end. */
struct answer answer_too_late(const struct tx *tx) {
    struct answer answer = answer_outcome(tx);
    answer.error = answer.outcome == PAXOS_OUTCOME_ABORTED ? TROTH_ERR_ABORTED : TROTH_ERR_STATE;
    return answer;
}

/* ---- Waiters
 * ----------------------------------------------------------------------------------------- */

/* Whoever has waited longest asks again, or is gone: nobody else tells of a client that another
 * node has passed on. */
static void send_oldest_away(struct engine *engine, struct tx *tx) {
    struct waiter *oldest = tx->waiters;
    while (oldest->next != NULL) {
        oldest = oldest->next;
    }
    waiter_answer(engine, oldest, tx->txid,
                  (struct answer){.error = TROTH_ERR_UNAVAILABLE,
                                  .detail = "too many wait for the transaction's outcome at this "
                                            "node; it goes on: ask again"});
    waiter_free(engine, oldest);
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct waiter *waiter_keep(struct engine *engine, struct tx *tx, const struct waiter *from) {
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return NULL;
    }
    *waiter = *from;
    waiter->tx = tx;
    waiter->set = from->set != NULL ? paxos_set_hold(from->set) : NULL;
    waiter->works = NULL; /* borrowed; the branches hold it */
    if (tx->n_waiters == ENGINE_WAITERS_MAX) {
        send_oldest_away(engine, tx);
    }
    waiter->next = tx->waiters;
    tx->waiters = waiter;
    tx->n_waiters++;
    if (waiter->node == 0 && waiter->session == 0) {
        HASH_ADD(by_request, engine->waiters, request, sizeof waiter->request, waiter);
    }
    return waiter;
}

void waiter_free(struct engine *engine, struct waiter *waiter) {
    struct waiter **link = &waiter->tx->waiters;
    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
    waiter->tx->n_waiters--;
    if (waiter->node == 0 && waiter->session == 0) {
        HASH_DELETE(by_request, engine->waiters, waiter);
    }
    paxos_set_release(waiter->set);
    free(waiter);
}

static bool record_is_empty(const struct acceptor *record) {
    return record->promised == 0 && record->set == NULL && record->outcome == PAXOS_OUTCOME_NONE;
}

/* Known only because somebody asked: nothing is left to keep. */
void waiter_drop_if_empty(struct engine *engine, struct tx *tx) {
    if (tx->stage == TX_KEPT && tx->waiters == NULL && !tx->damaged &&
        record_is_empty(&tx->record)) {
        tx_remove(engine, tx);
    }
}

void waiters_tell(struct engine *engine, struct tx *tx, int error) {
    while (tx->waiters != NULL) {
        struct waiter *waiter = tx->waiters;
        struct answer answer = error != 0                      ? (struct answer){.error = error}
                               : waiter->kind == WAITER_ENLIST ? answer_too_late(tx)
                                                               : answer_outcome(tx);
        waiter_answer(engine, waiter, tx->txid, answer);
        waiter_free(engine, waiter);
    }
}

void waiters_cancel(struct engine *engine, uint64_t request) {
    struct waiter *waiter;
    HASH_FIND(by_request, engine->waiters, &request, sizeof request, waiter);
    if (waiter != NULL) {
        struct tx *tx = waiter->tx;
        waiter_free(engine, waiter);
        waiter_drop_if_empty(engine, tx);
    }
}

bool waiters_only_look(struct engine *engine, struct tx *tx) {
    bool look = tx->waiters != NULL && !tx->damaged && record_is_empty(&tx->record);
    for (const struct waiter *waiter = tx->waiters; waiter != NULL; waiter = waiter->next) {
        look = look && waiter->kind == WAITER_GET;
    }
    for (struct waiter *waiter = look ? tx->waiters : NULL, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        waiter_answer(engine, waiter, tx->txid, answer_not_known());
        waiter_free(engine, waiter);
    }
    if (look) {
        tx_remove(engine, tx);
    }
    return look;
}
