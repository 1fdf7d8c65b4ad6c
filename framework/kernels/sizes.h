// Arithmetic of sizes: whole numbers, none negative where there is a multiple or a divisor.
#ifndef RUNEXP_KERNELS_SIZES_H
#define RUNEXP_KERNELS_SIZES_H

static inline int smaller(int a, int b) {
    return a < b ? a : b;
}

static inline int larger(int a, int b) {
    return a > b ? a : b;
}

static inline int divide_up(int n, int by) {
    return (n + by - 1) / by;
}

static inline int round_up(int n, int multiple) {
    return divide_up(n, multiple) * multiple;
}

static inline int round_down(int n, int multiple) {
    return n / multiple * multiple;
}

#endif
