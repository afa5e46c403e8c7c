#include "shell/mutex_checks.h"

#include <dlfcn.h>
#include <stdio.h>

/* Debian has a namespace of its own for each ABI of Abseil: debian3 in Debian 12. */
#define DEBIAN_LAST 20

/* void absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle), which C has no header for. */
#define FUNCTION "29SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE"
typedef void set_mode_fn(int mode);
#define IGNORE 0 /* absl::OnDeadlockCycle::kIgnore */

bool mutex_checks_off(void) {
    for (int i = 1; i <= DEBIAN_LAST; i++) {
        char space[16];
        char name[96];
        int n = snprintf(space, sizeof space, "debian%d", i);
        snprintf(name, sizeof name, "_ZN4absl%d%s" FUNCTION, n, space);
        void *found = dlsym(RTLD_DEFAULT, name);
        if (found != NULL) {
            set_mode_fn *set_mode;
            *(void **)&set_mode = found; /* POSIX's way: ISO C has no such conversion */
            set_mode(IGNORE);
            return true;
        }
    }
    return false;
}
