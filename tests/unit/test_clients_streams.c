/* clients_streams: what of a client's frame is given to the loop when much waits there already. */
#include <check.h>
#include <stdlib.h>

#include "base/troth_err.h"
#include "coordinator/clients.h"
#include "tests/lib/suite.h"

#define FRAME_REQUESTS 1000u

/* Read, and not given to the loop yet: by `next`. */
struct reading {
    struct clients *clients;
    struct call *first;
    uint64_t last_number;
};

static size_t pack_commits(struct reading *reading, size_t n, uint8_t *bytes, size_t bytes_max) {
    static uint8_t txid[TROTH_TXID_BYTES] = {[TROTH_TXID_BYTES - 1] = 1};
    Troth__V1__SessionRequest requests[FRAME_REQUESTS];
    Troth__V1__SessionRequest *list[FRAME_REQUESTS];
    Troth__V1__SessionRequests frame = TROTH__V1__SESSION_REQUESTS__INIT;
    frame.requests = list;
    for (; frame.n_requests < n; frame.n_requests++) {
        Troth__V1__SessionRequest *request = &requests[frame.n_requests];
        troth__v1__session_request__init(request);
        request->number = ++reading->last_number;
        request->kind = TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT;
        request->txid = (ProtobufCBinaryData){.len = sizeof txid, .data = txid};
        list[frame.n_requests] = request;
    }
    ck_assert_uint_le(protobuf_c_message_get_packed_size(&frame.base), bytes_max);
    return protobuf_c_message_pack(&frame.base, bytes);
}

/* One frame of n Commits; its calls, in order. */
static struct call *read_commits(struct reading *reading, size_t n, int *err) {
    static uint8_t bytes[64 * FRAME_REQUESTS];
    size_t size = pack_commits(reading, n, bytes, sizeof bytes);
    return clients_read_frame(reading->clients, bytes, size, err);
}

static void keep(struct reading *reading, struct call *calls) {
    struct call **end = &reading->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = calls;
}

/* So many requests wait for the loop, of which none is to be refused. */
static void fill(struct reading *reading, size_t n) {
    struct call *all = NULL;
    for (size_t left = n; left > 0; left -= FRAME_REQUESTS) {
        int err;
        struct call *calls = read_commits(reading, FRAME_REQUESTS, &err);
        struct call *last = NULL;
        ck_assert_int_eq(err, 0);
        for (struct call *call = calls; call != NULL; call = call->next) {
            ck_assert_int_eq(call->refusal, 0);
            last = call;
        }
        ck_assert_ptr_nonnull(last);
        last->next = all;
        all = calls;
    }
    keep(reading, all);
}

/* The loop takes one. */
static void take(struct reading *reading) {
    struct call *call = reading->first;
    reading->first = call->next;
    clients_leave_queue(reading->clients);
    call_free(call);
}

static void begin(struct reading *reading) {
    *reading = (struct reading){.clients = NULL};
    ck_assert_int_eq(clients_new(&reading->clients, NULL), 0);
}

static void end(struct reading *reading) {
    while (reading->first != NULL) {
        take(reading);
    }
    clients_free(reading->clients);
}

START_TEST(what_is_too_much_is_refused_by_itself_and_says_that_nothing_is_known) {
    struct reading reading;
    int err;
    begin(&reading);
    fill(&reading, CALLS_MAX);
    take(&reading);
    struct call *calls = read_commits(&reading, 2, &err);
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(calls->refusal, 0);
    ck_assert_uint_eq(calls->next->number, reading.last_number);
    /* Its client may have asked another node before. */
    ck_assert_int_eq(calls->next->refusal, RPC_UNAVAILABLE);
    ck_assert_ptr_nonnull(calls->next->refusal_text);
    ck_assert_ptr_null(calls->next->next);
    calls->next->next = reading.first;
    reading.first = calls;
    take(&reading); /* the loop answers both */
    take(&reading);
    calls = read_commits(&reading, 1, &err);
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(calls->refusal, 0);
    keep(&reading, calls);
    end(&reading);
}
END_TEST

START_TEST(refusals_that_wait_have_an_end_too) {
    struct reading reading;
    int err;
    begin(&reading);
    fill(&reading, CALLS_MAX);
    for (size_t left = CALLS_MAX; left > 0; left -= FRAME_REQUESTS) {
        struct call *calls = read_commits(&reading, FRAME_REQUESTS, &err);
        ck_assert_int_eq(err, 0);
        for (struct call *next; calls != NULL; calls = next) {
            next = calls->next;
            ck_assert_int_eq(calls->refusal, RPC_UNAVAILABLE);
            calls->next = reading.first;
            reading.first = calls;
        }
    }
    ck_assert_ptr_null(read_commits(&reading, 1, &err));
    ck_assert_int_eq(err, TROTH_ERR_FULL);
    end(&reading);
}
END_TEST

int main(void) {
    return suite_run(
        "clients_streams",
        (const TTest *[]){what_is_too_much_is_refused_by_itself_and_says_that_nothing_is_known,
                          refusals_that_wait_have_an_end_too, NULL});
}
