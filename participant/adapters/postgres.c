/* PostgreSQL as a participant: its driver, in the shell that all kinds share. */
#include <stdio.h>

#include "participant/adapters/resource.h"

int troth_postgres_open(struct troth_database **out, const struct troth_database_options *options,
                        char *why, size_t why_bytes) {
    struct driver *driver;
    char driver_why[DRIVER_WHY_BYTES] = "";
    const char *cluster = options->cluster == NULL ? "troth" : options->cluster;
    const char *name = options->name == NULL ? "" : options->name;
    int err = postgres_driver_new(&driver, cluster, name, options->dsn, driver_why);
    if (err != 0) {
        snprintf(why, why_bytes, "%s", driver_why);
        return err;
    }
    return resource_open(out, driver, options, NULL, why, why_bytes);
}
