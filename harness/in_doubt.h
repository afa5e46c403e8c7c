/* in_doubt: which branches are in doubt at the shards, read from the shards' own files.
 *
 * A branch is in doubt from its vote *prepared* until the shard has carried the outcome out; so
 * long it holds its locks. The shard's database says so itself, in the view troth_in_doubt.
 */
#ifndef HARNESS_IN_DOUBT_H
#define HARNESS_IN_DOUBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/txid.h"

struct in_doubt_branch {
    struct troth_txid txid;
    size_t database; /* index of the shard's */
};
struct in_doubt_list {
    struct in_doubt_branch *items;
    size_t n, room;
};

/* Opens the databases to read. TROTH_ERR_NO_MEMORY, _STORAGE (a database is not there). */
struct in_doubt;
int in_doubt_open(struct in_doubt **out, const char *const *databases, size_t n);
void in_doubt_close(struct in_doubt *in_doubt);
/* What is in doubt now and was begun at `node` (0: at any), into list, which is reused; in the
 * order of database and txid. TROTH_ERR_STORAGE, _NO_MEMORY. */
int in_doubt_read(struct in_doubt *in_doubt, uint16_t node, struct in_doubt_list *list);
bool in_doubt_has(const struct in_doubt_list *list, const struct in_doubt_branch *branch);
void in_doubt_list_release(struct in_doubt_list *list);

#endif
