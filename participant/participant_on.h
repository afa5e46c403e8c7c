/* participant_on: a participant in a program that serves by rpc/, too: both on one `struct rpc`,
 * which the participant's loop polls. With a polling thread each they would hand each other's
 * events over, since gRPC watches all of a process's connections in one place.
 *
 *     rpc_new(&rpc, &(struct rpc_options){.driven = true});
 *     rpc_server_new(&server, rpc, listen);
 *     participant_open_on(&p, &options, rpc, why, sizeof why);   adds services, starts the server
 *     ...
 *     participant_stop(p);                                       before all that lets go of rpc
 *     rpc_server_stop(server, grace_ms);
 *     troth_participant_close(p);
 *     rpc_server_free(server);
 *     rpc_free(rpc);
 *
 * The server's callbacks run on the loop's thread, between two batches, and are short: what they
 * ask the participant for (troth_participant_run, _enlist, ...) begins the next batch, and nothing
 * has to be woken for it. They never wait for the participant.
 */
#ifndef PARTICIPANT_PARTICIPANT_ON_H
#define PARTICIPANT_PARTICIPANT_ON_H

#include "participant/troth_participant.h"
#include "rpc/rpc.h"

/* As troth_participant_open, on a driven rpc that nobody polls yet. NULL: on one of its own. On an
 * error nobody polls it again. */
int participant_open_on(struct troth_participant **out,
                        const struct troth_participant_options *options, struct rpc *rpc, char *why,
                        size_t why_bytes);
/* Ends the loop: who waits is answered, what is asked from now on gets TROTH_ERR_CLOSED, and nobody
 * polls the rpc any more, until rpc_let_go. What there is is troth_participant_close's to free. Not
 * from a callback. */
void participant_stop(struct troth_participant *p);

#endif
