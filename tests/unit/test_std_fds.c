/* std_fds: what is opened later never gets the number of a standard stream. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell/std_fds.h"
#include "tests/lib/suite.h"

/* In a child, since this process's streams are the test's. Its exit status: 0, or what is wrong. */
static int try_without(unsigned closed) {
    char byte = 0;
    for (int fd = 0; fd < 3; fd++) {
        if ((closed & 1u << fd) != 0) {
            close(fd);
        }
    }
    std_fds_hold();
    for (int fd = 0; fd < 3; fd++) {
        if ((closed & 1u << fd) != 0) {
            ssize_t n = fd == 0 ? read(fd, &byte, 1) : write(fd, &byte, 1);
            if (n >= 0 || errno != EBADF) {
                return 1;
            }
        }
    }
    return open("/dev/null", O_RDWR) > STDERR_FILENO ? 0 : 2;
}

START_TEST(whichever_are_closed_their_numbers_are_given_to_nothing_else_and_fail) {
    for (unsigned closed = 0; closed < 8; closed++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            _exit(try_without(closed));
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        ck_assert_msg(WEXITSTATUS(status) == 0, "closed %u: %d", closed, WEXITSTATUS(status));
    }
}
END_TEST

int main(void) {
    return suite_run(
        "std_fds",
        (const TTest *[]){whichever_are_closed_their_numbers_are_given_to_nothing_else_and_fail,
                          NULL});
}
