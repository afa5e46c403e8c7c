/* test_client_nodes: libtroth and three nodes to ask: servers in this process that say what the
 * test tells them. */
#ifndef TESTS_UNIT_TEST_CLIENT_NODES_H
#define TESTS_UNIT_TEST_CLIENT_NODES_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "client/internal.h"
#include "tests/lib/suite.h"
#include "troth/v1/transactions.pb-c.h"

#define TXID    "00000001000000010000000000000007"
#define NODES   3
#define ATTEMPT 50 /* milliseconds until another node is asked too */

enum say {
    SAY_COMMITTED,
    SAY_ABORTED,
    SAY_ABORTED_BY_CLIENT,
    SAY_UNDECIDED,
    SAY_NOTHING,
    SAY_STATUS,
    SAY_GARBAGE,
    SAY_GOOD_BYE, /* the stream ends */
};

struct node {
    struct rpc_server *server;
    char address[32];
    uint32_t id;
    enum say say; /* to all but Get; Get says it, too, unless it is SAY_NOTHING */
    enum say say_to_get;
    int status;     /* SAY_STATUS */
    bool is_slow;   /* answers no Commit or Abort */
    unsigned asked; /* Commit or Abort */
    unsigned begun;
    bool holds_begins; /* answers no Begin until let_begin_go, the last one's */
    struct rpc_stream *begin_stream;
    Troth__V1__SessionRequest begin;
    bool grants;         /* blocks, as many as asked for, with txids of its own */
    unsigned granted;    /* transactions */
    unsigned most;       /* asked for at once */
    uint32_t timeout_ms; /* of the last Begin */
    unsigned branches;   /* of the last Commit or Abort */
    unsigned frames;     /* that came */
    unsigned opened;     /* streams */
    const char *member;  /* the one branch that Get names; NULL: it knows none */
    unsigned got;        /* Gets */
    /* Of CommitWork: */
    unsigned worked;       /* how many came; they are in `asked`, too */
    unsigned aborts;       /* the same, of Abort */
    bool says_to_work;     /* say_to_work, and not `say` */
    enum say say_to_work;  /* with `status` */
    unsigned works;        /* of the last one */
    char work[32];         /* "participant:bytes," of each, the last one's */
    unsigned answers_late; /* not before so many Gets came; 0: at once */
    uint64_t late;         /* its number */
};
static struct node nodes[NODES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rpc *rpc;
static uint32_t attempt_ms = ATTEMPT;
#define LOCKED(statement)                                                                          \
    do {                                                                                           \
        pthread_mutex_lock(&mutex);                                                                \
        statement;                                                                                 \
        pthread_mutex_unlock(&mutex);                                                              \
    } while (0)

static inline void send_reply(struct rpc_stream *stream, Troth__V1__SessionReply *reply) {
    Troth__V1__SessionReplies frame = TROTH__V1__SESSION_REPLIES__INIT;
    frame.replies = &reply;
    frame.n_replies = 1;
    rpc_stream_send(stream, &frame.base);
}

static inline void say(const struct node *node, struct rpc_stream *stream, uint64_t number,
                       enum say what) {
    static char detail[] = "stock said no";
    static char because[] = "because";
    Troth__V1__SessionReply reply = TROTH__V1__SESSION_REPLY__INIT;
    reply.number = number;
    switch (what) {
    case SAY_COMMITTED:
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_COMMITTED;
        break;
    case SAY_ABORTED:
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_ABORTED;
        reply.reason = TROTH__V1__ABORT_REASON__ABORT_REASON_VOTE;
        reply.detail = detail;
        break;
    case SAY_ABORTED_BY_CLIENT:
        reply.outcome = TROTH__V1__OUTCOME__OUTCOME_ABORTED;
        reply.reason = TROTH__V1__ABORT_REASON__ABORT_REASON_CLIENT;
        break;
    case SAY_UNDECIDED:
        break;
    case SAY_NOTHING:
        return;
    case SAY_STATUS:
        reply.status = (uint32_t)node->status;
        reply.detail = because;
        break;
    case SAY_GARBAGE:
        rpc_stream_send_bytes(stream, (const uint8_t *)"\x0a\x02\xff\xff", 4);
        return;
    case SAY_GOOD_BYE:
        rpc_stream_finish(stream, RPC_UNAVAILABLE, "good bye");
        return;
    }
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    Troth__V1__Branch *list[] = {&branch};
    if (node->member != NULL) {
        branch.participant = (char *)(uintptr_t)node->member;
        reply.branches = list;
        reply.n_branches = 1;
    }
    send_reply(stream, &reply);
}

static inline void answer_begin(struct node *node, struct rpc_stream *stream,
                                const Troth__V1__SessionRequest *request) {
    if (node->holds_begins) {
        node->begin_stream = stream;
        node->begin = *request;
        return;
    }
    node->begun++;
    node->timeout_ms = request->timeout_ms;
    node->most = request->count > node->most ? request->count : node->most;
    if (node->say != SAY_COMMITTED) {
        say(node, stream, request->number, node->say);
        return;
    }
    struct troth_txid txid;
    uint8_t bytes[TROTH_TXID_BYTES];
    Troth__V1__SessionReply reply = TROTH__V1__SESSION_REPLY__INIT;
    ck_assert_int_eq(troth_txid_parse(TXID, &txid), 0);
    if (node->grants) {
        txid = troth_txid_make(0, (uint16_t)node->id, 1, node->granted + 1);
        node->granted += request->count;
        reply.count = request->count;
    }
    troth_txid_to_bytes(txid, bytes);
    reply.number = request->number;
    reply.txid = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    reply.node = node->id;
    reply.timeout_ms = request->timeout_ms == 0 ? 30000 : request->timeout_ms;
    send_reply(stream, &reply);
}

/* The Begin that the node holds back, once it has come. */
static inline void let_begin_go(struct node *node) {
    LOCKED(node->holds_begins = false; answer_begin(node, node->begin_stream, &node->begin));
}

static inline void answer_work(struct node *node, struct rpc_stream *stream,
                               const Troth__V1__SessionRequest *request) {
    node->worked++;
    node->works = (unsigned)request->n_works;
    node->work[0] = '\0';
    for (size_t i = 0; i < request->n_works; i++) {
        const Troth__V1__Work *work = request->works[i];
        size_t used = strlen(node->work);
        snprintf(node->work + used, sizeof node->work - used, "%s:%.*s,", work->participant,
                 (int)work->work.len, (const char *)work->work.data);
    }
    if (node->answers_late > 0) {
        node->late = request->number;
        return;
    }
    say(node, stream, request->number, node->says_to_work ? node->say_to_work : node->say);
}

static inline void answer_get(struct node *node, struct rpc_stream *stream,
                              const Troth__V1__SessionRequest *request) {
    node->got++;
    say(node, stream, request->number, node->say_to_get);
    if (node->answers_late > 0 && node->got == node->answers_late) {
        say(node, stream, node->late, node->say);
    }
}

static inline void answer(struct node *node, struct rpc_stream *stream,
                          const Troth__V1__SessionRequest *request) {
    switch (request->kind) {
    case TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN:
        answer_begin(node, stream, request);
        break;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT:
    case TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT:
        node->branches = (unsigned)request->n_branches;
        node->asked++;
        node->aborts += request->kind == TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT ? 1 : 0;
        ck_assert_uint_eq(request->n_works, 0);
        say(node, stream, request->number, node->is_slow ? SAY_NOTHING : node->say);
        break;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK:
        node->branches = (unsigned)request->n_branches;
        node->asked++;
        answer_work(node, stream, request);
        break;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_GET:
        answer_get(node, stream, request);
        break;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_ENLIST:
        ck_assert_uint_eq(request->n_branches, 1);
        say(node, stream, request->number, node->say == SAY_STATUS ? SAY_STATUS : SAY_UNDECIDED);
        break;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_UNSPECIFIED:
    case _TROTH__V1__SESSION_KIND_IS_INT_SIZE:
        ck_abort_msg("a request of no kind");
    }
}

static inline void on_opened(void *arg, struct rpc_stream *stream) {
    struct node *node = arg;
    (void)stream;
    LOCKED(node->opened++);
}

static inline void on_frame(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct node *node = arg;
    Troth__V1__SessionRequests *frame = troth__v1__session_requests__unpack(NULL, n, bytes);
    ck_assert_ptr_nonnull(frame);
    pthread_mutex_lock(&mutex);
    node->frames++;
    for (size_t i = 0; i < frame->n_requests; i++) {
        answer(node, stream, frame->requests[i]);
    }
    pthread_mutex_unlock(&mutex);
    troth__v1__session_requests__free_unpacked(frame, NULL);
}

static inline void on_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    (void)arg;
    (void)stream;
    (void)status;
    (void)text;
}

static inline void start_node(struct node *node, const char *listen) {
    const struct rpc_stream_handler handler = {
        .opened = on_opened, .received = on_frame, .closed = on_closed};
    ck_assert_int_eq(rpc_server_new(&node->server, rpc, listen), 0);
    rpc_server_stream(node->server, "/troth.v1.Transactions/Session", &handler, node);
    ck_assert_int_eq(rpc_server_start(node->server), 0);
    snprintf(node->address, sizeof node->address, "127.0.0.1:%d", rpc_server_port(node->server));
}

static inline struct troth *set_up(void) {
    char list[NODES * 32] = "";
    ck_assert_int_eq(rpc_new(&rpc, &(struct rpc_options){.threads = 2}), 0);
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &nodes[i];
        *node = (struct node){.id = i + 1};
        start_node(node, "127.0.0.1:0");
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i == 0 ? "" : ",",
                 node->address);
    }
    struct troth *t;
    ck_assert_int_eq(troth_open(&t, &(struct troth_options){.nodes = list,
                                                            .attempt_ms = attempt_ms,
                                                            .timeout_ms = 5000}),
                     0);
    return t;
}

static inline void kill_node(struct node *node) {
    if (node->server == NULL) {
        return;
    }
    rpc_server_stop(node->server, 0);
    rpc_server_free(node->server);
    node->server = NULL;
}

static inline void stop_nodes(void) {
    for (uint32_t i = 0; i < NODES; i++) {
        kill_node(&nodes[i]);
    }
    rpc_free(rpc);
}

static inline void tear_down(struct troth *t) {
    troth_close(t);
    stop_nodes();
}

static inline struct troth_txid txid(void) {
    struct troth_txid parsed;
    ck_assert_int_eq(troth_txid_parse(TXID, &parsed), 0);
    return parsed;
}

#endif
