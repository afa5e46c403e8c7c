/* trothd: one node of a cluster. See `trothd --help`. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "coordinator/config.h"
#include "coordinator/node.h"
#include "shell/crash_point.h"
#include "shell/logline.h"
#include "shell/mutex_checks.h"
#include "shell/std_fds.h"

/* The node has stopped by itself. Somebody else's SIGUSR2 must not end the signal thread: SIGTERM
 * would wait for ever. */
static atomic_bool over;

/* What the signal thread waits for; SIGUSR2 wakes it. */
static sigset_t waited_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR2);
    return set;
}

static void *wait_for_signals(void *arg) {
    struct node *node = arg;
    sigset_t set = waited_signals();
    int number;
    bool stopping = false;
    while (sigwait(&set, &number) == 0 && !atomic_load(&over)) {
        if (number == SIGUSR2) {
            continue;
        }
        if (stopping) {
            logline(LOGLINE_WARN, "a second signal: stopping at once");
            _exit(128 + number);
        }
        stopping = true;
        logline(LOGLINE_INFO, "stopping; a second signal stops at once");
        node_stop(node);
    }
    return NULL;
}

static int serve(const struct config *config) {
    char who[64];
    char why[NODE_WHY_BYTES];
    struct node *node;
    pthread_t signals;
    snprintf(who, sizeof who, "trothd[%u]", config->node);
    logline_setup(who, (enum logline_level)config->log_level);
    if (crash_point_arm(why) != 0) {
        logline(LOGLINE_ERROR, "%s", why);
        return NODE_EXIT_CONFIG;
    }
    /* A gone reader is an error of its write; so is a file at its size limit. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    /* Before any thread starts, so that all inherit it. */
    sigset_t set = waited_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL);

    int status = node_open(&node, config, why);
    if (status != 0) {
        logline(LOGLINE_ERROR, "%s", why);
        return status;
    }
    if (pthread_create(&signals, NULL, wait_for_signals, node) != 0) {
        logline(LOGLINE_ERROR, "cannot start a thread");
        node_free(node);
        return NODE_EXIT_FAILED;
    }
    status = node_run(node);
    atomic_store(&over, true);
    pthread_kill(signals, SIGUSR2);
    pthread_join(signals, NULL);
    node_free(node);
    return status;
}

int main(int argc, char *argv[]) {
    struct config config;
    enum config_action action;
    char why[CONFIG_WHY_BYTES];
    std_fds_hold();
    if (config_read(&config, argc, argv, &action, why) != 0) {
        fprintf(stderr, "trothd: %s\n", why);
        return NODE_EXIT_CONFIG;
    }
    switch (action) {
    case CONFIG_HELP:
        config_help(stdout);
        return 0;
    case CONFIG_VERSION:
        printf("trothd %s\n", TROTH_VERSION);
        return 0;
    case CONFIG_CHECK:
        config_print(&config, stdout);
        return 0;
    case CONFIG_CRASH_POINTS:
        return crash_point_list(stdout) == 0 ? 0 : NODE_EXIT_FAILED;
    case CONFIG_RUN:
        break;
    }
    mutex_checks_off();
    return serve(&config);
}
