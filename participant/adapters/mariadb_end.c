/* XA COMMIT and XA ROLLBACK, and what became of those that were not there.
 *
 * Neither the answer OK nor XAER_NOTA is believed (mariadb_internal.h): the branch's row says what
 * was done.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/mariadb_internal.h"

enum answer {
    ANSWER_NONE, /* a result is set: an error, after which nothing is known */
    ANSWER_OK,
    ANSWER_GONE, /* XAER_NOTA, XA_RB* */
};

struct end {
    struct driver_connection *connection;
    struct driver_branch *branches;
    size_t n;
    enum answer *answers;
    bool *listed;
    struct mariadb_row *committed;
    struct mariadb_row *at_all; /* committed or not */
    char why[DRIVER_WHY_BYTES];
};

static void fail(struct driver_branch *branch, int err, const char *why) {
    branch->result = err;
    snprintf(branch->detail, sizeof branch->detail, "%s", why);
}

void mariadb_fail_all(struct driver_branch *branches, size_t n, int err, const char *why) {
    for (size_t i = 0; i < n; i++) {
        fail(&branches[i], err, why[0] == '\0' ? troth_err_text(err) : why);
    }
}

/* ---- The ends themselves --------------------------------------------------------------------- */

static void end_one(struct end *end, size_t i) {
    char sql[MARIADB_SQL_BYTES];
    char xid[TROTH_GID_BYTES];
    struct driver_branch *branch = &end->branches[i];
    mariadb_xid(&end->connection->driver->base, branch->txid, xid);
    snprintf(sql, sizeof sql, "%s %s", branch->commit ? "XA COMMIT" : "XA ROLLBACK", xid);
    int err = mariadb_run(end->connection, sql, NULL, end->why, sizeof end->why);
    if (err == 0) {
        end->answers[i] = ANSWER_OK;
    } else if (err == TROTH_ERR_STORAGE && mariadb_error_is_gone(mariadb_errno(end->connection))) {
        end->answers[i] = ANSWER_GONE;
    } else {
        end->answers[i] = ANSWER_NONE;
        fail(branch, err, end->why);
    }
}

static bool any(const struct end *end, bool (*is)(const struct end *end, size_t i)) {
    for (size_t i = 0; i < end->n; i++) {
        if (is(end, i)) {
            return true;
        }
    }
    return false;
}

static bool is_answered(const struct end *end, size_t i) {
    return end->answers[i] != ANSWER_NONE;
}

static bool is_gone(const struct end *end, size_t i) {
    return end->answers[i] == ANSWER_GONE;
}

/* A commit is proved by its committed row; for all else it is asked whether there is any. */
static bool is_unproved(const struct end *end, size_t i) {
    return is_answered(end, i) && !(end->branches[i].commit && end->committed[i].is_there);
}

/* XA COMMIT that says OK has synced; nothing else has. */
static bool is_unsynced(const struct end *end, size_t i) {
    return end->branches[i].result >= 0 &&
           !(end->branches[i].commit && end->answers[i] == ANSWER_OK);
}

static int look(struct end *end) {
    int err = 0;
    if (any(end, is_gone)) {
        err = mariadb_list_find(end->connection, end->branches, end->n, end->listed, end->why,
                                sizeof end->why);
    }
    if (err == 0 && any(end, is_answered)) {
        err = mariadb_rows_look(end->connection, false, end->branches, end->n, end->committed,
                                end->why, sizeof end->why);
    }
    if (err == 0 && any(end, is_unproved)) {
        err = mariadb_rows_look(end->connection, true, end->branches, end->n, end->at_all, end->why,
                                sizeof end->why);
    }
    return err;
}

/* ---- What it means --------------------------------------------------------------------------- */

static void held(struct driver_branch *branch, const struct mariadb_row *row) {
    branch->result = TROTH_ERR_STATE;
    snprintf(branch->detail, sizeof branch->detail,
             "session %llu, which prepared it, still holds it: it must run the branch's prepare "
             "statements as they are given, or be closed",
             (unsigned long long)row->session);
}

static void stuck(struct driver_branch *branch, const struct mariadb_row *row) {
    branch->result = TROTH_ERR_STATE;
    snprintf(branch->detail, sizeof branch->detail,
             "MariaDB has not ended it: session %llu was reset after a plain XA PREPARE "
             "(docs/mariadb.md), or another is at it. If it stays so, restart the server",
             (unsigned long long)row->session);
}

/* It was committed, as its row says. */
static int was_committed(const struct driver_branch *branch, enum answer answer) {
    bool is_others =
        branch->receipt == MARIADB_RECEIPT_SEEN && !branch->was_begun && !branch->is_older;
    if (!branch->commit) {
        return DRIVER_WAS_COMMITTED;
    }
    return answer == ANSWER_GONE && is_others ? DRIVER_WAS_COMMITTED : TROTH_OK;
}

/* No row of it is there, so nothing of it is. */
static int was_aborted(const struct driver_branch *branch, enum answer answer) {
    if (answer == ANSWER_OK) { /* it never had a row */
        return TROTH_OK;
    }
    if (branch->commit) {
        return DRIVER_WAS_ABORTED;
    }
    if (branch->was_begun) {
        return TROTH_OK;
    }
    return branch->receipt == MARIADB_RECEIPT_SEEN ? DRIVER_WAS_ABORTED : DRIVER_GONE;
}

static void judge(struct end *end, size_t i) {
    struct driver_branch *branch = &end->branches[i];
    enum answer answer = end->answers[i];
    bool was_prepared = answer == ANSWER_OK || branch->was_begun || branch->commit ||
                        branch->receipt == MARIADB_RECEIPT_SEEN;
    if (end->committed[i].is_there) {
        branch->result = was_committed(branch, answer);
    } else if (answer == ANSWER_GONE && end->listed[i]) {
        held(branch, &end->at_all[i]);
    } else if (end->at_all[i].is_there && was_prepared) {
        stuck(branch, &end->at_all[i]);
    } else if (end->at_all[i].is_there) {
        branch->result =
            DRIVER_GONE; /* at work, and not prepared; should it be, the list shows it */
    } else {
        branch->result = was_aborted(branch, answer);
    }
}

void mariadb_end(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
    struct end end = {.connection = connection, .branches = branches, .n = n};
    end.answers = calloc(n + 1, sizeof *end.answers);
    end.listed = calloc(n + 1, sizeof *end.listed);
    end.committed = calloc(n + 1, sizeof *end.committed);
    end.at_all = calloc(n + 1, sizeof *end.at_all);
    if (end.answers == NULL || end.listed == NULL || end.committed == NULL || end.at_all == NULL) {
        mariadb_fail_all(branches, n, TROTH_ERR_NO_MEMORY, "");
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        branches[i].detail[0] = '\0';
        end_one(&end, i);
        if (branches[i].result == TROTH_ERR_UNAVAILABLE && end.answers[i] == ANSWER_NONE) {
            /* Those behind it are not tried on what may be the next server's life. */
            mariadb_fail_all(branches + i, n - i, TROTH_ERR_UNAVAILABLE, end.why);
            break;
        }
    }
    int err = look(&end);
    for (size_t i = 0; i < n; i++) {
        if (end.answers[i] == ANSWER_NONE) {
            continue;
        }
        if (err != 0) {
            fail(&branches[i], err, end.why);
        } else {
            judge(&end, i);
        }
    }
    if (err == 0 && any(&end, is_unsynced) &&
        (err = mariadb_rows_flush(connection, end.why, sizeof end.why)) != 0) {
        for (size_t i = 0; i < n; i++) {
            if (is_unsynced(&end, i)) {
                fail(&branches[i], err, end.why);
            }
        }
    }
done:
    free(end.at_all);
    free(end.committed);
    free(end.listed);
    free(end.answers);
}
