/* Ending branches, and finding out about those that somebody else has ended.
 *
 * One round trip for a batch: each COMMIT PREPARED or ROLLBACK PREPARED. Another one, after, for
 * what is gone (postgres_internal.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/postgres_internal.h"

#define UNDEFINED_OBJECT "42704" /* "prepared transaction with identifier ... does not exist" */

/* What is known of the branches of one call. */
struct ending {
    struct driver_connection *connection;
    struct driver_branch *branches;
    size_t n;
    bool *is_done;  /* has its result */
    bool *is_asked; /* belongs to the question at hand */
    bool *is_gone;  /* not in the list */
};

static bool ending_init(struct ending *ending, struct driver_connection *connection,
                        struct driver_branch *branches, size_t n) {
    bool *flags = calloc(n, 3 * sizeof *flags);
    *ending = (struct ending){.connection = connection, .branches = branches, .n = n};
    if (flags == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        branches[i].nothing_done = false;
    }
    ending->is_done = flags;
    ending->is_asked = flags + n;
    ending->is_gone = flags + 2 * n;
    return true;
}

static void set(struct ending *ending, size_t i, int result, const char *detail) {
    snprintf(ending->branches[i].detail, DRIVER_DETAIL_BYTES, "%s", detail);
    ending->branches[i].result = result;
    ending->is_done[i] = true;
}

static void set_rest(struct ending *ending, int err, const char *why) {
    for (size_t i = 0; i < ending->n; i++) {
        if (!ending->is_done[i]) {
            set(ending, i, err, why);
        }
    }
}

/* Those asked about, in the arrays that the statement takes. */
static PGresult *ask(struct ending *ending, enum postgres_statement statement, int *err,
                     char *why) {
    const struct driver *driver = &ending->connection->driver->base;
    char *gids = postgres_gid_array(driver, ending->branches, ending->n, ending->is_asked);
    char *receipts = postgres_receipt_array(ending->branches, ending->n, ending->is_asked);
    PGresult *result = NULL;
    snprintf(why, DRIVER_WHY_BYTES, "out of memory");
    *err = TROTH_ERR_NO_MEMORY;
    if (gids != NULL && receipts != NULL) {
        const char *const values[] = {gids, receipts};
        result = postgres_run(ending->connection, statement, values, err, why, DRIVER_WHY_BYTES);
    }
    free(gids);
    free(receipts);
    return result;
}

/* The branch that a row's number in the arrays means; n if none. */
static size_t branch_at(const struct ending *ending, const PGresult *result, int row) {
    long left = strtol(PQgetvalue(result, row, 0), NULL, 10);
    size_t i = 0;
    while (i < ending->n && (!ending->is_asked[i] || --left > 0)) {
        i++;
    }
    return i;
}

/* ---- The batch ------------------------------------------------------------------------------- */

/* For what an operator must change; else NULL. */
static const char *remedy_of(const PGresult *result) {
    if (strcmp(postgres_state(result), "42501") == 0) {
        return "it was prepared by another user, and only that one or a superuser may end it: give "
               "the participant's dsn the user that prepares";
    }
    if (strcmp(postgres_state(result), "0A000") == 0) { /* "belongs to another database" */
        return "it was prepared in another database of the server: it can be ended only from there";
    }
    return NULL;
}

static void on_ended(struct ending *ending, size_t i, const PGresult *result) {
    char why[DRIVER_WHY_BYTES];
    if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        set(ending, i, 0, "");
    } else if (strcmp(postgres_state(result), UNDEFINED_OBJECT) == 0) {
        ending->is_gone[i] = true;
        ending->branches[i].nothing_done = true; /* by this call, should the question fail */
    } else {
        int err = postgres_error(result, why, sizeof why);
        const char *remedy = remedy_of(result);
        set(ending, i, remedy != NULL ? TROTH_ERR_MISMATCH : err, remedy != NULL ? remedy : why);
    }
}

static void end_batch(struct ending *ending) {
    struct driver_connection *connection = ending->connection;
    char gid[TROTH_GID_BYTES];
    char sql[TROTH_GID_BYTES + 32];
    postgres_pipeline_begin(connection);
    for (size_t i = 0; i < ending->n; i++) {
        snprintf(sql, sizeof sql, "%s PREPARED '%s'",
                 ending->branches[i].commit ? "COMMIT" : "ROLLBACK",
                 postgres_gid(&connection->driver->base, ending->branches[i].txid, gid));
        postgres_pipeline_send(connection, sql);
    }
    for (size_t i = 0; i < ending->n; i++) {
        PGresult *result = postgres_pipeline_result(connection);
        on_ended(ending, i, result);
        PQclear(result);
    }
    postgres_pipeline_end(connection);
}

/* ---- After: what is gone --------------------------------------------------------------------- */

enum fate { FATE_UNKNOWN, FATE_RUNS, FATE_COMMITTED, FATE_UNPROVED, FATE_ABORTED };

static enum fate fate_at(const PGresult *result, int row, int column) {
    const char *text = PQgetvalue(result, row, column); /* NULL is "" */
    return strcmp(text, "committed") == 0     ? FATE_COMMITTED
           : strcmp(text, "aborted") == 0     ? FATE_ABORTED
           : strcmp(text, "in progress") == 0 ? FATE_RUNS
                                              : FATE_UNKNOWN;
}

/* `is_ours`: this participant has, or may have, tried this end before. */
static void judge(struct ending *ending, size_t i, enum fate fate, bool is_ours) {
    bool commit = ending->branches[i].commit;
    switch (fate) {
    case FATE_COMMITTED:
        if (commit && is_ours) {
            set(ending, i, 0, "");
        } else {
            set(ending, i, DRIVER_WAS_COMMITTED, "another has committed it, not Troth");
        }
        return;
    case FATE_ABORTED:
        if (!commit && is_ours) {
            set(ending, i, 0, "");
        } else {
            set(ending, i, DRIVER_WAS_ABORTED, "another has rolled it back, not Troth");
        }
        return;
    case FATE_UNPROVED: /* a server that was restored or promoted gives its numbers out again */
        set(ending, i, DRIVER_HAZARD,
            "not prepared here; its number was committed, but its row in troth.branches is not "
            "there: was the server restored, or a standby promoted?");
        return;
    case FATE_RUNS: /* it is in the list before it runs no more: seen at a bad moment */
        set(ending, i, TROTH_ERR_FULL, "it is being ended");
        return;
    case FATE_UNKNOWN: /* a commit that was carried out would be known */
        set(ending, i, commit && ending->branches[i].was_begun ? DRIVER_HAZARD : DRIVER_GONE,
            "not prepared here, and the server does not know how it ended");
        return;
    }
}

static void judge_row(struct ending *ending, const PGresult *result, int row) {
    size_t i = branch_at(ending, result, row);
    if (i == ending->n) {
        return;
    }
    const struct driver_branch *branch = &ending->branches[i];
    enum fate fate = fate_at(result, row, 1);
    uint64_t committed = strtoull(PQgetvalue(result, row, 2), NULL, 10); /* NULL is 0 */
    if (committed != 0 && (branch->receipt == 0 || branch->receipt == committed)) {
        fate = FATE_COMMITTED;
    } else if (fate == FATE_COMMITTED && ending->connection->has_table) {
        fate = FATE_UNPROVED;
    }
    judge(ending, i, fate, branch->was_begun || branch->is_older || branch->receipt == 0);
}

static int judge_gone(struct ending *ending, char *why) {
    bool any = false;
    int err = 0;
    for (size_t i = 0; i < ending->n; i++) {
        ending->is_asked[i] = ending->is_gone[i] && !ending->is_done[i];
        any = any || ending->is_asked[i];
    }
    if (!any) {
        return 0;
    }
    if (ending->connection->session == NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "the connection to the server was lost");
        return TROTH_ERR_UNAVAILABLE;
    }
    PGresult *result = ask(ending, POSTGRES_STATUS, &err, why);
    for (int row = 0; row < PQntuples(result); row++) {
        judge_row(ending, result, row);
    }
    PQclear(result);
    return err;
}

void postgres_end(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
    char why[DRIVER_WHY_BYTES] = "out of memory";
    struct ending ending;
    if (!ending_init(&ending, connection, branches, n)) {
        for (size_t i = 0; i < n; i++) {
            branches[i].result = TROTH_ERR_NO_MEMORY;
            snprintf(branches[i].detail, DRIVER_DETAIL_BYTES, "%s", why);
        }
        return;
    }
    int err = postgres_session(connection, why);
    if (err == 0) {
        end_batch(&ending);
        err = judge_gone(&ending, why);
    } else {
        for (size_t i = 0; i < n; i++) {
            branches[i].nothing_done = true;
        }
    }
    set_rest(&ending, err != 0 ? err : TROTH_ERR_UNAVAILABLE, why);
    free(ending.is_done);
}
