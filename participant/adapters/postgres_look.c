/* What is prepared: votes and listings. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/postgres_internal.h"
#include "shell/clock.h"
#include "shell/logline.h"

uint64_t postgres_full_xid(uint32_t xid, uint64_t next) {
    return next + (uint64_t)(int64_t)(int32_t)(xid - (uint32_t)next);
}

static uint64_t number_at(const PGresult *result, int row, int column) {
    return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

static bool is_true(const PGresult *result, int row, int column) {
    return strcmp(PQgetvalue(result, row, column), "t") == 0;
}

static uint64_t receipt_at(const PGresult *result, int row) {
    return postgres_full_xid((uint32_t)number_at(result, row, 1), number_at(result, row, 2));
}

/* Whether the gid was committed before, and what is prepared there now is another transaction: a
 * client has used the gid twice, the second time without its row. */
static bool is_second_use(const PGresult *result, int row, int column) {
    return !PQgetisnull(result, row, column) &&
           number_at(result, row, column) != receipt_at(result, row);
}

/* ---- Votes ----------------------------------------------------------------------------------- */

static void fail_all(struct driver_branch *branches, size_t n, int err, const char *why) {
    for (size_t i = 0; i < n; i++) {
        branches[i].result = err;
        snprintf(branches[i].detail, DRIVER_DETAIL_BYTES, "%s", why);
    }
}

static void vote_of(const PGresult *result, int row, struct driver_branch *branch) {
    if (!is_true(result, row, 3)) {
        snprintf(branch->detail, DRIVER_DETAIL_BYTES,
                 "prepared in the database %s of the server, not in this participant's",
                 PQgetvalue(result, row, 6));
    } else if (!is_true(result, row, 4)) {
        snprintf(branch->detail, DRIVER_DETAIL_BYTES,
                 "prepared by the user %s: this participant's user may not end it, so it does not "
                 "vote for it; prepare as the participant's user",
                 PQgetvalue(result, row, 5));
    } else if (is_second_use(result, row, 7)) {
        snprintf(branch->detail, DRIVER_DETAIL_BYTES,
                 "its global id was committed before: a client has used it twice");
    } else {
        branch->result = DRIVER_PREPARED;
        branch->receipt = receipt_at(result, row);
    }
}

void postgres_vote(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
    char why[DRIVER_WHY_BYTES] = "out of memory";
    int err = TROTH_ERR_NO_MEMORY;
    PGresult *result = NULL;
    char *gids = postgres_gid_array(&connection->driver->base, branches, n, NULL);
    if (gids != NULL && (err = postgres_session(connection, why)) == 0) {
        const char *const values[] = {gids};
        result = postgres_run(connection, POSTGRES_FIND, values, &err, why, sizeof why);
    }
    fail_all(branches, n, result == NULL ? err : DRIVER_NOT_PREPARED, result == NULL ? why : "");
    for (int row = 0; row < PQntuples(result); row++) {
        size_t at = number_at(result, row, 0) - 1;
        if (at < n) {
            vote_of(result, row, &branches[at]);
        }
    }
    PQclear(result);
    free(gids);
}

/* ---- Listing --------------------------------------------------------------------------------- */

static void roll_back_second_use(struct driver_connection *connection, const char *gid) {
    char sql[TROTH_GID_BYTES + 32];
    char why[DRIVER_WHY_BYTES] = "done";
    int err = 0;
    snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", gid);
    PQclear(postgres_query(connection, sql, &err, why, sizeof why));
    logline(
        LOGLINE_WARN,
        "%s: %s was prepared again after it was committed: a client has used a global id twice; "
        "the second one is rolled back (%s)",
        connection->driver->base.participant, gid, why);
}

/* Rows that are of no use any more. Not in a process's first minutes: what was committed before
 * an absence of any length may be asked for then. */
static void tidy(struct driver_connection *connection, const char *before, const char *after) {
    struct postgres_driver *driver = connection->driver;
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = atomic_load(&driver->housekeeping_ms);
    char why[DRIVER_WHY_BYTES];
    char limit[16];
    int err = 0;
    if (now_ms < due_ms || !atomic_compare_exchange_strong(&driver->housekeeping_ms, &due_ms,
                                                           now_ms + POSTGRES_HOUSEKEEPING_MS)) {
        return;
    }
    if (!connection->has_table) {
        postgres_hang_up(connection); /* perhaps the next session may have it */
        return;
    }
    snprintf(limit, sizeof limit, "%d", POSTGRES_ROWS_AT_ONCE);
    const char *const values[] = {before, after, limit};
    PGresult *result = postgres_run(connection, POSTGRES_TIDY, values, &err, why, sizeof why);
    if (result == NULL) {
        logline(LOGLINE_WARN, "%s: cannot delete old rows from troth.branches: %s",
                driver->base.participant, why);
    } else if (strtol(PQcmdTuples(result), NULL, 10) >= POSTGRES_ROWS_AT_ONCE) {
        atomic_store(&driver->housekeeping_ms, now_ms); /* the rest with the next listing */
    }
    PQclear(result);
}

/* By the canonical gid it will be looked for and ended: one that is spelled otherwise (upper-case
 * digits) never could be. */
static bool is_ours(struct postgres_driver *driver, const char *text, struct troth_txid *txid) {
    char canonical[TROTH_GID_BYTES];
    struct troth_gid gid;
    if (troth_gid_parse(text, &gid) != 0 || strcmp(gid.cluster, driver->base.cluster) != 0 ||
        strcmp(gid.participant, driver->base.participant) != 0) {
        return false;
    }
    *txid = gid.txid;
    if (strcmp(text, postgres_gid(&driver->base, gid.txid, canonical)) == 0) {
        return true;
    }
    if (!atomic_exchange(&driver->told_spelling, true)) {
        logline(LOGLINE_ERROR,
                "%s: %s is prepared, which is %s in another spelling and no branch of ours: end it "
                "by hand, and have its client use the statements as they are given",
                driver->base.participant, text, canonical);
    }
    return false;
}

static int show(struct driver_connection *connection, const PGresult *result, int row,
                driver_each_fn *each, void *arg) {
    const char *text = PQgetvalue(result, row, 0);
    struct troth_txid txid;
    if (!is_ours(connection->driver, text, &txid)) {
        return 0;
    }
    if (is_second_use(result, row, 4)) {
        if (connection->session != NULL) {
            roll_back_second_use(connection, text);
        }
        return 0;
    }
    int64_t age_ms = strtoll(PQgetvalue(result, row, 3), NULL, 10);
    return each(arg, txid, receipt_at(result, row), age_ms < 1 ? 1 : (uint64_t)age_ms);
}

int postgres_list(struct driver_connection *connection, driver_each_fn *each, void *arg,
                  char why[DRIVER_WHY_BYTES]) {
    char before[TROTH_GID_BYTES];
    char after[TROTH_GID_BYTES];
    const char *const values[] = {before, after};
    int err = postgres_session(connection, why);
    if (err != 0) {
        return err;
    }
    postgres_gid_ends(&connection->driver->base, before, after);
    PGresult *result = postgres_run(connection, POSTGRES_LIST, values, &err, why, DRIVER_WHY_BYTES);
    for (int row = 0; err == 0 && row < PQntuples(result); row++) {
        err = show(connection, result, row, each, arg);
    }
    PQclear(result);
    if (err == 0 && connection->session != NULL) {
        tidy(connection, before, after);
    }
    if (err == 0 && connection->session != NULL) {
        postgres_watch_fullness(connection);
    }
    return err;
}
