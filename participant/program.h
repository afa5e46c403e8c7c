/* program: what the programs that serve one participant (troth-shard, troth-agent) do alike: the
 * flags that only print, the log, signals, the server and its end.
 *
 *     struct program p = {.name = "troth-shard", .participant = config->name, .driven = true};
 *     int err = program_listen(&p, config->listen);
 *     ...                                        opens the participant at p.endpoint, on p.rpc if
 *                                                that is driven, and adds services
 *     err = err != 0 ? err : program_serve(&p);
 *     program_run(&p, err);                      until a signal, or says p.why
 *     ...                                        ends the participant's loop
 *     program_stop(&p);
 *     ...                                        closes the participant
 *     program_release(&p);
 */
#ifndef PARTICIPANT_PROGRAM_H
#define PARTICIPANT_PROGRAM_H

#include <stdbool.h>
#include <stdio.h>

#include "rpc/rpc.h"
#include "shell/settings.h"

#define PROGRAM_WHY_BYTES    768
#define PROGRAM_BAD_ARGUMENT 2 /* the exit status */

struct program {
    const char *name;        /* "troth-shard" */
    const char *participant; /* "shard-1" */
    bool driven;             /* the participant's loop polls rpc; else a thread of its own does */
    struct rpc *rpc;
    struct rpc_server *server;
    char endpoint[SETTINGS_TEXT_BYTES + 16]; /* what it listens on, with the port it got */
    char why[PROGRAM_WHY_BYTES];             /* of the error that a function returned */
};

/* Does what the settings ask for other than to run, and returns the exit status; -1: it is to run.
 */
int program_answer(const char *name, enum settings_action action, void (*help)(FILE *out));
/* Before any thread is: the log, crash points, and signals, which only program_run takes. 0, or the
 * exit status. */
int program_set_up(const char *name, const char *participant, const char *log_level);

/* These return 0, or an error with p->why. */
int program_listen(struct program *p, const char *listen);
int program_serve(struct program *p);

/* err 0: says on standard output that it is ready and returns when it is told to stop. Otherwise
 * logs p->why. Returns the exit status. */
int program_run(const struct program *p, int err);

/* Takes no new calls, and lets those under way end. If it is driven, its loop has ended or was
 * never begun. */
void program_stop(struct program *p);
void program_release(struct program *p);

#endif
