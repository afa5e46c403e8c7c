/* postgres_fixture: one real PostgreSQL server for the tests of a file, and its driver as the
 * participant "orders" of the cluster "shop".
 *
 * The tests run in the process that started the server (main calls postgres_fixture_run), since it
 * dies with the thread that started it; each begins with an empty list.
 */
#ifndef TESTS_LIB_POSTGRES_FIXTURE_H
#define TESTS_LIB_POSTGRES_FIXTURE_H

#include <check.h>
#include <libpq-fe.h>

#include "harness/database_server.h"
#include "participant/adapters/driver.h"

#define FIXTURE_PREPARED_MAX 40
#define READY_MS             60000

extern struct database_server *server;
extern struct driver *driver;                /* a superuser's */
extern struct driver_connection *connection; /* of it */
extern PGconn *client;                       /* a superuser's session */

/* Starts the server, runs the tests, frees all; returns main's exit status. */
int postgres_fixture_run(const char *name, const TTest *const *tests);
/* At a test's begin: nothing is prepared, Troth's table is empty, driver and connection are new. */
void postgres_fixture_reset(void);
/* Another driver with a connection, as the participant's process after a restart has one. */
void postgres_driver_again(void);
/* The server that has ended comes back; `client` too is a new session. */
void postgres_start_again(void);
void postgres_kill_and_restart(void);
/* In order, with "name=value" from now on. */
void postgres_restart_with(const char *setting);
PGconn *postgres_client(const char *user, const char *database);

struct troth_txid txid_of(unsigned number);
/* The gid of the branch `number` of `participant`; NULL: ours. Static; 4 are valid at a time. */
const char *gid_of(unsigned number, const char *participant);

/* Runs SQL that must succeed, or must not. */
void sql(PGconn *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sql_fails(PGconn *session, const char *state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The single value of a query. */
long sql_number(PGconn *session, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A client prepares a branch that adds the row `number` to the table t; the second one begins it in
 * its own way, not as it was told. */
void prepare(PGconn *session, unsigned number);
void prepare_without_row(PGconn *session, unsigned number);
/* As far as the work, as `whose` says. */
void begin(struct driver *whose, PGconn *session, unsigned number);
bool is_prepared(unsigned number);
bool has_row(unsigned number);
/* Votes *prepared* for it, and returns what the vote left. */
struct driver_branch voted(unsigned number);
/* Ends one branch; its result. */
int end_one(struct driver_branch *branch, bool commit);
/* A vote that never was: without a receipt. */
struct driver_branch unknown(unsigned number);

#endif
