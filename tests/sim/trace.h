/* trace: keeps what happened in a simulated world as lines of text.
 *
 * The last sights are kept in a ring, as plain values that become text only when they are printed;
 * with a FILE each becomes a line of it at once. A line is
 *
 *      1204.337  n1 -> rm2    prepare tx3 {rm1 rm2}  #77
 *
 * milliseconds, who to whom, what, "#" and the message's number. `grep '#77'` shows a message's
 * way, `grep -w tx3` a transaction's.
 *
 *     trace_init(&trace, 4096, NULL);          // TROTH_ERR_NO_MEMORY
 *     trace_see(&trace, sight);                // for each; a sight_fn
 *     trace_print_last(&trace, stdout, 40, broken.tx);
 *     trace_clear(&trace);                     // before the next world
 *     trace_release(&trace);
 */
#ifndef TESTS_SIM_TRACE_H
#define TESTS_SIM_TRACE_H

#include <stdio.h>

#include "tests/sim/sight.h"

#define TRACE_LINE_BYTES 512

struct trace_entry;
struct trace_sent;

struct trace {
    FILE *file;                /* borrowed; NULL: the ring only */
    struct trace_entry *ring;  /* NULL: the file only */
    size_t size;               /* of the ring */
    uint64_t seen;             /* since init or clear */
    struct trace_entry *entry; /* where a sight becomes a line of the file */
    struct trace_sent *sent;   /* by message: what a SIGHT_LOST does not say */
};

/* Keeps the last `size` sights, none with 0; and writes all into `file`, unless that is NULL. */
int trace_init(struct trace *trace, size_t size, FILE *file);
void trace_release(struct trace *trace);
/* Forgets what was seen; the next world may begin. */
void trace_clear(struct trace *trace);
/* `arg` is a struct trace. */
void trace_see(void *arg, const struct sight *sight);
/* The last `n` kept lines, oldest first; with a `tx` other than 0 only what is about it, and what
 * happens to processes. A first line says how many came before. */
void trace_print_last(const struct trace *trace, FILE *to, size_t n, uint32_t tx);

#endif
