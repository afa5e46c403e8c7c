#include "client/session.h"

#include <assert.h>

#include "base/troth_err.h"

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS   1000

void session_init(struct session *session, const struct session_options *options) {
    assert(options->nodes > 0 && options->nodes <= SESSION_NODES_MAX);
    assert(options->attempt_ms > 0 && options->timeout_ms > 0);
    *session = (struct session){.options = *options};
    session->options.first = options->first % options->nodes;
    session->cursor = session->options.first;
}

static bool probes(const struct session *session) {
    switch (session->options.request) {
    case SESSION_COMMIT:
    case SESSION_COMMIT_WORK:
    case SESSION_ABORT:
        return true;
    case SESSION_BEGIN:
    case SESSION_ENLIST:
    case SESSION_GET: /* it asks the same as a probe anyway */
        return false;
    }
    return false;
}

static void ask(struct session_effects *effects, uint32_t node, enum session_request request) {
    assert(effects->n_asks < sizeof effects->asks / sizeof *effects->asks);
    effects->asks[effects->n_asks++] = (struct session_ask){.node = node, .request = request};
}

/* What to ask for now. A Commit with work is asked for once (S5). */
static enum session_request next_request(struct session *session) {
    if (session->options.request != SESSION_COMMIT_WORK) {
        return session->options.request;
    }
    if (session->work == WORK_HERE) {
        session->work = WORK_GIVEN;
        return SESSION_COMMIT_WORK;
    }
    session->work = WORK_ABORTED;
    return SESSION_ABORT;
}

/* Asks the next node in turn that has nothing to answer yet and is not backing off. */
static void ask_next(struct session *session, int64_t now_ms, struct session_effects *effects) {
    int64_t soonest = INT64_MAX;
    for (uint32_t i = 0; i < session->options.nodes; i++) {
        uint32_t node = (session->cursor + i) % session->options.nodes;
        struct session_node *state = &session->nodes[node];
        if (state->pending) {
            continue;
        }
        if (state->ready_ms <= now_ms) {
            state->pending = true;
            session->cursor = (node + 1) % session->options.nodes;
            session->next_ask_ms = now_ms + session->options.attempt_ms;
            state->asked = next_request(session);
            ask(effects, node, state->asked);
            return;
        }
        if (state->ready_ms < soonest) {
            soonest = state->ready_ms;
        }
    }
    session->next_ask_ms = soonest; /* INT64_MAX: all are pending; only replies bring news */
}

static void finish(struct session *session, int err, struct session_effects *effects) {
    session->done = true;
    effects->done = true;
    effects->err = err;
}

static void on_start(struct session *session, const struct session_event *event,
                     struct session_effects *effects) {
    const struct session_options *options = &session->options;
    if (session->started) {
        return;
    }
    session->started = true;
    session->deadline_ms = event->now_ms + options->timeout_ms;
    uint32_t for_probes = options->timeout_ms / 4 < options->attempt_ms ? options->timeout_ms / 4
                                                                        : options->attempt_ms;
    session->probe_ms = probes(session) ? session->deadline_ms - for_probes : INT64_MAX;
    ask_next(session, event->now_ms, effects);
}

/* Is this error the same wherever it is asked, so that asking on is of no use? */
static bool is_definite(enum session_request request, int err) {
    switch (err) {
    case 0:
    case TROTH_ERR_INVALID:
        return true;
    case TROTH_ERR_NOT_FOUND:
    case TROTH_ERR_FORGOTTEN:
        return request != SESSION_BEGIN;
    case TROTH_ERR_TOO_MANY: /* of Begin: that node has too much to do */
        return request == SESSION_COMMIT || request == SESSION_ENLIST;
    case TROTH_ERR_STATE:
    case TROTH_ERR_ABORTED:
        return request == SESSION_ENLIST;
    default:
        return false;
    }
}

/* A reply that proves that the node lives and takes part. UNAVAILABLE may come from a node, too:
 * it says then that it sees no majority itself, which is no better. */
static bool is_alive(int err) {
    return err == 0 || is_definite(SESSION_ENLIST, err);
}

static void back_off(struct session_node *node, const struct session_event *event) {
    uint32_t shift = node->failures < 5 ? node->failures : 5;
    int64_t backoff = (int64_t)BACKOFF_FIRST_MS << shift;
    if (backoff > BACKOFF_MAX_MS) {
        backoff = BACKOFF_MAX_MS;
    }
    node->failures++;
    node->ready_ms = event->now_ms + backoff / 2 + (int64_t)event->random % (backoff / 2 + 1);
}

/* Who has the work and answers questions has a slow participant, which is waited for. */
static void on_sign_of_life(struct session *session, const struct session_event *event) {
    if (session->work == WORK_DOUBTED && event->node == session->options.first &&
        is_alive(event->err)) {
        session->work = WORK_GIVEN;
        session->next_ask_ms = event->now_ms + session->options.attempt_ms;
    }
}

static void on_reply(struct session *session, const struct session_event *event,
                     struct session_effects *effects) {
    assert(event->node < session->options.nodes);
    assert(!event->decided || event->err == 0);
    struct session_node *node = &session->nodes[event->node];
    bool is_probe = event->request == SESSION_GET && session->options.request != SESSION_GET;
    if (!is_probe) {
        node->pending = false;
    }
    if (is_alive(event->err)) {
        node->answered = true;
    }
    if (is_probe && !event->decided) {
        on_sign_of_life(session, event);
        return;
    }
    /* Commit and Abort are over with an outcome only; without one the node was asked too early. */
    bool undecided = event->err == 0 && !event->decided && probes(session);
    if (!undecided && is_definite(event->request, event->err)) {
        effects->answered = true;
        finish(session, event->err, effects);
        return;
    }
    back_off(node, event);
    ask_next(session, event->now_ms, effects);
}

static int out_of_time(const struct session *session) {
    if (session->options.request == SESSION_BEGIN || session->options.request == SESSION_ENLIST) {
        return TROTH_ERR_UNAVAILABLE;
    }
    uint32_t answered = 0;
    for (uint32_t i = 0; i < session->options.nodes; i++) {
        answered += session->nodes[i].answered ? 1 : 0;
    }
    return answered > session->options.nodes / 2 ? TROTH_ERR_TIMEOUT : TROTH_ERR_UNKNOWN;
}

/* Before Abort is asked for: does the node that has the work live? True: it is asked now. */
static bool doubts(struct session *session, int64_t now_ms, struct session_effects *effects) {
    if (session->work != WORK_GIVEN || !session->nodes[session->options.first].pending) {
        return false;
    }
    session->work = WORK_DOUBTED;
    session->next_ask_ms = now_ms + session->options.attempt_ms;
    ask(effects, session->options.first, SESSION_GET);
    return true;
}

static void on_tick(struct session *session, const struct session_event *event,
                    struct session_effects *effects) {
    if (!session->started) {
        return;
    }
    if (event->now_ms >= session->deadline_ms) {
        finish(session, out_of_time(session), effects);
        return;
    }
    if (event->now_ms >= session->probe_ms) {
        session->probe_ms = INT64_MAX;
        for (uint32_t i = 0; i < session->options.nodes; i++) {
            ask(effects, i, SESSION_GET);
        }
    }
    if (event->now_ms >= session->next_ask_ms && !doubts(session, event->now_ms, effects)) {
        ask_next(session, event->now_ms, effects);
    }
}

static int64_t earliest(const struct session *session) {
    int64_t at = session->deadline_ms;
    if (session->probe_ms < at) {
        at = session->probe_ms;
    }
    return session->next_ask_ms < at ? session->next_ask_ms : at;
}

void session_step(struct session *session, const struct session_event *event,
                  struct session_effects *effects) {
    *effects = (struct session_effects){.n_asks = 0, .tick_ms = INT64_MAX};
    if (session->done) {
        return;
    }
    switch (event->type) {
    case SESSION_START:
        on_start(session, event, effects);
        break;
    case SESSION_REPLY:
        on_reply(session, event, effects);
        break;
    case SESSION_TICK:
        on_tick(session, event, effects);
        break;
    }
    if (!session->done && session->started) {
        effects->tick_ms = earliest(session);
    }
}

const char *session_request_name(enum session_request request) {
    switch (request) {
    case SESSION_BEGIN:
        return "Begin";
    case SESSION_ENLIST:
        return "Enlist";
    case SESSION_COMMIT:
        return "Commit";
    case SESSION_ABORT:
        return "Abort";
    case SESSION_GET:
        return "Get";
    case SESSION_COMMIT_WORK:
        return "CommitWork";
    }
    return "?";
}
