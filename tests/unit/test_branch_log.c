/* branch_log: what was stored is loaded; a log that is not ours is refused; damage is isolated. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "participant/branch_log.h"
#include "tests/lib/suite.h"

static char folder[] = "/tmp/troth-test-branch-log-XXXXXX";
static char path[64];
static char why[DB_WHY_BYTES];

static void make_folder(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/stock.db", folder);
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct branch_log *open_log(void) {
    struct branch_log *log = NULL;
    ck_assert_int_eq(branch_log_open(&log, path, "troth", "stock", why), 0);
    return log;
}

static void sql(struct branch_log *log, const char *text) {
    ck_assert_int_eq(db_exec(branch_log_db(log), text), 0);
}

static void write_effect(struct branch_log *log, struct branches_effect effect) {
    ck_assert_int_eq(db_begin(branch_log_db(log)), 0);
    ck_assert_int_eq(branch_log_write(log, &effect), 0);
    ck_assert_int_eq(db_commit(branch_log_db(log)), 0);
}

static struct troth_txid tx(uint64_t n) {
    return troth_txid_make(0, 1, 3, n);
}

static void store(struct branch_log *log, uint64_t n, enum branches_record record,
                  struct paxos_set *set) {
    write_effect(log, (struct branches_effect){
                          .type = BRANCHES_STORE, .txid = tx(n), .record = record, .set = set});
}

/* What was loaded, as one line. */
static char loaded[1000];

static int load_one(void *arg, struct branches_event *event) {
    (void)arg;
    size_t at = strlen(loaded);
    switch (event->type) {
    case BRANCHES_LOAD_NODE:
        snprintf(loaded + at, sizeof loaded - at, "node %u disk %02x start %llu; ", event->node,
                 event->disk[15], (unsigned long long)event->incarnation);
        break;
    case BRANCHES_LOAD_MARK:
        snprintf(loaded + at, sizeof loaded - at, "mark %llu; ",
                 (unsigned long long)event->txid.lo);
        break;
    case BRANCHES_LOAD_BRANCH:
        snprintf(loaded + at, sizeof loaded - at, "branch %llu %d",
                 (unsigned long long)event->txid.lo, (int)event->record);
        for (uint32_t i = 0; event->set != NULL && i < event->set->n; i++) {
            at = strlen(loaded);
            snprintf(loaded + at, sizeof loaded - at, " %s:%llu", event->set->members[i].name,
                     (unsigned long long)event->set->members[i].incarnation);
        }
        strcat(loaded, "; ");
        break;
    case BRANCHES_START:
    case BRANCHES_TICK:
    case BRANCHES_NODE_UP:
    case BRANCHES_NODE_DOWN:
    case BRANCHES_MESSAGE:
    case BRANCHES_ENLIST:
    case BRANCHES_GIVE_UP:
    case BRANCHES_RESULT:
        ck_abort_msg("loading gives no such event");
    }
    return 0;
}

static void expect_loaded(struct branch_log *log, const char *expected) {
    loaded[0] = '\0';
    ck_assert_int_eq(branch_log_load(log, load_one, NULL), 0);
    ck_assert_str_eq(loaded, expected);
}

static struct paxos_set *two(void) {
    struct paxos_participant members[2];
    ck_assert_int_eq(paxos_participant_make(&members[0], "orders", UINT64_C(0xfffff00000001)), 0);
    ck_assert_int_eq(paxos_participant_make(&members[1], "stock", 7), 0);
    return paxos_set_new(members, 2);
}

START_TEST(S4_what_was_stored_is_loaded_after_a_restart) {
    make_folder();
    struct branch_log *log = open_log();
    struct paxos_set *set = two();
    store(log, 1, BRANCHES_RECORD_PREPARED, set);
    store(log, 2, BRANCHES_RECORD_PREPARED, set);
    store(log, 2, BRANCHES_RECORD_COMMITTING, NULL); /* replaces */
    store(log, 3, BRANCHES_RECORD_COMMITTED, NULL);
    store(log, 4, BRANCHES_RECORD_HAZARD, NULL);
    store(log, 5, BRANCHES_RECORD_PREPARED, set);
    write_effect(log, (struct branches_effect){.type = BRANCHES_DELETE, .txid = tx(5)});
    struct branches_effect node = {.type = BRANCHES_STORE_NODE, .node = 2, .incarnation = 9};
    node.disk[15] = 0xab;
    write_effect(log, node);
    branch_log_close(log);
    log = open_log();
    expect_loaded(log, "node 2 disk ab start 9; branch 1 1 orders:4503595332403201 stock:7; "
                       "branch 2 2; branch 3 3; branch 4 4; ");
    paxos_set_release(set);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(a_mark_deletes_what_is_committed_below_it_and_nothing_else) {
    make_folder();
    struct branch_log *log = open_log();
    struct paxos_set *set = two();
    store(log, 1, BRANCHES_RECORD_COMMITTED, NULL);
    store(log, 2, BRANCHES_RECORD_PREPARED, set);
    store(log, 3, BRANCHES_RECORD_HAZARD, NULL);
    store(log, 4, BRANCHES_RECORD_COMMITTED, NULL);
    store(log, 300, BRANCHES_RECORD_COMMITTED, NULL);
    write_effect(log, (struct branches_effect){
                          .type = BRANCHES_STORE,
                          .txid = troth_txid_make(0, 1, 2, 1), /* an older start of the node */
                          .record = BRANCHES_RECORD_COMMITTED});
    write_effect(log, (struct branches_effect){.type = BRANCHES_STORE_MARK, .txid = tx(4)});
    expect_loaded(log, "mark 4; branch 1 3; branch 2 1 orders:4503595332403201 stock:7; "
                       "branch 3 4; branch 4 3; branch 300 3; ");
    paxos_set_release(set);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(every_start_has_a_higher_incarnation_on_the_same_disk) {
    make_folder();
    struct branch_log *log = open_log();
    uint64_t first = branch_log_incarnation(log);
    ck_assert_uint_ne(first >> 32, 0);
    ck_assert_uint_lt(first >> 32, 1u << 20);
    ck_assert_uint_eq((uint32_t)first, 1);
    branch_log_close(log);
    log = open_log();
    ck_assert_uint_eq(branch_log_incarnation(log), first + 1);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(a_log_of_another_participant_cluster_or_version_is_refused) {
    make_folder();
    struct branch_log *log = open_log();
    struct branch_log *other = NULL;
    ck_assert_int_eq(branch_log_open(&other, path, "troth", "stock", why), TROTH_ERR_EXISTS);
    branch_log_close(log);
    ck_assert_int_eq(branch_log_open(&other, path, "troth", "orders", why), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "stock"));
    ck_assert_ptr_nonnull(strstr(why, "orders"));
    ck_assert_int_eq(branch_log_open(&other, path, "bank", "stock", why), TROTH_ERR_MISMATCH);
    log = open_log();
    sql(log, "UPDATE troth_meta SET value = '4' WHERE key = 'version'");
    branch_log_close(log);
    ck_assert_int_eq(branch_log_open(&other, path, "troth", "stock", why), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "newer version"));
    remove_folder();
}
END_TEST

START_TEST(a_log_of_an_older_version_is_taken_over) {
    make_folder();
    struct branch_log *log = open_log();
    sql(log, "DROP TABLE troth_foreign; DROP TABLE troth_set; DROP VIEW troth_foreign_text;"
             "UPDATE troth_meta SET value = '1' WHERE key = 'version'");
    branch_log_close(log);
    log = open_log();
    sql(log, "INSERT INTO troth_foreign SELECT x'ff', 1, x'01', x'', 'prepared', 0"
             " FROM troth_meta WHERE key = 'version' AND value = '3'");
    ck_assert_int_eq(sqlite3_changes(branch_log_db(log)->sqlite), 1);
    branch_log_close(log);
    remove_folder();
}
END_TEST

static int64_t number(struct branch_log *log, const char *text) {
    sqlite3_stmt *stmt = db_prepare(branch_log_db(log), text);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t result = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return result;
}

/* As version 2 made them, with a branch in doubt. */
static void make_version_2(void) {
    struct db db;
    ck_assert_int_eq(
        db_open(&db, path, 0, 0,
                "CREATE TABLE troth_meta(key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
                "CREATE TABLE troth_branch(txid BLOB PRIMARY KEY, state TEXT NOT NULL,"
                " participants TEXT, changed_ms INTEGER NOT NULL) WITHOUT ROWID;"
                "CREATE VIEW troth_in_doubt AS SELECT lower(hex(txid)) AS txid,"
                " datetime(changed_ms/1000, 'unixepoch') AS since, participants"
                " FROM troth_branch WHERE state = 'prepared';"
                "INSERT INTO troth_meta VALUES('version', '2');"
                "INSERT INTO troth_branch VALUES(x'00000001000000030000000000000001', 'prepared',"
                " '[{\"participant\":\"orders\",\"incarnation\":5}]', 0)",
                why),
        0);
    db_close(&db);
}

START_TEST(a_log_of_version_2_has_its_sets_in_its_branches_and_new_ones_by_number) {
    make_folder();
    make_version_2();
    struct branch_log *log = open_log();
    struct paxos_set *set = two();
    store(log, 2, BRANCHES_RECORD_PREPARED, set);
    store(log, 3, BRANCHES_RECORD_PREPARED, set);
    branch_log_close(log);
    log = open_log(); /* which deletes sets that no branch has */
    expect_loaded(log, "branch 1 1 orders:5; branch 2 1 orders:4503595332403201 stock:7; "
                       "branch 3 1 orders:4503595332403201 stock:7; ");
    ck_assert_int_eq(number(log, "SELECT count(*) FROM troth_set"), 1);
    ck_assert_int_eq(number(log, "SELECT sum(json_array_length(participants))"
                                 " FROM troth_in_doubt"),
                     5);
    paxos_set_release(set);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(a_set_is_stored_once) {
    make_folder();
    struct branch_log *log = open_log();
    for (uint64_t n = 1; n <= 10; n++) {
        struct paxos_set *set = two(); /* equal, not the same */
        store(log, n, BRANCHES_RECORD_PREPARED, set);
        paxos_set_release(set);
    }
    ck_assert_int_eq(number(log, "SELECT count(*) FROM troth_set"), 1);
    ck_assert_int_eq(number(log, "SELECT count(*) FROM troth_branch WHERE typeof(participants) ="
                                 " 'integer'"),
                     10);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(S4_sets_of_one_hash_are_not_taken_for_each_other) {
    make_folder();
    struct branch_log *log = open_log();
    struct paxos_set *set = two();
    struct paxos_set *other = two();
    other->members[1].incarnation = 8;
    other->hash = set->hash;
    store(log, 1, BRANCHES_RECORD_PREPARED, set);
    store(log, 2, BRANCHES_RECORD_PREPARED, other);
    store(log, 3, BRANCHES_RECORD_PREPARED, set);
    expect_loaded(log, "branch 1 1 orders:4503595332403201 stock:7; "
                       "branch 2 1 orders:4503595332403201 stock:8; "
                       "branch 3 1 orders:4503595332403201 stock:7; ");
    paxos_set_release(set);
    paxos_set_release(other);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(sets_go_when_no_branch_has_them_and_no_others) {
    const uint64_t many = 60000; /* of two members each */
    make_folder();
    struct branch_log *log = open_log();
    ck_assert_int_eq(db_begin(branch_log_db(log)), 0);
    for (uint64_t n = 1; n <= many; n++) {
        struct paxos_set *set = two();
        struct paxos_participant members[2] = {set->members[0], set->members[1]};
        paxos_set_release(set);
        members[0].incarnation = n;
        set = paxos_set_new(members, 2);
        struct branches_effect effect = {.type = BRANCHES_STORE,
                                         .txid = tx(n % 100 == 7 ? n : 1),
                                         .record = BRANCHES_RECORD_PREPARED,
                                         .set = set};
        ck_assert_int_eq(branch_log_write(log, &effect), 0); /* most replace the one before */
        paxos_set_release(set);
    }
    ck_assert_int_eq(db_commit(branch_log_db(log)), 0);
    ck_assert_int_lt(number(log, "SELECT count(*) FROM troth_set"), 51000);
    branch_log_close(log);
    log = open_log();
    ck_assert_int_eq(number(log, "SELECT count(*) FROM troth_set"), 601);
    ck_assert_int_eq(number(log, "SELECT count(*) FROM troth_in_doubt WHERE"
                                 " json_array_length(participants) = 2"),
                     601);
    ck_assert_int_eq(number(log,
                            "SELECT count(*) FROM troth_in_doubt WHERE json_extract(participants,"
                            " '$[0].incarnation') % 100 = 7"),
                     600);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(the_log_lives_in_a_database_that_is_another_programs) {
    make_folder();
    struct db db;
    ck_assert_int_eq(db_open(&db, path, 0x1234, 7, "CREATE TABLE theirs(x)", why), 0);
    db_close(&db);
    branch_log_close(open_log());
    ck_assert_int_eq(db_open(&db, path, 0x1234, 7, "", why), 0); /* still theirs */
    db_close(&db);
    remove_folder();
}
END_TEST

START_TEST(a_damaged_record_is_isolated) { /* ARCHITECTURE H10 */
    make_folder();
    struct branch_log *log = open_log();
    struct paxos_set *set = two();
    for (uint64_t n = 1; n <= 5; n++) {
        store(log, n, BRANCHES_RECORD_PREPARED, set);
    }
    sql(log, "UPDATE troth_branch SET state = 'what' WHERE substr(txid, 16) = x'01'");
    sql(log, "UPDATE troth_branch SET participants = '[{' WHERE substr(txid, 16) = x'02'");
    sql(log, "UPDATE troth_branch SET participants = '[{\"participant\":\"a b\"}]'"
             " WHERE substr(txid, 16) = x'03'");
    sql(log, "UPDATE troth_branch SET txid = x'0102' WHERE substr(txid, 16) = x'04'");
    sql(log, "INSERT INTO troth_node VALUES(3, x'00', 1)");
    sql(log, "INSERT INTO troth_mark VALUES(x'00', x'00')");
    expect_loaded(log, "branch 0 0; branch 2 1; branch 3 1; branch 5 1 orders:4503595332403201 "
                       "stock:7; branch 0 0; ");
    paxos_set_release(set);
    branch_log_close(log);
    remove_folder();
}
END_TEST

START_TEST(a_set_of_any_size_comes_back) {
    make_folder();
    struct branch_log *log = open_log();
    struct paxos_participant *members = calloc(PAXOS_PARTICIPANTS_MAX, sizeof *members);
    for (uint32_t i = 0; i < PAXOS_PARTICIPANTS_MAX; i++) {
        char name[PAXOS_NAME_BYTES];
        snprintf(name, sizeof name, "a-name-of-forty-seven-characters-which-is-all-%u", i % 10);
        ck_assert_int_eq(paxos_participant_make(&members[i], name, UINT64_C(0xfffffffffffff)), 0);
    }
    struct paxos_set *set = paxos_set_new(members, PAXOS_PARTICIPANTS_MAX);
    store(log, 1, BRANCHES_RECORD_PREPARED, set);
    sqlite3_stmt *stmt = db_prepare(branch_log_db(log),
                                    "SELECT json_array_length(participants) FROM troth_in_doubt");
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW); /* and people can read it */
    ck_assert_int_eq(sqlite3_column_int(stmt, 0), PAXOS_PARTICIPANTS_MAX);
    sqlite3_finalize(stmt);
    paxos_set_release(set);
    free(members);
    branch_log_close(log);
    remove_folder();
}
END_TEST

int main(void) {
    return suite_run(
        "branch_log",
        (const TTest *[]){S4_what_was_stored_is_loaded_after_a_restart,
                          a_mark_deletes_what_is_committed_below_it_and_nothing_else,
                          every_start_has_a_higher_incarnation_on_the_same_disk,
                          a_log_of_another_participant_cluster_or_version_is_refused,
                          a_log_of_an_older_version_is_taken_over,
                          a_log_of_version_2_has_its_sets_in_its_branches_and_new_ones_by_number,
                          a_set_is_stored_once, S4_sets_of_one_hash_are_not_taken_for_each_other,
                          sets_go_when_no_branch_has_them_and_no_others,
                          the_log_lives_in_a_database_that_is_another_programs,
                          a_damaged_record_is_isolated, a_set_of_any_size_comes_back, NULL});
}
