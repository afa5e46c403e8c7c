#include "cli/cli.h"
#include "shell/mutex_checks.h"

int main(int argc, char **argv) {
    struct cli cli;
    mutex_checks_off();
    int status = cli_parse(&cli, &argc, argv);
    if (status < 0) {
        status = cli.command->run(&cli, argc, argv);
    }
    return cli_end(status);
}
