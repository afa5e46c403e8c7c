#include "participant/shard/writes.h"

#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
    struct write write;
    UT_hash_handle hh;
    uint8_t bytes[]; /* key, value */
};

struct writes {
    struct entry *entries;
    size_t bytes;
};

struct writes *writes_new(void) {
    return calloc(1, sizeof(struct writes));
}

static size_t entry_bytes(const struct entry *entry) {
    return entry->write.key.n + entry->write.value.n;
}

static void drop(struct writes *writes, struct entry *entry) {
    writes->bytes -= entry_bytes(entry);
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): an iteration holds the next one
    HASH_DEL(writes->entries, entry);
    free(entry);
}

void writes_free(struct writes *writes) {
    if (writes == NULL) {
        return;
    }
    struct entry *entry, *next;
    HASH_ITER(hh, writes->entries, entry, next) {
        drop(writes, entry);
    }
    free(writes);
}

static struct entry *find(const struct writes *writes, struct kv_bytes key) {
    struct entry *entry;
    HASH_FIND(hh, writes->entries, key.at, key.n, entry);
    return entry;
}

static struct entry *make(struct kv_bytes key, const struct kv_bytes *value) {
    size_t value_n = value != NULL ? value->n : 0;
    struct entry *entry = calloc(1, sizeof *entry + key.n + value_n);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->bytes, key.at, key.n);
    if (value_n > 0) {
        memcpy(entry->bytes + key.n, value->at, value_n);
    }
    entry->write = (struct write){.key = {entry->bytes, key.n},
                                  .value = {entry->bytes + key.n, value_n},
                                  .is_delete = value == NULL};
    return entry;
}

// NOLINTNEXTLINE(readability-function-size): uthash's macro, not ours
int writes_set(struct writes *writes, struct kv_bytes key, const struct kv_bytes *value) {
    struct entry *old = find(writes, key);
    size_t bytes = writes->bytes - (old != NULL ? entry_bytes(old) : 0) + key.n +
                   (value != NULL ? value->n : 0);
    if (bytes > WRITES_BYTES_MAX) {
        return TROTH_ERR_TOO_LARGE;
    }
    struct entry *entry = make(key, value);
    if (entry == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    HASH_ADD_KEYPTR(hh, writes->entries, entry->write.key.at, entry->write.key.n, entry);
    if (entry->hh.tbl == NULL) {
        free(entry);
        return TROTH_ERR_NO_MEMORY;
    }
    writes->bytes += entry_bytes(entry);
    if (old != NULL) {
        drop(writes, old);
    }
    return 0;
}

const struct write *writes_find(const struct writes *writes, struct kv_bytes key) {
    const struct entry *entry = find(writes, key);
    return entry != NULL ? &entry->write : NULL;
}

size_t writes_count(const struct writes *writes) {
    return HASH_COUNT(writes->entries);
}

size_t writes_bytes(const struct writes *writes) {
    return writes->bytes;
}

static int compare_writes(const void *a, const void *b) {
    const struct write *const *write_a = a;
    const struct write *const *write_b = b;
    return kv_compare((*write_a)->key, (*write_b)->key);
}

int writes_sorted(const struct writes *writes, struct kv_bytes from, struct kv_bytes to,
                  const struct write ***sorted, size_t *n) {
    *n = 0;
    *sorted = calloc(writes_count(writes) + 1, sizeof **sorted);
    if (*sorted == NULL) {
        return TROTH_ERR_NO_MEMORY;
    }
    const struct entry *entry, *next;
    HASH_ITER(hh, writes->entries, entry, next) {
        struct kv_bytes key = entry->write.key;
        if (kv_compare(from, key) <= 0 && (to.n == 0 || kv_compare(key, to) < 0)) {
            (*sorted)[(*n)++] = &entry->write;
        }
    }
    qsort(*sorted, *n, sizeof **sorted, compare_writes);
    return 0;
}
