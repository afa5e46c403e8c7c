/* folder: made, found empty, and removed whole, but no further. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/folder.h"
#include "tests/lib/suite.h"

static char root[256];
static char path[512];

static const char *under(const char *name) {
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void make_file(const char *name) {
    FILE *file = fopen(under(name), "we");
    ck_assert_ptr_nonnull(file);
    fclose(file);
}

START_TEST(make_makes_the_folders_above_and_may_be_repeated) {
    ck_assert_int_eq(folder_make_temporary(root, sizeof root), 0);
    ck_assert_int_eq(folder_make(under("a/b/c")), 0);
    ck_assert_int_eq(folder_make(under("a/b/c")), 0);
    ck_assert(folder_is_empty(under("a/b/c")));
    ck_assert(!folder_is_empty(under("a")));
    folder_remove(root);
}
END_TEST

START_TEST(a_file_in_the_place_is_an_error_and_is_not_touched) {
    ck_assert_int_eq(folder_make_temporary(root, sizeof root), 0);
    make_file("file");
    ck_assert_int_eq(folder_make(under("file")), TROTH_ERR_SYSTEM);
    ck_assert_int_eq(folder_make(under("file/below")), TROTH_ERR_SYSTEM);
    ck_assert(!folder_is_empty(root));
    ck_assert(!folder_is_empty(under("not-there")));
    folder_remove(root);
}
END_TEST

START_TEST(remove_takes_all_and_follows_no_link) {
    char outside[256];
    char link_path[512];
    ck_assert_int_eq(folder_make_temporary(root, sizeof root), 0);
    ck_assert_int_eq(folder_make_temporary(outside, sizeof outside), 0);
    ck_assert_int_eq(folder_make(under("a/b")), 0);
    make_file("a/b/file");
    snprintf(link_path, sizeof link_path, "%s/a/link", root);
    ck_assert_int_eq(symlink(outside, link_path), 0);
    folder_remove(root);
    ck_assert_int_ne(access(root, F_OK), 0);
    ck_assert_int_eq(access(outside, F_OK), 0);
    folder_remove(outside);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        make_makes_the_folders_above_and_may_be_repeated,
        a_file_in_the_place_is_an_error_and_is_not_touched,
        remove_takes_all_and_follows_no_link,
        NULL,
    };
    return suite_run("folder", tests);
}
