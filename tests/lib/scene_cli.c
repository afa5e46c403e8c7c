#include "tests/lib/scene_cli.h"

#include <stdio.h>
#include <string.h>

#include "harness/programs.h"

#define ARGS_MAX 24

void scene_run_with(struct program_run *run, const char *nodes, const char *shards,
                    const char *const *args) {
    char program[PROGRAMS_PATH_BYTES];
    char why[512];
    const char *all[ARGS_MAX] = {"--nodes", nodes, "--shards", shards};
    size_t n = 4;
    for (; *args != NULL; args++) {
        ck_assert_uint_lt(n, ARGS_MAX - 1);
        all[n++] = *args;
    }
    ck_assert_msg(program_find(NULL, PROGRAM_TROTH, program, why, sizeof why) == 0, "%s", why);
    program_run(run, program, all);
}

void scene_run(struct program_run *out, int status, const char *const *args) {
    scene_run_with(out, cluster_nodes(scene_cluster()), cluster_shards(scene_cluster()), args);
    ck_assert_msg(out->status == status, "exit status %d instead of %d: %s", out->status, status,
                  out->output);
}

void scene_ends(int status, const char *const *args, const char *const *words) {
    struct program_run out;
    scene_run(&out, status, args);
    scene_has_words(out.output, words);
    program_run_release(&out);
}

void scene_prints(const char *const *args, const char *line) {
    struct program_run out;
    scene_run(&out, DONE, args);
    ck_assert_str_eq(out.output, line);
    program_run_release(&out);
}

struct json_object *scene_json(const char *const *args) {
    struct program_run out;
    scene_run(&out, DONE, args);
    struct json_object *object = json_tokener_parse(out.output);
    ck_assert_msg(object != NULL, "no JSON: %s", out.output);
    program_run_release(&out);
    return object;
}

struct json_object *json_member(struct json_object *object, const char *name) {
    struct json_object *value = NULL;
    ck_assert_msg(json_object_object_get_ex(object, name, &value), "no \"%s\" in %s", name,
                  json_object_to_json_string(object));
    return value;
}

struct json_object *json_find(struct json_object *array, const char *name, const char *text) {
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        struct json_object *object = json_object_array_get_idx(array, i);
        if (strcmp(json_object_get_string(json_member(object, name)), text) == 0) {
            return object;
        }
    }
    ck_abort_msg("no \"%s\": \"%s\" in %s", name, text, json_object_to_json_string(array));
}

void scene_cli_begin(unsigned node, char txid[SCENE_TXID_BYTES]) {
    struct program_run out;
    scene_run_with(&out, scene_node(node), cluster_shards(scene_cluster()),
                   WORDS("tx", "begin", "--open-ms", "600000"));
    ck_assert_msg(out.status == DONE, "exit status %d: %s", out.status, out.output);
    ck_assert_msg(strlen(out.output) == SCENE_TXID_BYTES && out.output[32] == '\n', "%s",
                  out.output);
    snprintf(txid, SCENE_TXID_BYTES, "%.32s", out.output);
    program_run_release(&out);
}
