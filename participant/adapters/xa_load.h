/* xa_load: opens the shared object of a resource manager and finds its switch.
 *
 * `symbol` is what the product's documentation names: an xa_switch_t ("xaosw"), a pointer to one
 * (Db2's are: told by the symbol's size), or, written "name()", a function without arguments that
 * returns such a pointer ("db2xacicst()"). A function is called only when it is written so.
 */
#ifndef ADAPTERS_XA_LOAD_H
#define ADAPTERS_XA_LOAD_H

#include "participant/adapters/driver.h"
#include "participant/adapters/xa.h"

#define XA_SYMBOL_BYTES 256

/* The switch is the library's, which stays loaded for as long as the process: such libraries have
 * threads and thread-local data, and don't survive being unloaded. TROTH_ERR_INVALID: no such file,
 * symbol, or what it names is no switch; `why` says which. */
int xa_load(const struct xa_switch_t **out, const char *library, const char *symbol,
            char why[DRIVER_WHY_BYTES]);
/* Whether it can be used; `name` is for messages. TROTH_ERR_INVALID. */
int xa_check_switch(const struct xa_switch_t *xa, const char *name, char why[DRIVER_WHY_BYTES]);

#endif
