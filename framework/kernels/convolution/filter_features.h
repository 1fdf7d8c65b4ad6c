// The features of a position that implicit filters begin with (arXiv 2302.10866, appendix D.3, with the
// frequencies and signs of the reference code): (t, cos f_1 w, .., cos f_K w, -sin f_1 w, .., -sin f_K w),
// where t goes from 0 to 1 over the grid, w = 2 pi position / grid, and f from 1e-4 to K - 1.
#ifndef RUNEXP_KERNELS_CONVOLUTION_FILTER_FEATURES_H
#define RUNEXP_KERNELS_CONVOLUTION_FILTER_FEATURES_H

#include <math.h>

// Frequency of a band of K, in turns over the grid.
static inline double filter_band(int band, int bands) {
    return bands > 1 ? 1e-4 + (bands - 1 - 1e-4) * band / (bands - 1) : 1e-4;
}

// One of an odd number of features.
static inline double filter_feature(int grid, int features, int position, int which) {
    const int bands = (features - 1) / 2;
    if (which == 0) return grid > 1 ? (double)position / (grid - 1) : 0;
    const double angle = filter_band((which - 1) % bands, bands) * 2 * M_PI * position / grid;
    return which <= bands ? cos(angle) : -sin(angle);
}

#endif
