#include "client/addresses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static bool is_host_port(const char *text, size_t n) {
    const char *colon = memrchr(text, ':', n);
    if (colon == NULL || colon == text) {
        return false;
    }
    /* "::1:7101" is an address of IPv6 without a port as well: so only "[::1]:7101". */
    bool in_brackets = text[0] == '[' && colon[-1] == ']';
    if (!in_brackets && memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return false;
    }
    size_t digits = n - (size_t)(colon + 1 - text);
    unsigned long port = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = colon[1 + i];
        if (c < '0' || c > '9' || i >= 5) {
            return false;
        }
        port = port * 10 + (unsigned long)(c - '0');
    }
    return digits > 0 && port > 0 && port <= 65535 && memchr(text, '=', n) == NULL &&
           strcspn(text, " \t/") >= n;
}

static int parse_one(struct address *address, const char *text, size_t n, bool named, char *why,
                     size_t why_bytes) {
    int shown = n > 200 ? 200 : (int)n;
    size_t name_n = 0;
    if (named) {
        const char *equals = memchr(text, '=', n);
        name_n = equals == NULL ? 0 : (size_t)(equals - text);
        if (name_n == 0 || name_n >= ADDRESSES_NAME_BYTES ||
            strspn(text, NAME_CHARACTERS) < name_n) {
            snprintf(why, why_bytes,
                     "\"%.*s\" is no shard: write name=host:port, the name 1 to 47 characters of "
                     "A-Z a-z 0-9 . _ -",
                     shown, text);
            return TROTH_ERR_INVALID;
        }
        memcpy(address->name, text, name_n);
        name_n++;
    }
    if (n - name_n >= ADDRESSES_HOST_BYTES || !is_host_port(text + name_n, n - name_n)) {
        snprintf(why, why_bytes,
                 "\"%.*s\" is no address: write host:port, or [host]:port of IPv6, for instance %s",
                 shown, text, named ? "a=127.0.0.1:7201" : "127.0.0.1:7101");
        return TROTH_ERR_INVALID;
    }
    memcpy(address->host_port, text + name_n, n - name_n);
    return 0;
}

static bool is_taken(const struct addresses *addresses, const struct address *address, bool named) {
    for (size_t i = 0; i < addresses->n; i++) {
        const struct address *other = &addresses->items[i];
        if (named ? strcmp(other->name, address->name) == 0
                  : strcmp(other->host_port, address->host_port) == 0) {
            return true;
        }
    }
    return false;
}

int addresses_parse(struct addresses *addresses, const char *text, bool named, size_t max,
                    char *why, size_t why_bytes) {
    *addresses = (struct addresses){0};
    size_t items = 1;
    for (const char *p = strchr(text, ','); p != NULL; p = strchr(p + 1, ',')) {
        items++;
    }
    if (items > max) {
        snprintf(why, why_bytes, "%zu addresses are more than the limit of %zu", items, max);
        return TROTH_ERR_TOO_MANY;
    }
    addresses->items = calloc(items, sizeof *addresses->items);
    if (addresses->items == NULL) {
        snprintf(why, why_bytes, "%s", troth_err_text(TROTH_ERR_NO_MEMORY));
        return TROTH_ERR_NO_MEMORY;
    }
    for (const char *at = text; at != NULL;) {
        at += strspn(at, " \t");
        size_t length = strcspn(at, ",");
        const char *next = at[length] == ',' ? at + length + 1 : NULL;
        while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t')) {
            length--;
        }
        struct address *address = &addresses->items[addresses->n];
        int err = parse_one(address, at, length, named, why, why_bytes);
        if (err == 0 && is_taken(addresses, address, named)) {
            snprintf(why, why_bytes, "\"%s\" is there twice",
                     named ? address->name : address->host_port);
            err = TROTH_ERR_INVALID;
        }
        if (err != 0) {
            addresses_release(addresses);
            return err;
        }
        addresses->n++;
        at = next;
    }
    return 0;
}

void addresses_release(struct addresses *addresses) {
    free(addresses->items);
    *addresses = (struct addresses){0};
}
