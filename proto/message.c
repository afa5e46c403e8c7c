#include "proto/message.h"

#include <stdlib.h>
#include <string.h>

void message_release(struct message *message) {
    paxos_set_release(message->set);
    work_release(message->work);
    free(message->votes);
    free(message->accepted);
    *message = (struct message){.type = MESSAGE_NONE};
}

void message_batch_free(struct message_batch *batch) {
    if (batch == NULL) {
        return;
    }
    for (size_t i = 0; i < batch->n; i++) {
        message_release(&batch->items[i]);
    }
    free(batch);
}

/* The bytes of the UTF-8 character at `text`, or 0 when it is none. Overlong forms and surrogates
 * pass: the point is that what follows it is not misread. */
static size_t utf8_length(const unsigned char *text) {
    size_t n = text[0] < 0x80                      ? 1
               : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
               : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
               : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                   : 0;
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

void message_set_detail(struct message *message, const char *text) {
    const unsigned char *from = (const unsigned char *)(text == NULL ? "" : text);
    size_t n = 0;
    while (*from != '\0') {
        size_t length = utf8_length(from);
        size_t copied = length == 0 ? 1 : length;
        if (n + copied >= MESSAGE_DETAIL_BYTES) {
            break;
        }
        if (length > 1) {
            memcpy(&message->detail[n], from, length);
        } else {
            bool plain = length == 1 && *from >= ' ' && *from != 0x7f;
            message->detail[n] = plain ? (char)*from : '?';
        }
        n += copied;
        from += copied;
    }
    message->detail[n] = '\0';
}

const char *message_type_name(enum message_type type) {
    static const char *const names[] = {
        [MESSAGE_NONE] = "none",
        [MESSAGE_ENLIST] = "enlist",
        [MESSAGE_VOTE] = "vote",
        [MESSAGE_ACK] = "ack",
        [MESSAGE_ONE_PHASE_RESULT] = "one-phase-result",
        [MESSAGE_BRANCH_ABORTED] = "branch-aborted",
        [MESSAGE_ENLISTED] = "enlisted",
        [MESSAGE_PREPARE] = "prepare",
        [MESSAGE_COMMIT_ONE_PHASE] = "commit-one-phase",
        [MESSAGE_DECISION] = "decision",
        [MESSAGE_ACCEPTED] = "accepted",
        [MESSAGE_MARK] = "mark",
        [MESSAGE_PHASE1A] = "phase1a",
        [MESSAGE_PHASE1B] = "phase1b",
        [MESSAGE_PHASE2A] = "phase2a",
        [MESSAGE_PHASE2B] = "phase2b",
        [MESSAGE_REFUSED] = "refused",
        [MESSAGE_KNOWN] = "known",
        [MESSAGE_ASK] = "ask",
        [MESSAGE_ANSWER] = "answer",
        [MESSAGE_HEARTBEAT] = "heartbeat",
        [MESSAGE_LEAVING] = "leaving",
        [MESSAGE_PING] = "ping",
    };
    bool known = (size_t)type < sizeof names / sizeof *names && names[type] != NULL;
    return known ? names[type] : "?";
}

const char *message_heuristic_name(enum message_heuristic heuristic) {
    static const char *const names[] = {
        [MESSAGE_HEURISTIC_NONE] = "none",     [MESSAGE_HEURISTIC_COMMIT] = "commit",
        [MESSAGE_HEURISTIC_ABORT] = "abort",   [MESSAGE_HEURISTIC_MIXED] = "mixed",
        [MESSAGE_HEURISTIC_HAZARD] = "hazard",
    };
    return (size_t)heuristic < sizeof names / sizeof *names ? names[heuristic] : "?";
}
