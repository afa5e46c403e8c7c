/* Allocations of the XA driver that fail. */
#include <check.h>
#include <string.h>

#include "participant/adapters/driver.h"
#include "tests/lib/alloc_fail.h"
#include "tests/lib/suite.h"
#include "tests/lib/xa_fixture.h"

START_TEST(without_memory_there_is_no_driver_and_no_connection_and_nothing_is_lost) {
    struct xa_driver_options options = {.library = xa_fixture_library(),
                                        .symbol = "crooked_switch"};
    char why[DRIVER_WHY_BYTES];
    unsigned failures = 0;
    for (bool failed = true; failed; failures += failed) {
        struct driver *driver = NULL;
        struct driver_connection *connection = NULL;
        alloc_fail_after(failures);
        int err = xa_driver_new(&driver, "troth", "crooked", &options, why);
        if (err == 0) {
            connection = driver->ops->connection_new(driver);
        }
        failed = alloc_failed();
        ck_assert_int_eq(failed, err != 0 || connection == NULL);
        ck_assert(err == 0 || err == TROTH_ERR_NO_MEMORY);
        if (err == 0) {
            driver->ops->connection_free(connection);
            driver->ops->free(driver);
        }
    }
    ck_assert_uint_eq(failures, 2);
}
END_TEST

int main(void) {
    return suite_run(
        "xa_memory",
        (const TTest *const[]){
            without_memory_there_is_no_driver_and_no_connection_and_nothing_is_lost, NULL});
}
