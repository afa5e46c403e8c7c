/* mariadb_dial: a session with a MariaDB server, for the driver and for programs' own sessions.
 *
 * It is as libmariadb gives it: no statement has been run, the server's version is not looked at.
 */
#ifndef ADAPTERS_MARIADB_DIAL_H
#define ADAPTERS_MARIADB_DIAL_H

#include <mysql.h>
#include <stdbool.h>

#include "participant/adapters/mariadb_dsn.h"

/* Where the server is, when neither a host nor a socket is given. */
#define MARIADB_HOST_DEFAULT "127.0.0.1"

/* Waits for a statement no longer than timeout_s, or for ever if that is 0. `flags` are
 * mysql_real_connect's. 0; TROTH_ERR_UNAVAILABLE: *session can only be asked what the error was;
 * TROTH_ERR_NO_MEMORY: *session is NULL. The caller ends it with mysql_close. */
int mariadb_dial(MYSQL **session, const struct mariadb_dsn *dsn, unsigned timeout_s,
                 unsigned long flags);
/* Whether a number of the server or the library means that there is no session any more: what was
 * under way may have been carried out or not. */
bool mariadb_error_is_loss(unsigned error);

#endif
