/* mutex_checks: gRPC's mutexes without the search for deadlocks.
 *
 * Abseil, whose mutexes gRPC takes, keeps a graph of which were held when another was taken, and
 * looks for circles at each. Its authors leave that out of builds for production; Debian's has it,
 * and it takes some 5 % of all the CPU time of a program that does little else than to send and
 * receive. It is for gRPC's tests: whether our use finds a deadlock there is not ours to see.
 *
 * The setting is the process's, so it is for our programs, never for the libraries.
 */
#ifndef SHELL_MUTEX_CHECKS_H
#define SHELL_MUTEX_CHECKS_H

#include <stdbool.h>

/* Ends the search, from now on. False: there is none in this program, as far as we can tell; then
 * nothing is changed. */
bool mutex_checks_off(void);

#endif
