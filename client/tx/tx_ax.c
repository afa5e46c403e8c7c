/* ax_reg and ax_unreg (X/Open C193, 3.3, 5): a resource manager with dynamic registration asks for
 * which transaction it is being worked in, in the working thread. They take the place of the weak
 * ones in participant/adapters/xa_register.c. */
#include "client/tx/tx_session_xa.h"
#include "client/tx/tx_thread.h"

static struct tx_session *session_of(int rmid) {
    struct tx_thread *thread = tx_thread_known();
    for (size_t i = 0; thread != NULL && i < thread->n_sessions; i++) {
        struct tx_session *session = thread->sessions[i];
        if (session->resource->kind == TX_KIND_XA && tx_session_xa_rmid(session->index) == rmid) {
            return session;
        }
    }
    return NULL;
}

int ax_reg(int rmid, XID *xid, long flags) {
    if (xid == NULL || flags != TMNOFLAGS) {
        return TMER_INVAL;
    }
    struct tx_session *session = session_of(rmid);
    if (session == NULL) {
        /* One of the participant's own connections: no work of a transaction is done there. */
        *xid = (XID){.formatID = -1};
        return TM_OK;
    }
    return tx_session_xa_register(session, tx_states_in_transaction(tx_thread_known()->state), xid);
}

int ax_unreg(int rmid, long flags) {
    if (flags != TMNOFLAGS) {
        return TMER_INVAL;
    }
    struct tx_session *session = session_of(rmid);
    return session == NULL ? TM_OK : tx_session_xa_unregister(session);
}
