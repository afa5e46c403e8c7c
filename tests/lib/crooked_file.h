/* crooked_file: the branches of tests/lib/crooked_switch.h in their file, a line each:
 *
 *     <formatID> <gtrid, hexadecimal> <bqual, the same> <state>
 *
 * States: active, idle, prepared; committed, aborted, lost; heurcom, heurrb, heurmix, heurhaz
 * (completed by itself, and listed until it is forgotten); forgotten.
 */
#ifndef TESTS_LIB_CROOKED_FILE_H
#define TESTS_LIB_CROOKED_FILE_H

#include <stddef.h>

#include "participant/adapters/xa.h"

#define CROOKED_STATE_BYTES 16

struct crooked_branch {
    XID xid;
    char state[CROOKED_STATE_BYTES];
};
struct crooked_file {
    int fd;
    struct crooked_branch *branches;
    size_t n;
};

/* Locks the file against all others, and reads it. 0, or -1: there is none. */
int crooked_open(struct crooked_file *file, const char *path);
/* NULL: not there. */
struct crooked_branch *crooked_find(struct crooked_file *file, const XID *xid);
/* Sets its state, or adds it. */
void crooked_set(struct crooked_file *file, const XID *xid, const char *state);
/* Writes and syncs it if `is_changed`; lets go of it. */
void crooked_close(struct crooked_file *file, int is_changed);

#endif
