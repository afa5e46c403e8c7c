/* Finding an XA switch in a shared object. */
#include "participant/adapters/xa_load.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

/* ---- The symbol ------------------------------------------------------------------------------ */

enum symbol_kind { SYMBOL_SWITCH, SYMBOL_POINTER, SYMBOL_FUNCTION, SYMBOL_TOO_SMALL };

/* The dynamic linker knows a symbol's type and size. Where it doesn't, the symbol is what the
 * specification wants it to be. */
static enum symbol_kind symbol_kind(const void *address, size_t *bytes) {
    Dl_info info;
    void *entry = NULL;
    *bytes = 0;
    if (dladdr1(address, &info, &entry, RTLD_DL_SYMENT) == 0 || entry == NULL ||
        info.dli_saddr != address) {
        return SYMBOL_SWITCH;
    }
    const ElfW(Sym) *symbol = entry;
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    *bytes = symbol->st_size;
    if (type == STT_FUNC || type == STT_GNU_IFUNC) {
        return SYMBOL_FUNCTION;
    }
    if (type != STT_OBJECT || *bytes == 0 || *bytes >= sizeof(struct xa_switch_t)) {
        return SYMBOL_SWITCH;
    }
    return *bytes == sizeof(void *) ? SYMBOL_POINTER : SYMBOL_TOO_SMALL;
}

static const struct xa_switch_t *call_for_switch(void *address) {
    struct xa_switch_t *(*function)(void);
    memcpy(&function, &address, sizeof function); /* ISO C has no cast for it */
    return function();
}

static int resolve(const struct xa_switch_t **out, const char *name, void *address, bool is_call,
                   char why[DRIVER_WHY_BYTES]) {
    size_t bytes;
    enum symbol_kind kind = symbol_kind(address, &bytes);
    if (is_call != (kind == SYMBOL_FUNCTION)) {
        snprintf(why, DRIVER_WHY_BYTES, "\"%s\" is %s", name,
                 is_call ? "not a function; leave out the \"()\""
                         : "a function; if it returns a pointer to the xa_switch_t, add \"()\"");
        return TROTH_ERR_INVALID;
    }
    switch (kind) {
    case SYMBOL_SWITCH:
        *out = address;
        break;
    case SYMBOL_POINTER:
        memcpy(out, address, sizeof *out);
        break;
    case SYMBOL_FUNCTION:
        *out = call_for_switch(address);
        break;
    case SYMBOL_TOO_SMALL:
        snprintf(why, DRIVER_WHY_BYTES,
                 "\"%s\" has %zu bytes, an xa_switch_t has %zu: a library made for a long of 32 "
                 "bits? (IBM MQ's for 64 have \"64\" in their names)",
                 name, bytes, sizeof(struct xa_switch_t));
        return TROTH_ERR_INVALID;
    }
    if (*out == NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "\"%s\" gives no xa_switch_t: NULL", name);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

/* ---- The switch ------------------------------------------------------------------------------ */

static bool is_text(const char name[RMNAMESZ]) {
    size_t n = strnlen(name, RMNAMESZ);
    for (size_t i = 0; i < n; i++) {
        if (name[i] < ' ' || name[i] > '~') {
            return false;
        }
    }
    return n > 0 && n < RMNAMESZ;
}

int xa_check_switch(const struct xa_switch_t *xa, const char *name, char why[DRIVER_WHY_BYTES]) {
    if (!is_text(xa->name)) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "\"%s\" is no xa_switch_t: its first 32 bytes are not a resource manager's name",
                 name);
        return TROTH_ERR_INVALID;
    }
    if (xa->version != 0) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "the switch \"%s\" (%s) has version %ld; the XA specification has only 0", name,
                 xa->name, xa->version);
        return TROTH_ERR_INVALID;
    }
    const char *missing = xa->xa_open_entry == NULL       ? "xa_open"
                          : xa->xa_close_entry == NULL    ? "xa_close"
                          : xa->xa_prepare_entry == NULL  ? "xa_prepare"
                          : xa->xa_commit_entry == NULL   ? "xa_commit"
                          : xa->xa_rollback_entry == NULL ? "xa_rollback"
                          : xa->xa_recover_entry == NULL  ? "xa_recover"
                          : xa->xa_forget_entry == NULL   ? "xa_forget"
                                                          : NULL;
    if (missing != NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "the switch \"%s\" (%s) has no %s", name, xa->name,
                 missing);
        return TROTH_ERR_INVALID;
    }
    return 0;
}

int xa_load(const struct xa_switch_t **out, const char *library, const char *symbol,
            char why[DRIVER_WHY_BYTES]) {
    char name[XA_SYMBOL_BYTES];
    size_t n = strlen(symbol);
    bool is_call = n > 2 && strcmp(symbol + n - 2, "()") == 0;
    n -= is_call ? 2 : 0;
    if (n == 0 || n >= sizeof name) {
        snprintf(why, DRIVER_WHY_BYTES, "\"%.100s\" can't be the name of a symbol", symbol);
        return TROTH_ERR_INVALID;
    }
    memcpy(name, symbol, n);
    name[n] = '\0';
    if (library[0] == '\0') { /* which dlopen takes for this program itself */
        snprintf(why, DRIVER_WHY_BYTES, "no library with the switch \"%s\" is given", name);
        return TROTH_ERR_INVALID;
    }
    /* Lazy: a library may want functions for dynamic registration, or of a product's other parts,
     * which no call of ours reaches. */
    void *handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        snprintf(why, DRIVER_WHY_BYTES,
                 "cannot load the library with the switch: %.350s; give its path, or set "
                 "LD_LIBRARY_PATH for what it needs",
                 dlerror());
        return TROTH_ERR_INVALID;
    }
    void *address = dlsym(handle, name);
    int err = TROTH_ERR_INVALID;
    if (address == NULL) {
        snprintf(why, DRIVER_WHY_BYTES, "\"%s\" has no symbol \"%s\"", library, name);
    } else {
        err = resolve(out, name, address, is_call, why);
    }
    dlclose(handle);
    return err != 0 ? err : xa_check_switch(*out, name, why);
}
