/* tx_session_xa: a session with a resource manager that has an XA switch, in a thread of control of
 * its own: xa_open, xa_start, xa_end, xa_prepare, and the ends that need no Troth.
 *
 * A switch with TMREGISTER says by itself when it is worked in (ax_reg, in tx_ax.c); what is never
 * worked in takes no part in the transaction.
 */
#ifndef CLIENT_TX_SESSION_XA_H
#define CLIENT_TX_SESSION_XA_H

#include "client/tx/tx_session.h"
#include "participant/adapters/xa.h"

/* NULL: out of memory. `cluster` is for XIDs. */
struct tx_session *tx_session_xa_new(const struct tx_resource *resource, size_t index,
                                     const char *cluster);
/* The number by which the resource manager knows this session: below XA_RMID_FIRST, where the
 * driver's begin. */
int tx_session_xa_rmid(size_t index);

/* ax_reg and ax_unreg of this session; `in_transaction`: the thread is. They answer as those do. */
int tx_session_xa_register(struct tx_session *session, bool in_transaction, XID *xid);
int tx_session_xa_unregister(struct tx_session *session);

#endif
