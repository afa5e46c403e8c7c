#include "client/placement.h"

#include <assert.h>
#include <string.h>

/* The whole hash in this file: a core links nothing but libc. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t placement_seed(const char *name) {
    return XXH3_64bits(name, strlen(name));
}

size_t placement_choose(const struct placement_shard *shards, size_t n_shards, const void *key,
                        size_t key_bytes) {
    assert(n_shards > 0);
    size_t best = 0;
    uint64_t best_weight = 0;
    for (size_t i = 0; i < n_shards; i++) {
        uint64_t weight = XXH3_64bits_withSeed(key, key_bytes, shards[i].seed);
        if (i == 0 || weight > best_weight ||
            (weight == best_weight && strcmp(shards[i].name, shards[best].name) < 0)) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}
