#include "coordinator/membership.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(struct membership_answer *answer, enum membership_verdict verdict,
                const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct membership_answer *answer, enum membership_verdict verdict,
                const char *format, ...) {
    answer->verdict = verdict;
    va_list args;
    va_start(args, format);
    vsnprintf(answer->text, sizeof answer->text, format, args);
    va_end(args);
}

void membership_add_boot(struct membership *membership, uint64_t boot) {
    assert(boot != 0);
    uint64_t *boots = membership->boots;
    if (membership->n_boots == WIRE_BOOTS_MAX) {
        memmove(boots, boots + 1, --membership->n_boots * sizeof *boots);
    }
    boots[membership->n_boots++] = boot;
}

void membership_hello(const struct membership *membership, struct wire_peer_hello *hello) {
    assert(membership->n_boots > 0 && membership->n_boots <= WIRE_BOOTS_MAX);
    *hello = (struct wire_peer_hello){
        .node = membership->self,
        .nodes = membership->nodes,
        .incarnation = membership->incarnation,
        .version = MEMBERSHIP_VERSION,
        .fresh = membership->fresh,
        .boot = membership->boots[membership->n_boots - 1],
        .n_boots = membership->n_boots,
        .has_cell = true,
        .cell = membership->cell,
    };
    memcpy(hello->boots, membership->boots, sizeof hello->boots);
    memcpy(hello->cluster, membership->cluster, sizeof hello->cluster);
    memcpy(hello->disk, membership->disk, sizeof hello->disk);
    for (uint32_t node = 1; node <= membership->nodes; node++) {
        const struct membership_node *peer = &membership->peers[node];
        if (node != membership->self && peer->incarnation != 0) {
            struct wire_remembered *remembered = &hello->remembered[node];
            remembered->node = node;
            remembered->incarnation = peer->incarnation;
            remembered->boot = peer->boot;
            memcpy(remembered->disk, peer->disk, sizeof remembered->disk);
        }
    }
}

/* Of our cluster at all? */
static bool belongs(const struct membership *membership, uint32_t dialled,
                    const struct wire_peer_hello *hello, struct membership_answer *answer) {
    if (hello->version != MEMBERSHIP_VERSION) {
        say(answer, MEMBERSHIP_REFUSE,
            "node %u speaks version %u of the protocol between nodes, node %u speaks %u: run "
            "versions of trothd that go together",
            hello->node, hello->version, membership->self, MEMBERSHIP_VERSION);
    } else if (strcmp(hello->cluster, membership->cluster) != 0) {
        say(answer, MEMBERSHIP_REFUSE,
            "node %u is of cluster %s, node %u of cluster %s: correct `cluster` or `nodes`",
            hello->node, hello->cluster, membership->self, membership->cluster);
    } else if (hello->nodes != membership->nodes) {
        say(answer, MEMBERSHIP_REFUSE,
            "node %u was told that the cluster has %u nodes, node %u that it has %u: give all the "
            "same `nodes`",
            hello->node, hello->nodes, membership->self, membership->nodes);
    } else if (hello->has_cell && hello->cell != membership->cell) {
        say(answer, MEMBERSHIP_REFUSE,
            "node %u is of cell %u, node %u of cell %u, and what one begins the other would not "
            "commit: give all nodes of a cluster the same `cell`",
            hello->node, hello->cell, membership->self, membership->cell);
    } else if (dialled != 0 && hello->node != dialled) {
        say(answer, MEMBERSHIP_REFUSE,
            "at the address of node %u there is node %u: correct `nodes` or `node`", dialled,
            hello->node);
    } else if (hello->node == 0 || hello->node > membership->nodes) {
        say(answer, MEMBERSHIP_REFUSE, "there is no node %u in a cluster of %u: correct `node`",
            hello->node, membership->nodes);
    } else if (hello->node == membership->self) {
        say(answer, MEMBERSHIP_REFUSE,
            "two processes say that they are node %u: correct `node` or `nodes` of one of them",
            hello->node);
    } else if (hello->incarnation == 0) {
        say(answer, MEMBERSHIP_REFUSE, "node %u gives no incarnation", hello->node);
    } else {
        return true;
    }
    return false;
}

static bool same_disk(const uint8_t a[16], const uint8_t b[16]) {
    return memcmp(a, b, 16) == 0;
}

/* A node's starts as itself tells them: boots[n - 1] is of incarnation `last`. */
struct starts {
    uint64_t last;
    const uint64_t *boots;
    uint32_t n;
};

/* Is this start, which was seen, none of them? One from before the oldest may have been. */
static bool lack(struct starts starts, uint64_t incarnation, uint64_t boot) {
    if (incarnation > starts.last) {
        return true;
    }
    if (boot == 0) {
        return false; /* whoever saw it is of a version that does not say */
    }
    uint64_t back = starts.last - incarnation;
    return back < starts.n && starts.boots[starts.n - 1 - back] != boot;
}

/* Does the peer remember more of us than we are? */
static bool we_forgot(const struct membership *membership, const struct wire_peer_hello *hello,
                      struct membership_answer *answer) {
    const struct wire_remembered *us = &hello->remembered[membership->self];
    if (us->node != membership->self || us->incarnation == 0) {
        return false;
    }
    if (!same_disk(us->disk, membership->disk)) {
        say(answer, MEMBERSHIP_AMNESIA,
            "node %u knows this node %u with another disk: what this node promised is on that one. "
            "Give it back its old data folder; a lost disk can't be replaced by an empty one: "
            "docs/lost-disk.md",
            hello->node, membership->self);
        return true;
    }
    struct starts ours = {membership->incarnation, membership->boots, membership->n_boots};
    if (lack(ours, us->incarnation, us->boot)) {
        say(answer, MEMBERSHIP_AMNESIA,
            "node %u knows this node %u from a start number %llu that the data folder, now at "
            "start %llu, has not seen: it is an older copy, and what was promised since is "
            "missing. Give it back its newest data folder",
            hello->node, membership->self, (unsigned long long)us->incarnation,
            (unsigned long long)membership->incarnation);
        return true;
    }
    return false;
}

/* Is the peer another than the one that we remember? */
static bool peer_forgot(const struct membership *membership, const struct wire_peer_hello *hello,
                        struct membership_answer *answer) {
    const struct membership_node *peer = &membership->peers[hello->node];
    const struct wire_remembered *us = &hello->remembered[membership->self];
    if (peer->incarnation == 0) {
        return false;
    }
    if (!same_disk(peer->disk, hello->disk) && us->node == membership->self &&
        us->incarnation != 0 && !same_disk(us->disk, membership->disk)) {
        say(answer, MEMBERSHIP_REFUSE,
            "node %u has another disk than the node %u that is known here, and knows this node %u "
            "with another one: it is of another cluster that is named %s, too. Correct `nodes` or "
            "`cluster`",
            hello->node, hello->node, membership->self, membership->cluster);
        answer->tell = true;
        return true;
    }
    if (!same_disk(peer->disk, hello->disk)) {
        say(answer, MEMBERSHIP_REFUSE,
            "node %u came back with %s disk and has forgotten what it promised: give it back its "
            "old data folder; a lost disk can't be replaced by an empty one: docs/lost-disk.md",
            hello->node, hello->fresh ? "an empty" : "another");
        answer->tell = true;
        return true;
    }
    struct starts theirs = {hello->incarnation, hello->boots, hello->n_boots};
    if (hello->n_boots == 0) {
        theirs.boots = &hello->boot;
        theirs.n = 1;
    }
    if (lack(theirs, peer->incarnation, peer->boot)) {
        say(answer, MEMBERSHIP_REFUSE,
            "node %u came back with an older copy of its disk (now at start %llu, without the "
            "start %llu that was seen) and has forgotten what it promised: give it back its newest "
            "data folder",
            hello->node, (unsigned long long)hello->incarnation,
            (unsigned long long)peer->incarnation);
        answer->tell = true;
        return true;
    }
    return false;
}

/* An older start that lives needs no word here: it is refused as an older copy. */
static bool is_beside_another(const struct membership *membership,
                              const struct wire_peer_hello *hello,
                              struct membership_answer *answer) {
    const struct membership_node *peer = &membership->peers[hello->node];
    if (peer->lives == 0 || hello->incarnation <= peer->lives) {
        return false;
    }
    say(answer, MEMBERSHIP_REFUSE,
        "node %u runs already: its start %llu is heard, and this is start %llu, on a copy of its "
        "data folder. Stop the one on the copy, and remove the copy, which lacks what was "
        "promised since; to move a node, stop it before its folder is copied",
        hello->node, (unsigned long long)peer->lives, (unsigned long long)hello->incarnation);
    return true;
}

static void remember(struct membership *membership, uint32_t node, const uint8_t disk[16],
                     uint64_t incarnation, uint64_t boot, struct membership_answer *answer) {
    struct membership_node *peer = &membership->peers[node];
    if (peer->incarnation >= incarnation) {
        return;
    }
    peer->incarnation = incarnation;
    peer->boot = boot;
    memcpy(peer->disk, disk, 16);
    answer->changed |= 1u << node;
}

/* What it remembers of third nodes. Another disk than we remember is let be: that node is refused
 * by one of us, whichever it comes back with, and a human must look. */
static void merge(struct membership *membership, const struct wire_peer_hello *hello,
                  struct membership_answer *answer) {
    for (uint32_t node = 1; node <= membership->nodes; node++) {
        const struct wire_remembered *told = &hello->remembered[node];
        const struct membership_node *known = &membership->peers[node];
        if (node == membership->self || node == hello->node || told->node != node ||
            told->incarnation == 0) {
            continue;
        }
        if (known->incarnation == 0 || same_disk(known->disk, told->disk)) {
            remember(membership, node, told->disk, told->incarnation, told->boot, answer);
        }
    }
}

void membership_greet(struct membership *membership, uint32_t dialled,
                      const struct wire_peer_hello *hello, struct membership_answer *answer) {
    *answer = (struct membership_answer){.verdict = MEMBERSHIP_ADMIT};
    /* Who is not whom we remember is not believed what it says of us. */
    if (!belongs(membership, dialled, hello, answer) || peer_forgot(membership, hello, answer) ||
        we_forgot(membership, hello, answer) || is_beside_another(membership, hello, answer)) {
        return;
    }
    remember(membership, hello->node, hello->disk, hello->incarnation, hello->boot, answer);
    merge(membership, hello, answer);
}

void membership_admitted_by(struct membership *membership, uint32_t node) {
    membership->peers[node].admitted_us = true;
    membership->peers[node].refusal[0] = '\0';
}

void membership_refused_by(struct membership *membership, uint32_t node, const char *text) {
    struct membership_node *peer = &membership->peers[node];
    snprintf(peer->refusal, sizeof peer->refusal, "%s", text);
}

void membership_lives(struct membership *membership, uint32_t node, uint64_t incarnation) {
    membership->peers[node].lives = incarnation;
}

static uint32_t admissions_needed(const struct membership *membership) {
    return membership->fresh ? membership->nodes : paxos_majority(membership->nodes);
}

bool membership_is_ready(const struct membership *membership) {
    uint32_t admissions = 1; /* our own */
    for (uint32_t node = 1; node <= membership->nodes; node++) {
        admissions += node != membership->self && membership->peers[node].admitted_us;
    }
    return admissions >= admissions_needed(membership);
}

static size_t append(char *text, size_t n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static size_t append(char *text, size_t n, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + n, MEMBERSHIP_TEXT_BYTES - n, format, args);
    va_end(args);
    n += more > 0 ? (size_t)more : 0;
    return n < MEMBERSHIP_TEXT_BYTES ? n : MEMBERSHIP_TEXT_BYTES - 1;
}

void membership_waiting_for(const struct membership *membership, char text[MEMBERSHIP_TEXT_BYTES]) {
    text[0] = '\0';
    if (membership_is_ready(membership)) {
        return;
    }
    uint32_t needed = admissions_needed(membership);
    size_t n = append(text, 0, "waiting to be admitted by %s",
                      membership->fresh ? "all other nodes, since the disk is empty;"
                                        : "a majority of the nodes;");
    n = append(text, n, " %u of %u needed, missing:", needed - 1, membership->nodes - 1);
    const char *between = "";
    for (uint32_t node = 1; node <= membership->nodes; node++) {
        const struct membership_node *peer = &membership->peers[node];
        if (node == membership->self || peer->admitted_us) {
            continue;
        }
        n = append(text, n, "%s node %u (%s)", between, node,
                   peer->refusal[0] == '\0' ? "not reached" : peer->refusal);
        between = ",";
    }
}
