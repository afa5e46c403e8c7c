/* writes: what one branch has written and not yet committed; keys and their new values, in memory.
 *
 * A later write to a key takes the place of the earlier one. All memory is its own; the total is
 * bounded, so that no transaction can exhaust the shard.
 */
#ifndef SHARD_WRITES_H
#define SHARD_WRITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/troth_err.h"

/* Keys and values of one branch together, bytes. */
#define WRITES_BYTES_MAX (16u << 20)

struct kv_bytes {
    const uint8_t *at;
    size_t n;
};

/* In the order of bytes, shorter first; as SQLite orders blobs. */
static inline int kv_compare(struct kv_bytes a, struct kv_bytes b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.at, b.at, n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

struct write {
    struct kv_bytes key;
    struct kv_bytes value;
    bool is_delete; /* then there is no value */
};

struct writes;
/* NULL when there is no memory. */
struct writes *writes_new(void);
/* NULL is let be. */
void writes_free(struct writes *writes);

/* `value` NULL deletes the key. TROTH_ERR_NO_MEMORY, TROTH_ERR_TOO_LARGE (the branch's total):
 * nothing was changed. */
int writes_set(struct writes *writes, struct kv_bytes key, const struct kv_bytes *value);
/* The write of this key, until the next writes_set; or NULL. */
const struct write *writes_find(const struct writes *writes, struct kv_bytes key);
size_t writes_count(const struct writes *writes);
/* Of keys and values. */
size_t writes_bytes(const struct writes *writes);
/* The writes of keys from `from` on and below `to` (empty: no end), in order, until the next
 * writes_set; the array is the caller's to free. TROTH_ERR_NO_MEMORY. */
int writes_sorted(const struct writes *writes, struct kv_bytes from, struct kv_bytes to,
                  const struct write ***sorted, size_t *n);

#endif
