// The problems of an experiment: collected, then all reported at once, in the order of the file.
#ifndef RUNEXP_CONFIG_PROBLEMS_H
#define RUNEXP_CONFIG_PROBLEMS_H

#include "base/error.h"
#include "base/memory.h"
#include "config/node.h"

typedef struct problem {
    error what; // code ERR_CONFIG
    int order;
} problem;

typedef struct problems {
    problem *items;
    int count, capacity;
} problems;

// Adds a problem at a place. hint may be NULL.
void problem_add(problems *p, place where, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The place of a component's setting if the user wrote it, else of the component: for problems that are
// found only when the model is built ("heads does not divide width").
place problem_place(const node *settings, const char *key);

// Sorts by file, line and column and removes duplicates.
void problems_sort(problems *p);
void problems_free(problems *p);

#endif
