/* wire: messages to protobuf frames and back.
 *
 * Encoding gives a frame with one message; the streams pack frames by putting one behind the
 * other (see rpc/rpc.h). Decoding takes a frame with any number and checks everything that comes
 * from outside: lengths, names, numbers of enums, limits. What it does not know it skips.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"
#include "proto/wire_sets.h"

/* A growing buffer of bytes: zero it before first use, wire_buffer_release at the end. */
struct wire_buffer {
    uint8_t *bytes;
    size_t n;
    size_t capacity;
};
void wire_buffer_release(struct wire_buffer *buffer);

/* Of the protocol between participants and nodes: what a participant's hello may say. */
#define WIRE_PARTICIPANT_VERSION     2u
#define WIRE_PARTICIPANT_VERSION_MIN 1u
#define WIRE_NUMBERS_SINCE           2u /* a participant of this version knows set numbers */

/* Sessions' first messages. Strings are NUL-ended and checked. */
struct wire_participant_hello {
    char cluster[PAXOS_NAME_BYTES];
    char participant[PAXOS_NAME_BYTES];
    uint64_t incarnation;
    char endpoint[128];
    uint32_t version;
};
struct wire_welcome {
    uint32_t node;
    uint32_t nodes;
    uint64_t node_incarnation;
    uint8_t disk[16];
};
struct wire_remembered {
    uint32_t node; /* 0: nothing is remembered of it */
    uint8_t disk[16];
    uint64_t incarnation;
    uint64_t boot;
};
#define WIRE_BOOTS_MAX 64u /* starts that a hello tells of */
struct wire_peer_hello {
    char cluster[PAXOS_NAME_BYTES];
    uint32_t node;
    uint32_t nodes;
    uint64_t incarnation;
    uint8_t disk[16];
    uint32_t version;
    bool fresh;
    uint64_t boot; /* drawn at this start; 0: it does not say */
    /* Of the starts up to this one, newest last: boots[n_boots - 1] is `boot`. None: an older
     * version, which does not say. */
    uint64_t boots[WIRE_BOOTS_MAX];
    uint32_t n_boots;
    bool has_cell; /* an older version does not say */
    uint32_t cell;
    struct wire_remembered remembered[PAXOS_NODES_MAX + 1]; /* by node id */
};

/* Which stream a frame belongs to. */
enum wire_frame {
    WIRE_PARTICIPANT_TO_NODE, /* troth.v1.ParticipantFrame */
    WIRE_NODE_TO_PARTICIPANT, /* troth.v1.NodeFrame */
    WIRE_NODE_TO_NODE,        /* troth.v1.PeerFrame */
};

/* Appends a frame with this one message. `sets` are the stream's, and the caller keeps the rule of
 * wire_sets.h; NULL: sets are written out. TROTH_ERR_NO_MEMORY. A type that the stream does not
 * have is a programmer's error (assertion), and so is a phase 2a with other than set->n votes. */
int wire_encode(enum wire_frame frame, const struct message *message, struct wire_sets *sets,
                struct wire_buffer *buffer);

/* Reads a frame: *batch has its messages, for message_batch_free; NULL when there are none.
 * `sets` are the stream's; NULL: it has none. TROTH_ERR_INVALID for bytes that are no such frame or
 * break a limit: then none is handed over. TROTH_ERR_NO_MEMORY. After an error all further frames
 * with these sets are invalid. Hellos in the frame are skipped here.
 *
 * What the cores may rely on: names are valid and differ within a set; PREPARE and VOTE have a set;
 * VOTE is prepared, read-only or aborted; PHASE1B's accepted and PHASE2A's votes are as many as the
 * set's members, none without a set; ballots are at most PAXOS_BALLOT_MAX. A reason or a kind of
 * Ask that only a later version knows is NONE. */
int wire_decode(enum wire_frame frame, const uint8_t *bytes, size_t n, struct wire_sets *sets,
                struct message_batch **batch);

/* The greetings: encode appends a frame of its own; decode returns TROTH_ERR_NOT_FOUND when the
 * frame does not begin with one, TROTH_ERR_INVALID when it is malformed. A frame may hold
 * messages behind its greeting: pass it to wire_decode too. */
int wire_encode_participant_hello(const struct wire_participant_hello *hello,
                                  struct wire_buffer *buffer);
int wire_decode_participant_hello(const uint8_t *bytes, size_t n,
                                  struct wire_participant_hello *hello);
int wire_encode_welcome(const struct wire_welcome *welcome, struct wire_buffer *buffer);
int wire_decode_welcome(const uint8_t *bytes, size_t n, struct wire_welcome *welcome);
/* In a PeerFrame from the dialling side, in a PeerReplyFrame (`reply`) from the other. */
int wire_encode_peer_hello(const struct wire_peer_hello *hello, bool reply,
                           struct wire_buffer *buffer);
int wire_decode_peer_hello(const uint8_t *bytes, size_t n, bool reply,
                           struct wire_peer_hello *hello);

#endif
