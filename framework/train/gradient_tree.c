#include "train/gradient_tree.h"

#include "base/memory.h"
#include "kernels/kernels.h"

// Adding a group's gradients to another's costs as much as computing those of some tens of tokens: with
// groups of this size, about one percent of a step.
enum { LEAST_TOKENS_OF_A_GROUP = 2048 };

int gradient_tree_groups(int passes, size_t tokens) {
    const size_t most = tokens / LEAST_TOKENS_OF_A_GROUP;
    int groups = passes < GRADIENT_TREE_MOST_GROUPS ? passes : GRADIENT_TREE_MOST_GROUPS;
    if (most < (size_t)groups) groups = (int)most;
    return groups > 1 ? groups : 1;
}

// How many levels of additions there are: log2 of the groups, rounded up.
static int levels(int groups) {
    int count = 0;
    while (1 << count < groups) count++;
    return count;
}

status gradient_tree_open(gradient_tree *t, int passes, int groups, size_t reals, error *err) {
    *t = (gradient_tree){.passes = passes, .groups = groups, .reals = reals};
    for (int i = 0; i < levels(groups); i++)
        TRY(memory_planned_alloc((void **)&t->spare[i], reals * sizeof(real),
                                 "gradients of groups of passes", err));
    return OK;
}

void gradient_tree_free(gradient_tree *t) {
    for (int i = 0; i < GRADIENT_TREE_DEPTH; i++) memory_planned_free(t->spare[i], t->reals * sizeof(real));
    *t = (gradient_tree){0};
}

size_t gradient_tree_bytes(const gradient_tree *t) {
    return (size_t)levels(t->groups) * t->reals * sizeof(real);
}

int gradient_tree_first_pass(const gradient_tree *t, int group) {
    return (int)((int64_t)t->passes * group / t->groups);
}

// The left part of a node is the largest power of two that leaves something on the right.
status gradient_tree_sum(const gradient_tree *t, int first, int count, gradient_of_group *leaf, void *with,
                         real *into, error *err) {
    if (count == 1) return leaf(with, first, into, err);
    const int level = levels(count) - 1, left = 1 << level;
    TRY(gradient_tree_sum(t, first, left, leaf, with, into, err));
    TRY(gradient_tree_sum(t, first + left, count - left, leaf, with, t->spare[level], err));
    kernels->add(t->reals, into, t->spare[level], into);
    return OK;
}
