/* Foreign branches on the participant's loop: the functions of troth_foreign.h, and the effects of
 * participant/foreign.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "participant/foreign_log.h"
#include "participant/participant_internal.h"
#include "shell/crash_point.h"
#include "shell/logline.h"

struct foreign_request {
    struct foreign_request *next, *prev; /* those that wait for their answer */
    struct troth_participant *participant;
    enum troth_foreign_verb verb;
    struct troth_xid xid;
    troth_foreign_fn *done;
    void *arg;
    int result;
    struct troth_txid txid;
    char detail[MESSAGE_DETAIL_BYTES];
};

/* ---- Effects --------------------------------------------------------------------------------- */

static void answer_now(void *arg) {
    struct foreign_request *request = arg;
    request->done(request->arg, request->result, request->txid, request->detail);
    free(request);
}

static void answer(struct troth_participant *p, const struct foreign_effect *effect) {
    struct foreign_request *request = (struct foreign_request *)(uintptr_t)effect->request;
    DL_DELETE(p->foreign_requests, request);
    request->result = effect->result;
    request->txid = effect->txid;
    memcpy(request->detail, effect->detail, sizeof request->detail);
    int err = troth_participant_after_batch(p, answer_now, request);
    if (err != 0) {
        participant_die(p, "an answer to a transaction manager is lost", err);
    }
}

/* The places of Troth's own branches: what they mean is the same. */
static void pass_store(const struct foreign_effect *effect) {
#ifdef TROTH_CRASH_POINTS
    static const char *const names[] = {
        [FOREIGN_RECORD_PREPARED] = "prepared",
        [FOREIGN_RECORD_HEUR_COMMITTED] = "committed",
        [FOREIGN_RECORD_HEUR_ROLLED_BACK] = "deletion",
        [FOREIGN_RECORD_HEUR_HAZARD] = "hazard",
        [FOREIGN_RECORD_COMMITTING] = "committing",
    };
    CRASH_POINT_STORE(CRASH_PARTICIPANT, effect->type == FOREIGN_STORE ? names[effect->record]
                                         : effect->committed           ? "committed"
                                                                       : "deletion");
#endif
    (void)effect;
}

static void carry_out(struct troth_participant *p, const struct foreign_effect *effect) {
    int err;
    participant_hurry(p); /* a caller waits for each of its verbs */
    switch (effect->type) {
    case FOREIGN_STORE:
    case FOREIGN_DELETE:
        pass_store(effect);
        err = foreign_log_write(p->foreign_log, effect);
        if (err != 0) {
            participant_die(p, "the branch log can't be written", err);
        }
        return;
    case FOREIGN_CALL:
        participant_call(p, effect->txid, effect->call, NULL, effect->after_store);
        return;
    case FOREIGN_ANSWER:
        answer(p, effect);
        return;
    case FOREIGN_ENLISTED:
        participant_enlisted(p, effect->request, effect->txid, effect->result, effect->detail);
        return;
    case FOREIGN_ALARM:
        participant_alarm(p, effect->txid, effect->detail);
        return;
    }
}

void participant_foreign_step(struct troth_participant *p, struct foreign_event *event) {
    event->now_ms = p->now_ms;
    int err = foreign_step(p->foreign, event, &p->foreign_effects);
    if (err != 0) {
        participant_die(p, "an event of a foreign branch can't be handled", err);
    }
    for (size_t i = 0; i < p->foreign_effects.n; i++) {
        carry_out(p, &p->foreign_effects.items[i]);
    }
}

/* ---- Start and end --------------------------------------------------------------------------- */

int participant_foreign_open(struct troth_participant *p,
                             const struct troth_participant_options *options) {
    struct foreign_options core = {.starts = (uint32_t)p->incarnation,
                                   .idle_timeout_ms = options->idle_timeout_ms,
                                   .separate_storage = options->separate_storage != 0};
    int err = foreign_new(&p->foreign, &core);
    return err != 0 ? err : foreign_log_open(&p->foreign_log, p->db);
}

static int load(void *arg, struct foreign_event *event) {
    participant_foreign_step(arg, event);
    participant_take_recovered(arg);
    return 0;
}

int participant_foreign_recover(struct troth_participant *p) {
    return foreign_log_load(p->foreign_log, load, p);
}

void participant_foreign_end(struct troth_participant *p) {
    struct foreign_request *request, *next;
    DL_FOREACH_SAFE(p->foreign_requests, request, next) {
        DL_DELETE(p->foreign_requests, request);
        request->result = TROTH_XAER_RMFAIL;
        snprintf(request->detail, sizeof request->detail, "the participant was closed");
        answer_now(request);
    }
}

void participant_foreign_close(struct troth_participant *p) {
    foreign_log_close(p->foreign_log);
    foreign_free(p->foreign);
    foreign_effects_release(&p->foreign_effects);
}

/* ---- From any thread ------------------------------------------------------------------------- */

static void on_verb(void *arg) {
    struct foreign_request *request = arg;
    struct troth_participant *p = request->participant;
    DL_APPEND(p->foreign_requests, request);
    participant_foreign_step(p, &(struct foreign_event){.type = FOREIGN_VERB,
                                                        .verb = request->verb,
                                                        .xid = &request->xid,
                                                        .request = (uintptr_t)request});
}

int troth_participant_foreign(struct troth_participant *p, enum troth_foreign_verb verb,
                              const struct troth_xid *xid, troth_foreign_fn *done, void *arg) {
    struct foreign_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    *request = (struct foreign_request){
        .participant = p, .verb = verb, .xid = *xid, .done = done, .arg = arg};
    int err = troth_participant_run(p, on_verb, request);
    if (err != 0) {
        free(request);
    }
    return err;
}

struct foreign_listing {
    struct troth_participant *participant;
    struct troth_txid after;
    size_t max;
    troth_foreign_list_fn *done;
    void *arg;
    int result;
    bool more;
    size_t n;
    struct troth_foreign_branch branches[];
};

static void listed(void *arg) {
    struct foreign_listing *listing = arg;
    listing->done(listing->arg, listing->result, listing->branches, listing->n, listing->more);
    free(listing);
}

/* What it reads may be of this batch, so it is told after it. */
static void on_list(void *arg) {
    struct foreign_listing *listing = arg;
    struct troth_participant *p = listing->participant;
    if (foreign_log_list(p->foreign_log, listing->after, listing->max, listing->branches,
                         &listing->n, &listing->more) != 0) {
        listing->result = TROTH_XAER_RMERR;
        listing->n = 0;
    }
    int err = troth_participant_after_batch(p, listed, listing);
    if (err != 0) {
        participant_die(p, "an answer to a transaction manager is lost", err);
    }
}

int troth_participant_foreign_recover(struct troth_participant *p, struct troth_txid after,
                                      size_t max, troth_foreign_list_fn *done, void *arg) {
    max = max > TROTH_FOREIGN_RECOVER_MAX ? TROTH_FOREIGN_RECOVER_MAX : max;
    struct foreign_listing *listing =
        calloc(1, sizeof *listing + max * sizeof(struct troth_foreign_branch));
    if (listing == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    listing->participant = p;
    listing->after = after;
    listing->max = max;
    listing->done = done;
    listing->arg = arg;
    int err = troth_participant_run(p, on_list, listing);
    if (err != 0) {
        free(listing);
    }
    return err;
}
