/* The command `troth` against a cluster that runs: what it prints, and its exit status. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "harness/programs.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

/* The exit statuses that `troth --help` promises. */
enum { DONE = 0, NOT_DONE = 1, UNKNOWN = 3, NO_CONTACT = 4 };

#define ARGS_MAX   24
#define NODES      3u
#define SHARDS     2u
#define WORDS(...) ((const char *[]){__VA_ARGS__, NULL})

/* Runs it with these lists of nodes and shards and these arguments; what it says is to be released
 * by the caller. */
static void run_with(struct program_run *run, const char *nodes, const char *shards,
                     const char *const *args) {
    char program[PROGRAMS_PATH_BYTES];
    char why[512];
    const char *all[ARGS_MAX] = {"--nodes", nodes, "--shards", shards};
    size_t n = 4;
    for (; *args != NULL; args++) {
        ck_assert_uint_lt(n, ARGS_MAX - 1);
        all[n++] = *args;
    }
    ck_assert_msg(program_find(NULL, PROGRAM_TROTH, program, why, sizeof why) == 0, "%s", why);
    program_run(run, program, all);
}

static void run(struct program_run *out, int status, const char *const *args) {
    run_with(out, cluster_nodes(scene_cluster()), cluster_shards(scene_cluster()), args);
    ck_assert_msg(out->status == status, "exit status %d instead of %d: %s", out->status, status,
                  out->output);
}

static void ends(int status, const char *const *args, const char *const *words) {
    struct program_run out;
    run(&out, status, args);
    scene_has_words(out.output, words);
    program_run_release(&out);
}

/* What it prints, and nothing else. */
static void prints(const char *const *args, const char *line) {
    struct program_run out;
    run(&out, DONE, args);
    ck_assert_str_eq(out.output, line);
    program_run_release(&out);
}

/* To be freed with json_object_put. */
static struct json_object *json_of(const char *const *args) {
    struct program_run out;
    run(&out, DONE, args);
    struct json_object *object = json_tokener_parse(out.output);
    ck_assert_msg(object != NULL, "no JSON: %s", out.output);
    program_run_release(&out);
    return object;
}

static struct json_object *member(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    ck_assert_msg(json_object_object_get_ex(object, name, &value), "no \"%s\" in %s", name,
                  json_object_to_json_string(object));
    return value;
}

/* The array's object whose member `name` is this text. */
static struct json_object *find(struct json_object *array, const char *name, const char *text) {
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        struct json_object *object = json_object_array_get_idx(array, i);
        if (strcmp(json_object_get_string(member(object, name)), text) == 0) {
            return object;
        }
    }
    ck_abort_msg("no \"%s\": \"%s\" in %s", name, text, json_object_to_json_string(array));
}

/* At the node with this index. */
static void begin(unsigned node, char txid[SCENE_TXID_BYTES]) {
    struct program_run out;
    run_with(&out, scene_node(node), cluster_shards(scene_cluster()),
             WORDS("tx", "begin", "--open-ms", "600000"));
    ck_assert_msg(out.status == DONE, "exit status %d: %s", out.status, out.output);
    ck_assert_msg(strlen(out.output) == SCENE_TXID_BYTES && out.output[32] == '\n', "%s",
                  out.output);
    snprintf(txid, SCENE_TXID_BYTES, "%.32s", out.output);
    program_run_release(&out);
}

/* ---- The cluster --------------------------------------------------------------------------- */

START_TEST(status_shows_every_node_and_shard) {
    struct cluster *cluster = scene_cluster();
    ends(DONE, WORDS("status", "--timeout-ms", "30000"),
         WORDS("cluster troth", scene_node(0), scene_node(1), scene_node(2),
               cluster_member(cluster, CLUSTER_SHARD, 0), scene_shard(0),
               cluster_member(cluster, CLUSTER_SHARD, 1), scene_shard(1)));
}
END_TEST

START_TEST(status_in_JSON_has_every_node_and_shard) {
    struct cluster *cluster = scene_cluster();
    struct json_object *status = json_of(WORDS("status", "--json", "--timeout-ms", "30000"));
    struct json_object *nodes = member(status, "nodes");
    struct json_object *participants = member(status, "participants");
    ck_assert_uint_eq(json_object_array_length(nodes), NODES);
    ck_assert_uint_eq(json_object_array_length(participants), SHARDS);
    for (unsigned i = 0; i < NODES; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", i + 1);
        struct json_object *node = find(nodes, "node", id);
        ck_assert_uint_eq(json_object_array_length(member(node, "seen_by")), NODES - 1);
    }
    for (unsigned i = 0; i < SHARDS; i++) {
        struct json_object *shard =
            find(participants, "participant", cluster_member(cluster, CLUSTER_SHARD, i));
        ck_assert_int_eq(json_object_get_int(member(shard, "attached_nodes")), (int)NODES);
    }
    json_object_put(status);
}
END_TEST

/* ---- Keys ---------------------------------------------------------------------------------- */

START_TEST(what_is_put_and_added_is_read_back) {
    ends(DONE, WORDS("kv", "put", "greeting", "hello"), WORDS("ok"));
    prints(WORDS("kv", "get", "greeting"), "hello\n");
    prints(WORDS("kv", "add", "counter", "5"), "5\n");
    prints(WORDS("kv", "add", "counter", "-7"), "-2\n");
    prints(WORDS("kv", "get", "counter"), "-2\n");
}
END_TEST

START_TEST(a_key_that_is_absent_is_exit_status_1) {
    ends(NOT_DONE, WORDS("kv", "get", "nobody-put-this"), WORDS("nobody-put-this"));
}
END_TEST

START_TEST(a_script_that_commits_takes_effect_as_a_whole) {
    ends(DONE,
         WORDS("kv", "txn", "put", "anna", "100", "put", "bert", "20", "add", "anna", "-30", "add",
               "bert", "30", "get", "anna"),
         WORDS("anna 70\n", "bert 50\n", "committed 0000"));
    prints(WORDS("kv", "get", "anna"), "70\n");
    prints(WORDS("kv", "get", "bert"), "50\n");
}
END_TEST

START_TEST(a_script_below_its_minimum_changes_nothing) {
    ends(DONE, WORDS("kv", "txn", "put", "carl", "10", "put", "dora", "1"), WORDS("committed"));
    ends(NOT_DONE, WORDS("kv", "txn", "--minimum", "0", "add", "dora", "11", "add", "carl", "-11"),
         WORDS("is not committed"));
    prints(WORDS("kv", "get", "carl"), "10\n");
    prints(WORDS("kv", "get", "dora"), "1\n");
}
END_TEST

START_TEST(a_script_whose_cas_expects_another_value_changes_nothing) {
    ends(DONE, WORDS("kv", "txn", "put", "leader", "node-1", "put", "term", "1"),
         WORDS("committed"));
    ends(NOT_DONE, WORDS("kv", "txn", "put", "term", "2", "cas", "leader", "node-9", "node-2"),
         WORDS("is not committed"));
    prints(WORDS("kv", "get", "term"), "1\n");
    ends(DONE, WORDS("kv", "txn", "put", "term", "2", "cas", "leader", "node-1", "node-2"),
         WORDS("committed"));
    prints(WORDS("kv", "get", "leader"), "node-2\n");
    prints(WORDS("kv", "get", "term"), "2\n");
}
END_TEST

/* ---- Transactions -------------------------------------------------------------------------- */

START_TEST(a_transaction_of_several_commands_commits) {
    char txid[SCENE_TXID_BYTES];
    begin(0, txid);
    ends(DONE, WORDS("kv", "put", "--tx", txid, "step", "first"), WORDS("ok"));
    ends(DONE, WORDS("tx", "commit", txid), WORDS("committed"));
    ends(DONE, WORDS("tx", "commit", txid), WORDS("committed")); /* may be repeated */
    ends(DONE, WORDS("tx", "get", txid), WORDS("committed"));
    ends(NOT_DONE, WORDS("tx", "abort", txid), WORDS("committed"));
    prints(WORDS("kv", "get", "step"), "first\n");
}
END_TEST

START_TEST(an_aborted_transaction_is_told_and_shown_as_such) {
    char txid[SCENE_TXID_BYTES];
    begin(1, txid);
    ends(DONE, WORDS("tx", "show", txid, "--timeout-ms", "30000"), WORDS(txid, "leader    node 2"));
    ends(UNKNOWN, WORDS("tx", "get", txid), WORDS("none"));
    ends(DONE, WORDS("kv", "put", "--tx", txid, "taken-back", "1"), WORDS("ok"));
    ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted (client"));
    ends(NOT_DONE, WORDS("tx", "get", txid), WORDS("aborted"));
    ends(NOT_DONE, WORDS("tx", "commit", txid), WORDS("aborted"));
    ends(DONE, WORDS("tx", "show", txid, "--timeout-ms", "30000"),
         WORDS(txid, "aborted", "reason    client"));
    ends(NOT_DONE, WORDS("kv", "get", "taken-back"), WORDS("taken-back"));
}
END_TEST

START_TEST(a_txid_that_nobody_gave_out_is_not_committed) {
    static const char txid[] = "000000010000000100000000000fffff";
    ends(NOT_DONE, WORDS("tx", "commit", txid), WORDS(txid, "Check the txid"));
}
END_TEST

START_TEST(list_in_JSON_has_what_was_begun_and_what_came_of_it) {
    char open[SCENE_TXID_BYTES];
    char aborted[SCENE_TXID_BYTES];
    begin(2, open);
    begin(2, aborted);
    ends(DONE, WORDS("tx", "abort", aborted), WORDS("aborted"));
    struct json_object *list = json_of(WORDS("tx", "list", "--json", "--timeout-ms", "30000"));
    struct json_object *found = find(list, "txid", open);
    ck_assert_str_eq(json_object_get_string(member(found, "outcome")), "none");
    found = find(list, "txid", aborted);
    ck_assert_str_eq(json_object_get_string(member(found, "outcome")), "aborted");
    ck_assert_str_eq(json_object_get_string(member(found, "reason")), "client");
    json_object_put(list);
    ends(DONE, WORDS("tx", "abort", open), WORDS("aborted"));
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
        run_with(&out, cluster_nodes(away), cluster_shards(away), commands[i]);
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
    begin(0, txid);
    ck_assert_int_eq(strncmp(txid, "00000001", 8), 0);
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 0), 0);
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 1), 0);
    ends(UNKNOWN, WORDS("tx", "commit", txid, "--timeout-ms", "2000"), WORDS(txid));
    ends(UNKNOWN, WORDS("status", "--timeout-ms", "4000"),
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
