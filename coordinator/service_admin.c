/* service_admin: troth.v1.Admin: what an operator asks; each answer is this node's view. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/calls.h"
#include "coordinator/node_log_heuristics.h"
#include "coordinator/views.h"
#include "shell/clock.h"
#include "troth/v1/admin.pb-c.h"

#define LIST_LIMIT_MAX 1000u
/* More are not listed; a node is not meant for as many. */
#define PARTICIPANTS_LISTED_MAX 10000u

static void on_status(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_STATUS);
    if (call == NULL) {
        return;
    }
    Troth__V1__StatusRequest *request = troth__v1__status_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "the request can't be read: it is no StatusRequest");
        return;
    }
    troth__v1__status_request__free_unpacked(request, NULL);
    call_post(arg, call);
}

static void on_in_doubt(void *arg, struct rpc_call *rpc, const uint8_t *bytes, size_t n) {
    struct call *call = call_new(rpc, CALL_IN_DOUBT);
    if (call == NULL) {
        return;
    }
    Troth__V1__InDoubtRequest *request = troth__v1__in_doubt_request__unpack(NULL, n, bytes);
    if (request == NULL) {
        call_fail(call, RPC_INVALID_ARGUMENT, "the request can't be read: it is no InDoubtRequest");
        return;
    }
    call->limit = request->limit;
    call_post(arg, call);
    troth__v1__in_doubt_request__free_unpacked(request, NULL);
}

int service_admin_register(struct node *node, struct rpc_server *server) {
    int err = rpc_server_unary(server, "/troth.v1.Admin/Status", on_status, node);
    if (err == 0) {
        err = rpc_server_unary(server, "/troth.v1.Admin/InDoubt", on_in_doubt, node);
    }
    return err != 0 ? err : service_heuristics_register(node, server);
}

/* ---- InDoubt ------------------------------------------------------------------------------- */

void service_answer_in_doubt(struct node *node, struct call *call) {
    struct views_list list = {
        .limit = call->limit == 0 || call->limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : call->limit,
        .in_doubt = true,
    };
    if (engine_view_all(node->engine, node->now_ms, views_add, &list) < 0) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
    } else {
        Troth__V1__InDoubtReply reply = TROTH__V1__IN_DOUBT_REPLY__INIT;
        reply.n_transactions = list.n;
        reply.transactions = list.items;
        reply.more = list.more;
        call_answer(call, &reply.base);
    }
    views_list_release(&list);
}

/* ---- Status -------------------------------------------------------------------------------- */

struct participants {
    Troth__V1__ParticipantStatus *items; /* their strings belong to the sessions */
    Troth__V1__ParticipantStatus **pointers;
    size_t n;
    size_t capacity;
};

static int add_participant(void *arg, const struct sessions_view *view) {
    struct participants *list = arg;
    if (list->n == PARTICIPANTS_LISTED_MAX) {
        return 1;
    }
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        Troth__V1__ParticipantStatus *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
        list->items = items;
        list->capacity = capacity;
    }
    Troth__V1__ParticipantStatus *status = &list->items[list->n];
    troth__v1__participant_status__init(status);
    status->participant = strdup(view->participant.name);
    if (status->participant == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    status->incarnation = view->participant.incarnation;
    status->attached = true;
    status->endpoint = (char *)(uintptr_t)view->endpoint;
    status->queued_bytes = view->queued_bytes;
    list->n++;
    return 0;
}

/* One that is away is still of interest: transactions may wait for it. */
static int add_if_away(void *arg, const struct paxos_participant *participant, bool attached) {
    struct participants *list = arg;
    if (attached) {
        return 0;
    }
    struct sessions_view view = {.participant = *participant, .endpoint = ""};
    int rc = add_participant(list, &view);
    if (rc == 0) {
        list->items[list->n - 1].attached = false;
    }
    return rc;
}

static int count_in_doubt(void *arg, const struct engine_view *view) {
    struct participants *list = arg;
    if (!view->in_doubt) {
        return 0;
    }
    for (uint32_t i = 0; i < view->n_branches; i++) {
        if (view->branches[i].accepted.vote != PAXOS_VOTE_PREPARED) {
            continue;
        }
        for (size_t p = 0; p < list->n; p++) {
            if (strcmp(list->items[p].participant, view->branches[i].participant.name) == 0) {
                list->items[p].in_doubt++;
            }
        }
    }
    return 0;
}

static int list_participants(struct node *node, struct participants *list) {
    if (sessions_each(node->sessions, add_participant, list) < 0 ||
        engine_participants(node->engine, add_if_away, list) < 0) {
        return TROTH_ERR_NO_MEMORY;
    }
    if (list->n == 0) {
        return 0;
    }
    struct engine_counters counters;
    engine_counters(node->engine, &counters);
    if (counters.in_doubt > 0) {
        engine_view_all(node->engine, node->now_ms, count_in_doubt, list);
    }
    list->pointers = calloc(list->n, sizeof *list->pointers);
    for (size_t i = 0; i < list->n && list->pointers != NULL; i++) {
        list->pointers[i] = &list->items[i];
    }
    return list->pointers == NULL ? TROTH_ERR_NO_MEMORY : 0;
}

static void release_participants(struct participants *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].participant);
    }
    free(list->items);
    free(list->pointers);
}

static void fill_node(const struct node *node, uint32_t id, Troth__V1__NodeStatus *status) {
    struct peers_view view;
    peers_look(node->peers, id, &view);
    troth__v1__node_status__init(status);
    status->node = id;
    status->self = id == node->membership.self;
    status->address =
        (char *)(uintptr_t)(status->self ? node->address : node->config->addresses[id]);
    status->connected = view.connected;
    status->suspected = view.suspected;
    status->phi = view.phi;
    status->heartbeat_age_ms = (uint64_t)view.heartbeat_age_ms;
    status->incarnation = view.incarnation;
    status->in_flight = view.in_flight;
    status->queued_bytes = view.queued_bytes;
}

static void fill_counters(const struct node *node, Troth__V1__Counters *out) {
    struct engine_counters counters;
    engine_counters(node->engine, &counters);
    troth__v1__counters__init(out);
    out->begun = counters.begun;
    out->committed = counters.committed;
    out->aborted = counters.aborted;
    out->takeovers = counters.takeovers;
    out->in_flight = counters.in_flight;
    out->in_doubt = counters.in_doubt;
    out->undelivered = counters.undelivered;
    out->records = counters.records;
    out->batches = node_log_batches(node->log);
    out->heuristics = node_log_heuristics(node->log);
}

void service_answer_status(struct node *node, struct call *call) {
    const struct membership *membership = &node->membership;
    char waiting_for[MEMBERSHIP_TEXT_BYTES] = "";
    Troth__V1__NodeStatus nodes[PAXOS_NODES_MAX];
    Troth__V1__NodeStatus *node_pointers[PAXOS_NODES_MAX];
    Troth__V1__Counters counters;
    struct participants participants = {0};
    Troth__V1__StatusReply reply = TROTH__V1__STATUS_REPLY__INIT;
    static char version[] = TROTH_VERSION;

    if (list_participants(node, &participants) != 0) {
        call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
        release_participants(&participants);
        return;
    }
    for (uint32_t id = 1; id <= membership->nodes; id++) {
        fill_node(node, id, &nodes[id - 1]);
        node_pointers[id - 1] = &nodes[id - 1];
    }
    fill_counters(node, &counters);
    if (node->stopping) {
        snprintf(waiting_for, sizeof waiting_for, "stopping");
    } else if (!node->started) {
        membership_waiting_for(membership, waiting_for);
    }
    nodes[membership->self - 1].in_flight = (uint32_t)counters.in_flight;
    reply.cluster = node->membership.cluster;
    reply.node = membership->self;
    reply.incarnation = membership->incarnation;
    reply.version = version;
    reply.uptime_ms = (uint64_t)(node->now_ms - node->opened_ms);
    reply.n_nodes = membership->nodes;
    reply.nodes = node_pointers;
    reply.n_participants = participants.n;
    reply.participants = participants.pointers;
    reply.counters = &counters;
    reply.ready = node->started && !node->stopping;
    reply.waiting_for = waiting_for;
    call_answer(call, &reply.base);
    release_participants(&participants);
}
