/* fuzz_frames: frames of clients' streams, at nodes (Transactions.Session) and shards
 * (KeyValue.Session), may hold any bytes: what comes of it is requests within their limits, or a
 * refusal of the whole. Samples are mangled at random, always in the same way; worth most under the
 * sanitizers. */
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "coordinator/clients.h"
#include "participant/shard/kv_frame.h"
#include "tests/lib/suite.h"

#define ROUNDS      30000u
#define FRAME_BYTES 2048u

static uint64_t state = 0x2545f4914f6cdd1du;

static uint32_t roll(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

/* A copy of the sample with a few changes, of its exact size; *n is the size. */
static uint8_t *mangle(const struct wire_buffer *sample, size_t *n) {
    uint8_t bytes[FRAME_BYTES];
    *n = sample->n;
    ck_assert_uint_le(*n, sizeof bytes);
    memcpy(bytes, sample->bytes, *n);
    for (uint32_t changes = roll(5); changes > 0 && *n > 0; changes--) {
        size_t at = roll((uint32_t)*n);
        size_t length = 1 + roll(24);
        uint32_t kind = roll(4);
        length = length < *n - at ? length : *n - at;
        if (kind == 0) {
            bytes[at] = (uint8_t)roll(256);
        } else if (kind == 1) {
            bytes[at] ^= (uint8_t)(1u << roll(8));
        } else if (kind == 2) { /* cut out */
            memmove(bytes + at, bytes + at + length, *n - at - length);
            *n -= length;
        } else if (*n + length <= sizeof bytes) { /* repeat */
            memmove(bytes + at + length, bytes + at, *n - at);
            *n += length;
        }
    }
    uint8_t *copy = malloc(*n == 0 ? 1 : *n);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, *n);
    return copy;
}

static ProtobufCBinaryData data(const char *text, size_t n) {
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)text};
}

/* ---- Shards ---------------------------------------------------------------------------------- */

static void make_kv_sample(struct wire_buffer *sample) {
    for (uint32_t verb = 0; verb <= 7; verb++) {
        Troth__V1__KvRequest request = TROTH__V1__KV_REQUEST__INIT;
        request.number = verb;
        request.verb = (Troth__V1__KvVerb)verb;
        request.txid = data("sixteen bytes...", verb % 2 == 0 ? 16 : 0);
        request.key = data("a key", 5);
        request.value = data("some value", 10);
        request.to = data("the end", 7);
        request.delta = -5;
        request.limit = 10;
        if (verb > 3) {
            request.limits_case = TROTH__V1__KV_REQUEST__LIMITS_MINIMUM;
            request.expects_case = TROTH__V1__KV_REQUEST__EXPECTS_EXPECTED;
            request.expected = data("expected", 8);
        }
        ck_assert_int_eq(wire_append(sample, &request.base), 0);
    }
}

/* Whoever reads all bytes that it claims to have finds out. */
static unsigned touch(struct kv_bytes bytes) {
    unsigned sum = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        sum += bytes.at[i];
    }
    return sum;
}

START_TEST(any_bytes_are_requests_to_a_shard_or_refused) {
    struct wire_buffer sample = {0};
    unsigned good = 0;
    unsigned sum = 0;
    make_kv_sample(&sample);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct kv_request *first;
        size_t n;
        uint8_t *bytes = mangle(&sample, &n);
        int err = kv_frame_read(bytes, n, "stock", &first);
        ck_assert(err == 0 || (err == TROTH_ERR_INVALID && first == NULL));
        good += err == 0;
        for (struct kv_request *request = first; request != NULL; request = request->next) {
            struct op *op = &request->op;
            ck_assert(op->verb <= OP_SCAN);
            ck_assert(!request->refused || (op->status != RPC_OK && op->text[0] != '\0'));
            sum += touch(op->key) + touch(op->value) + touch(op->to) + touch(op->expected);
            if (!request->refused) {
                op_check(op);
            }
        }
        kv_frame_free(first);
        free(bytes);
    }
    ck_assert(good > 0 && good < ROUNDS && sum > 0);
    wire_buffer_release(&sample);
}
END_TEST

/* ---- Nodes ----------------------------------------------------------------------------------- */

static void make_session_sample(struct wire_buffer *sample) {
    static char names[2][8] = {"shard-1", "b"};
    Troth__V1__Branch of[2] = {TROTH__V1__BRANCH__INIT, TROTH__V1__BRANCH__INIT};
    Troth__V1__Branch *branches[] = {&of[0], &of[1]};
    for (size_t i = 0; i < 2; i++) {
        of[i].participant = names[i];
        of[i].incarnation = 7 + i;
    }
    for (uint32_t kind = 0; kind <= 6; kind++) {
        Troth__V1__SessionRequest request = TROTH__V1__SESSION_REQUEST__INIT;
        request.number = kind;
        request.kind = (Troth__V1__SessionKind)kind;
        request.wait_ms = 1000;
        request.txid = data("sixteen bytes...", 16);
        request.timeout_ms = 500;
        request.count = 3;
        request.branches = branches;
        request.n_branches = kind % 3;
        ck_assert_int_eq(wire_append(sample, &request.base), 0);
    }
}

START_TEST(any_bytes_are_requests_to_a_node_or_refused) {
    struct wire_buffer sample = {0};
    unsigned good = 0;
    struct clients *clients;
    ck_assert_int_eq(clients_new(&clients, NULL), 0);
    make_session_sample(&sample);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        size_t n;
        int err;
        uint8_t *bytes = mangle(&sample, &n);
        struct call *call = clients_read_frame(clients, bytes, n, &err);
        ck_assert(err == 0 || (err == TROTH_ERR_INVALID && call == NULL));
        good += err == 0;
        for (struct call *next; call != NULL; call = next) {
            next = call->next;
            ck_assert(call->refusal == 0 ||
                      (call->refusal_text != NULL && call->refusal_text[0] != '\0'));
            ck_assert(call->refusal != 0 || call->branches == NULL ||
                      call->branches->n <= PAXOS_PARTICIPANTS_MAX);
            clients_leave_queue(clients);
            call_free(call);
        }
        free(bytes);
    }
    ck_assert(good > 0 && good < ROUNDS);
    clients_free(clients);
    wire_buffer_release(&sample);
}
END_TEST

int main(void) {
    return suite_run("fuzz_frames",
                     (const TTest *[]){any_bytes_are_requests_to_a_shard_or_refused,
                                       any_bytes_are_requests_to_a_node_or_refused, NULL});
}
