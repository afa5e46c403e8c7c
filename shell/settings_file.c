#include "shell/settings_file.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

#include "shell/ini_comment.h"

#define LINES_MAX 10000
/* A value, and its name. */
#define LINE_BYTES_MAX (SETTINGS_TEXT_BYTES + 64)

struct reading {
    const char *section;
    settings_key_fn *on_key;
    void *arg;
    FILE *file;
    unsigned line;       /* the one that was read last */
    unsigned error_line; /* 0: none so far */
    char why[SETTINGS_WHY_BYTES];
};

/* inih would cut a line that does not fit its buffer in two without a word. */
static char *read_line(char *line, int size, void *stream) {
    struct reading *reading = stream;
    /* One error is enough, and what never ends is no configuration. */
    char *got = reading->error_line != 0 ? NULL : fgets(line, size, reading->file);
    if (got == NULL) {
        return NULL;
    }
    if (++reading->line > LINES_MAX) {
        reading->error_line = reading->line;
        settings_explain(reading->why, "more than %d lines: this is no configuration", LINES_MAX);
        return NULL;
    }
    if (strlen(line) + 1 == (size_t)size && line[size - 2] != '\n') {
        reading->error_line = reading->line;
        settings_explain(reading->why,
                         "the line is too long; allowed are %d characters: give it as a flag",
                         size - 2);
    }
    ini_comment_cut(line);
    return got;
}

static int on_key(void *user, const char *section, const char *name, const char *value) {
    struct reading *reading = user;
    if (reading->error_line != 0) {
        return 0;
    }
    int err = 0;
    if (section[0] != '\0' && strcmp(section, reading->section) != 0) {
        err = settings_explain(reading->why, "unknown section [%.100s]; allowed is [%s], or none",
                               section, reading->section);
    } else {
        err = reading->on_key(reading->arg, name, value, reading->line, reading->why);
    }
    if (err != 0) {
        reading->error_line = reading->line;
    }
    return err == 0;
}

int settings_file_read(const char *path, const char *section, settings_key_fn *on_each, void *arg,
                       char why[SETTINGS_WHY_BYTES]) {
    struct reading reading = {
        .section = section, .on_key = on_each, .arg = arg, .file = fopen(path, "re")};
    if (reading.file == NULL) {
        return settings_explain(why, "cannot read the configuration %s: %s", path, strerror(errno));
    }
#ifdef TROTH_INIH_HAS_MAX_LINE /* Debian's; others have what they were built with */
    ini_max_line = LINE_BYTES_MAX;
#endif
    int line = ini_parse_stream(read_line, &reading, on_key, &reading);
    bool broken = ferror(reading.file) != 0;
    fclose(reading.file);
    if (reading.error_line != 0) {
        return settings_explain(why, "%.200s:%u: %s", path, reading.error_line, reading.why);
    }
    if (line != 0) {
        return settings_explain(why, "%s:%d: not of the form `name = value`", path, line);
    }
    return broken ? settings_explain(
                        why, "cannot read the configuration %s: it must be a file that can be read",
                        path)
                  : 0;
}
