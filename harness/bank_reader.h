/* bank_reader: reads all balances of a bank in one transaction, again and again beside the
 * transfers, for the bank's history (load/history.h). Each read must see the same total.
 */
#ifndef HARNESS_BANK_READER_H
#define HARNESS_BANK_READER_H

#include <stdint.h>

#include "harness/bank_store.h"
#include "load/history.h"

struct bank_reader;
/* Starts a thread that is `process` in the history, and that many processes further each time that
 * it has crashed. What it is given must outlive it. TROTH_ERR_NO_MEMORY, _SYSTEM. */
int bank_reader_start(struct bank_reader **out, struct bank_store *store, struct history *history,
                      unsigned accounts, uint32_t process, uint32_t processes);
/* Ends it after a last read that committed, or 60 s without one, and frees it. Returns the process
 * that a later reader is to be. */
uint32_t bank_reader_stop(struct bank_reader *reader);

#endif
