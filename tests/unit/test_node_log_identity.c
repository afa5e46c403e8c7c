/* node_log: who this node is, what it remembers of its peers, and folders that are not its own. */
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "tests/lib/node_log_folder.h"

/* ---- Who we are ---------------------------------------------------------------------------- */

START_TEST(a_new_disk_is_fresh_has_an_id_of_its_own_and_incarnation_1) {
    open_log();
    uint8_t first[16];
    memcpy(first, self.disk, 16);
    ck_assert(self.fresh);
    ck_assert_uint_eq(self.incarnation, 1);
    ck_assert_uint_eq(self.self, 1);
    ck_assert_uint_eq(self.nodes, 3);
    ck_assert_str_eq(self.cluster, "troth");
    close_log();
    unlink(path);
    open_log();
    ck_assert_mem_ne(self.disk, first, 16);
    close_log();
}
END_TEST

START_TEST(the_incarnation_grows_durably_with_every_start) {
    uint8_t disk[16];
    open_log();
    memcpy(disk, self.disk, 16);
    for (uint64_t incarnation = 2; incarnation < 6; incarnation++) {
        reopen();
        ck_assert_uint_eq(self.incarnation, incarnation);
        ck_assert_mem_eq(self.disk, disk, 16);
    }
    close_log();
}
END_TEST

START_TEST(the_boot_of_each_start_is_on_disk_before_anybody_hears_of_it_and_is_kept) {
    uint64_t boots[WIRE_BOOTS_MAX + 10];
    for (uint32_t start = 1; start <= WIRE_BOOTS_MAX + 9; start++) {
        uint32_t n = start < WIRE_BOOTS_MAX ? start : WIRE_BOOTS_MAX;
        open_log();
        ck_assert_uint_eq(self.incarnation, start);
        ck_assert_uint_eq(self.n_boots, n);
        boots[start] = self.boots[n - 1];
        ck_assert_uint_ne(boots[start], 0);
        ck_assert_mem_eq(self.boots, &boots[start - n + 1], n * sizeof *boots);
        ck_assert_int_eq(
            (int64_t)boots[start],
            strtoll(sql("SELECT boot FROM start ORDER BY incarnation DESC"), NULL, 10));
        close_log();
    }
    ck_assert_str_eq(sql("SELECT count(*) FROM start"), "73");
}
END_TEST

START_TEST(a_database_without_boots_is_opened_and_they_begin_then) {
    open_log();
    close_log();
    sql("DROP TABLE start");
    open_log();
    ck_assert_uint_eq(self.incarnation, 2);
    ck_assert_uint_eq(self.n_boots, 1);
    reopen();
    ck_assert_uint_eq(self.n_boots, 2);
    /* A version that keeps none ran in between: what came before it is not told. */
    close_log();
    sql("UPDATE meta SET value = 4 WHERE name = 'incarnation'");
    open_log();
    ck_assert_uint_eq(self.incarnation, 5);
    ck_assert_uint_eq(self.n_boots, 1);
    reopen();
    close_log();
    sql("UPDATE start SET boot = 0 WHERE incarnation = 5"); /* damaged */
    open_log();
    ck_assert_uint_eq(self.n_boots, 2);
    close_log();
}
END_TEST

START_TEST(what_is_remembered_of_peers_and_the_admission_survive) {
    open_log();
    struct membership_node peer = {.incarnation = 12, .boot = UINT64_MAX};
    memset(peer.disk, 9, sizeof peer.disk);
    ck_assert_int_eq(node_log_remember(node_log, 3, &peer), 0);
    ck_assert_int_eq(node_log_set_admitted(node_log), 0);
    ck_assert_int_eq(node_log_commit(node_log), 0);
    reopen();
    ck_assert(!self.fresh);
    ck_assert_uint_eq(self.peers[3].incarnation, 12);
    ck_assert_uint_eq(self.peers[3].boot, UINT64_MAX);
    ck_assert_mem_eq(self.peers[3].disk, peer.disk, 16);
    ck_assert_uint_eq(self.peers[2].incarnation, 0);
    close_log();
}
END_TEST

START_TEST(a_disk_that_was_found_amnesiac_is_never_opened_again) {
    open_log();
    ck_assert_int_eq(node_log_set_amnesia(node_log, "node 2 knows better"), 0);
    ck_assert_int_eq(node_log_commit(node_log), 0);
    close_log();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(open_as("troth", 1, 3), TROTH_ERR_AMNESIA);
        ck_assert_ptr_nonnull(strstr(why, "node 2 knows better"));
    }
}
END_TEST

/* ---- Wrong folders ------------------------------------------------------------------------- */

START_TEST(a_folder_of_another_node_cluster_or_size_is_refused_and_left_alone) {
    open_log();
    close_log();
    ck_assert_int_eq(open_as("troth", 2, 3), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "belongs to node 1, not to node 2"));
    ck_assert_int_eq(open_as("other", 1, 3), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "belongs to cluster troth, not to other"));
    ck_assert_int_eq(open_as("troth", 1, 5), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "cluster of 3 nodes, not of 5"));
    open_log();
    ck_assert_uint_eq(self.incarnation, 2);
    close_log();
}
END_TEST

static int open_in_cell(uint32_t cell) {
    const struct node_log_owner owner = {.cluster = "troth", .node = 1, .nodes = 3, .cell = cell};
    return node_log_open(&node_log, folder, &owner, &self, why);
}

/* The transactions of a cell that nobody is any more would stay in doubt for ever. */
START_TEST(a_folder_of_another_cell_is_refused_and_one_that_kept_none_takes_the_first) {
    ck_assert_int_eq(open_in_cell(7), 0);
    close_log();
    ck_assert_int_eq(open_in_cell(0), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "belongs to cell 7, not to 0"));
    ck_assert_ptr_nonnull(strstr(why, "correct `cell`"));
    sql("DELETE FROM meta WHERE name = 'cell'"); /* as older versions leave it */
    ck_assert_int_eq(open_in_cell(5), 0);
    close_log();
    ck_assert_int_eq(open_in_cell(7), TROTH_ERR_MISMATCH);
    ck_assert_int_eq(open_in_cell(5), 0);
    close_log();
}
END_TEST

START_TEST(a_folder_in_use_is_refused) {
    struct node_log *second;
    struct membership membership;
    open_log();
    const struct node_log_owner owner = {.cluster = "troth", .node = 1, .nodes = 3};
    ck_assert_int_eq(node_log_open(&second, folder, &owner, &membership, why), TROTH_ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(why, "in use by another process"));
    close_log();
}
END_TEST

/* Wherever the space ends in the first start. */
START_TEST(a_disk_that_is_too_small_is_told_with_what_to_do) {
    struct rlimit before, limit;
    int refused = 0;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    for (limit.rlim_cur = 0;; limit.rlim_cur += 2048) {
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        int err = open_as("troth", 1, 3);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
        if (err == 0) {
            break;
        }
        refused++;
        ck_assert_int_eq(err, TROTH_ERR_STORAGE);
        ck_assert_ptr_nonnull(strstr(why, path));
        ck_assert_ptr_nonnull(strstr(why, "start again"));
        char command[128];
        snprintf(command, sizeof command, "rm -f '%s'*", path);
        ck_assert_int_eq(system(command), 0);
    }
    ck_assert_int_gt(refused, 10);
    close_log();
}
END_TEST

START_TEST(a_database_of_a_newer_version_is_refused) {
    open_log();
    close_log();
    sql("PRAGMA user_version = 99");
    ck_assert_int_eq(open_as("troth", 1, 3), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "newer version"));
}
END_TEST

START_TEST(a_database_of_another_program_is_refused) {
    sql("CREATE TABLE theirs(x)");
    ck_assert_int_eq(open_as("troth", 1, 3), TROTH_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(why, "another program"));
}
END_TEST

START_TEST(a_file_that_is_no_database_is_refused) {
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        fputs("this is no database\n", file);
    }
    fclose(file);
    ck_assert_int_eq(open_as("troth", 1, 3), TROTH_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(why, path));
}
END_TEST

START_TEST(a_folder_that_can_not_be_made_or_written_is_named) {
    char saved[sizeof folder];
    strcpy(saved, folder);
    strcpy(folder, "/proc/nowhere");
    ck_assert_int_eq(open_as("troth", 1, 3), TROTH_ERR_STORAGE);
    ck_assert_ptr_nonnull(strstr(why, "cannot make the data folder /proc/nowhere"));
    strcpy(folder, "/proc");
    ck_assert_int_eq(open_as("troth", 1, 3), TROTH_ERR_STORAGE);
    ck_assert_ptr_nonnull(strstr(why, "/proc"));
    strcpy(folder, saved);
}
END_TEST

int main(void) {
    return node_log_suite(
        "node_log_identity",
        (const TTest *[]){
            a_new_disk_is_fresh_has_an_id_of_its_own_and_incarnation_1,
            the_incarnation_grows_durably_with_every_start,
            the_boot_of_each_start_is_on_disk_before_anybody_hears_of_it_and_is_kept,
            a_database_without_boots_is_opened_and_they_begin_then,
            what_is_remembered_of_peers_and_the_admission_survive,
            a_disk_that_was_found_amnesiac_is_never_opened_again,
            a_folder_of_another_node_cluster_or_size_is_refused_and_left_alone,
            a_folder_of_another_cell_is_refused_and_one_that_kept_none_takes_the_first,
            a_folder_in_use_is_refused, a_disk_that_is_too_small_is_told_with_what_to_do,
            a_database_of_a_newer_version_is_refused, a_database_of_another_program_is_refused,
            a_file_that_is_no_database_is_refused,
            a_folder_that_can_not_be_made_or_written_is_named, NULL});
}
