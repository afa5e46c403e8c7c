#include "harness/programs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/troth_err.h"

static const struct {
    const char *folder; /* within the build folder */
    const char *name;
} programs[] = {
    [PROGRAM_TROTHD] = {"coordinator", "trothd"},
    [PROGRAM_SHARD] = {"participant/shard", "troth-shard"},
    [PROGRAM_TROTH] = {"cli", "troth"},
    [PROGRAM_AGENT] = {"participant/adapters", "troth-agent"},
};

/* As it is built below `folder`, or as it is installed there. */
static bool is_in(const char *folder, enum program program, char path[PROGRAMS_PATH_BYTES]) {
    const char *const places[] = {programs[program].folder, "."};
    for (unsigned i = 0; i < 2; i++) {
        int n = snprintf(path, PROGRAMS_PATH_BYTES, "%s/%s/%s", folder, places[i],
                         programs[program].name);
        if (n < PROGRAMS_PATH_BYTES && access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

int program_find(const char *bin_dir, enum program program, char path[PROGRAMS_PATH_BYTES],
                 char *why, size_t why_bytes) {
    if (bin_dir == NULL) {
        bin_dir = getenv("TROTH_BIN_DIR");
    }
    if (bin_dir != NULL && bin_dir[0] != '\0') {
        if (is_in(bin_dir, program, path)) {
            return 0;
        }
        snprintf(why, why_bytes, "%s is not in %s: build it (./dev build)", programs[program].name,
                 bin_dir);
        return TROTH_ERR_NOT_FOUND;
    }
    char folder[PROGRAMS_PATH_BYTES] = {0};
    if (readlink("/proc/self/exe", folder, sizeof folder - 1) > 0) {
        for (char *slash = strrchr(folder, '/'); slash != NULL; slash = strrchr(folder, '/')) {
            *slash = '\0';
            if (is_in(folder, program, path)) {
                return 0;
            }
        }
    }
    snprintf(why, why_bytes,
             "%s is not built: ./dev build, or set TROTH_BIN_DIR to the folder that has it",
             programs[program].name);
    return TROTH_ERR_NOT_FOUND;
}
