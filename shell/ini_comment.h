/* ini_comment: comments in the lines that continue a key's value.
 *
 * inih takes ` ;` for the begin of a comment in a key's first line, and in the indented lines after
 * it for a part of the value. Both of our readers cut it off there as well.
 */
#ifndef SHELL_INI_COMMENT_H
#define SHELL_INI_COMMENT_H

/* `line` as fgets gives it. */
static inline void ini_comment_cut(char *line) {
    if (line[0] != ' ' && line[0] != '\t') {
        return;
    }
    for (char *at = line + 1; *at != '\0'; at++) {
        if (*at == ';' && (at[-1] == ' ' || at[-1] == '\t')) {
            at[0] = '\n';
            at[1] = '\0';
            return;
        }
    }
}

#endif
