/* A request to a shard, from its way into the stream to its end: by the answer, with the stream,
 * at its deadline or with the kv. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "client/kv.h"
#include "shell/clock.h"
#include "shell/crash_point.h"

/* The shard's own answer, that a lock was not free in time, should come before our verdict. */
#define GRACE_MS 200
/* What may wait for a link, bytes. */
#define PARKED_BYTES_MAX (3u << 20)
/* A stream ends when its queue is full, and all calls to the shard with it. The other half is for
 * what else is in a request, and for calls that are over here and not sent yet. */
static_assert(TROTH_KV_OPEN_BYTES_MAX <= RPC_STREAM_QUEUE_BYTES_MAX / 2,
              "what is open fits into the stream's queue");

struct kv_call {
    uint64_t number;
    struct kv_shard *shard;
    struct troth_kv_tx *tx; /* or NULL */
    Troth__V1__KvVerb verb;
    int64_t deadline_ms;
    size_t bytes;     /* of keys and values */
    uint64_t attempt; /* the link's, when it was asked */
    uint8_t *parked;  /* the request while the link is not up; or NULL */
    size_t parked_n;
    struct kv_end end;
    struct kv_call *prev, *next; /* by deadline; of those that are over, next */
    UT_hash_handle hh;
};

static const char *const verb_names[] = {
    [TROTH__V1__KV_VERB__KV_VERB_GET] = "Get",
    [TROTH__V1__KV_VERB__KV_VERB_PUT] = "Put",
    [TROTH__V1__KV_VERB__KV_VERB_ADD] = "Add",
    [TROTH__V1__KV_VERB__KV_VERB_DELETE] = "Delete",
    [TROTH__V1__KV_VERB__KV_VERB_COMPARE_AND_SET] = "CompareAndSet",
    [TROTH__V1__KV_VERB__KV_VERB_SCAN] = "Scan",
};

#ifdef TROTH_CRASH_POINTS
static const char *crash_name_of(Troth__V1__KvVerb verb) {
    static const char *const names[] = {
        [TROTH__V1__KV_VERB__KV_VERB_GET] = "get",
        [TROTH__V1__KV_VERB__KV_VERB_PUT] = "put",
        [TROTH__V1__KV_VERB__KV_VERB_ADD] = "add",
        [TROTH__V1__KV_VERB__KV_VERB_DELETE] = "delete",
        [TROTH__V1__KV_VERB__KV_VERB_COMPARE_AND_SET] = "compare-and-set",
        [TROTH__V1__KV_VERB__KV_VERB_SCAN] = "scan",
    };
    return names[verb];
}
#endif

/* ---- The transaction, with the lock held ----------------------------------------------------- */

static int add_branch(struct troth_kv_tx *tx, const Troth__V1__Branch *branch) {
    for (size_t i = 0; i < tx->n_branches; i++) {
        if (strcmp(tx->branches[i].participant, branch->participant) == 0) {
            return tx->branches[i].incarnation == branch->incarnation ? 0 : TROTH_ERR_CONFLICT;
        }
    }
    if (tx->n_branches == tx->branches_capacity) {
        size_t capacity = tx->branches_capacity == 0 ? 4 : 2 * tx->branches_capacity;
        struct troth_branch *grown = realloc(tx->branches, capacity * sizeof *grown);
        if (grown == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        tx->branches = grown;
        tx->branches_capacity = capacity;
    }
    char *name = strdup(branch->participant);
    if (name == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    tx->branches[tx->n_branches++] =
        (struct troth_branch){.participant = name, .incarnation = branch->incarnation};
    return 0;
}

static void lose(const struct kv_call *call, const char *text) {
    struct troth_kv_tx *tx = call->tx;
    if (tx->lost[0] == '\0') {
        snprintf(tx->lost, sizeof tx->lost, "%s at shard %s: %.300s", verb_names[call->verb],
                 tx->kv->places[call->shard->number].name, text);
    }
}

/* TROTH_ERR_CONFLICT: the shard answered in another incarnation before. */
static int gather(const struct kv_call *call, const Troth__V1__Branch *branch, char *why) {
    if (call->tx == NULL) {
        return 0;
    }
    int err = branch == NULL ? TROTH_ERR_UNAVAILABLE : add_branch(call->tx, branch);
    if (err != 0) {
        lose(call, branch == NULL              ? "the reply names no branch"
                   : err == TROTH_ERR_CONFLICT ? "the shard restarted and lost its work"
                                               : troth_err_text(err));
        snprintf(why, TROTH_TEXT_BYTES, "%s", call->tx->lost);
    }
    return err;
}

/* ---- Waiting for the link, with the lock held -------------------------------------------------
 */

static int park(struct kv_call *call, const Troth__V1__KvRequest *request) {
    size_t n = troth__v1__kv_request__get_packed_size(request);
    if (call->shard->parked_bytes + n > PARKED_BYTES_MAX) {
        return TROTH_ERR_UNAVAILABLE;
    }
    call->parked = malloc(n);
    if (call->parked == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    call->parked_n = troth__v1__kv_request__pack(request, call->parked);
    call->shard->parked_bytes += n;
    return 0;
}

static void drop_parked(struct kv_call *call) {
    if (call->parked != NULL) {
        call->shard->parked_bytes -= call->parked_n;
        free(call->parked);
        call->parked = NULL;
    }
}

/* With the time that is left. Without memory it stays, and is over at its deadline. */
static void ask_parked(struct kv_call *call, int64_t left_ms) {
    Troth__V1__KvRequest *request =
        troth__v1__kv_request__unpack(NULL, call->parked_n, call->parked);
    if (request == NULL) {
        return;
    }
    request->wait_ms = (uint32_t)left_ms;
    if (link_ask(call->shard->link, &request->base, 0) == 0) {
        drop_parked(call);
    }
    troth__v1__kv_request__free_unpacked(request, NULL);
}

static void up(void *arg) {
    const struct kv_shard *shard = arg;
    int64_t now_ms = clock_monotonic_ms();
    struct kv_call *call;
    DL_FOREACH(shard->kv->oldest, call) {
        int64_t left_ms = call->deadline_ms - GRACE_MS - now_ms;
        if (call->shard == shard && call->parked != NULL && left_ms > 0) {
            ask_parked(call, left_ms);
        }
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

/* With the lock held. */
static void take_out(struct kv_call *call) {
    struct troth_kv *kv = call->shard->kv;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the table
    HASH_DEL(kv->by_number, call);
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the list
    DL_DELETE(kv->oldest, call);
    call->shard->n_open--;
    call->shard->open_bytes -= call->bytes;
    drop_parked(call);
}

static int err_of(const struct kv_call *call, int status) {
    switch (status) {
    case RPC_ABORTED:
        return TROTH_ERR_CONFLICT;
    case RPC_NOT_FOUND: /* the transaction; a key that is absent is no error on the wire */
        return TROTH_ERR_INVALID;
    case RPC_RESOURCE_EXHAUSTED:
        return TROTH_ERR_TOO_MANY;
    case RPC_OUT_OF_RANGE:
        if (call->verb == TROTH__V1__KV_VERB__KV_VERB_ADD) {
            return TROTH_ERR_TOO_LARGE;
        }
        break;
    default:
        break;
    }
    return client_err_of_status(status);
}

/* What a call is told that has failed; with the lock held. */
static void explain(const struct kv_call *call, int err, const char *text, char *why) {
    const struct address *address = &call->shard->kv->addresses.items[call->shard->number];
    snprintf(why, TROTH_TEXT_BYTES, "%s at shard %s (%s): %.350s", verb_names[call->verb],
             address->name, address->host_port, text);
    /* Whether the call was carried out is not known, or it is known that the branch is gone. */
    if (call->tx != NULL && (err == TROTH_ERR_UNAVAILABLE || err == TROTH_ERR_TIMEOUT ||
                             err == TROTH_ERR_CONFLICT || err == TROTH_ERR_CLOSED)) {
        lose(call, text);
    }
}

/* The call is out of the tables; without the lock. Frees it. */
static void finish(struct kv_call *call, int err, Troth__V1__KvReply *reply, const char *why) {
    CRASH_POINT(CRASH_CLIENT, "after.work.", crash_name_of(call->verb));
    call->end.fn(&call->end, err, reply, why);
    free(call);
}

/* The calls, by `next`, have all failed so; without the lock. */
static void fail_all(struct requests *requests, struct kv_call *calls, int err, const char *text) {
    for (struct kv_call *next; calls != NULL; calls = next) {
        char why[TROTH_TEXT_BYTES];
        next = calls->next;
        requests_lock(requests);
        explain(calls, err, text, why);
        if (calls->tx != NULL) {
            calls->tx->n_open--;
        }
        requests_unlock(requests);
        finish(calls, err, NULL, why);
    }
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* With the lock held. 0, or an error with `why`. */
static int judge(const struct kv_call *call, const Troth__V1__KvReply *reply, char *why) {
    if (reply->status != RPC_OK) {
        char text[TROTH_TEXT_BYTES];
        int err = err_of(call, (int)reply->status);
        snprintf(text, sizeof text, "%s: %.300s", rpc_status_name((int)reply->status),
                 reply->detail);
        explain(call, err, text, why);
        if (reply->branch != NULL && call->tx != NULL) {
            /* It holds locks there, which the end of the transaction is to free. */
            char ignored[TROTH_TEXT_BYTES];
            gather(call, reply->branch, ignored);
        }
        return err;
    }
    int err = gather(call, reply->branch, why);
    if (err == 0 && call->verb == TROTH__V1__KV_VERB__KV_VERB_GET && !reply->existed) {
        err = TROTH_ERR_NOT_FOUND;
        snprintf(why, TROTH_TEXT_BYTES, "no such key");
    }
    return err;
}

/* The reply outlives the frame, and a scan's may be larger than an arena: so it is malloc'd. */
static int read_answer(void *arg, struct wire_item item, struct wire_arena *arena) {
    struct kv_shard *shard = arg;
    struct troth_kv *kv = shard->kv;
    struct requests *requests = kv->troth->requests;
    struct kv_call *call;
    char why[TROTH_TEXT_BYTES] = "";
    int err = 0;
    (void)arena;
    Troth__V1__KvReply *reply = troth__v1__kv_reply__unpack(NULL, item.n, item.bytes);
    if (reply == NULL) {
        return TROTH_ERR_INVALID;
    }
    requests_lock(requests);
    HASH_FIND(hh, kv->by_number, &reply->number, sizeof reply->number, call);
    if (call != NULL && call->shard != shard) {
        call = NULL; /* a number that another shard was given */
    }
    if (call != NULL) {
        take_out(call);
        err = judge(call, reply, why);
        if (call->tx != NULL) {
            call->tx->n_open--;
        }
    }
    requests_unlock(requests);
    if (err != 0 || call == NULL) {
        troth__v1__kv_reply__free_unpacked(reply, NULL);
        reply = NULL;
    }
    if (call != NULL) {
        finish(call, err, reply, why);
    }
    return 0;
}

static void lost(void *arg, const char *why) {
    const struct kv_shard *shard = arg;
    struct troth_kv *kv = shard->kv;
    struct requests *requests = kv->troth->requests;
    struct kv_call *call, *next, *over = NULL;
    requests_lock(requests);
    uint64_t attempt = link_attempt(shard->link);
    DL_FOREACH_SAFE(kv->oldest, call, next) {
        if (call->shard == shard && call->attempt != attempt) {
            take_out(call);
            DL_APPEND(over, call);
        }
    }
    requests_unlock(requests);
    fail_all(requests, over, TROTH_ERR_UNAVAILABLE, why);
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void on_alarm(void *arg) {
    struct troth_kv *kv = arg;
    struct requests *requests = kv->troth->requests;
    struct kv_call *over = NULL;
    int64_t now_ms = clock_monotonic_ms();
    requests_lock(requests);
    while (kv->oldest != NULL && kv->oldest->deadline_ms <= now_ms) {
        struct kv_call *call = kv->oldest;
        take_out(call);
        DL_APPEND(over, call);
    }
    if (kv->oldest != NULL) {
        /* Where there is no memory, the next call sets it. */
        requests_set_alarm(requests, &kv->alarm, kv->oldest->deadline_ms);
    }
    requests_unlock(requests);
    fail_all(requests, over, TROTH_ERR_TIMEOUT, "DEADLINE_EXCEEDED: it did not answer in time");
}

/* ---- The start ------------------------------------------------------------------------------- */

static size_t bytes_of(const Troth__V1__KvRequest *request) {
    return request->key.len + request->to.len + request->value.len + request->expected.len;
}

/* All calls to a shard share a stream: one that the shard would not read must not end it. */
static int check(const struct kv_shard *shard, const Troth__V1__KvRequest *request) {
    bool scans = request->verb == TROTH__V1__KV_VERB__KV_VERB_SCAN;
    size_t key_max = TROTH_KV_KEY_MAX + (scans ? 1 : 0); /* to go on behind a key (advance) */
    bool fits = request->key.len <= key_max && request->to.len <= TROTH_KV_KEY_MAX &&
                request->value.len <= TROTH_KV_VALUE_MAX &&
                request->expected.len <= TROTH_KV_VALUE_MAX;
    if (!fits) {
        return TROTH_ERR_INVALID;
    }
    bool has_room = shard->n_open < TROTH_KV_OPEN_MAX &&
                    shard->open_bytes + bytes_of(request) <= TROTH_KV_OPEN_BYTES_MAX;
    return has_room ? 0 : TROTH_ERR_TOO_MANY;
}

/* With the lock held. On an error it is not in the tables. */
// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static int put_in(struct troth_kv *kv, struct kv_call *call, Troth__V1__KvRequest *request) {
    struct requests *requests = kv->troth->requests;
    int err = kv->closed ? TROTH_ERR_CLOSED : check(call->shard, request);
    if (err == 0 && kv->alarm.item.at == 0) {
        err = requests_set_alarm(requests, &kv->alarm, call->deadline_ms);
    }
    if (err == 0) {
        call->number = ++kv->last_number;
        request->number = call->number;
        err = link_ask(call->shard->link, &request->base, 0);
        err = err == TROTH_ERR_STATE ? park(call, request) : err;
    }
    if (err == 0) {
        call->attempt = link_attempt(call->shard->link);
        call->bytes = bytes_of(request);
        HASH_ADD(hh, kv->by_number, number, sizeof call->number, call);
        DL_APPEND(kv->oldest, call);
        call->shard->n_open++;
        call->shard->open_bytes += call->bytes;
    }
    return err;
}

void kv_start(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard,
              Troth__V1__KvRequest *request, const struct kv_end *end) {
    struct requests *requests = kv->troth->requests;
    uint8_t txid[TROTH_TXID_BYTES];
    struct kv_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        end->fn(end, TROTH_ERR_NO_MEMORY, NULL, "out of memory");
        return;
    }
    call->shard = &kv->shards[shard];
    call->tx = tx;
    call->verb = request->verb;
    call->end = *end;
    request->wait_ms = kv->timeout_ms;
    request->shard = (char *)(uintptr_t)kv->places[shard].name;
    if (tx != NULL) {
        troth_txid_to_bytes(tx->txid, txid);
        request->txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
        request->named = tx->ends_here;
    }
    CRASH_POINT(CRASH_CLIENT, "before.work.", crash_name_of(call->verb));
    requests_lock(requests);
    /* Within the lock, so that the list is in the order of deadlines. */
    call->deadline_ms = clock_monotonic_ms() + kv->timeout_ms + GRACE_MS;
    if (tx != NULL) {
        tx->n_open++;
    }
    int err = put_in(kv, call, request);
    requests_unlock(requests);
    if (err != 0) {
        call->next = NULL;
        fail_all(requests, call, err,
                 err == TROTH_ERR_INVALID ? "a key has at most 512 bytes, a value 65,536"
                                          : troth_err_text(err));
        return;
    }
    links_flush(kv->troth->links);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

struct wait {
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool is_over;
    int err;
    Troth__V1__KvReply *reply;
    char *why; /* or NULL */
};

static void wake(const struct kv_end *end, int err, Troth__V1__KvReply *reply, const char *why) {
    struct wait *wait = end->arg;
    pthread_mutex_lock(&wait->mutex);
    wait->err = err;
    wait->reply = reply;
    if (wait->why != NULL) {
        snprintf(wait->why, TROTH_TEXT_BYTES, "%s", why);
    }
    wait->is_over = true;
    pthread_cond_signal(&wait->over);
    pthread_mutex_unlock(&wait->mutex);
}

int kv_run(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard, Troth__V1__KvRequest *request,
           Troth__V1__KvReply **reply, char *why) {
    struct wait wait = {.why = why};
    pthread_mutex_init(&wait.mutex, NULL);
    pthread_cond_init(&wait.over, NULL);
    kv_start(kv, tx, shard, request, &(struct kv_end){.fn = wake, .arg = &wait});
    pthread_mutex_lock(&wait.mutex);
    while (!wait.is_over) {
        pthread_cond_wait(&wait.over, &wait.mutex);
    }
    pthread_mutex_unlock(&wait.mutex);
    pthread_cond_destroy(&wait.over);
    pthread_mutex_destroy(&wait.mutex);
    *reply = wait.reply;
    return wait.err;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

int kv_calls_open(struct troth_kv *kv) {
    int err = 0;
    kv->alarm.fn = on_alarm;
    kv->alarm.arg = kv;
    for (size_t i = 0; err == 0 && i < kv->n_shards; i++) {
        struct kv_shard *shard = &kv->shards[i];
        shard->kv = kv;
        shard->number = i;
        err = link_new(&shard->link, kv->troth->links,
                       &(struct link_use){.address = kv->addresses.items[i].host_port,
                                          .method = "/troth.v1.KeyValue/Session",
                                          .up = up,
                                          .read = read_answer,
                                          .lost = lost,
                                          .arg = shard});
    }
    return err;
}

void kv_calls_close(struct troth_kv *kv) {
    struct requests *requests = kv->troth->requests;
    requests_lock(requests);
    kv->closed = true;
    struct kv_call *over = NULL;
    while (kv->oldest != NULL) {
        struct kv_call *call = kv->oldest;
        take_out(call);
        DL_APPEND(over, call);
    }
    requests_unlock(requests);
    fail_all(requests, over, TROTH_ERR_CLOSED, troth_err_text(TROTH_ERR_CLOSED));
    for (size_t i = 0; kv->shards != NULL && i < kv->n_shards; i++) {
        link_free(kv->shards[i].link);
    }
    requests_clear_alarm(requests, &kv->alarm);
}
