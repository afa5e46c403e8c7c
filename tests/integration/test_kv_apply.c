/* Writes at several shards as one call, through real nodes and shards: done as a whole or not at
 * all, once, whoever is killed meanwhile. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/cluster_fixture.h"

#define ACCOUNTS 24u
#define OPENING  100
#define MOVERS   12u
#define ROUND_OF 150u /* transfers that are told committed between two faults */

static struct fixture f;
static const int64_t nothing;

static void open_world(void) {
    fixture_open(&f, &(struct fixture_options){.nodes = 3, .shards = 2});
}

/* A key that lives at that shard. */
static const char *key_at(unsigned shard, char key[32]) {
    for (unsigned i = 0;; i++) {
        snprintf(key, 32, "key-%u", i);
        if (strcmp(troth_kv_place(f.kv, key, strlen(key)),
                   cluster_member(f.cluster, CLUSTER_SHARD, shard)) == 0) {
            return key;
        }
    }
}

static int64_t value_of(const char *key) {
    struct troth_kv_value value;
    char why[TROTH_TEXT_BYTES] = "";
    int err = troth_kv_get(f.kv, NULL, key, strlen(key), false, &value, why);
    if (err == TROTH_ERR_NOT_FOUND) {
        return -1;
    }
    fixture_must(&f, err == 0, "%s: %s", key, why);
    int64_t number = strtoll((const char *)value.bytes, NULL, 10);
    free(value.bytes);
    return number;
}

/* ---- One call -------------------------------------------------------------------------------- */

struct two {
    char keys[2][32];
    struct troth_kv_write writes[2];
};

/* Adds to a key at each shard. */
static void add_at_both(struct two *two, int64_t first, int64_t second) {
    int64_t deltas[] = {first, second};
    for (unsigned i = 0; i < 2; i++) {
        key_at(i, two->keys[i]);
        two->writes[i] = (struct troth_kv_write){.verb = TROTH_KV_ADD,
                                                 .key = two->keys[i],
                                                 .key_bytes = strlen(two->keys[i]),
                                                 .delta = deltas[i],
                                                 .minimum = &nothing};
    }
}

static void apply(const struct two *two, struct troth_result *result) {
    int err = troth_kv_apply(f.kv, two->writes, 2, FIXTURE_PATIENCE_MS, NULL, result);
    fixture_must(&f, err == 0, "%s: %s", troth_err_text(err), result->detail);
}

START_TEST(S5_writes_at_two_shards_are_all_done_or_none) {
    struct two two;
    struct troth_result result;
    open_world();
    add_at_both(&two, 7, 8);
    apply(&two, &result);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    ck_assert_int_eq(value_of(two.keys[0]), 7);
    ck_assert_int_eq(value_of(two.keys[1]), 8);
    add_at_both(&two, 1, -9);
    apply(&two, &result);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_int_eq(result.reason, TROTH_ABORT_VOTE);
    ck_assert_msg(strstr(result.detail, "shard-2") != NULL, "%s", result.detail);
    ck_assert_int_eq(value_of(two.keys[0]), 7);
    ck_assert_int_eq(value_of(two.keys[1]), 8);
    fixture_close(&f);
}
END_TEST

START_TEST(a_shard_sees_its_writes_in_the_order_given) {
    char keys[2][32];
    struct troth_result result;
    open_world();
    const char *at_first = key_at(0, keys[0]);
    const char *at_second = key_at(1, keys[1]);
    const struct troth_kv_value one = {.bytes = (uint8_t *)(uintptr_t) "1", .n = 1};
    const struct troth_kv_write writes[] = {
        {.verb = TROTH_KV_PUT,
         .key = at_first,
         .key_bytes = strlen(at_first),
         .value = "1",
         .value_bytes = 1},
        {.verb = TROTH_KV_COMPARE_AND_SET,
         .key = at_second,
         .key_bytes = strlen(at_second),
         .value = "5",
         .value_bytes = 1},
        {.verb = TROTH_KV_COMPARE_AND_SET,
         .key = at_first,
         .key_bytes = strlen(at_first),
         .value = "2",
         .value_bytes = 1,
         .expected = &one},
        {.verb = TROTH_KV_ADD, .key = at_first, .key_bytes = strlen(at_first), .delta = 40},
        {.verb = TROTH_KV_DELETE, .key = at_second, .key_bytes = strlen(at_second)},
    };
    const size_t n = sizeof writes / sizeof *writes;
    fixture_must(&f, troth_kv_apply(f.kv, writes, n, 0, NULL, &result) == 0, "%s", result.detail);
    fixture_must(&f, result.outcome == TROTH_COMMITTED, "%s", result.detail);
    ck_assert_int_eq(value_of(at_first), 42);
    ck_assert_int_eq(value_of(at_second), -1);
    fixture_close(&f);
}
END_TEST

START_TEST(a_shard_that_is_not_there_aborts_it_by_name_and_nothing_was_done) {
    struct two two;
    struct troth_result result;
    open_world();
    add_at_both(&two, 7, 8);
    fixture_stop(&f, CLUSTER_SHARD, 1);
    /* Until the nodes have noticed, it may be prepared at the other one. */
    fixture_wait(&f, (apply(&two, &result), strstr(result.detail, "shard-2") != NULL), "%s",
                 result.detail);
    ck_assert_int_eq(result.outcome, TROTH_ABORTED);
    ck_assert_int_eq(value_of(two.keys[0]), -1);
    fixture_start(&f, CLUSTER_SHARD, 1, NULL);
    apply(&two, &result);
    fixture_must(&f, result.outcome == TROTH_COMMITTED, "%s", result.detail);
    ck_assert_int_eq(value_of(two.keys[0]), 7);
    ck_assert_int_eq(value_of(two.keys[1]), 8);
    fixture_close(&f);
}
END_TEST

/* ---- Many, and faults ------------------------------------------------------------------------ */

struct mover {
    struct bank_of_calls *bank;
    uint64_t random;
    unsigned from, to;
    int64_t amount;
    struct troth_txid txid;
};
struct bank_of_calls {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int64_t expected[ACCOUNTS]; /* by what was told committed */
    unsigned committed, moving;
    bool stopping;
    char why[TROTH_TEXT_BYTES]; /* of an error that leaves the outcome open for good */
    struct mover movers[MOVERS];
};

static void move(struct mover *mover);

static size_t account_of(unsigned account, char key[32]) {
    return (size_t)snprintf(key, 32, "account-%02u", account);
}

/* xorshift64*; Vigna 2014 */
static unsigned draw(struct mover *mover, unsigned below) {
    mover->random ^= mover->random >> 12;
    mover->random ^= mover->random << 25;
    mover->random ^= mover->random >> 27;
    return (unsigned)((mover->random * 0x2545F4914F6CDD1Du) >> 33) % below;
}

static void end_move(struct mover *mover, bool committed) {
    struct bank_of_calls *bank = mover->bank;
    pthread_mutex_lock(&bank->mutex);
    if (committed) {
        bank->expected[mover->from] -= mover->amount;
        bank->expected[mover->to] += mover->amount;
        bank->committed++;
    }
    bool again = !bank->stopping;
    bank->moving -= again ? 0 : 1;
    pthread_cond_broadcast(&bank->changed);
    pthread_mutex_unlock(&bank->mutex);
    if (again) {
        move(mover);
    }
}

/* Asks until it is decided. */
static void on_asked(void *arg, int err, const struct troth_result *result) {
    struct mover *mover = arg;
    if (err == TROTH_ERR_UNKNOWN || err == TROTH_ERR_TIMEOUT) {
        troth_abort_async(f.troth, mover->txid, 0, on_asked, mover);
        return;
    }
    if (err != 0) {
        struct bank_of_calls *bank = mover->bank;
        pthread_mutex_lock(&bank->mutex);
        snprintf(bank->why, sizeof bank->why, "%.40s: %.400s", troth_err_text(err), result->detail);
        pthread_mutex_unlock(&bank->mutex);
    }
    end_move(mover, err == 0 && result->outcome == TROTH_COMMITTED);
}

static void on_applied(void *arg, int err, struct troth_txid txid,
                       const struct troth_result *result) {
    struct mover *mover = arg;
    mover->txid = txid;
    if (err == TROTH_ERR_UNAVAILABLE) {
        end_move(mover, false); /* nothing was begun */
    } else {
        on_asked(arg, err, result);
    }
}

static void move(struct mover *mover) {
    char from[32];
    char to[32];
    mover->from = draw(mover, ACCOUNTS);
    mover->to = (mover->from + 1 + draw(mover, ACCOUNTS - 1)) % ACCOUNTS;
    mover->amount = 1 + draw(mover, 20);
    const struct troth_kv_write writes[] = {
        {.verb = TROTH_KV_ADD,
         .key = from,
         .key_bytes = account_of(mover->from, from),
         .delta = -mover->amount,
         .minimum = &nothing},
        {.verb = TROTH_KV_ADD,
         .key = to,
         .key_bytes = account_of(mover->to, to),
         .delta = mover->amount},
    };
    troth_kv_apply_async(f.kv, writes, 2, 0, on_applied, mover);
}

static void start_moving(struct bank_of_calls *bank) {
    struct troth_kv_write writes[ACCOUNTS];
    char keys[ACCOUNTS][32];
    struct troth_result result;
    pthread_mutex_init(&bank->mutex, NULL);
    pthread_cond_init(&bank->changed, NULL);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        bank->expected[i] = OPENING;
        writes[i] = (struct troth_kv_write){.verb = TROTH_KV_PUT,
                                            .key = keys[i],
                                            .key_bytes = account_of(i, keys[i]),
                                            .value = "100",
                                            .value_bytes = 3};
    }
    fixture_must(&f, troth_kv_apply(f.kv, writes, ACCOUNTS, 0, NULL, &result) == 0, "%s",
                 result.detail);
    ck_assert_int_eq(result.outcome, TROTH_COMMITTED);
    bank->moving = MOVERS;
    for (unsigned i = 0; i < MOVERS; i++) {
        bank->movers[i] = (struct mover){.bank = bank, .random = 0x9E3779B97F4A7C15u * (i + 1)};
        move(&bank->movers[i]);
    }
}

static unsigned committed(struct bank_of_calls *bank) {
    pthread_mutex_lock(&bank->mutex);
    unsigned n = bank->committed;
    pthread_mutex_unlock(&bank->mutex);
    return n;
}

static void wait_for_more(struct bank_of_calls *bank) {
    unsigned until = committed(bank) + ROUND_OF;
    fixture_wait(&f, committed(bank) >= until, "transfers don't go on: %u", committed(bank));
}

/* Each account has exactly what the calls that were told committed gave and took. */
static void stop_and_count(struct bank_of_calls *bank) {
    pthread_mutex_lock(&bank->mutex);
    bank->stopping = true;
    while (bank->moving > 0) {
        pthread_cond_wait(&bank->changed, &bank->mutex);
    }
    pthread_mutex_unlock(&bank->mutex);
    fixture_must(&f, bank->why[0] == '\0', "%s", bank->why);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char key[32];
        account_of(i, key);
        int64_t value = value_of(key);
        fixture_must(&f, value == bank->expected[i], "%s has %lld, and should have %lld", key,
                     (long long)value, (long long)bank->expected[i]);
    }
    pthread_cond_destroy(&bank->changed);
    pthread_mutex_destroy(&bank->mutex);
}

START_TEST(S5_each_call_has_its_whole_effect_once_whoever_is_killed) {
    struct bank_of_calls bank = {.committed = 0};
    open_world();
    start_moving(&bank);
    wait_for_more(&bank);
    for (unsigned node = 0; node < 3; node++) {
        fixture_kill(&f, CLUSTER_NODE, node);
        wait_for_more(&bank);
        fixture_start(&f, CLUSTER_NODE, node, NULL);
        wait_for_more(&bank);
    }
    for (unsigned shard = 0; shard < 2; shard++) {
        fixture_kill(&f, CLUSTER_SHARD, shard);
        fixture_start(&f, CLUSTER_SHARD, shard, NULL);
        wait_for_more(&bank);
    }
    stop_and_count(&bank);
    fixture_close(&f);
}
END_TEST

int main(void) {
    return fixture_suite_run(
        "kv_apply",
        (const TTest *[]){S5_writes_at_two_shards_are_all_done_or_none,
                          a_shard_sees_its_writes_in_the_order_given,
                          a_shard_that_is_not_there_aborts_it_by_name_and_nothing_was_done,
                          S5_each_call_has_its_whole_effect_once_whoever_is_killed, NULL});
}
