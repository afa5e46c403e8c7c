/* Participants and their sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"

/* How many branches one step sends to participants that come back, so that one for which a million
 * wait neither holds up the others nor has them all in memory as messages. */
#define RESEND_MAX 512

uint32_t sessions_room(const struct engine *engine) {
    uint32_t heard_of = HASH_CNT(by_name, engine->rms_by_name); /* a log may hold more */
    return heard_of < ENGINE_NAMES_MAX ? ENGINE_NAMES_MAX - heard_of : 0;
}

bool sessions_has_room(struct engine *engine, const char *name) {
    struct rm *rm;
    HASH_FIND(by_name, engine->rms_by_name, name, strlen(name), rm);
    return rm != NULL || sessions_room(engine) > 0;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
struct rm *sessions_rm(struct engine *engine, const char *name) {
    struct rm *rm;
    HASH_FIND(by_name, engine->rms_by_name, name, strlen(name), rm);
    if (rm != NULL) {
        return rm;
    }
    rm = calloc(1, sizeof *rm);
    if (rm == NULL) {
        engine_fail(engine, TROTH_ERR_NO_MEMORY);
        return NULL;
    }
    snprintf(rm->participant.name, sizeof rm->participant.name, "%s", name);
    HASH_ADD_KEYPTR(by_name, engine->rms_by_name, rm->participant.name, strlen(name), rm);
    return rm;
}

struct rm *sessions_find(struct engine *engine, const char *name) {
    struct rm *rm;
    HASH_FIND(by_name, engine->rms_by_name, name, strlen(name), rm);
    return rm;
}

struct rm *sessions_by_id(struct engine *engine, uint64_t session) {
    struct rm *rm;
    HASH_FIND(by_session, engine->rms_by_session, &session, sizeof session, rm);
    return rm;
}

void sessions_release(struct engine *engine) {
    struct rm *rm;
    struct rm *next;
    HASH_CLEAR(by_session, engine->rms_by_session);
    HASH_ITER(by_name, engine->rms_by_name, rm, next) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the iteration holds the next one
        HASH_DELETE(by_name, engine->rms_by_name, rm);
        free(rm);
    }
}

static void refuse(struct engine *engine, uint64_t session, int error, const char *detail) {
    struct engine_effect *effect = effect_add(engine, ENGINE_REFUSE_SESSION);
    effect->session = session;
    effect->error = error;
    snprintf(effect->detail, sizeof effect->detail, "%s", detail);
}

static void end_session(struct engine *engine, struct rm *rm) {
    HASH_DELETE(by_session, engine->rms_by_session, rm);
    rm->session = 0;
    rm->resending = NULL;
}

/* An incarnation's upper half tells disks apart, its lower half counts starts (types.proto). */
static int check_incarnation(const struct rm *rm, uint64_t incarnation, const char **why) {
    uint64_t known = rm->participant.incarnation;
    if (known == 0) {
        return 0;
    }
    if (known >> 32 == incarnation >> 32 && incarnation < known) {
        *why = "a later start of this participant was attached before: this one runs on an older "
               "disk, or is an earlier process; stop it";
        return TROTH_ERR_AMNESIA;
    }
    if (known >> 32 != incarnation >> 32 && rm->session != 0) {
        *why = "another live process is attached with this participant name; give each its own";
        return TROTH_ERR_EXISTS;
    }
    return 0;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
/* Sends what waits for it; all of it, unless it was away for long. */
static void resend(struct engine *engine, struct rm *rm, uint32_t max) {
    for (uint32_t i = 0; i < max && rm->resending != NULL; i++) {
        struct branch *branch = rm->resending;
        rm->resending = branch->next;
        coordinate_send_branch(engine, branch->tx, branch);
    }
    engine->resends = engine->resends || rm->resending != NULL;
}

void sessions_resend(struct engine *engine) {
    struct rm *rm;
    struct rm *next;
    uint32_t waiting = 0;
    if (!engine->resends) {
        return;
    }
    HASH_ITER(by_session, engine->rms_by_session, rm, next) {
        waiting += rm->resending != NULL;
    }
    engine->resends = false;
    if (waiting == 0) {
        return;
    }
    HASH_ITER(by_session, engine->rms_by_session, rm, next) {
        resend(engine, rm, RESEND_MAX / waiting + 1);
    }
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
static void begin_session(struct engine *engine, struct rm *rm, const struct engine_event *event) {
    if (rm->session != 0) {
        bool later = event->participant.incarnation != rm->participant.incarnation;
        refuse(engine, rm->session, TROTH_ERR_CLOSED,
               later
                   ? "a later start of this participant has attached: this process runs on an "
                     "older disk, and answers what may be old; stop it. If the other one runs on a "
                     "copy, stop both and start this one again"
                   : "attached anew in another session");
        end_session(engine, rm);
    }
    rm->session = event->session;
    rm->participant.incarnation = event->participant.incarnation;
    HASH_ADD(by_session, engine->rms_by_session, session, sizeof rm->session, rm);
    marks_tell_session(engine, rm->session);
    rm->resending = rm->pending;
    resend(engine, rm, RESEND_MAX);
}

void sessions_attached(struct engine *engine, const struct engine_event *event) {
    if (!sessions_has_room(engine, event->participant.name)) {
        refuse(engine, event->session, TROTH_ERR_TOO_MANY,
               "this node has heard of 65536 participants, which is the most");
        return;
    }
    struct rm *rm = sessions_rm(engine, event->participant.name);
    if (rm == NULL) {
        return;
    }
    const char *why = "";
    int error = check_incarnation(rm, event->participant.incarnation, &why);
    if (strcmp(event->participant.name, ENGINE_NOBODY) == 0) {
        error = TROTH_ERR_INVALID;
        why = "this participant name is reserved; give another";
    }
    if (error != 0) {
        refuse(engine, event->session, error, why);
        return;
    }
    begin_session(engine, rm, event);
}

void sessions_detached(struct engine *engine, uint64_t session) {
    struct rm *rm = sessions_by_id(engine, session);
    if (rm != NULL) {
        end_session(engine, rm);
    }
}
