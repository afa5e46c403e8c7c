/* database_server_internal: what database_server.c, _make.c and _end.c share. */
#ifndef HARNESS_DATABASE_SERVER_INTERNAL_H
#define HARNESS_DATABASE_SERVER_INTERNAL_H

#include <stdbool.h>

#include "harness/database_server.h"
#include "harness/ports.h"
#include "harness/process.h"

#define FOLDER_BYTES 512

struct database_server {
    enum database_kind kind;
    char folder[FOLDER_BYTES];
    bool folder_is_ours;
    bool as_other_user; /* PostgreSQL, and we are root */
    char dsn[2 * FOLDER_BYTES];
    struct port port;
    struct process process;
};

/* "PostgreSQL" */
const char *database_server_name(enum database_kind kind);
/* Writes `why` and returns err. */
__attribute__((format(printf, 3, 4))) int database_server_fail(char why[DATABASE_SERVER_WHY_BYTES],
                                                               int err, const char *format, ...);
/* Adds the end of the log, so that an error shows what the program itself said. */
void database_server_add_log(const char *path, char why[DATABASE_SERVER_WHY_BYTES]);
/* TROTH_ERR_TOO_MANY, _NO_MEMORY. */
__attribute__((format(printf, 2, 3))) int database_server_add_arg(struct process *process,
                                                                  const char *format, ...);

/* database_server_make.c: the folder, the data in it if there is none, and the program to run. */
int database_server_make(struct database_server *server, const char *folder,
                         char why[DATABASE_SERVER_WHY_BYTES]);

#endif
