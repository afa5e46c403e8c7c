/* tx_thread: a thread of control: its state, its sessions, its transaction. */
#ifndef CLIENT_TX_THREAD_H
#define CLIENT_TX_THREAD_H

#include "client/tx/tx.h"
#include "client/tx/tx_process.h"
#include "client/tx/tx_states.h"

struct tx_thread {
    enum tx_state state;
    struct tx_process *process; /* NULL: not open */
    struct tx_session *sessions[TX_RESOURCES_MAX];
    size_t n_sessions;
    struct tx_flow flow;
    COMMIT_RETURN when_return;
    TRANSACTION_TIMEOUT timeout_s; /* of the next transaction */
    char why[TX_WHY_BYTES];
};

/* The calling thread's; made when there is none. NULL: out of memory. */
struct tx_thread *tx_thread_self(void);
/* NULL: this thread has made no tx_* call. */
struct tx_thread *tx_thread_known(void);

/* Opens the process and all sessions, or none. TX_OK, TX_ERROR, TX_FAIL with thread->why. */
int tx_thread_open(struct tx_thread *thread);
/* Closes what is open; a transaction that is under way is rolled back. */
int tx_thread_close(struct tx_thread *thread);
/* NULL: none of that name. */
struct tx_session *tx_thread_session(struct tx_thread *thread, const char *resource);

#endif
