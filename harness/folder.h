/* folder: the few things that the demo and the tests do with whole folders. */
#ifndef HARNESS_FOLDER_H
#define HARNESS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* Makes a new folder under $TMPDIR, else /tmp, and writes its path. TROTH_ERR_SYSTEM (errno). */
int folder_make_temporary(char *path, size_t path_bytes);
/* Makes it, and the folders above it, where they are not there. TROTH_ERR_SYSTEM (errno). */
int folder_make(const char *path);
/* True when it is there and has nothing in it. */
bool folder_is_empty(const char *path);
/* Removes it with all that is in it; follows no symbolic link. */
void folder_remove(const char *path);

#endif
