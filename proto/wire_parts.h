/* wire_parts: what the streams' conversions share. Private to proto/wire*.c.
 *
 * Encoding builds protobuf-c's structs in a scratch on the stack, which points into the message,
 * and packs them behind what the buffer holds. Decoding unpacks one message at a time into an
 * arena that is emptied at once, so that what a frame can make us allocate stays small.
 */
#ifndef PROTO_WIRE_PARTS_H
#define PROTO_WIRE_PARTS_H

#include "proto/wire.h"
#include "proto/wire_items.h"
#include "troth/v1/nodes.pb-c.h"
#include "troth/v1/participants.pb-c.h"

/* ---- Encoding -------------------------------------------------------------------------------- */

struct wire_scratch {
    struct wire_sets *sets; /* the stream's; NULL: sets are written out */
    union {
        Troth__V1__ParticipantEnlist enlist;
        Troth__V1__ParticipantVote vote;
        Troth__V1__ParticipantAck ack;
        Troth__V1__OnePhaseResult one_phase_result;
        Troth__V1__BranchAborted branch_aborted;
        Troth__V1__ParticipantPing participant_ping;
        Troth__V1__Enlisted enlisted;
        Troth__V1__PrepareBranch prepare;
        Troth__V1__PrepareWork prepare_work;
        Troth__V1__CommitOnePhase commit_one_phase;
        Troth__V1__Decision decision;
        Troth__V1__AllAccepted accepted;
        Troth__V1__Mark mark;
        Troth__V1__NodePing node_ping;
        Troth__V1__Phase1a phase1a;
        Troth__V1__Phase1b phase1b;
        Troth__V1__Phase2a phase2a;
        Troth__V1__Phase2b phase2b;
        Troth__V1__Refused refused;
        Troth__V1__Known known;
        Troth__V1__Ask ask;
        Troth__V1__Answer answer;
        Troth__V1__Heartbeat heartbeat;
        Troth__V1__Leaving leaving;
    } part;
    uint8_t txid[TROTH_TXID_BYTES];
    Troth__V1__Branch branches[PAXOS_PARTICIPANTS_MAX];
    Troth__V1__Branch *branch_list[PAXOS_PARTICIPANTS_MAX];
    Troth__V1__Accepted accepted[PAXOS_PARTICIPANTS_MAX];
    Troth__V1__Accepted *accepted_list[PAXOS_PARTICIPANTS_MAX];
    Troth__V1__Vote votes[PAXOS_PARTICIPANTS_MAX];
};

ProtobufCBinaryData wire_put_txid(const struct message *message, struct wire_scratch *scratch);
/* The message's set as branches, its votes, its accepted votes; each returns how many. A set that
 * is known at the other end has a number and no branches. */
size_t wire_put_set(const struct message *message, struct wire_scratch *scratch, uint32_t *number);
size_t wire_put_votes(const struct message *message, struct wire_scratch *scratch);
size_t wire_put_accepted(const struct message *message, struct wire_scratch *scratch);

/* One message into the scratch's part, for each stream; false: the stream has no such type. */
bool wire_build_participant(const struct message *message, struct wire_scratch *scratch,
                            Troth__V1__ParticipantMessage *item);
bool wire_build_node(const struct message *message, struct wire_scratch *scratch,
                     Troth__V1__NodeToParticipant *item);
bool wire_build_peer(const struct message *message, struct wire_scratch *scratch,
                     Troth__V1__PeerMessage *item);

/* ---- Decoding -------------------------------------------------------------------------------- */

/* Each reads a field into the message or returns false when it breaks a rule. */
bool wire_get_txid(const ProtobufCBinaryData *bytes, struct message *message);
bool wire_get_ballot(uint32_t ballot, uint32_t *out);
bool wire_get_outcome(Troth__V1__Outcome outcome, struct message *message);
/* A reason that a newer version may have means none to us. */
void wire_get_reason(Troth__V1__AbortReason reason, struct message *message);
/* One that a newer version may have means "not known" to us, which it is. */
void wire_get_heuristic(Troth__V1__Heuristic heuristic, struct message *message);
/* 0, TROTH_ERR_INVALID, TROTH_ERR_NO_MEMORY. No branches and no number: no set. */
int wire_get_set(size_t n, Troth__V1__Branch *const *branches, uint32_t number,
                 struct wire_sets *sets, struct message *message);
int wire_get_votes(size_t n, const Troth__V1__Vote *votes, struct message *message);
/* After the set: there must be as many. */
int wire_get_accepted(size_t n, Troth__V1__Accepted *const *accepted, struct message *message);

/* One item of each stream to a message, whose type stays NONE when it is to be skipped. What the
 * message holds after an error is the caller's to release. */
int wire_read_participant(const Troth__V1__ParticipantMessage *item, struct wire_sets *sets,
                          struct message *message);
int wire_read_node(const Troth__V1__NodeToParticipant *item, struct wire_sets *sets,
                   struct message *message);
int wire_read_peer(const Troth__V1__PeerMessage *item, struct wire_sets *sets,
                   struct message *message);

/* A mark is the same on both streams. */
void wire_build_mark(const struct message *message, struct wire_scratch *scratch);
int wire_read_mark(const void *in, struct message *message);

#endif
