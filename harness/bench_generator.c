#include "harness/bench_generator.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/troth_err.h"
#include "bench_work.pb-c.h"
#include "client/internal.h"
#include "client/troth.h"
#include "harness/bench_rate.h"
#include "harness/demo_screen.h"
#include "rpc/rpc.h"
#include "shell/clock.h"

#define READY_MS          30000
#define OPEN_TX_MS        60000u /* how long a transaction may stay open */
#define COMMIT_TIMEOUT_MS 30000u
#define PAUSE_US          200 /* the open loop looks at the time so often */
#define LOOK_MS           50
#define DRAIN_S           60
#define NODES_MAX         64u

struct slot {
    struct bench_generator *generator;
    struct troth *troth;
    int64_t began_us, asked_us;
    atomic_uint left; /* participants that have not answered */
    struct troth_txid txid;
};
struct link {
    struct bench_generator *generator;
    unsigned number;
    struct rpc_link *link;
    struct rpc_stream *stream; /* held; NULL: not up */
};

struct bench_generator {
    struct troth *troths[BENCH_CLIENTS_MAX]; /* slots have them in turn */
    unsigned n_troths;
    unsigned n_targets;
    struct bench_target *targets;
    struct link *links;
    struct troth_branch *branches;
    struct troth_work *works;
    bool one_call; /* of the run */
    struct slot *slots;
    atomic_uint asked[NODES_MAX + 1]; /* to commit, and not answered, by the node that began it */

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    unsigned n_ready;
    uint32_t *free_slots; /* of the open loop */
    unsigned n_free, n_active;
    bool closed_loop, tolerant, stopping, measuring;
    struct bench_sample *sample;
    uint64_t committed;
    int err; /* the first that failed */
    char why[BENCH_WHY_BYTES];
};

static void start_transaction(struct slot *slot, int64_t due_us);

/* ---- The end of a transaction ---------------------------------------------------------------- */

static void fail(struct bench_generator *generator, int err, const char *what, const char *text) {
    pthread_mutex_lock(&generator->mutex);
    if (generator->tolerant) {
        generator->sample->failed++;
        pthread_mutex_unlock(&generator->mutex);
        return;
    }
    if (generator->err == 0) {
        generator->err = err;
        snprintf(generator->why, sizeof generator->why, "%s: %s%s%s", what, troth_err_text(err),
                 text[0] == '\0' ? "" : ": ", text);
    }
    generator->stopping = true;
    pthread_cond_broadcast(&generator->changed);
    pthread_mutex_unlock(&generator->mutex);
}

static void finish_slot(struct slot *slot) {
    struct bench_generator *generator = slot->generator;
    pthread_mutex_lock(&generator->mutex);
    bool again = generator->closed_loop && !generator->stopping;
    if (!again) {
        generator->free_slots[generator->n_free++] = (uint32_t)(slot - generator->slots);
        if (--generator->n_active == 0) {
            pthread_cond_broadcast(&generator->changed);
        }
    }
    pthread_mutex_unlock(&generator->mutex);
    if (again) {
        start_transaction(slot, clock_monotonic_us());
    }
}

static void count(struct slot *slot, enum troth_outcome outcome) {
    struct bench_generator *generator = slot->generator;
    int64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&generator->mutex);
    struct bench_sample *sample = generator->measuring ? generator->sample : NULL;
    if (outcome == TROTH_COMMITTED) {
        generator->committed++;
        if (sample != NULL) {
            sample->committed++;
            histogram_add(&sample->whole, (uint64_t)(now_us - slot->began_us));
            histogram_add(&sample->commit, (uint64_t)(now_us - slot->asked_us));
        }
    } else if (sample != NULL) {
        sample->aborted++;
    }
    pthread_mutex_unlock(&generator->mutex);
}

static atomic_uint *asked_at(struct slot *slot) {
    unsigned node = troth_txid_node(slot->txid);
    return &slot->generator->asked[node <= NODES_MAX ? node : 0];
}

static void on_ended(void *arg, int err, const struct troth_result *result) {
    struct slot *slot = arg;
    atomic_fetch_sub(asked_at(slot), 1);
    if (err == 0) {
        count(slot, result->outcome);
    } else {
        fail(slot->generator, err, "commit", result->detail);
    }
    finish_slot(slot);
}

/* ---- Work ------------------------------------------------------------------------------------ */

static void commit(struct slot *slot) {
    struct bench_generator *generator = slot->generator;
    slot->asked_us = clock_monotonic_us();
    atomic_fetch_add(asked_at(slot), 1);
    if (generator->one_call) {
        troth_commit_work_async(slot->troth, slot->txid, NULL, 0, generator->works,
                                generator->n_targets, COMMIT_TIMEOUT_MS, on_ended, slot);
    } else {
        troth_commit_async(slot->troth, slot->txid, generator->branches, generator->n_targets,
                           COMMIT_TIMEOUT_MS, on_ended, slot);
    }
}

static void one_bound(struct slot *slot) {
    if (atomic_fetch_sub(&slot->left, 1) == 1) {
        commit(slot);
    }
}

static void on_begun(void *arg, int err, struct troth_txid txid,
                     const struct troth_result *result) {
    struct slot *slot = arg;
    struct bench_generator *generator = slot->generator;
    if (err != 0) {
        fail(generator, err, "begin", result->detail);
        finish_slot(slot);
        return;
    }
    slot->txid = txid;
    if (generator->one_call) {
        commit(slot);
        return;
    }
    atomic_store(&slot->left, generator->n_targets);
    uint64_t ids[] = {txid.hi, txid.lo};
    uint32_t tag = (uint32_t)(slot - generator->slots);
    Troth__Bench__V1__WorkRequests request = TROTH__BENCH__V1__WORK_REQUESTS__INIT;
    request.n_txids = 2;
    request.txids = ids;
    request.n_tags = 1;
    request.tags = &tag;
    for (unsigned i = 0; i < generator->n_targets; i++) {
        err = rpc_stream_send(generator->links[i].stream, &request.base);
        if (err != 0) {
            fail(generator, err, "work", generator->targets[i].name);
            one_bound(slot); /* the commit will tell */
        }
    }
}

static void start_transaction(struct slot *slot, int64_t due_us) {
    slot->began_us = due_us;
    troth_begin_async(slot->troth, OPEN_TX_MS, on_begun, slot);
}

static void on_replies(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)stream;
    struct link *link = arg;
    struct bench_generator *generator = link->generator;
    Troth__Bench__V1__WorkReplies *replies = troth__bench__v1__work_replies__unpack(NULL, n, bytes);
    if (replies == NULL || replies->n_incarnations == 0) {
        fail(generator, TROTH_ERR_CORRUPT, "work", "a reply that is none");
        troth__bench__v1__work_replies__free_unpacked(replies, NULL);
        return;
    }
    struct troth_branch *branch = &generator->branches[link->number];
    if (branch->incarnation != replies->incarnations[0]) {
        pthread_mutex_lock(&generator->mutex);
        branch->incarnation = replies->incarnations[0];
        generator->n_ready++;
        pthread_cond_broadcast(&generator->changed);
        pthread_mutex_unlock(&generator->mutex);
    }
    for (size_t i = 0; i < replies->n_bound; i++) {
        if (replies->bound[i] < BENCH_IN_FLIGHT_MAX) {
            one_bound(&generator->slots[replies->bound[i]]);
        }
    }
    for (size_t i = 0; i < replies->n_refused && i < replies->n_errors; i++) {
        fail(generator, replies->errors[i], branch->participant, "the work was refused");
        if (replies->refused[i] < BENCH_IN_FLIGHT_MAX) {
            one_bound(&generator->slots[replies->refused[i]]); /* the commit will tell */
        }
    }
    troth__bench__v1__work_replies__free_unpacked(replies, NULL);
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    struct link *link = arg;
    Troth__Bench__V1__WorkRequests hello = TROTH__BENCH__V1__WORK_REQUESTS__INIT;
    rpc_stream_hold(stream);
    pthread_mutex_lock(&link->generator->mutex);
    if (link->stream != NULL) {
        rpc_stream_release(link->stream);
    }
    link->stream = stream;
    pthread_mutex_unlock(&link->generator->mutex);
    rpc_stream_send(stream, &hello.base);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    (void)status;
    struct link *link = arg;
    if (stream != NULL && status != RPC_CANCELLED) {
        fail(link->generator, TROTH_ERR_UNAVAILABLE, link->generator->targets[link->number].name,
             text);
    }
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Waits until `until_us` or until something failed; false: a signal came. */
static bool wait_until(struct bench_generator *generator, int64_t until_us) {
    for (;;) {
        int64_t left_us = until_us - clock_monotonic_us();
        pthread_mutex_lock(&generator->mutex);
        bool failed = generator->err != 0;
        pthread_mutex_unlock(&generator->mutex);
        if (left_us <= 0 || failed) {
            return true;
        }
        if (!screen_wait_ms(left_us / 1000 < LOOK_MS ? left_us / 1000 + 1 : LOOK_MS)) {
            return false;
        }
    }
}

static struct slot *take_slot(struct bench_generator *generator) {
    pthread_mutex_lock(&generator->mutex);
    struct slot *slot = NULL;
    if (generator->n_free > 0 && !generator->stopping) {
        slot = &generator->slots[generator->free_slots[--generator->n_free]];
        generator->n_active++;
    }
    pthread_mutex_unlock(&generator->mutex);
    return slot;
}

/* Begins what is due until it is stopped. */
static void *open_loop(void *arg) {
    struct bench_rate rate = *(struct bench_rate *)((void **)arg)[1];
    struct bench_generator *generator = ((void **)arg)[0];
    for (bool stopping = false; !stopping;) {
        for (uint64_t n = bench_rate_behind(&rate, clock_monotonic_us()); n > 0; n--) {
            struct slot *slot = take_slot(generator);
            if (slot == NULL) {
                break;
            }
            int64_t due_us = bench_rate_due_us(&rate);
            rate.given++;
            start_transaction(slot, due_us);
        }
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_US * 1000}, NULL);
        pthread_mutex_lock(&generator->mutex);
        stopping = generator->stopping;
        pthread_mutex_unlock(&generator->mutex);
    }
    return NULL;
}

/* False: interrupted. */
static bool measure(struct bench_generator *generator, const struct bench_load *load,
                    struct bench_sample *sample) {
    bool on = wait_until(generator, clock_monotonic_us() + load->warm_up_ms * 1000);
    if (load->mark != NULL) {
        load->mark(load->arg, true);
    }
    int64_t began_us = clock_monotonic_us();
    pthread_mutex_lock(&generator->mutex);
    generator->measuring = true;
    pthread_mutex_unlock(&generator->mutex);
    on = on && wait_until(generator, began_us + load->ms * 1000);
    pthread_mutex_lock(&generator->mutex);
    generator->measuring = false;
    pthread_mutex_unlock(&generator->mutex);
    sample->seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
    if (load->mark != NULL) {
        load->mark(load->arg, false);
    }
    return on;
}

/* Until all have ended. After a failure some may never: what a lost stream held. */
static void drain(struct bench_generator *generator) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DRAIN_S;
    pthread_mutex_lock(&generator->mutex);
    generator->stopping = true;
    while (generator->n_active > 0 &&
           pthread_cond_timedwait(&generator->changed, &generator->mutex, &until) == 0) {
    }
    if (generator->n_active > 0 && generator->err == 0) {
        generator->err = TROTH_ERR_TIMEOUT;
        snprintf(generator->why, sizeof generator->why, "%u transactions have not ended after %d s",
                 generator->n_active, DRAIN_S);
    }
    pthread_mutex_unlock(&generator->mutex);
}

int bench_generator_run(struct bench_generator *generator, const struct bench_load *load,
                        struct bench_sample *sample, char why[BENCH_WHY_BYTES]) {
    memset(sample, 0, sizeof *sample);
    generator->sample = sample;
    generator->closed_loop = !(load->rate > 0);
    generator->tolerant = load->tolerant;
    generator->one_call = load->one_call;
    generator->stopping = false;
    generator->n_free = load->in_flight;
    for (unsigned i = 0; i < load->in_flight; i++) {
        generator->free_slots[i] = load->in_flight - 1 - i;
    }
    struct bench_rate rate = {.began_us = clock_monotonic_us(), .a_second = load->rate};
    pthread_t thread = pthread_self(); /* until it is started */
    void *args[] = {generator, &rate};
    if (generator->closed_loop) {
        for (struct slot *slot; (slot = take_slot(generator)) != NULL;) {
            start_transaction(slot, clock_monotonic_us());
        }
    } else if (pthread_create(&thread, NULL, open_loop, args) != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot start a thread");
        return TROTH_ERR_SYSTEM;
    }
    bool on = measure(generator, load, sample);
    drain(generator);
    if (!generator->closed_loop) {
        pthread_join(thread, NULL);
    }
    if (generator->err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "%s", generator->why);
        return generator->err;
    }
    if (!on) {
        snprintf(why, BENCH_WHY_BYTES, "interrupted");
    }
    return on ? 0 : TROTH_ERR_CLOSED;
}

uint64_t bench_generator_committed(const struct bench_generator *generator) {
    return generator->committed;
}

unsigned bench_generator_busiest(const struct bench_generator *generator) {
    unsigned busiest = 0, most = 0;
    for (unsigned node = 1; node <= NODES_MAX; node++) {
        unsigned asked = atomic_load(&generator->asked[node]);
        if (asked > most) {
            most = asked;
            busiest = node;
        }
    }
    return busiest;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const struct rpc_stream_handler handler = {on_opened, on_replies, on_closed};

static int make(struct bench_generator *generator, const struct bench_generator_options *options) {
    unsigned n = options->n_targets;
    generator->n_targets = n;
    generator->n_troths = options->clients == 0 ? 1 : options->clients;
    generator->targets = calloc(n, sizeof *generator->targets);
    generator->links = calloc(n, sizeof *generator->links);
    generator->branches = calloc(n, sizeof *generator->branches);
    generator->works = calloc(n, sizeof *generator->works);
    generator->slots = calloc(BENCH_IN_FLIGHT_MAX, sizeof *generator->slots);
    generator->free_slots = calloc(BENCH_IN_FLIGHT_MAX, sizeof *generator->free_slots);
    if (generator->targets == NULL || generator->links == NULL || generator->branches == NULL ||
        generator->works == NULL || generator->slots == NULL || generator->free_slots == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    memcpy(generator->targets, options->targets, n * sizeof *options->targets);
    for (unsigned i = 0; i < BENCH_IN_FLIGHT_MAX; i++) {
        generator->slots[i].generator = generator;
    }
    for (unsigned i = 0; i < n; i++) {
        generator->links[i] = (struct link){.generator = generator, .number = i};
        generator->branches[i].participant = generator->targets[i].name;
        generator->works[i] =
            (struct troth_work){.participant = generator->targets[i].name, .bytes = "w", .n = 1};
    }
    return 0;
}

/* The work on the first client's rpc, so that of one client one thread polls. */
static int dial(struct bench_generator *generator, const char *nodes) {
    int err = 0;
    for (unsigned i = 0; err == 0 && i < generator->n_troths; i++) {
        err = troth_open(&generator->troths[i], &(struct troth_options){.nodes = nodes});
    }
    for (unsigned i = 0, client = 0; err == 0 && i < BENCH_IN_FLIGHT_MAX; i++) {
        generator->slots[i].troth = generator->troths[client];
        client = client + 1 < generator->n_troths ? client + 1 : 0;
    }
    for (unsigned i = 0; err == 0 && i < generator->n_targets; i++) {
        char method[BENCH_WORK_METHOD_BYTES];
        snprintf(method, sizeof method, BENCH_WORK_METHOD, generator->targets[i].index);
        err = rpc_link_new(&generator->links[i].link, generator->troths[0]->rpc,
                           generator->targets[i].address, method, &handler, &generator->links[i]);
    }
    return err;
}

static int wait_ready(struct bench_generator *generator, char why[BENCH_WHY_BYTES]) {
    int64_t until_ms = clock_monotonic_ms() + READY_MS;
    for (;;) {
        pthread_mutex_lock(&generator->mutex);
        unsigned ready = generator->n_ready;
        pthread_mutex_unlock(&generator->mutex);
        if (ready == generator->n_targets) {
            return 0;
        }
        if (clock_monotonic_ms() >= until_ms) {
            snprintf(why, BENCH_WHY_BYTES, "%u of %u participants answer after %d ms", ready,
                     generator->n_targets, READY_MS);
            return TROTH_ERR_TIMEOUT;
        }
        if (!screen_wait_ms(5)) {
            snprintf(why, BENCH_WHY_BYTES, "interrupted");
            return TROTH_ERR_CLOSED;
        }
    }
}

int bench_generator_open(struct bench_generator **out,
                         const struct bench_generator_options *options, char why[BENCH_WHY_BYTES]) {
    struct bench_generator *generator = calloc(1, sizeof *generator);
    if (generator == NULL) {
        snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    pthread_mutex_init(&generator->mutex, NULL);
    pthread_cond_init(&generator->changed, NULL);
    int err = make(generator, options);
    if (err == 0) {
        err = dial(generator, options->nodes);
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot start the generator: %s", troth_err_text(err));
    } else {
        err = wait_ready(generator, why);
    }
    if (err != 0) {
        bench_generator_close(generator);
        return err;
    }
    *out = generator;
    return 0;
}

void bench_generator_close(struct bench_generator *generator) {
    if (generator == NULL) {
        return;
    }
    for (unsigned i = 0; generator->links != NULL && i < generator->n_targets; i++) {
        rpc_link_free(generator->links[i].link);
        if (generator->links[i].stream != NULL) {
            rpc_stream_release(generator->links[i].stream);
        }
    }
    for (unsigned i = 0; i < generator->n_troths; i++) {
        troth_close(generator->troths[i]);
    }
    pthread_cond_destroy(&generator->changed);
    pthread_mutex_destroy(&generator->mutex);
    free(generator->targets);
    free(generator->links);
    free(generator->branches);
    free(generator->works);
    free(generator->slots);
    free(generator->free_slots);
    free(generator);
}
