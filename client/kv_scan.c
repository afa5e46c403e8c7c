/* A scan over all shards: a page of each at a time, merged in the order of the keys. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/kv.h"

struct cursor {
    Troth__V1__KvReply *page; /* NULL: nothing was read yet */
    size_t at;                /* the next pair in the page */
};

static int compare_keys(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b) {
    size_t n = a->len < b->len ? a->len : b->len;
    int order = n == 0 ? 0 : memcmp(a->data, b->data, n);
    if (order != 0) {
        return order;
    }
    return a->len < b->len ? -1 : a->len > b->len;
}

static const Troth__V1__KvPair *head(const struct cursor *cursor) {
    assert(cursor->page != NULL);
    return cursor->at < cursor->page->n_pairs ? cursor->page->pairs[cursor->at] : NULL;
}

/* Reads the page that begins at request->key. */
static int read_page(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard,
                     struct cursor *cursor, Troth__V1__KvRequest *request, char *why) {
    Troth__V1__KvReply *reply;
    int err = kv_run(kv, tx, shard, request, &reply, why);
    if (err != 0) {
        return err;
    }
    if (cursor->page != NULL) {
        troth__v1__kv_reply__free_unpacked(cursor->page, NULL);
    }
    cursor->page = reply;
    cursor->at = 0;
    return 0;
}

/* Goes past the head; reads the next page when this one is through. */
static int advance(struct troth_kv *kv, struct troth_kv_tx *tx, size_t shard, struct cursor *cursor,
                   Troth__V1__KvRequest request, char *why) {
    cursor->at++;
    if (head(cursor) != NULL || !cursor->page->more) {
        return 0;
    }
    /* The smallest key above the last one is that key with a zero byte behind it. */
    const ProtobufCBinaryData *last = &cursor->page->pairs[cursor->at - 1]->key;
    uint8_t *from = malloc(last->len + 1);
    if (from == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    if (last->len > 0) {
        memcpy(from, last->data, last->len);
    }
    from[last->len] = 0;
    request.key = (ProtobufCBinaryData){.data = from, .len = last->len + 1};
    int err = read_page(kv, tx, shard, cursor, &request, why);
    free(from);
    return err;
}

static size_t smallest(const struct cursor *cursors, size_t n) {
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        const Troth__V1__KvPair *pair = head(&cursors[i]);
        if (pair != NULL &&
            (best == n || compare_keys(&pair->key, &head(&cursors[best])->key) < 0)) {
            best = i;
        }
    }
    return best;
}

int troth_kv_scan(struct troth_kv *kv, struct troth_kv_tx *tx, const void *from, size_t from_bytes,
                  const void *to, size_t to_bytes, troth_kv_each_fn *each, void *arg,
                  char why[TROTH_TEXT_BYTES]) {
    struct cursor *cursors = calloc(kv->n_shards, sizeof *cursors);
    if (cursors == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    Troth__V1__KvRequest request = TROTH__V1__KV_REQUEST__INIT;
    request.verb = TROTH__V1__KV_VERB__KV_VERB_SCAN;
    request.key = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)from, .len = from_bytes};
    if (to != NULL) {
        request.to = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)to, .len = to_bytes};
    }
    int err = 0;
    for (size_t i = 0; i < kv->n_shards && err == 0; i++) {
        err = read_page(kv, tx, i, &cursors[i], &request, why);
    }
    while (err == 0) {
        size_t i = smallest(cursors, kv->n_shards);
        if (i == kv->n_shards) {
            break;
        }
        const Troth__V1__KvPair *pair = head(&cursors[i]);
        err = each(arg, pair->key.data, pair->key.len, pair->value.data, pair->value.len);
        if (err == 0) {
            err = advance(kv, tx, i, &cursors[i], request, why);
        }
    }
    for (size_t i = 0; i < kv->n_shards; i++) {
        if (cursors[i].page != NULL) {
            troth__v1__kv_reply__free_unpacked(cursors[i].page, NULL);
        }
    }
    free(cursors);
    return err;
}
