#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "client/xa/shard_xa.h"

/* ---- A thread's own, freed when it ends ------------------------------------------------------ */

struct thread {
    struct shard_xa_rm *rms;
};
static _Thread_local struct thread *own;
static _Thread_local char why[TROTH_XA_WHY_BYTES];
static pthread_key_t key;
static pthread_once_t key_made = PTHREAD_ONCE_INIT;

static void thread_ends(void *arg) {
    own = arg;
    while (own->rms != NULL) {
        shard_xa_rm_close(own->rms);
    }
    free(own);
    own = NULL;
}

static void make_key(void) {
    if (pthread_key_create(&key, thread_ends) != 0) {
        abort(); /* a library can't go on without; there are 1024 a process */
    }
}

static struct thread *this_thread(void) {
    if (own == NULL) {
        pthread_once(&key_made, make_key);
        own = calloc(1, sizeof *own);
        if (own != NULL && pthread_setspecific(key, own) != 0) {
            free(own);
            own = NULL;
        }
    }
    return own;
}

void shard_xa_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
}

const char *troth_xa_why(void) {
    return why;
}

/* ---- Open resource managers ------------------------------------------------------------------ */

struct shard_xa_rm *shard_xa_rm_find(int rmid) {
    struct shard_xa_rm *rm = NULL;
    if (own != NULL) {
        DL_SEARCH_SCALAR(own->rms, rm, rmid, rmid);
    }
    return rm;
}

struct shard_xa_rm *shard_xa_rm_add(int rmid, struct shard_xa_target *target, int64_t timeout_ms) {
    struct thread *thread = this_thread();
    struct shard_xa_rm *rm = calloc(1, sizeof *rm);
    if (thread == NULL || rm == NULL) {
        free(rm);
        return NULL;
    }
    rm->rmid = rmid;
    rm->target = target;
    rm->timeout_ms = timeout_ms;
    DL_APPEND(thread->rms, rm);
    return rm;
}

void shard_xa_rm_close(struct shard_xa_rm *rm) {
    DL_DELETE(own->rms, rm);
    while (rm->associations != NULL) {
        shard_xa_dissociate(rm, rm->associations);
    }
    shard_xa_target_put(rm->target);
    free(rm);
}

/* ---- Associations ---------------------------------------------------------------------------- */

static bool is_same(const XID *a, const XID *b) {
    return a->formatID == b->formatID && a->gtrid_length == b->gtrid_length &&
           a->bqual_length == b->bqual_length &&
           memcmp(a->data, b->data, (size_t)(a->gtrid_length + a->bqual_length)) == 0;
}

struct shard_xa_association *shard_xa_associated(const struct shard_xa_rm *rm, const XID *xid) {
    struct shard_xa_association *association;
    DL_FOREACH(rm->associations, association) {
        if (is_same(&association->xid, xid)) {
            return association;
        }
    }
    return NULL;
}

struct shard_xa_association *shard_xa_working(const struct shard_xa_rm *rm) {
    struct shard_xa_association *association;
    DL_SEARCH_SCALAR(rm->associations, association, suspended, false);
    return association;
}

void shard_xa_dissociate(struct shard_xa_rm *rm, struct shard_xa_association *association) {
    DL_DELETE(rm->associations, association);
    free(association);
}
