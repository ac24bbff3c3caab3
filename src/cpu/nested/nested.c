/* SPDX-License-Identifier: MIT */
/* What VMX and SVM share: the vCPU's nested state, and the way an instruction asks whether it is intercepted.
 */
#include "cpu/nested/nested.h"

#include <stdlib.h>

#include "cpu/meanings.h"

#define ACTIVE_NS 60000000000ull /* a VM entry at most this long ago */

int nested_new(struct cpu *c)
{
    bool vmx = cpu_has(c, FEAT_VMX), svm = cpu_has(c, FEAT_SVM);
    if (!vmx && !svm)
        return 0;
    c->nested = calloc(1, sizeof(*c->nested));
    if (!c->nested)
        return -1;
    c->nested->gif = true;
    return vmx ? vmx_new(c) : svm_new(c);
}

void nested_free(struct cpu *c)
{
    if (!c->nested)
        return;
    if (c->nested->vmx)
        vmx_free(c);
    if (c->nested->svm)
        svm_free(c);
    free(c->nested);
    c->nested = NULL;
}

void nested_reset(struct cpu *c)
{
    struct nested_state *n = c->nested;
    if (!n)
        return;
    n->guest = n->second = false;
    n->gif = true;
    n->second_root = 0;
    n->asid = 0;
    n->entries = n->last_entry = 0;
    if (n->vmx)
        vmx_reset(c);
    if (n->svm)
        svm_reset(c);
}

static void *vendor_state(const struct nested_state *n)
{
    return n->svm ? (void *)n->svm : n->vmx;
}

void nested_save(struct cpu *c, struct state_image *img)
{
    const struct nested_state *n = c->nested;
    if (n && n->ops && n->ops->state)
        state_save(img, n->ops->state, c->index, vendor_state(n));
}

int nested_load(struct cpu *c, const struct state_image *img, struct err *err)
{
    const struct nested_state *n = c->nested;
    if (!n || !n->ops || !n->ops->state)
        return 0;
    return state_load(img, n->ops->state, c->index, vendor_state(n), err);
}

bool nested_active(struct cpu *c)
{
    const struct nested_state *n = c->nested;
    if (!n || !n->entries || clock_now(c->clock) - n->last_entry > ACTIVE_NS)
        return false;
    return n->vmx ? vmx_operation(c) : svm_operation(c);
}

enum outcome nested_insn(struct cpu *c, const struct insn *in)
{
    enum outcome o = c->nested->ops->insn(c, in);
    return o == DONE ? meaning_plain(c, in)(c, in) : o;
}
