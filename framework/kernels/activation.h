// Activations and their derivatives on vectors.
#ifndef RUNEXP_KERNELS_ACTIVATION_H
#define RUNEXP_KERNELS_ACTIVATION_H

#include "kernels/kernels.h"
#include "kernels/vector_math.h"

// gelu's tanh approximation is x sigmoid(u), u = 2c(x + a x^3).
#define GELU_TWO_C ((real)1.59576912160573071176) // 2 sqrt(2/pi)
#define GELU_A ((real)0.044715)
#define INVERSE_SQRT_TWO_PI ((real)0.39894228040143267794)

static inline vec activation_value(activation act, vec x) {
    vec gaussian;
    switch (act) {
    case ACTIVATION_GELU:
        return x * vec_normal_cdf(x, &gaussian);
    case ACTIVATION_GELU_TANH:
        return x * vec_sigmoid(GELU_TWO_C * (x + GELU_A * x * x * x));
    case ACTIVATION_RELU:
        return vec_select(x < 0, (vec){0}, x);
    case ACTIVATION_RELU2:
        x = vec_select(x < 0, (vec){0}, x);
        return x * x;
    case ACTIVATION_SILU:
        return x * vec_sigmoid(x);
    case ACTIVATION_TANH:
        return vec_tanh(x);
    case ACTIVATION_SIGMOID:
        return vec_sigmoid(x);
    case ACTIVATION_NONE:
    case ACTIVATION_COUNT:
        break;
    }
    return x;
}

// Returns the value and sets *slope to the derivative.
static inline vec activation_slope(activation act, vec x, vec *slope) {
    vec y, gaussian, positive;
    switch (act) {
    case ACTIVATION_GELU:
        y = vec_normal_cdf(x, &gaussian);
        *slope = y + x * gaussian * INVERSE_SQRT_TWO_PI;
        return x * y;
    case ACTIVATION_GELU_TANH:
        y = vec_sigmoid(GELU_TWO_C * (x + GELU_A * x * x * x));
        *slope = y + x * y * (1 - y) * (GELU_TWO_C * (1 + 3 * GELU_A * x * x));
        return x * y;
    case ACTIVATION_RELU:
        *slope = vec_select(x > 0, vec_set(1), (vec){0});
        return vec_select(x < 0, (vec){0}, x);
    case ACTIVATION_RELU2:
        positive = vec_select(x < 0, (vec){0}, x);
        *slope = positive + positive;
        return positive * positive;
    case ACTIVATION_SILU:
        y = vec_sigmoid(x);
        *slope = y + x * y * (1 - y);
        return x * y;
    case ACTIVATION_TANH:
        y = vec_tanh(x);
        *slope = 1 - y * y;
        return y;
    case ACTIVATION_SIGMOID:
        y = vec_sigmoid(x);
        *slope = y * (1 - y);
        return y;
    case ACTIVATION_NONE:
    case ACTIVATION_COUNT:
        break;
    }
    *slope = vec_set(1);
    return x;
}

#endif
