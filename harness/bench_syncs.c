#include "harness/bench_syncs.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/troth_err.h"

#define LIBRARY "libtroth-count-syncs.so"

/* Beside this program, where the build puts it. */
static int find_library(char *path, size_t path_bytes) {
    char folder[4096] = {0};
    char *slash = NULL;
    if (readlink("/proc/self/exe", folder, sizeof folder - 1) > 0) {
        slash = strrchr(folder, '/');
    }
    if (slash == NULL) {
        return TROTH_ERR_NOT_FOUND;
    }
    *slash = '\0';
    int n = snprintf(path, path_bytes, "LD_PRELOAD=%s/%s", folder, LIBRARY);
    return n > 0 && (size_t)n < path_bytes && access(path + strlen("LD_PRELOAD="), R_OK) == 0
               ? 0
               : TROTH_ERR_NOT_FOUND;
}

int bench_syncs_open(struct bench_syncs *syncs, const char *path,
                     char env[2][BENCH_SYNCS_ENV_BYTES]) {
    if (find_library(env[0], BENCH_SYNCS_ENV_BYTES) != 0) {
        return TROTH_ERR_NOT_FOUND;
    }
    snprintf(env[1], BENCH_SYNCS_ENV_BYTES, "TROTH_COUNT_SYNCS=%s", path);
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
