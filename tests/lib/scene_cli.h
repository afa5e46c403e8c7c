/* scene_cli: the command `troth` against the cluster of a scene: what it prints, and its exit
 * status.
 */
#ifndef TESTS_LIB_SCENE_CLI_H
#define TESTS_LIB_SCENE_CLI_H

#include <json-c/json.h>

#include "tests/lib/program_run.h"
#include "tests/lib/scene.h"

/* The exit statuses that `troth --help` promises. */
enum { DONE = 0, NOT_DONE = 1, USAGE = 2, UNKNOWN = 3, NO_CONTACT = 4 };

#define WORDS(...) ((const char *[]){__VA_ARGS__, NULL})

/* Runs it with these lists of nodes and shards and these arguments; what it says is to be released
 * by the caller. */
void scene_run_with(struct program_run *run, const char *nodes, const char *shards,
                    const char *const *args);
/* With those of the cluster. It must end with this exit status. */
void scene_run(struct program_run *out, int status, const char *const *args);
/* The same, and what it prints has each of the words. */
void scene_ends(int status, const char *const *args, const char *const *words);
/* What it prints, and nothing else. */
void scene_prints(const char *const *args, const char *line);
/* What it prints as JSON; to be freed with json_object_put. */
struct json_object *scene_json(const char *const *args);
struct json_object *json_member(struct json_object *object, const char *name);
/* The array's object whose member `name` is this text. */
struct json_object *json_find(struct json_object *array, const char *name, const char *text);

/* `troth tx begin` at the node with this index. */
void scene_cli_begin(unsigned node, char txid[SCENE_TXID_BYTES]);

#endif
