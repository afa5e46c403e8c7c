/* fuzz_text: all that reads text from outside takes any text: configuration files, the language of
 * `troth kv txn`, the participants in a record of the decision log, txids. Samples are mangled at
 * random, always in the same way; what is worth most is what the sanitizers see. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/troth_err.h"
#include "base/txid.h"
#include "cli/operations.h"
#include "coordinator/config.h"
#include "coordinator/node_log_record.h"
#include "participant/shard/config.h"
#include "tests/lib/suite.h"

#define ROUNDS     4000u
#define TEXT_BYTES 2000u
#define WORDS_MAX  64u

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t roll(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

/* A copy of the sample with a few changes, of its exact size, without a NUL inside. */
static char *mangle(const char *sample) {
    static const char telling[] = "\n\t \"\\=[]{},;:#0123456789-.eE\xff";
    char text[TEXT_BYTES + 1];
    size_t n = strlen(sample);
    memcpy(text, sample, n + 1);
    for (uint32_t changes = roll(6); changes > 0 && n > 0; changes--) {
        size_t at = roll((uint32_t)n);
        size_t length = 1 + roll(40);
        uint32_t kind = roll(4);
        if (kind == 0) {
            text[at] = (char)(1 + roll(255));
        } else if (kind == 1) {
            text[at] = telling[roll(sizeof telling - 1)];
        } else if (kind == 2) { /* cut out */
            length = length < n - at ? length : n - at;
            memmove(text + at, text + at + length, n - at - length + 1);
            n -= length;
        } else { /* repeat */
            length = length < n - at ? length : n - at;
            length = n + length < TEXT_BYTES ? length : 0;
            memmove(text + at + length, text + at, n - at + 1);
            n += length;
        }
    }
    char *copy = strdup(text);
    ck_assert_ptr_nonnull(copy);
    return copy;
}

/* ---- Configuration ------------------------------------------------------------------------- */

static const char *const configurations[] = {
    "[trothd]\ncluster = troth\nnode = 2\nnodes = 1=127.0.0.1:7101,2=[::1]:7102,\n"
    "        3=host.example:7103\nlisten = 0.0.0.0:7102 ; all\nheartbeat_ms = 100\n"
    "# a comment\nlog_level = debug\nretention-ms = 600000\n",
    "[troth-shard]\nname = shard-1\nlisten = 127.0.0.1:0\nnodes = 127.0.0.1:7101,127.0.0.1:7102\n"
    "data = /var/lib/troth\ncluster = troth\nlog_level = info\n",
    "cluster = a\n",
};

static void write_over(int fd, const char *text) {
    size_t n = strlen(text);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(pwrite(fd, text, n, 0), (ssize_t)n);
}

START_TEST(any_text_is_a_configuration_or_is_explained) {
    char path[32];
    unsigned good = 0;
    int fd = memfd_create("configuration", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    char *const args[] = {path, (char *)(uintptr_t) "--config", path, NULL};
    for (uint32_t i = 0; i < ROUNDS; i++) {
        static struct config config;
        static struct shard_config shard;
        enum config_action action;
        enum settings_action shard_action;
        char why[CONFIG_WHY_BYTES];
        char shard_why[SETTINGS_WHY_BYTES];
        char *text = mangle(configurations[i % 3]);
        write_over(fd, text);
        int err = config_read(&config, 3, args, &action, why);
        good += err == 0;
        ck_assert(err == 0 || (err == TROTH_ERR_INVALID && why[0] != '\0'));
        ck_assert(err != 0 || (config.node <= config.nodes && config.nodes % 2 == 1));
        err = shard_config_read(&shard, 3, args, &shard_action, shard_why);
        ck_assert(err == 0 || (err == TROTH_ERR_INVALID && shard_why[0] != '\0'));
        free(text);
    }
    close(fd);
    ck_assert(good > 0 && good < ROUNDS);
}
END_TEST

/* ---- The command line's language ----------------------------------------------------------- */

START_TEST(any_text_is_a_list_of_operations_or_is_explained) {
    static const char sample[] = "get alice\nput \"a key\" 'a value' # a comment\n"
                                 "add bob -9223372036854775808\ndelete carol\ncas dave 1 2\n";
    unsigned good = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const char *words[WORDS_MAX];
        struct operations operations = {0};
        char why[200] = "";
        char *text = mangle(sample);
        long n = operations_split(text, words, WORDS_MAX);
        if (n >= 0 && n <= (long)WORDS_MAX) {
            int err = operations_parse(&operations, words, (size_t)n, why, sizeof why);
            good += err == 0;
            ck_assert(err == 0 || (err == TROTH_ERR_INVALID && why[0] != '\0'));
        }
        operations_release(&operations);
        free(text);
    }
    ck_assert(good > 0 && good < ROUNDS);
}
END_TEST

/* ---- The decision log ---------------------------------------------------------------------- */

START_TEST(any_text_is_the_participants_of_a_record_or_is_damaged) {
    static const char *const samples[] = {
        "[[\"shard-1\",4434034558849689,0,1],[\"shard-2\",4434034558849690,0,4]]",
        "[[\"a\",1,4294967295,3]]", "", "[[\"\\u0061\",1,0,1]]"};
    struct node_log_reader *reader = node_log_reader_new();
    unsigned good = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct acceptor record = {.promised = 3};
        char *text = mangle(samples[i % 4]);
        int err = node_log_record_read(reader, text, &record);
        ck_assert(err == 0 || err == TROTH_ERR_CORRUPT);
        ck_assert(err == 0 || record.set == NULL);
        if (err == 0 && node_log_record_is_sound(&record)) {
            good++;
            acceptor_check(&record);
        }
        acceptor_release(&record);
        free(text);
    }
    node_log_reader_free(reader);
    ck_assert(good > 0 && good < ROUNDS);
}
END_TEST

START_TEST(any_text_is_a_txid_or_leaves_it_as_it_was) {
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct troth_txid txid = {.hi = 7, .lo = 7};
        char back[TROTH_TXID_TEXT];
        char *text = mangle("00000001000000010000000000abcdef");
        if (troth_txid_parse(text, &txid) == 0) {
            ck_assert_int_eq(strcasecmp(troth_txid_format(txid, back), text), 0);
        } else {
            ck_assert(txid.hi == 7 && txid.lo == 7);
        }
        free(text);
    }
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        any_text_is_a_configuration_or_is_explained,
        any_text_is_a_list_of_operations_or_is_explained,
        any_text_is_the_participants_of_a_record_or_is_damaged,
        any_text_is_a_txid_or_leaves_it_as_it_was,
        NULL,
    };
    return suite_run("fuzz_text", tests);
}
