// Random matrices with orthonormal rows.
#ifndef RUNEXP_GRAPH_ORTHOGONAL_H
#define RUNEXP_GRAPH_ORTHOGONAL_H

#include "base/real.h"

#include <stdint.h>

// Writes `gain` times a rows x columns matrix (rows <= columns) that is uniform among those of orthonormal
// rows (Haar): normal numbers of stream (seed, RNG_INIT, site), made orthonormal one row after the other.
void orthogonal_rows(uint64_t seed, uint32_t site, int rows, int columns, double gain, real *out);

#endif
