/* request: runs sessions (session.h) over the nodes, any number of them at once.
 *
 * A request is started and ends by calling its `end` once: on the thread that brought the last
 * answer, on the timers' thread, or at once on the caller's. No thread waits for a single request;
 * request_run is request_start and a wait.
 *
 * All requests of one `struct troth` share a lock, which is never held while a request's end runs.
 */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include <pthread.h>

#include "base/heap.h"
#include "client/internal.h"

/* What one reply says, or the whole request in the end. */
struct request_answer {
    int err;
    uint32_t node; /* whose reply it is, by its place in the list */
    enum troth_outcome outcome;
    int reason;
    struct troth_txid txid; /* of Begin: the first */
    uint32_t count;         /* of Begin: how many; 0: a node that knows of one only */
    uint32_t timeout_ms;    /* of Begin: as it was granted */
    uint32_t node_id;       /* of Begin: the node that coordinates */
    char detail[TROTH_TEXT_BYTES];
    /* Of Get, malloc'd, NULL: none are told. The participants' names, each with a comma behind it.
     * Who takes it puts NULL here; else it is freed. */
    char *branches;
};

struct request_what {
    enum session_request request;
    uint32_t first;         /* the node to ask first */
    uint32_t timeout_ms;    /* of the request; 0: that of `struct troth` */
    struct troth_txid txid; /* not of Begin */
    uint32_t begin_timeout_ms;
    uint32_t count; /* of Begin; 0: 1 */
    /* Of Commit and Abort; of Enlist the one. Copied. */
    const struct troth_branch *branches;
    size_t n_branches;
    /* Of CommitWork, which is asked once: only read until request_start returns. */
    const struct troth_work *works;
    size_t n_works;
};

struct request_end {
    void (*fn)(const struct request_end *end, struct request_answer *answer);
    void *arg;
    troth_begun_fn *begun; /* for the use of fn, as the next */
    troth_done_fn *done;
};

/* Calls end->fn exactly once, maybe before it returns: with what session_step says of the session's
 * end, with TROTH_ERR_NO_MEMORY, or with TROTH_ERR_CLOSED. On an error answer->detail says what
 * failed. */
void request_start(struct troth *t, const struct request_what *what, const struct request_end *end);
/* Blocks until the request is over. Returns answer->err; answer->branches is the caller's. */
int request_run(struct troth *t, const struct request_what *what, struct request_answer *answer);

/* For other waits: `wait.end` is what the end of a request is to call. */
struct request_wait {
    struct request_end end;
    pthread_mutex_t mutex;
    pthread_cond_t over;
    bool is_over;
    struct request_answer *answer;
};
void request_wait_init(struct request_wait *wait, struct request_answer *answer);
/* Blocks, and releases the wait. Returns answer->err. */
int request_wait_end(struct request_wait *wait);

/* 0, or why no node would take it: TROTH_ERR_INVALID, _TOO_MANY. *work_bytes: in all. */
int request_check(const struct request_what *what, size_t *work_bytes);

/* ---- request_text.c: for people ---- */

/* The detail of an answer that is an error, which no node gave. `trouble`: what went wrong, or "".
 */
void request_explain(const struct session *session, const char *trouble,
                     struct request_answer *answer);
/* A Commit with work that was given up, and the Abort that was asked for in its place has aborted
 * it: the detail is then why the work was not done. */
void request_explain_abort(const struct session *session, const char *trouble,
                           struct request_answer *answer);

/* ---- For troth.c ----------------------------------------------------------------------------- */

int requests_new(struct requests **out, struct troth *t);
/* Ends all requests with TROTH_ERR_CLOSED, and every later one at once. */
void requests_close(struct requests *requests);
/* When no answer can come any more. NULL is let be. */
void requests_free(struct requests *requests);

/* ---- For ask.c, kv_call.c, links.c ----------------------------------------------------------- */

void requests_lock(struct requests *requests);
void requests_unlock(struct requests *requests);

/* For the deadlines of what is asked of shards: rings once, on the timers' thread, without the
 * lock, and may then be set again. Zero it first; fill in fn and arg. */
struct requests_alarm {
    void (*fn)(void *arg);
    void *arg;
    struct heap_item item;
};
/* With the lock held. TROTH_ERR_NO_MEMORY: it is as it was. */
int requests_set_alarm(struct requests *requests, struct requests_alarm *alarm, int64_t at_ms);
/* It rings no more, and has returned. Without the lock; not from a callback. */
void requests_clear_alarm(struct requests *requests, struct requests_alarm *alarm);

/* The way to the node is gone, and with it what it owes. Without the lock. */
void requests_lost(struct requests *requests, uint32_t node, const char *why);

/* A node's answer to the question `number`, or that none can come. Frees what it holds. Any thread,
 * without the requests' lock. An answer that nobody waits for any more is dropped. */
void requests_answer(struct requests *requests, uint64_t number, struct request_answer *answer);

#endif
