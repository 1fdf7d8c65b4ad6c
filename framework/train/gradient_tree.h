// The gradient of a training step: the sum over its passes, in an order that depends on shapes alone.
//
// The passes of a step are cut into groups of neighbours. Each group is summed from zero, pass after pass;
// the sums of the groups are added pairwise, in a binary tree over their numbers. So it does not matter who
// computes which group, or when: one process or several, the bits are the same.
#ifndef RUNEXP_TRAIN_GRADIENT_TREE_H
#define RUNEXP_TRAIN_GRADIENT_TREE_H

#include "base/error.h"
#include "base/real.h"

#include <stddef.h>

enum { GRADIENT_TREE_DEPTH = 6, GRADIENT_TREE_MOST_GROUPS = 1 << GRADIENT_TREE_DEPTH };

typedef struct gradient_tree {
    int passes, groups;
    size_t reals;                     // of a block of gradients
    real *spare[GRADIENT_TREE_DEPTH]; // one for each level of the tree: none for a single group
} gradient_tree;

// The number of groups for a step of `passes` passes over `tokens` tokens.
int gradient_tree_groups(int passes, size_t tokens);

// Memory for a tree of blocks of `reals` reals. ERR_MEMORY; free with gradient_tree_free in any case.
status gradient_tree_open(gradient_tree *t, int passes, int groups, size_t reals, error *err);
void gradient_tree_free(gradient_tree *t);
size_t gradient_tree_bytes(const gradient_tree *t);

// The first pass of a group; that of group `groups` is `passes`.
int gradient_tree_first_pass(const gradient_tree *t, int group);

// Computes the sum over the passes of one group into a block, overwriting it.
typedef status gradient_of_group(void *with, int group, real *into, error *err);

// Computes the sum over groups first .. first + count - 1, a subtree, into a block. Errors of `leaf` end
// it.
status gradient_tree_sum(const gradient_tree *t, int first, int count, gradient_of_group *leaf, void *with,
                         real *into, error *err);

#endif
