/* SPDX-License-Identifier: MIT */
/* SVM: the vCPU's state, its life and its description. */
#include "cpu/nested/svm.h"

#include <stdlib.h>

#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/msr.h"

static const struct nested_ops svm_ops = {
    .name = "svm",
    .state = &svm_state_desc,
    .insn = svm_insn,
    .fault = svm_fault,
    .boundary = svm_boundary,
    .due = svm_due,
    .triple_fault = svm_triple_fault,
    .task_switch = svm_task_switch,
    .init = svm_init,
    .fpu_error = svm_fpu_error,
    .translate = npt_translate,
};

int svm_new(struct cpu *c)
{
    struct svm *s = calloc(1, sizeof(*s));
    if (!s)
        return -1;
    s->cpu = c;
    c->nested->svm = s;
    c->nested->ops = &svm_ops;
    return 0;
}

void svm_free(struct cpu *c)
{
    free(c->nested->svm);
}

void svm_reset(struct cpu *c)
{
    struct svm *s = c->nested->svm;
    memset(s, 0, sizeof(*s));
    s->cpu = c;
}

bool svm_operation(const struct cpu *c)
{
    return c->nested->guest || ((c->efer & EFER_SVME) && c->msr_store[MSR_SLOT_VM_HSAVE_PA]);
}

/* The MSR holds 8.32 fixed point. APM 2 15.30.5 */
u64 svm_tsc_ratio(const struct cpu *c)
{
    return c->msr_store[MSR_SLOT_TSC_RATIO] << 16;
}

struct vmcb *svm_vmcb(struct cpu *c, u64 pa)
{
    u64 len;
    if ((pa & (PAGE_SIZE - 1)) || (pa & physical_reserved(c)))
        return NULL;
    void *p = space_ram(c->memory, pa, &len);
    return p && len >= PAGE_SIZE ? p : NULL;
}

static void saving(void *obj)
{
    struct svm *s = obj;
    const struct nested_state *n = s->cpu->nested;
    s->guest = n->guest;
    s->gif = n->gif;
    s->entries = n->entries;
    s->last_entry = n->last_entry;
}

static int loaded(void *obj)
{
    struct svm *s = obj;
    struct cpu *c = s->cpu;
    struct nested_state *n = c->nested;
    u64 roots =
        s->host.cr3 | (svm_nested_paging(s) ? s->ctl.nested_cr3 : 0); /* else the field may hold anything */
    if (s->guest && (!svm_vmcb(c, s->vmcb) || (roots & physical_reserved(c))))
        return -1;
    n->guest = s->guest;
    n->gif = s->gif;
    n->entries = s->entries;
    n->last_entry = s->last_entry;
    if (s->guest)
        svm_set_nested(c);
    c->guest_tsc_offset = s->guest ? s->ctl.tsc_offset : 0;
    c->guest_tsc_ratio = s->guest ? svm_tsc_ratio(c) : TSC_RATIO_1;
    if (s->guest)
        svm_virtual_interrupt_changed(c);
    debug_registers_changed(c);
    cpu_mode_changed(c);
    return 0;
}

void svm_view(const struct cpu *c, struct nested_view *out)
{
    out->svm = true;
    out->operation = svm_operation(c);
    out->region = c->msr_store[MSR_SLOT_VM_HSAVE_PA];
    if (c->nested->guest)
        out->control = c->nested->svm->vmcb;
}

#define HOST_SEGMENT(n, i)                                                                                   \
    {"host." n ".base", offsetof(struct svm, host.seg[i].base), 8, 1},                                       \
        {"host." n ".limit", offsetof(struct svm, host.seg[i].limit), 4, 1},                                 \
        {"host." n ".attr", offsetof(struct svm, host.seg[i].attr), 4, 1},                                   \
    {                                                                                                        \
        "host." n ".sel", offsetof(struct svm, host.seg[i].sel), 2, 1                                        \
    }
#define PLAIN(f) STATE_FIELD(struct svm, f)

static const struct state_field fields[] = {
    PLAIN(guest),
    PLAIN(gif),
    PLAIN(entries),
    PLAIN(last_entry),
    PLAIN(vmcb),
    PLAIN(pause_left),
    PLAIN(pause_last),
    HOST_SEGMENT("es", 0),
    HOST_SEGMENT("cs", 1),
    HOST_SEGMENT("ss", 2),
    HOST_SEGMENT("ds", 3),
    PLAIN(host.gdtr.base),
    PLAIN(host.gdtr.limit),
    PLAIN(host.idtr.base),
    PLAIN(host.idtr.limit),
    PLAIN(host.efer),
    PLAIN(host.cr0),
    PLAIN(host.cr3),
    PLAIN(host.cr4),
    PLAIN(host.rflags),
    PLAIN(host.rip),
    PLAIN(host.rsp),
    PLAIN(host.rax),
    PLAIN(host.pat),
    PLAIN(host.branch.control),
    PLAIN(host.branch.from),
    PLAIN(host.branch.to),
    PLAIN(host.branch.event_from),
    PLAIN(host.branch.event_to),
    PLAIN(host.step),
    PLAIN(host.nmi_blocked),
    {"control", offsetof(struct svm, ctl), sizeof(struct vmcb_control), 1},
    STATE_END,
};

const struct state_desc svm_state_desc = {
    .name = "svm", .fields = fields, .saving = saving, .loaded = loaded};
