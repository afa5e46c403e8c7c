/* program_run: runs a real program to its end, for tests of what it says and of its exit status. */
#ifndef TESTS_LIB_PROGRAM_RUN_H
#define TESTS_LIB_PROGRAM_RUN_H

#include <stddef.h>
#include <stdint.h>

#define PROGRAM_RUN_MAX_MS 60000

struct program_run {
    int status;   /* the exit status; 1000 + signal when a signal ended it */
    char *output; /* standard output and error */
};

/* Runs `program` with `args`, which NULL ends, in a group of its own. It must end by itself within
 * PROGRAM_RUN_MAX_MS; else it is killed and the test fails. program_run_release frees. */
void program_run(struct program_run *run, const char *program, const char *const *args);
void program_run_release(struct program_run *run);

/* The whole file as a string, to be freed; "" for one that is not there. */
char *file_text(const char *path);
void file_write(const char *path, const char *text);

#endif
