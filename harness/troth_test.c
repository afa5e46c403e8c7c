#include "harness/troth_test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/admin.h"
#include "harness/cluster.h"
#include "harness/programs.h"
#include "harness/troth_test_points.h"
#include "shell/clock.h"

#define NODES_PRESET 3u
#define READY_MS     60000
#define STOP_MS      30000
#define POLL_NS      5000000

_Static_assert(TROTH_TEST_WHY_BYTES == CLUSTER_WHY_BYTES, "they are passed on");

struct troth_test {
    struct cluster *cluster;
    const char *const *node_args;
    char trothd[PROGRAMS_PATH_BYTES];
};

struct member {
    enum cluster_role role;
    unsigned index;
};

/* Shorter than the defaults, so that what is repeated and resolved is so within a test. */
static const char *const quick[][2] = {
    {"--repeat-ms", "300"}, {"--resolve-ms", "1000"}, {"--timeout-default-ms", "5000"}};

static bool find(const struct troth_test *t, const char *name, struct member *member, char *why) {
    for (int role = CLUSTER_NODE; role <= CLUSTER_SHARD; role++) {
        for (unsigned i = 0; i < cluster_count(t->cluster, (enum cluster_role)role); i++) {
            if (strcmp(cluster_member(t->cluster, (enum cluster_role)role, i), name) == 0) {
                *member = (struct member){(enum cluster_role)role, i};
                return true;
            }
        }
    }
    if (why != NULL) {
        snprintf(why, TROTH_TEST_WHY_BYTES,
                 "there is no member \"%.100s\"; there are node-1 to node-%u, and %u shards", name,
                 cluster_count(t->cluster, CLUSTER_NODE), cluster_count(t->cluster, CLUSTER_SHARD));
    }
    return false;
}

/* ---- Starting and stopping ------------------------------------------------------------------- */

/* Whether the test gives the flag itself: no flag may be given twice. */
static bool is_given(const struct troth_test *t, const char *flag) {
    size_t n = strlen(flag);
    for (size_t i = 0; t->node_args != NULL && t->node_args[i] != NULL; i++) {
        const char *arg = t->node_args[i];
        if (strncmp(arg, flag, n) == 0 && (arg[n] == '\0' || arg[n] == '=')) {
            return true;
        }
    }
    return false;
}

static int give_node_args(struct troth_test *t, unsigned node) {
    int err = 0;
    for (size_t i = 0; i < sizeof quick / sizeof *quick; i++) {
        for (size_t k = 0; err == 0 && k < 2 && !is_given(t, quick[i][0]); k++) {
            err = cluster_add_arg(t->cluster, CLUSTER_NODE, node, quick[i][k]);
        }
    }
    for (size_t i = 0; err == 0 && t->node_args != NULL && t->node_args[i] != NULL; i++) {
        err = cluster_add_arg(t->cluster, CLUSTER_NODE, node, t->node_args[i]);
    }
    return err;
}

static int give_extras(struct troth_test *t, struct member member, const char *point) {
    cluster_clear_extras(t->cluster, member.role, member.index);
    int err = member.role == CLUSTER_NODE ? give_node_args(t, member.index) : 0;
    /* Also when it is none: the test's own environment may have one, for its clients. */
    char assignment[160];
    snprintf(assignment, sizeof assignment, "TROTH_CRASH_POINT=%s", point == NULL ? "" : point);
    return err != 0 ? err : cluster_add_env(t->cluster, member.role, member.index, assignment);
}

static int launch(struct troth_test *t, struct member member, const char *point,
                  char why[TROTH_TEST_WHY_BYTES]) {
    int err = give_extras(t, member, point);
    if (err != 0) {
        snprintf(why, TROTH_TEST_WHY_BYTES, "cannot start %s: %s",
                 cluster_member(t->cluster, member.role, member.index), troth_err_text(err));
        return err;
    }
    return cluster_start(t->cluster, member.role, member.index, why);
}

static int launch_all(struct troth_test *t, char why[TROTH_TEST_WHY_BYTES]) {
    int err = 0;
    for (int role = CLUSTER_NODE; role <= CLUSTER_SHARD; role++) {
        for (unsigned i = 0; err == 0 && i < cluster_count(t->cluster, (enum cluster_role)role);
             i++) {
            err = launch(t, (struct member){(enum cluster_role)role, i}, NULL, why);
        }
    }
    return err;
}

/* The folder of $PATH that has trothd. */
static bool search_path(char folder[PROGRAMS_PATH_BYTES]) {
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t n = strcspn(at, ":");
        char program[PROGRAMS_PATH_BYTES + 16];
        snprintf(folder, PROGRAMS_PATH_BYTES, "%.*s", (int)n, at);
        snprintf(program, sizeof program, "%s/trothd", folder);
        if (n > 0 && n < PROGRAMS_PATH_BYTES && access(program, X_OK) == 0) {
            return true;
        }
        at += n + (at[n] == ':');
    }
    return false;
}

int troth_test_start(struct troth_test **out, const struct troth_test_options *options,
                     char why[TROTH_TEST_WHY_BYTES]) {
    char on_path[PROGRAMS_PATH_BYTES];
    const char *bin_dir = options->bin_dir;
    struct troth_test *t = calloc(1, sizeof *t);
    why[0] = '\0';
    if (t == NULL) {
        snprintf(why, TROTH_TEST_WHY_BYTES, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    t->node_args = options->node_args;
    int err = program_find(bin_dir, PROGRAM_TROTHD, t->trothd, why, TROTH_TEST_WHY_BYTES);
    if (err != 0 && bin_dir == NULL && getenv("TROTH_BIN_DIR") == NULL && search_path(on_path)) {
        bin_dir = on_path;
        err = program_find(bin_dir, PROGRAM_TROTHD, t->trothd, why, TROTH_TEST_WHY_BYTES);
    }
    if (err == 0) {
        struct cluster_options cluster = {.nodes =
                                              options->nodes == 0 ? NODES_PRESET : options->nodes,
                                          .shards = options->shards,
                                          .data = options->data,
                                          .bin_dir = bin_dir};
        err = cluster_new(&t->cluster, &cluster, why);
    }
    if (err == 0) {
        err = launch_all(t, why);
    }
    if (err == 0) {
        err = cluster_wait_ready(t->cluster, READY_MS, why);
    }
    if (err != 0) {
        cluster_free(t->cluster);
        free(t);
        return err;
    }
    *out = t;
    return 0;
}

static const char *name_of(const struct troth_test *t, struct member member) {
    return cluster_member(t->cluster, member.role, member.index);
}

/* In order, if it runs. */
static int stop_one(struct troth_test *t, struct member member, char why[TROTH_TEST_WHY_BYTES]) {
    if (!cluster_running(t->cluster, member.role, member.index, NULL)) {
        return 0;
    }
    int status = cluster_stop(t->cluster, member.role, member.index, STOP_MS);
    bool in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    /* One that is armed may die of its point now. Of SIGTERM dies who was started a moment ago and
     * has done nothing yet: from its first line on it waits for that signal. */
    bool may_die =
        WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
    if (in_order || may_die) {
        return 0;
    }
    snprintf(why, TROTH_TEST_WHY_BYTES, "%s did not stop in order: status %d; see %.800s",
             name_of(t, member), status, cluster_log(t->cluster, member.role, member.index));
    return TROTH_ERR_STATE;
}

int troth_test_stop(struct troth_test *t, char why[TROTH_TEST_WHY_BYTES]) {
    int result = 0;
    why[0] = '\0';
    if (t == NULL) {
        return 0;
    }
    for (int role = CLUSTER_SHARD; role >= CLUSTER_NODE; role--) {
        for (unsigned i = 0; i < cluster_count(t->cluster, (enum cluster_role)role); i++) {
            char own_why[TROTH_TEST_WHY_BYTES];
            int err = stop_one(t, (struct member){(enum cluster_role)role, i}, own_why);
            if (err != 0 && result == 0) {
                result = err;
                memcpy(why, own_why, sizeof own_why);
            }
        }
    }
    cluster_free(t->cluster);
    free(t);
    return result;
}

/* ---- What it is ------------------------------------------------------------------------------ */

const char *troth_test_nodes(const struct troth_test *t) {
    return cluster_nodes(t->cluster);
}

const char *troth_test_shards(const struct troth_test *t) {
    return cluster_shards(t->cluster);
}

const char *troth_test_log(const struct troth_test *t, const char *member) {
    struct member found;
    return find(t, member, &found, NULL) ? cluster_log(t->cluster, found.role, found.index) : NULL;
}

/* ---- Crashing -------------------------------------------------------------------------------- */

/* Whether it is dead of SIGKILL; TROTH_ERR_STATE when it has ended in another way. */
static int look_for_crash(struct troth_test *t, struct member member, bool *crashed, char *why) {
    int status = SIGKILL;
    *crashed = !cluster_running(t->cluster, member.role, member.index, &status);
    if (!*crashed || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
        return 0;
    }
    snprintf(why, TROTH_TEST_WHY_BYTES,
             "%s has ended (%s %d), and not of a crash point; see %.800s", name_of(t, member),
             WIFSIGNALED(status) ? "signal" : "exit status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             cluster_log(t->cluster, member.role, member.index));
    return TROTH_ERR_STATE;
}

int troth_test_arm(struct troth_test *t, const char *member, const char *point,
                   char why[TROTH_TEST_WHY_BYTES]) {
    struct member found;
    char unused[TROTH_TEST_WHY_BYTES];
    bool crashed = false;
    if (!find(t, member, &found, why)) {
        return TROTH_ERR_NOT_FOUND;
    }
    int err = test_points_check(t->trothd, found.role == CLUSTER_NODE, point, why);
    err = err != 0 ? err : stop_one(t, found, why);
    err = err != 0 ? err : launch(t, found, point, why);
    if (err != 0) {
        return err;
    }
    err = cluster_wait_member_ready(t->cluster, found.role, found.index, READY_MS, why);
    if (err == TROTH_ERR_CLOSED && look_for_crash(t, found, &crashed, unused) == 0 && crashed) {
        return 0; /* the point is on the way to be ready */
    }
    return err;
}

int troth_test_kill(struct troth_test *t, const char *member, char why[TROTH_TEST_WHY_BYTES]) {
    struct member found;
    if (!find(t, member, &found, why)) {
        return TROTH_ERR_NOT_FOUND;
    }
    int err = cluster_kill(t->cluster, found.role, found.index);
    if (err != 0) {
        snprintf(why, TROTH_TEST_WHY_BYTES, "%s does not run", member);
    }
    return err;
}

int troth_test_crashed(struct troth_test *t, const char *member, char why[TROTH_TEST_WHY_BYTES]) {
    struct member found;
    bool crashed = false;
    if (!find(t, member, &found, why)) {
        return TROTH_ERR_NOT_FOUND;
    }
    int err = look_for_crash(t, found, &crashed, why);
    return err != 0 ? err : crashed;
}

int troth_test_wait_crashed(struct troth_test *t, const char *member, int64_t timeout_ms,
                            char why[TROTH_TEST_WHY_BYTES]) {
    struct member found;
    if (!find(t, member, &found, why)) {
        return TROTH_ERR_NOT_FOUND;
    }
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        bool crashed;
        int err = look_for_crash(t, found, &crashed, why);
        if (err != 0 || crashed) {
            return err;
        }
        if (clock_monotonic_ms() >= until_ms) {
            snprintf(why, TROTH_TEST_WHY_BYTES,
                     "%s has not reached its crash point in %lld ms; did your service use it?",
                     member, (long long)timeout_ms);
            return TROTH_ERR_TIMEOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

int troth_test_restart(struct troth_test *t, const char *member, char why[TROTH_TEST_WHY_BYTES]) {
    struct member found;
    if (!find(t, member, &found, why)) {
        return TROTH_ERR_NOT_FOUND;
    }
    int err = stop_one(t, found, why);
    err = err != 0 ? err : launch(t, found, NULL, why);
    return err != 0 ? err
                    : cluster_wait_member_ready(t->cluster, found.role, found.index, READY_MS, why);
}

/* ---- Recovery -------------------------------------------------------------------------------- */

/* Whether the node, if it runs, has nothing to do; else `why` says what. */
static bool is_quiet(struct troth_test *t, unsigned node, char why[TROTH_TEST_WHY_BYTES]) {
    if (!cluster_running(t->cluster, CLUSTER_NODE, node, NULL)) {
        return true;
    }
    Troth__V1__StatusReply *status = admin_status(cluster_admin(t->cluster), node, 1000);
    const Troth__V1__Counters *counters = status == NULL ? NULL : status->counters;
    bool quiet = counters != NULL && counters->in_flight == 0 && counters->in_doubt == 0 &&
                 counters->undelivered == 0;
    if (counters == NULL) {
        snprintf(why, TROTH_TEST_WHY_BYTES, "node-%u does not answer", node + 1);
    } else if (!quiet) {
        snprintf(why, TROTH_TEST_WHY_BYTES,
                 "node-%u still has %llu transactions in flight, %llu in doubt and %llu whose "
                 "outcome a participant has not acknowledged",
                 node + 1, (unsigned long long)counters->in_flight,
                 (unsigned long long)counters->in_doubt, (unsigned long long)counters->undelivered);
    }
    admin_free(status);
    return quiet;
}

static bool all_quiet(struct troth_test *t, char why[TROTH_TEST_WHY_BYTES]) {
    for (unsigned node = 0; node < cluster_count(t->cluster, CLUSTER_NODE); node++) {
        if (!is_quiet(t, node, why)) {
            return false;
        }
    }
    return true;
}

int troth_test_wait_recovered(struct troth_test *t, int64_t timeout_ms,
                              char why[TROTH_TEST_WHY_BYTES]) {
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    int err = cluster_wait_ready(t->cluster, timeout_ms, why);
    /* All anew each time: what one still has to do may give work to another. */
    while (err == 0 && !all_quiet(t, why)) {
        if (clock_monotonic_ms() >= until_ms) {
            return TROTH_ERR_TIMEOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
    return err;
}
