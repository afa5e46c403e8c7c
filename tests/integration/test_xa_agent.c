/* troth-agent over a resource manager with an XA switch: enlistment from outside, its own death at
 * bad moments, and what it says when it can't start. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/gid.h"
#include "client/troth.h"
#include "harness/process.h"
#include "harness/programs.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"
#include "tests/lib/xa_manager.h"
#include "troth/v1/agent.pb-c.h"

#define PATIENCE_MS 60000

struct agent {
    struct xa_manager *manager;
    struct process process;
    char name[32];
    char address[64];
    const char *patience_ms; /* for its next start */
    struct troth *troth;
    struct troth_txid txid;
    char gid[TROTH_GID_BYTES];
    uint64_t incarnation;
};

static char *agent_program(void) {
    static char path[PROGRAMS_PATH_BYTES];
    char why[500];
    ck_assert_msg(program_find(NULL, PROGRAM_AGENT, path, why, sizeof why) == 0, "%s", why);
    return path;
}

/* ---- The process ----------------------------------------------------------------------------- */

static void agent_args(struct agent *a) {
    const char *const args[] = {"xa",
                                "--name",
                                a->name,
                                "--nodes",
                                cluster_nodes(scene_cluster()),
                                "--listen",
                                "127.0.0.1:0",
                                "--switch",
                                xa_manager_library(),
                                "--symbol",
                                "crooked_switch",
                                "--open-info",
                                a->manager->open_info,
                                "--connections",
                                "2",
                                "--scan-ms",
                                "50",
                                "--patience-ms",
                                a->patience_ms};
    process_keep_args(&a->process, 0);
    for (size_t i = 0; i < sizeof args / sizeof *args; i++) {
        ck_assert_int_eq(process_add_arg(&a->process, args[i]), 0);
    }
}

/* Its address is in the line that it prints when it serves. */
static void launch(struct agent *a) {
    static const char ready[] = " is ready at ";
    int waited_ms = 0;
    agent_args(a);
    unlink(a->process.log);
    ck_assert_int_eq(process_start(&a->process), 0);
    for (;;) {
        char *log = file_text(a->process.log);
        char *line = strstr(log, ready);
        if (line != NULL && strchr(line, '\n') != NULL) {
            snprintf(a->address, sizeof a->address, "%.*s",
                     (int)strcspn(line + sizeof ready - 1, "\n"), line + sizeof ready - 1);
            free(log);
            return;
        }
        ck_assert_msg(process_running(&a->process, NULL) && (waited_ms += 5) < PATIENCE_MS, "%s",
                      log);
        free(log);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static Troth__V1__AgentDescribeReply *describe(struct agent *a) {
    Troth__V1__AgentDescribeRequest request = TROTH__V1__AGENT_DESCRIBE_REQUEST__INIT;
    struct raw_answer answer = raw_call(a->address, "/troth.v1.Agent/Describe", &request.base,
                                        &troth__v1__agent_describe_reply__descriptor);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    return (Troth__V1__AgentDescribeReply *)answer.reply;
}

/* Serves, and every node knows it. */
static void agent_start(struct agent *a) {
    uint32_t attached = 0;
    launch(a);
    for (int waited_ms = 0; attached < 3;) {
        Troth__V1__AgentDescribeReply *reply = describe(a);
        attached = reply->nodes_attached;
        raw_free(reply);
        ck_assert_int_lt(waited_ms += 5, PATIENCE_MS);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void agent_kill(struct agent *a) {
    ck_assert_int_eq(process_signal(&a->process, SIGKILL), 0);
    ck_assert_int_eq(process_wait(&a->process, -1, NULL), 0);
}

static void agent_open(struct agent *a, const char *rules) {
    static unsigned names;
    memset(a, 0, sizeof *a);
    a->manager = xa_manager_new(rules);
    a->patience_ms = "60000";
    snprintf(a->name, sizeof a->name, "agent-%u", ++names);
    snprintf(a->process.program, sizeof a->process.program, "%s", agent_program());
    snprintf(a->process.log, sizeof a->process.log, "%s/%s.log", cluster_data(scene_cluster()),
             a->name);
    ck_assert_int_eq(
        troth_open(&a->troth, &(struct troth_options){.nodes = cluster_nodes(scene_cluster())}), 0);
    agent_start(a);
}

static void agent_close(struct agent *a) {
    ck_assert_int_eq(process_stop(&a->process, PATIENCE_MS), 0);
    process_release(&a->process);
    troth_close(a->troth);
    xa_manager_free(a->manager);
}

/* ---- A program's transaction ----------------------------------------------------------------- */

static void begin_and_work(struct agent *a) {
    char digits[TROTH_TXID_TEXT];
    ck_assert_int_eq(troth_begin(a->troth, 0, &a->txid, NULL), 0);
    Troth__V1__AgentEnlistRequest request = TROTH__V1__AGENT_ENLIST_REQUEST__INIT;
    request.txid = troth_txid_format(a->txid, digits);
    struct raw_answer answer = raw_call(a->address, "/troth.v1.Agent/Enlist", &request.base,
                                        &troth__v1__agent_enlist_reply__descriptor);
    ck_assert_msg(answer.status == RPC_OK, "%s", answer.text);
    Troth__V1__AgentEnlistReply *reply = (Troth__V1__AgentEnlistReply *)answer.reply;
    ck_assert_uint_eq(reply->n_begin_sql + reply->n_prepare_sql, 0);
    snprintf(a->gid, sizeof a->gid, "%s", reply->gid);
    a->incarnation = reply->branch->incarnation;
    raw_free(reply);
    xa_manager_work(a->manager, a->gid, true);
}

static enum troth_outcome commit(struct agent *a) {
    struct troth_branch branch = {a->name, a->incarnation};
    struct troth_result result = {0};
    int err;
    do {
        err = troth_commit(a->troth, a->txid, &branch, 1, 0, &result);
    } while (err == TROTH_ERR_TIMEOUT || err == TROTH_ERR_UNKNOWN);
    ck_assert_msg(err == 0, "%s: %s", troth_err_name(err), result.detail);
    return result.outcome;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

START_TEST(a_program_enlists_by_rpc_works_by_xa_and_commits) {
    struct agent a;
    agent_open(&a, "");
    begin_and_work(&a);
    ck_assert_int_eq(commit(&a), TROTH_COMMITTED);
    xa_manager_await(a.manager, a.gid, "committed");
    Troth__V1__AgentDescribeReply *reply = describe(&a);
    ck_assert_str_eq(reply->kind, "xa");
    ck_assert_int_eq(reply->reachable, 1);
    ck_assert_uint_eq(reply->heuristics, 0);
    raw_free(reply);
    agent_close(&a);
}
END_TEST

START_TEST(an_agent_killed_while_it_commits_commits_after_its_return) {
    struct agent a;
    agent_open(&a, "commit=hang:1");
    begin_and_work(&a);
    ck_assert_int_eq(commit(&a), TROTH_COMMITTED);
    xa_manager_await_hanging(a.manager);
    agent_kill(&a);
    xa_manager_end_hanging(a.manager);
    ck_assert_str_eq(xa_manager_state(a.manager, a.gid), "prepared");
    xa_manager_rules(a.manager, "");
    agent_start(&a);
    xa_manager_await(a.manager, a.gid, "committed");
    Troth__V1__AgentDescribeReply *reply = describe(&a);
    ck_assert_uint_eq(reply->heuristics, 0);
    raw_free(reply);
    agent_close(&a);
}
END_TEST

START_TEST(an_agent_killed_before_the_vote_votes_after_its_return) {
    struct agent a;
    agent_open(&a, "");
    begin_and_work(&a);
    agent_kill(&a);
    agent_start(&a);
    ck_assert_int_eq(commit(&a), TROTH_COMMITTED);
    xa_manager_await(a.manager, a.gid, "committed");
    agent_close(&a);
}
END_TEST

START_TEST(what_a_dead_program_left_is_found_by_a_new_agent_and_rolled_back) {
    struct agent a;
    agent_open(&a, "");
    begin_and_work(&a);
    agent_kill(&a);
    a.patience_ms = "500";
    agent_start(&a);
    xa_manager_await(a.manager, a.gid, "aborted");
    agent_close(&a);
}
END_TEST

START_TEST(a_resource_manager_that_is_down_at_first_is_waited_for) {
    struct agent a;
    agent_open(&a, "open=XAER_RMFAIL:3");
    begin_and_work(&a);
    ck_assert_int_eq(commit(&a), TROTH_COMMITTED);
    xa_manager_await(a.manager, a.gid, "committed");
    agent_close(&a);
}
END_TEST

static void assert_refuses(const char *library, const char *symbol, const char *open_info,
                           int status, const char *says) {
    struct program_run run;
    program_run(&run, agent_program(),
                (const char *[]){"xa", "--name", "never", "--nodes", cluster_nodes(scene_cluster()),
                                 "--listen", "127.0.0.1:0", "--switch", library, "--symbol", symbol,
                                 "--open-info", open_info, NULL});
    ck_assert_msg(run.status == status, "%d: %s", run.status, run.output);
    ck_assert_msg(strstr(run.output, says) != NULL, "%s", run.output);
    ck_assert_msg(strstr(run.output, "secret") == NULL, "%s", run.output);
    program_run_release(&run);
}

START_TEST(it_says_why_it_does_not_start_and_never_the_open_string) {
    assert_refuses("/nowhere.so", "crooked_switch", "secret", 1, "/nowhere.so");
    assert_refuses(xa_manager_library(), "nothing", "secret", 1, "no symbol \"nothing\"");
    assert_refuses(xa_manager_library(), "crooked_version", "secret", 1, "version 1");
    assert_refuses(xa_manager_library(), "crooked_switch", "secret", 1, "open string");
    assert_refuses("", "", "secret", 2, "--switch");
}
END_TEST

int main(void) {
    return scene_suite_run(
        "xa_agent", &(struct scene_options){.nodes = 3, .shards = 1},
        (const TTest *const[]){a_program_enlists_by_rpc_works_by_xa_and_commits,
                               an_agent_killed_while_it_commits_commits_after_its_return,
                               an_agent_killed_before_the_vote_votes_after_its_return,
                               what_a_dead_program_left_is_found_by_a_new_agent_and_rolled_back,
                               a_resource_manager_that_is_down_at_first_is_waited_for,
                               it_says_why_it_does_not_start_and_never_the_open_string, NULL});
}
