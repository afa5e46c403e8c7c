#include "tests/lib/raw_rpc.h"

#include <check.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "troth/v1/admin.pb-c.h"

static struct rpc *the_rpc;

struct rpc *raw_rpc(void) {
    if (the_rpc == NULL) {
        ck_assert_int_eq(rpc_new(&the_rpc, &(struct rpc_options){.threads = 1}), 0);
    }
    return the_rpc;
}

void raw_end(void) {
    rpc_free(the_rpc);
    the_rpc = NULL;
}

void raw_free(void *message) {
    protobuf_c_message_free_unpacked(message, NULL);
}

/* ---- Unary calls --------------------------------------------------------------------------- */

struct raw_answer raw_call(const char *address, const char *method, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *type) {
    struct raw_answer answer = {.text = ""};
    struct rpc_channel *channel;
    ck_assert_int_eq(rpc_channel_new(&channel, raw_rpc(), address), 0);
    answer.status = rpc_call_sync(channel, method, request, type, RAW_WAIT_MS, true, &answer.reply,
                                  answer.text);
    rpc_channel_free(channel);
    return answer;
}

struct raw_answer raw_call_bytes(const char *address, const char *method, const uint8_t *bytes,
                                 size_t n) {
    /* An empty message, whose "unknown field" is the bytes: the first of them is its tag. */
    Troth__V1__StatusRequest request = TROTH__V1__STATUS_REQUEST__INIT;
    ck_assert(n > 0 && bytes[0] >= 8 && bytes[0] < 0x80);
    ProtobufCMessageUnknownField field = {.tag = bytes[0] >> 3,
                                          .wire_type = (ProtobufCWireType)(bytes[0] & 7),
                                          .len = n - 1,
                                          .data = (uint8_t *)(uintptr_t)(bytes + 1)};
    request.base.n_unknown_fields = 1;
    request.base.unknown_fields = &field;
    struct raw_answer answer =
        raw_call(address, method, &request.base, &troth__v1__status_request__descriptor);
    if (answer.status == RPC_OK) {
        raw_free(answer.reply);
        answer.reply = NULL;
    }
    return answer;
}

/* ---- Streams ------------------------------------------------------------------------------- */

#define FRAMES_MAX 64

struct raw_stream {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct rpc_link *link;
    struct rpc_stream *stream; /* held, once opened */
    bool ended;
    int status;
    char text[RPC_STATUS_TEXT_MAX];
    struct {
        uint8_t *bytes;
        size_t n;
    } frames[FRAMES_MAX];
    unsigned received, taken;
};

static void opened(void *arg, struct rpc_stream *stream) {
    struct raw_stream *raw = arg;
    pthread_mutex_lock(&raw->mutex);
    if (raw->stream == NULL && !raw->ended) { /* later attempts are let be */
        rpc_stream_hold(stream);
        raw->stream = stream;
    }
    pthread_cond_broadcast(&raw->changed);
    pthread_mutex_unlock(&raw->mutex);
}

static void received(void *arg, struct rpc_stream *stream, const uint8_t *bytes, size_t n) {
    struct raw_stream *raw = arg;
    pthread_mutex_lock(&raw->mutex);
    if (stream == raw->stream && raw->received < FRAMES_MAX) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, bytes, n);
        raw->frames[raw->received].bytes = copy;
        raw->frames[raw->received++].n = n;
    }
    pthread_cond_broadcast(&raw->changed);
    pthread_mutex_unlock(&raw->mutex);
}

static void closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct raw_stream *raw = arg;
    pthread_mutex_lock(&raw->mutex);
    if (!raw->ended && stream != NULL && stream == raw->stream) {
        raw->ended = true;
        raw->status = status;
        snprintf(raw->text, sizeof raw->text, "%s", text);
    }
    pthread_cond_broadcast(&raw->changed);
    pthread_mutex_unlock(&raw->mutex);
}

/* With the mutex. */
static void wait_changed(struct raw_stream *raw, const struct timespec *until, const char *what) {
    ck_assert_msg(pthread_cond_timedwait(&raw->changed, &raw->mutex, until) == 0,
                  "no %s came on a stream", what);
}

static struct timespec deadline(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RAW_WAIT_MS / 1000;
    return until;
}

struct raw_stream *raw_dial(const char *address, const char *method) {
    static const struct rpc_stream_handler handler = {
        .opened = opened, .received = received, .closed = closed};
    struct timespec until = deadline();
    struct raw_stream *raw = calloc(1, sizeof *raw);
    ck_assert_ptr_nonnull(raw);
    pthread_mutex_init(&raw->mutex, NULL);
    pthread_cond_init(&raw->changed, NULL);
    ck_assert_int_eq(rpc_link_new(&raw->link, raw_rpc(), address, method, &handler, raw), 0);
    pthread_mutex_lock(&raw->mutex);
    while (raw->stream == NULL) {
        wait_changed(raw, &until, "connection");
    }
    pthread_mutex_unlock(&raw->mutex);
    return raw;
}

void raw_send(struct raw_stream *raw, const void *bytes, size_t n) {
    int err = rpc_stream_send_bytes(raw->stream, bytes, n);
    ck_assert_msg(err == 0 || err == TROTH_ERR_CLOSED, "%s", troth_err_text(err));
}

bool raw_receive(struct raw_stream *raw, const uint8_t **bytes, size_t *n) {
    struct timespec until = deadline();
    pthread_mutex_lock(&raw->mutex);
    while (raw->taken == raw->received && !raw->ended) {
        wait_changed(raw, &until, "frame");
    }
    bool got = raw->taken < raw->received;
    if (got) {
        *bytes = raw->frames[raw->taken].bytes;
        *n = raw->frames[raw->taken++].n;
    }
    pthread_mutex_unlock(&raw->mutex);
    return got;
}

int raw_wait_end(struct raw_stream *raw, const char **text) {
    struct timespec until = deadline();
    pthread_mutex_lock(&raw->mutex);
    while (!raw->ended) {
        wait_changed(raw, &until, "end");
    }
    pthread_mutex_unlock(&raw->mutex);
    *text = raw->text;
    return raw->status;
}

void raw_hang_up(struct raw_stream *raw) {
    rpc_link_free(raw->link);
    rpc_stream_release(raw->stream);
    for (unsigned i = 0; i < raw->received; i++) {
        free(raw->frames[i].bytes);
    }
    pthread_cond_destroy(&raw->changed);
    pthread_mutex_destroy(&raw->mutex);
    free(raw);
}

/* ---- Bare TCP ------------------------------------------------------------------------------ */

int raw_connect(const char *address) {
    char host[128];
    const char *colon = strrchr(address, ':');
    struct addrinfo *found;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    ck_assert_int_eq(
        getaddrinfo(host, colon + 1, &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &found), 0);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

bool raw_write(int fd, const void *bytes, size_t n) {
    const char *at = bytes;
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

void raw_wait_hung_up(int fd) {
    char drop[4096];
    ssize_t n = 1;
    while (n > 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ck_assert_msg(poll(&poll_fd, 1, RAW_WAIT_MS) == 1, "the server does not hang up");
        n = recv(fd, drop, sizeof drop, 0);
    }
}
