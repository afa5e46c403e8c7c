/* foreign_scene: a Troth cluster of one node and two shards, and a transaction manager that is not
 * Troth (foreign_tm), which drives the shards by their XA switch. All in one process but the
 * node and the shards.
 */
#ifndef TESTS_LIB_FOREIGN_SCENE_H
#define TESTS_LIB_FOREIGN_SCENE_H

#include "client/xa/troth_xa.h"
#include "tests/lib/cluster_fixture.h"
#include "tests/lib/foreign_tm.h"

#define SCENE_SHARDS  2u
#define SCENE_SOON_MS 300 /* for what must not come: a lock that is held */

extern struct fixture f;
extern struct foreign_tm tm;

/* Opens the resource managers in this thread, too. */
void scene_open(void);
void scene_close(void);

/* A key of this test that Troth's clients, too, have on that shard; until the next call of its
 * kind with the same shard. */
const char *scene_key(unsigned shard);
/* In the branch with which this thread is associated at the shard; the error of troth_kv_*. */
int scene_put(unsigned shard, const char *key, const char *value);
int scene_add(unsigned shard, const char *key, int64_t delta);
/* "": there is none, or it can't be read now, in the branch; until the next call. */
const char *scene_get(unsigned shard, const char *key);
/* What the shard's file has under the key; NULL: nothing. Until the next call. */
const char *scene_on_disk(unsigned shard, const char *key);
/* Whether somebody holds the key. */
bool scene_is_locked(unsigned shard, const char *key);
/* Waits until the switch reaches the shard again, which has restarted. */
void scene_reach(unsigned shard);
/* Branches in doubt at the shard. */
int scene_in_doubt(unsigned shard);

#endif
