/* ask: a question to a node as its message, and the reading of the answer. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include "client/request.h"

/* Puts the question into the node's next frame (links.h), with the requests' lock held; the answer
 * comes to requests_answer with `number`. `kind`: what->request, SESSION_GET for a probe, or
 * SESSION_ABORT in place of a second SESSION_COMMIT_WORK. An error: no answer will come. */
int ask_node(struct troth *t, uint32_t node, uint64_t number, const struct request_what *what,
             enum session_request kind, int64_t left_ms);
/* Makes the link to the node, which is dialled with the first question; its answers come to
 * requests_answer. TROTH_ERR_NO_MEMORY. */
int ask_open(struct troth *t, uint32_t node);
/* As it stands in the names of crash points. */
const char *ask_crash_name(enum session_request kind);

#endif
