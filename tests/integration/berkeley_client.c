/* A program that works in Berkeley DB under XA, for test_xa_berkeley:
 *
 *     berkeley_client FOLDER work GID KEY VALUE      one put in the branch, and xa_end
 *     berkeley_client FOLDER prepare GID KEY VALUE   the same, and xa_prepare
 *     berkeley_client FOLDER get KEY                 prints what is committed, or nothing
 *
 * Exit status: 0, or 1 after saying on standard error what failed.
 */
#include <db.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/gid.h"
#include "participant/adapters/xa.h"

#define RMID 1

extern struct xa_switch_t db_xa_switch;

static void must(int result, const char *what) {
    if (result != 0) {
        fprintf(stderr, "%s: %d\n", what, result);
        exit(EXIT_FAILURE);
    }
}

static DBT dbt_of(char *text) {
    DBT dbt;
    memset(&dbt, 0, sizeof dbt);
    dbt.data = text;
    dbt.size = (u_int32_t)strlen(text);
    return dbt;
}

static XID xid_of(const char *text) {
    struct troth_gid gid;
    char gtrid[TROTH_XA_PART_BYTES], bqual[TROTH_XA_PART_BYTES];
    must(troth_gid_parse(text, &gid), "gid");
    must(troth_gid_to_xa(&gid, gtrid, bqual), "gid");
    XID xid = {.formatID = TROTH_XA_FORMAT,
               .gtrid_length = (long)strlen(gtrid),
               .bqual_length = (long)strlen(bqual)};
    snprintf(xid.data, sizeof xid.data, "%s%s", gtrid, bqual);
    return xid;
}

static void work(DB *db, const char *gid, char *key, char *value, int prepares) {
    XID xid = xid_of(gid);
    DBT key_dbt = dbt_of(key), value_dbt = dbt_of(value);
    must(db_xa_switch.xa_start_entry(&xid, RMID, TMNOFLAGS), "xa_start");
    must(db->put(db, NULL, &key_dbt, &value_dbt, 0), "put");
    must(db_xa_switch.xa_end_entry(&xid, RMID, TMSUCCESS), "xa_end");
    if (prepares) {
        must(db_xa_switch.xa_prepare_entry(&xid, RMID, TMNOFLAGS), "xa_prepare");
    }
}

static void get(DB *db, char *key) {
    DBT key_dbt = dbt_of(key), value_dbt;
    memset(&value_dbt, 0, sizeof value_dbt);
    value_dbt.flags = DB_DBT_MALLOC;
    int result = db->get(db, NULL, &key_dbt, &value_dbt, 0);
    if (result == 0) {
        printf("%.*s", (int)value_dbt.size, (char *)value_dbt.data);
        free(value_dbt.data);
    }
    must(result == DB_NOTFOUND ? 0 : result, "get");
}

int main(int argc, char *argv[]) {
    if (argc != 4 && argc != 6) {
        fprintf(stderr, "usage: berkeley_client FOLDER work|prepare|get ...\n");
        return EXIT_FAILURE;
    }
    DB *db;
    must(db_xa_switch.xa_open_entry(argv[1], RMID, TMNOFLAGS), "xa_open");
    must(db_create(&db, NULL, DB_XA_CREATE), "db_create");
    must(
        db->open(db, NULL, "data.db", NULL, DB_BTREE, DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600),
        "open");
    if (argc == 4) {
        get(db, argv[3]);
    } else {
        work(db, argv[3], argv[4], argv[5], strcmp(argv[2], "prepare") == 0);
    }
    must(db->close(db, 0), "close");
    must(db_xa_switch.xa_close_entry(argv[1], RMID, TMNOFLAGS), "xa_close");
    return EXIT_SUCCESS;
}
