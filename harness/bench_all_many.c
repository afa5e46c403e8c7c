#include <stdio.h>

#include "base/troth_err.h"
#include "harness/bench_all.h"
#include "harness/bench_many.h"
#include "harness/demo_screen.h"
#include "harness/folder.h"

static struct bench_middle once(double value) {
    return (struct bench_middle){.median = value, .least = value, .most = value};
}

/* Once each: both take long, and neither is a matter of chance. */
int bench_all_many(struct bench_all *all, char why[BENCH_WHY_BYTES]) {
    char folder[BENCH_PATH_BYTES + 64], millions[SCREEN_NUMBER_BYTES];
    uint64_t n = all->args->open;
    double bytes = 0;
    struct bench_recovery recovery;
    screen_step("%s transactions at one node: open, then undecided at its start",
                screen_number(millions, (double)n));
    int err = bench_many_open(bench_all_folder(all, "open", folder), n, &bytes, why);
    if (err == 0) {
        folder_remove(folder);
        err = bench_many_recover(bench_all_folder(all, "recover", folder), n, &recovery, why);
    }
    screen_live_end();
    if (err != 0) {
        return err;
    }
    folder_remove(folder);
    printf("  open: %.0f bytes each; undecided: the node serves after %.1f s, and all have an "
           "outcome after %.1f s\n",
           bytes, recovery.ready_s, recovery.resolved_s);
    bench_json_number(all->json, "", "open_transactions", (double)n);
    bench_json_number(all->json, "", "recover_ready_s", recovery.ready_s);
    bench_all_add(all, "bytes_per_open_tx", "memory of one node for each open transaction, bytes",
                  once(bytes), BENCH_AT_MOST, 1024);
    bench_all_add(all, "recover_1m_s", "start with 1,000,000 undecided, until all are decided, s",
                  once(recovery.resolved_s), BENCH_AT_MOST, 5);
    return 0;
}
