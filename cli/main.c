#include "cli/cli.h"
#include "shell/mutex_checks.h"
#include "shell/std_fds.h"

int main(int argc, char **argv) {
    struct cli cli;
    std_fds_hold();
    mutex_checks_off();
    int status = cli_parse(&cli, &argc, argv);
    if (status < 0) {
        status = cli.command->run(&cli, argc, argv);
    }
    return cli_end(status);
}
