/* ask: one question to every node at once. */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "cli/cli.h"
#include "client/internal.h"

struct ask_reply {
    const char *address;
    int status;              /* RPC_OK, or why there is no reply */
    ProtobufCMessage *reply; /* of the type that was asked for, or NULL */
    char text[RPC_STATUS_TEXT_MAX];
};
struct ask {
    uint32_t n;        /* nodes that were asked */
    uint32_t answered; /* those with a reply */
    struct ask_reply replies[SESSION_NODES_MAX];
};

/* Waits for all. ask_release frees the replies. */
void ask_all(struct cli *cli, struct troth *troth, const char *method,
             const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
             struct ask *ask);
void ask_release(struct ask *ask);
/* Prints a line for each node that did not answer; returns what the exit status should be for it:
 * CLI_DONE, CLI_UNKNOWN (no majority answered), CLI_NO_CONTACT (nobody). */
int ask_complain(const struct cli *cli, const struct ask *ask);
/* Txids are alike in all clusters, so what another cluster's nodes say of one is of another
 * transaction. 0: the nodes are of this cluster, or none has told its own; else it has complained.
 * "" is every cluster. */
int ask_cluster(struct cli *cli, struct troth *troth, const char *cluster);

#endif
