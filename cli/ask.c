#include "cli/ask.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "troth/v1/admin.pb-c.h"

#define ASK_TIMEOUT_MS 2000

struct waiting {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t open; /* calls that have not ended */
};
struct one {
    struct waiting *waiting;
    struct ask_reply *to;
    const ProtobufCMessageDescriptor *type;
};

static void on_answer(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    struct one *one = arg;
    struct ask_reply *to = one->to;
    to->status = status;
    snprintf(to->text, sizeof to->text, "%s", text);
    if (status == RPC_OK) {
        to->reply = protobuf_c_message_unpack(one->type, NULL, n, bytes);
        if (to->reply == NULL) {
            to->status = RPC_INTERNAL;
            snprintf(to->text, sizeof to->text, "the reply is no %s", one->type->name);
        }
    }
    struct waiting *waiting = one->waiting;
    pthread_mutex_lock(&waiting->mutex);
    waiting->open--;
    pthread_cond_signal(&waiting->changed);
    pthread_mutex_unlock(&waiting->mutex);
}

void ask_all(struct cli *cli, struct troth *troth, const char *method,
             const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
             struct ask *ask) {
    struct waiting waiting = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER,
                              .open = troth->n_nodes};
    struct one ones[SESSION_NODES_MAX];
    int64_t timeout_ms = cli->timeout_ms == 0 ? ASK_TIMEOUT_MS : cli->timeout_ms;
    *ask = (struct ask){.n = troth->n_nodes};
    for (uint32_t i = 0; i < ask->n; i++) {
        ask->replies[i].address = troth->nodes[i].address;
        ones[i] = (struct one){.waiting = &waiting, .to = &ask->replies[i], .type = type};
        int err = rpc_call_async(troth->nodes[i].channel, method, request, timeout_ms, false,
                                 on_answer, &ones[i]);
        if (err != 0) {
            on_answer(&ones[i], RPC_INTERNAL, troth_err_text(err), NULL, 0);
        }
    }
    pthread_mutex_lock(&waiting.mutex);
    while (waiting.open > 0) {
        pthread_cond_wait(&waiting.changed, &waiting.mutex);
    }
    pthread_mutex_unlock(&waiting.mutex);
    for (uint32_t i = 0; i < ask->n; i++) {
        ask->answered += ask->replies[i].reply != NULL ? 1 : 0;
    }
}

void ask_release(struct ask *ask) {
    for (uint32_t i = 0; i < ask->n; i++) {
        if (ask->replies[i].reply != NULL) {
            protobuf_c_message_free_unpacked(ask->replies[i].reply, NULL);
            ask->replies[i].reply = NULL;
        }
    }
}

int ask_complain(const struct cli *cli, const struct ask *ask) {
    for (uint32_t i = 0; i < ask->n; i++) {
        const struct ask_reply *reply = &ask->replies[i];
        if (reply->reply == NULL) {
            fprintf(stderr, "%s: node %s did not answer: %s: %s\n", cli->path, reply->address,
                    rpc_status_name(reply->status), reply->text);
        }
    }
    if (ask->answered == 0) {
        fprintf(stderr, "Check that the nodes run and that --nodes (or $TROTH_NODES) is right.\n");
        return CLI_NO_CONTACT;
    }
    return ask->answered > ask->n / 2 ? CLI_DONE : CLI_UNKNOWN;
}

int ask_cluster(struct cli *cli, struct troth *troth, const char *cluster) {
    Troth__V1__StatusRequest request = TROTH__V1__STATUS_REQUEST__INIT;
    struct ask ask;
    int status = 0;
    if (cluster[0] == '\0') {
        return 0;
    }
    ask_all(cli, troth, "/troth.v1.Admin/Status", &request.base,
            &troth__v1__status_reply__descriptor, &ask);
    for (uint32_t i = 0; i < ask.n && status == 0; i++) {
        const Troth__V1__StatusReply *reply = (Troth__V1__StatusReply *)ask.replies[i].reply;
        if (reply != NULL && strcmp(reply->cluster, cluster) != 0) {
            status = cli_usage(cli,
                               "the branch is of cluster %s, and the node at %s of cluster %s, "
                               "where this txid is another transaction's; give the nodes of %s "
                               "with --nodes (or $TROTH_NODES)",
                               cluster, ask.replies[i].address, reply->cluster, cluster);
        }
    }
    ask_release(&ask);
    return status;
}
