/* troth agent: a database's agent, and what it waits for. */
#include "cli/agent.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "cli/tx_look.h"

#define AGENT_TIMEOUT_MS 5000
/* Transactions that the nodes' lists do not have are asked for one by one, so many at most. */
#define ASKED_MAX 32u

/* ---- Asking the agent ------------------------------------------------------------------------ */

int agent_open(const struct cli *cli, const char *address, struct agent *agent) {
    Troth__V1__AgentDescribeRequest request = TROTH__V1__AGENT_DESCRIBE_REQUEST__INIT;
    char text[RPC_STATUS_TEXT_MAX];
    struct addresses addresses;
    char why[TROTH_TEXT_BYTES];
    *agent = (struct agent){.address = address};
    if (addresses_parse(&addresses, address, false, 1, why, sizeof why) != 0) {
        return cli_usage(cli, "%s: %s", address, why);
    }
    addresses_release(&addresses);
    agent->timeout_ms = cli->timeout_ms == 0 ? AGENT_TIMEOUT_MS : cli->timeout_ms;
    int err = rpc_new(&agent->rpc, &(struct rpc_options){.threads = 1});
    if (err == 0) {
        err = rpc_channel_new(&agent->channel, agent->rpc, address);
    }
    if (err != 0) {
        agent_close(agent);
        return cli_fail(cli, address, err, "the client library could not start");
    }
    int status = rpc_call_sync(agent->channel, "/troth.v1.Agent/Describe", &request.base,
                               &troth__v1__agent_describe_reply__descriptor, agent->timeout_ms,
                               false, (ProtobufCMessage **)&agent->self, text);
    if (status == RPC_OK && agent->self->branch != NULL) {
        return 0;
    }
    fprintf(stderr, "%s: %s does not answer as an agent does: %s: %s\n", cli->path, address,
            rpc_status_name(status), status == RPC_OK ? "it does not say who it is" : text);
    fprintf(stderr, "Check that troth-agent runs there.\n");
    agent_close(agent);
    return CLI_NO_CONTACT;
}

void agent_close(struct agent *agent) {
    if (agent->self != NULL) {
        protobuf_c_message_free_unpacked(&agent->self->base, NULL);
    }
    rpc_channel_free(agent->channel);
    rpc_free(agent->rpc);
    *agent = (struct agent){.rpc = NULL};
}

Troth__V1__AgentBranchesReply *agent_branches(const struct agent *agent, uint32_t limit,
                                              int *status, char text[RPC_STATUS_TEXT_MAX]) {
    Troth__V1__AgentBranchesRequest request = TROTH__V1__AGENT_BRANCHES_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.limit = limit;
    *status = rpc_call_sync(agent->channel, "/troth.v1.Agent/Branches", &request.base,
                            &troth__v1__agent_branches_reply__descriptor, agent->timeout_ms, false,
                            &reply, text);
    return (Troth__V1__AgentBranchesReply *)reply;
}

int agent_resolve(const struct agent *agent, struct troth_txid txid, bool commit, const char *who,
                  char text[RPC_STATUS_TEXT_MAX]) {
    Troth__V1__AgentResolveRequest request = TROTH__V1__AGENT_RESOLVE_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    char hex[TROTH_TXID_TEXT];
    char name[128];
    snprintf(name, sizeof name, "%s", who);
    request.txid = troth_txid_format(txid, hex);
    request.who = name;
    request.outcome =
        commit ? TROTH__V1__OUTCOME__OUTCOME_COMMITTED : TROTH__V1__OUTCOME__OUTCOME_ABORTED;
    int status = rpc_call_sync(agent->channel, "/troth.v1.Agent/Resolve", &request.base,
                               &troth__v1__agent_resolve_reply__descriptor, agent->timeout_ms,
                               false, &reply, text);
    if (reply != NULL) {
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    return status;
}

/* ---- What the nodes know of its transactions ------------------------------------------------- */

struct known {
    bool asked_majority;
    enum troth_outcome outcome;
    bool is_known; /* the nodes know it at all, decided or not */
    bool forgotten;
    uint32_t leader;
};

static void take_view(struct known *known, const Troth__V1__Transaction *view) {
    known->is_known = true;
    known->outcome = (enum troth_outcome)view->outcome;
    known->leader = view->leader;
}

/* One that no node lists. */
static void ask_about(struct cli *cli, struct troth *troth, const char *txid, struct known *known) {
    struct ask ask;
    struct troth_txid id;
    if (troth_txid_parse(txid, &id) != 0) {
        return;
    }
    look_ask_one(cli, troth, id, &ask);
    const Troth__V1__Transaction *view = look_best(&ask);
    if (view != NULL) {
        take_view(known, view);
    }
    for (uint32_t i = 0; i < ask.n; i++) {
        known->forgotten = known->forgotten || ask.replies[i].status == RPC_OUT_OF_RANGE;
    }
    ask_release(&ask);
}

/* One for each branch. */
static void ask_nodes(struct cli *cli, const Troth__V1__AgentBranchesReply *branches,
                      struct known *all) {
    struct troth *troth;
    struct ask ask;
    struct look_list *list = look_list_new();
    if (list == NULL || branches->n_branches == 0 || cli_open(cli, &troth) != 0) {
        look_list_free(list);
        return;
    }
    look_ask_list(cli, troth, &ask, list);
    ask_complain(cli, &ask);
    unsigned asked = 0;
    for (size_t b = 0; b < branches->n_branches && ask.answered > 0; b++) {
        const char *txid = branches->branches[b]->txid;
        all[b].asked_majority = 2 * ask.answered > ask.n;
        for (size_t i = 0; i < list->n; i++) {
            if (strcmp(list->items[i]->txid, txid) == 0) {
                take_view(&all[b], list->items[i]);
            }
        }
        if (!all[b].is_known && asked++ < ASKED_MAX) {
            ask_about(cli, troth, txid, &all[b]);
        }
    }
    look_list_free(list);
    ask_release(&ask);
    troth_close(troth);
}

static const char *outcome_of(const struct known *known) {
    return known->outcome != TROTH_OUTCOME_NONE ? cli_outcome_name(known->outcome)
           : known->forgotten                   ? "forgotten"
           : known->is_known                    ? "undecided"
                                                : "?";
}

/* Who will end the branch, as far as can be told from here. */
static const char *what_ends(const struct agent *agent, const char *state,
                             const struct known *known, char text[64]) {
    if (!agent->self->reachable) {
        return "the agent, when its database is back";
    }
    if (known->outcome != TROTH_OUTCOME_NONE) {
        return "the agent, in a moment";
    }
    if (known->forgotten) {
        return "nobody: troth tx resolve";
    }
    if (!known->asked_majority) {
        return "a majority of nodes";
    }
    if (strcmp(state, "enlisted") == 0) {
        return "its program, or the transaction's timeout";
    }
    if (known->is_known && known->leader != 0) {
        snprintf(text, 64, "its outcome; node %u leads", known->leader);
        return text;
    }
    return "its outcome";
}

/* ---- Printing -------------------------------------------------------------------------------- */

static void print_self(const struct agent *agent) {
    const Troth__V1__AgentDescribeReply *self = agent->self;
    printf("participant  %s (%s), cluster %s, agent %s\n", self->branch->participant, self->kind,
           self->cluster, self->version);
    printf("database     %s\n", self->reachable ? "reachable" : "CAN'T BE REACHED");
    printf("nodes        attached to %u\n", self->nodes_attached);
    printf("branches     %u in doubt, %u orphans; %" PRIu64 " committed, %" PRIu64
           " aborted, %" PRIu64 " heuristic since its start\n",
           self->in_doubt, self->orphans, self->committed, self->aborted, self->heuristics);
}

static void print_branches(const struct cli *cli, const struct agent *agent,
                           const Troth__V1__AgentBranchesReply *branches,
                           const struct known *known) {
    static const char *const headers[] = {"STATE", ">AGE s", "OUTCOME", "WHAT ENDS IT",
                                          "GID",   "DETAIL", NULL};
    struct table *table = table_new(headers);
    for (size_t i = 0; i < branches->n_branches; i++) {
        const Troth__V1__AgentBranchesReply__Item *item = branches->branches[i];
        char text[64];
        table_cell(table, TABLE_PLAIN, "%s", item->state);
        table_cell(table, TABLE_PLAIN, "%.1f", (double)item->since_ms / 1000);
        table_cell(table, known[i].forgotten ? TABLE_BAD : TABLE_PLAIN, "%s",
                   outcome_of(&known[i]));
        table_cell(table, TABLE_PLAIN, "%s", what_ends(agent, item->state, &known[i], text));
        table_cell(table, TABLE_PLAIN, "%s", item->gid);
        table_cell(table, TABLE_PLAIN, "%s", item->detail);
    }
    if (branches->n_branches > 0) {
        putchar('\n');
    }
    table_print(table, stdout, cli->color);
    table_free(table);
    fflush(stdout);
    if (branches->more) {
        fprintf(stderr, "There are more; --limit shows more of them, up to 1,000.\n");
    }
}

static struct json_object *json_of_self(const struct agent *agent) {
    const Troth__V1__AgentDescribeReply *self = agent->self;
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "participant",
                           json_object_new_string(self->branch->participant));
    json_object_object_add(object, "incarnation",
                           json_object_new_int64((int64_t)self->branch->incarnation));
    json_object_object_add(object, "kind", json_object_new_string(self->kind));
    json_object_object_add(object, "cluster", json_object_new_string(self->cluster));
    json_object_object_add(object, "version", json_object_new_string(self->version));
    json_object_object_add(object, "reachable", json_object_new_boolean(self->reachable));
    json_object_object_add(object, "nodes_attached",
                           json_object_new_int64((int64_t)self->nodes_attached));
    json_object_object_add(object, "in_doubt", json_object_new_int64(self->in_doubt));
    json_object_object_add(object, "orphans", json_object_new_int64(self->orphans));
    json_object_object_add(object, "committed", json_object_new_int64((int64_t)self->committed));
    json_object_object_add(object, "aborted", json_object_new_int64((int64_t)self->aborted));
    json_object_object_add(object, "heuristics", json_object_new_int64((int64_t)self->heuristics));
    return object;
}

static void print_json(const struct agent *agent, const Troth__V1__AgentBranchesReply *branches,
                       const struct known *known) {
    struct json_object *object = json_of_self(agent);
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < branches->n_branches; i++) {
        const Troth__V1__AgentBranchesReply__Item *item = branches->branches[i];
        struct json_object *one = json_object_new_object();
        char text[64];
        json_object_object_add(one, "txid", json_object_new_string(item->txid));
        json_object_object_add(one, "gid", json_object_new_string(item->gid));
        json_object_object_add(one, "state", json_object_new_string(item->state));
        json_object_object_add(one, "age_ms", json_object_new_int64((int64_t)item->since_ms));
        json_object_object_add(one, "detail", json_object_new_string(item->detail));
        json_object_object_add(one, "outcome", json_object_new_string(outcome_of(&known[i])));
        json_object_object_add(
            one, "what_ends_it",
            json_object_new_string(what_ends(agent, item->state, &known[i], text)));
        json_object_array_add(array, one);
    }
    json_object_object_add(object, "branches", array);
    json_object_object_add(object, "more", json_object_new_boolean(branches->more));
    cli_print_json(object);
}

int cli_agent(struct cli *cli, int argc, char **argv) {
    (void)argc;
    struct agent agent;
    char text[RPC_STATUS_TEXT_MAX];
    int status = agent_open(cli, argv[0], &agent);
    if (status != 0) {
        return status;
    }
    assert(agent.self != NULL && agent.self->branch != NULL);
    Troth__V1__AgentBranchesReply *branches = agent_branches(&agent, cli->limit, &status, text);
    struct known *known = branches == NULL ? NULL : calloc(branches->n_branches + 1, sizeof *known);
    if (known == NULL) {
        fprintf(stderr, "%s: %s: %s: %s\n", cli->path, argv[0], rpc_status_name(status), text);
        status = CLI_ERROR;
    } else {
        ask_nodes(cli, branches, known);
        if (cli->json) {
            print_json(&agent, branches, known);
        } else {
            print_self(&agent);
            print_branches(cli, &agent, branches, known);
        }
        status = CLI_DONE;
    }
    free(known);
    if (branches != NULL) {
        protobuf_c_message_free_unpacked(&branches->base, NULL);
    }
    agent_close(&agent);
    return status;
}
