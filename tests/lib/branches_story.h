/* branches_story: a resource manager's branches with nothing but events and effects around, to
 * tell a rule as a story. One participant "stock" of incarnation US; up to three nodes. */
#ifndef TESTS_LIB_BRANCHES_STORY_H
#define TESTS_LIB_BRANCHES_STORY_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/branches.h"

#define US    ((7ull << 32) | 5)
#define OLDER ((7ull << 32) | 4)

struct story {
    struct branches *branches;
    struct branches_effects effects;
    int64_t now_ms;
    uint64_t session[4]; /* of each node; 0: none */
    uint64_t sessions;
    struct branches_options options;
};

static inline void story_begin(struct story *s, struct branches_options options) {
    *s = (struct story){.now_ms = 1000, .options = options};
    s->options.name = "stock";
    s->options.incarnation = options.incarnation != 0 ? options.incarnation : US;
    s->options.seed = 42;
    ck_assert_int_eq(branches_new(&s->branches, &s->options), 0);
}
static inline void story_end(struct story *s) {
    branches_free(s->branches);
    branches_effects_release(&s->effects);
}

static inline void story_step(struct story *s, struct branches_event event) {
    event.now_ms = s->now_ms;
    ck_assert_int_eq(branches_step(s->branches, &event, &s->effects), 0);
}

/* ---- What happens ---------------------------------------------------------------------------- */

static inline struct troth_txid tx(uint64_t n) { /* of node 1 */
    return troth_txid_make(0, 1, 3, n);
}
static inline void story_node_up_as(struct story *s, uint32_t node, uint8_t disk,
                                    uint64_t incarnation) {
    uint8_t bytes[BRANCHES_DISK_BYTES];
    memset(bytes, disk, sizeof bytes);
    s->session[node] = ++s->sessions;
    story_step(s, (struct branches_event){.type = BRANCHES_NODE_UP,
                                          .node = node,
                                          .session = s->session[node],
                                          .disk = bytes,
                                          .incarnation = incarnation});
}
static inline void story_node_up(struct story *s, uint32_t node) {
    story_node_up_as(s, node, (uint8_t)(0xd0 + node), 1);
}
static inline void story_node_down(struct story *s, uint32_t node) {
    story_step(s, (struct branches_event){.type = BRANCHES_NODE_DOWN, .session = s->session[node]});
}
/* Started, with sessions to three nodes. */
static inline void story_begin_attached(struct story *s, struct branches_options options) {
    story_begin(s, options);
    story_step(s, (struct branches_event){.type = BRANCHES_START});
    for (uint32_t node = 1; node <= 3; node++) {
        story_node_up(s, node);
    }
}
static inline void story_says(struct story *s, uint32_t node, struct message message) {
    story_step(s, (struct branches_event){
                      .type = BRANCHES_MESSAGE, .session = s->session[node], .message = &message});
    message_release(&message);
}
static inline void story_enlist(struct story *s, struct troth_txid txid, uint64_t request) {
    story_step(s,
               (struct branches_event){.type = BRANCHES_ENLIST, .txid = txid, .request = request});
}
/* The client promises to name the branch in its Commit. */
static inline void story_join(struct story *s, struct troth_txid txid, uint64_t request) {
    story_step(s, (struct branches_event){
                      .type = BRANCHES_ENLIST, .txid = txid, .request = request, .joins = true});
}
static inline void story_enlisted(struct story *s, struct troth_txid txid, bool already) {
    story_says(
        s, 1,
        (struct message){.type = MESSAGE_ENLISTED, .txid = txid, .ok = true, .already = already});
}
static inline void story_active(struct story *s, struct troth_txid txid) {
    story_enlist(s, txid, 1);
    story_enlisted(s, txid, false);
    ck_assert_int_eq(branches_state(s->branches, txid), BRANCH_ACTIVE);
}
static inline struct paxos_set *story_set(uint64_t incarnation) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", 9), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", incarnation), 0);
    return paxos_set_new(members, 2);
}
static inline void story_prepare_of(struct story *s, struct troth_txid txid, uint64_t incarnation) {
    story_says(
        s, 1,
        (struct message){.type = MESSAGE_PREPARE, .txid = txid, .set = story_set(incarnation)});
}
static inline void story_prepare(struct story *s, struct troth_txid txid) {
    story_prepare_of(s, txid, s->options.incarnation);
}
static inline void story_one_phase(struct story *s, struct troth_txid txid, uint64_t incarnation) {
    story_says(s, 1,
               (struct message){
                   .type = MESSAGE_COMMIT_ONE_PHASE, .txid = txid, .incarnation = incarnation});
}
static inline void story_decision(struct story *s, uint32_t node, struct troth_txid txid,
                                  enum paxos_outcome outcome) {
    story_says(s, node,
               (struct message){.type = MESSAGE_DECISION, .txid = txid, .outcome = outcome});
}
static inline void story_mark(struct story *s, uint64_t below) {
    story_says(s, 1, (struct message){.type = MESSAGE_MARK, .txid = tx(below)});
}
static inline void story_result(struct story *s, struct troth_txid txid, int result) {
    story_step(s, (struct branches_event){.type = BRANCHES_RESULT, .txid = txid, .result = result});
}
static inline void story_prepared(struct story *s, struct troth_txid txid) {
    story_active(s, txid);
    story_prepare(s, txid);
    story_result(s, txid, PAXOS_VOTE_PREPARED);
    ck_assert_int_eq(branches_state(s->branches, txid), BRANCH_PREPARED);
}
/* Jumps to the next deadline. */
static inline void story_wait(struct story *s) {
    int64_t deadline_ms = branches_deadline_ms(s->branches);
    ck_assert_int_ne(deadline_ms, INT64_MAX);
    ck_assert_int_ge(deadline_ms, s->now_ms);
    s->now_ms = deadline_ms;
    story_step(s, (struct branches_event){.type = BRANCHES_TICK});
}

/* ---- What must hold -------------------------------------------------------------------------- */

static inline size_t story_count(const struct story *s, enum branches_effect_type type) {
    size_t n = 0;
    for (size_t i = 0; i < s->effects.n; i++) {
        n += s->effects.items[i].type == type;
    }
    return n;
}
/* The only effect of this type in the last step. */
static inline const struct branches_effect *story_the(const struct story *s,
                                                      enum branches_effect_type type) {
    ck_assert_uint_eq(story_count(s, type), 1);
    size_t i = 0;
    while (s->effects.items[i].type != type) {
        i++;
    }
    return &s->effects.items[i];
}
static inline size_t story_sent(const struct story *s, enum message_type type) {
    size_t n = 0;
    for (size_t i = 0; i < s->effects.n; i++) {
        n += s->effects.items[i].type == BRANCHES_SEND && s->effects.items[i].message.type == type;
    }
    return n;
}
/* The first message of this type that the last step sent to the node; there must be one. */
static inline const struct branches_effect *story_sent_to(const struct story *s, uint32_t node,
                                                          enum message_type type) {
    for (size_t i = 0; i < s->effects.n; i++) {
        const struct branches_effect *effect = &s->effects.items[i];
        if (effect->type == BRANCHES_SEND && effect->message.type == type && effect->node == node) {
            return effect;
        }
    }
    ck_abort_msg("no %s was sent to node %u", message_type_name(type), node);
    return NULL;
}
static inline void story_expect_state(const struct story *s, struct troth_txid txid,
                                      enum branch_state state) {
    ck_assert_str_eq(branch_state_name(branches_state(s->branches, txid)),
                     branch_state_name(state));
}
static inline void story_expect_call(const struct story *s, enum branches_call call) {
    ck_assert_int_eq(story_the(s, BRANCHES_CALL)->call, call);
}
static inline void story_expect_told(const struct story *s, uint64_t request, int err) {
    const struct branches_effect *told = story_the(s, BRANCHES_ENLISTED);
    ck_assert_uint_eq(told->request, request);
    ck_assert_str_eq(troth_err_name(told->error), troth_err_name(err));
}
/* The last step's votes: this one, to each of three nodes, the set with it. */
static inline void story_expect_votes(const struct story *s, enum paxos_vote vote) {
    ck_assert_uint_eq(story_sent(s, MESSAGE_VOTE), 3);
    for (uint32_t node = 1; node <= 3; node++) {
        const struct branches_effect *effect = story_sent_to(s, node, MESSAGE_VOTE);
        ck_assert_int_eq(effect->message.vote, vote);
        ck_assert_ptr_nonnull(effect->message.set);
        ck_assert_uint_eq(effect->message.set->n, 2);
    }
}
static inline void story_expect_ack(const struct story *s, uint32_t node,
                                    enum paxos_outcome outcome, bool hazard) {
    const struct branches_effect *ack = story_sent_to(s, node, MESSAGE_ACK);
    ck_assert_int_eq(ack->message.outcome, outcome);
    ck_assert_int_eq(ack->message.heuristic != MESSAGE_HEURISTIC_NONE, hazard);
    ck_assert(ack->after_store);
}
static inline void story_expect_nothing(const struct story *s) {
    ck_assert_uint_eq(s->effects.n, 0);
}

/* Begun with three nodes; tx(1) is joined. */
static inline void story_joined(struct story *s, struct branches_options options) {
    story_begin_attached(s, options);
    story_join(s, tx(1), 10);
    story_expect_told(s, 10, 0);
    story_expect_state(s, tx(1), BRANCH_ACTIVE);
}

#endif
