#include "client/tx/tx_agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "rpc/rpc.h"
#include "troth/v1/agent.pb-c.h"

#define AGENT_TIMEOUT_MS 5000

struct tx_agent {
    const struct tx_resource *resource;
    struct rpc_channel *channel;
};

int tx_agent_open(struct tx_agent **out, struct rpc *rpc, const struct tx_resource *resource) {
    struct tx_agent *agent = calloc(1, sizeof *agent);
    if (agent == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    agent->resource = resource;
    int err = rpc_channel_new(&agent->channel, rpc, resource->agent);
    if (err != 0) {
        tx_agent_close(agent);
        return err;
    }
    *out = agent;
    return 0;
}

void tx_agent_close(struct tx_agent *agent) {
    if (agent != NULL) {
        rpc_channel_free(agent->channel);
        free(agent);
    }
}

static int call(struct tx_agent *agent, const char *method, const ProtobufCMessage *request,
                const ProtobufCMessageDescriptor *type, ProtobufCMessage **reply,
                char why[TX_WHY_BYTES]) {
    char text[RPC_STATUS_TEXT_MAX];
    int status =
        rpc_call_sync(agent->channel, method, request, type, AGENT_TIMEOUT_MS, false, reply, text);
    if (status == RPC_OK) {
        return 0;
    }
    snprintf(why, TX_WHY_BYTES, "its agent at %s: %s: %.300s", agent->resource->agent,
             rpc_status_name(status), text);
    return client_err_of_status(status);
}

static int describe(struct tx_agent *agent, Troth__V1__AgentDescribeReply **reply,
                    char why[TX_WHY_BYTES]) {
    Troth__V1__AgentDescribeRequest request = TROTH__V1__AGENT_DESCRIBE_REQUEST__INIT;
    ProtobufCMessage *message;
    int err = call(agent, "/troth.v1.Agent/Describe", &request.base,
                   &troth__v1__agent_describe_reply__descriptor, &message, why);
    if (err != 0) {
        return err;
    }
    *reply = (Troth__V1__AgentDescribeReply *)message;
    if ((*reply)->branch != NULL &&
        strcmp((*reply)->branch->participant, agent->resource->name) == 0) {
        return 0;
    }
    snprintf(why, TX_WHY_BYTES,
             "the agent at %s is the participant \"%s\": correct `agent`, or the "
             "section's name",
             agent->resource->agent, (*reply)->branch == NULL ? "" : (*reply)->branch->participant);
    troth__v1__agent_describe_reply__free_unpacked(*reply, NULL);
    return TROTH_ERR_MISMATCH;
}

int tx_agent_check(struct tx_agent *agent, const char *cluster, char why[TX_WHY_BYTES]) {
    Troth__V1__AgentDescribeReply *reply;
    int err = describe(agent, &reply, why);
    if (err != 0) {
        return err;
    }
    const char *kind = tx_kind_name(agent->resource->kind);
    if (strcmp(reply->kind, kind) != 0) {
        snprintf(why, TX_WHY_BYTES, "the agent at %s is for %s, and kind is %s",
                 agent->resource->agent, reply->kind, kind);
        err = TROTH_ERR_MISMATCH;
    } else if (strcmp(reply->cluster, cluster) != 0) {
        snprintf(why, TX_WHY_BYTES, "the agent at %s is of the cluster \"%s\", not \"%s\"",
                 agent->resource->agent, reply->cluster, cluster);
        err = TROTH_ERR_MISMATCH;
    }
    troth__v1__agent_describe_reply__free_unpacked(reply, NULL);
    return err;
}

int tx_agent_incarnation(struct tx_agent *agent, uint64_t *incarnation, char why[TX_WHY_BYTES]) {
    Troth__V1__AgentDescribeReply *reply;
    int err = describe(agent, &reply, why);
    if (err == 0) {
        *incarnation = reply->branch->incarnation;
        troth__v1__agent_describe_reply__free_unpacked(reply, NULL);
    }
    return err;
}

/* ---- Enlist ---------------------------------------------------------------------------------- */

/* False: too long for us. */
static bool join_lines(char text[TROTH_SQL_BYTES], char **lines, size_t n) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        int more =
            snprintf(text + used, TROTH_SQL_BYTES - used, "%s%s", i > 0 ? "\n" : "", lines[i]);
        if (more < 0 || (size_t)more >= TROTH_SQL_BYTES - used) {
            return false;
        }
        used += (size_t)more;
    }
    return true;
}

int tx_agent_enlist(struct tx_agent *agent, struct troth_txid txid,
                    struct troth_database_branch *branch, char why[TX_WHY_BYTES]) {
    char text[TROTH_TXID_TEXT];
    Troth__V1__AgentEnlistRequest request = TROTH__V1__AGENT_ENLIST_REQUEST__INIT;
    ProtobufCMessage *message;
    request.txid = troth_txid_format(txid, text);
    int err = call(agent, "/troth.v1.Agent/Enlist", &request.base,
                   &troth__v1__agent_enlist_reply__descriptor, &message, why);
    if (err != 0) {
        return err;
    }
    Troth__V1__AgentEnlistReply *reply = (Troth__V1__AgentEnlistReply *)message;
    *branch = (struct troth_database_branch){0};
    if (reply->branch == NULL ||
        !join_lines(branch->begin_sql, reply->begin_sql, reply->n_begin_sql) ||
        !join_lines(branch->prepare_sql, reply->prepare_sql, reply->n_prepare_sql)) {
        snprintf(why, TX_WHY_BYTES, "its agent at %s: the reply to Enlist can't be used",
                 agent->resource->agent);
        err = TROTH_ERR_MISMATCH;
    } else {
        snprintf(branch->participant, sizeof branch->participant, "%s", reply->branch->participant);
        snprintf(branch->gid, sizeof branch->gid, "%s", reply->gid);
        branch->incarnation = reply->branch->incarnation;
    }
    troth__v1__agent_enlist_reply__free_unpacked(reply, NULL);
    return err;
}
