#include "shell/std_fds.h"

#include <fcntl.h>
#include <unistd.h>

void std_fds_hold(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            /* The lowest number that is free, so this one. The wrong way round, so that it fails.
             */
            int way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
            (void)(open("/dev/null", way) == fd || open("/", O_RDONLY | O_DIRECTORY) == fd);
        }
    }
}
