#include "harness/bench_data.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/troth_err.h"
#include "harness/folder.h"

#define XFS_MAGIC 0x58465342
#define ZFS_MAGIC 0x2fc12fc1

static int look(struct bench_data *data) {
    static const struct {
        long magic;
        const char *name;
        bool in_memory;
    } known[] = {
        {TMPFS_MAGIC, "tmpfs", true},
        {RAMFS_MAGIC, "ramfs", true},
        {EXT4_SUPER_MAGIC, "ext4", false},
        {BTRFS_SUPER_MAGIC, "btrfs", false},
        {XFS_MAGIC, "xfs", false},
        {ZFS_MAGIC, "zfs", false},
        {OVERLAYFS_SUPER_MAGIC, "overlayfs", false},
        {F2FS_SUPER_MAGIC, "f2fs", false},
        {NFS_SUPER_MAGIC, "nfs", false},
    };
    struct statfs info;
    if (statfs(data->folder, &info) != 0) {
        return TROTH_ERR_SYSTEM;
    }
    data->in_memory = false;
    snprintf(data->file_system, sizeof data->file_system, "0x%lx", (unsigned long)info.f_type);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (info.f_type == known[i].magic) {
            snprintf(data->file_system, sizeof data->file_system, "%s", known[i].name);
            data->in_memory = known[i].in_memory;
        }
    }
    return 0;
}

static int make_under(struct bench_data *data, const char *parent) {
    snprintf(data->folder, sizeof data->folder, "%s/troth-bench-XXXXXX", parent);
    data->ours = mkdtemp(data->folder) != NULL;
    /* A server whose user is another must get through (database_server.h). */
    return data->ours && chmod(data->folder, 0711) == 0 ? look(data) : TROTH_ERR_SYSTEM;
}

static int make_new(struct bench_data *data, char why[BENCH_WHY_BYTES]) {
    const char *tmp = getenv("TMPDIR");
    int err = make_under(data, tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp);
    if (err == 0 && data->in_memory) {
        struct bench_data in_memory = *data;
        if (make_under(data, ".") == 0) {
            bench_data_end(&in_memory, false);
        } else {
            *data = in_memory;
        }
    }
    if (err != 0) {
        snprintf(why, BENCH_WHY_BYTES,
                 "cannot make the folder %.500s: %s; set TMPDIR, or name one "
                 "with --data",
                 data->folder, strerror(errno));
    }
    return err;
}

int bench_data_make(struct bench_data *data, const char *asked, char why[BENCH_WHY_BYTES]) {
    *data = (struct bench_data){.ours = false};
    if (asked == NULL) {
        return make_new(data, why);
    }
    snprintf(data->folder, sizeof data->folder, "%s", asked);
    if (folder_make(data->folder) != 0 || look(data) != 0) {
        snprintf(why, BENCH_WHY_BYTES, "cannot make the folder %.500s: %s", data->folder,
                 strerror(errno));
        return TROTH_ERR_SYSTEM;
    }
    if (!folder_is_empty(data->folder)) {
        snprintf(why, BENCH_WHY_BYTES, "the folder %.500s is not empty; name another",
                 data->folder);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

void bench_data_end(struct bench_data *data, bool keep) {
    if (data->ours && !keep) {
        folder_remove(data->folder);
        data->ours = false;
    }
}
