/* engine: the participants that Commit and Abort name. */
#include <check.h>
#include <stdio.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

/* Names the members; `n` 0: none. */
static uint64_t ask(uint32_t node, enum engine_event_type type, struct troth_txid txid,
                    const struct paxos_participant *members, uint32_t n) {
    uint64_t request = ++w.request_next;
    struct paxos_set *set = n == 0 ? NULL : paxos_set_new(members, n);
    world_step(
        &w, node,
        (struct engine_event){.type = type, .request = request, .txid = txid, .branches = set});
    paxos_set_release(set);
    world_run(&w);
    ck_assert(world_replied(&w, request));
    return request;
}

/* Participants that nobody has heard of, the first one "other-FROM". */
static void name_others(struct paxos_participant *others, uint32_t n, uint32_t from) {
    for (uint32_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "other-%u", from + i);
        paxos_participant_make(&others[i], name, 1);
    }
}

static struct troth_txid worked_for(uint32_t participants) {
    struct troth_txid txid = world_begin(&w, 1);
    for (uint32_t i = 1; i <= participants; i++) {
        world_work(&w, i, txid);
    }
    world_run(&w);
    return txid;
}

static struct paxos_participant many[PAXOS_PARTICIPANTS_MAX];

START_TEST(too_many_for_a_transaction_are_refused_and_nothing_changes) {
    world_init(&w, 1, 2);
    struct troth_txid txid = worked_for(2);
    name_others(many, PAXOS_PARTICIPANTS_MAX, 0);
    uint64_t commit = ask(1, ENGINE_COMMIT, txid, many, PAXOS_PARTICIPANTS_MAX);
    ck_assert_int_eq(w.replies[commit].error, TROTH_ERR_TOO_MANY);
    commit = ask(1, ENGINE_COMMIT, txid, NULL, 0);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

/* Were they left out the rest would commit without them. */
START_TEST(S5_too_many_for_the_node_are_refused_and_nothing_changes) {
    world_init(&w, 1, 1);
    uint32_t room = ENGINE_NAMES_MAX - 1; /* it knows the one that is attached */
    while (room > 0) {
        uint32_t n = room < PAXOS_PARTICIPANTS_MAX ? room : PAXOS_PARTICIPANTS_MAX;
        room -= n;
        name_others(many, n, room);
        ask(1, ENGINE_ABORT, world_begin(&w, 1), many, n);
    }
    struct troth_txid txid = worked_for(1);
    struct paxos_participant named[] = {w.participant[1].id,
                                        {.name = "one-more", .incarnation = 1}};
    uint64_t commit = ask(1, ENGINE_COMMIT, txid, named, 2);
    ck_assert_int_eq(w.replies[commit].error, TROTH_ERR_TOO_MANY);
    commit = ask(1, ENGINE_COMMIT, txid, named, 1);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(an_abort_is_done_though_it_names_too_many) {
    world_init(&w, 1, 2);
    struct troth_txid txid = worked_for(2);
    name_others(many, PAXOS_PARTICIPANTS_MAX, 0);
    uint64_t aborted = ask(1, ENGINE_ABORT, txid, many, PAXOS_PARTICIPANTS_MAX);
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

static bool names_twice(struct world *world, const struct world_message *message) {
    (void)world;
    const struct paxos_set *set = message->message.set;
    for (uint32_t i = 1; set != NULL && i < set->n; i++) {
        ck_assert_str_ne(set->members[i - 1].name, set->members[i].name);
    }
    return false;
}

/* No message has such a set: who gets one takes the whole frame for a mistake. */
START_TEST(S5_one_named_with_two_incarnations_aborts_whoever_is_asked) {
    for (uint32_t node = 1; node <= 2; node++) { /* its coordinator, or one that passes it on */
        world_init(&w, 3, 2);
        w.lose = names_twice;
        struct troth_txid txid = worked_for(1);
        struct paxos_participant named[] = {w.participant[1].id, w.participant[1].id,
                                            w.participant[2].id};
        named[1].incarnation++; /* it has restarted in between, and worked again */
        uint64_t commit = ask(node, ENGINE_COMMIT, txid, named, 3);
        ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
        ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
        /* Its locks go now: it was joined, and nobody knew of it before. */
        ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_ABORTED);
        world_release(&w);
    }
}
END_TEST

int main(void) {
    return suite_run("engine_named",
                     (const TTest *[]){too_many_for_a_transaction_are_refused_and_nothing_changes,
                                       S5_too_many_for_the_node_are_refused_and_nothing_changes,
                                       an_abort_is_done_though_it_names_too_many,
                                       S5_one_named_with_two_incarnations_aborts_whoever_is_asked,
                                       NULL});
}
