/* wire: frames of any stream; what their messages hold is in wire_participant.c and wire_peer.c. */
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "proto/wire_parts.h"

/* A frame with no more messages than this is decoded without the heap. */
#define MESSAGES_ON_STACK 16u

int wire_encode(enum wire_frame frame, const struct message *message, struct wire_buffer *buffer) {
    struct wire_scratch scratch;
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
    return wire_append(buffer, &item.base);
}

static int read_item(enum wire_frame frame, struct wire_item item, struct wire_arena *arena,
                     struct message *message) {
    Troth__V1__ParticipantMessage *participant;
    Troth__V1__NodeToParticipant *node;
    Troth__V1__PeerMessage *peer;
    int err = TROTH_ERR_INVALID;
    switch (frame) {
    case WIRE_PARTICIPANT_TO_NODE:
        err = wire_unpack(&troth__v1__participant_message__descriptor, item, arena, &participant);
        return err != 0 ? err : wire_read_participant(participant, message);
    case WIRE_NODE_TO_PARTICIPANT:
        err = wire_unpack(&troth__v1__node_to_participant__descriptor, item, arena, &node);
        return err != 0 ? err : wire_read_node(node, message);
    case WIRE_NODE_TO_NODE:
        err = wire_unpack(&troth__v1__peer_message__descriptor, item, arena, &peer);
        return err != 0 ? err : wire_read_peer(peer, message);
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

/* Fills `messages` and adds each to *count, also one that was read in part: all are to be
 * released whatever is returned. */
static int read_items(enum wire_frame frame, const uint8_t *bytes, size_t n,
                      struct message *messages, size_t *count) {
    struct wire_walker walker = {.at = bytes, .end = bytes + n};
    struct wire_item item;
    struct wire_arena arena;
    wire_arena_init(&arena);
    int err = 0;
    while (err == 0 && wire_next_item(&walker, &item) > 0) {
        struct message *message = &messages[*count];
        *message = (struct message){.type = MESSAGE_NONE};
        err = read_item(frame, item, &arena, message);
        wire_arena_clear(&arena);
        if (err != 0 || message->type != MESSAGE_NONE) {
            (*count)++;
        }
    }
    return err;
}

int wire_decode(enum wire_frame frame, const uint8_t *bytes, size_t n, wire_each_fn *each,
                void *arg) {
    if (n == 0) {
        return 0;
    }
    int items = count_items(bytes, n);
    if (items < 0) {
        return items;
    }
    struct message on_stack[MESSAGES_ON_STACK];
    struct message *messages = on_stack;
    if ((size_t)items > MESSAGES_ON_STACK) {
        messages = malloc((size_t)items * sizeof *messages);
        if (messages == NULL) {
            return TROTH_ERR_NO_MEMORY;
        }
    }
    size_t count = 0;
    int err = read_items(frame, bytes, n, messages, &count);
    for (size_t i = 0; i < count; i++) {
        if (err == 0) {
            err = each(arg, &messages[i]);
        }
        message_release(&messages[i]);
    }
    if (messages != on_stack) {
        free(messages);
    }
    return err;
}
