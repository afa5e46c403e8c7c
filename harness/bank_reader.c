#include "harness/bank_reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/troth_err.h"
#include "harness/bank.h"
#include "shell/clock.h"

#define PAUSE_MS 25 /* between reads: each one waits for every transfer, and they for it */
#define LAST_MS  60000

struct bank_reader {
    const struct bank_store_ops *ops;
    struct bank_session *session;
    struct history *history;
    unsigned accounts;
    uint32_t process, processes;
    pthread_t thread;
    atomic_bool stop;
    struct history_balance balances[]; /* accounts */
};

/* How the transaction ended, and how many balances it read. */
static enum history_type read_once(struct bank_reader *reader, size_t *n,
                                   char txid[TROTH_TXID_TEXT], char why[TROTH_TEXT_BYTES]) {
    const struct bank_store_ops *ops = reader->ops;
    struct troth_txid id;
    struct troth_result result = {.outcome = TROTH_OUTCOME_NONE};
    if (ops->begin(reader->session, &id, &result) != 0) {
        snprintf(why, TROTH_TEXT_BYTES, "%s", result.detail);
        return HISTORY_FAIL;
    }
    troth_txid_format(id, txid);
    size_t found = reader->accounts;
    int err = ops->read(reader->session, reader->balances, &found, why);
    if (err != 0) {
        ops->abort(reader->session); /* never asked to commit: that is for certain */
        return HISTORY_FAIL;
    }
    err = ops->commit(reader->session, &result);
    snprintf(why, TROTH_TEXT_BYTES, "%s", result.detail);
    *n = found;
    if (err != 0) {
        return HISTORY_INFO;
    }
    return result.outcome == TROTH_COMMITTED ? HISTORY_OK : HISTORY_FAIL;
}

/* Whether it committed. */
static bool read_and_tell(struct bank_reader *reader) {
    char why[TROTH_TEXT_BYTES] = "";
    char txid[TROTH_TXID_TEXT] = "";
    struct history_call call = {.f = HISTORY_READ, .balances = reader->balances};
    history_invoke(reader->history, reader->process, &call);
    enum history_type type = read_once(reader, &call.n_balances, txid, why);
    history_complete(reader->history, type, reader->process, &call, txid[0] == '\0' ? NULL : txid,
                     type == HISTORY_OK ? NULL : why);
    if (type == HISTORY_INFO) {
        reader->process += reader->processes;
    }
    return type == HISTORY_OK;
}

static void *run(void *arg) {
    struct bank_reader *reader = arg;
    bool last_read = false;
    for (int64_t until = 0; !last_read;) {
        bool stopping = atomic_load(&reader->stop);
        bool committed = read_and_tell(reader);
        if (stopping && until == 0) {
            until = clock_monotonic_ms() + LAST_MS;
        }
        last_read = stopping && (committed || clock_monotonic_ms() >= until);
        if (!last_read) {
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
        }
    }
    return NULL;
}

int bank_reader_start(struct bank_reader **out, struct bank_store *store, struct history *history,
                      unsigned accounts, uint32_t process, uint32_t processes) {
    struct bank_reader *reader =
        calloc(1, sizeof *reader + accounts * sizeof(struct history_balance));
    if (reader == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    reader->ops = store->ops;
    reader->session = store->ops->session_new(store);
    if (reader->session == NULL) {
        free(reader);
        return TROTH_ERR_NO_MEMORY;
    }
    reader->history = history;
    reader->accounts = accounts;
    reader->process = process;
    reader->processes = processes;
    if (pthread_create(&reader->thread, NULL, run, reader) != 0) {
        store->ops->session_free(reader->session);
        free(reader);
        return TROTH_ERR_SYSTEM;
    }
    *out = reader;
    return 0;
}

uint32_t bank_reader_stop(struct bank_reader *reader) {
    atomic_store(&reader->stop, true);
    pthread_join(reader->thread, NULL);
    uint32_t process = reader->process;
    reader->ops->session_free(reader->session);
    free(reader);
    return process;
}
