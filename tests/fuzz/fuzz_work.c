/* fuzz_work: work that came with Commit may hold any bytes, for nobody on their way to a shard
 * reads them: what comes of it is a vote, and a shard that goes on. Samples are mangled at random,
 * always in the same way; worth most under the sanitizers. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/kv_work.h"
#include "tests/lib/shard_world.h"
#include "tests/lib/suite.h"

#define ROUNDS 20000u

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t roll(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static void make_sample(struct kv_work *work) {
    for (uint32_t verb = 1; verb <= 6; verb++) {
        Troth__V1__KvRequest request = kv_work_request((Troth__V1__KvVerb)verb, "a key");
        request.value = kv_work_bytes("17");
        request.to = kv_work_bytes("z");
        request.delta = 3;
        request.limit = 10;
        kv_work_add_request(work, &request);
        kv_work_put(work, "a key", "5");
    }
}

/* A few bytes are changed, or some cut off, in memory of the exact size. */
static uint8_t *mangle(const struct kv_work *sample, size_t *n) {
    *n = roll(4) == 0 ? 1 + roll((uint32_t)sample->frame.n) : sample->frame.n;
    uint8_t *bytes = malloc(*n);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, sample->frame.bytes, *n);
    for (uint32_t changes = roll(4); changes > 0; changes--) {
        bytes[roll((uint32_t)*n)] = (uint8_t)roll(256);
    }
    return bytes;
}

START_TEST(any_bytes_are_work_or_a_vote_to_abort) {
    struct kv_work sample = {0};
    unsigned votes[4] = {0};
    make_sample(&sample);
    world_open();
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        size_t n;
        uint8_t *bytes = mangle(&sample, &n);
        world_prepare_work(world_tx(i), bytes, n);
        free(bytes);
        int vote = world_vote(world_tx(i)); /* nobody holds a lock: it never waits */
        ck_assert(vote >= TROTH_VOTE_PREPARED && vote <= TROTH_VOTE_ABORTED);
        ck_assert((vote == TROTH_VOTE_ABORTED) == (world_vote_detail(world_tx(i))[0] != '\0'));
        votes[vote]++;
        ck_assert_int_eq(world_abort(world_tx(i)),
                         vote == TROTH_VOTE_PREPARED ? 0 : TROTH_ERR_NOT_FOUND);
        world_forget_votes();
    }
    world_close();
    kv_work_release(&sample);
    ck_assert_uint_gt(votes[TROTH_VOTE_PREPARED], ROUNDS / 100);
    ck_assert_uint_gt(votes[TROTH_VOTE_ABORTED], ROUNDS / 100);
}
END_TEST

int main(void) {
    return suite_run("fuzz_work", (const TTest *[]){any_bytes_are_work_or_a_vote_to_abort, NULL});
}
