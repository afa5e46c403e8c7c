/* crash_plan: how the matrix brings a process to each crash point that is listed, or why it can't.
 *
 * The plan and the list (shell/crash_points.h) have the same points; test_crash_plan fails when one
 * lacks a point of the other, so that no new point stays untried.
 */
#ifndef TESTS_CRASH_CRASH_PLAN_H
#define TESTS_CRASH_CRASH_PLAN_H

#include <stdbool.h>

#include "shell/crash_points.h"

enum crash_way {
    CRASH_BY_FORMING,    /* the first start of a new cluster */
    CRASH_BY_START,      /* any start */
    CRASH_BY_LOAD,       /* the bank, and what is stirred in beside it */
    CRASH_BY_STOP,       /* SIGTERM */
    CRASH_BY_LEADING,    /* node 3 takes over from node 1, which is killed */
    CRASH_BY_FOLLOWING,  /* the same of node 2, and node 1 only promises; it returns */
    CRASH_BY_FORGETTING, /* with a short retention */
    CRASH_BY_RECOVERY,   /* a start with prepared branches */
    CRASH_BY_CLIENT,     /* a client of its own */
    CRASH_NOT,           /* see `reason` */
};

struct crash_plan {
    enum crash_program program;
    const char *stage;
    const char *which;
    enum crash_way way;
    const char *reason; /* why the bank can't reach it */
};
extern const struct crash_plan crash_plans[];
extern const size_t crash_plans_n;

/* The plan of the row; NULL: there is none. */
const struct crash_plan *crash_plan_of(const struct crash_points_row *row);

#endif
