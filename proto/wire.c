/* wire: frames of any stream; what their messages hold is in wire_participant.c and wire_peer.c. */
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "proto/wire_parts.h"

int wire_encode(enum wire_frame frame, const struct message *message, struct wire_sets *sets,
                struct wire_buffer *buffer) {
    struct wire_scratch scratch;
    scratch.sets = sets;
    bool built = false;
    union {
        ProtobufCMessage base;
        Troth__V1__ParticipantMessage participant;
        Troth__V1__NodeToParticipant node;
        Troth__V1__PeerMessage peer;
    } item;
    switch (frame) {
    case WIRE_PARTICIPANT_TO_NODE:
        built = wire_build_participant(message, &scratch, &item.participant);
        break;
    case WIRE_NODE_TO_PARTICIPANT:
        built = wire_build_node(message, &scratch, &item.node);
        break;
    case WIRE_NODE_TO_NODE:
        built = wire_build_peer(message, &scratch, &item.peer);
        break;
    }
    assert(built);
    int err = wire_append(buffer, &item.base);
    if (err != 0 && sets != NULL) {
        wire_sets_clear(sets); /* what it has defined was not encoded */
    }
    return err;
}

static int read_item(enum wire_frame frame, struct wire_item item, struct wire_arena *arena,
                     struct wire_sets *sets, struct message *message) {
    Troth__V1__ParticipantMessage *participant;
    Troth__V1__NodeToParticipant *node;
    Troth__V1__PeerMessage *peer;
    int err = TROTH_ERR_INVALID;
    switch (frame) {
    case WIRE_PARTICIPANT_TO_NODE:
        err = wire_unpack(&troth__v1__participant_message__descriptor, item, arena, &participant);
        return err != 0 ? err : wire_read_participant(participant, sets, message);
    case WIRE_NODE_TO_PARTICIPANT:
        err = wire_unpack(&troth__v1__node_to_participant__descriptor, item, arena, &node);
        return err != 0 ? err : wire_read_node(node, sets, message);
    case WIRE_NODE_TO_NODE:
        err = wire_unpack(&troth__v1__peer_message__descriptor, item, arena, &peer);
        return err != 0 ? err : wire_read_peer(peer, sets, message);
    }
    return err;
}

/* How many items the frame has, or TROTH_ERR_INVALID. */
static int count_items(const uint8_t *bytes, size_t n) {
    struct wire_walker walker = {.at = bytes, .end = bytes + n};
    struct wire_item item;
    int count = 0;
    for (;;) {
        int got = wire_next_item(&walker, &item);
        if (got <= 0) {
            return got == 0 ? count : got;
        }
        if (++count > (int)MESSAGE_PER_FRAME_MAX) {
            return TROTH_ERR_INVALID;
        }
    }
}

/* Fills the batch. It is to be freed whatever is returned: a message that was read in part is in
 * it, too. */
static int read_items(enum wire_frame frame, const uint8_t *bytes, size_t n, struct wire_sets *sets,
                      struct message_batch *batch) {
    struct wire_walker walker = {.at = bytes, .end = bytes + n};
    struct wire_item item;
    struct wire_arena arena;
    wire_arena_init(&arena);
    int err = 0;
    while (err == 0 && wire_next_item(&walker, &item) > 0) {
        struct message *message = &batch->items[batch->n];
        *message = (struct message){.type = MESSAGE_NONE};
        err = read_item(frame, item, &arena, sets, message);
        wire_arena_clear(&arena);
        if (err != 0 || message->type != MESSAGE_NONE) {
            batch->n++;
        }
    }
    return err;
}

static int decode(enum wire_frame frame, const uint8_t *bytes, size_t n, struct wire_sets *sets,
                  struct message_batch **batch) {
    int items = n == 0 ? 0 : count_items(bytes, n);
    if (items <= 0) {
        return items;
    }
    struct message_batch *read = malloc(sizeof *read + (size_t)items * sizeof read->items[0]);
    if (read == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    read->n = 0;
    int err = read_items(frame, bytes, n, sets, read);
    if (err != 0 || read->n == 0) {
        message_batch_free(read);
        return err;
    }
    *batch = read;
    return 0;
}

int wire_decode(enum wire_frame frame, const uint8_t *bytes, size_t n, struct wire_sets *sets,
                struct message_batch **batch) {
    *batch = NULL;
    if (sets != NULL && sets->broken) {
        return TROTH_ERR_INVALID;
    }
    int err = decode(frame, bytes, n, sets, batch);
    if (err != 0 && sets != NULL) {
        sets->broken = true;
    }
    return err;
}
