/* wire_sets: numbers in place of the participant sets that repeat on a stream.
 *
 * Most transactions of a pair of processes are of the same few sets, each in many messages. So the
 * first message with a set defines a number for it, and those behind it on the stream carry the
 * number alone. There is one of these at each end of each direction of a stream; both begin empty
 * with the stream and change by the same messages in the same order.
 *
 * A definition that is lost where a message that refers to it arrives would be a set mistaken for
 * another. So the rule for a sender: the messages leave in the order in which they were encoded,
 * and once one that was encoded does not leave, nothing that was encoded behind it leaves either,
 * and wire_sets_clear comes before the next is encoded. What is defined anew replaces what the
 * other end has. The receiver, for its part, takes nothing more from a stream once a frame was
 * refused.
 */
#ifndef PROTO_WIRE_SETS_H
#define PROTO_WIRE_SETS_H

#include "paxos/types.h"

/* Numbers are 1 to this; a sender gives them out in turn, again and again. */
#define WIRE_SETS_MAX 256u

struct wire_sets_table;
/* Zero it before first use; wire_sets_clear at the end. */
struct wire_sets {
    struct wire_sets_table *table;
    bool broken; /* a frame was refused: the receiver's only */
};
/* Forgets all, as at the begin of a stream. */
void wire_sets_clear(struct wire_sets *sets);

/* The sender's: the set's number, with *is_new when it has to be defined. 0: there is no memory for
 * one. Holds the set. */
uint32_t wire_sets_number(struct wire_sets *sets, struct paxos_set *set, bool *is_new);

/* The receiver's: gives the set the number, in place of another that had it; holds the set.
 * TROTH_ERR_INVALID for a number out of range, TROTH_ERR_NO_MEMORY. */
int wire_sets_define(struct wire_sets *sets, uint32_t number, struct paxos_set *set);
/* The set with the number, not held for the caller; NULL: there is none. */
struct paxos_set *wire_sets_find(const struct wire_sets *sets, uint32_t number);

#endif
