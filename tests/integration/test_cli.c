/* The command `troth` against a cluster that runs: what it prints, and its exit status. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/scene_cli.h"

#define NODES  3u
#define SHARDS 2u

/* ---- The cluster --------------------------------------------------------------------------- */

START_TEST(status_shows_every_node_and_shard) {
    struct cluster *cluster = scene_cluster();
    scene_ends(DONE, WORDS("status", "--timeout-ms", "30000"),
               WORDS("cluster troth", scene_node(0), scene_node(1), scene_node(2),
                     cluster_member(cluster, CLUSTER_SHARD, 0), scene_shard(0),
                     cluster_member(cluster, CLUSTER_SHARD, 1), scene_shard(1)));
}
END_TEST

START_TEST(status_in_JSON_has_every_node_and_shard) {
    struct cluster *cluster = scene_cluster();
    struct json_object *status = scene_json(WORDS("status", "--json", "--timeout-ms", "30000"));
    struct json_object *nodes = json_member(status, "nodes");
    struct json_object *participants = json_member(status, "participants");
    ck_assert_uint_eq(json_object_array_length(nodes), NODES);
    ck_assert_uint_eq(json_object_array_length(participants), SHARDS);
    for (unsigned i = 0; i < NODES; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", i + 1);
        struct json_object *node = json_find(nodes, "node", id);
        ck_assert_uint_eq(json_object_array_length(json_member(node, "seen_by")), NODES - 1);
    }
    for (unsigned i = 0; i < SHARDS; i++) {
        struct json_object *shard =
            json_find(participants, "participant", cluster_member(cluster, CLUSTER_SHARD, i));
        ck_assert_int_eq(json_object_get_int(json_member(shard, "attached_nodes")), (int)NODES);
    }
    json_object_put(status);
}
END_TEST

/* ---- Keys ---------------------------------------------------------------------------------- */

START_TEST(what_is_put_and_added_is_read_back) {
    scene_ends(DONE, WORDS("kv", "put", "greeting", "hello"), WORDS("ok"));
    scene_prints(WORDS("kv", "get", "greeting"), "hello\n");
    scene_prints(WORDS("kv", "add", "counter", "5"), "5\n");
    scene_prints(WORDS("kv", "add", "counter", "-7"), "-2\n");
    scene_prints(WORDS("kv", "get", "counter"), "-2\n");
}
END_TEST

START_TEST(a_key_that_is_absent_is_exit_status_1) {
    scene_ends(NOT_DONE, WORDS("kv", "get", "nobody-put-this"), WORDS("nobody-put-this"));
}
END_TEST

START_TEST(a_script_that_commits_takes_effect_as_a_whole) {
    scene_ends(DONE,
               WORDS("kv", "txn", "put", "anna", "100", "put", "bert", "20", "add", "anna", "-30",
                     "add", "bert", "30", "get", "anna"),
               WORDS("anna 70\n", "bert 50\n", "committed 0000"));
    scene_prints(WORDS("kv", "get", "anna"), "70\n");
    scene_prints(WORDS("kv", "get", "bert"), "50\n");
}
END_TEST

START_TEST(a_script_below_its_minimum_changes_nothing) {
    scene_ends(DONE, WORDS("kv", "txn", "put", "carl", "10", "put", "dora", "1"),
               WORDS("committed"));
    scene_ends(NOT_DONE,
               WORDS("kv", "txn", "--minimum", "0", "add", "dora", "11", "add", "carl", "-11"),
               WORDS("is not committed"));
    scene_prints(WORDS("kv", "get", "carl"), "10\n");
    scene_prints(WORDS("kv", "get", "dora"), "1\n");
}
END_TEST

START_TEST(a_script_whose_cas_expects_another_value_changes_nothing) {
    scene_ends(DONE, WORDS("kv", "txn", "put", "leader", "node-1", "put", "term", "1"),
               WORDS("committed"));
    scene_ends(NOT_DONE,
               WORDS("kv", "txn", "put", "term", "2", "cas", "leader", "node-9", "node-2"),
               WORDS("is not committed"));
    scene_prints(WORDS("kv", "get", "term"), "1\n");
    scene_ends(DONE, WORDS("kv", "txn", "put", "term", "2", "cas", "leader", "node-1", "node-2"),
               WORDS("committed"));
    scene_prints(WORDS("kv", "get", "leader"), "node-2\n");
    scene_prints(WORDS("kv", "get", "term"), "2\n");
}
END_TEST

/* ---- Transactions -------------------------------------------------------------------------- */

START_TEST(a_transaction_of_several_commands_commits) {
    char txid[SCENE_TXID_BYTES];
    scene_cli_begin(0, txid);
    scene_ends(DONE, WORDS("kv", "put", "--tx", txid, "step", "first"), WORDS("ok"));
    scene_ends(DONE, WORDS("tx", "commit", txid), WORDS("committed"));
    scene_ends(DONE, WORDS("tx", "commit", txid), WORDS("committed")); /* may be repeated */
    scene_ends(DONE, WORDS("tx", "get", txid), WORDS("committed"));
    scene_ends(NOT_DONE, WORDS("tx", "abort", txid), WORDS("committed"));
    scene_prints(WORDS("kv", "get", "step"), "first\n");
}
END_TEST

START_TEST(an_aborted_transaction_is_told_and_shown_as_such) {
    char txid[SCENE_TXID_BYTES];
    scene_cli_begin(1, txid);
    scene_ends(DONE, WORDS("tx", "show", txid, "--timeout-ms", "30000"),
               WORDS(txid, "leader    node 2"));
    scene_ends(UNKNOWN, WORDS("tx", "get", txid), WORDS("none"));
    scene_ends(DONE, WORDS("kv", "put", "--tx", txid, "taken-back", "1"), WORDS("ok"));
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted (client"));
    scene_ends(NOT_DONE, WORDS("tx", "get", txid), WORDS("aborted"));
    scene_ends(NOT_DONE, WORDS("tx", "commit", txid), WORDS("aborted"));
    scene_ends(DONE, WORDS("tx", "show", txid, "--timeout-ms", "30000"),
               WORDS(txid, "aborted", "reason    client"));
    scene_ends(NOT_DONE, WORDS("kv", "get", "taken-back"), WORDS("taken-back"));
}
END_TEST

START_TEST(a_txid_that_nobody_gave_out_is_not_committed) {
    static const char txid[] = "000000010000000100000000000fffff";
    scene_ends(NOT_DONE, WORDS("tx", "commit", txid), WORDS(txid, "Check the txid"));
}
END_TEST

START_TEST(list_in_JSON_has_what_was_begun_and_what_came_of_it) {
    char open[SCENE_TXID_BYTES];
    char aborted[SCENE_TXID_BYTES];
    scene_cli_begin(2, open);
    scene_cli_begin(2, aborted);
    scene_ends(DONE, WORDS("tx", "abort", aborted), WORDS("aborted"));
    struct json_object *list = scene_json(WORDS("tx", "list", "--json", "--timeout-ms", "30000"));
    struct json_object *found = json_find(list, "txid", open);
    ck_assert_str_eq(json_object_get_string(json_member(found, "outcome")), "none");
    found = json_find(list, "txid", aborted);
    ck_assert_str_eq(json_object_get_string(json_member(found, "outcome")), "aborted");
    ck_assert_str_eq(json_object_get_string(json_member(found, "reason")), "client");
    json_object_put(list);
    scene_ends(DONE, WORDS("tx", "abort", open), WORDS("aborted"));
}
END_TEST

/* ---- Outages ------------------------------------------------------------------------------- */

START_TEST(an_address_where_nobody_listens_is_exit_status_4) {
    struct cluster *away; /* it holds its addresses and is never started */
    char why[CLUSTER_WHY_BYTES];
    struct program_run out;
    ck_assert_msg(cluster_new(&away, &(struct cluster_options){.nodes = 1, .shards = 1}, why) == 0,
                  "%s", why);
    const char *const *const commands[] = {
        WORDS("status", "--timeout-ms", "2000"),
        WORDS("tx", "list", "--timeout-ms", "2000"),
        WORDS("tx", "begin", "--timeout-ms", "2000"),
        WORDS("kv", "get", "anna", "--timeout-ms", "2000"),
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        scene_run_with(&out, cluster_nodes(away), cluster_shards(away), commands[i]);
        ck_assert_msg(out.status == NO_CONTACT, "%s %s: exit status %d: %s", commands[i][0],
                      commands[i][1], out.status, out.output);
        scene_has_words(out.output, WORDS("Check that the"));
        program_run_release(&out);
    }
    cluster_free(away);
}
END_TEST

/* The last test: it leaves one node of three. */
START_TEST(without_a_majority_the_outcome_is_not_known) {
    char txid[SCENE_TXID_BYTES];
    scene_cli_begin(0, txid);
    ck_assert_int_eq(strncmp(txid, "00000001", 8), 0);
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 0), 0);
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 1), 0);
    scene_ends(UNKNOWN, WORDS("tx", "commit", txid, "--timeout-ms", "2000"), WORDS(txid));
    scene_ends(UNKNOWN, WORDS("status", "--timeout-ms", "4000"),
               WORDS(scene_node(0), scene_node(1), "did not answer"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        status_shows_every_node_and_shard,
        status_in_JSON_has_every_node_and_shard,
        what_is_put_and_added_is_read_back,
        a_key_that_is_absent_is_exit_status_1,
        a_script_that_commits_takes_effect_as_a_whole,
        a_script_below_its_minimum_changes_nothing,
        a_script_whose_cas_expects_another_value_changes_nothing,
        a_transaction_of_several_commands_commits,
        an_aborted_transaction_is_told_and_shown_as_such,
        a_txid_that_nobody_gave_out_is_not_committed,
        list_in_JSON_has_what_was_begun_and_what_came_of_it,
        an_address_where_nobody_listens_is_exit_status_4,
        without_a_majority_the_outcome_is_not_known,
        NULL,
    };
    return scene_suite_run("cli", &(struct scene_options){.nodes = NODES, .shards = SHARDS}, tests);
}
