/* troth tx resolve: an operator ends a branch that is in doubt by hand, at its database.
 *
 * What it does can't be undone and may break the transaction in two, so it shows first what Troth
 * knows, refuses what is against a known outcome, and asks two different questions. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/agent.h"
#include "cli/heuristics.h"
#include "cli/tx_look.h"

/* How long the nodes may take to keep what was done. */
#define KEPT_WAIT_MS 3000

struct resolving {
    struct cli *cli;
    struct troth_gid gid; /* with the agent's participant and cluster */
    struct agent agent;
    struct troth *troth;
    enum troth_outcome outcome; /* as the nodes know it */
};

static const char *verb(const struct resolving *r) {
    return r->cli->commit ? "commit" : "abort";
}

/* ---- What is to be known before -------------------------------------------------------------- */

/* The gid must be one of the agent's; a txid alone is made one. The nodes must be its cluster's, or
 * what they know would speak for the wrong end. */
static int check_gid(struct resolving *r) {
    const Troth__V1__AgentDescribeReply *self = r->agent.self;
    bool named = r->gid.participant[0] != '\0';
    if (named && (strcmp(r->gid.participant, self->branch->participant) != 0 ||
                  strcmp(r->gid.cluster, self->cluster) != 0)) {
        return cli_usage(r->cli,
                         "the agent at %s stands for participant %s of cluster %s, and the global "
                         "id is of %s in %s",
                         r->agent.address, self->branch->participant, self->cluster,
                         r->gid.participant, r->gid.cluster);
    }
    snprintf(r->gid.participant, sizeof r->gid.participant, "%s", self->branch->participant);
    snprintf(r->gid.cluster, sizeof r->gid.cluster, "%s", self->cluster);
    return ask_cluster(r->cli, r->troth, r->gid.cluster);
}

/* What the nodes say: printed, and the outcome kept. */
static void show_transaction(struct resolving *r) {
    char hex[TROTH_TXID_TEXT];
    struct ask ask;
    bool forgotten = false;
    look_ask_one(r->cli, r->troth, r->gid.txid, &ask);
    const Troth__V1__Transaction *best = look_best(&ask);
    for (uint32_t i = 0; i < ask.n; i++) {
        forgotten = forgotten || ask.replies[i].status == RPC_OUT_OF_RANGE;
    }
    if (best != NULL) {
        r->outcome = (enum troth_outcome)best->outcome;
    }
    if (r->cli->json) {
        /* One document is printed, in the end. */
    } else if (best != NULL) {
        look_show(r->cli, &ask, &r->gid);
    } else {
        printf("txid      %s\n", troth_txid_format(r->gid.txid, hex));
    }
    fflush(stdout);
    if (best == NULL && forgotten) {
        fprintf(stderr, "Its outcome is forgotten: it finished long ago, and nobody knows how.\n");
    } else if (ask_complain(r->cli, &ask) != CLI_DONE) {
        fprintf(stderr, "No majority of the nodes answers: what the other branches do, or did, is "
                        "not known.\n");
    }
    ask_release(&ask);
}

static void show_branch(const struct resolving *r) {
    char text[RPC_STATUS_TEXT_MAX];
    char hex[TROTH_TXID_TEXT];
    int status;
    Troth__V1__AgentBranchesReply *reply = agent_branches(&r->agent, 0, &status, text);
    troth_txid_format(r->gid.txid, hex);
    printf("\nbranch    at %s (%s), agent %s: ", r->gid.participant, r->agent.self->kind,
           r->agent.address);
    const Troth__V1__AgentBranchesReply__Item *found = NULL;
    for (size_t i = 0; reply != NULL && i < reply->n_branches; i++) {
        found = strcmp(reply->branches[i]->txid, hex) == 0 ? reply->branches[i] : found;
    }
    if (found != NULL) {
        printf("%s, known for %.1f s%s%s\n", found->state, (double)found->since_ms / 1000,
               found->detail[0] != '\0' ? ": " : "", found->detail);
    } else {
        printf("%s\n", reply == NULL ? text : "not one that it lists");
    }
    if (reply != NULL) {
        protobuf_c_message_free_unpacked(&reply->base, NULL);
    }
    fflush(stdout);
}

/* 0: it may be done. */
static int judge(const struct resolving *r) {
    bool same = r->outcome == (r->cli->commit ? TROTH_COMMITTED : TROTH_ABORTED);
    if (r->outcome == TROTH_OUTCOME_NONE) {
        fprintf(stderr, "\nIts outcome is not known: what you do may contradict it.\n");
        return 0;
    }
    if (same) {
        fprintf(stderr,
                "\nThis is needless as long as the agent reaches its database and a node: the "
                "transaction is %s, and the agent ends the branch so by itself.\n",
                cli_outcome_name(r->outcome));
        return 0;
    }
    fprintf(stderr,
            "\nThe transaction is %s: to %s this branch contradicts what the other branches do.\n",
            cli_outcome_name(r->outcome), verb(r));
    if (r->cli->force) {
        return 0;
    }
    fprintf(stderr, "%s: not done; --force does it in spite of that\n", r->cli->path);
    return CLI_NOT_DONE;
}

static int ask_twice(const struct resolving *r) {
    const char *name = r->gid.participant;
    char hex[TROTH_TXID_TEXT];
    troth_txid_format(r->gid.txid, hex);
    if (r->cli->yes_i_know) {
        return 0;
    }
    if (!isatty(STDIN_FILENO)) {
        return cli_usage(r->cli, "standard input is no terminal to ask at; --yes-i-know does it "
                                 "unasked");
    }
    bool sure = cli_confirm("yes",
                            "\nTo %s the branch of %s at %s, whatever becomes of the others? This "
                            "can't be undone. Type yes: ",
                            verb(r), hex, name) &&
                cli_confirm(name, "Type the participant's name to do it: ");
    if (!sure) {
        fprintf(stderr, "Nothing was done.\n");
    }
    return sure ? 0 : CLI_NOT_DONE;
}

/* ---- Doing it -------------------------------------------------------------------------------- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The agent tells the nodes; to see it there is to know that it is not lost. */
static uint32_t wait_until_kept(const struct resolving *r) {
    int64_t until_ms = now_ms() + KEPT_WAIT_MS;
    uint32_t nodes = 0;
    while (nodes < r->troth->n_nodes && now_ms() < until_ms) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        nodes = heuristics_kept_at(r->cli, r->troth, &r->gid);
    }
    return nodes;
}

static int resolve(const struct resolving *r) {
    char text[RPC_STATUS_TEXT_MAX];
    char hex[TROTH_TXID_TEXT];
    const char *who = cli_who(r->cli);
    int status = agent_resolve(&r->agent, r->gid.txid, r->cli->commit, who, text);
    troth_txid_format(r->gid.txid, hex);
    if (status != RPC_OK) {
        fprintf(stderr, "%s: %s: %s: %s\n", r->cli->path, hex, rpc_status_name(status), text);
        return status == RPC_UNAVAILABLE         ? CLI_NO_CONTACT
               : status == RPC_DEADLINE_EXCEEDED ? CLI_UNKNOWN
                                                 : CLI_NOT_DONE;
    }
    uint32_t kept = wait_until_kept(r);
    if (r->cli->json) {
        struct json_object *object = json_object_new_object();
        json_object_object_add(object, "txid", json_object_new_string(hex));
        json_object_object_add(object, "participant", json_object_new_string(r->gid.participant));
        json_object_object_add(object, "done", json_object_new_string(verb(r)));
        json_object_object_add(object, "who", json_object_new_string(who));
        json_object_object_add(object, "nodes", json_object_new_int64(kept));
        cli_print_json(object);
    } else {
        printf("%s: %s by hand at %s, on the word of %s; kept by %u of %u nodes\n", hex,
               r->cli->commit ? "committed" : "aborted", r->gid.participant, who, kept,
               r->troth->n_nodes);
    }
    fflush(stdout);
    if (kept == 0) {
        fprintf(stderr, "No node keeps a record of it yet: write it down, and look at `troth tx "
                        "list --heuristic` when they are back.\n");
    }
    return CLI_DONE;
}

int cli_tx_resolve(struct cli *cli, int argc, char **argv) {
    (void)argc;
    struct resolving r = {.cli = cli};
    if (cli->commit == cli->abort) {
        return cli_usage(cli, "give one of --commit and --abort");
    }
    if (cli->agent == NULL) {
        return cli_usage(cli, "--agent HOST:PORT is missing: the agent of the branch's database");
    }
    int status = cli_gid(cli, argv[0], &r.gid);
    if (status == 0) {
        status = cli_open(cli, &r.troth);
    }
    if (status != 0) {
        return status;
    }
    status = agent_open(cli, cli->agent, &r.agent);
    if (status == 0) {
        assert(r.agent.self != NULL && r.agent.self->branch != NULL);
        status = check_gid(&r);
        if (status == 0 && !cli->json) {
            show_branch(&r);
        }
        if (status == 0) {
            show_transaction(&r);
            status = judge(&r);
        }
        status = status == 0 ? ask_twice(&r) : status;
        status = status == 0 ? resolve(&r) : status;
        agent_close(&r.agent);
    }
    troth_close(r.troth);
    return status;
}
