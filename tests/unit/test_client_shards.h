/* A node and two shards in this process, for the tests of the key-value calls. Included by one .c
 * file each. */
#ifndef TESTS_UNIT_TEST_CLIENT_SHARDS_H
#define TESTS_UNIT_TEST_CLIENT_SHARDS_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/troth.h"
#include "rpc/rpc.h"
#include "tests/lib/suite.h"
#include "troth/v1/keyvalue.pb-c.h"
#include "troth/v1/transactions.pb-c.h"

#define TXID   "00000001000000010000000000000007"
#define SHARDS 2
#define PAGE   2 /* pairs that a shard gives at once */

struct shard {
    struct rpc_server *server;
    const char *name;
    uint64_t incarnation;
    int status; /* other than RPC_OK: every write fails with it */
    char last_txid[40];
    bool keeps_branch; /* writes that fail name the branch all the same */
    bool silent;       /* it answers nothing */
    struct rpc_stream *stream;
    unsigned requests;
    unsigned frames;
    unsigned writes;
    unsigned reads;
    uint32_t wait_ms;    /* of the last write */
    unsigned continued;  /* scans that began right behind a key */
    const char *keys[8]; /* in order; NULL ends them; a key's value is itself */
};
static struct shard shards[SHARDS] = {{.name = "a"}, {.name = "b"}};

struct node {
    struct rpc_server *server;
    unsigned commits;
    unsigned aborts;
    unsigned enlistments;
    bool refuses;       /* to enlist */
    char branches[256]; /* of the last commit or abort; what was enlisted */
    unsigned works;     /* CommitWorks */
    char work[512];     /* of the last: "shard: Verb key ...;" of each */
    int work_status;    /* other than RPC_OK: all fail with it */
    bool refuses_work;  /* a shard votes aborted */
    bool is_silent;     /* answers no work */
    bool ends_stream;   /* instead of an answer to work */
};
static struct node node;
static struct rpc *rpc;
/* The handlers run on rpc's threads. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
#define LOCKED(statement)                                                                          \
    do {                                                                                           \
        pthread_mutex_lock(&mutex);                                                                \
        statement;                                                                                 \
        pthread_mutex_unlock(&mutex);                                                              \
    } while (0)
static struct troth *troth;
static struct troth_kv *kv;

/* With the mutex. */
static void add_branches(const Troth__V1__SessionRequest *request) {
    for (size_t i = 0; i < request->n_branches; i++) {
        size_t used = strlen(node.branches);
        snprintf(node.branches + used, sizeof node.branches - used, "%s:%llu ",
                 request->branches[i]->participant,
                 (unsigned long long)request->branches[i]->incarnation);
    }
}

static void on_end(const Troth__V1__SessionRequest *request, unsigned *count) {
    pthread_mutex_lock(&mutex);
    (*count)++;
    node.branches[0] = '\0';
    add_branches(request);
    pthread_mutex_unlock(&mutex);
}

/* With the mutex. */
static void note_work(const Troth__V1__Work *work) {
    Troth__V1__KvRequests *frame =
        troth__v1__kv_requests__unpack(NULL, work->work.len, work->work.data);
    ck_assert_ptr_nonnull(frame);
    for (size_t i = 0; i < frame->n_requests; i++) {
        const Troth__V1__KvRequest *request = frame->requests[i];
        size_t used = strlen(node.work);
        char rest[64] = "";
        if (request->verb == TROTH__V1__KV_VERB__KV_VERB_ADD) {
            bool limited = request->limits_case == TROTH__V1__KV_REQUEST__LIMITS_MINIMUM;
            snprintf(rest, sizeof rest, " %+d %s%d", (int)request->delta, limited ? ">=" : "",
                     limited ? (int)request->minimum : 0);
        } else if (request->verb != TROTH__V1__KV_VERB__KV_VERB_DELETE) {
            bool expects = request->expects_case == TROTH__V1__KV_REQUEST__EXPECTS_EXPECTED;
            snprintf(rest, sizeof rest, "=%.*s was %.*s", (int)request->value.len,
                     (char *)request->value.data, expects ? (int)request->expected.len : 1,
                     expects ? (char *)request->expected.data : "?");
        }
        snprintf(node.work + used, sizeof node.work - used, "%s:%d %.*s%s;", work->participant,
                 (int)request->verb, (int)request->key.len, (char *)request->key.data, rest);
    }
    troth__v1__kv_requests__free_unpacked(frame, NULL);
}

/* False: it says nothing. */
static bool on_commit_work(struct rpc_stream *stream, const Troth__V1__SessionRequest *request,
                           Troth__V1__SessionReply *reply) {
    static char because[] = "because";
    pthread_mutex_lock(&mutex);
    node.works++;
    node.work[0] = '\0';
    for (size_t i = 0; i < request->n_works; i++) {
        note_work(request->works[i]);
    }
    bool answers = !node.is_silent && !node.ends_stream;
    if (node.ends_stream) {
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "good bye");
    }
    reply->status = (uint32_t)node.work_status;
    reply->outcome = TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
    if (node.refuses_work) {
        reply->outcome = TROTH__V1__OUTCOME__OUTCOME_ABORTED;
        reply->reason = TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE;
        reply->detail = because;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return answers;
}

static void on_enlist(const Troth__V1__SessionRequest *request, Troth__V1__SessionReply *reply) {
    pthread_mutex_lock(&mutex);
    if (node.refuses) {
        reply->status = RPC_FAILED_PRECONDITION;
    } else {
        node.enlistments++;
        add_branches(request);
    }
    pthread_mutex_unlock(&mutex);
}

/* The node: begins one transaction, commits and aborts what it is told to. */
static void on_request(struct rpc_stream *stream, const Troth__V1__SessionRequest *request) {
    struct troth_txid txid;
    uint8_t bytes[TROTH_TXID_BYTES];
    Troth__V1__SessionReply reply = TROTH__V1__SESSION_REPLY__INIT;
    Troth__V1__SessionReply *replies[] = {&reply};
    Troth__V1__SessionReplies frame = TROTH__V1__SESSION_REPLIES__INIT;
    frame.replies = replies;
    frame.n_replies = 1;
    reply.number = request->number;
    if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN) {
        ck_assert_int_eq(troth_txid_parse(TXID, &txid), 0);
        troth_txid_to_bytes(txid, bytes);
        reply.txid = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
        reply.node = 1;
    } else if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT) {
        on_end(request, &node.commits);
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
    } else if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK) {
        if (!on_commit_work(stream, request, &reply)) {
            return;
        }
    } else if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_ENLIST) {
        on_enlist(request, &reply);
    } else if (request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT) {
        on_end(request, &node.aborts);
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_ABORTED;
        reply.reason = TROTH__V1__ABORT_REASON__ABORT_REASON_CLIENT;
        LOCKED(pthread_cond_broadcast(&changed));
    }
    rpc_stream_send(stream, &frame.base);
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    (void)arg;
    (void)stream;
}

static void on_frame(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    (void)arg;
    Troth__V1__SessionRequests *frame = troth__v1__session_requests__unpack(NULL, n, bytes);
    ck_assert_ptr_nonnull(frame);
    for (size_t i = 0; i < frame->n_requests; i++) {
        on_request(stream, frame->requests[i]);
    }
    troth__v1__session_requests__free_unpacked(frame, NULL);
}

static void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    (void)arg;
    (void)stream;
    (void)status;
    (void)text;
}

static Troth__V1__Branch branch_of(const struct shard *shard) {
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t)shard->name;
    LOCKED(branch.incarnation = shard->incarnation);
    return branch;
}

/* The txid in its text, as it came; "": none. */
static void note_txid(struct shard *shard, const Troth__V1__KvRequest *request) {
    char text[TROTH_TXID_TEXT] = "";
    if (request->txid.len == TROTH_TXID_BYTES) {
        troth_txid_format(troth_txid_from_bytes(request->txid.data), text);
    }
    LOCKED(snprintf(shard->last_txid, sizeof shard->last_txid, "%s", text));
}

static void send_reply(struct rpc_stream *stream, Troth__V1__KvReply *reply) {
    Troth__V1__KvReply *replies[] = {reply};
    Troth__V1__KvReplies frame = TROTH__V1__KV_REPLIES__INIT;
    frame.replies = replies;
    frame.n_replies = 1;
    ck_assert_int_eq(rpc_stream_send(stream, &frame.base), 0);
}

static void on_get(struct shard *shard, const Troth__V1__KvRequest *request,
                   Troth__V1__KvReply *reply) {
    note_txid(shard, request);
    LOCKED(shard->reads++);
    reply->existed = request->key.len != 6 || memcmp(request->key.data, "absent", 6) != 0;
    reply->value = request->key;
}

static void on_put(struct shard *shard, const Troth__V1__KvRequest *request,
                   Troth__V1__KvReply *reply) {
    note_txid(shard, request);
    LOCKED(shard->wait_ms = request->wait_ms);
    LOCKED(reply->status = (uint32_t)shard->status);
    if (reply->status == RPC_OK) {
        LOCKED(shard->writes++);
    } else {
        static char because[] = "because";
        reply->detail = because;
        bool keeps;
        LOCKED(keeps = shard->keeps_branch);
        reply->branch = keeps ? reply->branch : NULL;
    }
}

static void on_scan(struct shard *shard, const Troth__V1__KvRequest *request,
                    Troth__V1__KvReply *reply, Troth__V1__KvPair pairs[PAGE]) {
    char from[TROTH_KV_KEY_MAX + 2] = "";
    char to[16] = "";
    snprintf(from, sizeof from, "%.*s", (int)request->key.len, (char *)request->key.data);
    snprintf(to, sizeof to, "%.*s", (int)request->to.len, (char *)request->to.data);
    /* A key with a zero byte behind it is the next one. */
    bool behind = request->key.len > strlen(from);
    LOCKED(shard->continued += behind ? 1 : 0);
    for (size_t i = 0; shard->keys[i] != NULL; i++) {
        const char *key = shard->keys[i];
        int order = strcmp(key, from);
        if (order < 0 || (order == 0 && behind) || (to[0] != '\0' && strcmp(key, to) >= 0)) {
            continue;
        }
        if (reply->n_pairs == PAGE) {
            reply->more = true;
            break;
        }
        Troth__V1__KvPair *pair = &pairs[reply->n_pairs];
        troth__v1__kv_pair__init(pair);
        pair->key.data = (uint8_t *)(uintptr_t)key;
        pair->key.len = strlen(key);
        pair->value = pair->key;
        reply->pairs[reply->n_pairs++] = pair;
    }
}

static void on_kv_request(struct shard *shard, struct rpc_stream *stream,
                          const Troth__V1__KvRequest *request) {
    Troth__V1__KvReply reply = TROTH__V1__KV_REPLY__INIT;
    Troth__V1__Branch branch = branch_of(shard);
    Troth__V1__KvPair pairs[PAGE];
    Troth__V1__KvPair *list[PAGE];
    reply.number = request->number;
    reply.branch = &branch;
    reply.pairs = list;
    if (request->verb == TROTH__V1__KV_VERB__KV_VERB_GET) {
        on_get(shard, request, &reply);
    } else if (request->verb == TROTH__V1__KV_VERB__KV_VERB_PUT) {
        on_put(shard, request, &reply);
    } else {
        ck_assert_int_eq(request->verb, TROTH__V1__KV_VERB__KV_VERB_SCAN);
        on_scan(shard, request, &reply, pairs);
    }
    bool silent;
    LOCKED(silent = shard->silent);
    if (!silent) {
        send_reply(stream, &reply);
    }
}

static void on_kv_opened(void *arg, struct rpc_stream *stream) {
    struct shard *shard = arg;
    LOCKED(shard->stream = stream);
}

static void on_kv_frame(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct shard *shard = arg;
    Troth__V1__KvRequests *frame = troth__v1__kv_requests__unpack(NULL, n, bytes);
    ck_assert_ptr_nonnull(frame);
    for (size_t i = 0; i < frame->n_requests; i++) {
        LOCKED(shard->requests++);
        ck_assert_str_eq(frame->requests[i]->shard, shard->name);
        on_kv_request(shard, stream, frame->requests[i]);
    }
    LOCKED(shard->frames++; pthread_cond_broadcast(&changed));
    troth__v1__kv_requests__free_unpacked(frame, NULL);
}

static uint32_t kv_timeout_ms;

static void set_up(void) {
    char list[128] = "";
    char address[32];
    ck_assert_int_eq(rpc_new(&rpc, &(struct rpc_options){.threads = 1}), 0);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &shards[i];
        shard->incarnation = 41 + i;
        ck_assert_int_eq(rpc_server_new(&shard->server, rpc, "127.0.0.1:0"), 0);
        rpc_server_stream(shard->server, "/troth.v1.KeyValue/Session",
                          &(struct rpc_stream_handler){
                              .opened = on_kv_opened, .received = on_kv_frame, .closed = on_closed},
                          shard);
        ck_assert_int_eq(rpc_server_start(shard->server), 0);
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s=127.0.0.1:%d",
                 i == 0 ? "" : ",", shard->name, rpc_server_port(shard->server));
    }
    ck_assert_int_eq(rpc_server_new(&node.server, rpc, "127.0.0.1:0"), 0);
    rpc_server_stream(node.server, "/troth.v1.Transactions/Session",
                      &(struct rpc_stream_handler){
                          .opened = on_opened, .received = on_frame, .closed = on_closed},
                      NULL);
    ck_assert_int_eq(rpc_server_start(node.server), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", rpc_server_port(node.server));
    ck_assert_int_eq(troth_open(&troth, &(struct troth_options){.nodes = address}), 0);
    ck_assert_int_eq(
        troth_kv_open(&kv, troth,
                      &(struct troth_kv_options){.shards = list, .timeout_ms = kv_timeout_ms}),
        0);
    ck_assert_str_eq(troth_kv_place(kv, "alice", 5), "a");
    ck_assert_str_eq(troth_kv_place(kv, "bob", 3), "b");
}

static void tear_down(void) {
    troth_kv_close(kv);
    troth_close(troth);
    for (size_t i = 0; i < SHARDS; i++) {
        rpc_server_stop(shards[i].server, 0);
        rpc_server_free(shards[i].server);
    }
    rpc_server_stop(node.server, 0);
    rpc_server_free(node.server);
    rpc_free(rpc);
}

static inline struct troth_kv_tx *begin(void) {
    struct troth_kv_tx *tx;
    ck_assert_int_eq(troth_kv_begin(kv, 0, &tx, NULL), 0);
    return tx;
}

static inline int put(struct troth_kv_tx *tx, const char *key) {
    return troth_kv_put(kv, tx, key, strlen(key), "1", 1, NULL);
}

#endif
