/* The participant library's functions for any thread, and its opening and closing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/participant_internal.h"
#include "participant/participant_on.h"
#include "shell/clock.h"
#include "shell/crash_point.h"

static_assert((int)TROTH_VOTE_PREPARED == (int)PAXOS_VOTE_PREPARED &&
                  (int)TROTH_VOTE_READ_ONLY == (int)PAXOS_VOTE_READ_ONLY &&
                  (int)TROTH_VOTE_ABORTED == (int)PAXOS_VOTE_ABORTED,
              "votes have the same numbers everywhere");
static_assert((int)TROTH_REASON_VOTE == (int)PAXOS_REASON_VOTE &&
                  (int)TROTH_REASON_DEADLINE == (int)PAXOS_REASON_DEADLINE &&
                  (int)TROTH_REASON_LOST_WORK == (int)PAXOS_REASON_LOST_WORK &&
                  (int)TROTH_REASON_CONFLICT == (int)PAXOS_REASON_CONFLICT &&
                  (int)TROTH_REASON_BUSY == (int)PAXOS_REASON_BUSY,
              "reasons have the same numbers everywhere");
static_assert(TROTH_DETAIL_BYTES == MESSAGE_DETAIL_BYTES, "a detail fits into a message");

/* ---- Opening and closing --------------------------------------------------------------------- */

static int check_options(const struct troth_participant_options *options, char *why,
                         size_t why_bytes) {
    const char *cluster = options->cluster == NULL ? "troth" : options->cluster;
    if (!paxos_name_valid(options->name)) {
        snprintf(why, why_bytes, "\"%s\" is no participant name: 1 to 47 of A-Z a-z 0-9 . _ -",
                 options->name == NULL ? "" : options->name);
    } else if (!paxos_name_valid(cluster)) {
        snprintf(why, why_bytes, "\"%s\" is no cluster name: 1 to 47 of A-Z a-z 0-9 . _ -",
                 cluster);
    } else if (options->endpoint != NULL &&
               strlen(options->endpoint) >= sizeof((struct troth_participant *)0)->endpoint) {
        snprintf(why, why_bytes, "the endpoint is longer than 127 bytes: %s", options->endpoint);
    } else if (options->log_path == NULL || options->log_path[0] == '\0') {
        snprintf(why, why_bytes, "no path is given for the branch log");
    } else if (options->callbacks == NULL || options->callbacks->prepare == NULL ||
               options->callbacks->commit == NULL || options->callbacks->abort == NULL) {
        snprintf(why, why_bytes, "the callbacks prepare, commit and abort are needed");
    } else {
        return 0;
    }
    return TROTH_ERR_INVALID;
}

static int open_log(struct troth_participant *p, const struct troth_participant_options *options,
                    char *why, size_t why_bytes) {
    char detail[DB_WHY_BYTES];
    int err = branch_log_open(&p->log, options->log_path, p->cluster, p->name, detail);
    if (err != 0) {
        snprintf(why, why_bytes, "%s", detail);
        return err;
    }
    p->db = branch_log_db(p->log);
    p->incarnation = branch_log_incarnation(p->log);
    struct branches_options core = {.name = p->name,
                                    .incarnation = p->incarnation,
                                    .idle_timeout_ms = options->idle_timeout_ms,
                                    .separate_storage = options->separate_storage != 0};
    clock_random(&core.seed, sizeof core.seed);
    err = branches_new(&p->branches, &core);
    err = err != 0 ? err : participant_foreign_open(p, options);
    err = err != 0 ? err : participant_recover(p);
    if (err != 0) {
        snprintf(why, why_bytes, "the branches in %s can't be recovered: %s", options->log_path,
                 troth_err_text(err));
    }
    return err;
}

/* On gRPC's threads. Closed: the loop has let go of all streams by itself. */
static int session_up(void *arg, const struct session_up *up) {
    struct troth_participant *p = arg;
    return inbox_put(p->inbox, &(struct item){.kind = ITEM_NODE_UP, .up = *up});
}

static void session_down(void *arg, uint64_t session) {
    struct troth_participant *p = arg;
    inbox_put(p->inbox, &(struct item){.kind = ITEM_NODE_DOWN, .session = session});
}

static int session_messages(void *arg, uint64_t session, struct message_batch *batch) {
    struct troth_participant *p = arg;
    return inbox_put(p->inbox,
                     &(struct item){.kind = ITEM_MESSAGES, .session = session, .batch = batch});
}

static int start(struct troth_participant *p, const char *nodes, struct rpc *rpc, char *why,
                 size_t why_bytes) {
    int err = sessions_open(&p->sessions,
                            &(struct sessions_options){.cluster = p->cluster,
                                                       .name = p->name,
                                                       .endpoint = p->endpoint,
                                                       .nodes = nodes,
                                                       .incarnation = p->incarnation,
                                                       .driven = true,
                                                       .rpc = rpc,
                                                       .arg = p,
                                                       .up = session_up,
                                                       .down = session_down,
                                                       .messages = session_messages},
                            why, why_bytes);
    if (err != 0) {
        return err;
    }
    if (pthread_create(&p->thread, NULL, participant_loop, p) != 0) {
        snprintf(why, why_bytes, "no thread could be started");
        return TROTH_ERR_SYSTEM;
    }
    p->has_run = p->runs = true;
    return 0;
}

int troth_participant_open(struct troth_participant **out,
                           const struct troth_participant_options *options, char *why,
                           size_t why_bytes) {
    return participant_open_on(out, options, NULL, why, why_bytes);
}

int participant_open_on(struct troth_participant **out,
                        const struct troth_participant_options *options, struct rpc *rpc, char *why,
                        size_t why_bytes) {
    if (why_bytes > 0) {
        why[0] = '\0';
    }
    char crash_why[CRASH_POINT_WHY_BYTES];
    int err = crash_point_arm(crash_why);
    if (err != 0) {
        snprintf(why, why_bytes, "%s", crash_why);
        return err;
    }
    err = check_options(options, why, why_bytes);
    if (err != 0) {
        return err;
    }
    struct troth_participant *p = calloc(1, sizeof *p);
    if (p == NULL) {
        snprintf(why, why_bytes, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    snprintf(p->cluster, sizeof p->cluster, "%s",
             options->cluster == NULL ? "troth" : options->cluster);
    snprintf(p->name, sizeof p->name, "%s", options->name);
    snprintf(p->endpoint, sizeof p->endpoint, "%s",
             options->endpoint == NULL ? "" : options->endpoint);
    p->callbacks = *options->callbacks;
    p->batch.eager = options->eager_acks != 0;
    p->arg = options->arg;
    pthread_mutex_init(&p->mutex, NULL);
    *out = p; /* callbacks, recover first of all, run before this returns and may need it */
    err = inbox_new(&p->inbox, sizeof(struct item), ITEMS_MAX); /* also for what they put */
    if (err == 0) {
        err = open_log(p, options, why, why_bytes);
    }
    if (err == 0) {
        err = start(p, options->nodes, rpc, why, why_bytes);
    }
    if (err != 0) {
        if (why_bytes > 0 && why[0] == '\0') {
            snprintf(why, why_bytes, "%s", troth_err_text(err));
        }
        troth_participant_close(p);
        *out = NULL;
        return err;
    }
    return 0;
}

/* From a callback, before open failed. */
static void refuse_waiting(struct troth_participant *p) {
    void *items = NULL;
    size_t n = 0;
    if (inbox_take(p->inbox, 0, &items, &n) != 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct item *item = &((struct item *)items)[i];
        if (item->request != NULL) {
            item->request->done(item->request->arg, item->request->txid, TROTH_ERR_CLOSED,
                                "the participant could not be opened");
            free(item->request);
        }
        if (item->up.stream != NULL) {
            rpc_stream_release(item->up.stream);
        }
        item_release(item);
    }
}

void participant_stop(struct troth_participant *p) {
    if (p->inbox != NULL) {
        inbox_close(p->inbox);
    }
    if (p->runs) {
        pthread_join(p->thread, NULL);
        p->runs = false;
    }
}

/* The loop first, since it uses everything: nothing can be put any more, and what was is done. */
void troth_participant_close(struct troth_participant *p) {
    if (p == NULL) {
        return;
    }
    participant_stop(p);
    if (!p->has_run && p->inbox != NULL) {
        sessions_drop_all(p->sessions);
        refuse_waiting(p);
    }
    sessions_close(p->sessions);
    inbox_free(p->inbox);
    branches_free(p->branches);
    branches_effects_release(&p->effects);
    participant_foreign_close(p);
    branch_log_close(p->log);
    free(p->local);
    free(p->after_batch.items);
    free(p->running.items);
    free(p->timers.items);
    free(p->held_calls);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

/* ---- From any thread ------------------------------------------------------------------------- */

static int put(struct troth_participant *p, const struct item *item) {
    return participant_on_loop(p) ? participant_put_local(p, item) : inbox_put(p->inbox, item);
}

static int enlist(struct troth_participant *p, const struct request *with) {
    if (participant_on_loop(p) && p->refuses_requests) {
        return TROTH_ERR_CLOSED;
    }
    struct request *request = malloc(sizeof *request);
    if (request == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    *request = *with;
    int err = put(p, &(struct item){.kind = ITEM_ENLIST, .request = request});
    if (err != 0) {
        free(request);
    }
    return err;
}

int troth_participant_enlist(struct troth_participant *p, struct troth_txid txid,
                             troth_enlisted_fn *done, void *arg) {
    return enlist(p, &(struct request){.txid = txid, .done = done, .arg = arg});
}

int troth_participant_join(struct troth_participant *p, struct troth_txid txid,
                           troth_enlisted_fn *done, void *arg) {
    return enlist(p, &(struct request){.txid = txid, .joins = true, .done = done, .arg = arg});
}

int troth_participant_done(struct troth_participant *p, struct troth_txid txid, int result,
                           const char *detail) {
    struct item item = {.kind = ITEM_RESULT, .txid = txid, .number = result};
    if (detail != NULL && detail[0] != '\0') {
        item.detail = strdup(detail);
        if (item.detail == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
    }
    int err = put(p, &item);
    if (err != 0) {
        free(item.detail);
    }
    return err;
}

int troth_participant_run(struct troth_participant *p, void (*fn)(void *arg), void *arg) {
    struct item item = {.kind = ITEM_RUN, .fn = fn, .arg = arg};
    if (!participant_on_loop(p)) {
        return inbox_try_put(p->inbox, &item);
    }
    return p->n_local - p->local_at >= ITEMS_MAX ? TROTH_ERR_FULL : participant_put_local(p, &item);
}

uint64_t troth_participant_incarnation(const struct troth_participant *p) {
    return p->incarnation;
}

void troth_participant_counters(struct troth_participant *p,
                                struct troth_participant_counters *counters) {
    pthread_mutex_lock(&p->mutex);
    *counters = p->counters;
    pthread_mutex_unlock(&p->mutex);
}

/* ---- On the loop ----------------------------------------------------------------------------- */

void participant_publish(struct troth_participant *p) {
    struct branches_counters now;
    struct foreign_counters foreign;
    branches_counters(p->branches, &now);
    foreign_counters(p->foreign, &foreign);
    pthread_mutex_lock(&p->mutex);
    p->counters = (struct troth_participant_counters){.nodes_attached = now.nodes_attached,
                                                      .active = now.active,
                                                      .in_doubt = now.in_doubt,
                                                      .committed = now.committed,
                                                      .aborted = now.aborted,
                                                      .hazards = now.hazards,
                                                      .foreign_active = foreign.active,
                                                      .foreign_in_doubt = foreign.in_doubt,
                                                      .foreign_heuristic = foreign.heuristic};
    pthread_mutex_unlock(&p->mutex);
}

void troth_participant_give_up(struct troth_participant *p, struct troth_txid txid,
                               enum troth_branch_reason reason, const char *detail) {
    struct item item = {.kind = ITEM_GIVE_UP, .txid = txid, .number = (int)reason};
    if (detail != NULL && detail[0] != '\0') {
        item.detail = strdup(detail); /* without memory it goes without the text */
    }
    int err = participant_put_local(p, &item);
    if (err != 0) {
        participant_die(p, "a branch can't be given up", err);
    }
}

int troth_participant_after_batch(struct troth_participant *p, void (*fn)(void *arg), void *arg) {
    return functions_add(&p->after_batch, fn, arg);
}

void troth_participant_sync(struct troth_participant *p) {
    participant_hurry(p);
}

int troth_participant_after_ms(struct troth_participant *p, uint32_t delay_ms,
                               void (*fn)(void *arg), void *arg) {
    return timers_add(&p->timers, clock_monotonic_ms() + delay_ms, fn, arg);
}

struct sqlite3 *troth_participant_db(struct troth_participant *p) {
    return p->db->sqlite;
}
