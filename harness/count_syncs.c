/* libtroth-count-syncs.so: preloaded into a process (LD_PRELOAD), it counts the calls that wait for
 * the disk: fsync, fdatasync, sync_file_range, syncfs, sync and msync with MS_SYNC. With
 * TROTH_SLOW_SYNCS_MS each of them takes so many milliseconds more, as on a slower disk that the
 * process has for itself. It changes nothing else.
 *
 * The count is one number in the file that TROTH_COUNT_SYNCS names, which whoever asks has made
 * (bench_syncs.h). Processes that the process starts count in it too.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static atomic_uint_fast64_t *count;
static long slower_ms;
static int (*next_fsync)(int);
static int (*next_fdatasync)(int);
static int (*next_syncfs)(int);
static void (*next_sync)(void);
static int (*next_sync_file_range)(int, off64_t, off64_t, unsigned);
static int (*next_msync)(void *, size_t, int);

/* ISO C has no cast from an object pointer to a function pointer; POSIX has (dlsym). */
static void find(void *function, const char *name) {
    *(void **)function = dlsym(RTLD_NEXT, name);
    if (*(void **)function == NULL) {
        abort();
    }
}

__attribute__((constructor)) static void start(void) {
    find((void *)&next_fsync, "fsync");
    find((void *)&next_fdatasync, "fdatasync");
    find((void *)&next_syncfs, "syncfs");
    find((void *)&next_sync, "sync");
    find((void *)&next_sync_file_range, "sync_file_range");
    find((void *)&next_msync, "msync");
    const char *slower = getenv("TROTH_SLOW_SYNCS_MS");
    slower_ms = slower == NULL ? 0 : strtol(slower, NULL, 10);
    const char *path = getenv("TROTH_COUNT_SYNCS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *map = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    count = map == MAP_FAILED ? NULL : map;
}

/* Before the call, whose result and errno are left alone so. */
static void enter(void) {
    if (count != NULL) {
        atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    }
    struct timespec left = {.tv_sec = slower_ms / 1000, .tv_nsec = slower_ms % 1000 * 1000000};
    while (slower_ms > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int fsync(int fd) {
    enter();
    return next_fsync(fd);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's are reserved */
int fdatasync(int fd) {
    enter();
    return next_fdatasync(fd);
}

int syncfs(int fd) {
    enter();
    return next_syncfs(fd);
}

void sync(void) {
    enter();
    next_sync();
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's are reserved */
int sync_file_range(int fd, off64_t offset, off64_t n, unsigned flags) {
    enter();
    return next_sync_file_range(fd, offset, n, flags);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc's are reserved */
int msync(void *address, size_t n, int flags) {
    if ((flags & MS_SYNC) != 0) {
        enter();
    }
    return next_msync(address, n, flags);
}
