// The machine: what a run tells about where it ran.
#ifndef RUNEXP_BASE_MACHINE_H
#define RUNEXP_BASE_MACHINE_H

#include <stddef.h>

// Physical cores that this process may use: its CPU set, hyper-threads of one core counted once, limited by
// the control group's quota. At least 1.
int machine_cores(void);

// Logical processors that this process may use, hyper-threads included, limited like the cores. At least 1.
int machine_processors(void);

// Model name of the processor and name of the host, in buffers of the caller; "unknown" when the system
// does not tell. Return buffer.
char *machine_cpu(char *buffer, size_t size);
char *machine_host(char *buffer, size_t size);

// Local time as "2026-01-31T12:34:56+0100". Returns buffer.
char *machine_time(char *buffer, size_t size);

#endif
