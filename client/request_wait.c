/* request_wait: the end of a request as an event that a thread waits for. */
#include "client/request.h"

static void wake(const struct request_end *end, struct request_answer *answer) {
    struct request_wait *wait = end->arg;
    pthread_mutex_lock(&wait->mutex);
    *wait->answer = *answer;
    answer->branches = NULL;
    wait->is_over = true;
    pthread_cond_signal(&wait->over);
    pthread_mutex_unlock(&wait->mutex);
}

void request_wait_init(struct request_wait *wait, struct request_answer *answer) {
    *wait = (struct request_wait){.end = {.fn = wake, .arg = wait}, .answer = answer};
    pthread_mutex_init(&wait->mutex, NULL);
    pthread_cond_init(&wait->over, NULL);
}

int request_wait_end(struct request_wait *wait) {
    pthread_mutex_lock(&wait->mutex);
    while (!wait->is_over) {
        pthread_cond_wait(&wait->over, &wait->mutex);
    }
    pthread_mutex_unlock(&wait->mutex);
    pthread_cond_destroy(&wait->over);
    pthread_mutex_destroy(&wait->mutex);
    return wait->answer->err;
}

int request_run(struct troth *t, const struct request_what *what, struct request_answer *answer) {
    struct request_wait wait;
    request_wait_init(&wait, answer);
    request_start(t, what, &wait.end);
    return request_wait_end(&wait);
}
