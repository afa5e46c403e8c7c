#include "tests/lib/history_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/program_run.h"

void history_fixture_open(struct history_fixture *h, struct fixture *f, const char *test,
                          enum history_format format) {
    char why[HISTORY_WHY_BYTES];
    const char *folder = getenv("TROTH_HISTORY");
    size_t n = strlen(test);
    if (n > 3 && strcmp(test + n - 3, "_fn") == 0) {
        n -= 3; /* START_TEST added it */
    }
    if (folder != NULL) {
        mkdir(folder, 0777); /* it may be there */
    }
    snprintf(h->path, sizeof h->path, "%s/%.*s.%s",
             folder == NULL ? cluster_data(f->cluster) : folder, (int)n, test,
             format == HISTORY_EDN ? "edn" : "jsonl");
    int err = history_open(&h->history, h->path, format, why);
    fixture_must(f, err == 0, "%s", why);
}

static void run_check(struct program_run *run, const char *path, int64_t total) {
    char number[24];
    const char *args[] = {CHECK_HISTORY, path, NULL, NULL, NULL};
    if (total != 0) {
        snprintf(number, sizeof number, "%lld", (long long)total);
        args[2] = "--total";
        args[3] = number;
    }
    program_run(run, "/usr/bin/python3", args);
}

void history_fixture_check(struct history_fixture *h, struct fixture *f, int64_t total) {
    struct program_run run;
    int err = history_close(h->history);
    fixture_must(f, err == 0, "the history is incomplete");
    run_check(&run, h->path, total);
    fixture_must(f, run.status == 0, "exit status %d: %s", run.status, run.output);
    printf("%s", run.output);
    program_run_release(&run);
}

void history_file_is(const char *path, int64_t total, int status, const char *word) {
    struct program_run run;
    run_check(&run, path, total);
    ck_assert_msg(run.status == status && strstr(run.output, word) != NULL, "exit status %d: %s",
                  run.status, run.output);
    program_run_release(&run);
}
