#include "participant/shard/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A key as people see it; long ones are cut, bytes that are no ASCII letters are escaped. */
#define KEY_TEXT_BYTES 64

static const char *const verb_names[] = {[OP_GET] = "get",
                                         [OP_PUT] = "put",
                                         [OP_ADD] = "add to",
                                         [OP_DELETE] = "delete",
                                         [OP_COMPARE_AND_SET] = "compare-and-set",
                                         [OP_SCAN] = "scan from"};

bool op_in_transaction(const struct op *op) {
    return !troth_txid_is_zero(op->txid);
}

bool op_writes(const struct op *op) {
    return op->verb != OP_GET && op->verb != OP_SCAN;
}

enum lock_mode op_lock_mode(const struct op *op) {
    return op_writes(op) || op->for_update ? LOCK_EXCLUSIVE : LOCK_SHARED;
}

struct lock_target op_lock_target(const struct op *op) {
    return (struct lock_target){.from = op->key.at,
                                .from_n = op->key.n,
                                .to = op->to.at,
                                .to_n = op->verb == OP_SCAN ? op->to.n : 0,
                                .range = op->verb == OP_SCAN};
}

static const char *key_text(struct kv_bytes key, char text[KEY_TEXT_BYTES]) {
    size_t at = 0;
    for (size_t i = 0; i < key.n; i++) {
        if (at + 8 > KEY_TEXT_BYTES) {
            snprintf(text + at, KEY_TEXT_BYTES - at, "...");
            return text;
        }
        bool plain = key.at[i] >= 0x20 && key.at[i] < 0x7f && key.at[i] != '"';
        at += (size_t)snprintf(text + at, KEY_TEXT_BYTES - at, plain ? "%c" : "\\x%02x", key.at[i]);
    }
    text[at] = '\0';
    return text;
}

void op_fail(struct op *op, int status, const char *format, ...) {
    char key[KEY_TEXT_BYTES];
    char txid[TROTH_TXID_TEXT];
    op->status = status;
    int at = snprintf(op->text, sizeof op->text, "%s \"%s\"", verb_names[op->verb],
                      key_text(op->key, key));
    if (op_in_transaction(op) && !op->committing) { /* there it is the reason of an outcome */
        at += snprintf(op->text + at, sizeof op->text - (size_t)at, " in transaction %s",
                       troth_txid_format(op->txid, txid));
    }
    at += snprintf(op->text + at, sizeof op->text - (size_t)at, ": ");
    va_list args;
    va_start(args, format);
    vsnprintf(op->text + at, sizeof op->text - (size_t)at, format, args);
    va_end(args);
}

bool op_is_meant_for(struct op *op, const char *self, const char *meant) {
    if (meant[0] == '\0' || strcmp(meant, self) == 0) {
        return true;
    }
    op->status = RPC_INVALID_ARGUMENT;
    snprintf(op->text, sizeof op->text,
             "this is shard %s, and %.64s is meant; keys are placed by the shards' names, so "
             "correct the names and addresses that the client was given (TROTH_SHARDS, --shards)",
             self, meant);
    return false;
}

static bool too_long(struct op *op, const char *what, struct kv_bytes bytes, size_t max) {
    if (bytes.n <= max) {
        return false;
    }
    op_fail(op, RPC_INVALID_ARGUMENT, "the %s has %zu bytes; at most %zu are allowed", what,
            bytes.n, max);
    return true;
}

bool op_check(struct op *op) {
    if (op->verb != OP_SCAN && op->key.n == 0) {
        op_fail(op, RPC_INVALID_ARGUMENT, "the key is empty; give 1 to %u bytes", OP_KEY_BYTES_MAX);
        return false;
    }
    bool scans = op->verb == OP_SCAN;
    if (too_long(op, scans ? "begin of the range" : "key", op->key,
                 scans ? OP_FROM_BYTES_MAX : OP_KEY_BYTES_MAX) ||
        too_long(op, "value", op->value, OP_VALUE_BYTES_MAX) ||
        too_long(op, "expected value", op->expected, OP_VALUE_BYTES_MAX) ||
        too_long(op, "end of the range", op->to, OP_KEY_BYTES_MAX)) {
        return false;
    }
    if (op->limit == 0 || op->limit > OP_SCAN_MAX) {
        op->limit = OP_SCAN_MAX;
    }
    return true;
}

void op_clear(struct op *op) {
    for (size_t i = 0; i < op->pairs_n; i++) {
        free((void *)op->pairs[i].key.at);
        free((void *)op->pairs[i].value.at);
    }
    free(op->pairs);
    free((void *)op->found.at);
    op->pairs = NULL;
    op->pairs_n = 0;
    op->found = (struct kv_bytes){NULL, 0};
}
