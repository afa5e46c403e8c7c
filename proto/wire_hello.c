/* wire_hello: the greetings that open each stream. */
#include <assert.h>
#include <string.h>

#include "base/troth_err.h"
#include "proto/wire_parts.h"

#define DISK_BYTES 16u

/* ---- Fields ---------------------------------------------------------------------------------- */

static ProtobufCBinaryData put_disk(const uint8_t disk[DISK_BYTES]) {
    return (ProtobufCBinaryData){.len = DISK_BYTES, .data = (uint8_t *)disk};
}

static bool get_disk(const ProtobufCBinaryData *bytes, uint8_t disk[DISK_BYTES]) {
    if (bytes->len != DISK_BYTES) {
        return false;
    }
    memcpy(disk, bytes->data, DISK_BYTES);
    return true;
}

static bool get_name(const char *text, char name[PAXOS_NAME_BYTES]) {
    if (!paxos_name_valid(text)) {
        return false;
    }
    memcpy(name, text, strlen(text) + 1);
    return true;
}

/* Printable ASCII, or nothing: it is shown to people. */
static bool get_endpoint(const char *text, char *endpoint, size_t size) {
    size_t n = 0;
    for (; text[n] != '\0'; n++) {
        if (n + 1 == size || text[n] <= ' ' || text[n] > '~') {
            return false;
        }
        endpoint[n] = text[n];
    }
    endpoint[n] = '\0';
    return true;
}

static bool node_valid(uint32_t node, uint32_t nodes) {
    return node >= 1 && node <= nodes && nodes <= PAXOS_NODES_MAX;
}

/* Unpacks the frame's first item. */
static int unpack_first(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                        size_t n, struct wire_arena *arena, void *out) {
    if (n == 0) {
        return TROTH_ERR_NOT_FOUND;
    }
    struct wire_walker walker = {.at = bytes, .end = bytes + n};
    struct wire_item item;
    int got = wire_next_item(&walker, &item);
    if (got <= 0) {
        return got == 0 ? TROTH_ERR_NOT_FOUND : got;
    }
    return wire_unpack(descriptor, item, arena, out);
}

/* ---- Participants ---------------------------------------------------------------------------- */

int wire_encode_participant_hello(const struct wire_participant_hello *hello,
                                  struct wire_buffer *buffer) {
    Troth__V1__ParticipantHello part = TROTH__V1__PARTICIPANT_HELLO__INIT;
    part.cluster = (char *)hello->cluster;
    part.participant = (char *)hello->participant;
    part.incarnation = hello->incarnation;
    part.endpoint = (char *)hello->endpoint;
    part.version = hello->version;
    Troth__V1__ParticipantMessage item = TROTH__V1__PARTICIPANT_MESSAGE__INIT;
    item.kind_case = TROTH__V1__PARTICIPANT_MESSAGE__KIND_HELLO;
    item.hello = &part;
    return wire_append(buffer, &item.base);
}

static int read_participant_hello(const Troth__V1__ParticipantMessage *item,
                                  struct wire_participant_hello *hello) {
    if (item->kind_case != TROTH__V1__PARTICIPANT_MESSAGE__KIND_HELLO) {
        return TROTH_ERR_NOT_FOUND;
    }
    const Troth__V1__ParticipantHello *part = item->hello;
    if (!get_name(part->cluster, hello->cluster) ||
        !get_name(part->participant, hello->participant) ||
        !get_endpoint(part->endpoint, hello->endpoint, sizeof hello->endpoint)) {
        return TROTH_ERR_INVALID;
    }
    hello->incarnation = part->incarnation;
    hello->version = part->version;
    return 0;
}

int wire_decode_participant_hello(const uint8_t *bytes, size_t n,
                                  struct wire_participant_hello *hello) {
    struct wire_arena arena;
    wire_arena_init(&arena);
    *hello = (struct wire_participant_hello){.version = 0};
    Troth__V1__ParticipantMessage *item;
    int err = unpack_first(&troth__v1__participant_message__descriptor, bytes, n, &arena, &item);
    if (err == 0) {
        err = read_participant_hello(item, hello);
    }
    wire_arena_clear(&arena);
    return err;
}

int wire_encode_welcome(const struct wire_welcome *welcome, struct wire_buffer *buffer) {
    Troth__V1__Welcome part = TROTH__V1__WELCOME__INIT;
    part.node = welcome->node;
    part.nodes = welcome->nodes;
    part.node_incarnation = welcome->node_incarnation;
    part.disk = put_disk(welcome->disk);
    Troth__V1__NodeToParticipant item = TROTH__V1__NODE_TO_PARTICIPANT__INIT;
    item.kind_case = TROTH__V1__NODE_TO_PARTICIPANT__KIND_WELCOME;
    item.welcome = &part;
    return wire_append(buffer, &item.base);
}

static int read_welcome(const Troth__V1__NodeToParticipant *item, struct wire_welcome *welcome) {
    if (item->kind_case != TROTH__V1__NODE_TO_PARTICIPANT__KIND_WELCOME) {
        return TROTH_ERR_NOT_FOUND;
    }
    const Troth__V1__Welcome *part = item->welcome;
    if (!node_valid(part->node, part->nodes) || !get_disk(&part->disk, welcome->disk)) {
        return TROTH_ERR_INVALID;
    }
    welcome->node = part->node;
    welcome->nodes = part->nodes;
    welcome->node_incarnation = part->node_incarnation;
    return 0;
}

int wire_decode_welcome(const uint8_t *bytes, size_t n, struct wire_welcome *welcome) {
    struct wire_arena arena;
    wire_arena_init(&arena);
    *welcome = (struct wire_welcome){.node = 0};
    Troth__V1__NodeToParticipant *item;
    int err = unpack_first(&troth__v1__node_to_participant__descriptor, bytes, n, &arena, &item);
    if (err == 0) {
        err = read_welcome(item, welcome);
    }
    wire_arena_clear(&arena);
    return err;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

int wire_encode_peer_hello(const struct wire_peer_hello *hello, bool reply,
                           struct wire_buffer *buffer) {
    Troth__V1__Remembered remembered[PAXOS_NODES_MAX];
    Troth__V1__Remembered *list[PAXOS_NODES_MAX];
    Troth__V1__PeerHello part = TROTH__V1__PEER_HELLO__INIT;
    part.cluster = (char *)hello->cluster;
    part.node = hello->node;
    part.nodes = hello->nodes;
    part.incarnation = hello->incarnation;
    part.disk = put_disk(hello->disk);
    part.version = hello->version;
    part.fresh = hello->fresh;
    part.boot = hello->boot;
    part.boots = (uint64_t *)hello->boots;
    part.n_boots = hello->n_boots;
    if (hello->has_cell) {
        part.told_case = TROTH__V1__PEER_HELLO__TOLD_CELL;
        part.cell = hello->cell;
    }
    part.remembered = list;
    for (uint32_t node = 1; node <= PAXOS_NODES_MAX; node++) {
        const struct wire_remembered *one = &hello->remembered[node];
        if (one->node == 0) {
            continue;
        }
        assert(one->node == node);
        Troth__V1__Remembered *out = &remembered[part.n_remembered];
        *out = (Troth__V1__Remembered)TROTH__V1__REMEMBERED__INIT;
        out->node = node;
        out->disk = put_disk(one->disk);
        out->incarnation = one->incarnation;
        out->boot = one->boot;
        list[part.n_remembered++] = out;
    }
    if (reply) { /* PeerReplyFrame's field 1 is the hello itself */
        return wire_append(buffer, &part.base);
    }
    Troth__V1__PeerMessage item = TROTH__V1__PEER_MESSAGE__INIT;
    item.kind_case = TROTH__V1__PEER_MESSAGE__KIND_HELLO;
    item.hello = &part;
    return wire_append(buffer, &item.base);
}

static bool get_remembered(const Troth__V1__Remembered *part, struct wire_peer_hello *hello) {
    if (!node_valid(part->node, PAXOS_NODES_MAX) || hello->remembered[part->node].node != 0) {
        return false;
    }
    struct wire_remembered *one = &hello->remembered[part->node];
    one->node = part->node;
    one->incarnation = part->incarnation;
    one->boot = part->boot;
    return get_disk(&part->disk, one->disk);
}

/* No start is before the first one, and the last one is this. */
static bool get_boots(const Troth__V1__PeerHello *part, struct wire_peer_hello *hello) {
    size_t n = part->n_boots;
    if (n > WIRE_BOOTS_MAX || n > part->incarnation ||
        (n > 0 && part->boots[n - 1] != part->boot)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        hello->boots[i] = part->boots[i];
    }
    hello->n_boots = (uint32_t)n;
    return true;
}

static int read_peer_hello(const Troth__V1__PeerHello *part, struct wire_peer_hello *hello) {
    if (!get_name(part->cluster, hello->cluster) || !node_valid(part->node, part->nodes) ||
        !get_disk(&part->disk, hello->disk) || !get_boots(part, hello)) {
        return TROTH_ERR_INVALID;
    }
    hello->node = part->node;
    hello->nodes = part->nodes;
    hello->incarnation = part->incarnation;
    hello->version = part->version;
    hello->fresh = part->fresh;
    hello->boot = part->boot;
    hello->has_cell = part->told_case == TROTH__V1__PEER_HELLO__TOLD_CELL;
    hello->cell = hello->has_cell ? part->cell : 0;
    for (size_t i = 0; i < part->n_remembered; i++) {
        if (!get_remembered(part->remembered[i], hello)) {
            return TROTH_ERR_INVALID;
        }
    }
    return 0;
}

int wire_decode_peer_hello(const uint8_t *bytes, size_t n, bool reply,
                           struct wire_peer_hello *hello) {
    struct wire_arena arena;
    wire_arena_init(&arena);
    *hello = (struct wire_peer_hello){.node = 0};
    Troth__V1__PeerHello *part = NULL;
    int err;
    if (reply) {
        err = unpack_first(&troth__v1__peer_hello__descriptor, bytes, n, &arena, &part);
    } else {
        Troth__V1__PeerMessage *item;
        err = unpack_first(&troth__v1__peer_message__descriptor, bytes, n, &arena, &item);
        if (err == 0 && item->kind_case != TROTH__V1__PEER_MESSAGE__KIND_HELLO) {
            err = TROTH_ERR_NOT_FOUND;
        } else if (err == 0) {
            part = item->hello;
        }
    }
    if (err == 0) {
        err = read_peer_hello(part, hello);
    }
    wire_arena_clear(&arena);
    return err;
}
