#include "tests/lib/cluster_fixture.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/troth_err.h"
#include "client/internal.h"
#include "client/links.h"
#include "shell/clock.h"

#define LOG_TAIL_BYTES 3000
#define STOP_MS        30000

/* Shorter than the defaults, so that repeating and resolving take place within a test, and long
 * enough for a busy machine under the thread sanitizer. */
static const char *const quick[] = {"--repeat-ms", "300", "--resolve-ms", "1000", NULL};

int64_t fixture_now_ms(void) {
    return clock_monotonic_ms();
}

void fixture_pause(void) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* ---- Failing --------------------------------------------------------------------------------- */

static void print_tail(const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fseek(file, -LOG_TAIL_BYTES, SEEK_END) != 0) {
        rewind(file);
    }
    char text[LOG_TAIL_BYTES + 1];
    size_t n = fread(text, 1, LOG_TAIL_BYTES, file);
    fclose(file);
    text[n] = '\0';
    fprintf(stderr, "---- the end of %s ----\n%s\n", path, text);
}

void fixture_fail(struct fixture *f, const char *file, int line, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (int role = CLUSTER_NODE; f->cluster != NULL && role <= CLUSTER_SHARD; role++) {
        for (unsigned i = 0; i < cluster_count(f->cluster, (enum cluster_role)role); i++) {
            print_tail(cluster_log(f->cluster, (enum cluster_role)role, i));
        }
    }
    if (f->cluster != NULL && getenv("TROTH_TEST_KEEP") != NULL) {
        cluster_keep_data(f->cluster);
        fprintf(stderr, "kept: %s\n", cluster_data(f->cluster));
    }
    cluster_free(f->cluster);
    ck_abort_msg("%s:%d: %s (crash point armed last: %s)", file, line, text,
                 f->armed != NULL ? f->armed : "none");
    abort(); /* never reached, which the compiler can't know */
}

bool fixture_runs(struct fixture *f, enum cluster_role role, unsigned index) {
    return cluster_pid(f->cluster, role, index) != 0 &&
           cluster_running(f->cluster, role, index, NULL);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

/* The flags for its next start, without those of the start before. */
static void give_extras(struct fixture *f, enum cluster_role role, unsigned index,
                        const char *point) {
    struct fixture_arm *arm = &f->arms[role][index];
    struct stat log;
    const char *name = point == NULL ? "" : point;
    arm->log_from = stat(cluster_log(f->cluster, role, index), &log) == 0 ? (long)log.st_size : 0;
    snprintf(arm->name, sizeof arm->name, "%.*s", (int)strcspn(name, ":"), name);
    cluster_clear_extras(f->cluster, role, index);
    const char *const *const lists[] = {quick, f->node_args};
    for (size_t k = 0; role == CLUSTER_NODE && k < 2; k++) {
        for (size_t i = 0; lists[k] != NULL && lists[k][i] != NULL; i++) {
            ck_assert_int_eq(cluster_add_arg(f->cluster, role, index, lists[k][i]), 0);
        }
    }
    if (role == CLUSTER_SHARD) { /* shard_is_attached reads all that it says */
        ck_assert_int_eq(cluster_add_arg(f->cluster, role, index, "--log-level"), 0);
        ck_assert_int_eq(cluster_add_arg(f->cluster, role, index, "debug"), 0);
    }
    if (point != NULL) {
        f->armed = point;
        char assignment[128];
        snprintf(assignment, sizeof assignment, "TROTH_CRASH_POINT=%s", point);
        ck_assert_int_eq(cluster_add_env(f->cluster, role, index, assignment), 0);
    }
}

void fixture_prepare(struct fixture *f, const struct fixture_options *options) {
    char why[CLUSTER_WHY_BYTES];
    ck_assert(options->nodes <= FIXTURE_NODES_MAX && options->shards <= FIXTURE_SHARDS_MAX);
    *f = (struct fixture){
        .nodes = options->nodes, .shards = options->shards, .node_args = options->node_args};
    int err =
        cluster_new(&f->cluster,
                    &(struct cluster_options){
                        .nodes = options->nodes, .shards = options->shards, .data = options->data},
                    why);
    ck_assert_msg(err == 0, "%s", why);
    struct troth_options client = {.nodes = cluster_nodes(f->cluster), .attempt_ms = 1000};
    ck_assert_int_eq(troth_open(&f->troth, &client), 0);
    for (unsigned i = 0; i < f->nodes; i++) {
        client.nodes = cluster_address(f->cluster, CLUSTER_NODE, i);
        ck_assert_int_eq(troth_open(&f->at[i], &client), 0);
    }
    if (f->shards > 0) {
        ck_assert_int_eq(
            troth_kv_open(&f->kv, f->troth,
                          &(struct troth_kv_options){.shards = cluster_shards(f->cluster)}),
            0);
    }
}

static bool trusts_all(struct fixture *f, unsigned node) {
    Troth__V1__StatusReply *status = admin_status(cluster_admin(f->cluster), node, 5000);
    bool trusts = status != NULL;
    for (size_t i = 0; trusts && i < status->n_nodes; i++) {
        const Troth__V1__NodeStatus *other = status->nodes[i];
        bool is_other = other->node != node + 1 && fixture_runs(f, CLUSTER_NODE, other->node - 1);
        trusts = !is_other || !other->suspected;
    }
    admin_free(status);
    return trusts;
}

static bool trust_all(struct fixture *f) {
    for (unsigned node = 0; node < f->nodes; node++) {
        if (fixture_runs(f, CLUSTER_NODE, node) && !trusts_all(f, node)) {
            return false;
        }
    }
    return true;
}

/* What the log says last of the address: "attached to" it, or "no session with" it. The node tells
 * of a session a moment before the shard has heard that it has it. */
static bool shard_is_attached(struct fixture *f, unsigned shard, unsigned node) {
    FILE *file = fopen(cluster_log(f->cluster, CLUSTER_SHARD, shard), "re");
    char address[80];
    char *line = NULL;
    size_t room = 0;
    bool is_attached = false;
    snprintf(address, sizeof address, " %s", cluster_address(f->cluster, CLUSTER_NODE, node));
    while (file != NULL && getline(&line, &room, file) >= 0) {
        if (strstr(line, address) != NULL) {
            is_attached = strstr(line, ": attached to ") != NULL;
        }
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
    return is_attached;
}

/* Shards and clients have heard that the nodes are there. Else a shard refuses work, and a client
 * asks another node than the one that the test is about. */
static bool all_linked(struct fixture *f) {
    bool linked = true;
    for (unsigned node = 0; node < f->nodes; node++) {
        if (!fixture_runs(f, CLUSTER_NODE, node)) {
            continue;
        }
        bool at = link_reach(f->at[node]->nodes[0].link);
        linked = link_reach(f->troth->nodes[node].link) && at && linked; /* all are dialled */
        for (unsigned shard = 0; linked && shard < f->shards; shard++) {
            linked = !fixture_runs(f, CLUSTER_SHARD, shard) || shard_is_attached(f, shard, node);
        }
    }
    return linked;
}

/* Ready, attached to each other, and trusted: else a transaction may be aborted for no fault of the
 * one that the test is about. */
static void wait_for_all(struct fixture *f) {
    char why[CLUSTER_WHY_BYTES];
    int err = cluster_wait_ready(f->cluster, FIXTURE_PATIENCE_MS, why);
    fixture_must(f, err == 0, "%s", why);
    fixture_wait(f, trust_all(f), "the nodes do not trust each other");
    fixture_wait(f, all_linked(f), "a shard or client has not heard of a node");
}

/* A client learns which of its nodes has which id when it begins there; then it asks a
 * transaction's own node first. */
static void get_acquainted(struct fixture *f) {
    for (unsigned i = 0; i < f->nodes; i++) {
        struct troth_txid txid;
        struct troth_result result;
        fixture_must(f,
                     troth_begin(f->troth, 0, &txid, &result) == 0 &&
                         troth_abort(f->troth, txid, 0, &result) == 0,
                     "cannot begin and abort: %s", result.detail);
    }
}

void fixture_open(struct fixture *f, const struct fixture_options *options) {
    fixture_prepare(f, options);
    for (unsigned i = 0; i < f->nodes; i++) {
        fixture_launch(f, CLUSTER_NODE, i, NULL);
    }
    for (unsigned i = 0; i < f->shards; i++) {
        fixture_launch(f, CLUSTER_SHARD, i, NULL);
    }
    wait_for_all(f);
    get_acquainted(f);
}

static void check_log(struct fixture *f, enum cluster_role role, unsigned index) {
    static const char *const reports[] = {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                                          "WARNING: ThreadSanitizer",
                                          "runtime error:", "Assertion"};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        fixture_must(f, !fixture_log_has(f, role, index, reports[i]), "%s: %s in its log",
                     cluster_member(f->cluster, role, index), reports[i]);
    }
}

void fixture_close(struct fixture *f) {
    troth_kv_close(f->kv);
    for (unsigned i = 0; i < f->nodes; i++) {
        troth_close(f->at[i]);
    }
    troth_close(f->troth);
    for (int role = CLUSTER_SHARD; role >= CLUSTER_NODE; role--) {
        for (unsigned i = 0; i < cluster_count(f->cluster, (enum cluster_role)role); i++) {
            if (cluster_pid(f->cluster, (enum cluster_role)role, i) != 0) {
                fixture_stop(f, (enum cluster_role)role, i);
            }
            check_log(f, (enum cluster_role)role, i);
        }
    }
    cluster_free(f->cluster);
}

/* ---- Processes ------------------------------------------------------------------------------- */

void fixture_launch(struct fixture *f, enum cluster_role role, unsigned index, const char *point) {
    char why[CLUSTER_WHY_BYTES];
    give_extras(f, role, index, point);
    int err = cluster_start(f->cluster, role, index, why);
    fixture_must(f, err == 0, "%s", why);
}

void fixture_start(struct fixture *f, enum cluster_role role, unsigned index, const char *point) {
    fixture_launch(f, role, index, point);
    /* All of them: the others must have taken notice of it. */
    wait_for_all(f);
}

void fixture_kill(struct fixture *f, enum cluster_role role, unsigned index) {
    int err = cluster_kill(f->cluster, role, index);
    fixture_must(f, err == 0, "%s does not run", cluster_member(f->cluster, role, index));
}

/* Waits until it is ready and trusted; false if it dies of its crash point before. */
static bool comes_up(struct fixture *f, enum cluster_role role, unsigned index) {
    char why[CLUSTER_WHY_BYTES];
    int err = cluster_wait_ready(f->cluster, FIXTURE_PATIENCE_MS, why);
    fixture_must(f, err == 0 || fixture_crashed(f, role, index), "%s", why);
    fixture_wait(f, fixture_crashed(f, role, index) || trust_all(f), "no trust after a start");
    fixture_wait(f, fixture_crashed(f, role, index) || all_linked(f), "no links after a start");
    return !fixture_crashed(f, role, index);
}

void fixture_restart(struct fixture *f, enum cluster_role role, unsigned index, const char *point) {
    bool up = false;
    if (fixture_runs(f, role, index)) {
        fixture_stop(f, role, index);
    }
    for (int tries = 0; tries < 10 && !up; tries++) {
        fixture_launch(f, role, index, point);
        up = comes_up(f, role, index);
        if (!up) {
            /* It died of what was left of an earlier transaction, which it must do first. */
            fixture_start(f, role, index, NULL);
            fixture_wait_quiet(f);
            fixture_stop(f, role, index);
        }
    }
    fixture_must(f, up, "%s dies of its crash point at every start",
                 cluster_member(f->cluster, role, index));
}

static bool log_has(struct fixture *f, enum cluster_role role, unsigned index, long from,
                    const char *text) {
    FILE *file = fopen(cluster_log(f->cluster, role, index), "re");
    bool found = false;
    char *line = NULL;
    size_t room = 0;
    if (file != NULL) {
        fseek(file, from, SEEK_SET);
    }
    while (file != NULL && !found && getline(&line, &room, file) >= 0) {
        found = strstr(line, text) != NULL;
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

bool fixture_crashed(struct fixture *f, enum cluster_role role, unsigned index) {
    int status = SIGKILL;
    if (cluster_running(f->cluster, role, index, &status)) {
        return false;
    }
    /* The log's line tells it from a kill by anybody else, such as the kernel's for want of memory.
     */
    const struct fixture_arm *arm = &f->arms[role][index];
    char line[80];
    snprintf(line, sizeof line, "crash point %s", arm->name);
    fixture_must(f,
                 WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && arm->name[0] != '\0' &&
                     log_has(f, role, index, arm->log_from, line),
                 "%s ended with status %d, not of a crash point",
                 cluster_member(f->cluster, role, index), status);
    return true;
}

void fixture_wait_end(struct fixture *f, enum cluster_role role, unsigned index) {
    fixture_wait(f, !cluster_running(f->cluster, role, index, NULL), "%s does not end",
                 cluster_member(f->cluster, role, index));
}

void fixture_wait_crash(struct fixture *f, enum cluster_role role, unsigned index) {
    fixture_wait(f, fixture_crashed(f, role, index), "%s never reached its crash point",
                 cluster_member(f->cluster, role, index));
}

void fixture_stop(struct fixture *f, enum cluster_role role, unsigned index) {
    int status = cluster_stop(f->cluster, role, index, STOP_MS);
    fixture_must(f, WIFEXITED(status) && WEXITSTATUS(status) == 0,
                 "%s did not stop in order: status %d", cluster_member(f->cluster, role, index),
                 status);
}

static bool is_quiet(struct fixture *f, unsigned node) {
    if (!fixture_runs(f, CLUSTER_NODE, node)) {
        return true;
    }
    Troth__V1__StatusReply *status = admin_status(cluster_admin(f->cluster), node, 5000);
    bool quiet = status != NULL && status->counters != NULL && status->counters->in_flight == 0 &&
                 status->counters->undelivered == 0 && status->counters->in_doubt == 0;
    admin_free(status);
    return quiet;
}

/* The number of a node that is not, or 0. */
static unsigned not_quiet(struct fixture *f) {
    for (unsigned node = 0; node < f->nodes; node++) {
        if (!is_quiet(f, node)) {
            return node + 1;
        }
    }
    return 0;
}

void fixture_wait_quiet(struct fixture *f) {
    /* All anew each time: what one still has to do may give work to another. */
    unsigned busy = 0;
    fixture_wait(f, (busy = not_quiet(f)) == 0, "node %u still has something to do", busy);
}

bool fixture_log_has(struct fixture *f, enum cluster_role role, unsigned index, const char *text) {
    return log_has(f, role, index, 0, text);
}

int fixture_suite_run(const char *name, const TTest *const *tests) {
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 570); /* below ctest's: this one says in which test */
    for (; *tests != NULL; tests++) {
        tcase_add_test(tcase, *tests);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
