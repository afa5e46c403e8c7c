/* args: what troth-sim is asked for. */
#ifndef TESTS_SIM_ARGS_H
#define TESTS_SIM_ARGS_H

#include "tests/sim/workers.h"

#define EXIT_BROKEN 1
#define EXIT_USAGE  2

struct args {
    struct workers_options many;
    bool one;   /* a single seed */
    bool range; /* --seeds was given */
    const char *only;
    const char *trace;
    const char *diagram;
    const char *json;
    uint32_t tx;
    bool no_shrink;
    bool coverage;
    bool costs;
    const char *wan;
};

/* Fills them over the defaults that are there; ends the program for --help and for what is wrong.
 */
void args_read(int argc, char **argv, struct args *args);
/* Says what is wrong with which value, and ends the program. */
_Noreturn void args_wrong(const char *what, const char *value);

#endif
