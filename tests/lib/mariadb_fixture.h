/* mariadb_fixture: one real MariaDB server for the tests of a file, and its driver as the
 * participant "stock" of the cluster "shop".
 *
 * The tests run in the process that started the server (main calls mariadb_fixture_run), since it
 * dies with the thread that started it. Each begins with an empty list and an empty table t.
 */
#ifndef TESTS_LIB_MARIADB_FIXTURE_H
#define TESTS_LIB_MARIADB_FIXTURE_H

#include <check.h>
#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "harness/database_server.h"
#include "participant/adapters/driver.h"

extern struct database_server *server;
extern struct driver *driver;                /* root's */
extern struct driver_connection *connection; /* of it */
extern MYSQL *client;                        /* root's session */

/* Starts the server, runs the tests, frees all; returns main's exit status. */
int mariadb_fixture_run(const char *name, const TTest *const *tests);
/* At a test's begin: nothing is prepared, no rows of Troth's, driver and connection are new. */
void mariadb_fixture_reset(void);
/* Another driver with a connection, as the participant's process after a restart has one. */
void mariadb_driver_again(void);
/* The server is killed and comes back; `client` too is a new session. */
void mariadb_kill_and_restart(void);
/* The same in order, with a setting from then on. */
void mariadb_restart_with(const char *setting);
MYSQL *mariadb_client(const char *user);

/* Runs SQL that must succeed, or must not; each line is a statement. */
void sql(MYSQL *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sql_fails(MYSQL *session, unsigned error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The server's number for the error; 0: none. */
unsigned sql_error(MYSQL *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first value of a query; -1: no row. */
long sql_number(MYSQL *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Waits until the query's number is not 0. */
void sql_wait(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct troth_txid txid_of(unsigned number);
/* The branch's global id as XA takes it, and as Troth's table has it. Static; 4 are valid at a
 * time. */
const char *xid_of(unsigned number);
const char *gid_of(unsigned number);

/* A client begins the branch `number` and inserts that into the table t; prepares it. */
void begin(MYSQL *session, unsigned number);
void prepare(MYSQL *session, unsigned number);
/* The same with XA START, XA END and XA PREPARE only: the session then holds the branch. */
void prepare_plainly(MYSQL *session, unsigned number);
bool is_listed(unsigned number);
bool has_row(unsigned number);
/* Closes a session and waits until its branch can be ended. */
void close_session(MYSQL *session);
/* The session runs `first` and some work, and becomes a deadlock's victim. */
void mariadb_make_deadlock(MYSQL *victim, const char *first);
/* Votes *prepared* for it, and returns what the vote left. */
struct driver_branch voted(unsigned number);
/* Ends one branch; its result. */
int end_one(struct driver_branch *branch, bool commit);
/* A vote that never was: without a receipt. */
struct driver_branch unknown(unsigned number);

#endif
