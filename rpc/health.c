/* health: grpc.health.v1.Health. One state holds for the server and all of its services. */
#include <stdlib.h>
#include <string.h>

#include "grpc/health/v1/health.pb-c.h"
#include "rpc/internal.h"

#define CHECK_METHOD "/grpc.health.v1.Health/Check"
#define WATCH_METHOD "/grpc.health.v1.Health/Watch"

struct watcher {
    struct watcher *next;
    struct rpc_stream *stream; /* alive as long as the watcher is in the list */
    bool asked;                /* the request has come */
    bool known;                /* the service is one of ours */
};

struct rpc_health {
    struct rpc_server *server;
    pthread_mutex_t mutex; /* guards all below; taken before a stream's */
    struct watcher *watchers;
    bool serving;
    bool stopping;
};

struct search {
    const char *name;
    size_t n;
    bool found;
};

static void compare_service(void *arg, const char *name, size_t n) {
    struct search *search = arg;
    if (n == search->n && memcmp(name, search->name, n) == 0) {
        search->found = true;
    }
}

static bool is_known(const struct rpc_health *health, const char *service) {
    struct search search = {.name = service, .n = strlen(service)};
    if (search.n == 0) {
        return true;
    }
    rpc_server_each_service(health->server, compare_service, &search);
    return search.found;
}

static Grpc__Health__V1__HealthCheckResponse state_now(const struct rpc_health *health) {
    Grpc__Health__V1__HealthCheckResponse state = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    state.status = health->serving
                       ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                       : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    return state;
}

static void on_check(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    struct rpc_health *health = arg;
    Grpc__Health__V1__HealthCheckRequest *request =
        grpc__health__v1__health_check_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, "the request is no HealthCheckRequest");
        return;
    }
    bool known = is_known(health, request->service);
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    if (!known) {
        rpc_call_fail(call, RPC_NOT_FOUND, "this server has no such service");
        return;
    }
    pthread_mutex_lock(&health->mutex);
    Grpc__Health__V1__HealthCheckResponse state = state_now(health);
    pthread_mutex_unlock(&health->mutex);
    rpc_call_reply(call, &state.base);
}

/* ---- Watch --------------------------------------------------------------------------------- */

/* The lock is held. */
static void tell(struct rpc_health *health, struct watcher *watcher) {
    if (!watcher->asked) {
        return;
    }
    Grpc__Health__V1__HealthCheckResponse state = state_now(health);
    if (!watcher->known) {
        state.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
    }
    if (rpc_stream_send(watcher->stream, &state.base) == TROTH_ERR_FULL) {
        rpc_stream_finish(watcher->stream, RPC_RESOURCE_EXHAUSTED, "the watcher does not read");
    }
}

static void end_stopping(struct rpc_stream *stream) {
    rpc_stream_finish(stream, RPC_UNAVAILABLE, "the server stops");
}

static void on_watch_opened(void *arg, struct rpc_stream *stream) {
    struct rpc_health *health = arg;
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL) {
        rpc_stream_finish(stream, RPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    watcher->stream = stream;
    rpc_stream_set_data(stream, watcher);
    pthread_mutex_lock(&health->mutex);
    watcher->next = health->watchers;
    health->watchers = watcher;
    if (health->stopping) {
        end_stopping(stream);
    }
    pthread_mutex_unlock(&health->mutex);
}

static void on_watch_received(void *arg, struct rpc_stream *stream, const uint8_t *bytes,
                              size_t n) {
    struct rpc_health *health = arg;
    struct watcher *watcher = rpc_stream_data(stream);
    if (watcher == NULL) {
        return;
    }
    Grpc__Health__V1__HealthCheckRequest *request =
        grpc__health__v1__health_check_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        rpc_stream_finish(stream, RPC_INVALID_ARGUMENT, "the request is no HealthCheckRequest");
        return;
    }
    pthread_mutex_lock(&health->mutex);
    watcher->asked = true;
    watcher->known = is_known(health, request->service);
    tell(health, watcher);
    pthread_mutex_unlock(&health->mutex);
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
}

static void on_watch_closed(void *arg, struct rpc_stream *stream, int status, const char *text) {
    struct rpc_health *health = arg;
    struct watcher *watcher = rpc_stream_data(stream);
    (void)status;
    (void)text;
    if (watcher == NULL) {
        return;
    }
    pthread_mutex_lock(&health->mutex);
    struct watcher **place = &health->watchers;
    while (*place != watcher) {
        place = &(*place)->next;
    }
    *place = watcher->next;
    pthread_mutex_unlock(&health->mutex);
    free(watcher);
}

/* ---- State --------------------------------------------------------------------------------- */

void rpc_health_set(struct rpc_health *health, bool serving) {
    pthread_mutex_lock(&health->mutex);
    if (health->serving != serving) {
        health->serving = serving;
        for (struct watcher *watcher = health->watchers; watcher != NULL; watcher = watcher->next) {
            tell(health, watcher);
        }
    }
    pthread_mutex_unlock(&health->mutex);
}

void rpc_health_stop(struct rpc_health *health) {
    rpc_health_set(health, false);
    pthread_mutex_lock(&health->mutex);
    health->stopping = true;
    for (struct watcher *watcher = health->watchers; watcher != NULL; watcher = watcher->next) {
        end_stopping(watcher->stream);
    }
    pthread_mutex_unlock(&health->mutex);
}

int rpc_health_new(struct rpc_health **out, struct rpc_server *server) {
    static const struct rpc_stream_handler watch = {
        .opened = on_watch_opened, .received = on_watch_received, .closed = on_watch_closed};
    struct rpc_health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    health->server = server;
    pthread_mutex_init(&health->mutex, NULL);
    *out = health; /* the server frees it, also when a method is refused */
    int err = rpc_server_unary(server, CHECK_METHOD, on_check, health);
    if (err == 0) {
        /* Unpacked: two states in one frame would be one message with the second's. */
        err = rpc_server_stream_unpacked(server, WATCH_METHOD, true, &watch, health);
    }
    return err;
}

void rpc_health_free(struct rpc_health *health) {
    if (health != NULL) {
        pthread_mutex_destroy(&health->mutex);
        free(health);
    }
}
