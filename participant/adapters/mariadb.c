/* MariaDB's part of troth_database.h. */
#include <stdio.h>

#include "participant/adapters/driver.h"
#include "participant/adapters/resource.h"

int troth_mariadb_open(struct troth_database **out, const struct troth_database_options *options,
                       char *why, size_t why_bytes) {
    char detail[DRIVER_WHY_BYTES] = "";
    struct driver *driver;
    const char *name = options->name == NULL ? "" : options->name;
    int err = mariadb_driver_new(&driver, options->cluster == NULL ? "troth" : options->cluster,
                                 name, options->dsn, detail);
    if (err != 0) {
        snprintf(why, why_bytes, "%s", detail);
        return err;
    }
    return resource_open(out, driver, options, NULL, why, why_bytes);
}
