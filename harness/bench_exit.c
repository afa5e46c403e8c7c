#include "harness/bench_exit.h"

#include <stdio.h>

#include "base/troth_err.h"
#include "harness/demo_screen.h"

int bench_exit_status(int err, const char *why) {
    if (err == 0) {
        return 0;
    }
    screen_live_end();
    fprintf(stderr, "troth-bench: %s\n", why[0] == '\0' ? troth_err_text(err) : why);
    return err == TROTH_ERR_CORRUPT ? BENCH_EXIT_WRONG : BENCH_EXIT_NOT_RUN;
}
