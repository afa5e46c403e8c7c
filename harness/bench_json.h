/* bench_json: one flat JSON object, written key by key. */
#ifndef HARNESS_BENCH_JSON_H
#define HARNESS_BENCH_JSON_H

#include <stdio.h>

struct bench_json {
    FILE *out;
    unsigned n;
};

/* NULL as path: nothing is written, and nothing fails. TROTH_ERR_SYSTEM (errno). */
int bench_json_open(struct bench_json *json, const char *path);
/* The key is `prefix` and `name` with "_" between them; without it when prefix is "". What is no
 * number in JSON (infinite, none) is null. */
void bench_json_number(struct bench_json *json, const char *prefix, const char *name, double value);
void bench_json_text(struct bench_json *json, const char *name, const char *value);
/* TROTH_ERR_SYSTEM: something could not be written. */
int bench_json_close(struct bench_json *json);

#endif
