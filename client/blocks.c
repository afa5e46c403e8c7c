#include "client/blocks.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shell/clock.h"

/* Transactions that may stay open for longer are begun one by one: what is begun ahead and not used
 * keeps its node from forgetting for as long. */
#define BLOCKS_TIMEOUT_MAX_MS 60000u

/* A begin that waits for a block that was asked for. */
struct waiter {
    struct waiter *next;
    struct request_end end;
};

struct block {
    struct troth_txid next;
    uint32_t left;
    uint32_t node; /* by its place in the list: who began it */
    uint32_t timeout_ms;
    int64_t asked_ms; /* the node's time for it began to run after that */
};

struct turn {
    struct blocks *blocks;
    struct block block;
    uint32_t size;      /* of the next block */
    int64_t trouble_ms; /* when its node was last in trouble; 0: it has begun a block since */
    /* Asked for, if `asking`. */
    bool asking;
    uint32_t asked_timeout_ms;
    int64_t asked_ms;
    struct waiter *first, *last;
    uint32_t n_waiters;
};

struct blocks {
    struct troth *troth;
    pthread_mutex_t mutex;
    uint32_t default_ms; /* what the nodes grant for 0, once one has told it */
    uint32_t turn;       /* whose it is, modulo the nodes */
    uint32_t begun;      /* in this turn */
    int64_t since_ms;    /* its beginning */
    bool closed;
    struct turn turns[SESSION_NODES_MAX];
};

uint32_t blocks_stay_ms(uint32_t n_nodes) {
    uint32_t share_ms = BLOCKS_ROUND_MS / n_nodes;
    return share_ms < BLOCKS_STAY_MS ? share_ms : BLOCKS_STAY_MS;
}

int blocks_new(struct blocks **out, struct troth *t) {
    struct blocks *blocks = calloc(1, sizeof *blocks);
    if (blocks == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    blocks->troth = t;
    pthread_mutex_init(&blocks->mutex, NULL);
    /* So that many clients do not all begin at the first node. */
    clock_random(&blocks->turn, sizeof blocks->turn);
    blocks->turn %= t->n_nodes;
    blocks->since_ms = clock_monotonic_ms();
    for (uint32_t i = 0; i < SESSION_NODES_MAX; i++) {
        blocks->turns[i].blocks = blocks;
        blocks->turns[i].size = 1;
    }
    *out = blocks;
    return 0;
}

void blocks_free(struct blocks *blocks) {
    if (blocks == NULL) {
        return;
    }
    pthread_mutex_destroy(&blocks->mutex);
    free(blocks);
}

/* ---- With the lock held ---------------------------------------------------------------------- */

static struct troth_txid take(struct block *block) {
    assert(block->left > 0);
    block->left--;
    return (struct troth_txid){.hi = block->next.hi, .lo = block->next.lo++};
}

static bool is_fresh(const struct turn *turn, int64_t now_ms) {
    const struct block *block = &turn->block;
    return block->left > 0 && now_ms - block->asked_ms < turn->blocks->troth->block_age_ms;
}

/* Its node was in trouble, and is not to be tried again yet; or one begin tries it, and no other is
 * to wait for what comes of that. */
static bool is_passed_over(const struct turn *turn, int64_t now_ms) {
    uint32_t avoid_ms = turn->blocks->troth->block_avoid_ms;
    return turn->trouble_ms != 0 && (turn->asking || now_ms - turn->trouble_ms < avoid_ms);
}

/* The next one that is not passed over; when all are, the next one. */
static void end_turn(struct blocks *blocks, int64_t now_ms) {
    uint32_t n = blocks->troth->n_nodes;
    uint32_t step = 1;
    while (step < n && is_passed_over(&blocks->turns[(blocks->turn + step) % n], now_ms)) {
        step++;
    }
    blocks->turn = (blocks->turn + (step < n ? step : 1)) % n;
    blocks->begun = 0;
    blocks->since_ms = now_ms;
}

static bool is_over(const struct blocks *blocks, const struct turn *turn, int64_t now_ms) {
    const struct troth *t = blocks->troth;
    bool has_begun_few = turn->size < BLOCKS_SIZE_MAX;
    bool is_used_up = !turn->asking && !is_fresh(turn, now_ms);
    return blocks->begun >= t->block_stay || now_ms - blocks->since_ms >= t->block_stay_ms ||
           (blocks->begun > 0 && has_begun_few && is_used_up);
}

static struct turn *take_turn(struct blocks *blocks, int64_t now_ms) {
    const struct turn *turn = &blocks->turns[blocks->turn];
    if (is_over(blocks, turn, now_ms) || is_passed_over(turn, now_ms)) {
        end_turn(blocks, now_ms);
    }
    blocks->begun++;
    return &blocks->turns[blocks->turn];
}

/* How long it took until a new block is needed says how large that should be. */
static void fit_size(struct turn *turn, int64_t now_ms) {
    int64_t took_ms = now_ms - turn->asked_ms;
    if (turn->n_waiters > turn->size) {
        turn->size = turn->n_waiters;
    } else if (turn->asked_ms == 0) {
        return;
    } else if (took_ms < BLOCKS_FAST_MS) {
        turn->size *= 2;
    } else if (took_ms >= turn->blocks->troth->block_age_ms && turn->size > 1) {
        turn->size /= 2;
    }
    turn->size = turn->size < BLOCKS_SIZE_MAX ? turn->size : BLOCKS_SIZE_MAX;
}

/* Makes the request for a new block. */
static struct request_what ask_for(struct turn *turn, uint32_t timeout_ms, int64_t now_ms) {
    struct blocks *blocks = turn->blocks;
    fit_size(turn, now_ms);
    turn->asking = true;
    turn->asked_ms = now_ms;
    turn->asked_timeout_ms = timeout_ms;
    uint32_t known_ms = timeout_ms == 0 ? blocks->default_ms : timeout_ms;
    uint32_t count = turn->size;
    if (known_ms == 0 || known_ms > BLOCKS_TIMEOUT_MAX_MS || blocks->closed ||
        turn->trouble_ms != 0) {
        count = 1; /* also of a node that is only tried */
    }
    return (struct request_what){
        .request = SESSION_BEGIN,
        .first = (uint32_t)(turn - blocks->turns),
        .begin_timeout_ms = count == 1 ? timeout_ms : known_ms + blocks->troth->block_age_ms,
        .count = count};
}

static bool add_waiter(struct turn *turn, const struct request_end *end) {
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        return false;
    }
    *waiter = (struct waiter){.end = *end};
    *(turn->last != NULL ? &turn->last->next : &turn->first) = waiter;
    turn->last = waiter;
    turn->n_waiters++;
    return true;
}

/* The first n that wait, or all. */
static struct waiter *take_waiters(struct turn *turn, uint32_t n) {
    struct waiter *waiters = turn->first;
    struct waiter *last = NULL;
    while (n-- > 0 && turn->first != NULL) {
        last = turn->first;
        turn->first = last->next;
        turn->n_waiters--;
    }
    if (turn->first == NULL) {
        turn->last = NULL;
    }
    if (last == NULL) {
        return NULL;
    }
    last->next = NULL;
    return waiters;
}

/* ---- What is not used ------------------------------------------------------------------------ */

/* Of one transaction of the block. */
static void start_abort(struct blocks *blocks, struct block *block, const struct request_end *end) {
    struct request_what what = {.request = SESSION_ABORT,
                                .first = block->node,
                                .timeout_ms = BLOCKS_CLOSE_MS,
                                .txid = take(block)};
    request_start(blocks->troth, &what, end);
}

/* One that was not aborted ends at its timeout. */
static void on_old_aborted(const struct request_end *end, struct request_answer *answer) {
    (void)end;
    (void)answer;
}

/* ---- A block comes --------------------------------------------------------------------------- */

static void on_block(const struct request_end *end, struct request_answer *answer);

static void start(struct turn *turn, const struct request_what *what) {
    request_start(turn->blocks->troth, what, &(struct request_end){.fn = on_block, .arg = turn});
}

/* Gives the block to those who wait, and keeps the rest for the turn of the node that began it,
 * which may be another than the one that was asked; *old: what nobody used of that one's block
 * before, or will use of this one; *again: more wait. */
static struct waiter *accept(struct turn *turn, const struct request_answer *answer,
                             struct block *given, struct block *old, struct request_what *more,
                             bool *again) {
    struct blocks *blocks = turn->blocks;
    uint32_t count = answer->count == 0 ? 1 : answer->count; /* 0: a node that knows no blocks */
    *given = (struct block){.next = answer->txid,
                            .left = count,
                            .node = answer->node,
                            .timeout_ms = turn->asked_timeout_ms,
                            .asked_ms = turn->asked_ms};
    if (answer->node == (uint32_t)(turn - blocks->turns)) {
        turn->trouble_ms = 0;
    }
    if (turn->asked_timeout_ms == 0 && blocks->default_ms == 0) {
        blocks->default_ms = answer->timeout_ms;
    }
    struct waiter *waiters = take_waiters(turn, count);
    struct block rest = *given;
    for (const struct waiter *w = waiters; w != NULL; w = w->next) {
        take(&rest);
    }
    if (blocks->closed) {
        *old = rest;
    } else if (rest.left > 0) {
        *old = blocks->turns[answer->node].block;
        blocks->turns[answer->node].block = rest;
    }
    *again = turn->n_waiters > 0;
    turn->asking = *again;
    if (*again) {
        *more = ask_for(turn, turn->asked_timeout_ms, clock_monotonic_ms());
    }
    return waiters;
}

static void on_block(const struct request_end *end, struct request_answer *answer) {
    struct turn *turn = end->arg;
    struct blocks *blocks = turn->blocks;
    struct request_what more;
    struct block given = {.left = 0};
    struct block old = {.left = 0};
    bool again = false;
    struct waiter *waiters;
    pthread_mutex_lock(&blocks->mutex);
    if (answer->err == 0) {
        atomic_store(&blocks->troth->nodes[answer->node].id, answer->node_id);
        waiters = accept(turn, answer, &given, &old, &more, &again);
    } else {
        turn->asking = false;
        waiters = take_waiters(turn, UINT32_MAX);
    }
    pthread_mutex_unlock(&blocks->mutex);
    if (again) {
        start(turn, &more);
    }
    while (old.left > 0) {
        start_abort(blocks, &old, &(struct request_end){.fn = on_old_aborted});
    }
    for (struct waiter *next, *waiter = waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (answer->err == 0) {
            answer->txid = take(&given);
        }
        waiter->end.fn(&waiter->end, answer);
        free(waiter);
    }
}

/* ---- Begin ----------------------------------------------------------------------------------- */

void blocks_begin(struct blocks *blocks, uint32_t timeout_ms, const struct request_end *end) {
    struct request_answer answer = {.err = 0};
    struct request_what what = {.request = SESSION_BEGIN, .begin_timeout_ms = timeout_ms};
    bool asks = false;
    pthread_mutex_lock(&blocks->mutex);
    int64_t now_ms = clock_monotonic_ms();
    struct turn *turn = take_turn(blocks, now_ms);
    what.first = (uint32_t)(turn - blocks->turns);
    bool is_fresh_block = is_fresh(turn, now_ms);
    if (is_fresh_block && turn->block.timeout_ms == timeout_ms) {
        answer.txid = take(&turn->block);
        pthread_mutex_unlock(&blocks->mutex);
        end->fn(end, &answer);
        return;
    }
    /* The block is for those who want another time: it is not to be thrown away for this one. */
    bool alone = is_fresh_block || (turn->asking && turn->asked_timeout_ms != timeout_ms);
    bool waits = !alone && add_waiter(turn, end);
    if (waits && !turn->asking) {
        asks = true;
        what = ask_for(turn, timeout_ms, now_ms);
    }
    pthread_mutex_unlock(&blocks->mutex);
    if (asks) {
        start(turn, &what);
    } else if (!waits) {
        request_start(blocks->troth, &what, end); /* one for itself */
    }
}

void blocks_drop(struct blocks *blocks, uint32_t node) {
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&blocks->mutex);
    struct turn *turn = &blocks->turns[node];
    turn->trouble_ms = now_ms;
    if (blocks->turn == node) {
        end_turn(blocks, now_ms);
    }
    if (turn->block.left > 0) {
        turn->block.left = 0;
        turn->size = 1; /* it was not used up: that says nothing of the rate */
        turn->asked_ms = turn->asking ? turn->asked_ms : 0;
    }
    pthread_mutex_unlock(&blocks->mutex);
}

/* ---- Closing --------------------------------------------------------------------------------- */

struct aborts {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t under_way;
};

static void on_aborted(const struct request_end *end, struct request_answer *answer) {
    struct aborts *aborts = end->arg;
    (void)answer; /* what was not aborted ends at its timeout */
    pthread_mutex_lock(&aborts->mutex);
    aborts->under_way--;
    pthread_cond_signal(&aborts->changed);
    pthread_mutex_unlock(&aborts->mutex);
}

static void abort_rest(struct blocks *blocks, struct block *block, struct aborts *aborts) {
    while (block->left > 0) {
        pthread_mutex_lock(&aborts->mutex);
        aborts->under_way++;
        pthread_mutex_unlock(&aborts->mutex);
        start_abort(blocks, block, &(struct request_end){.fn = on_aborted, .arg = aborts});
    }
}

void blocks_close(struct blocks *blocks) {
    struct aborts aborts = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    for (uint32_t i = 0; i < blocks->troth->n_nodes; i++) {
        pthread_mutex_lock(&blocks->mutex);
        blocks->closed = true;
        struct block rest = blocks->turns[i].block;
        blocks->turns[i].block.left = 0;
        pthread_mutex_unlock(&blocks->mutex);
        abort_rest(blocks, &rest, &aborts);
    }
    pthread_mutex_lock(&aborts.mutex);
    while (aborts.under_way > 0) {
        pthread_cond_wait(&aborts.changed, &aborts.mutex);
    }
    pthread_mutex_unlock(&aborts.mutex);
    pthread_cond_destroy(&aborts.changed);
    pthread_mutex_destroy(&aborts.mutex);
}
