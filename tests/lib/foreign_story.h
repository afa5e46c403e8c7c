/* foreign_story: a resource manager's branches in another manager's transactions, with nothing but
 * events and effects around: the test is the shell, the resource manager and the manager. */
#ifndef TESTS_LIB_FOREIGN_STORY_H
#define TESTS_LIB_FOREIGN_STORY_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/foreign.h"

#define IDLE_MS  1000
#define NO_REPLY 9999
#define YES      ((int)PAXOS_VOTE_PREPARED)
#define READ     ((int)PAXOS_VOTE_READ_ONLY)
#define NO       ((int)PAXOS_VOTE_ABORTED)

static struct foreign *all;
static struct foreign_effects effects;
static int64_t now_ms;
static struct troth_txid last; /* the txid of the last answer that had one */
/* What the effects of the last events were. */
static int answered;
static int enlisted;
static char did[400]; /* calls and records, in their order */
static char said[MESSAGE_DETAIL_BYTES];

static inline void note(const char *what) {
    snprintf(did + strlen(did), sizeof did - strlen(did), "%s%s", did[0] == '\0' ? "" : " ", what);
}

static inline void look(const struct foreign_effect *effect) {
    static const char *const calls[] = {"", "prepare", "commit", "one-phase", "abort", "recover"};
    static const char *const records[] = {
        "", "+prepared", "+heur-committed", "+heur-rolled-back", "+heur-hazard", "+committing"};
    switch (effect->type) {
    case FOREIGN_STORE:
        note(records[effect->record]);
        break;
    case FOREIGN_DELETE:
        note(effect->committed ? "-committed" : "-undone");
        break;
    case FOREIGN_CALL:
        note(calls[effect->call]);
        if (effect->after_store) {
            note("(later)");
        }
        break;
    case FOREIGN_ANSWER:
        answered = effect->result;
        last = troth_txid_is_zero(effect->txid) ? last : effect->txid;
        strcpy(said, effect->detail);
        break;
    case FOREIGN_ENLISTED:
        enlisted = effect->result;
        break;
    case FOREIGN_ALARM:
        note("alarm");
        break;
    }
}

static inline void step(struct foreign_event event) {
    event.now_ms = now_ms;
    ck_assert_int_eq(foreign_step(all, &event, &effects), 0);
    for (size_t i = 0; i < effects.n; i++) {
        look(&effects.items[i]);
    }
}

static inline struct troth_xid xid_of(const char *gtrid, const char *bqual) {
    struct troth_xid xid = {
        .format = 7, .gtrid_bytes = (uint8_t)strlen(gtrid), .bqual_bytes = (uint8_t)strlen(bqual)};
    memcpy(xid.data, gtrid, xid.gtrid_bytes);
    memcpy(xid.data + xid.gtrid_bytes, bqual, xid.bqual_bytes);
    return xid;
}

static inline int verb_of(enum troth_foreign_verb verb, const struct troth_xid *xid) {
    answered = NO_REPLY;
    did[0] = '\0';
    said[0] = '\0';
    step((struct foreign_event){.type = FOREIGN_VERB, .verb = verb, .xid = xid, .request = 1});
    return answered;
}

static inline int verb(enum troth_foreign_verb which) {
    struct troth_xid xid = xid_of("g", "b");
    return verb_of(which, &xid);
}

/* The callback under way answers; returns what the manager is told, if anything. */
static inline int result(int value) {
    answered = NO_REPLY;
    did[0] = '\0';
    step((struct foreign_event){.type = FOREIGN_RESULT, .txid = last, .result = value});
    return answered;
}

static inline int enlist(void) {
    step((struct foreign_event){.type = FOREIGN_ENLIST, .txid = last, .request = 1});
    return enlisted;
}

static inline void open_with(struct foreign_options options) {
    options.starts = options.starts == 0 ? 3 : options.starts;
    options.idle_timeout_ms = IDLE_MS;
    ck_assert_int_eq(foreign_new(&all, &options), 0);
    now_ms = 1000;
}

static inline void begin(void) {
    open_with((struct foreign_options){0});
}

static inline void end(void) {
    foreign_free(all);
    foreign_effects_release(&effects);
}

#define V(name) TROTH_FOREIGN_##name

/* ---- Bringing a branch into a state ---------------------------------------------------------- */

static inline void to_active(void) {
    ck_assert_int_eq(verb(V(START)), TROTH_XA_OK);
    ck_assert_int_eq(enlist(), 0);
}

static inline void to_idle(void) {
    to_active();
    ck_assert_int_eq(verb(V(END)), TROTH_XA_OK);
}

static inline void to_preparing(void) {
    to_idle();
    ck_assert_int_eq(verb(V(PREPARE)), NO_REPLY);
    ck_assert_str_eq(did, "prepare");
}

static inline void to_prepared(void) {
    to_preparing();
    ck_assert_int_eq(result(YES), TROTH_XA_OK);
    ck_assert_str_eq(did, "+prepared");
}

static inline void to_committing(void) {
    to_prepared();
    ck_assert_int_eq(verb(V(COMMIT)), NO_REPLY);
}

static inline void to_doomed(void) {
    to_active();
    ck_assert_int_eq(verb(V(FAIL)), TROTH_XA_RBROLLBACK);
    ck_assert_str_eq(did, "abort");
    ck_assert_int_eq(result(0), NO_REPLY);
}

static inline void to_rolling_back(void) {
    to_active();
    ck_assert_int_eq(verb(V(FAIL)), TROTH_XA_RBROLLBACK); /* and the callback has not answered */
}

static inline void to_heuristic(void) {
    to_prepared();
    ck_assert_int_eq(verb(V(FORCE_COMMIT)), NO_REPLY);
    ck_assert_int_eq(result(0), TROTH_XA_OK);
    ck_assert_str_eq(did, "+heur-committed");
}

static inline void to_nothing(void) {
}

/* A test that begins with a branch in that state. */
static inline void begin_in(void (*bring)(void)) {
    begin();
    bring();
}

#endif
