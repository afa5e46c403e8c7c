/* troth: opening and closing, and the public calls as requests (request.h). */
#include "client/troth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ask.h"
#include "client/blocks.h"
#include "client/internal.h"
#include "client/links.h"
#include "client/request.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

const char *client_setting(const char *value, const char *variable, const char *otherwise) {
    if (value == NULL || value[0] == '\0') {
        value = getenv(variable);
    }
    return value == NULL || value[0] == '\0' ? otherwise : value;
}

int troth_open(struct troth **out, const struct troth_options *options) {
    return client_open_on(out, options, NULL);
}

/* Its thread calls this only when there is something to poll for: a link, or a call of a channel.
 */
static void on_idle(void *arg) {
    struct troth *t = arg;
    links_idle(t->links);
}

int client_open_on(struct troth **out, const struct troth_options *options, struct rpc *rpc) {
    char crash_why[CRASH_POINT_WHY_BYTES];
    if (crash_point_arm(crash_why) != 0) {
        logline(LOGLINE_ERROR, "%s", crash_why);
        return TROTH_ERR_INVALID;
    }
    struct troth *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    char why[TROTH_TEXT_BYTES];
    const char *nodes = client_setting(options->nodes, "TROTH_NODES", TROTH_NODES_DEFAULT);
    int err = addresses_parse(&t->addresses, nodes, false, SESSION_NODES_MAX, why, sizeof why);
    if (err != 0) {
        err = err == TROTH_ERR_TOO_MANY ? TROTH_ERR_INVALID : err;
        goto fail;
    }
    t->block_age_ms = BLOCKS_AGE_MS;
    t->block_stay = BLOCKS_STAY;
    t->block_avoid_ms = BLOCKS_AVOID_MS;
    t->attempt_ms = options->attempt_ms == 0 ? TROTH_ATTEMPT_MS : options->attempt_ms;
    t->timeout_ms = options->timeout_ms == 0 ? TROTH_TIMEOUT_MS : options->timeout_ms;
    t->has_own_rpc = rpc == NULL;
    t->rpc = rpc;
    err =
        rpc != NULL
            ? 0
            : rpc_new(&t->rpc, &(struct rpc_options){.threads = 1, .idle = on_idle, .idle_arg = t});
    if (err != 0) {
        goto fail;
    }
    for (; t->n_nodes < t->addresses.n; t->n_nodes++) {
        struct troth_node *node = &t->nodes[t->n_nodes];
        node->address = t->addresses.items[t->n_nodes].host_port;
        atomic_init(&node->id, 0);
        err = rpc_channel_new(&node->channel, t->rpc, node->address);
        if (err != 0) {
            goto fail;
        }
    }
    t->block_stay_ms = blocks_stay_ms(t->n_nodes);
    err = blocks_new(&t->blocks, t);
    err = err != 0 ? err : links_new(&t->links, t);
    err = err != 0 ? err : requests_new(&t->requests, t);
    for (uint32_t i = 0; err == 0 && i < t->n_nodes; i++) {
        err = ask_open(t, i);
    }
    if (err != 0) {
        goto fail;
    }
    *out = t;
    return 0;
fail:
    troth_close(t);
    return err;
}

void troth_close(struct troth *t) {
    if (t == NULL) {
        return;
    }
    if (t->requests != NULL) {
        blocks_close(t->blocks);
        requests_close(t->requests);
    }
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        link_free(t->nodes[i].link);
        rpc_channel_free(t->nodes[i].channel);
    }
    if (t->has_own_rpc) {
        rpc_free(t->rpc); /* its thread uses the rest */
    }
    links_free(t->links);
    requests_free(t->requests);
    blocks_free(t->blocks);
    addresses_release(&t->addresses);
    free(t);
}

static void tell(struct troth_result *result, const struct request_answer *answer) {
    if (result == NULL) {
        return;
    }
    *result = (struct troth_result){.outcome = answer->outcome, .reason = answer->reason};
    snprintf(result->detail, sizeof result->detail, "%s", answer->detail);
}

/* Runs it, and tells what came of it. */
static int run(struct troth *t, const struct request_what *what, struct troth_result *result) {
    struct request_answer answer;
    int err = request_run(t, what, &answer);
    free(answer.branches); /* a probe may bring them to any request */
    tell(result, &answer);
    return err;
}

/* ---- Begin ----------------------------------------------------------------------------------- */

static void on_begun(const struct request_end *end, struct request_answer *answer) {
    struct troth_result result;
    tell(&result, answer);
    end->begun(end->arg, answer->err, answer->txid, &result);
}

void troth_begin_async(struct troth *t, uint32_t timeout_ms, troth_begun_fn *begun, void *arg) {
    blocks_begin(t->blocks, timeout_ms,
                 &(struct request_end){.fn = on_begun, .arg = arg, .begun = begun});
}

int troth_begin(struct troth *t, uint32_t timeout_ms, struct troth_txid *txid,
                struct troth_result *result) {
    struct request_answer answer;
    struct request_wait wait;
    request_wait_init(&wait, &answer);
    blocks_begin(t->blocks, timeout_ms, &wait.end);
    int err = request_wait_end(&wait);
    if (err == 0) {
        *txid = answer.txid;
    }
    tell(result, &answer);
    return err;
}

/* ---- What has a txid ------------------------------------------------------------------------- */

/* The node that coordinates it, if it ever told its id; else a guess that costs no more than a
 * passing on, since any node can be asked. */
static uint32_t node_of(struct troth *t, struct troth_txid txid) {
    uint32_t id = troth_txid_node(txid);
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        if (atomic_load(&t->nodes[i].id) == id) {
            return i;
        }
    }
    return id == 0 ? 0 : id - 1;
}

static struct request_what what_of(struct troth *t, enum session_request request,
                                   struct troth_txid txid, uint32_t timeout_ms) {
    return (struct request_what){
        .request = request, .first = node_of(t, txid), .txid = txid, .timeout_ms = timeout_ms};
}

static void on_done(const struct request_end *end, struct request_answer *answer) {
    struct troth_result result;
    tell(&result, answer);
    end->done(end->arg, answer->err, &result);
}

int troth_enlist(struct troth *t, struct troth_txid txid, const struct troth_branch *branch,
                 struct troth_result *result) {
    struct request_what what = what_of(t, SESSION_ENLIST, txid, 0);
    what.branches = branch;
    what.n_branches = 1;
    return run(t, &what, result);
}

int troth_commit(struct troth *t, struct troth_txid txid, const struct troth_branch *branches,
                 size_t n_branches, uint32_t timeout_ms, struct troth_result *result) {
    struct request_what what = what_of(t, SESSION_COMMIT, txid, timeout_ms);
    what.branches = branches;
    what.n_branches = n_branches;
    return run(t, &what, result);
}

void client_end_async(struct troth *t, bool commits, struct troth_txid txid,
                      const struct troth_branch *branches, size_t n_branches, uint32_t timeout_ms,
                      troth_done_fn *done, void *arg) {
    struct request_what what =
        what_of(t, commits ? SESSION_COMMIT : SESSION_ABORT, txid, timeout_ms);
    what.branches = branches;
    what.n_branches = n_branches;
    request_start(t, &what, &(struct request_end){.fn = on_done, .arg = arg, .done = done});
}

void troth_commit_async(struct troth *t, struct troth_txid txid,
                        const struct troth_branch *branches, size_t n_branches, uint32_t timeout_ms,
                        troth_done_fn *done, void *arg) {
    client_end_async(t, true, txid, branches, n_branches, timeout_ms, done, arg);
}

/* Without works it is a Commit, which can be asked again. */
static struct request_what what_of_work(struct troth *t, struct troth_txid txid,
                                        const struct troth_branch *branches, size_t n_branches,
                                        const struct troth_work *works, size_t n_works,
                                        uint32_t timeout_ms) {
    struct request_what what =
        what_of(t, n_works == 0 ? SESSION_COMMIT : SESSION_COMMIT_WORK, txid, timeout_ms);
    what.branches = branches;
    what.n_branches = n_branches;
    what.works = works;
    what.n_works = n_works;
    return what;
}

int troth_commit_work(struct troth *t, struct troth_txid txid, const struct troth_branch *branches,
                      size_t n_branches, const struct troth_work *works, size_t n_works,
                      uint32_t timeout_ms, struct troth_result *result) {
    struct request_what what =
        what_of_work(t, txid, branches, n_branches, works, n_works, timeout_ms);
    return run(t, &what, result);
}

void troth_commit_work_async(struct troth *t, struct troth_txid txid,
                             const struct troth_branch *branches, size_t n_branches,
                             const struct troth_work *works, size_t n_works, uint32_t timeout_ms,
                             troth_done_fn *done, void *arg) {
    struct request_what what =
        what_of_work(t, txid, branches, n_branches, works, n_works, timeout_ms);
    request_start(t, &what, &(struct request_end){.fn = on_done, .arg = arg, .done = done});
}

int troth_abort(struct troth *t, struct troth_txid txid, uint32_t timeout_ms,
                struct troth_result *result) {
    struct request_what what = what_of(t, SESSION_ABORT, txid, timeout_ms);
    return run(t, &what, result);
}

int troth_abort_branches(struct troth *t, struct troth_txid txid,
                         const struct troth_branch *branches, size_t n_branches,
                         uint32_t timeout_ms, struct troth_result *result) {
    struct request_what what = what_of(t, SESSION_ABORT, txid, timeout_ms);
    what.branches = branches;
    what.n_branches = n_branches;
    return run(t, &what, result);
}

void troth_abort_async(struct troth *t, struct troth_txid txid, uint32_t timeout_ms,
                       troth_done_fn *done, void *arg) {
    client_end_async(t, false, txid, NULL, 0, timeout_ms, done, arg);
}

/* ---- Get ------------------------------------------------------------------------------------- */

static bool names_hold(const char *names, const char *name) {
    size_t n = strlen(name);
    while (*names != '\0' && !(strncmp(names, name, n) == 0 && names[n] == ',')) {
        names += strcspn(names, ",");
        names += *names == ',' ? 1 : 0;
    }
    return *names != '\0';
}

static enum bound bound_of(const struct request_answer *answer, const char *participant) {
    return answer->branches == NULL                    ? BOUND_NOT_KNOWN
           : names_hold(answer->branches, participant) ? BOUND_YES
                                                       : BOUND_NO;
}

static int get(struct troth *t, const struct request_what *what, const char *participant,
               struct troth_result *result, enum bound *bound) {
    struct request_answer answer;
    int err = request_run(t, what, &answer);
    *bound = bound_of(&answer, participant);
    free(answer.branches);
    tell(result, &answer);
    return err;
}

int client_get_bound(struct troth *t, struct troth_txid txid, const char *participant,
                     struct troth_result *result, enum bound *bound) {
    struct request_what what = what_of(t, SESSION_GET, txid, 0);
    int err = get(t, &what, participant, result, bound);
    for (uint32_t i = 1; err == 0 && result->outcome != TROTH_OUTCOME_NONE &&
                         *bound == BOUND_NOT_KNOWN && i < t->n_nodes;
         i++) {
        struct troth_result ignored;
        what.first = (what.first + 1) % t->n_nodes;
        get(t, &what, participant, &ignored, bound);
    }
    return err;
}

int troth_get(struct troth *t, struct troth_txid txid, struct troth_result *result) {
    struct request_what what = what_of(t, SESSION_GET, txid, 0);
    enum bound ignored;
    return get(t, &what, "", result, &ignored);
}
