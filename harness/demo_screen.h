/* demo_screen: what the demo says, and how it waits: a live line on a terminal, plain lines
 * elsewhere; SIGINT, SIGTERM and SIGHUP are taken while it waits, and remembered. One thread.
 */
#ifndef HARNESS_DEMO_SCREEN_H
#define HARNESS_DEMO_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#define SCREEN_NUMBER_BYTES 32

/* Blocks the signals; call before any thread is started. */
void screen_setup(void);
/* A heading. */
void screen_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line that stays. */
void screen_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The live line: the last one is replaced on a terminal; elsewhere one is shown every 2 s. */
void screen_live(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the live line. */
void screen_live_end(void);
/* Bold on a terminal: the escape sequence, else "". */
const char *screen_bold(void);
const char *screen_plain(void);
/* Waits, or less when a signal comes. False once one has come. */
bool screen_wait_ms(int64_t ms);
bool screen_interrupted(void);
/* 1234567 as "1,234,567"; returns `text`. */
const char *screen_number(char text[SCREEN_NUMBER_BYTES], double value);

#endif
