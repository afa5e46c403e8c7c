#include "harness/folder.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/troth_err.h"

int folder_make_temporary(char *path, size_t path_bytes) {
    const char *tmp = getenv("TMPDIR");
    snprintf(path, path_bytes, "%s/troth-XXXXXX", tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp);
    return mkdtemp(path) == NULL ? TROTH_ERR_SYSTEM : 0;
}

int folder_make(const char *path) {
    char part[4096];
    if (strlen(path) >= sizeof part) {
        errno = ENAMETOOLONG;
        return TROTH_ERR_SYSTEM;
    }
    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST) {
            return TROTH_ERR_SYSTEM;
        }
    }
    struct stat info;
    if (stat(path, &info) != 0) {
        return TROTH_ERR_SYSTEM;
    }
    errno = ENOTDIR;
    return S_ISDIR(info.st_mode) ? 0 : TROTH_ERR_SYSTEM;
}

bool folder_is_empty(const char *path) {
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return false;
    }
    int n = 0;
    while (n < 3 && readdir(folder) != NULL) {
        n++; /* . and .. */
    }
    closedir(folder);
    return n < 3;
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk) {
    (void)info;
    (void)flag;
    (void)walk;
    return remove(path);
}

void folder_remove(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
