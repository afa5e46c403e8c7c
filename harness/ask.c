#include "harness/ask.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct asker {
    struct rpc *rpc; /* driven */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool polled; /* by one of those who wait, for all of them */
};

struct question {
    struct asker *asker;
    const ProtobufCMessageDescriptor *type;
    char *text;
    bool done;
    ProtobufCMessage *reply;
};

int asker_new(struct asker **out) {
    struct asker *asker = calloc(1, sizeof *asker);
    if (asker == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    int err = rpc_new(&asker->rpc, &(struct rpc_options){.driven = true});
    if (err != 0) {
        free(asker);
        return err;
    }
    pthread_mutex_init(&asker->mutex, NULL);
    pthread_cond_init(&asker->changed, NULL);
    *out = asker;
    return 0;
}

void asker_free(struct asker *asker) {
    if (asker == NULL) {
        return;
    }
    rpc_free(asker->rpc);
    pthread_cond_destroy(&asker->changed);
    pthread_mutex_destroy(&asker->mutex);
    free(asker);
}

static void on_reply(void *arg, int status, const char *text, const uint8_t *bytes, size_t n) {
    struct question *question = arg;
    struct asker *asker = question->asker;
    pthread_mutex_lock(&asker->mutex);
    snprintf(question->text, RPC_STATUS_TEXT_MAX, "%s", text);
    if (status == RPC_OK) {
        question->reply = protobuf_c_message_unpack(question->type, NULL, n, bytes);
        if (question->reply == NULL) {
            snprintf(question->text, RPC_STATUS_TEXT_MAX, "the reply is no %s",
                     question->type->name);
        }
    }
    question->done = true;
    pthread_cond_broadcast(&asker->changed);
    pthread_mutex_unlock(&asker->mutex);
}

static void wait_for(const struct question *question) {
    struct asker *asker = question->asker;
    pthread_mutex_lock(&asker->mutex);
    while (!question->done) {
        if (asker->polled) {
            pthread_cond_wait(&asker->changed, &asker->mutex);
            continue;
        }
        asker->polled = true;
        pthread_mutex_unlock(&asker->mutex);
        rpc_poll(asker->rpc, INT64_MAX); /* each question has a time limit */
        pthread_mutex_lock(&asker->mutex);
        asker->polled = false;
    }
    pthread_cond_broadcast(&asker->changed); /* another one is to poll */
    pthread_mutex_unlock(&asker->mutex);
}

ProtobufCMessage *asker_ask(struct asker *asker, const char *address, const char *method,
                            const ProtobufCMessage *request, const ProtobufCMessageDescriptor *type,
                            int64_t timeout_ms, char text[RPC_STATUS_TEXT_MAX]) {
    struct question question = {.asker = asker, .type = type, .text = text};
    struct rpc_channel *channel = NULL;
    int err = rpc_channel_new(&channel, asker->rpc, address);
    if (err == 0) {
        err = rpc_call_async(channel, method, request, timeout_ms, true, on_reply, &question);
    }
    if (err == 0) {
        wait_for(&question);
    } else {
        snprintf(text, RPC_STATUS_TEXT_MAX, "%s", troth_err_text(err));
    }
    rpc_channel_free(channel);
    return question.reply;
}
