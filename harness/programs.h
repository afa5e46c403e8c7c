/* programs: where Troth's programs are: in the build folder that this program is part of, or all in
 * one folder when they are installed. No path is known beforehand.
 */
#ifndef HARNESS_PROGRAMS_H
#define HARNESS_PROGRAMS_H

#include <stddef.h>

#define PROGRAMS_PATH_BYTES 4096

enum program { PROGRAM_TROTHD, PROGRAM_SHARD, PROGRAM_TROTH, PROGRAM_AGENT };

/* Looks in `bin_dir`; if that is NULL in $TROTH_BIN_DIR; if that is not set in the folder of the
 * running program and in those above it. Writes the program's path. TROTH_ERR_NOT_FOUND: it is not
 * built; `why` says where it was looked for. */
int program_find(const char *bin_dir, enum program program, char path[PROGRAMS_PATH_BYTES],
                 char *why, size_t why_bytes);

#endif
