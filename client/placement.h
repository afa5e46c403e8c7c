/* placement: which of a set of shards holds a key.
 *
 * Rendezvous hashing [Thaler & Ravishankar, "Using name-based mappings to increase hit rates",
 * IEEE/ACM ToN 1998]: each shard's name and the key give a weight, the largest wins. So a shard
 * that is added takes its own share of the keys and no other key moves. Every client must come to
 * the same result for ever: the formula and the hash (XXH3, 64 bits) are part of Troth's format.
 *
 *     seed(shard) = XXH3_64bits(name);  weight = XXH3_64bits_withSeed(key, seed(shard))
 *
 * Pure. The order in which the shards are listed does not matter; names must differ.
 */
#ifndef CLIENT_PLACEMENT_H
#define CLIENT_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

struct placement_shard {
    const char *name;
    uint64_t seed; /* placement_seed(name) */
};

uint64_t placement_seed(const char *name);
/* The index of the shard that holds the key; n_shards above 0. Equal weights: the smaller name. */
size_t placement_choose(const struct placement_shard *shards, size_t n_shards, const void *key,
                        size_t key_bytes);

#endif
