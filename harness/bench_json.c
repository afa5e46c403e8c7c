#include "harness/bench_json.h"

#include <math.h>

#include "base/troth_err.h"

int bench_json_open(struct bench_json *json, const char *path) {
    *json = (struct bench_json){.out = NULL};
    if (path == NULL) {
        return 0;
    }
    json->out = fopen(path, "we");
    if (json->out == NULL) {
        return TROTH_ERR_SYSTEM;
    }
    fputc('{', json->out);
    return 0;
}

static void quoted(FILE *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', out);
        }
        if ((unsigned char)*text < ' ') {
            fprintf(out, "\\u%04x", (unsigned)*text);
        } else {
            fputc(*text, out);
        }
    }
}

static void key(struct bench_json *json, const char *prefix, const char *name) {
    fputs(json->n++ == 0 ? "\n  \"" : ",\n  \"", json->out);
    quoted(json->out, prefix);
    fputs(prefix[0] == '\0' ? "" : "_", json->out);
    quoted(json->out, name);
    fputs("\": ", json->out);
}

void bench_json_number(struct bench_json *json, const char *prefix, const char *name,
                       double value) {
    if (json->out == NULL) {
        return;
    }
    key(json, prefix, name);
    if (isfinite(value)) {
        fprintf(json->out, "%.10g", value);
    } else {
        fputs("null", json->out);
    }
}

void bench_json_text(struct bench_json *json, const char *name, const char *value) {
    if (json->out == NULL) {
        return;
    }
    key(json, "", name);
    fputc('"', json->out);
    quoted(json->out, value);
    fputc('"', json->out);
}

int bench_json_close(struct bench_json *json) {
    if (json->out == NULL) {
        return 0;
    }
    fputs("\n}\n", json->out);
    int failed = ferror(json->out);
    failed = fclose(json->out) != 0 || failed;
    json->out = NULL;
    return failed ? TROTH_ERR_SYSTEM : 0;
}
