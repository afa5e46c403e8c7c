/* bench_way: one client of `troth-bench postgres`: transactions that change one row at each of two
 * PostgreSQL servers, ended in one of these ways:
 *
 *     BY_HAND   PREPARE TRANSACTION at both, then COMMIT PREPARED at both, with no coordinator
 *     TROTH     enlisted, prepared by the client all the same, and committed by Troth, whose
 *               library in this process ends the prepared transactions
 *
 * Both do the same work in the same statements, and send them in the same manner: to both servers
 * at the same time, or, as most programs do, to one server after the other (`apart`).
 */
#ifndef HARNESS_BENCH_WAY_H
#define HARNESS_BENCH_WAY_H

#include <stdbool.h>
#include <stdint.h>

#include "client/troth.h"
#include "harness/bench_data.h"
#include "load/histogram.h"
#include "participant/adapters/troth_database.h"

#define BENCH_SERVERS 2

enum bench_way { BENCH_BY_HAND, BENCH_TROTH, BENCH_WAYS };

/* What all clients share. */
struct bench_world {
    const char *dsns[BENCH_SERVERS];
    struct troth *troth;
    struct troth_database *databases[BENCH_SERVERS];
    unsigned rows; /* at each server, numbered from 0 */
    bool apart;
};

struct bench_client;
/* Dials. `number` of `clients`: which rows are this client's, so that none waits for another's
 * lock. TROTH_ERR_UNAVAILABLE, _NO_MEMORY, with `why`. */
int bench_client_new(struct bench_client **out, const struct bench_world *world, unsigned number,
                     unsigned clients, char why[BENCH_WHY_BYTES]);
void bench_client_free(struct bench_client *client);
/* One transaction. 0: it was committed. TROTH_ERR_ABORTED: it was not. Others, with `why`: it
 * failed, or its outcome is not known. */
int bench_client_run(struct bench_client *client, enum bench_way way, char why[BENCH_WHY_BYTES]);

#endif
