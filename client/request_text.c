/* request_text: what the caller of a request reads when it did not go as it should. */
#include <assert.h>
#include <stdio.h>

#include "client/request.h"
#include "troth/v1/types.pb-c.h"

static_assert((int)TROTH_ABORT_CLIENT == (int)TROTH__V1__ABORT_REASON__ABORT_REASON_CLIENT &&
                  (int)TROTH_ABORT_BUSY == (int)TROTH__V1__ABORT_REASON__ABORT_REASON_BUSY,
              "the same numbers");

void request_explain(const struct session *session, const char *trouble,
                     struct request_answer *answer) {
    const struct session_options *options = &session->options;
    const char *name = session_request_name(options->request);
    size_t size = sizeof answer->detail;
    trouble = trouble[0] == '\0' ? "no node said why" : trouble;
    if (answer->err == TROTH_ERR_TIMEOUT) {
        snprintf(answer->detail, size,
                 "%s: the nodes answer, and after %u ms it is not decided yet", name,
                 options->timeout_ms);
    } else if (answer->err == TROTH_ERR_UNKNOWN) {
        snprintf(answer->detail, size,
                 "%s: no majority of the %u nodes answered in %u ms; last: %s", name,
                 options->nodes, options->timeout_ms, trouble);
    } else {
        snprintf(answer->detail, size, "%s: none of the %u nodes could do it in %u ms; last: %s",
                 name, options->nodes, options->timeout_ms, trouble);
    }
}

void request_explain_abort(const struct session *session, const char *trouble,
                           struct request_answer *answer) {
    bool is_ours = session->work == WORK_ABORTED && answer->outcome == TROTH_ABORTED &&
                   answer->reason == TROTH_ABORT_CLIENT;
    if (is_ours) {
        snprintf(answer->detail, sizeof answer->detail, "%s",
                 trouble[0] == '\0' ? "the node that was given the work did not answer" : trouble);
    }
}
