#include "coordinator/detector.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A longer interval is an outage, not a rhythm: it would make the next one go unnoticed. */
#define INTERVAL_MAX_MS 10000
/* No threshold is so patient with anybody. */
#define DUE_MAX_MS 3600000

void detector_init(struct detector *detector, const struct detector_options *options) {
    memset(detector, 0, sizeof *detector);
    detector->options = *options;
    struct detector_options *o = &detector->options;
    o->heartbeat_ms = o->heartbeat_ms == 0 ? 100 : o->heartbeat_ms;
    o->pause_ms = o->pause_ms == 0 ? 300 : o->pause_ms;
    o->deviation_min_ms = o->deviation_min_ms == 0 ? 50 : o->deviation_min_ms;
}

void detector_reset(struct detector *detector) {
    struct detector_options options = detector->options;
    detector_init(detector, &options);
}

static void add_interval(struct detector *detector, uint32_t interval_ms) {
    if (detector->n == DETECTOR_WINDOW) {
        uint64_t oldest = detector->intervals_ms[detector->next];
        detector->sum -= oldest;
        detector->sum_of_squares -= oldest * oldest;
    } else {
        detector->n++;
    }
    detector->intervals_ms[detector->next] = interval_ms;
    detector->next = (detector->next + 1) % DETECTOR_WINDOW;
    detector->sum += interval_ms;
    detector->sum_of_squares += (uint64_t)interval_ms * interval_ms;
}

void detector_heartbeat(struct detector *detector, int64_t at_ms) {
    if (!detector->heard) {
        /* The first one has no interval: what the peer says stands for it. */
        add_interval(detector, detector->options.heartbeat_ms);
        detector->heard = true;
        detector->heartbeat_ms = at_ms;
        detector->sign_ms = at_ms;
        return;
    }
    int64_t interval = at_ms - detector->heartbeat_ms;
    if (interval >= 0) {
        if (interval <= INTERVAL_MAX_MS) {
            add_interval(detector, (uint32_t)interval);
        }
        detector->heartbeat_ms = at_ms;
    }
    detector_sign(detector, at_ms);
}

void detector_sign(struct detector *detector, int64_t at_ms) {
    if (detector->heard && at_ms > detector->sign_ms) {
        detector->sign_ms = at_ms;
    }
}

void detector_excuse(struct detector *detector, int64_t late_ms, int64_t now_ms) {
    assert(late_ms >= 0);
    if (!detector->heard) {
        return;
    }
    int64_t sign = detector->sign_ms + late_ms;
    int64_t heartbeat = detector->heartbeat_ms + late_ms;
    detector->sign_ms = sign < now_ms ? sign : now_ms;
    detector->heartbeat_ms = heartbeat < now_ms ? heartbeat : now_ms;
}

double detector_phi(const struct detector *detector, int64_t now_ms) {
    if (!detector->heard) {
        return DETECTOR_PHI_MAX;
    }
    double n = detector->n;
    double mean = (double)detector->sum / n;
    double variance = (double)detector->sum_of_squares / n - mean * mean;
    double deviation = variance > 0 ? sqrt(variance) : 0;
    if (deviation < detector->options.deviation_min_ms) {
        deviation = detector->options.deviation_min_ms;
    }
    mean += detector->options.pause_ms;
    double silence = (double)(now_ms - detector->sign_ms);
    /* The normal distribution's tail by its logistic approximation, good to 1.4e-4 of P:
     * P(later) = e / (1 + e), e = exp(-y (1.5976 + 0.070566 y^2)). */
    double y = (silence - mean) / deviation;
    double e = exp(-y * (1.5976 + 0.070566 * y * y));
    double phi = y > 0 ? -log10(e / (1 + e)) : -log10(1 - 1 / (1 + e));
    /* Also an infinite phi, when P is too small for a double. */
    if (!(phi < DETECTOR_PHI_MAX)) {
        return DETECTOR_PHI_MAX;
    }
    return phi > 0 ? phi : 0;
}

int64_t detector_due_ms(const struct detector *detector, double threshold, int64_t now_ms) {
    int64_t before_ms = now_ms - 1;
    int64_t due_ms = now_ms + DUE_MAX_MS;
    if (detector_phi(detector, due_ms) < threshold) {
        return INT64_MAX;
    }
    /* The level only grows with the silence. */
    while (due_ms - before_ms > 1) {
        int64_t middle_ms = before_ms + (due_ms - before_ms) / 2;
        *(detector_phi(detector, middle_ms) < threshold ? &before_ms : &due_ms) = middle_ms;
    }
    return due_ms;
}

int64_t detector_age_ms(const struct detector *detector, int64_t now_ms) {
    if (!detector->heard) {
        return -1;
    }
    return now_ms > detector->heartbeat_ms ? now_ms - detector->heartbeat_ms : 0;
}
