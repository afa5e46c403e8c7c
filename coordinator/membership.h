/* membership: which peers may take part, and whether we may (ARCHITECTURE H4, amnesia).
 *
 * A node that comes back with an empty or older disk has forgotten what it promised and must not
 * vote. So every node keeps a disk id, drawn when its database is made, and an incarnation that
 * grows durably with every start; it remembers both of its peers, and they of it:
 *
 *   - a hello of another cluster, size, protocol version or node than expected is refused;
 *   - a peer with another disk than remembered, or without the start that is remembered, is
 *     refused: it has an older copy of its disk;
 *   - what a peer remembers of third nodes is merged, the higher incarnation wins;
 *   - a peer that remembers another disk of *us*, or a start that we don't, tells us that we are
 *     the one with the wrong disk: this node must stop. It is believed only where its own disk and
 *     starts are those that we remember of it, or where we remember none: a node of another cluster
 *     with our name, that was given our addresses, must not end this one. Of two that have both
 *     forgotten each refuses the other, and lives on unadmitted until one is heard that has not;
 *   - a start of a peer that is later than one that lives here is refused: it runs on a copy of
 * that one's disk, which goes on, and what is promised there is not on the copy;
 *   - a node that took part before takes part again once a majority, itself counted, has admitted
 *     it; a fresh one (an empty disk: a new cluster, or a lost disk) needs *all* nodes.
 *
 * A start is told from the start with the same incarnation of a copy of the disk by a number that
 * is drawn at each start (`boot`) and kept durably. A copy may have caught up in starts, or be
 * ahead, before it reaches a peer, so a hello tells the boots of the last WIRE_BOOTS_MAX starts,
 * and the remembered one must be among them. What is remembered from further back than they reach
 * is not looked at: such a copy is admitted if its incarnation is higher. So is one by a peer that
 * has never heard of the missing start. A hello that tells no boots of earlier starts (an older
 * version's) is judged by its last one alone.
 *
 * Pure: no I/O, no clock. The caller makes durable what `changed` names before it admits.
 */
#ifndef COORDINATOR_MEMBERSHIP_H
#define COORDINATOR_MEMBERSHIP_H

#include "proto/wire.h"

#define MEMBERSHIP_VERSION    2u /* of the protocol between nodes; 1 knew no set numbers */
#define MEMBERSHIP_TEXT_BYTES 400u

struct membership_node {
    uint8_t disk[16];
    uint64_t incarnation;                /* 0: nothing is remembered of it */
    uint64_t boot;                       /* of that incarnation */
    uint64_t lives;                      /* the incarnation that is heard now; 0: none */
    bool admitted_us;                    /* has greeted us since this start */
    char refusal[MEMBERSHIP_TEXT_BYTES]; /* why not, by the last attempt; "" for not reached */
};

struct membership {
    char cluster[PAXOS_NAME_BYTES];
    uint32_t self;
    uint32_t nodes;
    uint32_t cell;
    uint8_t disk[16];
    uint64_t incarnation;
    uint64_t boots[WIRE_BOOTS_MAX]; /* of the last starts, the last one of this; none is 0 */
    uint32_t n_boots;
    bool fresh;                                        /* has never taken part with this disk */
    struct membership_node peers[PAXOS_NODES_MAX + 1]; /* by node; [self] is not used */
};

enum membership_verdict {
    MEMBERSHIP_ADMIT,
    MEMBERSHIP_REFUSE,  /* the peer is wrong */
    MEMBERSHIP_AMNESIA, /* we are wrong: stop the process */
};
struct membership_answer {
    enum membership_verdict verdict;
    uint32_t changed; /* mask 1 << node: what is remembered of these must be made durable first */
    /* The peer has the wrong disk: send it our hello before refusing, so that it learns it. */
    bool tell;
    char text[MEMBERSHIP_TEXT_BYTES]; /* for humans, unless admitted */
};

/* Puts a start's boot, which is not 0, behind those of the starts before it; the oldest goes when
 * there are too many. To be called up to this start's, before the first hello. */
void membership_add_boot(struct membership *membership, uint64_t boot);

/* Our own hello. */
void membership_hello(const struct membership *membership, struct wire_peer_hello *hello);
/* A peer's hello; `dialled` is the node whose address we dialled, or 0 when it dialled us. On
 * ADMIT the peer and what it told of others are remembered. */
void membership_greet(struct membership *membership, uint32_t dialled,
                      const struct wire_peer_hello *hello, struct membership_answer *answer);
/* The peer has admitted us, or refused with its words. */
void membership_admitted_by(struct membership *membership, uint32_t node);
void membership_refused_by(struct membership *membership, uint32_t node, const char *text);

/* This start of the peer is trusted, and its stream is open; 0: none is, or not any more. */
void membership_lives(struct membership *membership, uint32_t node, uint64_t incarnation);

/* Enough peers have admitted us. */
bool membership_is_ready(const struct membership *membership);
/* Whom we wait for and why, for humans; "" when ready. */
void membership_waiting_for(const struct membership *membership, char text[MEMBERSHIP_TEXT_BYTES]);

#endif
