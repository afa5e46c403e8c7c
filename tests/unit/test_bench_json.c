/* bench_json: what is written is one flat object that others can read. */
#include <check.h>
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "harness/bench_json.h"
#include "tests/lib/suite.h"

START_TEST(what_is_written_can_be_read) {
    char path[] = "/tmp/test-bench-json-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct bench_json json;
    ck_assert_int_eq(bench_json_open(&json, path), 0);
    bench_json_number(&json, "", "rounds", 5);
    bench_json_number(&json, "n2_f1_256", "tps", 12345.678);
    bench_json_number(&json, "", "nothing", NAN);
    bench_json_text(&json, "file_system", "a \"quoted\\\n one");
    ck_assert_int_eq(bench_json_close(&json), 0);

    struct json_object *object = json_object_from_file(path);
    ck_assert_ptr_nonnull(object);
    ck_assert_int_eq(json_object_object_length(object), 4);
    ck_assert_int_eq(json_object_get_int(json_object_object_get(object, "rounds")), 5);
    double tps = json_object_get_double(json_object_object_get(object, "n2_f1_256_tps"));
    ck_assert(tps > 12345.677 && tps < 12345.679);
    struct json_object *nothing = NULL;
    ck_assert(json_object_object_get_ex(object, "nothing", &nothing) && nothing == NULL);
    ck_assert_str_eq(json_object_get_string(json_object_object_get(object, "file_system")),
                     "a \"quoted\\\n one");
    json_object_put(object);
    unlink(path);
}
END_TEST

START_TEST(without_a_file_nothing_is_written_and_nothing_fails) {
    struct bench_json json;
    ck_assert_int_eq(bench_json_open(&json, NULL), 0);
    bench_json_number(&json, "", "rounds", 5);
    bench_json_text(&json, "file_system", "ext4");
    ck_assert_int_eq(bench_json_close(&json), 0);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_an_error) {
    struct bench_json json;
    ck_assert_int_eq(bench_json_open(&json, "/dev/null/none"), TROTH_ERR_SYSTEM);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {what_is_written_can_be_read,
                                  without_a_file_nothing_is_written_and_nothing_fails,
                                  a_file_that_cannot_be_written_is_an_error, NULL};
    return suite_run("bench_json", tests);
}
