/* history: what clients saw, written for outside checkers (Elle, Knossos, Porcupine) the way
 * Jepsen does, as EDN or as JSON lines. docs/histories.md shows both.
 *
 * One line is one event: a client's process invokes an operation, and later the same process says
 * how it ended:
 *
 *     ok     it committed, and these are the values that it saw
 *     fail   it did not take effect and never will
 *     info   nobody can tell whether it took effect, now or later
 *
 * The rule that makes a history worth anything: an outcome that is not known is info, never a
 * guess. A process whose operation ended with info has crashed: its client goes on under a new
 * number, its old one plus the number of clients.
 *
 *     struct history *history;
 *     history_open(&history, "run.edn", HISTORY_EDN, why);
 *     history_invoke(history, process, &call);
 *     ... work, commit ...
 *     history_complete(history, HISTORY_OK, process, &call, "0000...07", NULL);
 *     err = history_close(history);
 *
 * Invariants: `index` counts lines from 0; `time` is in nanoseconds since history_open, of a
 * monotonic clock, and never falls from line to line; the order of lines is an order in which the
 * events took place. What is in the file is at every moment the history's beginning in whole
 * lines, with one exception: a SIGKILL or a full disk in the middle of the kernel's write can cut
 * the last line. A beginning of a history is a history, so what a killed process leaves is as good.
 *
 * Invoke and complete may be called from any thread.
 */
#ifndef LOAD_HISTORY_H
#define LOAD_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_WHY_BYTES 512

enum history_format { HISTORY_EDN, HISTORY_JSONL };
enum history_type { HISTORY_INVOKE, HISTORY_OK, HISTORY_FAIL, HISTORY_INFO };
enum history_f {
    HISTORY_TXN,      /* steps over append-only lists */
    HISTORY_TRANSFER, /* of money */
    HISTORY_READ      /* of all balances */
};

struct history_step {
    bool append; /* `value` to the list `key`; else: read it */
    uint32_t key;
    uint32_t value; /* appended at most once to its list */
    uint32_t *list; /* what was read: `n` values, written in a line of type ok only */
    size_t n;
};
struct history_balance {
    uint32_t account;
    int64_t amount;
};
struct history_call {
    enum history_f f;
    struct history_step *steps; /* HISTORY_TXN */
    size_t n_steps;
    uint32_t from, to; /* HISTORY_TRANSFER */
    int64_t amount;
    struct history_balance *balances; /* HISTORY_READ: what was read; in a line of type ok only */
    size_t n_balances;
};

struct history;
/* By the path's end: .edn, or .jsonl. False: neither. */
bool history_format_of(const char *path, enum history_format *format);
/* Makes the file, or empties it. TROTH_ERR_SYSTEM (`why` says what), _NO_MEMORY. */
int history_open(struct history **out, const char *path, enum history_format format,
                 char why[HISTORY_WHY_BYTES]);
/* Before anything of the operation is done. What is borrowed is not kept. */
void history_invoke(struct history *history, uint32_t process, const struct history_call *call);
/* After all of it. `txid` and `error` (for humans: why it is no success) may be NULL. */
void history_complete(struct history *history, enum history_type type, uint32_t process,
                      const struct history_call *call, const char *txid, const char *error);
/* Lines so far. */
uint64_t history_lines(struct history *history);
/* 0, or what went wrong so far: TROTH_ERR_STORAGE: a line could not be written, and no later one
 * was; TROTH_ERR_NO_MEMORY. */
int history_error(struct history *history);
/* Writes what is waiting, frees. history_error's result; TROTH_ERR_STORAGE. NULL is let be. */
int history_close(struct history *history);

#endif
