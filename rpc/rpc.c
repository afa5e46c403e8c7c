/* rpc: the library, its completion queue and the threads that poll it. */
#include "rpc/rpc.h"

#include <assert.h>
#include <grpc/support/log.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/internal.h"

/* Callbacks that one rpc_poll runs at most: its loop has other things to do, too. */
#define EVENTS_AT_ONCE 1024u
/* How often others are let run before what has come is gone on with; it is worth it when so many
 * events came of that; if not, at most so many turns do without. */
#define YIELDS        4u
#define YIELDS_WORTH  2u
#define TURNS_OFF_MAX 31u

struct rpc {
    grpc_completion_queue *queue;
    struct rpc_timers *timers;
    struct rpc_watch *watch;
    atomic_uint polling; /* threads that wait for an event */
    atomic_uint polls;   /* waits so far */
    unsigned polls_then; /* at the last look (rpc_is_polled) */
    unsigned threads_n;
    pthread_t *threads;
    void (*idle)(void *arg);
    void *idle_arg;
    unsigned turns_off, turns_off_next; /* the polling thread's */
    /* Driven: an empty batch of this call is an event for whoever waits. */
    grpc_channel *wake_channel;
    grpc_call *wake_call;
    struct rpc_tag wake_tag;
    atomic_bool waking; /* that event is under way */
};

const char *rpc_status_name(int status) {
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    if (status < 0 || (size_t)status >= sizeof names / sizeof *names) {
        return "?";
    }
    return names[status];
}

/* The kind of event that came. */
static grpc_completion_type run_next(struct rpc *rpc, gpr_timespec until) {
    atomic_fetch_add_explicit(&rpc->polls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&rpc->polling, 1, memory_order_relaxed);
    grpc_event event = grpc_completion_queue_next(rpc->queue, until, NULL);
    atomic_fetch_sub_explicit(&rpc->polling, 1, memory_order_relaxed);
    if (event.type == GRPC_OP_COMPLETE) {
        struct rpc_tag *tag = event.tag;
        rpc_event_fn *fn = atomic_load_explicit(&tag->fn, memory_order_acquire);
        fn(tag, event.success != 0);
    }
    return event.type;
}

bool rpc_is_polled(struct rpc *rpc) {
    unsigned before = rpc->polls_then;
    rpc->polls_then = atomic_load(&rpc->polls);
    return rpc->polls_then != before || atomic_load(&rpc->polling) > 0;
}

/* Runs what is there, at most so many; returns how many. */
static unsigned run_ready(struct rpc *rpc, unsigned most) {
    gpr_timespec now = gpr_time_0(GPR_CLOCK_MONOTONIC);
    unsigned events = 0;
    while (events < most && run_next(rpc, now) == GRPC_OP_COMPLETE) {
        events++;
    }
    return events;
}

/* What comes after a first event. Where processors are short, those who will send more are waiting
 * for this one: they are let run, so that more comes together, in fuller frames and batches. Where
 * that has brought little it is left off for some turns, more and more of them. */
static void run_rest(struct rpc *rpc) {
    unsigned events = run_ready(rpc, EVENTS_AT_ONCE);
    if (rpc->turns_off > 0) {
        rpc->turns_off--;
        return;
    }
    unsigned brought = 0;
    for (unsigned i = 0; i < YIELDS && events + brought < EVENTS_AT_ONCE; i++) {
        sched_yield();
        brought += run_ready(rpc, EVENTS_AT_ONCE - events - brought);
    }
    bool is_worth_it = brought >= YIELDS_WORTH;
    rpc->turns_off_next = is_worth_it                           ? 0
                          : rpc->turns_off_next < TURNS_OFF_MAX ? 2 * rpc->turns_off_next + 1
                                                                : TURNS_OFF_MAX;
    rpc->turns_off = rpc->turns_off_next;
}

static void *poll_main(void *arg) {
    struct rpc *rpc = arg;
    while (run_next(rpc, gpr_inf_future(GPR_CLOCK_MONOTONIC)) != GRPC_QUEUE_SHUTDOWN) {
        if (rpc->idle != NULL) {
            run_rest(rpc);
            rpc->idle(rpc->idle_arg);
        }
    }
    return NULL;
}

/* gRPC writes to stderr about every peer that is away. Our callers learn that from a status, so
 * only its last words before an abort are kept; GRPC_VERBOSITY brings the rest back. */
static void log_last_words(gpr_log_func_args *args) {
    static const char assertion[] = "assertion failed";
    if (strncmp(args->message, assertion, sizeof assertion - 1) == 0) {
        fprintf(stderr, "gRPC %s:%d: %s\n", args->file, args->line, args->message);
    }
}

static int start_threads(struct rpc *rpc, unsigned n) {
    rpc->threads = calloc(n, sizeof *rpc->threads);
    if (rpc->threads == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    while (rpc->threads_n < n) {
        if (pthread_create(&rpc->threads[rpc->threads_n], NULL, poll_main, rpc) != 0) {
            return TROTH_ERR_SYSTEM;
        }
        rpc->threads_n++;
    }
    return 0;
}

/* ---- Driven by the user's loop ------------------------------------------------------------- */

static void on_wake(struct rpc_tag *tag, bool ok) {
    struct rpc *rpc = RPC_CONTAINER(tag, struct rpc, wake_tag);
    (void)ok;
    atomic_store(&rpc->waking, false);
}

static void make_wakeable(struct rpc *rpc) {
    atomic_init(&rpc->waking, false);
    rpc->wake_channel = grpc_lame_client_channel_create("wake", GRPC_STATUS_UNAVAILABLE, "");
    rpc->wake_call = grpc_channel_create_call(rpc->wake_channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                              rpc->queue, grpc_slice_from_static_string("/wake"),
                                              NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

void rpc_wake(struct rpc *rpc) {
    if (!atomic_exchange(&rpc->waking, true)) {
        rpc_batch(rpc->wake_call, NULL, 0, &rpc->wake_tag, on_wake);
    }
}

void rpc_poll(struct rpc *rpc, int64_t until_ms) {
    gpr_timespec until = until_ms == INT64_MAX ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                                               : gpr_time_from_millis(until_ms, GPR_TIMESPAN);
    until.clock_type = GPR_CLOCK_MONOTONIC;
    if (run_next(rpc, until) == GRPC_OP_COMPLETE) {
        run_rest(rpc);
    }
}

void rpc_let_go(struct rpc *rpc) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rpc->threads_n == 0) {
        if (start_threads(rpc, 1) != 0) { /* who waits for callbacks would wait for ever */
            fprintf(stderr, "no thread could be started to end gRPC's calls\n");
            abort();
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int rpc_new(struct rpc **out, const struct rpc_options *options) {
    struct rpc *rpc = calloc(1, sizeof *rpc);
    if (rpc == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    /* Signals are for the program's own threads: ours, and gRPC's, are born with all blocked. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (getenv("GRPC_VERBOSITY") == NULL) {
        gpr_set_log_function(log_last_words);
    }
    grpc_init();
    rpc->queue = grpc_completion_queue_create_for_next(NULL);
    rpc->idle = options->idle;
    rpc->idle_arg = options->idle_arg;
    int err = rpc_timers_new(&rpc->timers);
    err = err != 0 ? err : rpc_watch_new(&rpc->watch, rpc, options->stuck_ms);
    if (err == 0 && options->driven) {
        make_wakeable(rpc);
    } else if (err == 0) {
        err = start_threads(rpc, options->threads == 0 ? 1 : options->threads);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0) {
        rpc_free(rpc);
        return err;
    }
    *out = rpc;
    return 0;
}

void rpc_free(struct rpc *rpc) {
    if (rpc == NULL) {
        return;
    }
    rpc_timers_free(rpc->timers);
    if (rpc->wake_call != NULL) {
        grpc_call_unref(rpc->wake_call);
        grpc_channel_destroy(rpc->wake_channel);
    }
    grpc_completion_queue_shutdown(rpc->queue);
    if (rpc->threads_n == 0) {
        (void)poll_main(rpc);
    }
    for (unsigned i = 0; i < rpc->threads_n; i++) {
        pthread_join(rpc->threads[i], NULL);
    }
    grpc_completion_queue_destroy(rpc->queue);
    /* The blocking kind: plain grpc_shutdown cleans up on a thread that nobody can join. */
    grpc_shutdown_blocking();
    rpc_watch_free(rpc->watch);
    free(rpc->threads);
    free(rpc);
}

grpc_completion_queue *rpc_queue(struct rpc *rpc) {
    return rpc->queue;
}

struct rpc_watch *rpc_watch_of(struct rpc *rpc) {
    return rpc->watch;
}

struct rpc_timers *rpc_timers_of(struct rpc *rpc) {
    return rpc->timers;
}

void rpc_batch(grpc_call *call, const grpc_op *ops, size_t n, struct rpc_tag *tag,
               rpc_event_fn *fn) {
    rpc_tag_arm(tag, fn);
    grpc_call_error error = grpc_call_start_batch(call, ops, n, tag, NULL);
    /* Only a mistake of ours is refused here; what the world does comes as an event. */
    if (error != GRPC_CALL_OK) {
        fprintf(stderr, "gRPC refused a batch: %s\n", grpc_call_error_to_string(error));
        abort();
    }
}
