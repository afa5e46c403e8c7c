/* tx_process_internal: what tx_process.c and tx_manager.c share; for nobody else. */
#ifndef CLIENT_TX_PROCESS_INTERNAL_H
#define CLIENT_TX_PROCESS_INTERNAL_H

#include "client/tx/tx_agent.h"
#include "client/tx/tx_process.h"

struct tx_process {
    struct tx_config config;
    struct troth *troth;
    /* By resource: one of the two. */
    struct troth_database *databases[TX_RESOURCES_MAX];
    struct tx_agent *agents[TX_RESOURCES_MAX];
    unsigned holders;
};

/* Waits, with growing pauses, until `is_done` says so or the time is over: false. */
typedef bool tx_is_done_fn(void *arg);
bool tx_wait_until(tx_is_done_fn *is_done, void *arg, uint32_t timeout_ms);

#endif
