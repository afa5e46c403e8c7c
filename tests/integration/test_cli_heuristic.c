/* The commands for branches that end by themselves: `troth tx list --heuristic`, `show GID`,
 * `forget`, `resolve` and `troth agent`. The participant is this program, and so is its agent. */
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/gid.h"
#include "harness/programs.h"
#include "proto/wire.h"
#include "tests/lib/db_dump.h"
#include "tests/lib/scene_cli.h"
#include "troth/v1/agent.pb-c.h"

#define NODES    3u
#define READY_MS 60000

/* ---- The participant ------------------------------------------------------------------------- */

static struct raw_stream *streams[NODES]; /* NULL: not attached there */

static void attach_to(unsigned node) {
    static uint64_t incarnation = 7ull << 32;
    struct wire_participant_hello hello = {
        .cluster = "troth", .participant = "orders", .version = 1};
    struct wire_welcome welcome;
    struct wire_buffer buffer = {0};
    const uint8_t *bytes;
    size_t n;
    hello.incarnation = ++incarnation;
    ck_assert_int_eq(wire_encode_participant_hello(&hello, &buffer), 0);
    streams[node] = raw_dial(scene_node(node), "/troth.v1.Participants/Attach");
    raw_send(streams[node], buffer.bytes, buffer.n);
    wire_buffer_release(&buffer);
    ck_assert(raw_receive(streams[node], &bytes, &n));
    ck_assert_int_eq(wire_decode_welcome(bytes, n, &welcome), 0);
}

static void attach(void) {
    for (unsigned i = 0; i < NODES; i++) {
        attach_to(i);
    }
}

static void detach(void) {
    for (unsigned i = 0; i < NODES; i++) {
        if (streams[i] != NULL) {
            raw_hang_up(streams[i]);
            streams[i] = NULL;
        }
    }
}

static void report(unsigned node, const char *txid, enum message_heuristic heuristic,
                   enum paxos_outcome outcome, const char *detail) {
    struct message ack = {.type = MESSAGE_ACK, .heuristic = heuristic, .outcome = outcome};
    struct wire_buffer buffer = {0};
    message_set_detail(&ack, detail);
    ck_assert_int_eq(troth_txid_parse(txid, &ack.txid), 0);
    ck_assert_int_eq(wire_encode(WIRE_PARTICIPANT_TO_NODE, &ack, NULL, &buffer), 0);
    raw_send(streams[node], buffer.bytes, buffer.n);
    wire_buffer_release(&buffer);
}

/* ---- Its agent ------------------------------------------------------------------------------- */

static struct {
    struct rpc_server *server;
    char address[64];
    char txid[SCENE_TXID_BYTES]; /* of the only branch */
    char gid[TROTH_GID_BYTES];
    _Atomic(const char *) cluster; /* NULL: troth */
    _Atomic(const char *) state;   /* NULL: in doubt */
    atomic_int refuses;            /* with this status; 0: it does not */
    /* The last, written on a thread of gRPC's; the count comes last, and is read first. */
    int outcome;
    char who[65];
    atomic_uint resolved;
} agent;

static void describe(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__V1__AgentDescribeReply reply = TROTH__V1__AGENT_DESCRIBE_REPLY__INIT;
    Troth__V1__Branch branch = TROTH__V1__BRANCH__INIT;
    (void)arg, (void)bytes, (void)n;
    branch.participant = (char *)(uintptr_t) "orders";
    branch.incarnation = 1ull << 52 | 77;
    reply.kind = (char *)(uintptr_t) "postgres";
    reply.cluster = (char *)(uintptr_t)(agent.cluster == NULL ? "troth" : agent.cluster);
    reply.version = (char *)(uintptr_t) "0.1.0";
    reply.branch = &branch;
    reply.reachable = true;
    reply.nodes_attached = NODES;
    reply.in_doubt = 1;
    rpc_call_reply(call, &reply.base);
}

static void branches(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__V1__AgentBranchesReply reply = TROTH__V1__AGENT_BRANCHES_REPLY__INIT;
    Troth__V1__AgentBranchesReply__Item item = TROTH__V1__AGENT_BRANCHES_REPLY__ITEM__INIT;
    Troth__V1__AgentBranchesReply__Item *items[] = {&item};
    (void)arg, (void)bytes, (void)n;
    item.txid = agent.txid;
    item.gid = agent.gid;
    item.state = (char *)(uintptr_t)(agent.state == NULL ? "in doubt" : agent.state);
    item.since_ms = 61500;
    item.detail = (char *)(uintptr_t) "waits for its outcome";
    reply.n_branches = agent.resolved == 0 ? 1 : 0;
    reply.branches = items;
    rpc_call_reply(call, &reply.base);
}

static void on_resolve(void *arg, struct rpc_call *call, const uint8_t *bytes, size_t n) {
    Troth__V1__AgentResolveReply reply = TROTH__V1__AGENT_RESOLVE_REPLY__INIT;
    Troth__V1__AgentResolveRequest *request =
        troth__v1__agent_resolve_request__unpack(NULL, n, bytes);
    char detail[128];
    (void)arg;
    if (agent.refuses != 0) {
        rpc_call_fail(call, agent.refuses, "nothing is prepared under it");
    } else {
        agent.outcome = (int)request->outcome;
        snprintf(agent.who, sizeof agent.who, "%s", request->who);
        agent.resolved++;
        snprintf(detail, sizeof detail, "by hand: %s", request->who);
        for (unsigned i = 0; i < NODES; i++) {
            report(i, request->txid,
                   agent.outcome == PAXOS_OUTCOME_COMMITTED ? MESSAGE_HEURISTIC_COMMIT
                                                            : MESSAGE_HEURISTIC_ABORT,
                   PAXOS_OUTCOME_NONE, detail);
        }
        rpc_call_reply(call, &reply.base);
    }
    troth__v1__agent_resolve_request__free_unpacked(request, NULL);
}

static void agent_start(const char *txid) {
    struct troth_gid gid = {.cluster = "troth", .participant = "orders"};
    memset(&agent, 0, sizeof agent);
    ck_assert_int_eq(troth_txid_parse(txid, &gid.txid), 0);
    troth_gid_format(&gid, agent.gid);
    snprintf(agent.txid, sizeof agent.txid, "%s", txid);
    ck_assert_int_eq(rpc_server_new(&agent.server, raw_rpc(), "127.0.0.1:0"), 0);
    rpc_server_unary(agent.server, "/troth.v1.Agent/Describe", describe, NULL);
    rpc_server_unary(agent.server, "/troth.v1.Agent/Branches", branches, NULL);
    rpc_server_unary(agent.server, "/troth.v1.Agent/Resolve", on_resolve, NULL);
    ck_assert_int_eq(rpc_server_start(agent.server), 0);
    snprintf(agent.address, sizeof agent.address, "127.0.0.1:%d", rpc_server_port(agent.server));
}

static void agent_stop(void) {
    rpc_server_stop(agent.server, 1000);
    rpc_server_free(agent.server);
}

/* ---- Listing and forgetting ------------------------------------------------------------------ */

/* Polls until the list has so many. To be freed with json_object_put. */
static struct json_object *list_of(size_t n) {
    for (int tries = 0;; tries++) {
        struct json_object *list =
            scene_json(WORDS("tx", "list", "--heuristic", "--json", "--timeout-ms", "30000"));
        if (json_object_array_length(list) == n) {
            return list;
        }
        ck_assert_msg(tries < 200, "not %zu: %s", n, json_object_to_json_string(list));
        json_object_put(list);
        usleep(50000);
    }
}

static const char *text_of(struct json_object *object, const char *name) {
    return json_object_get_string(json_member(object, name));
}

static size_t lines_with(unsigned node, const char *text) {
    char *log = file_text(cluster_log(scene_cluster(), CLUSTER_NODE, node));
    size_t n = 0;
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++) {
        n++;
    }
    free(log);
    return n;
}

static void forget_all(const char *txid) {
    scene_ends(DONE, WORDS("tx", "forget", txid, "--yes", "--who", "ada"), WORDS("forgotten: "));
    json_object_put(list_of(0));
}

/* Starts node 1, and waits until it serves. `point`: the crash point of which it will die; NULL: of
 * none. */
static void start_1(const char *point) {
    char why[CLUSTER_WHY_BYTES];
    char assignment[128];
    cluster_clear_extras(scene_cluster(), CLUSTER_NODE, 1);
    if (point != NULL) {
        snprintf(assignment, sizeof assignment, "TROTH_CRASH_POINT=%s", point);
        ck_assert_int_eq(cluster_add_env(scene_cluster(), CLUSTER_NODE, 1, assignment), 0);
    }
    ck_assert_msg(cluster_start(scene_cluster(), CLUSTER_NODE, 1, why) == 0, "%s", why);
    ck_assert_msg(cluster_wait_ready(scene_cluster(), READY_MS, why) == 0, "%s", why);
}

START_TEST(what_one_node_heard_of_is_listed_with_who_when_and_what_and_survives_its_crash) {
    char txid[SCENE_TXID_BYTES];
    json_object_put(list_of(0));
    scene_cli_begin(0, txid);
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
    attach();
    for (int i = 0; i < 3; i++) { /* more than once */
        report(1, txid, MESSAGE_HEURISTIC_COMMIT, PAXOS_OUTCOME_ABORTED, "COMMIT PREPARED by bob");
    }
    json_object_put(list_of(1));
    ck_assert_uint_eq(lines_with(1, "heuristic commit: participant orders"), 1); /* told once */
    detach();
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 1), 0);
    start_1(NULL);
    struct json_object *list = list_of(1);
    struct json_object *found = json_find(list, "txid", txid);
    ck_assert_str_eq(text_of(found, "participant"), "orders");
    ck_assert_str_eq(text_of(found, "heuristic"), "commit");
    ck_assert_str_eq(text_of(found, "outcome"), "aborted");
    ck_assert_str_eq(text_of(found, "detail"), "COMMIT PREPARED by bob");
    ck_assert_int_eq(json_object_get_int(json_member(found, "nodes")), 1);
    ck_assert_int_eq(strncmp(text_of(found, "since"), "20", 2), 0);
    json_object_put(list);
    scene_ends(DONE, WORDS("tx", "list", "--heuristic", "--timeout-ms", "30000"),
               WORDS(txid, "orders", "commit", "aborted", "COMMIT PREPARED by bob", "SINCE"));
    scene_ends(DONE, WORDS("status"), WORDS("HEURISTICS", "see: troth tx list --heuristic"));
    forget_all(txid);
}
END_TEST

#ifdef TROTH_CRASH_POINTS
static void wait_crash_of_1(void) {
    int status;
    ck_assert_int_eq(cluster_wait_exit(scene_cluster(), CLUSTER_NODE, 1, READY_MS, &status), 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

START_TEST(S4_a_crash_around_its_row_loses_nothing_that_counted) {
    char txid[SCENE_TXID_BYTES];
    struct program_run out;
    scene_cli_begin(0, txid);
    for (int after = 0; after < 2; after++) {
        ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 1), 0);
        start_1(after ? "after.store.heuristic" : "before.store.heuristic");
        attach_to(1);
        report(1, txid, MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "");
        wait_crash_of_1();
        detach();
        start_1(NULL);
        json_object_put(list_of(after ? 1 : 0));
    }
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 1), 0);
    start_1("before.store.forgotten");
    scene_run_with(&out, scene_node(1), cluster_shards(scene_cluster()),
                   WORDS("tx", "forget", txid, "--yes"));
    ck_assert_int_eq(out.status, NO_CONTACT);
    program_run_release(&out);
    wait_crash_of_1();
    start_1(NULL);
    json_object_put(list_of(1));
    forget_all(txid);
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
}
END_TEST
#endif

START_TEST(forgetting_asks_and_leaves_a_record) {
    char txid[SCENE_TXID_BYTES];
    scene_cli_begin(0, txid);
    scene_ends(NOT_DONE, WORDS("tx", "forget", txid, "--yes"), WORDS(txid, "no node keeps"));
    attach();
    for (unsigned i = 0; i < NODES; i++) {
        report(i, txid, MESSAGE_HEURISTIC_HAZARD, PAXOS_OUTCOME_NONE, "gone");
    }
    report(0, txid, MESSAGE_HEURISTIC_MIXED, PAXOS_OUTCOME_NONE, "half of it"); /* it knows more */
    struct json_object *list = list_of(1);
    while (strcmp(text_of(json_find(list, "txid", txid), "heuristic"), "mixed") != 0 ||
           json_object_get_int(json_member(json_find(list, "txid", txid), "nodes")) < 3) {
        json_object_put(list);
        list = list_of(1);
    }
    ck_assert_str_eq(text_of(json_find(list, "txid", txid), "detail"), "half of it");
    json_object_put(list);
    detach();
    scene_ends(USAGE, WORDS("tx", "forget", txid), WORDS("--yes"));
    scene_ends(NOT_DONE, WORDS("tx", "forget", txid, "stock", "--yes"), WORDS("no node keeps"));
    scene_ends(DONE, WORDS("tx", "forget", txid, "orders", "--yes", "--who", "ada"),
               WORDS("forgotten: 1", "at 3 of 3 nodes"));
    json_object_put(list_of(0));
    char *who = db_text(cluster_database(scene_cluster(), CLUSTER_NODE, 2),
                        "SELECT participant || ' ' || heuristic || ' ' || forgotten_by FROM"
                        " heuristics_forgotten ORDER BY forgotten_at DESC LIMIT 1");
    ck_assert_str_eq(who, "orders hazard ada");
    free(who);
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
}
END_TEST

START_TEST(a_global_id_is_read_back) {
    char txid[SCENE_TXID_BYTES];
    char gid[TROTH_GID_BYTES];
    char xa[TROTH_GID_BYTES];
    scene_cli_begin(1, txid);
    snprintf(gid, sizeof gid, "troth:troth:%s:orders", txid);
    snprintf(xa, sizeof xa, "'%s:troth','orders',%ld", txid, TROTH_XA_FORMAT);
    const char *const forms[] = {gid, xa};
    for (size_t i = 0; i < 2; i++) {
        scene_ends(DONE, WORDS("tx", "show", forms[i], "--timeout-ms", "30000"),
                   WORDS(txid, "participant orders", "cluster troth", "leader    node 2"));
        struct json_object *shown =
            scene_json(WORDS("tx", "show", forms[i], "--json", "--timeout-ms", "30000"));
        ck_assert_str_eq(text_of(json_member(shown, "gid"), "participant"), "orders");
        ck_assert_str_eq(text_of(shown, "txid"), txid);
        json_object_put(shown);
    }
    scene_ends(USAGE, WORDS("tx", "show", "troth:main:12:orders"), WORDS("global id"));
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
}
END_TEST

START_TEST(nothing_is_said_of_another_clusters_branch_whose_txid_is_one_of_ours_too) {
    char txid[SCENE_TXID_BYTES];
    char gid[TROTH_GID_BYTES];
    scene_cli_begin(1, txid);
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
    snprintf(gid, sizeof gid, "troth:main:%s:orders", txid);
    scene_ends(USAGE, WORDS("tx", "show", gid, "--timeout-ms", "30000"),
               WORDS("of cluster main", "of cluster troth", "--nodes"));
    scene_ends(USAGE, WORDS("tx", "forget", gid, "--yes", "--timeout-ms", "30000"),
               WORDS("of cluster main", "of cluster troth", "--nodes"));
    agent_start(txid);
    agent.cluster = "main";
    const char *const asked[] = {txid, gid};
    for (size_t i = 0; i < 2; i++) {
        scene_ends(USAGE,
                   WORDS("tx", "resolve", asked[i], "--abort", "--agent", agent.address,
                         "--yes-i-know", "--timeout-ms", "30000"),
                   WORDS("of cluster main", "of cluster troth", "--nodes"));
    }
    ck_assert_uint_eq(agent.resolved, 0);
    agent_stop();
}
END_TEST

/* ---- Resolving ------------------------------------------------------------------------------- */

START_TEST(an_agent_shows_its_branches_and_what_ends_them) {
    char txid[SCENE_TXID_BYTES];
    scene_cli_begin(1, txid);
    agent_start(txid);
    scene_ends(DONE, WORDS("agent", agent.address, "--timeout-ms", "30000"),
               WORDS("participant  orders (postgres), cluster troth", "reachable", "in doubt",
                     "61.5", "undecided", "node 2 leads", agent.gid, "waits for its outcome"));
    struct json_object *shown =
        scene_json(WORDS("agent", agent.address, "--json", "--timeout-ms", "30000"));
    struct json_object *branch = json_find(json_member(shown, "branches"), "txid", txid);
    ck_assert_str_eq(text_of(branch, "state"), "in doubt");
    ck_assert_str_eq(text_of(branch, "outcome"), "undecided");
    json_object_put(shown);
    agent.state = "enlisted";
    scene_ends(DONE, WORDS("agent", agent.address, "--timeout-ms", "30000"),
               WORDS("enlisted", "its program, or the transaction's timeout"));
    agent.state = NULL;
    struct program_run run;
    char one_of_three[256];
    snprintf(one_of_three, sizeof one_of_three, "%s,127.0.0.1:1,127.0.0.1:2", scene_node(0));
    scene_run_with(&run, one_of_three, cluster_shards(scene_cluster()),
                   WORDS("agent", agent.address));
    scene_has_words(run.output, WORDS("in doubt", "a majority of nodes"));
    program_run_release(&run);
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
    scene_ends(DONE, WORDS("agent", agent.address, "--timeout-ms", "30000"),
               WORDS("aborted", "the agent, in a moment"));
    agent_stop();
    scene_ends(NO_CONTACT, WORDS("agent", agent.address), WORDS("Check that troth-agent runs"));
    scene_ends(NO_CONTACT, WORDS("agent", scene_node(0)), WORDS("does not answer as an agent"));
}
END_TEST

START_TEST(resolving_by_hand_is_refused_until_it_is_clear_that_it_is_meant) {
    char txid[SCENE_TXID_BYTES];
    char other[TROTH_GID_BYTES];
    scene_cli_begin(0, txid);
    agent_start(txid);
    snprintf(other, sizeof other, "troth:troth:%s:stock", txid);
    scene_ends(USAGE, WORDS("tx", "resolve", txid, "--agent", agent.address), WORDS("one of"));
    scene_ends(USAGE, WORDS("tx", "resolve", txid, "--abort", "--commit", "--agent", "h:1"),
               WORDS("one of"));
    scene_ends(USAGE, WORDS("tx", "resolve", txid, "--abort"), WORDS("--agent"));
    scene_ends(USAGE, WORDS("tx", "resolve", txid, "--abort", "--agent", agent.address),
               WORDS("in doubt", "active", "--yes-i-know"));
    scene_ends(USAGE, WORDS("tx", "resolve", other, "--abort", "--agent", agent.address, "--force"),
               WORDS("stands for participant orders", "stock"));
    scene_ends(NO_CONTACT, WORDS("tx", "resolve", txid, "--abort", "--agent", "127.0.0.1:1"),
               WORDS("troth-agent"));
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
    scene_ends(NOT_DONE,
               WORDS("tx", "resolve", txid, "--commit", "--agent", agent.address, "--yes-i-know"),
               WORDS("The transaction is aborted", "contradicts", "--force"));
    agent.refuses = RPC_NOT_FOUND;
    scene_ends(NOT_DONE,
               WORDS("tx", "resolve", txid, "--abort", "--agent", agent.address, "--yes-i-know"),
               WORDS("needless", "NOT_FOUND", "nothing is prepared"));
    ck_assert_uint_eq(agent.resolved, 0);
    agent_stop();
}
END_TEST

START_TEST(a_branch_that_is_resolved_by_hand_is_kept_by_all_nodes_and_decides_nothing) {
    char txid[SCENE_TXID_BYTES];
    attach();
    scene_cli_begin(0, txid);
    agent_start(txid);
    scene_ends(DONE,
               WORDS("tx", "resolve", agent.gid, "--abort", "--agent", agent.address, "--who",
                     "ada", "--yes-i-know"),
               WORDS("aborted by hand at orders", "on the word of ada", "kept by 3 of 3 nodes"));
    ck_assert_uint_eq(agent.resolved, 1);
    ck_assert_int_eq(agent.outcome, PAXOS_OUTCOME_ABORTED);
    ck_assert_str_eq(agent.who, "ada");
    struct json_object *list = list_of(1);
    struct json_object *found = json_find(list, "txid", txid);
    ck_assert_str_eq(text_of(found, "detail"), "by hand: ada");
    ck_assert_str_eq(text_of(found, "outcome"), "none");
    json_object_put(list);
    scene_ends(UNKNOWN, WORDS("tx", "get", txid), WORDS("none"));
    scene_ends(DONE, WORDS("tx", "commit", txid), WORDS("committed")); /* nobody took part */
    list = list_of(1);
    ck_assert_str_eq(text_of(json_find(list, "txid", txid), "outcome"), "committed"); /* by now */
    json_object_put(list);
    agent_stop();
    detach();
    forget_all(txid);
}
END_TEST

/* Runs it at a terminal, where somebody types these lines. */
static int run_typed(const char *const *args, const char *typed, char *said, size_t bytes) {
    char program[PROGRAMS_PATH_BYTES];
    char why[512];
    const char *all[24] = {program, "--nodes", cluster_nodes(scene_cluster())};
    int terminal, status;
    size_t used = 0;
    for (size_t n = 3; *args != NULL; args++) {
        all[n++] = *args;
    }
    ck_assert_msg(program_find(NULL, PROGRAM_TROTH, program, why, sizeof why) == 0, "%s", why);
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (pid == 0) {
        execv(program, (char **)(uintptr_t)all);
        _exit(99);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(write(terminal, typed, strlen(typed)), (ssize_t)strlen(typed));
    for (ssize_t n; (n = read(terminal, said + used, bytes - 1 - used)) > 0;) {
        used += (size_t)n;
    }
    said[used] = '\0';
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    close(terminal);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(at_a_terminal_it_asks_twice_and_wants_the_participants_name) {
    char txid[SCENE_TXID_BYTES];
    static char said[65536];
    attach();
    scene_cli_begin(0, txid);
    agent_start(txid);
    const char *const *args =
        WORDS("tx", "resolve", txid, "--commit", "--agent", agent.address, "--who", "bob");
    ck_assert_int_eq(run_typed(args, "no\n", said, sizeof said), NOT_DONE);
    scene_has_words(said, WORDS("can't be undone", "Nothing was done"));
    ck_assert_int_eq(run_typed(args, "yes\nyes\n", said, sizeof said), NOT_DONE);
    scene_has_words(said, WORDS("participant's name", "Nothing was done"));
    ck_assert_uint_eq(agent.resolved, 0);
    ck_assert_int_eq(run_typed(args, "yes\norders\n", said, sizeof said), DONE);
    scene_has_words(said, WORDS("committed by hand at orders"));
    ck_assert_uint_eq(agent.resolved, 1);
    ck_assert_int_eq(agent.outcome, PAXOS_OUTCOME_COMMITTED);
    agent_stop();
    detach();
    ck_assert_int_eq(run_typed(WORDS("tx", "forget", txid), "no\n", said, sizeof said), NOT_DONE);
    json_object_put(list_of(1));
    ck_assert_int_eq(run_typed(WORDS("tx", "forget", txid), "yes\n", said, sizeof said), DONE);
    json_object_put(list_of(0));
    scene_ends(DONE, WORDS("tx", "abort", txid), WORDS("aborted"));
}
END_TEST

/* The last test: it leaves two nodes of three. */
START_TEST(forgetting_says_which_nodes_could_not_be_reached) {
    char txid[SCENE_TXID_BYTES];
    scene_cli_begin(0, txid);
    attach();
    for (unsigned i = 0; i < NODES; i++) {
        report(i, txid, MESSAGE_HEURISTIC_ABORT, PAXOS_OUTCOME_NONE, "");
    }
    json_object_put(list_of(1));
    detach();
    ck_assert_int_eq(cluster_kill(scene_cluster(), CLUSTER_NODE, 2), 0);
    scene_ends(UNKNOWN, WORDS("tx", "forget", txid, "--yes"),
               WORDS("at 2 of 3 nodes", scene_node(2), "did not answer", "repeat this"));
    scene_ends(UNKNOWN, WORDS("tx", "forget", txid, "--yes"), WORDS("no node keeps"));
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        what_one_node_heard_of_is_listed_with_who_when_and_what_and_survives_its_crash,
#ifdef TROTH_CRASH_POINTS
        S4_a_crash_around_its_row_loses_nothing_that_counted,
#endif
        forgetting_asks_and_leaves_a_record,
        a_global_id_is_read_back,
        nothing_is_said_of_another_clusters_branch_whose_txid_is_one_of_ours_too,
        an_agent_shows_its_branches_and_what_ends_them,
        resolving_by_hand_is_refused_until_it_is_clear_that_it_is_meant,
        a_branch_that_is_resolved_by_hand_is_kept_by_all_nodes_and_decides_nothing,
        at_a_terminal_it_asks_twice_and_wants_the_participants_name,
        forgetting_says_which_nodes_could_not_be_reached,
        NULL,
    };
    return scene_suite_run("cli_heuristic", &(struct scene_options){.nodes = NODES, .shards = 1},
                           tests);
}
