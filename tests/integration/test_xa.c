/* Resource managers with XA switches in Troth's transactions, in a program that links troth_xa,
 * with real nodes. What each return code leads to is tests/unit/test_xa_driver*.c's; here it is
 * whole transactions. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/troth.h"
#include "participant/adapters/troth_database.h"
#include "tests/lib/scene.h"
#include "tests/lib/xa_manager.h"
#include "troth/v1/admin.pb-c.h"

#define SIDES       2
#define PATIENCE_MS 60000

/* A transaction over two resource managers. */
struct tx {
    struct xa_manager *managers[SIDES];
    struct troth_database *databases[SIDES];
    struct troth_database_branch branches[SIDES];
    struct troth *troth;
    struct troth_txid txid;
};

static unsigned names; /* of participants, which no two tests share */
static uint32_t patience_ms = 60000;

static void open_database(struct tx *tx, int side, const char *name) {
    char why[600] = "";
    struct troth_database_options options = {.name = name,
                                             .nodes = cluster_nodes(scene_cluster()),
                                             .connections = 2,
                                             .scan_ms = 50,
                                             .patience_ms = patience_ms};
    int err = troth_xa_open(&tx->databases[side], &options, xa_manager_library(), "crooked_switch",
                            tx->managers[side]->open_info, NULL, why, sizeof why);
    ck_assert_msg(err == 0, "%s", why);
}

static void await_attached(struct troth_database *database) {
    struct troth_database_counters counters;
    int waited_ms = 0;
    do {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        ck_assert_int_lt(waited_ms += 5, PATIENCE_MS);
        troth_database_counters(database, &counters);
    } while (counters.nodes_attached < 3 || !counters.reachable);
}

/* Begun, and enlisted at both. */
static void tx_begin(struct tx *tx, const char *left_rules, const char *right_rules) {
    char why[600] = "";
    const char *rules[SIDES] = {left_rules, right_rules};
    memset(tx, 0, sizeof *tx);
    ck_assert_int_eq(
        troth_open(&tx->troth, &(struct troth_options){.nodes = cluster_nodes(scene_cluster())}),
        0);
    ck_assert_int_eq(troth_begin(tx->troth, 0, &tx->txid, NULL), 0);
    names++;
    for (int side = 0; side < SIDES; side++) {
        char name[32];
        snprintf(name, sizeof name, "%s-%u", side == 0 ? "left" : "right", names);
        tx->managers[side] = xa_manager_new(rules[side]);
        open_database(tx, side, name);
        await_attached(tx->databases[side]);
        int err = troth_database_enlist(tx->databases[side], tx->txid, 0, &tx->branches[side], why,
                                        sizeof why);
        ck_assert_msg(err == 0, "%s", why);
    }
}

static void tx_work(struct tx *tx, bool prepares) {
    for (int side = 0; side < SIDES; side++) {
        xa_manager_work(tx->managers[side], tx->branches[side].gid, prepares);
    }
}

static enum troth_outcome tx_commit(struct tx *tx) {
    struct troth_branch branches[SIDES];
    struct troth_result result = {0};
    for (int side = 0; side < SIDES; side++) {
        branches[side] =
            (struct troth_branch){tx->branches[side].participant, tx->branches[side].incarnation};
    }
    int err;
    do {
        err = troth_commit(tx->troth, tx->txid, branches, SIDES, 0, &result);
    } while (err == TROTH_ERR_TIMEOUT || err == TROTH_ERR_UNKNOWN);
    ck_assert_msg(err == 0, "%s: %s", troth_err_name(err), result.detail);
    return result.outcome;
}

static void tx_await(struct tx *tx, const char *left, const char *right) {
    xa_manager_await(tx->managers[0], tx->branches[0].gid, left);
    xa_manager_await(tx->managers[1], tx->branches[1].gid, right);
}

static void tx_end(struct tx *tx) {
    for (int side = 0; side < SIDES; side++) {
        troth_database_close(tx->databases[side]);
        xa_manager_free(tx->managers[side]);
    }
    troth_close(tx->troth);
}

/* What a node has stored of the transaction's heuristic branches: the first one's, or NONE. */
static Troth__V1__Heuristic heuristic_at(unsigned node, const struct tx *tx) {
    char digits[TROTH_TXID_TEXT];
    Troth__V1__HeuristicsRequest request = TROTH__V1__HEURISTICS_REQUEST__INIT;
    request.txid = troth_txid_format(tx->txid, digits);
    struct raw_answer answer = raw_call(scene_node(node), "/troth.v1.Admin/Heuristics",
                                        &request.base, &troth__v1__heuristics_reply__descriptor);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    Troth__V1__HeuristicsReply *reply = (Troth__V1__HeuristicsReply *)answer.reply;
    Troth__V1__Heuristic found = reply->n_heuristics == 0 ? TROTH__V1__HEURISTIC__HEURISTIC_NONE
                                                          : reply->heuristics[0]->heuristic;
    raw_free(reply);
    return found;
}

static void await_heuristic(const struct tx *tx, Troth__V1__Heuristic heuristic) {
    for (unsigned node = 0; node < 3; node++) {
        int waited_ms = 0;
        while (heuristic_at(node, tx) != heuristic) {
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
            ck_assert_msg((waited_ms += 5) < PATIENCE_MS, "node %u has %d", node,
                          heuristic_at(node, tx));
        }
    }
}

static void assert_no_heuristic(const struct tx *tx) {
    for (unsigned node = 0; node < 3; node++) {
        ck_assert_int_eq(heuristic_at(node, tx), TROTH__V1__HEURISTIC__HEURISTIC_NONE);
    }
}

/* ---- Outcomes -------------------------------------------------------------------------------- */

START_TEST(two_resource_managers_commit_what_their_program_prepared) {
    struct tx tx;
    tx_begin(&tx, "", "");
    ck_assert_str_eq(tx.branches[0].begin_sql, "");
    ck_assert_ptr_nonnull(strstr(tx.branches[0].gid, "','left-")); /* gtrid, bqual, formatID */
    tx_work(&tx, true);
    ck_assert_int_eq(tx_commit(&tx), TROTH_COMMITTED);
    tx_await(&tx, "committed", "committed");
    assert_no_heuristic(&tx);
    tx_end(&tx);
}
END_TEST

START_TEST(what_the_program_did_not_prepare_is_prepared_for_it) {
    struct tx tx;
    tx_begin(&tx, "", "prepare=XA_RDONLY");
    tx_work(&tx, false);
    ck_assert_int_eq(tx_commit(&tx), TROTH_COMMITTED);
    tx_await(&tx, "committed", "committed");
    tx_end(&tx);
}
END_TEST

START_TEST(one_that_rolls_back_in_place_of_preparing_aborts_all) {
    struct tx tx;
    tx_begin(&tx, "", "prepare=XA_RBDEADLOCK");
    tx_work(&tx, false);
    ck_assert_int_eq(tx_commit(&tx), TROTH_ABORTED);
    tx_await(&tx, "aborted", "aborted");
    assert_no_heuristic(&tx);
    tx_end(&tx);
}
END_TEST

START_TEST(ends_that_fail_or_whose_answers_are_lost_are_made_once) {
    struct tx tx;
    tx_begin(&tx, "commit=XA_RETRY:3", "commit=XAER_RMFAIL+done:1");
    tx_work(&tx, true);
    ck_assert_int_eq(tx_commit(&tx), TROTH_COMMITTED);
    tx_await(&tx, "committed", "committed");
    assert_no_heuristic(&tx);
    tx_end(&tx);
}
END_TEST

/* ---- Heuristics ------------------------------------------------------------------------------ */

START_TEST(a_heuristic_rollback_is_stored_by_all_nodes_and_then_forgotten) {
    struct tx tx;
    tx_begin(&tx, "commit=XA_HEURRB:1", "");
    tx_work(&tx, true);
    ck_assert_int_eq(tx_commit(&tx), TROTH_COMMITTED);
    xa_manager_await(tx.managers[1], tx.branches[1].gid, "committed");
    await_heuristic(&tx, TROTH__V1__HEURISTIC__HEURISTIC_ABORT);
    /* xa_forget comes when the nodes have let go of the transaction; they keep the heuristic. */
    xa_manager_await(tx.managers[0], tx.branches[0].gid, "forgotten");
    await_heuristic(&tx, TROTH__V1__HEURISTIC__HEURISTIC_ABORT);
    tx_end(&tx);
}
END_TEST

START_TEST(a_rollback_that_had_happened_already_is_forgotten_too) {
    struct tx tx;
    tx_begin(&tx, "rollback=XA_HEURRB:1", "rollback=XA_HEURRB:1");
    tx_work(&tx, true);
    ck_assert_int_eq(troth_abort(tx.troth, tx.txid, 0, &(struct troth_result){0}), 0);
    tx_await(&tx, "forgotten", "forgotten");
    tx_end(&tx);
}
END_TEST

START_TEST(a_branch_that_is_lost_is_a_hazard_and_no_success) {
    struct tx tx;
    tx_begin(&tx, "commit=XAER_NOTA+gone:1", "");
    tx_work(&tx, true);
    ck_assert_int_eq(tx_commit(&tx), TROTH_COMMITTED);
    await_heuristic(&tx, TROTH__V1__HEURISTIC__HEURISTIC_HAZARD);
    tx_end(&tx);
}
END_TEST

/* ---- Absences -------------------------------------------------------------------------------- */

START_TEST(what_was_prepared_and_never_committed_is_rolled_back) {
    struct tx tx;
    patience_ms = 500;
    tx_begin(&tx, "", "");
    patience_ms = 60000;
    tx_work(&tx, true);
    /* The program dies here. */
    tx_await(&tx, "aborted", "aborted");
    struct troth_result result = {0};
    ck_assert_int_eq(troth_get(tx.troth, tx.txid, &result), 0);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    tx_end(&tx);
}
END_TEST

START_TEST(a_participant_that_comes_back_ends_what_it_finds_prepared) {
    struct tx tx;
    tx_begin(&tx, "", "");
    tx_work(&tx, true);
    char name[TROTH_GID_NAME_BYTES];
    snprintf(name, sizeof name, "%s", tx.branches[0].participant);
    /* It has voted, and is gone before it is told. */
    xa_manager_rules(tx.managers[0], "commit=hang:1");
    troth_database_close(tx.databases[0]);
    open_database(&tx, 0, name);
    await_attached(tx.databases[0]);
    ck_assert_int_eq(tx_commit(&tx), TROTH_COMMITTED);
    xa_manager_await(tx.managers[1], tx.branches[1].gid, "committed");
    xa_manager_await_hanging(tx.managers[0]);
    ck_assert_str_eq(xa_manager_state(tx.managers[0], tx.branches[0].gid), "prepared");
    xa_manager_end_hanging(tx.managers[0]);
    troth_database_close(tx.databases[0]);
    xa_manager_rules(tx.managers[0], "");
    open_database(&tx, 0, name);
    tx_await(&tx, "committed", "committed");
    assert_no_heuristic(&tx);
    tx_end(&tx);
}
END_TEST

START_TEST(a_call_that_hangs_holds_up_its_own_branch_only) {
    struct tx stuck, other;
    tx_begin(&stuck, "commit=hang:1", "");
    tx_work(&stuck, true);
    ck_assert_int_eq(tx_commit(&stuck), TROTH_COMMITTED);
    xa_manager_await_hanging(stuck.managers[0]);
    /* Another transaction at the same participant. */
    char why[600] = "";
    other = stuck;
    ck_assert_int_eq(troth_begin(other.troth, 0, &other.txid, NULL), 0);
    for (int side = 0; side < SIDES; side++) {
        ck_assert_int_eq(troth_database_enlist(other.databases[side], other.txid, 0,
                                               &other.branches[side], why, sizeof why),
                         0);
    }
    tx_work(&other, true);
    ck_assert_int_eq(tx_commit(&other), TROTH_COMMITTED);
    tx_await(&other, "committed", "committed");
    ck_assert_str_eq(xa_manager_state(stuck.managers[0], stuck.branches[0].gid), "prepared");
    xa_manager_end_hanging(stuck.managers[0]);
    tx_await(&stuck, "committed", "committed");
    tx_end(&stuck);
}
END_TEST

/* ---- At start -------------------------------------------------------------------------------- */

static int try_open(const char *library, const char *symbol, const char *open_info, char why[600]) {
    struct troth_database *database = NULL;
    struct troth_database_options options = {.name = "never",
                                             .nodes = cluster_nodes(scene_cluster())};
    int err = troth_xa_open(&database, &options, library, symbol, open_info, NULL, why, 600);
    troth_database_close(database);
    return err;
}

START_TEST(what_can_not_take_part_is_told_at_start) {
    char why[600];
    ck_assert_int_eq(try_open("/nowhere.so", "crooked_switch", "", why), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "/nowhere.so"));
    ck_assert_int_eq(try_open(xa_manager_library(), "nothing", "", why), TROTH_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "nothing"));
    ck_assert_int_eq(try_open(NULL, NULL, NULL, why), TROTH_ERR_INVALID);
    ck_assert_int_eq(try_open(xa_manager_library(), "crooked_switch", "nonsense", why),
                     TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "open string"));
}
END_TEST

int main(void) {
    /* Nodes that let go of what is over soon, so that xa_forget is seen. */
    return scene_suite_run(
        "xa",
        &(struct scene_options){
            .nodes = 3, .shards = 1, .node_args = (const char *[]){"--retention-ms", "1000", NULL}},
        (const TTest *const[]){two_resource_managers_commit_what_their_program_prepared,
                               what_the_program_did_not_prepare_is_prepared_for_it,
                               one_that_rolls_back_in_place_of_preparing_aborts_all,
                               ends_that_fail_or_whose_answers_are_lost_are_made_once,
                               a_heuristic_rollback_is_stored_by_all_nodes_and_then_forgotten,
                               a_rollback_that_had_happened_already_is_forgotten_too,
                               a_branch_that_is_lost_is_a_hazard_and_no_success,
                               what_was_prepared_and_never_committed_is_rolled_back,
                               a_participant_that_comes_back_ends_what_it_finds_prepared,
                               a_call_that_hangs_holds_up_its_own_branch_only,
                               what_can_not_take_part_is_told_at_start, NULL});
}
