// For tests in double precision: gradients against central differences of the loss.
#ifndef RUNEXP_TESTS_SUPPORT_CENTRAL_DIFFERENCES_H
#define RUNEXP_TESTS_SUPPORT_CENTRAL_DIFFERENCES_H

#include "support/numbers.h"

#include "graph/parameters.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef double (*loss_function)(void *with);

// Compares set->gradients with differences of the loss: `entries` entries of each parameter drawn at random
// (all, when it has no more), and one random direction through all of them at once. limit is relative to
// the larger of 1 and the parameter's largest gradient. Says on stderr what is wrong.
static inline bool gradients_agree(const char *name, parameter_set *set, int entries, double limit,
                                   loss_function loss, void *with) {
    bool agree = true;
    const real *values = set->values;
    real *gradients =
        malloc(set->total * sizeof *gradients); // forward passes of losses write into the set's
    memcpy(gradients, set->gradients, set->total * sizeof *gradients);
    for (int k = 0; k < set->count; k++) {
        const parameter *p = set->items[k];
        const double scale = fmax(1, largest(p->count, gradients + p->offset));
        const rng_stream draw = {2024, RNG_DATA, (uint32_t)k, 8, 0};
        const bool all = p->count <= (size_t)entries;
        for (size_t n = 0; n < (all ? p->count : (size_t)entries); n++) {
            const size_t i = p->offset + (all ? n : (size_t)rng_below(&draw, n, p->count));
            const real before = values[i];
            const double h = 1e-5 * fmax(1, fabs((double)before));
            parameters_write(set)[i] = (real)((double)before + h);
            const double above = loss(with);
            parameters_write(set)[i] = (real)((double)before - h);
            const double below = loss(with);
            parameters_write(set)[i] = before;
            const double numeric = (above - below) / (2 * h);
            if (fabs(numeric - (double)gradients[i]) <= limit * scale) continue;
            fprintf(stderr, "%s: %s[%zu]: gradient %.12g, differences give %.12g\n", name, p->name,
                    i - p->offset, (double)gradients[i], numeric);
            agree = false;
            break;
        }
    }
    real *before = malloc(set->total * sizeof *before), *direction = malloc(set->total * sizeof *direction);
    memcpy(before, values, set->total * sizeof *before);
    double expected = 0;
    for (size_t i = 0; i < set->total; i++) {
        direction[i] = (real)test_normal(9, i);
        expected += (double)direction[i] * (double)gradients[i]; // padding has no gradient
    }
    const double h = 1e-6;
    for (size_t i = 0; i < set->total; i++) parameters_write(set)[i] = (real)(before[i] + h * direction[i]);
    const double above = loss(with);
    for (size_t i = 0; i < set->total; i++) parameters_write(set)[i] = (real)(before[i] - h * direction[i]);
    const double below = loss(with);
    memcpy(parameters_write(set), before, set->total * sizeof *before);
    const double numeric = (above - below) / (2 * h);
    if (!(fabs(numeric - expected) <= 1e-6 * fabs(expected) + 1e-8)) {
        fprintf(stderr, "%s: along a random direction: %.12g, differences give %.12g\n", name, expected,
                numeric);
        agree = false;
    }
    free(before);
    free(direction);
    free(gradients);
    return agree;
}

#endif
