/* SPDX-License-Identifier: MIT */
/* VMX: the vCPU's state and its place in the processor. */
#include "cpu/nested/nested.h"

#include <stdlib.h>

struct vmx {
    bool on;
};

int vmx_new(struct cpu *c)
{
    c->nested->vmx = calloc(1, sizeof(*c->nested->vmx));
    return c->nested->vmx ? 0 : -1;
}

void vmx_free(struct cpu *c)
{
    free(c->nested->vmx);
}

void vmx_reset(struct cpu *c)
{
    c->nested->vmx->on = false;
}

bool vmx_operation(const struct cpu *c)
{
    return c->nested->vmx->on;
}
