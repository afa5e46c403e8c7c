/* in_doubt: which branches are in doubt at the shards, read from the shards' own files; or at SQL
 * databases, which list what is prepared.
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
/* The same with lists from anywhere: `read` calls in_doubt_add for each branch that is in doubt at
 * a database, numbered from 0; `release` (may be NULL) lets go of `arg` at the end. On an error
 * `arg` stays the caller's. */
typedef int in_doubt_read_fn(void *arg, size_t database, struct in_doubt_list *list);
typedef void in_doubt_release_fn(void *arg);
int in_doubt_open_with(struct in_doubt **out, in_doubt_read_fn *read, in_doubt_release_fn *release,
                       void *arg, size_t n);
int in_doubt_add(struct in_doubt_list *list, struct troth_txid txid, size_t database);
void in_doubt_close(struct in_doubt *in_doubt);
/* What is in doubt now and was begun at `node` (0: at any), into list, which is reused; in the
 * order of database and txid. TROTH_ERR_STORAGE, _NO_MEMORY. */
int in_doubt_read(struct in_doubt *in_doubt, uint16_t node, struct in_doubt_list *list);
bool in_doubt_has(const struct in_doubt_list *list, const struct in_doubt_branch *branch);
void in_doubt_list_release(struct in_doubt_list *list);

#endif
