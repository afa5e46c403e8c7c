/* tx_process: what all threads of a program share: the configuration, the way to Troth, and for
 * each resource without an agent its participant, which votes and ends branches in this process.
 *
 * Opened by the first thread's tx_open, closed by the last one's tx_close. A participant has to be
 * one process at a time; programs that run as several name an `agent`.
 */
#ifndef CLIENT_TX_PROCESS_H
#define CLIENT_TX_PROCESS_H

#include "client/tx/tx_flow.h"

struct tx_process;
/* Opens it, or holds the one that is open. TX_OK, TX_ERROR, TX_FAIL with `why`. */
int tx_process_hold(struct tx_process **out, char why[TX_WHY_BYTES]);
/* The last one waits until branches of aborted transactions are rolled back, for a few seconds, and
 * closes. */
void tx_process_release(struct tx_process *process);

const struct tx_config *tx_process_config(const struct tx_process *process);
/* Whether the ends of all branches can be waited for: no resource has an agent, which would not say
 * when it is through. */
bool tx_process_completes(const struct tx_process *process);
/* Troth as a transaction sees it; the manager's `arg` is the process. */
extern const struct tx_manager tx_process_manager;

#endif
