/* SPDX-License-Identifier: MIT */
/* What VMX and SVM share: the vCPU's nested state, and the way an instruction asks whether it is intercepted.
 */
#include "cpu/nested/nested.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu/control.h"
#include "cpu/meanings.h"
#include "cpu/nested/second.h"

#define ACTIVE_NS 60000000000ull /* a VM entry at most this long ago */

static int take_trace(struct nested_state *n, const struct nested_trace *trace)
{
    n->trace = *trace;
    if (n->trace.ring)
        return 0;
    n->trace.ring = calloc(1, sizeof(*n->trace.ring));
    n->own_ring = true;
    return n->trace.ring ? 0 : -1;
}

int nested_new(struct cpu *c, const struct nested_trace *trace)
{
    bool vmx = cpu_has(c, FEAT_VMX), svm = cpu_has(c, FEAT_SVM);
    if (!vmx && !svm)
        return 0;
    c->nested = calloc(1, sizeof(*c->nested));
    if (!c->nested || take_trace(c->nested, trace))
        return -1;
    c->nested->translations = second_new();
    if (!c->nested->translations)
        return -1;
    c->nested->gif = true;
    c->nested->deadline = CLOCK_NEVER;
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
    if (c->nested->own_ring)
        free(c->nested->trace.ring);
    second_free(c->nested->translations);
    free(c->nested);
    c->nested = NULL;
}

void nested_reset(struct cpu *c)
{
    struct nested_state *n = c->nested;
    if (!n)
        return;
    n->guest = n->second = false;
    n->pdpte = NULL;
    n->gif = true;
    n->second_root = 0;
    n->asid = 0;
    second_flush_all(n->translations);
    __atomic_store_n(&n->entries, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&n->last_entry, 0, __ATOMIC_RELAXED);
    if (n->vmx)
        vmx_reset(c);
    if (n->svm)
        svm_reset(c);
    __atomic_store_n(&n->operation, false, __ATOMIC_RELAXED); /* EFER is cleared as well */
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
    second_flush_all(n->translations);
    int r = state_load(img, n->ops->state, c->index, vendor_state(n), err);
    nested_operation_changed(c);
    c->nested->trace_time = n->last_entry;
    return r;
}

enum outcome nested_load_pdptes(struct cpu *c, u64 cr0, u64 cr3, u64 cr4)
{
    if (likely(!nested_guest(c)) || !c->nested->pdpte || !(cr0 & CR0_PG) || !(cr4 & CR4_PAE) ||
        (c->efer & EFER_LME))
        return DONE;
    u64 e[4];
    struct second_access a = {.read = true, .table = true};
    struct second_found f;
    if (c->nested->ops->translate(c, cr3 & 0xffffffe0, &a, &f) != DONE)
        return FAULT;
    (void)space_read(c->memory, f.at, e, sizeof(e));
    for (unsigned i = 0; i < 4; i++)
        if ((e[i] & 1) && (e[i] & (0x1e6ull | physical_reserved(c))))
            return fault_gp0(c);
    memcpy(c->nested->pdpte, e, sizeof(e));
    return DONE;
}

bool nested_active(const struct cpu *c)
{
    const struct nested_state *n = c->nested;
    if (!n || !__atomic_load_n(&n->operation, __ATOMIC_RELAXED) ||
        !__atomic_load_n(&n->entries, __ATOMIC_RELAXED))
        return false;
    u64 last = __atomic_load_n(&n->last_entry, __ATOMIC_RELAXED), now = clock_now(c->clock);
    return now < last || now - last <= ACTIVE_NS; /* it may enter between the two readings */
}

void nested_operation_changed(struct cpu *c)
{
    bool on = c->nested->vmx ? vmx_operation(c) : svm_operation(c);
    __atomic_store_n(&c->nested->operation, on, __ATOMIC_RELAXED);
}

void nested_tell(struct cpu *c, enum nested_told kind, const char *fmt, ...)
{
    const struct nested_trace *t = &c->nested->trace;
    char text[256];
    va_list ap;
    if ((c->nested->told & kind) || !t->tell)
        return;
    c->nested->told |= kind;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    t->tell(t->opaque, c->index, text);
}

enum outcome nested_insn(struct cpu *c, const struct insn *in)
{
    enum outcome o = c->nested->ops->insn(c, in);
    return o == DONE ? meaning_plain(c, in)(c, in) : o;
}

void nested_view(const struct cpu *c, struct nested_view *out)
{
    const struct nested_state *n = c->nested;
    *out = (struct nested_view){.control = ~0ull};
    if (!n)
        return;
    out->entries = n->entries;
    if (n->vmx)
        vmx_view(c, out);
    else
        svm_view(c, out);
}
