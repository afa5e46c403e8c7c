#include "cli/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const struct {
    const char *name;
    enum operation_type type;
    size_t words; /* behind the name */
    const char *form;
} forms[] = {
    {"get", OPERATION_GET, 1, "get KEY"},
    {"put", OPERATION_PUT, 2, "put KEY VALUE"},
    {"add", OPERATION_ADD, 2, "add KEY NUMBER"},
    {"delete", OPERATION_DELETE, 1, "delete KEY"},
    {"cas", OPERATION_CAS, 3, "cas KEY EXPECTED VALUE"},
};

/* Returns how many words it took, or 0 after an error. */
static size_t parse_one(struct operation *operation, const char *const *words, size_t n_words,
                        char *why, size_t why_bytes) {
    size_t i = 0;
    while (i < sizeof forms / sizeof *forms && strcmp(forms[i].name, words[0]) != 0) {
        i++;
    }
    if (i == sizeof forms / sizeof *forms) {
        snprintf(why, why_bytes, "\"%.64s\" is no operation; there are get, put, add, delete, cas",
                 words[0]);
        return 0;
    }
    if (n_words < 1 + forms[i].words) {
        snprintf(why, why_bytes, "\"%s\" lacks an argument: %s", words[0], forms[i].form);
        return 0;
    }
    *operation = (struct operation){.type = forms[i].type,
                                    .name = forms[i].name,
                                    .key = words[1],
                                    .value = words[forms[i].words]};
    if (operation->type == OPERATION_CAS) {
        operation->expected = words[2];
    }
    if (operation->type == OPERATION_ADD && !cli_number(words[2], &operation->delta)) {
        snprintf(why, why_bytes, "add %.64s: \"%.64s\" is no whole number", words[1], words[2]);
        return 0;
    }
    return 1 + forms[i].words;
}

int operations_parse(struct operations *operations, const char *const *words, size_t n_words,
                     char *why, size_t why_bytes) {
    *operations = (struct operations){0};
    if (n_words == 0) {
        snprintf(why, why_bytes, "there is no operation");
        return TROTH_ERR_INVALID;
    }
    operations->items = calloc(n_words, sizeof *operations->items);
    if (operations->items == NULL) {
        snprintf(why, why_bytes, "out of memory");
        return TROTH_ERR_NO_MEMORY;
    }
    for (size_t at = 0; at < n_words;) {
        if (operations->n == OPERATIONS_MAX) {
            snprintf(why, why_bytes, "more than %u operations", OPERATIONS_MAX);
            operations_release(operations);
            return TROTH_ERR_TOO_MANY;
        }
        size_t taken =
            parse_one(&operations->items[operations->n], &words[at], n_words - at, why, why_bytes);
        if (taken == 0) {
            operations_release(operations);
            return TROTH_ERR_INVALID;
        }
        operations->n++;
        at += taken;
    }
    return 0;
}

void operations_release(struct operations *operations) {
    free(operations->items);
    *operations = (struct operations){0};
}

long operations_split(char *script, const char **words, size_t max) {
    size_t n = 0;
    for (char *at = script; *at != '\0';) {
        if (strchr(" \t\r\n", *at) != NULL) {
            at++;
        } else if (*at == '#') {
            at += strcspn(at, "\n");
        } else {
            char *word = *at == '"' ? at + 1 : at;
            char *end = word + strcspn(word, *at == '"' ? "\"" : " \t\r\n");
            if (*at == '"' && *end == '\0') {
                return -1;
            }
            at = *end == '\0' ? end : end + 1;
            *end = '\0';
            if (n < max) {
                words[n] = word;
            }
            n++;
        }
    }
    return (long)n;
}
