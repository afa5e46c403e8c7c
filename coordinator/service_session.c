/* service_session: the requests of a client's stream, as calls. */
#include <stdlib.h>

#include "coordinator/service_take.h"
#include "shell/clock.h"

static void read_session_begin(struct call *call, const Troth__V1__SessionRequest *request) {
    if (request->timeout_ms > ENGINE_TIMEOUT_MAX_MS) {
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "timeout_ms %u is over the limit of %u; 0 means the node's default",
                  request->timeout_ms, ENGINE_TIMEOUT_MAX_MS);
    }
    call->timeout_ms = request->timeout_ms;
    call->count = request->count;
}

static bool read_session_kind(struct call *call, const Troth__V1__SessionRequest *request) {
    switch (request->kind) {
    case TROTH__V1__SESSION_KIND__SESSION_KIND_BEGIN:
        call->kind = CALL_BEGIN;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_ENLIST:
        call->kind = CALL_ENLIST;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT:
    case TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK:
        call->kind = CALL_COMMIT;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_ABORT:
        call->kind = CALL_ABORT;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_GET:
        call->kind = CALL_GET;
        return true;
    case TROTH__V1__SESSION_KIND__SESSION_KIND_UNSPECIFIED:
    case _TROTH__V1__SESSION_KIND_IS_INT_SIZE:
        break;
    }
    call_fail(call, RPC_UNIMPLEMENTED, "a request of kind %d is not known here",
              (int)request->kind);
    return false;
}

static void read_session_rest(struct call *call, const Troth__V1__SessionRequest *request) {
    if (request->n_works > 0 &&
        request->kind != TROTH__V1__SESSION_KIND__SESSION_KIND_COMMIT_WORK) {
        /* Not left out: it would be committed without. */
        call_fail(call, RPC_INVALID_ARGUMENT,
                  "a request of kind %d takes no work; ask with SESSION_KIND_COMMIT_WORK",
                  (int)request->kind);
    } else if (call->kind == CALL_BEGIN) {
        read_session_begin(call, request);
    } else if (request->txid.len != TROTH_TXID_BYTES) {
        call_fail(call, RPC_INVALID_ARGUMENT, "a txid of %zu bytes is none: it has %d",
                  request->txid.len, TROTH_TXID_BYTES);
    } else {
        call->txid = troth_txid_from_bytes(request->txid.data);
        if (call->kind == CALL_COMMIT || call->kind == CALL_ABORT) {
            service_take_members(call, request->n_branches, request->branches, request->n_works,
                                 request->works);
        } else if (call->kind == CALL_ENLIST) {
            service_take_branch(call, request->n_branches == 0 ? NULL : request->branches[0],
                                &call->participant);
        }
    }
}

struct call *service_read_request(const Troth__V1__SessionRequest *request) {
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    call->number = request->number;
    call->deadline_ms = request->wait_ms == 0 ? INT64_MAX : clock_monotonic_ms() + request->wait_ms;
    if (read_session_kind(call, request)) {
        read_session_rest(call, request);
    }
    return call;
}
