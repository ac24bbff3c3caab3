/* SPDX-License-Identifier: MIT */
/* SVM: the vCPU's state and its place in the processor. */
#include "cpu/nested/nested.h"

#include <stdlib.h>

struct svm {
    bool on;
};

int svm_new(struct cpu *c)
{
    c->nested->svm = calloc(1, sizeof(*c->nested->svm));
    return c->nested->svm ? 0 : -1;
}

void svm_free(struct cpu *c)
{
    free(c->nested->svm);
}

void svm_reset(struct cpu *c)
{
    c->nested->svm->on = false;
}

bool svm_operation(const struct cpu *c)
{
    return c->nested->svm->on;
}
