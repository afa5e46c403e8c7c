/* std_fds: the numbers 0, 1 and 2 stay those of the standard streams.
 *
 * A program that is started with one of them closed (`trothd >&- 2>&-`) would give its number to
 * what it opens next: a socket, an eventfd of gRPC's, a database's lock. Its log lines would be
 * written into that. (What a library has opened before main keeps its number: gRPC 1.51 tries out
 * an eventfd then, and forgets it.)
 */
#ifndef SHELL_STD_FDS_H
#define SHELL_STD_FDS_H

/* For the begin of a program, before anything is opened that stays open. Those that are closed stay
 * of no use: what is read or written there fails with EBADF, as before. */
void std_fds_hold(void);

#endif
