#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/troth_err.h"
#include "harness/cluster.h"
#include "harness/cluster_internal.h"
#include "shell/clock.h"

/* Asks: one that has just died is waited for by nobody. */
static bool runs(struct member *member) {
    return process_running(&member->process, NULL) && !member->process.paused;
}

/* Whether the node says of itself that it is ready; else `why` says what for it waits. */
static bool node_ready(struct cluster *cluster, unsigned index, int64_t timeout_ms,
                       char why[CLUSTER_WHY_BYTES]) {
    Troth__V1__StatusReply *status = admin_status(cluster->admin, index, timeout_ms);
    bool ready = status != NULL && status->ready;
    if (!ready) {
        cluster_fail(why, 0, "%s %s", cluster->members[CLUSTER_NODE][index].name,
                     status == NULL ? "does not answer" : status->waiting_for);
    }
    admin_free(status);
    return ready;
}

static bool attached(struct cluster *cluster, unsigned node, const char *shard) {
    Troth__V1__StatusReply *status = admin_status(cluster->admin, node, 500);
    bool found = false;
    for (size_t i = 0; status != NULL && i < status->n_participants; i++) {
        const Troth__V1__ParticipantStatus *participant = status->participants[i];
        found = found || (participant->attached && strcmp(participant->participant, shard) == 0);
    }
    admin_free(status);
    return found;
}

/* A node tells of a session before the participant has heard that it has it, and for a moment still
 * tells of that of a killed one. Agents can be asked themselves. */
static bool agent_ready(struct cluster *cluster, const struct member *member, unsigned nodes,
                        char why[CLUSTER_WHY_BYTES]) {
    int64_t attached_to = admin_agent_nodes(cluster->admin, member->address, 500);
    if (attached_to < nodes) {
        cluster_fail(why, 0, "%s itself has sessions with %lld nodes of %u", member->name,
                     (long long)attached_to, nodes);
    }
    return attached_to >= nodes;
}

static bool participant_ready(struct cluster *cluster, enum cluster_role role,
                              const struct member *member, char why[CLUSTER_WHY_BYTES]) {
    if (!port_answers(&member->port)) {
        cluster_fail(why, 0, "%s does not listen on %s", member->name, member->address);
        return false;
    }
    unsigned nodes = 0;
    for (unsigned i = 0; i < cluster->counts[CLUSTER_NODE]; i++) {
        if (!runs(&cluster->members[CLUSTER_NODE][i])) {
            continue;
        }
        if (!attached(cluster, i, member->name)) {
            cluster_fail(why, 0, "%s is not attached to node %u", member->name, i + 1);
            return false;
        }
        nodes++;
    }
    return role != CLUSTER_AGENT || agent_ready(cluster, member, nodes, why);
}

/* The end of the log, so that an error shows what the program itself said. */
static void add_log(const struct member *member, char why[CLUSTER_WHY_BYTES]) {
    FILE *file = fopen(member->process.log, "re");
    if (file == NULL) {
        return;
    }
    size_t used = strlen(why);
    size_t room = CLUSTER_WHY_BYTES - used - 1;
    if (fseek(file, -(long)(room < 400 ? room : 400), SEEK_END) != 0) {
        rewind(file);
    }
    size_t n = fread(why + used, 1, room, file);
    why[used + n] = '\0';
    fclose(file);
}

int cluster_wait_member_ready(struct cluster *cluster, enum cluster_role role, unsigned index,
                              int64_t timeout_ms, char why[CLUSTER_WHY_BYTES]) {
    struct member *member = &cluster->members[role][index];
    int64_t until = clock_monotonic_ms() + timeout_ms;
    char waits_for[CLUSTER_WHY_BYTES] = "";
    while (clock_monotonic_ms() < until) {
        int status = 0;
        if (!process_running(&member->process, &status)) {
            cluster_fail(why, TROTH_ERR_CLOSED, "%s has ended (%s %d); its log %s ends with:\n",
                         member->name, WIFSIGNALED(status) ? "signal" : "exit status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                         member->process.log);
            add_log(member, why);
            return TROTH_ERR_CLOSED;
        }
        int64_t left = until - clock_monotonic_ms();
        if (role == CLUSTER_NODE ? node_ready(cluster, index, left < 500 ? left : 500, waits_for)
                                 : participant_ready(cluster, role, member, waits_for)) {
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return cluster_fail(why, TROTH_ERR_TIMEOUT, "not ready after %lld ms: %.900s",
                        (long long)timeout_ms, waits_for);
}

int cluster_wait_ready(struct cluster *cluster, int64_t timeout_ms, char why[CLUSTER_WHY_BYTES]) {
    int64_t until = clock_monotonic_ms() + timeout_ms;
    for (int role = CLUSTER_NODE; role < CLUSTER_ROLES; role++) {
        for (unsigned i = 0; i < cluster->counts[role]; i++) {
            int64_t left = until - clock_monotonic_ms();
            if (!runs(&cluster->members[role][i])) {
                continue;
            }
            int err = cluster_wait_member_ready(cluster, (enum cluster_role)role, i,
                                                left < 1 ? 1 : left, why);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}
