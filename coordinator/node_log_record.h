/* node_log_record: an acceptor's record as the columns of a row, and back.
 *
 * The participants are a JSON array that a human can read, in the order of the set:
 * [["name",incarnation,ballot,vote],...]. The sum tells a damaged row from a good one.
 */
#ifndef COORDINATOR_NODE_LOG_RECORD_H
#define COORDINATOR_NODE_LOG_RECORD_H

#include "base/txid.h"
#include "paxos/acceptor.h"

/* A growing text: zero it before first use, free(text) at the end. */
struct node_log_text {
    char *text;
    size_t n;
    size_t capacity;
};
/* Writes the record's participants; "" when it has none. TROTH_ERR_NO_MEMORY. */
int node_log_record_write(const struct acceptor *record, struct node_log_text *out);

/* Reads many records. Equal sets that it reads are one set, as long as it remembers the first; each
 * record has its own reference. NULL when there is no memory. */
struct node_log_reader;
struct node_log_reader *node_log_reader_new(void);
/* The records stay. NULL is let be. */
void node_log_reader_free(struct node_log_reader *reader);
/* Reads what node_log_record_write wrote, to the byte, into an empty record. TROTH_ERR_CORRUPT when
 * it is anything else; TROTH_ERR_NO_MEMORY. The record is empty after an error. */
int node_log_record_read(struct node_log_reader *reader, const char *text, struct acceptor *record);

/* Whether the invariants hold that acceptor_check asserts. */
bool node_log_record_is_sound(const struct acceptor *record);
/* A checksum of all columns, `participants` of n bytes. */
int64_t node_log_record_sum(struct troth_txid txid, const struct acceptor *record,
                            const char *participants, size_t n);

#endif
