/* made: streams of sights made by hand, for the tests of those who look on.
 *
 *     struct made made;
 *     made_init(&made);
 *     made_say(&made, 10000, made_node(1), made_rm(2), 500, (struct speech){.kind = ...});
 *     made_happens(&made, (struct sight){.kind = SIGHT_CRASH, .at_us = ..., .who = ...});
 *     made_tell(&made, trace_see, &trace);   // in the order of time
 *
 * Times need not be given in order. Everything is in the struct; nothing is allocated.
 */
#ifndef TESTS_SIM_MADE_H
#define TESTS_SIM_MADE_H

#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sight.h"

#define MADE_MAX 512

struct made_sight {
    struct sight sight;
    struct speech speech;
    struct node_record record;
    int order;
};
struct made {
    struct made_sight sights[MADE_MAX];
    int n;
    uint64_t messages;
};

static inline struct process made_node(uint8_t index) {
    return (struct process){.role = ROLE_NODE, .index = index};
}
static inline struct process made_rm(uint8_t index) {
    return (struct process){.role = ROLE_RM, .index = index};
}
static inline struct process made_client(uint8_t index) {
    return (struct process){.role = ROLE_CLIENT, .index = index};
}

static inline void made_init(struct made *made) {
    made->n = 0;
    made->messages = 0;
}

static inline struct made_sight *made_happens(struct made *made, struct sight sight) {
    assert(made->n < MADE_MAX);
    struct made_sight *slot = &made->sights[made->n];
    *slot = (struct made_sight){.sight = sight, .order = made->n};
    made->n++;
    return slot;
}

static inline void made_message(struct made *made, enum sight_kind kind, int64_t at_us,
                                struct process who, struct process to, uint64_t message,
                                struct speech speech) {
    struct made_sight *slot = made_happens(made, (struct sight){.kind = kind,
                                                                .at_us = at_us,
                                                                .who = who,
                                                                .to = to,
                                                                .message = message,
                                                                .tx = speech.tx});
    slot->speech = speech;
    slot->sight.speech = &slot->speech;
}

/* Sent at `at_us`, received `delay_us` later; returns its number. */
static inline uint64_t made_say(struct made *made, int64_t at_us, struct process who,
                                struct process to, int64_t delay_us, struct speech speech) {
    uint64_t message = ++made->messages;
    made_message(made, SIGHT_SEND, at_us, who, to, message, speech);
    made_message(made, SIGHT_RECEIVE, at_us + delay_us, who, to, message, speech);
    return message;
}

/* Sent and lost. As the world does it, the sight of the loss has the message's number only. */
static inline uint64_t made_lose(struct made *made, int64_t at_us, struct process who,
                                 struct process to, int64_t delay_us, struct speech speech) {
    uint64_t message = ++made->messages;
    made_message(made, SIGHT_SEND, at_us, who, to, message, speech);
    made_happens(made,
                 (struct sight){.kind = SIGHT_LOST, .at_us = at_us + delay_us, .message = message});
    return message;
}

static inline void made_store(struct made *made, int64_t at_us, uint8_t node, uint32_t tx,
                              struct node_record record) {
    struct made_sight *slot = made_happens(
        made, (struct sight){
                  .kind = SIGHT_NODE_STORED, .at_us = at_us, .who = made_node(node), .tx = tx});
    slot->record = record;
    slot->sight.record = &slot->record;
}

static inline int made_by_time(const void *a, const void *b) {
    const struct made_sight *one = *(struct made_sight *const *)a;
    const struct made_sight *two = *(struct made_sight *const *)b;
    if (one->sight.at_us != two->sight.at_us) {
        return one->sight.at_us < two->sight.at_us ? -1 : 1;
    }
    return one->order - two->order;
}

static inline void made_tell(struct made *made, sight_fn *see, void *arg) {
    struct made_sight *sorted[MADE_MAX];
    for (int i = 0; i < made->n; i++) {
        sorted[i] = &made->sights[i];
    }
    qsort(sorted, (size_t)made->n, sizeof sorted[0], made_by_time);
    for (int i = 0; i < made->n; i++) {
        see(arg, &sorted[i]->sight);
    }
}

#endif
