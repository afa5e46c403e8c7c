#include "base/troth_err.h"

const char *troth_err_name(int err) {
    switch (err) {
    case TROTH_OK:
        return "OK";
#define TROTH_ERR_NAME(code, name, text)                                                           \
    case TROTH_ERR_##name:                                                                         \
        return #name;
        TROTH_ERRORS(TROTH_ERR_NAME)
#undef TROTH_ERR_NAME
    }
    return "?";
}

const char *troth_err_text(int err) {
    switch (err) {
    case TROTH_OK:
        return "no error";
#define TROTH_ERR_TEXT(code, name, text)                                                           \
    case TROTH_ERR_##name:                                                                         \
        return text;
        TROTH_ERRORS(TROTH_ERR_TEXT)
#undef TROTH_ERR_TEXT
    }
    return "no error of Troth's";
}
