/* Messages under way, and processes that crash. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "tests/sim/coverage_memory.h"

int coverage_watch_init(struct coverage_watch *watch) {
    *watch = (struct coverage_watch){.memory = calloc(1, sizeof *watch->memory)};
    if (watch->memory == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    watch->memory->txs = calloc(COVERAGE_TXS_MAX + 1, sizeof *watch->memory->txs);
    if (watch->memory->txs == NULL) {
        coverage_watch_release(watch);
        return TROTH_ERR_NO_MEMORY;
    }
    return 0;
}

void coverage_watch_release(struct coverage_watch *watch) {
    if (watch->memory != NULL) {
        free(watch->memory->txs);
        free(watch->memory);
    }
    *watch = (struct coverage_watch){0};
}

void coverage_world(struct coverage_watch *watch) {
    struct coverage_memory *memory = watch->memory;
    struct cover_tx *txs = memory->txs;
    memset(txs, 0, (memory->txs_n + 1) * sizeof *txs);
    memset(memory, 0, sizeof *memory);
    memory->txs = txs;
}

/* ---- Messages on their way ------------------------------------------------------------------- */

/* Which of COVERAGE_MESSAGES, from 0; -1: not counted. */
static int group_of(enum speech_kind kind) {
    enum { CLIENTS, ENLIST, PREPARE, VOTE, ONE_PHASE, PHASE1, PHASE2, DECISION, ACK, KNOWN };
    switch (kind) {
    case SAY_BEGIN:
    case SAY_BEGUN:
    case SAY_COMMIT:
    case SAY_ABORT:
    case SAY_GET:
    case SAY_REPLY:
    case SAY_WORK:
    case SAY_WORKED:
        return CLIENTS;
    case SAY_ENLIST:
    case SAY_ENLISTED:
        return ENLIST;
    case SAY_PREPARE:
        return PREPARE;
    case SAY_VOTE:
    case SAY_BRANCH_ABORTED:
        return VOTE;
    case SAY_COMMIT_ONE_PHASE:
    case SAY_ONE_PHASE_RESULT:
        return ONE_PHASE;
    case SAY_PHASE1A:
    case SAY_PHASE1B:
    case SAY_REFUSED:
        return PHASE1;
    case SAY_PHASE2A:
    case SAY_PHASE2B:
        return PHASE2;
    case SAY_DECISION:
    case SAY_ACCEPTED:
        return DECISION;
    case SAY_ACK:
        return ACK;
    case SAY_KNOWN:
    case SAY_ASK:
    case SAY_ANSWER:
        return KNOWN;
    case SAY_MARK:
    case SAY_HEARTBEAT:
    case SAY_LEAVING:
    case SAY_PING:
    case SAY_KINDS:
        break;
    }
    return -1;
}

static void count_message(struct coverage_watch *watch, enum coverage_point first,
                          enum speech_kind kind) {
    int group = group_of(kind);
    if (group >= 0) {
        watch->coverage.n[(int)first + group]++;
    }
}

static uint32_t process_number(struct process process) {
    return (16u * process.role + process.index) % COVER_PROCESSES;
}

static void message_received(struct coverage_watch *watch, const struct sight *sight) {
    struct coverage_memory *memory = watch->memory;
    struct cover_message *slot = &memory->messages[sight->message & (COVER_SLOTS - 1)];
    if (slot->message != sight->message) {
        return; /* so long ago that another took its place */
    }
    if (slot->received) {
        count_message(watch, COVER_DOUBLED_CLIENTS, sight->speech->kind);
        return;
    }
    slot->received = true;
    uint64_t *last = &memory->last_received[process_number(sight->who)][process_number(sight->to)];
    if (slot->order < *last) {
        count_message(watch, COVER_OVERTAKEN_CLIENTS, sight->speech->kind);
    } else {
        *last = slot->order;
    }
}

static void message_passes(struct coverage_watch *watch, const struct sight *sight) {
    struct coverage_memory *memory = watch->memory;
    if (sight->kind == SIGHT_LOST) {
        count_message(watch, COVER_LOST_CLIENTS, sight->speech->kind);
    } else if (sight->kind == SIGHT_SEND) {
        memory->messages[sight->message & (COVER_SLOTS - 1)] =
            (struct cover_message){.message = sight->message, .order = ++memory->sent};
    } else {
        message_received(watch, sight);
    }
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* The points that the crash of this node reaches for one transaction, as a mask from
 * COVER_CRASH_ACTIVE on. */
static uint32_t node_crash_points(const struct cover_tx *tx, uint32_t node) {
    uint32_t bit = 1u << node;
    uint32_t points = 0;
    enum { ACTIVE, LEADING_0, LEADING, PROMISED, VOTES, DECIDED };
    if ((tx->knows & bit) != 0) {
        bool open = tx->decision_sent[node] != 0 && (tx->finished & bit) == 0;
        return open ? 1u << DECIDED : 0;
    }
    points |= tx->origin == node && !tx->asked_votes ? 1u << ACTIVE : 0;
    points |= (tx->leading & bit) != 0 && tx->ballot[node] == 0 ? 1u << LEADING_0 : 0;
    points |= (tx->leading & bit) != 0 && tx->ballot[node] > 0 ? 1u << LEADING : 0;
    points |= (tx->promised & bit) != 0 ? 1u << PROMISED : 0;
    points |= (tx->has_votes & bit) != 0 ? 1u << VOTES : 0;
    return points;
}

/* The same from COVER_CRASH_WORKING on. */
static uint32_t rm_crash_points(const struct cover_tx *tx, uint32_t rm) {
    uint32_t bit = 1u << rm;
    enum { WORKING, ASKED, PREPARED, COMMITTING };
    if (tx->log[rm] == LOG_PREPARED) {
        return (tx->told_commit & bit) != 0 ? 1u << COMMITTING : 1u << PREPARED;
    }
    if (tx->log[rm] == LOG_COMMITTING || (tx->one_phase_got & bit) != 0) {
        return 1u << COMMITTING;
    }
    if (tx->log[rm] != LOG_NONE || (tx->enlisted & bit) == 0 || tx->vote[rm] != VOTE_NONE ||
        tx->outcome != OUTCOME_NONE) {
        return 0;
    }
    return (tx->prepare_got & bit) != 0 ? 1u << ASKED : 1u << WORKING;
}

static void count_points(struct coverage_watch *watch, enum coverage_point first, uint32_t points) {
    for (int i = 0; points != 0; i++, points >>= 1) {
        watch->coverage.n[(int)first + i] += points & 1;
    }
}

/* What it knew and did not store is lost to it. */
static void node_crashes(struct coverage_watch *watch, uint32_t node) {
    struct coverage_memory *memory = watch->memory;
    uint32_t points = 0;
    for (uint32_t i = 1; i <= memory->txs_n; i++) {
        struct cover_tx *tx = &memory->txs[i];
        points |= node_crash_points(tx, node);
        tx->leading &= (uint8_t) ~(1u << node);
    }
    count_points(watch, COVER_CRASH_ACTIVE, points);
}

static void rm_crashes(struct coverage_watch *watch, uint32_t rm) {
    struct coverage_memory *memory = watch->memory;
    uint32_t points = 0;
    uint16_t rest = (uint16_t) ~(1u << rm);
    memory->rm_starts[rm]++;
    for (uint32_t i = 1; i <= memory->txs_n; i++) {
        struct cover_tx *tx = &memory->txs[i];
        points |= rm_crash_points(tx, rm);
        tx->prepare_got &= rest;
        tx->one_phase_got &= rest;
        tx->worked &= rest;
        tx->work_got &= rest;
        tx->work_done &= rest;
        tx->abort_heard &= rest;
    }
    count_points(watch, COVER_CRASH_WORKING, points);
}

static void client_crashes(struct coverage_watch *watch) {
    struct coverage_memory *memory = watch->memory;
    for (uint32_t i = 1; i <= memory->txs_n; i++) {
        if (memory->txs[i].outcome == OUTCOME_NONE) {
            cover(watch, COVER_CRASH_CLIENT);
            return;
        }
    }
}

static void process_crashes(struct coverage_watch *watch, struct process who) {
    if (who.role == ROLE_NODE && who.index <= SIM_NODES_MAX) {
        node_crashes(watch, who.index);
    } else if (who.role == ROLE_RM && who.index < SIM_RMS_MAX) {
        rm_crashes(watch, who.index);
    } else if (who.role == ROLE_CLIENT) {
        client_crashes(watch);
    }
}

/* The words of membership.c and branches_nodes.c for the one fault that has no sight of its own. */
static bool tells_amnesia(const struct sight *sight) {
    return sight->text != NULL && (strstr(sight->text, "older copy") != NULL ||
                                   strstr(sight->text, "older disk") != NULL ||
                                   strstr(sight->text, "another disk") != NULL ||
                                   strstr(sight->text, "an empty one") != NULL);
}

/* ---- All ------------------------------------------------------------------------------------- */

static struct cover_tx *tx_of(struct coverage_memory *memory, uint32_t number) {
    if (number == 0 || number > COVERAGE_TXS_MAX) {
        return NULL;
    }
    memory->txs_n = number > memory->txs_n ? number : memory->txs_n;
    return &memory->txs[number];
}

static bool in_range(struct process process) {
    switch ((enum process_role)process.role) {
    case ROLE_NODE:
        return process.index <= SIM_NODES_MAX;
    case ROLE_RM:
        return process.index < SIM_RMS_MAX;
    case ROLE_CLIENT:
        return process.index <= SIM_CLIENTS_MAX;
    case ROLE_NONE:
        break;
    }
    return false;
}

static void see_message(struct coverage_watch *watch, const struct sight *sight) {
    const struct speech *speech = sight->speech;
    if (speech == NULL || !in_range(sight->who) || !in_range(sight->to)) {
        return;
    }
    if (sight->who.role != sight->to.role || sight->who.index != sight->to.index) {
        message_passes(watch, sight);
    }
    if (speech->kind == SAY_MARK && sight->kind == SIGHT_RECEIVE) {
        cover(watch, sight->to.role == ROLE_RM ? COVER_MARK_TOLD_RM : COVER_MARK_TOLD_NODE);
    }
    struct cover_tx *tx = tx_of(watch->memory, speech->tx);
    if (tx == NULL) {
        return;
    }
    if (sight->kind == SIGHT_SEND) {
        cover_sent(watch, tx, sight);
    } else if (sight->kind == SIGHT_RECEIVE) {
        cover_received(watch, tx, sight);
    }
}

void coverage_see(void *arg, const struct sight *sight) {
    struct coverage_watch *watch = arg;
    if (sight->kind == SIGHT_SEND || sight->kind == SIGHT_RECEIVE || sight->kind == SIGHT_LOST) {
        see_message(watch, sight);
    } else if (sight->kind == SIGHT_CRASH) {
        process_crashes(watch, sight->who);
    } else if (sight->kind == SIGHT_NODE_MARK) {
        cover(watch, COVER_MARK_MOVED);
    } else if (sight->kind == SIGHT_FAULT || sight->kind == SIGHT_ALARM) {
        cover_if(watch, COVER_AMNESIA, tells_amnesia(sight));
        struct cover_tx *tx = sight->kind == SIGHT_FAULT ? tx_of(watch->memory, sight->tx) : NULL;
        if (tx != NULL) { /* the only fault of one transaction */
            cover_happened(watch, tx, sight);
        }
    } else {
        struct cover_tx *tx = tx_of(watch->memory, sight->tx);
        bool who_counts = sight->who.role == ROLE_NONE || in_range(sight->who);
        if (tx != NULL && who_counts) {
            cover_happened(watch, tx, sight);
        }
    }
}
