#include "participant/program.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/troth_err.h"
#include "shell/crash_point.h"
#include "shell/logline.h"
#include "shell/mutex_checks.h"
#include "shell/std_fds.h"

#define STOP_GRACE_MS 5000

extern const uint8_t troth_descriptor_set[];
extern const size_t troth_descriptor_set_size;

int program_answer(const char *name, enum settings_action action, void (*help)(FILE *out)) {
    switch (action) {
    case SETTINGS_HELP:
        help(stdout);
        return EXIT_SUCCESS;
    case SETTINGS_VERSION:
        printf("%s %s\n", name, TROTH_VERSION);
        return EXIT_SUCCESS;
    case SETTINGS_CRASH_POINTS:
        return crash_point_list(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    case SETTINGS_RUN:
        break;
    }
    return -1;
}

static sigset_t stopping(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

int program_set_up(const char *name, const char *participant, const char *log_level) {
    char who[80];
    char why[SETTINGS_WHY_BYTES];
    std_fds_hold();
    snprintf(who, sizeof who, "%s[%s]", name, participant);
    logline_setup(who, (enum logline_level)logline_level_parse(log_level));
    mutex_checks_off();
    if (crash_point_arm(why) != 0) {
        logline(LOGLINE_ERROR, "%s", why);
        return PROGRAM_BAD_ARGUMENT;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write over the limit fails as on a full disk */
    /* All threads inherit the mask, so that only sigwait gets them. */
    sigset_t set = stopping();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return 0;
}

int program_listen(struct program *p, const char *listen) {
    int err = rpc_new(&p->rpc, &(struct rpc_options){.threads = 1, .driven = p->driven});
    if (err == 0) {
        err = rpc_server_new(&p->server, p->rpc, listen);
    }
    if (err != 0) {
        snprintf(p->why, PROGRAM_WHY_BYTES,
                 "cannot listen on %.300s: %s; another process may have the port: stop it, or "
                 "give another --listen",
                 listen, troth_err_text(err));
        return err;
    }
    size_t host_n = (size_t)(strrchr(listen, ':') - listen);
    snprintf(p->endpoint, sizeof p->endpoint, "%.*s:%d", (int)host_n, listen,
             rpc_server_port(p->server));
    return 0;
}

int program_serve(struct program *p) {
    int err = rpc_server_standard(p->server, troth_descriptor_set, troth_descriptor_set_size);
    if (err == 0) {
        err = rpc_server_start(p->server);
    }
    if (err != 0) {
        snprintf(p->why, PROGRAM_WHY_BYTES, "cannot serve: %s", troth_err_text(err));
    }
    return err;
}

int program_run(const struct program *p, int err) {
    if (err != 0) {
        logline(LOGLINE_ERROR, "%s", p->why);
        return EXIT_FAILURE;
    }
    int number;
    sigset_t set = stopping();
    printf("%s: %s is ready at %s\n", p->name, p->participant, p->endpoint);
    fflush(stdout);
    sigwait(&set, &number);
    logline(LOGLINE_INFO, "stops on signal %d", number);
    rpc_server_set_serving(p->server, false); /* while there is somebody to tell it */
    return EXIT_SUCCESS;
}

void program_stop(struct program *p) {
    if (p->server != NULL) {
        rpc_server_stop(p->server, STOP_GRACE_MS);
    }
}

void program_release(struct program *p) {
    rpc_server_free(p->server);
    rpc_free(p->rpc);
}
