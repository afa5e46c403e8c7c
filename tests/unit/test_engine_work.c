/* engine: work that comes with Commit, while nobody fails. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/engine_state.h"
#include "tests/lib/engine_world.h"
#include "tests/lib/suite.h"

static struct world w;

/* The participant, whichever of its incarnations is attached. */
static struct paxos_participant any(uint32_t participant) {
    struct paxos_participant id = w.participant[participant].id;
    id.incarnation = 0;
    return id;
}

static uint64_t ask_and_run(uint32_t node, struct troth_txid txid) {
    uint64_t request = world_commit_both(&w, node, txid);
    world_run(&w);
    return request;
}

static uint64_t bytes_kept(uint32_t node) {
    return w.node[node].engine->work_bytes;
}

static uint32_t branches_of(uint32_t node, struct troth_txid txid) {
    return tx_find(w.node[node].engine, txid)->n_branches;
}

/* ---- What is done ---------------------------------------------------------------------------- */

START_TEST(S5_work_is_done_before_the_vote_and_commits_with_it) {
    for (uint32_t nodes = 1; nodes <= 3; nodes += 2) {
        world_init(&w, nodes, 2);
        struct troth_txid txid = world_begin(&w, 1);
        uint64_t commit = ask_and_run(1, txid);
        ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
        ck_assert_str_eq(world_worked(&w, 1, txid), "debit");
        ck_assert_str_eq(world_worked(&w, 2, txid), "credit");
        ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_COMMITTED);
        ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
        ck_assert_uint_eq(bytes_kept(1), 0);
        world_release(&w);
    }
}
END_TEST

static bool is_ack(struct world *world, const struct world_message *message) {
    (void)world;
    return message->message.type == MESSAGE_ACK;
}

START_TEST(work_is_let_go_with_the_decision) {
    world_init(&w, 3, 2);
    w.lose = is_ack;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(tx_find(w.node[1].engine, txid)->stage, TX_DECIDED);
    ck_assert_uint_eq(bytes_kept(1), 0);
    world_release(&w);
}
END_TEST

START_TEST(S3_work_that_is_refused_aborts_everywhere) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_ABORTED;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    ck_assert_uint_eq(bytes_kept(1), 0);
    world_release(&w);
}
END_TEST

static bool is_one_phase(struct world *world, const struct world_message *message) {
    (void)world;
    ck_assert_int_ne(message->message.type, MESSAGE_COMMIT_ONE_PHASE);
    return false;
}

/* To commit in one phase carries no work. */
START_TEST(S5_the_only_participant_with_work_is_asked_to_prepare) {
    world_init(&w, 3, 1);
    w.lose = is_one_phase;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = world_commit_work(&w, 1, txid, 1, (struct paxos_participant[]){any(1)},
                                        (const char *const[]){"debit"});
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(world_worked(&w, 1, txid), "debit");
    world_release(&w);
}
END_TEST

static bool is_prepare(struct world *world, const struct world_message *message) {
    (void)world;
    ck_assert_int_ne(message->message.type, MESSAGE_PREPARE);
    return false;
}

START_TEST(the_only_participant_without_work_commits_in_one_phase_as_ever) {
    world_init(&w, 3, 1);
    w.lose = is_prepare;
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_run(&w);
    uint64_t commit =
        world_commit_work(&w, 1, txid, 1, &w.participant[1].id, (const char *const[]){NULL});
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(some_have_worked_before_and_others_are_given_work) {
    world_init(&w, 3, 3);
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_work(&w, 2, txid);
    world_run(&w);
    uint64_t commit = world_commit_work(
        &w, 1, txid, 3, (struct paxos_participant[]){w.participant[1].id, any(2), any(3)},
        (const char *const[]){NULL, "more", "credit"});
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(world_worked(&w, 1, txid), "");
    ck_assert_str_eq(world_worked(&w, 2, txid), "more");
    ck_assert_str_eq(world_worked(&w, 3, txid), "credit");
    world_release(&w);
}
END_TEST

/* ---- To which incarnation -------------------------------------------------------------------- */

START_TEST(S5_an_incarnation_that_is_named_is_kept) {
    world_init(&w, 3, 2);
    struct paxos_participant named[] = {w.participant[1].id, any(2)};
    world_participant_crash(&w, 1);
    world_participant_restart(&w, 1);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit =
        world_commit_work(&w, 1, txid, 2, named, (const char *const[]){"debit", "credit"});
    world_advance(&w, 2000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_str_eq(world_worked(&w, 1, txid), "");
    world_release(&w);
}
END_TEST

/* What it did before is lost: its work now must not commit alone. */
START_TEST(S5_a_branch_that_is_there_keeps_its_incarnation) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    world_work(&w, 1, txid);
    world_run(&w);
    world_participant_crash(&w, 1);
    w.participant[1].branches[0].state = BRANCH_NONE; /* its new process knows nothing of it */
    world_participant_restart(&w, 1);
    uint64_t commit = world_commit_both(&w, 1, txid);
    world_advance(&w, 2000);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_str_eq(world_worked(&w, 1, txid), "");
    world_release(&w);
}
END_TEST

START_TEST(S5_another_incarnation_than_that_of_its_branch_aborts_before_any_prepare) {
    world_init(&w, 3, 2);
    w.lose = is_prepare;
    struct troth_txid txid = world_two_branches(&w, 1);
    struct paxos_participant named[] = {w.participant[1].id, any(2)};
    named[0].incarnation++;
    uint64_t commit =
        world_commit_work(&w, 1, txid, 2, named, (const char *const[]){"debit", "credit"});
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(w.replies[commit].reason, PAXOS_REASON_LOST_WORK);
    ck_assert_uint_eq(bytes_kept(1), 0);
    world_release(&w);
}
END_TEST

static const struct paxos_set *prepared_set;
static bool remember_set(struct world *world, const struct world_message *message) {
    (void)world;
    if (message->message.type == MESSAGE_PREPARE) {
        prepared_set = message->message.set;
    }
    return false;
}

START_TEST(transactions_of_the_same_participants_share_a_set) {
    world_init(&w, 1, 2);
    w.lose = remember_set;
    ask_and_run(1, world_begin(&w, 1));
    const struct paxos_set *first = prepared_set;
    ask_and_run(1, world_begin(&w, 1));
    ck_assert_ptr_eq(prepared_set, first);
    world_participant_crash(&w, 2);
    world_participant_restart(&w, 2);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    ck_assert_uint_eq(prepared_set->members[1].incarnation, 2);
    world_release(&w);
}
END_TEST

/* ---- Asked again, or elsewhere --------------------------------------------------------------- */

START_TEST(S1_a_commit_that_is_repeated_gets_the_one_outcome_and_works_once) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t first = world_commit_both(&w, 1, txid);
    uint64_t again = world_commit_both(&w, 1, txid);
    uint64_t without = world_ask(&w, 1, ENGINE_COMMIT, txid);
    ck_assert_uint_eq(bytes_kept(1), strlen("debit") + strlen("credit"));
    world_run(&w); /* the participants look that none is given work twice */
    uint64_t late = world_commit_both(&w, 1, txid);
    for (uint64_t request = first; request <= late; request++) {
        ck_assert_int_eq(world_outcome(&w, request), PAXOS_OUTCOME_COMMITTED);
    }
    ck_assert_uint_gt(without, again);
    world_release(&w);
}
END_TEST

/* As without work: what it names is not looked at any more. */
START_TEST(a_repeated_commit_waits_whomever_it_names) {
    world_init(&w, 3, 3);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t first = world_commit_both(&w, 1, txid);
    world_participant_crash(&w, 3);
    uint64_t again = world_commit_work(&w, 1, txid, 1, (struct paxos_participant[]){any(3)},
                                       (const char *const[]){"more"});
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, first), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_outcome(&w, again), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(S5_after_a_commit_without_work_none_is_taken) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_two_branches(&w, 1);
    uint64_t without = world_ask(&w, 1, ENGINE_COMMIT, txid);
    uint64_t with = ask_and_run(1, txid);
    ck_assert_int_eq(world_outcome(&w, without), PAXOS_OUTCOME_COMMITTED);
    ck_assert_int_eq(world_outcome(&w, with), PAXOS_OUTCOME_COMMITTED);
    ck_assert_str_eq(world_worked(&w, 1, txid), "");
    world_release(&w);
}
END_TEST

START_TEST(another_node_refuses_it_and_says_what_to_do) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t elsewhere = ask_and_run(2, txid);
    ck_assert_int_eq(world_error(&w, elsewhere), TROTH_ERR_STATE);
    ck_assert_str_eq(w.details[elsewhere], "a Commit with work is for the node that coordinates; "
                                           "call Abort or Get to learn the outcome");
    ck_assert_ptr_null(tx_find(w.node[2].engine, txid));
    uint64_t commit = ask_and_run(1, txid); /* nothing has changed */
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(another_node_that_knows_the_outcome_tells_it) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    ask_and_run(1, txid);
    world_advance(&w, 1000);
    uint64_t elsewhere = ask_and_run(2, txid);
    ck_assert_int_eq(world_outcome(&w, elsewhere), PAXOS_OUTCOME_COMMITTED);
    world_release(&w);
}
END_TEST

START_TEST(an_abort_comes_in_between_and_the_work_is_let_go) {
    world_init(&w, 3, 2);
    w.participant[2].votes = PAXOS_VOTE_NONE;
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = ask_and_run(1, txid);
    ck_assert_uint_gt(bytes_kept(1), 0);
    uint64_t aborted = world_ask(&w, 1, ENGINE_ABORT, txid);
    ck_assert_uint_eq(bytes_kept(1), 0);
    world_run(&w);
    ck_assert_int_eq(world_outcome(&w, aborted), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_outcome(&w, commit), PAXOS_OUTCOME_ABORTED);
    ck_assert_int_eq(world_branch(&w, 1, txid), BRANCH_ABORTED);
    world_release(&w);
}
END_TEST

START_TEST(it_goes_on_when_its_caller_has_gone) {
    world_init(&w, 3, 2);
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit = world_commit_both(&w, 1, txid);
    world_step(&w, 1, (struct engine_event){.type = ENGINE_CANCEL, .request = commit});
    world_run(&w);
    ck_assert(!world_replied(&w, commit));
    ck_assert_str_eq(world_worked(&w, 2, txid), "credit");
    ck_assert_int_eq(world_branch(&w, 2, txid), BRANCH_COMMITTED);
    world_release(&w);
}
END_TEST

/* ---- Limits ---------------------------------------------------------------------------------- */

START_TEST(a_reserved_name_is_refused) {
    world_init(&w, 1, 1);
    struct paxos_participant nobody[] = {any(1), {.name = ENGINE_NOBODY}};
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t commit =
        world_commit_work(&w, 1, txid, 2, nobody, (const char *const[]){"debit", "credit"});
    ck_assert_int_eq(world_error(&w, commit), TROTH_ERR_INVALID);
    ck_assert_uint_eq(branches_of(1, txid), 0);
    world_release(&w);
}
END_TEST

/* A Commit that gives every participant that a transaction can have the most that one can get. */
static uint64_t ask_much(struct troth_txid txid, uint32_t n, struct work *work) {
    static struct paxos_participant members[PAXOS_PARTICIPANTS_MAX];
    static struct work *works[PAXOS_PARTICIPANTS_MAX];
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "far-%u", i);
        paxos_participant_make(&members[i], name, 1);
        works[i] = work;
    }
    struct paxos_set *set = paxos_set_new(members, n);
    uint64_t request = ++w.request_next;
    world_step(&w, 1,
               (struct engine_event){.type = ENGINE_COMMIT,
                                     .request = request,
                                     .txid = txid,
                                     .branches = set,
                                     .works = works});
    paxos_set_release(set);
    return request;
}

START_TEST(more_work_than_a_node_has_room_for_is_refused_and_nothing_changes) {
    static const uint8_t bytes[WORK_BYTES_MAX];
    world_init(&w, 1, 1);
    struct work *most = work_new(bytes, sizeof bytes);
    struct work *least = work_new(bytes, 1);
    struct troth_txid txids[4];
    ck_assert_uint_eq(4ull * PAXOS_PARTICIPANTS_MAX * WORK_BYTES_MAX, ENGINE_WORK_BYTES_MAX);
    for (size_t i = 0; i < 4; i++) {
        txids[i] = world_begin(&w, 1);
        ck_assert(!world_replied(&w, ask_much(txids[i], PAXOS_PARTICIPANTS_MAX, most)));
    }
    struct troth_txid txid = world_begin(&w, 1);
    uint64_t refused = ask_much(txid, 1, least);
    ck_assert_int_eq(world_error(&w, refused), TROTH_ERR_TOO_MANY);
    ck_assert_ptr_nonnull(strstr(w.details[refused], "268435457 bytes"));
    ck_assert_ptr_nonnull(strstr(w.details[refused], "nothing was changed"));
    ck_assert_uint_eq(branches_of(1, txid), 0);
    world_ask(&w, 1, ENGINE_ABORT, txids[0]); /* which makes room */
    ck_assert(!world_replied(&w, ask_much(txid, 1, least)));
    ck_assert_uint_eq(branches_of(1, txid), 1);
    work_release(most);
    work_release(least);
    world_release(&w);
}
END_TEST

int main(void) {
    return suite_run(
        "engine_work",
        (const TTest *[]){S5_work_is_done_before_the_vote_and_commits_with_it,
                          work_is_let_go_with_the_decision,
                          S3_work_that_is_refused_aborts_everywhere,
                          S5_the_only_participant_with_work_is_asked_to_prepare,
                          the_only_participant_without_work_commits_in_one_phase_as_ever,
                          some_have_worked_before_and_others_are_given_work,
                          S5_an_incarnation_that_is_named_is_kept,
                          S5_a_branch_that_is_there_keeps_its_incarnation,
                          S5_another_incarnation_than_that_of_its_branch_aborts_before_any_prepare,
                          transactions_of_the_same_participants_share_a_set,
                          S1_a_commit_that_is_repeated_gets_the_one_outcome_and_works_once,
                          a_repeated_commit_waits_whomever_it_names,
                          S5_after_a_commit_without_work_none_is_taken,
                          another_node_refuses_it_and_says_what_to_do,
                          another_node_that_knows_the_outcome_tells_it,
                          an_abort_comes_in_between_and_the_work_is_let_go,
                          it_goes_on_when_its_caller_has_gone,
                          a_reserved_name_is_refused,
                          more_work_than_a_node_has_room_for_is_refused_and_nothing_changes,
                          NULL});
}
