/* workload: what the two workloads give to load.c, which runs them. Internal to load/. */
#ifndef LOAD_WORKLOAD_H
#define LOAD_WORKLOAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "load/load.h"

#define LOAD_KEY_BYTES 64

enum load_end {
    LOAD_COMMITTED,
    LOAD_ABORTED,
    LOAD_DECLINED,
    LOAD_UNREACHED,
    LOAD_UNKNOWN,
    LOAD_FAILED,
    LOAD_ENDS
};

struct load_client {
    struct load *load;
    pthread_t thread;
    uint64_t random;
    uint32_t process; /* in the history */
    atomic_uint_fast64_t ends[LOAD_ENDS];
    struct histogram latencies; /* its own thread's */
    /* room for what a call holds */
    struct history_step steps[LOAD_LENGTH_MAX];
    uint32_t lists[LOAD_LENGTH_MAX][LOAD_LIST_MAX];
    struct history_balance *balances; /* load->options.keys */
};

struct workload {
    /* Draws what to do next. Lists and balances that will be read point to the client's room. */
    void (*draw)(struct load_client *client, struct history_call *call);
    /* Does it, within tx, and takes what was read into the call. 0, or the error of a kv call;
     * TROTH_ERR_CORRUPT: a key's value is none that a client put there. */
    int (*work)(struct load_client *client, struct troth_kv_tx *tx, struct history_call *call,
                char why[TROTH_TEXT_BYTES]);
    /* Does a call that reads nothing, as one call (options.one_call); as troth_kv_apply. */
    int (*apply)(struct load *load, const struct history_call *call, struct troth_txid *txid,
                 struct troth_result *result);
    /* The first transaction. May be tried again. */
    int (*set_up)(struct load *load, struct troth_kv_tx *tx, char why[TROTH_TEXT_BYTES]);
    /* Draws the `round`-th call of load_read_back, from 0; false when there is none. */
    bool (*draw_read_back)(struct load_client *client, uint32_t round, struct history_call *call);
};
extern const struct workload workload_append;
extern const struct workload workload_bank;

/* A list in use. */
struct load_slot {
    uint32_t key;
    uint32_t appended; /* values handed out, from 1 on */
};

struct load {
    struct load_options options;
    const struct workload *workload;
    char prefix[LOAD_KEY_BYTES / 2]; /* of every key */
    struct load_client *clients;
    bool running;
    atomic_bool stop;
    atomic_uint working; /* clients */
    atomic_uint_fast64_t started;
    pthread_mutex_t mutex; /* guards what follows */
    struct load_slot *slots;
    uint32_t next_key; /* lists there were so far */
    char last_error[512];
};

/* A number below `below`. */
unsigned load_draw(struct load_client *client, unsigned below);

#endif
