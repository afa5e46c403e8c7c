/* What the kv files share. */
#ifndef CLIENT_KV_H
#define CLIENT_KV_H

#include "client/links.h"
#include "client/placement.h"
#include "client/request.h"
#include "troth/v1/keyvalue.pb-c.h"

struct kv_call;
struct kv_shard {
    struct troth_kv *kv;
    size_t number;
    struct link *link;

    /* The requests' lock guards what follows. */
    unsigned n_open;     /* calls */
    size_t open_bytes;   /* theirs */
    size_t parked_bytes; /* of those that wait for the link */
};
struct troth_kv {
    struct troth *troth;
    struct addresses addresses;
    size_t n_shards;
    struct placement_shard *places; /* n_shards; the names are those of `addresses` */
    struct kv_shard *shards;        /* n_shards */
    uint32_t timeout_ms;

    /* The requests' lock guards what follows. */
    struct kv_call *by_number; /* that wait for their answer */
    struct kv_call *oldest;    /* the same, in the order of their deadlines */
    uint64_t last_number;
    struct requests_alarm alarm; /* for the oldest's deadline, or for one before */
    bool closed;
};
struct troth_kv_tx {
    struct troth_kv *kv;
    struct troth_txid txid;
    bool ends_here; /* this tx commits or aborts, and so names the branches */

    /* The requests' lock guards what follows, while calls are open. */
    unsigned n_open;
    struct troth_branch *branches; /* the names are ours */
    size_t n_branches;
    size_t branches_capacity;
    char lost[TROTH_TEXT_BYTES]; /* why it must not commit; "": it may */

    troth_kv_begun_fn *begun; /* of those that do not wait */
    troth_done_fn *done;
    void *arg;
};

/* ---- kv_call.c: one request to one shard ----------------------------------------------------- */

struct kv_end {
    /* Once, without the lock. `reply`, which is to be freed, is NULL after an error; `why` is ""
     * without one. */
    void (*fn)(const struct kv_end *end, int err, Troth__V1__KvReply *reply, const char *why);
    void *arg;
    troth_kv_done_fn *done; /* for the use of fn */
};
/* Sets the request's number, txid, deadline and `named`, and sends it. Maybe ends before it
 * returns. The reply's branch is taken into tx; an error after which the branch may lack work keeps
 * the transaction from committing. */
void kv_start(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard,
              Troth__V1__KvRequest *request, const struct kv_end *end);
/* The same, waiting. `why` may be NULL. On 0 *reply is to be freed. */
int kv_run(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard, Troth__V1__KvRequest *request,
           Troth__V1__KvReply **reply, char *why);

int kv_calls_open(struct troth_kv *kv);
/* Ends all with TROTH_ERR_CLOSED; also what troth_kv_open has half done. */
void kv_calls_close(struct troth_kv *kv);

/* ---- kv_work.c: the requests, with the caller's bytes ---------------------------------------- */

Troth__V1__KvRequest kv_put_of(const void *key, size_t key_bytes, const void *value,
                               size_t value_bytes);
Troth__V1__KvRequest kv_add_of(const void *key, size_t key_bytes, int64_t delta,
                               const int64_t *minimum);
Troth__V1__KvRequest kv_delete_of(const void *key, size_t key_bytes);
Troth__V1__KvRequest kv_compare_and_set_of(const void *key, size_t key_bytes,
                                           const struct troth_kv_value *expected, const void *value,
                                           size_t value_bytes);

size_t kv_shard_of(const struct troth_kv *kv, const void *key, size_t key_bytes);

#endif
