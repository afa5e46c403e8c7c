/* ax_reg and ax_unreg: what a resource manager with dynamic registration (TMREGISTER) calls when
 * somebody works in it, to hear which branch the work is for (X/Open C193, 3.3.2).
 *
 * No thread of this library's ever works in a branch: it prepares and ends what others did. So the
 * answer is always the null XID, "no global transaction". They are weak, for a program that holds
 * another transaction manager, whose own count.
 */
#include <string.h>

#include "participant/adapters/xa.h"

__attribute__((weak)) int ax_reg(int rmid, XID *xid, long flags) {
    (void)rmid;
    if (xid == NULL || flags != TMNOFLAGS) {
        return TMER_INVAL;
    }
    memset(xid, 0, sizeof *xid);
    xid->formatID = -1;
    return TM_OK;
}

__attribute__((weak)) int ax_unreg(int rmid, long flags) {
    (void)rmid;
    return flags == TMNOFLAGS ? TM_OK : TMER_INVAL;
}
