/* Clients in another language, that know nothing of Troth's but what the servers tell them. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/db_dump.h"
#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

START_TEST(a_foreign_client_commits_with_what_it_learns_by_reflection) {
    struct program_run run;
    program_run(&run, "/usr/bin/python3",
                (const char *[]){TROTH_SOURCE_DIR "/tests/integration/interop.py", "--nodes",
                                 cluster_nodes(scene_cluster()), "--shards",
                                 cluster_shards(scene_cluster()), NULL});
    ck_assert_msg(run.status == 0, "%s", run.output);
    free(scene_snapshot()); /* waits until the shards have it on disk */
    /* It printed the txid of its last transaction, which is what it wrote. */
    for (unsigned i = 0; i < 2; i++) {
        char *value = db_text(cluster_database(scene_cluster(), CLUSTER_SHARD, i),
                              "SELECT value FROM kv_text WHERE key = 'interop'");
        ck_assert_uint_eq(strlen(value), SCENE_TXID_BYTES - 1);
        ck_assert_msg(strstr(run.output, value) != NULL, "%s is not in %s", value, run.output);
        free(value);
    }
    program_run_release(&run);
    scene_serves();
}
END_TEST

int main(void) {
    const TTest *const tests[] = {a_foreign_client_commits_with_what_it_learns_by_reflection, NULL};
    return scene_suite_run("interop", &(struct scene_options){.nodes = 3, .shards = 2}, tests);
}
