#include "harness/bench_syncs.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/troth_err.h"

#define LIBRARY "libtroth-count-syncs.so"
#define SLOWER  "TROTH_SLOW_SYNCS_MS"

/* The variables that load the library, which is beside this program, where the build puts it. */
static int load_library(char preload[BENCH_SYNCS_ENV_BYTES], char asan[BENCH_SYNCS_ENV_BYTES]) {
    char folder[4096] = {0};
    char *slash = NULL;
    if (readlink("/proc/self/exe", folder, sizeof folder - 1) > 0) {
        slash = strrchr(folder, '/');
    }
    if (slash == NULL) {
        return TROTH_ERR_NOT_FOUND;
    }
    *slash = '\0';
    int n = snprintf(preload, BENCH_SYNCS_ENV_BYTES, "LD_PRELOAD=%s/%s", folder, LIBRARY);
    /* The sanitizers of a test build want to be loaded first; the library may be before them. */
    const char *options = getenv("ASAN_OPTIONS");
    snprintf(asan, BENCH_SYNCS_ENV_BYTES, "ASAN_OPTIONS=%s%sverify_asan_link_order=0",
             options == NULL ? "" : options, options == NULL ? "" : ":");
    return n > 0 && n < BENCH_SYNCS_ENV_BYTES && access(preload + strlen("LD_PRELOAD="), R_OK) == 0
               ? 0
               : TROTH_ERR_NOT_FOUND;
}

int bench_syncs_slow_down(unsigned ms, char *argv[]) {
    /* The new program's own, for as long as it lives. */
    static char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES];
    if (ms == 0 || getenv(SLOWER) != NULL) {
        return 0;
    }
    if (load_library(env[0], env[1]) != 0) {
        return TROTH_ERR_NOT_FOUND;
    }
    snprintf(env[2], BENCH_SYNCS_ENV_BYTES, SLOWER "=%u", ms);
    if (putenv(env[0]) == 0 && putenv(env[1]) == 0 && putenv(env[2]) == 0) {
        execv("/proc/self/exe", argv);
    }
    return TROTH_ERR_SYSTEM;
}

int bench_syncs_open(struct bench_syncs *syncs, const char *path,
                     char env[BENCH_SYNCS_ENV][BENCH_SYNCS_ENV_BYTES]) {
    if (load_library(env[0], env[1]) != 0) {
        return TROTH_ERR_NOT_FOUND;
    }
    snprintf(env[2], BENCH_SYNCS_ENV_BYTES, "TROTH_COUNT_SYNCS=%s", path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return TROTH_ERR_SYSTEM;
    }
    size_t n = sizeof(atomic_uint_fast64_t);
    /* Another user's process (PostgreSQL's, when we are root) counts too. */
    int err = ftruncate(fd, (off_t)n) == 0 && fchmod(fd, 0666) == 0 ? 0 : TROTH_ERR_SYSTEM;
    syncs->map = NULL;
    if (err == 0) {
        void *map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        syncs->map = map == MAP_FAILED ? NULL : map;
        err = syncs->map == NULL ? TROTH_ERR_SYSTEM : 0;
    }
    close(fd);
    return err;
}

uint64_t bench_syncs_read(const struct bench_syncs *syncs) {
    return syncs->map == NULL ? 0 : atomic_load((atomic_uint_fast64_t *)syncs->map);
}

void bench_syncs_release(struct bench_syncs *syncs) {
    if (syncs->map != NULL) {
        munmap(syncs->map, sizeof(atomic_uint_fast64_t));
        syncs->map = NULL;
    }
}
