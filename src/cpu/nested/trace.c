/* SPDX-License-Identifier: MIT */
/* Records of nested events. Each is filled in place in the ring, then shown to the listener. */
#include "cpu/nested/trace.h"

#include "cpu/nested/svm.h"
#include "cpu/nested/vmx.h"

/* What a kind has for itself its caller fills. */
static struct nested_event *begin(struct cpu *c, enum nested_event_kind kind)
{
    const struct nested_state *n = c->nested;
    struct nested_ring *r = n->trace.ring;
    struct nested_event *e = &r->event[r->count++ % NESTED_RING_SIZE];
    e->time = n->trace_time;
    e->retired = c->retired;
    e->where = n->svm ? n->svm->vmcb : n->vmx->current;
    e->rip = c->rip;
    e->code = e->info1 = e->info2 = 0;
    e->vcpu = (u16)c->index;
    e->kind = kind;
    e->vendor = n->svm ? VENDOR_AMD : VENDOR_INTEL;
    e->depth = e->guest = e->length = e->more = 0;
    return e;
}

static void end(struct cpu *c, struct nested_event *e)
{
    const struct nested_trace *t = &c->nested->trace;
    if (likely(!(t->wanted >> e->kind & 1)))
        return;
    e->time = c->nested->trace_time = clock_now(c->clock);
    t->event(t->opaque, e);
}

void nested_entered(struct cpu *c, u64 event)
{
    struct nested_state *n = c->nested;
    __atomic_store_n(&n->entries, n->entries + 1, __ATOMIC_RELAXED);
    u64 now = clock_lately(c->clock);
    n->trace_time = now > n->trace_time ? now : n->trace_time;
    __atomic_store_n(&n->last_entry, n->trace_time, __ATOMIC_RELAXED);
    struct nested_event *e = begin(c, NESTED_ENTRY);
    e->code = event;
    end(c, e);
}

/* Of any other exit the chain would be old. */
static void set_chain(const struct cpu *c, struct nested_event *e, bool triple_fault)
{
    if (triple_fault)
        memcpy(e->chain, c->chain, sizeof(e->chain));
    else
        memset(e->chain, 0xff, sizeof(e->chain));
}
_Static_assert(sizeof(((struct cpu *)0)->chain) == NESTED_CHAIN, "a chain fits its record");

void nested_trace_vmx_exit(struct cpu *c, const struct vmx_exit *x)
{
    struct nested_event *e = begin(c, NESTED_EXIT);
    e->code = x->reason;
    e->info1 = x->qualification;
    e->info2 = x->physical;
    e->linear = x->linear;
    e->interruption = x->info | (u64)x->error << 32;
    e->vectoring = x->idt_info | (u64)x->idt_error << 32;
    e->length = (u8)x->length;
    e->insn_info = x->insn_info;
    set_chain(c, e, x->reason == EXIT_TRIPLE_FAULT);
    end(c, e);
}

void nested_trace_svm_exit(struct cpu *c, const struct svm_exit *x)
{
    struct nested_event *e = begin(c, NESTED_EXIT);
    e->code = x->code;
    e->info1 = x->info1;
    e->info2 = x->info2;
    e->linear = x->next_rip;
    e->interruption = 0;
    e->insn_info = 0;
    e->vectoring = x->int_info;
    e->length = x->insn_len;
    set_chain(c, e, x->code == SVM_EXIT_SHUTDOWN);
    end(c, e);
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = from ? strnlen(from, size - 1) : 0;
    memcpy(to, from ? from : "", n);
    to[n] = 0;
}

/* As the checks saw it. A VMCB is copied from memory once more: another vCPU may have changed it meanwhile.
 */
static void keep_failed(struct cpu *c, struct nested_event *e)
{
    const struct nested_state *n = c->nested;
    struct nested_failed *f = &n->trace.ring->failed;
    const void *page = n->svm ? (const void *)svm_vmcb(c, n->svm->vmcb) : n->vmx->v.f;
    if (!page)
        return;
    memcpy(f->page, page, n->svm ? sizeof(f->page) : sizeof(n->vmx->v.f));
    f->time = clock_now(c->clock);
    f->where = e->where;
    f->vendor = e->vendor;
    e->more = 1;
}

void nested_trace_vmfail(struct cpu *c, const char *insn, unsigned error, const char *check)
{
    struct nested_event *e = begin(c, NESTED_VMFAIL);
    e->code = error;
    copy_text(e->insn, sizeof(e->insn), insn);
    copy_text(e->why, sizeof(e->why), check);
    if (error == ERR_CONTROLS || error == ERR_HOST_STATE)
        keep_failed(c, e);
    end(c, e);
}

void nested_trace_refused(struct cpu *c, u64 code, u64 qualification, const char *why)
{
    struct nested_event *e = begin(c, NESTED_REFUSED);
    e->code = code;
    e->info1 = qualification;
    copy_text(e->why, sizeof(e->why), why);
    keep_failed(c, e);
    end(c, e);
}

void nested_trace_abort(struct cpu *c, u32 indicator)
{
    struct nested_event *e = begin(c, NESTED_ABORT);
    e->code = indicator;
    end(c, e);
}

static void record_fault(struct cpu *c, const struct fault *f)
{
    struct nested_event *e = begin(c, NESTED_FAULT);
    e->code = f->vector;
    e->info1 = f->error;
    e->info2 = f->cr2;
    e->more = f->has_error;
    e->guest = c->nested->guest;
    end(c, e);
}

/* There may be thousands between two exits: they would leave the ring nothing else. */
void nested_trace_guest_fault(struct cpu *c, const struct fault *f)
{
    if (c->nested->trace.wanted & BIT(NESTED_FAULT))
        record_fault(c, f);
}

enum outcome nested_trace_fault(struct cpu *c, enum outcome fault)
{
    if (c->nested)
        record_fault(c, &c->fault);
    return fault;
}

void nested_trace_walk(struct cpu *c, u64 code, u64 info1, u64 gpa, const u64 *entry, unsigned depth)
{
    struct nested_event *e = begin(c, NESTED_WALK);
    e->code = code;
    e->info1 = info1;
    e->info2 = gpa;
    e->depth = (u8)depth;
    for (unsigned i = 0; i < depth && i < NESTED_LEVELS; i++)
        e->entry[i] = entry[i];
    end(c, e);
}
