/* database_server: a real PostgreSQL or MariaDB server for a test or the demo: its own folder, a
 * loopback port that the system gave, a socket in the folder, no password, and nothing installed or
 * configured outside. It can be killed, paused and started again with its data, on its port.
 *
 * It is as durable as a production server (fsync stays on); only the making of its empty data is
 * hurried. Where TROTH_DATABASE_TEMPLATES names a folder, the first server of a kind leaves a copy
 * of its empty data there, and the others begin with that, which is much quicker. A server never
 * outlives the thread that started it (harness/process.h). As root, PostgreSQL, which refuses that,
 * runs as the user postgres.
 *
 *     struct database_server *server;
 *     char why[DATABASE_SERVER_WHY_BYTES];
 *     database_server_start(&server, DATABASE_POSTGRES, NULL, NULL, why);
 *     database_server_ready(server, 30000, why);
 *     ... PQconnectdb(database_server_dsn(server)) ...
 *     database_server_kill(server);
 *     database_server_restart(server, why);
 *     database_server_free(server);
 *
 * Use it from one thread.
 */
#ifndef HARNESS_DATABASE_SERVER_H
#define HARNESS_DATABASE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DATABASE_SERVER_WHY_BYTES 1024

enum database_kind { DATABASE_POSTGRES, DATABASE_MARIADB };

struct database_server_options {
    int prepared_max; /* PostgreSQL's max_prepared_transactions; 0: 200; below 0: none */
    /* The server's own, "name=value"; they win over ours. The last is NULL. May be NULL. */
    const char *const *settings;
};

struct database_server;
/* Makes the data in `folder` if it is not there, and starts the server; does not wait until it
 * serves. NULL as folder: a new one, removed by _free. As root a folder for PostgreSQL becomes the
 * user postgres's, and the folders above it must let that user through. `options` may be NULL.
 * TROTH_ERR_NOT_FOUND (not installed: `why` names the package), _SYSTEM, _TOO_LARGE (the folder's
 * path, for a socket), _TOO_MANY (settings), _NO_MEMORY. */
int database_server_start(struct database_server **out, enum database_kind kind, const char *folder,
                          const struct database_server_options *options,
                          char why[DATABASE_SERVER_WHY_BYTES]);
/* Waits until it serves. TROTH_ERR_TIMEOUT; TROTH_ERR_CLOSED: it has ended, and `why` has the end
 * of its log. */
int database_server_ready(struct database_server *server, int64_t timeout_ms,
                          char why[DATABASE_SERVER_WHY_BYTES]);
/* For PostgreSQL a libpq conninfo; for MariaDB the same form: "host=127.0.0.1 port=3306 user=root
 * password= database=test socket=/folder/sock". */
const char *database_server_dsn(const struct database_server *server);
const char *database_server_folder(const struct database_server *server);
const char *database_server_log(const struct database_server *server);
int database_server_port(const struct database_server *server);
/* 0 when it does not run. */
pid_t database_server_pid(const struct database_server *server);

/* "name=value", from the next start on; the last one of a name wins. TROTH_ERR_TOO_MANY,
 * _NO_MEMORY. */
int database_server_set(struct database_server *server, const char *setting);
/* SIGKILL to all of its processes; returns when they are gone. TROTH_ERR_STATE when it does not
 * run. */
int database_server_kill(struct database_server *server);
/* After a kill or stop, or its own end. TROTH_ERR_STATE when it runs, TROTH_ERR_SYSTEM. */
int database_server_restart(struct database_server *server, char why[DATABASE_SERVER_WHY_BYTES]);
/* SIGSTOP and SIGCONT to all of its processes. TROTH_ERR_STATE when it does not run. */
int database_server_pause(struct database_server *server);
int database_server_resume(struct database_server *server);
/* In order, without waiting for clients; what has not ended after 20 s is killed. */
void database_server_stop(struct database_server *server);
/* Ends it, as fast as it can be. NULL is let be. */
void database_server_free(struct database_server *server);

#endif
