/* A resource manager with an XA switch as a participant: its driver, in the shell that all kinds
 * share. */
#include <stdio.h>

#include "participant/adapters/resource.h"

int troth_xa_open(struct troth_database **out, const struct troth_database_options *options,
                  const char *library, const char *symbol, const char *open_info,
                  const char *close_info, char *why, size_t why_bytes) {
    struct driver *driver;
    char driver_why[DRIVER_WHY_BYTES] = "";
    const char *cluster = options->cluster == NULL ? "troth" : options->cluster;
    const char *name = options->name == NULL ? "" : options->name;
    struct xa_driver_options xa = {.library = library == NULL ? "" : library,
                                   .symbol = symbol == NULL ? "" : symbol,
                                   .open_info = open_info,
                                   .close_info = close_info};
    *out = NULL;
    int err = xa_driver_new(&driver, cluster, name, &xa, driver_why);
    if (err != 0) {
        snprintf(why, why_bytes, "%s", driver_why);
        return err;
    }
    return resource_open(out, driver, options, NULL, why, why_bytes);
}
