// Random matrices with orthonormal rows or columns.
#ifndef RUNEXP_GRAPH_ORTHOGONAL_H
#define RUNEXP_GRAPH_ORTHOGONAL_H

#include "base/real.h"

#include <stdint.h>

// Writes `gain` times a rows x columns matrix that is uniform among those of orthonormal rows or, with more
// rows than columns, of orthonormal columns (Haar): normal numbers of stream (seed, RNG_INIT, site), made
// orthonormal one vector after the other.
void orthogonal_matrix(uint64_t seed, uint32_t site, int rows, int columns, double gain, real *out);

#endif
