#include "tests/lib/program_run.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/process.h"

char *file_text(const char *path) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t n = 0;
    FILE *copy = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(copy);
    for (int c = file == NULL ? EOF : fgetc(file); c != EOF; c = fgetc(file)) {
        fputc(c, copy);
    }
    fclose(copy);
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

void file_write(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

void program_run(struct program_run *run, const char *program, const char *const *args) {
    static struct process process; /* large */
    char log[] = "/tmp/troth-run-XXXXXX";
    int status = 0;
    int fd = mkstemp(log);
    ck_assert_int_ge(fd, 0);
    close(fd);
    process = (struct process){.pid = 0};
    snprintf(process.program, sizeof process.program, "%s", program);
    snprintf(process.log, sizeof process.log, "%s", log);
    for (; *args != NULL; args++) {
        ck_assert_int_eq(process_add_arg(&process, *args), 0);
    }
    ck_assert_int_eq(process_start(&process), 0);
    int err = process_wait(&process, PROGRAM_RUN_MAX_MS, &status);
    process_release(&process);
    run->output = file_text(log);
    unlink(log);
    ck_assert_msg(err == 0, "%s did not end by itself: %s", program, run->output);
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void program_run_release(struct program_run *run) {
    free(run->output);
    run->output = NULL;
}
