/* The programs of examples/, run as a newcomer runs them; what they did is read in the files. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/db_dump.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

/* The sum of what the shards' files have for the key; -1 when none has it. */
static int64_t in_the_files(const char *key) {
    char sql[128];
    int64_t found = -1;
    snprintf(sql, sizeof sql, "SELECT value FROM kv_text WHERE key = '%s'", key);
    for (unsigned i = 0; i < 2; i++) {
        int64_t value = db_number(cluster_database(scene_cluster(), CLUSTER_SHARD, i), sql);
        found = value >= 0 ? value : found;
    }
    return found;
}

static void commits(const char *program, const char *const *args) {
    struct program_run run;
    program_run(&run, program, args);
    ck_assert_msg(run.status == 0, "exit status %d: %s", run.status, run.output);
    ck_assert_msg(strncmp(run.output, "committed 0000", 14) == 0, "%s", run.output);
    program_run_release(&run);
    free(scene_snapshot()); /* waits until the shards have it, too */
    scene_serves();
}

START_TEST(the_client_in_C_moves_money) {
    const char *const args[] = {cluster_nodes(scene_cluster()), cluster_shards(scene_cluster()),
                                NULL};
    commits(EXAMPLE_CLIENT, args);
    ck_assert_int_eq(in_the_files("alice"), 90);
    ck_assert_int_eq(in_the_files("bob"), 110);
    commits(EXAMPLE_CLIENT, args);
    ck_assert_int_eq(in_the_files("alice"), 80);
    ck_assert_int_eq(in_the_files("bob"), 120);
}
END_TEST

START_TEST(the_client_in_Python_moves_money_between_both_shards) {
    commits("/usr/bin/python3",
            (const char *[]){TROTH_SOURCE_DIR "/examples/python/client.py", "--nodes",
                             cluster_nodes(scene_cluster()), "--shards",
                             cluster_shards(scene_cluster()), NULL});
    static const char sql[] = "SELECT value FROM kv_text WHERE key LIKE 'python-%'";
    ck_assert_int_eq(db_number(cluster_database(scene_cluster(), CLUSTER_SHARD, 0), sql), 90);
    ck_assert_int_eq(db_number(cluster_database(scene_cluster(), CLUSTER_SHARD, 1), sql), 10);
}
END_TEST

START_TEST(the_client_in_Python_changes_nothing_at_shards_whose_addresses_are_mixed_up) {
    struct program_run run;
    char shards[256];
    snprintf(shards, sizeof shards, "%s=%s,%s=%s",
             cluster_member(scene_cluster(), CLUSTER_SHARD, 0), scene_shard(1),
             cluster_member(scene_cluster(), CLUSTER_SHARD, 1), scene_shard(0));
    char *before = scene_snapshot();
    program_run(&run, "/usr/bin/python3",
                (const char *[]){TROTH_SOURCE_DIR "/examples/python/client.py", "--nodes",
                                 cluster_nodes(scene_cluster()), "--shards", shards, NULL});
    ck_assert_msg(run.status == 3, "exit status %d: %s", run.status, run.output);
    scene_has_words(run.output, (const char *[]){"this is shard", "is meant", "--shards", NULL});
    program_run_release(&run);
    scene_unchanged(before);
}
END_TEST

START_TEST(the_client_in_Python_names_the_transaction_whose_outcome_it_does_not_know) {
    struct program_run run;
    char why[CLUSTER_WHY_BYTES];
    for (unsigned i = 1; i < 3; i++) {
        ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, i), 0);
    }
    program_run(&run, "/usr/bin/python3",
                (const char *[]){TROTH_SOURCE_DIR "/examples/python/client.py", "--timeout-s", "1",
                                 "--nodes", scene_node(0), "--shards",
                                 cluster_shards(scene_cluster()), NULL});
    ck_assert_msg(run.status == 3, "exit status %d: %s", run.status, run.output);
    scene_has_words(run.output, (const char *[]){"unknown 0000", "troth tx get 0000", NULL});
    program_run_release(&run);
    for (unsigned i = 1; i < 3; i++) {
        ck_assert_int_eq(cluster_start(scene_cluster(), CLUSTER_NODE, i, why), 0);
    }
    ck_assert_msg(cluster_wait_ready(scene_cluster(), 60000, why) == 0, "%s", why);
}
END_TEST

/* An order, the second time the same, and what is left of three pieces. */
static void orders(const char *program, const char *const *args, const char *stock) {
    struct program_run run;
    commits(program, args);
    ck_assert_int_eq(in_the_files(stock), 2);
    program_run(&run, program, args);
    ck_assert_msg(run.status == 1, "exit status %d: %s", run.status, run.output);
    ck_assert_msg(strncmp(run.output, "aborted 0000", 12) == 0, "%s", run.output);
    program_run_release(&run);
    free(scene_snapshot());
    ck_assert_int_eq(in_the_files(stock), 2);
}

START_TEST(an_order_as_one_call_in_C_can_not_half_happen) {
    orders(EXAMPLE_ONE_CALL,
           (const char *[]){"7", cluster_nodes(scene_cluster()), cluster_shards(scene_cluster()),
                            NULL},
           "stock");
}
END_TEST

START_TEST(an_order_as_one_call_in_Python_can_not_half_happen) {
    orders("/usr/bin/python3",
           (const char *[]){TROTH_SOURCE_DIR "/examples/python/one_call.py", "--nodes",
                            cluster_nodes(scene_cluster()), "--shards",
                            cluster_shards(scene_cluster()), "--open", "3", "7", NULL},
           "py-stock");
}
END_TEST

START_TEST(the_clients_say_what_is_wrong_with_their_command_line) {
    struct program_run run;
    program_run(&run, EXAMPLE_CLIENT, (const char *[]){"nowhere", "nothing", NULL});
    ck_assert_int_ne(run.status, 0);
    ck_assert_uint_gt(strlen(run.output), 0);
    program_run_release(&run);
    program_run(&run, EXAMPLE_PARTICIPANT, (const char *[]){NULL});
    ck_assert_int_eq(run.status, 2);
    scene_has_words(run.output, (const char *[]){"usage", NULL});
    program_run_release(&run);
}
END_TEST

/* ---- The participant ----------------------------------------------------------------------- */

struct stock {
    pid_t pid;
    FILE *to;
    FILE *from;
    char database[4400];
};

static void stock_start(struct stock *stock) {
    int to[2];
    int from[2];
    ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
    snprintf(stock->database, sizeof stock->database, "%s/stock.db", cluster_data(scene_cluster()));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    char *const args[] = {(char *)(uintptr_t) "participant", (char *)(uintptr_t) "stock",
                          (char *)(uintptr_t)cluster_nodes(scene_cluster()), stock->database, NULL};
    ck_assert_int_eq(posix_spawn(&stock->pid, EXAMPLE_PARTICIPANT, &actions, NULL, args, environ),
                     0);
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    stock->to = fdopen(to[1], "w");
    stock->from = fdopen(from[0], "r");
    ck_assert(stock->to != NULL && stock->from != NULL);
    setvbuf(stock->to, NULL, _IOLBF, 0);
}

static void stock_stop(struct stock *stock) {
    int status;
    fclose(stock->to);
    ck_assert_int_eq(waitpid(stock->pid, &status, 0), stock->pid);
    fclose(stock->from);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

static int64_t stock_ask(struct stock *stock) {
    char line[256];
    long long number;
    fprintf(stock->to, "stock\n");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, stock->from));
    ck_assert_msg(sscanf(line, "stock %lld", &number) == 1, "%s", line);
    return number;
}

/* The branch's incarnation. Until it has its sessions, the participant refuses. */
static uint64_t stock_add(struct stock *stock, const char *txid, int number) {
    char line[512] = "";
    char bound[SCENE_TXID_BYTES];
    unsigned long long incarnation = 0;
    while (sscanf(line, "%32s bound %llu", bound, &incarnation) != 2) {
        ck_assert_msg(strstr(line, "refused") == NULL || strstr(line, "no session") != NULL, "%s",
                      line);
        fprintf(stock->to, "%s %d\n", txid, number);
        ck_assert_ptr_nonnull(fgets(line, sizeof line, stock->from));
    }
    ck_assert_str_eq(bound, txid);
    return incarnation;
}

/* In one transaction with a key at the first shard. Returns the outcome. */
static int change_stock(struct stock *stock, int number, const char *key) {
    char txid[SCENE_TXID_BYTES];
    scene_begin(0, txid);
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    branch.participant = (char *)(uintptr_t) "stock";
    branch.incarnation = stock_add(stock, txid, number);
    struct raw_answer put = scene_put(0, txid, key, strlen(key), "1", 1);
    ck_assert_msg(put.status == RPC_OK, "%s", put.text);
    Troth__V1__Branch *branches[] = {&branch, ((Troth__V1__KvWriteReply *)put.reply)->branch};
    struct raw_answer answer = scene_commit(0, txid, 2, branches);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    const Troth__V1__OutcomeReply *reply = (const Troth__V1__OutcomeReply *)answer.reply;
    int outcome = (int)reply->outcome;
    if (outcome == TROTH__V1__OUTCOME__OUTCOME_ABORTED) {
        scene_has_words(reply->detail, (const char *[]){"not enough in stock", NULL});
    }
    raw_free(answer.reply);
    raw_free(put.reply);
    free(scene_snapshot()); /* waits until both have carried it out */
    return outcome;
}

START_TEST(the_participant_commits_with_a_shard_or_not_at_all) {
    struct stock stock;
    stock_start(&stock);
    ck_assert_int_eq(change_stock(&stock, 5, "delivered"), TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    ck_assert_int_eq(stock_ask(&stock), 5);
    ck_assert_int_eq(change_stock(&stock, -7, "oversold"), TROTH__V1__OUTCOME__OUTCOME_ABORTED);
    ck_assert_int_eq(stock_ask(&stock), 5);
    ck_assert_int_eq(change_stock(&stock, -2, "sold"), TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    ck_assert_int_eq(stock_ask(&stock), 3);
    free(scene_snapshot());
    stock_stop(&stock);
    ck_assert_int_eq(db_number(stock.database, "SELECT n FROM stock"), 3);
    ck_assert_int_eq(in_the_files("delivered"), 1);
    ck_assert_int_eq(in_the_files("oversold"), -1);
    ck_assert_int_eq(in_the_files("sold"), 1);
    /* It comes back with what it had. */
    stock_start(&stock);
    ck_assert_int_eq(stock_ask(&stock), 3);
    ck_assert_int_eq(change_stock(&stock, 1, "returned"), TROTH__V1__OUTCOME__OUTCOME_COMMITTED);
    stock_stop(&stock);
    ck_assert_int_eq(db_number(stock.database, "SELECT n FROM stock"), 4);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        the_client_in_C_moves_money,
        the_client_in_Python_moves_money_between_both_shards,
        an_order_as_one_call_in_C_can_not_half_happen,
        an_order_as_one_call_in_Python_can_not_half_happen,
        the_clients_say_what_is_wrong_with_their_command_line,
        the_participant_commits_with_a_shard_or_not_at_all,
        the_client_in_Python_changes_nothing_at_shards_whose_addresses_are_mixed_up,
        the_client_in_Python_names_the_transaction_whose_outcome_it_does_not_know,
        NULL,
    };
    return scene_suite_run("examples", &(struct scene_options){.nodes = 3, .shards = 2}, tests);
}
