/* txid: a transaction's 128-bit identity, never used twice (ARCHITECTURE H5).
 *
 * `hi` holds where it was begun: cell (16 bits), node (16), the node's incarnation (32); `lo` is
 * the sequence number within that incarnation, from 1. On the wire and in files it is 16 bytes,
 * hi then lo, big-endian; for people it is the 32 lower-case hexadecimal digits of those bytes.
 *
 * The highest cell is no cluster's: in it a participant makes txids of its own, for branches whose
 * transaction manager is not Troth (participant/troth_foreign.h).
 */
#ifndef BASE_TXID_H
#define BASE_TXID_H

#include <stdbool.h>
#include <stdint.h>

#define TROTH_TXID_BYTES        16
#define TROTH_TXID_TEXT         33 /* 32 digits and the NUL */
#define TROTH_TXID_CELL_FOREIGN 0xffffu

struct troth_txid {
    uint64_t hi;
    uint64_t lo;
};

struct troth_txid troth_txid_make(uint16_t cell, uint16_t node, uint32_t incarnation,
                                  uint64_t sequence);
uint16_t troth_txid_cell(struct troth_txid txid);
uint16_t troth_txid_node(struct troth_txid txid);
uint32_t troth_txid_incarnation(struct troth_txid txid);
uint64_t troth_txid_sequence(struct troth_txid txid);

bool troth_txid_is_zero(struct troth_txid txid);
/* Whether a participant has made it, for a transaction manager that is not Troth. */
bool troth_txid_is_foreign(struct troth_txid txid);
bool troth_txid_equal(struct troth_txid a, struct troth_txid b);
/* Below, at or above 0 as a comes before, is, or comes after b: by hi, then lo. */
int troth_txid_compare(struct troth_txid a, struct troth_txid b);

void troth_txid_to_bytes(struct troth_txid txid, uint8_t bytes[TROTH_TXID_BYTES]);
struct troth_txid troth_txid_from_bytes(const uint8_t bytes[TROTH_TXID_BYTES]);

/* Writes the 32 digits and a NUL; returns `text`. */
char *troth_txid_format(struct troth_txid txid, char text[TROTH_TXID_TEXT]);
/* Exactly 32 hexadecimal digits of either case, with a node and a sequence that are not 0; else
 * TROTH_ERR_INVALID, and *txid is unchanged. */
int troth_txid_parse(const char *text, struct troth_txid *txid);

#endif
