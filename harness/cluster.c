#include "harness/cluster.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/cluster_internal.h"
#include "harness/folder.h"
#include "harness/programs.h"

static const struct {
    const char *prefix;
    enum program program;
    const char *database;
} kinds[] = {
    [CLUSTER_NODE] = {"node", PROGRAM_TROTHD, "node.db"},
    [CLUSTER_SHARD] = {"shard", PROGRAM_SHARD, "shard.db"},
    [CLUSTER_AGENT] = {"agent", PROGRAM_AGENT, ""},
};

int cluster_fail(char why[CLUSTER_WHY_BYTES], int err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, CLUSTER_WHY_BYTES, format, args);
    va_end(args);
    return err;
}

static struct member *member_of(const struct cluster *cluster, enum cluster_role role,
                                unsigned index) {
    return index < cluster->counts[role] ? &cluster->members[role][index] : NULL;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static int make_data(struct cluster *cluster, const char *data, char why[CLUSTER_WHY_BYTES]) {
    if (data == NULL) {
        if (folder_make_temporary(cluster->data, sizeof cluster->data) != 0) {
            return cluster_fail(why, TROTH_ERR_SYSTEM, "cannot make the folder %s: %s; set TMPDIR",
                                cluster->data, strerror(errno));
        }
        cluster->data_is_ours = true;
        return 0;
    }
    if (folder_make(data) != 0) {
        return cluster_fail(why, TROTH_ERR_SYSTEM, "cannot make the data folder %s: %s", data,
                            strerror(errno));
    }
    char absolute[PATH_MAX];
    if (realpath(data, absolute) == NULL || strlen(absolute) >= sizeof cluster->data) {
        return cluster_fail(why, TROTH_ERR_SYSTEM, "cannot use the data folder %s: %s", data,
                            strerror(errno));
    }
    memcpy(cluster->data, absolute, strlen(absolute) + 1);
    return 0;
}

static int make_member(struct cluster *cluster, enum cluster_role role, unsigned index,
                       const struct cluster_options *options, char why[CLUSTER_WHY_BYTES]) {
    struct member *member = &cluster->members[role][index];
    if (role == CLUSTER_AGENT) {
        snprintf(member->name, sizeof member->name, "%s", options->agents[index].name);
    } else {
        snprintf(member->name, sizeof member->name, "%s-%u", kinds[role].prefix, index + 1);
    }
    int err = program_find(options->bin_dir, kinds[role].program, member->process.program, why,
                           CLUSTER_WHY_BYTES);
    if (err != 0) {
        return err;
    }
    if (port_hold(&member->port) != 0) {
        return cluster_fail(why, TROTH_ERR_SYSTEM, "cannot get a port on 127.0.0.1: %s",
                            strerror(errno));
    }
    snprintf(member->address, sizeof member->address, "127.0.0.1:%d", member->port.number);
    char folder[PATH_BYTES - NAME_BYTES];
    snprintf(folder, sizeof folder, "%s/%s", cluster->data, member->name);
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
        return cluster_fail(why, TROTH_ERR_SYSTEM, "cannot make the folder %s: %s", folder,
                            strerror(errno));
    }
    snprintf(member->database, sizeof member->database, "%s/%s", folder, kinds[role].database);
    snprintf(member->process.log, sizeof member->process.log, "%s/%s.log", cluster->data,
             member->name);
    return 0;
}

static void append(char list[LIST_BYTES], const char *name, const char *address) {
    size_t n = strlen(list);
    snprintf(list + n, LIST_BYTES - n, "%s%s%s%s", n == 0 ? "" : ",", name,
             name[0] == '\0' ? "" : "=", address);
}

static void list_members(struct cluster *cluster) {
    for (unsigned i = 0; i < cluster->counts[CLUSTER_NODE]; i++) {
        const char *address = cluster->members[CLUSTER_NODE][i].address;
        char number[12];
        snprintf(number, sizeof number, "%u", i + 1);
        append(cluster->nodes, "", address);
        append(cluster->numbered_nodes, number, address);
    }
    for (unsigned i = 0; i < cluster->counts[CLUSTER_SHARD]; i++) {
        const struct member *member = &cluster->members[CLUSTER_SHARD][i];
        append(cluster->shards, member->name, member->address);
    }
}

/* The command line, which needs everybody's address. */
static int give_args(struct cluster *cluster, enum cluster_role role, unsigned index,
                     const struct cluster_options *options) {
    struct member *member = &cluster->members[role][index];
    char number[12];
    snprintf(number, sizeof number, "%u", index + 1);
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/%s", cluster->data, member->name);
    const char *const node[] = {"--node", number, "--nodes",   cluster->numbered_nodes,
                                "--data", folder, "--cluster", cluster->name};
    const char *const shard[] = {"--name",    member->name,   "--listen", member->address,
                                 "--nodes",   cluster->nodes, "--data",   folder,
                                 "--cluster", cluster->name};
    const char *kind = role == CLUSTER_AGENT ? options->agents[index].kind : "";
    const char *dsn = role == CLUSTER_AGENT ? options->agents[index].dsn : "";
    const char *const agent[] = {
        kind,           "--name", member->name, "--listen",  member->address, "--nodes",
        cluster->nodes, "--dsn",  dsn,          "--cluster", cluster->name};
    static const size_t counts[] = {sizeof node / sizeof *node, sizeof shard / sizeof *shard,
                                    sizeof agent / sizeof *agent};
    const char *const *const args[] = {node, shard, agent};
    int err = 0;
    for (size_t i = 0; err == 0 && i < counts[role]; i++) {
        err = process_add_arg(&member->process, args[role][i]);
    }
    member->n_own_args = member->process.n_args;
    return err;
}

static int make_members(struct cluster *cluster, const struct cluster_options *options,
                        char why[CLUSTER_WHY_BYTES]) {
    int err = 0;
    for (int role = CLUSTER_NODE; role < CLUSTER_ROLES; role++) {
        for (unsigned i = 0; err == 0 && i < cluster->counts[role]; i++) {
            err = make_member(cluster, (enum cluster_role)role, i, options, why);
        }
    }
    if (err != 0) {
        return err;
    }
    list_members(cluster);
    for (int role = CLUSTER_NODE; role < CLUSTER_ROLES; role++) {
        for (unsigned i = 0; err == 0 && i < cluster->counts[role]; i++) {
            err = give_args(cluster, (enum cluster_role)role, i, options);
        }
    }
    const char *addresses[CLUSTER_MEMBERS_MAX];
    for (unsigned i = 0; i < cluster->counts[CLUSTER_NODE]; i++) {
        addresses[i] = cluster->members[CLUSTER_NODE][i].address;
    }
    if (err == 0) {
        err = admin_new(&cluster->admin, addresses, cluster->counts[CLUSTER_NODE]);
    }
    return err == 0 ? 0
                    : cluster_fail(why, err, "cannot prepare the cluster: %s", troth_err_text(err));
}

int cluster_new(struct cluster **out, const struct cluster_options *options,
                char why[CLUSTER_WHY_BYTES]) {
    if (options->nodes == 0 || options->nodes > CLUSTER_MEMBERS_MAX ||
        options->shards > CLUSTER_MEMBERS_MAX || options->n_agents > CLUSTER_MEMBERS_MAX) {
        return cluster_fail(why, TROTH_ERR_INVALID,
                            "a cluster has 1 to %d nodes, and at most %d shards and as many agents",
                            CLUSTER_MEMBERS_MAX, CLUSTER_MEMBERS_MAX);
    }
    struct cluster *cluster = calloc(1, sizeof *cluster);
    if (cluster == NULL) {
        return cluster_fail(why, TROTH_ERR_NO_MEMORY, "out of memory");
    }
    snprintf(cluster->name, sizeof cluster->name, "%s",
             options->name == NULL ? "troth" : options->name);
    cluster->members[CLUSTER_NODE] = calloc(options->nodes, sizeof(struct member));
    cluster->members[CLUSTER_SHARD] = calloc(options->shards + 1u, sizeof(struct member));
    cluster->members[CLUSTER_AGENT] = calloc(options->n_agents + 1u, sizeof(struct member));
    int err = TROTH_ERR_NO_MEMORY;
    if (cluster->members[CLUSTER_NODE] == NULL || cluster->members[CLUSTER_SHARD] == NULL ||
        cluster->members[CLUSTER_AGENT] == NULL) {
        cluster_fail(why, err, "out of memory");
    } else {
        cluster->counts[CLUSTER_NODE] = options->nodes;
        cluster->counts[CLUSTER_SHARD] = options->shards;
        cluster->counts[CLUSTER_AGENT] = options->n_agents;
        err = make_data(cluster, options->data, why);
    }
    if (err == 0) {
        err = make_members(cluster, options, why);
    }
    if (err != 0) {
        cluster_free(cluster);
        return err;
    }
    *out = cluster;
    return 0;
}

void cluster_free(struct cluster *cluster) {
    if (cluster == NULL) {
        return;
    }
    for (int role = CLUSTER_NODE; role < CLUSTER_ROLES; role++) {
        for (unsigned i = 0; i < cluster->counts[role]; i++) {
            process_release(&cluster->members[role][i].process);
            port_release(&cluster->members[role][i].port);
        }
        free(cluster->members[role]);
    }
    admin_release(cluster->admin);
    if (cluster->data_is_ours) {
        folder_remove(cluster->data);
    }
    free(cluster);
}

void cluster_keep_data(struct cluster *cluster) {
    cluster->data_is_ours = false;
}

/* ---- What it is ------------------------------------------------------------------------------ */

const char *cluster_nodes(const struct cluster *cluster) {
    return cluster->nodes;
}

const char *cluster_shards(const struct cluster *cluster) {
    return cluster->shards;
}

const char *cluster_data(const struct cluster *cluster) {
    return cluster->data;
}

unsigned cluster_count(const struct cluster *cluster, enum cluster_role role) {
    return cluster->counts[role];
}

const char *cluster_member(const struct cluster *cluster, enum cluster_role role, unsigned index) {
    return member_of(cluster, role, index)->name;
}

const char *cluster_address(const struct cluster *cluster, enum cluster_role role, unsigned index) {
    return member_of(cluster, role, index)->address;
}

const char *cluster_database(const struct cluster *cluster, enum cluster_role role,
                             unsigned index) {
    return member_of(cluster, role, index)->database;
}

const char *cluster_log(const struct cluster *cluster, enum cluster_role role, unsigned index) {
    return member_of(cluster, role, index)->process.log;
}

pid_t cluster_pid(const struct cluster *cluster, enum cluster_role role, unsigned index) {
    return member_of(cluster, role, index)->process.pid;
}

struct admin *cluster_admin(const struct cluster *cluster) {
    return cluster->admin;
}

/* ---- What is done to it ---------------------------------------------------------------------- */

int cluster_add_arg(struct cluster *cluster, enum cluster_role role, unsigned index,
                    const char *arg) {
    return process_add_arg(&member_of(cluster, role, index)->process, arg);
}

int cluster_change_arg(struct cluster *cluster, enum cluster_role role, unsigned index,
                       const char *flag, const char *value) {
    return process_change_arg(&member_of(cluster, role, index)->process, flag, value);
}

int cluster_add_env(struct cluster *cluster, enum cluster_role role, unsigned index,
                    const char *assignment) {
    return process_add_env(&member_of(cluster, role, index)->process, assignment);
}

void cluster_clear_extras(struct cluster *cluster, enum cluster_role role, unsigned index) {
    struct member *member = member_of(cluster, role, index);
    process_keep_args(&member->process, member->n_own_args);
    process_clear_env(&member->process);
}

int cluster_start(struct cluster *cluster, enum cluster_role role, unsigned index,
                  char why[CLUSTER_WHY_BYTES]) {
    struct member *member = member_of(cluster, role, index);
    int err = process_start(&member->process);
    if (err == TROTH_ERR_STATE) {
        return cluster_fail(why, err, "%s runs already", member->name);
    }
    return err == 0 ? 0
                    : cluster_fail(why, err, "cannot start %s (%s): %s", member->name,
                                   member->process.program, strerror(errno));
}

int cluster_start_all(struct cluster *cluster, char why[CLUSTER_WHY_BYTES]) {
    for (int role = CLUSTER_NODE; role < CLUSTER_ROLES; role++) {
        for (unsigned i = 0; i < cluster->counts[role]; i++) {
            int err = cluster_start(cluster, (enum cluster_role)role, i, why);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}

int cluster_stop(struct cluster *cluster, enum cluster_role role, unsigned index,
                 int64_t grace_ms) {
    return process_stop(&member_of(cluster, role, index)->process, grace_ms);
}

int cluster_kill(struct cluster *cluster, enum cluster_role role, unsigned index) {
    struct member *member = member_of(cluster, role, index);
    int err = process_signal(&member->process, SIGKILL);
    return err != 0 ? err : process_wait(&member->process, -1, NULL);
}

int cluster_pause(struct cluster *cluster, enum cluster_role role, unsigned index) {
    return process_signal(&member_of(cluster, role, index)->process, SIGSTOP);
}

int cluster_resume(struct cluster *cluster, enum cluster_role role, unsigned index) {
    return process_signal(&member_of(cluster, role, index)->process, SIGCONT);
}

bool cluster_running(struct cluster *cluster, enum cluster_role role, unsigned index, int *status) {
    return process_running(&member_of(cluster, role, index)->process, status);
}

int cluster_wait_exit(struct cluster *cluster, enum cluster_role role, unsigned index,
                      int64_t timeout_ms, int *status) {
    return process_wait(&member_of(cluster, role, index)->process, timeout_ms, status);
}
