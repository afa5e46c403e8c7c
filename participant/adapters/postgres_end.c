/* Ending branches, and finding out about those that somebody else has ended.
 *
 * One round trip for a batch: the evidence of all commits, then each COMMIT PREPARED or ROLLBACK
 * PREPARED. Another one, before, for commits whose receipt is not known, and after, for what is
 * gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/postgres_internal.h"
#include "shell/logline.h"

#define UNDEFINED_OBJECT "42704" /* "prepared transaction with identifier ... does not exist" */

/* What is known of the branches of one call. */
struct ending {
    struct driver_connection *connection;
    struct driver_branch *branches;
    size_t n;
    bool *is_done;   /* has its result */
    bool *is_asked;  /* belongs to the question at hand */
    bool *is_gone;   /* not in the list */
    bool *is_fresh;  /* its evidence was written by this call */
    bool *was_ended; /* the transaction of its receipt had ended before this call */
};

static bool ending_init(struct ending *ending, struct driver_connection *connection,
                        struct driver_branch *branches, size_t n) {
    bool *flags = calloc(n, 5 * sizeof *flags);
    *ending = (struct ending){.connection = connection, .branches = branches, .n = n};
    if (flags == NULL) {
        return false;
    }
    ending->is_done = flags;
    ending->is_asked = flags + n;
    ending->is_gone = flags + 2 * n;
    ending->is_fresh = flags + 3 * n;
    ending->was_ended = flags + 4 * n;
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

/* ---- Before: commits without a receipt ------------------------------------------------------- */

/* Evidence needs the receipt, and only the receipt tells a second use of the gid. */
static int find_receipts(struct ending *ending, char *why) {
    bool any = false;
    int err = 0;
    for (size_t i = 0; i < ending->n; i++) {
        const struct driver_branch *branch = &ending->branches[i];
        ending->is_asked[i] =
            branch->commit && branch->receipt == 0 && ending->connection->has_evidence;
        ending->is_gone[i] = ending->is_asked[i];
        any = any || ending->is_asked[i];
    }
    PGresult *result = any ? ask(ending, POSTGRES_FIND, &err, why) : NULL;
    for (int row = 0; row < PQntuples(result); row++) {
        size_t i = branch_at(ending, result, row);
        struct postgres_found found = postgres_found_at(result, row);
        if (i == ending->n) {
            continue;
        }
        ending->is_gone[i] = false;
        if (found.is_second_use) {
            set(ending, i, 0, "");
        } else if (found.is_here) {
            ending->branches[i].receipt = found.receipt;
        }
    }
    PQclear(result);
    return err;
}

/* ---- The batch ------------------------------------------------------------------------------- */

/* Evidence that can't be written stops no commit: without it, too, the outcome is right. */
static void warn_of_evidence(const struct ending *ending, const PGresult *result) {
    struct postgres_driver *driver = ending->connection->driver;
    char why[DRIVER_WHY_BYTES];
    postgres_error(result, why, sizeof why);
    if (!atomic_exchange(&driver->warned_evidence, true)) {
        logline(LOGLINE_WARN, "%s: cannot write to troth.committed: %s", driver->base.participant,
                why);
    }
}

/* The rows come in the order of the array. */
static void on_noted(struct ending *ending, const PGresult *result) {
    const struct driver *driver = &ending->connection->driver->base;
    char gid[TROTH_GID_BYTES];
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        warn_of_evidence(ending, result);
        return;
    }
    size_t i = 0;
    for (int row = 0; row < PQntuples(result); row++) {
        for (; i < ending->n; i++) {
            if (ending->is_asked[i] && strcmp(postgres_gid(driver, ending->branches[i].txid, gid),
                                              PQgetvalue(result, row, 0)) == 0) {
                ending->is_fresh[i] = true;
                ending->was_ended[i] = strcmp(PQgetvalue(result, row, 1), "committed") == 0 ||
                                       strcmp(PQgetvalue(result, row, 1), "aborted") == 0;
                break;
            }
        }
    }
}

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
        if (ending->was_ended[i]) {
            set(ending, i, DRIVER_HAZARD,
                "the branch was ended by another, prepared again under the same global id, and "
                "that one was committed");
        } else {
            set(ending, i, 0, "");
        }
    } else if (strcmp(postgres_state(result), UNDEFINED_OBJECT) == 0) {
        ending->is_gone[i] = true;
    } else {
        int err = postgres_error(result, why, sizeof why);
        const char *remedy = remedy_of(result);
        set(ending, i, remedy != NULL ? TROTH_ERR_MISMATCH : err, remedy != NULL ? remedy : why);
    }
}

static void send_batch(struct ending *ending, const char *gids, const char *receipts) {
    struct driver_connection *connection = ending->connection;
    char gid[TROTH_GID_BYTES];
    char sql[TROTH_GID_BYTES + 32];
    postgres_pipeline_begin(connection);
    if (gids != NULL) {
        const char *const values[] = {gids, receipts};
        postgres_pipeline_run(connection, POSTGRES_NOTE, values);
    }
    for (size_t i = 0; i < ending->n; i++) {
        if (!ending->is_done[i] && !ending->is_gone[i]) {
            snprintf(sql, sizeof sql, "%s PREPARED '%s'",
                     ending->branches[i].commit ? "COMMIT" : "ROLLBACK",
                     postgres_gid(&connection->driver->base, ending->branches[i].txid, gid));
            postgres_pipeline_send(connection, sql);
        }
    }
}

static int end_batch(struct ending *ending) {
    const struct driver *driver = &ending->connection->driver->base;
    bool notes = false;
    for (size_t i = 0; i < ending->n; i++) {
        const struct driver_branch *branch = &ending->branches[i];
        ending->is_asked[i] = ending->connection->has_evidence && branch->commit &&
                              branch->receipt != 0 && !ending->is_done[i] && !ending->is_gone[i];
        notes = notes || ending->is_asked[i];
    }
    char *gids =
        notes ? postgres_gid_array(driver, ending->branches, ending->n, ending->is_asked) : NULL;
    char *receipts =
        notes ? postgres_receipt_array(ending->branches, ending->n, ending->is_asked) : NULL;
    if (notes && (gids == NULL || receipts == NULL)) {
        free(gids);
        free(receipts);
        return TROTH_ERR_NO_MEMORY;
    }
    send_batch(ending, gids, receipts);
    if (notes) {
        PGresult *result = postgres_pipeline_result(ending->connection);
        if (result != NULL) {
            on_noted(ending, result);
        }
        PQclear(result);
    }
    for (size_t i = 0; i < ending->n; i++) {
        if (!ending->is_done[i] && !ending->is_gone[i]) {
            PGresult *result = postgres_pipeline_result(ending->connection);
            on_ended(ending, i, result);
            PQclear(result);
        }
    }
    postgres_pipeline_end(ending->connection);
    free(gids);
    free(receipts);
    return 0;
}

/* ---- After: what is gone --------------------------------------------------------------------- */

enum fate { FATE_UNKNOWN, FATE_RUNS, FATE_COMMITTED, FATE_ABORTED };

static enum fate fate_at(const PGresult *result, int row, int column) {
    const char *text = PQgetvalue(result, row, column); /* NULL is "" */
    return strcmp(text, "committed") == 0     ? FATE_COMMITTED
           : strcmp(text, "aborted") == 0     ? FATE_ABORTED
           : strcmp(text, "in progress") == 0 ? FATE_RUNS
                                              : FATE_UNKNOWN;
}

/* `is_ours`: this participant has tried this end before. */
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
    case FATE_RUNS: /* it is in the list before it runs no more: seen at a bad moment */
        set(ending, i, TROTH_ERR_FULL, "it is being ended");
        return;
    case FATE_UNKNOWN:
        set(ending, i, DRIVER_GONE, "not prepared here, and the server does not know how it ended");
        return;
    }
}

static void judge_row(struct ending *ending, const PGresult *result, int row) {
    size_t i = branch_at(ending, result, row);
    if (i == ending->n) {
        return;
    }
    const struct driver_branch *branch = &ending->branches[i];
    uint64_t noted = strtoull(PQgetvalue(result, row, 2), NULL, 10); /* NULL is 0 */
    bool was_noted = noted != 0 && !ending->is_fresh[i];
    if (branch->receipt != 0) {
        judge(ending, i, fate_at(result, row, 1),
              branch->was_begun || (was_noted && noted == branch->receipt));
    } else if (was_noted && branch->commit) {
        judge(ending, i, fate_at(result, row, 3), true);
    } else if (was_noted && fate_at(result, row, 3) == FATE_COMMITTED) {
        judge(ending, i, FATE_COMMITTED, false);
    } else {
        judge(ending, i, FATE_UNKNOWN, false);
    }
}

/* Evidence of commits that were not ours would pass for ours the next time. */
static void unnote(struct ending *ending) {
    char why[DRIVER_WHY_BYTES];
    bool any = false;
    int err = 0;
    for (size_t i = 0; i < ending->n; i++) {
        ending->is_asked[i] =
            ending->is_gone[i] && ending->is_fresh[i] && ending->branches[i].result > 0;
        any = any || ending->is_asked[i];
    }
    char *gids = any ? postgres_gid_array(&ending->connection->driver->base, ending->branches,
                                          ending->n, ending->is_asked)
                     : NULL;
    if (gids != NULL) {
        const char *const values[] = {gids};
        PQclear(postgres_run(ending->connection, POSTGRES_UNNOTE, values, &err, why, sizeof why));
    }
    free(gids);
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
    if (err == 0 && ending->connection->session != NULL) {
        unnote(ending);
    }
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
    err = err != 0 ? err : find_receipts(&ending, why);
    err = err != 0 ? err : end_batch(&ending);
    err = err != 0 ? err : judge_gone(&ending, why);
    set_rest(&ending, err != 0 ? err : TROTH_ERR_UNAVAILABLE, why);
    free(ending.is_done);
}
