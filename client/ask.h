/* ask: one question to one node, and the reading of its answer. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include "client/request.h"

/* Asks; the answer comes to requests_answer with `number`, never before this returns. `request`:
 * what->request, or SESSION_GET for a probe. An error: no answer will come. */
int ask_node(struct troth *t, uint32_t node, uint64_t number, const struct request_what *what,
             enum session_request request, int64_t left_ms);

#endif
