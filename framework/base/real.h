// real: the floating-point type of tensors and kernels. float in the program; double when the same sources
// are compiled with -DRUNEXP_FP64, the build in which gradients are checked by central differences.
#ifndef RUNEXP_BASE_REAL_H
#define RUNEXP_BASE_REAL_H

#ifdef RUNEXP_FP64
typedef double real;
#else
typedef float real;
#endif

#endif
