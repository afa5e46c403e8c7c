/* What is prepared in a MariaDB server: the list, and votes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/adapters/mariadb_internal.h"
#include "shell/logline.h"

/* ---- XA RECOVER ------------------------------------------------------------------------------ */

/* By the canonical id it will be looked for and ended: one that is spelled otherwise (upper-case
 * digits) never could be. */
static bool is_canonical(struct mariadb_driver *driver, const struct troth_gid *gid,
                         const char *data, size_t gtrid_bytes, size_t bqual_bytes) {
    char gtrid[TROTH_XA_PART_BYTES];
    char bqual[TROTH_XA_PART_BYTES];
    (void)troth_gid_to_xa(gid, gtrid, bqual); /* the cluster's name was checked by _driver_new */
    if (strlen(gtrid) == gtrid_bytes && strlen(bqual) == bqual_bytes &&
        memcmp(data, gtrid, gtrid_bytes) == 0 &&
        memcmp(data + gtrid_bytes, bqual, bqual_bytes) == 0) {
        return true;
    }
    if (!atomic_exchange(&driver->told_spelling, true)) {
        logline(LOGLINE_ERROR,
                "%s: '%.*s','%.*s' is prepared, which is '%s','%s' in another spelling and no "
                "branch of ours: end it by hand, and have its client use the statements as they "
                "are given",
                driver->base.participant, (int)gtrid_bytes, data, (int)bqual_bytes,
                data + gtrid_bytes, gtrid, bqual);
    }
    return false;
}

/* formatID, gtrid_length, bqual_length, data: ours, or not. */
static bool read_xid(MYSQL_ROW values, unsigned long data_bytes, struct mariadb_driver *driver,
                     struct troth_txid *txid) {
    struct troth_gid gid;
    if (values[0] == NULL || values[1] == NULL || values[2] == NULL || values[3] == NULL ||
        strtol(values[0], NULL, 10) != TROTH_XA_FORMAT) {
        return false;
    }
    size_t gtrid = strtoul(values[1], NULL, 10);
    size_t bqual = strtoul(values[2], NULL, 10);
    if (gtrid + bqual != data_bytes ||
        troth_gid_from_xa(values[3], gtrid, values[3] + gtrid, bqual, &gid) != 0 ||
        strcmp(gid.cluster, driver->base.cluster) != 0 ||
        strcmp(gid.participant, driver->base.participant) != 0 ||
        !is_canonical(driver, &gid, values[3], gtrid, bqual)) {
        return false;
    }
    *txid = gid.txid;
    return true;
}

int mariadb_list_each(struct driver_connection *connection, mariadb_each_fn *each, void *arg,
                      char *why, size_t why_bytes) {
    MYSQL_RES *result = NULL;
    int err = mariadb_run(connection, "XA RECOVER", &result, why, why_bytes);
    if (err != 0) {
        return err;
    }
    MYSQL_ROW row;
    while (err == 0 && (row = mysql_fetch_row(result)) != NULL) {
        struct troth_txid txid;
        if (read_xid(row, mysql_fetch_lengths(result)[3], connection->driver, &txid)) {
            err = each(arg, txid);
        }
    }
    mysql_free_result(result);
    return err;
}

struct find {
    const struct driver_branch *branches;
    size_t n;
    bool *listed;
};

static int find_one(void *arg, struct troth_txid txid) {
    struct find *find = arg;
    for (size_t i = 0; i < find->n; i++) {
        if (troth_txid_equal(find->branches[i].txid, txid)) {
            find->listed[i] = true;
        }
    }
    return 0;
}

int mariadb_list_find(struct driver_connection *connection, const struct driver_branch *branches,
                      size_t n, bool *listed, char *why, size_t why_bytes) {
    struct find find = {branches, n, listed};
    memset(listed, 0, n * sizeof *listed);
    return mariadb_list_each(connection, find_one, &find, why, why_bytes);
}

struct list {
    driver_each_fn *each;
    void *arg;
};

/* No receipt: what an earlier process of ours does to it may be under way yet. */
static int list_one(void *arg, struct troth_txid txid) {
    struct list *list = arg;
    return list->each(list->arg, txid, 0, 0);
}

int mariadb_list(struct driver_connection *connection, driver_each_fn *each, void *arg,
                 char why[DRIVER_WHY_BYTES]) {
    struct list list = {each, arg};
    int err = mariadb_list_each(connection, list_one, &list, why, DRIVER_WHY_BYTES);
    if (err == 0) {
        mariadb_rows_sweep(connection);
    }
    return err;
}

/* ---- Votes ----------------------------------------------------------------------------------- */

static void judge(struct driver_branch *branch, bool is_listed, const struct mariadb_row *row) {
    branch->result = DRIVER_NOT_PREPARED;
    if (is_listed && !row->is_there) {
        snprintf(branch->detail, sizeof branch->detail,
                 "it is prepared, but without its row in troth.branches: the session did not run "
                 "all of the branch's begin statements");
    } else if (is_listed && !row->is_durable) {
        branch->result = TROTH_ERR_MISMATCH;
        snprintf(branch->detail, sizeof branch->detail, "%s", mariadb_not_durable("0", NULL));
    } else if (is_listed) {
        branch->result = DRIVER_PREPARED;
        branch->receipt = MARIADB_RECEIPT_SEEN;
    } else if (row->is_there) {
        snprintf(branch->detail, sizeof branch->detail,
                 "session %llu has begun it and has not prepared it",
                 (unsigned long long)row->session);
    }
}

void mariadb_vote(struct driver_connection *connection, struct driver_branch *branches, size_t n) {
    char why[DRIVER_WHY_BYTES] = "";
    bool *listed = calloc(n + 1, sizeof *listed);
    struct mariadb_row *rows = calloc(n + 1, sizeof *rows);
    int err = listed == NULL || rows == NULL ? TROTH_ERR_NO_MEMORY : 0;
    /* In this order: what is prepared in between is then not listed, and voted for another time. */
    err = err != 0 ? err : mariadb_list_find(connection, branches, n, listed, why, sizeof why);
    err = err != 0 ? err : mariadb_rows_look(connection, true, branches, n, rows, why, sizeof why);
    for (size_t i = 0; err == 0 && i < n; i++) {
        branches[i].detail[0] = '\0';
        judge(&branches[i], listed[i], &rows[i]);
    }
    if (err != 0) {
        mariadb_fail_all(branches, n, err, why);
    }
    free(rows);
    free(listed);
}
