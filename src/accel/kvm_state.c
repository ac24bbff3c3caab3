/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's state to and from KVM, whole (reset, saved machines) and in part (registers).
 *
 * Reset puts back what the vCPU was created with. The order of putting matters: IA32_APIC_BASE (in sregs)
 * before the local APIC, that before the TSC deadline (an MSR); the nested state behind the control registers
 * it is checked against and before RIP and RSP, which it changes. Documentation/virt/kvm/api.rst
 */
#include <errno.h>
#include <stddef.h>

#include "accel/kvm_parts.h"

#define MSR_CHUNK 128 /* a call takes fewer than 256 */

/* ---- MSRs ---- */

struct msr_chunk {
    struct kvm_msrs head;
    struct kvm_msr_entry entry[MSR_CHUNK];
};

/* How many were done: all, or the number of the refused one. */
static u32 move_msrs(struct accel_vcpu *v, unsigned long request, struct kvm_vcpu_state *s)
{
    for (u32 at = 0; at < s->msr_count;) {
        struct msr_chunk c = {0};
        u32 n = s->msr_count - at < MSR_CHUNK ? s->msr_count - at : MSR_CHUNK;
        c.head.nmsrs = n;
        for (u32 i = 0; i < n; i++)
            c.entry[i] = (struct kvm_msr_entry){.index = s->msr_index[at + i], .data = s->msr_value[at + i]};
        int done = kvm_call(v->fd, request, &c);
        for (u32 i = 0; done > 0 && i < (u32)done; i++)
            s->msr_value[at + i] = c.entry[i].data;
        if (done < (int)n)
            return at + (done > 0 ? (u32)done : 0);
        at += n;
    }
    return s->msr_count;
}

static void drop_msr(struct kvm_vcpu_state *s, u32 i)
{
    s->msr_count--;
    memmove(&s->msr_index[i], &s->msr_index[i + 1], (s->msr_count - i) * sizeof(s->msr_index[0]));
    memmove(&s->msr_value[i], &s->msr_value[i + 1], (s->msr_count - i) * sizeof(s->msr_value[0]));
}

/* VMX capabilities: they never change, and KVM takes them only outside VMX operation. */
enum { VMX_FIRST = 0x480, VMX_LAST = 0x493 };

/* Which of the MSRs KVM names can be read and, with what was read, written: those make up the state. */
int kvm_choose_msrs(struct accel_vcpu *v, struct err *err)
{
    struct accel_vm *vm = v->vm;
    struct kvm_vcpu_state *s = v->state;
    struct {
        struct kvm_msr_list head;
        u32 index[KVM_MSRS_MAX];
    } list = {.head.nmsrs = KVM_MSRS_MAX};
    if (kvm_want(vm->device, KVM_GET_MSR_INDEX_LIST, &list, "its list of MSRs", err))
        return -1;
    s->msr_count = list.head.nmsrs;
    memcpy(s->msr_index, list.index, s->msr_count * sizeof(u32));
    for (u32 i = s->msr_count; i--;)
        if (s->msr_index[i] >= VMX_FIRST && s->msr_index[i] <= VMX_LAST)
            drop_msr(s, i);
    for (u32 at; (at = move_msrs(v, KVM_GET_MSRS, s)) < s->msr_count;)
        drop_msr(s, at);
    for (u32 at; (at = move_msrs(v, KVM_SET_MSRS, s)) < s->msr_count;)
        drop_msr(s, at);
    vm->msr_count = s->msr_count;
    memcpy(vm->msr_index, s->msr_index, s->msr_count * sizeof(u32));
    return 0;
}

static int get_msrs(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err)
{
    s->msr_count = v->vm->msr_count;
    memcpy(s->msr_index, v->vm->msr_index, s->msr_count * sizeof(u32));
    u32 done = move_msrs(v, KVM_GET_MSRS, s);
    return done == s->msr_count
               ? 0
               : err_set(err, EXIT_STATUS_HOST, "engine kvm: MSR %#x cannot be read", s->msr_index[done]);
}

static int put_msrs(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err)
{
    u32 done = move_msrs(v, KVM_SET_MSRS, s);
    return done == s->msr_count ? 0
                                : err_set(err, EXIT_STATUS_HOST, "engine kvm: MSR %#x = %#llx is refused",
                                          s->msr_index[done], (unsigned long long)s->msr_value[done]);
}

/* ---- the whole ---- */

static int get_nested(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err)
{
    memset(s->nested, 0, sizeof(s->nested));
    if (!v->vm->nests)
        return 0;
    ((struct kvm_nested_state *)s->nested)->size = sizeof(s->nested);
    return kvm_want(v->fd, KVM_GET_NESTED_STATE, s->nested, "the nested state", err);
}

static int put_nested(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err)
{
    const struct kvm_nested_state *n = (const struct kvm_nested_state *)s->nested;
    if (!v->vm->nests || !n->size)
        return 0;
    return kvm_want(v->fd, KVM_SET_NESTED_STATE, s->nested, "the nested state", err);
}

int kvm_state_get(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err)
{
    bool xcrs = kvm_has(v->vm->device, KVM_CAP_XCRS);
    s->xcrs.nr_xcrs = 0;
    return kvm_want(v->fd, KVM_GET_MP_STATE, &s->mp_state, "the activity state", err) ||
                   kvm_want(v->fd, KVM_GET_REGS, &s->regs, "the registers", err) ||
                   kvm_want(v->fd, KVM_GET_SREGS, &s->sregs, "the segments", err) ||
                   kvm_want(v->fd, KVM_GET_XSAVE, s->xsave, "the vector state", err) ||
                   (xcrs && kvm_want(v->fd, KVM_GET_XCRS, &s->xcrs, "XCR0", err)) ||
                   kvm_want(v->fd, KVM_GET_DEBUGREGS, &s->debugregs, "the debug registers", err) ||
                   kvm_want(v->fd, KVM_GET_LAPIC, &s->lapic, "the local APIC", err) || get_msrs(v, s, err) ||
                   get_nested(v, s, err) ||
                   kvm_want(v->fd, KVM_GET_VCPU_EVENTS, &s->events, "the pending events", err)
               ? -1
               : 0;
}

/* The flags of what KVM_GET_VCPU_EVENTS filled in are those it takes back; these two it reports without. */
static void all_events(struct kvm_vcpu_events *e)
{
    e->flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;
}

int kvm_state_put(struct accel_vcpu *v, struct kvm_vcpu_state *s, struct err *err)
{
    all_events(&s->events);
    return put_nested(v, v->fresh,
                      err) || /* out of VMX or SVM operation, which has rules of its own for what follows */
                   kvm_want(v->fd, KVM_SET_SREGS, &s->sregs, "the segments", err) ||
                   put_nested(v, s, err) ||
                   (s->xcrs.nr_xcrs && kvm_want(v->fd, KVM_SET_XCRS, &s->xcrs, "XCR0", err)) ||
                   kvm_want(v->fd, KVM_SET_XSAVE, s->xsave, "the vector state", err) ||
                   kvm_want(v->fd, KVM_SET_REGS, &s->regs, "the registers", err) ||
                   kvm_want(v->fd, KVM_SET_LAPIC, &s->lapic, "the local APIC", err) || put_msrs(v, s, err) ||
                   kvm_want(v->fd, KVM_SET_DEBUGREGS, &s->debugregs, "the debug registers", err) ||
                   kvm_want(v->fd, KVM_SET_VCPU_EVENTS, &s->events, "the pending events", err) ||
                   kvm_want(v->fd, KVM_SET_MP_STATE, &s->mp_state, "the activity state", err)
               ? -1
               : 0;
}

/* ---- reset ---- */

enum { LAPIC_SVR = 0xf0, LAPIC_LVT_LINT0 = 0x350, LAPIC_LVT_LINT1 = 0x360 };

/* Power-on, and for the bootstrap processor virtual wire mode as firmware leaves it (LINT0 ExtINT, LINT1
 * NMI). */
void kvm_vcpu_reset(struct accel_vcpu *v, bool bsp)
{
    struct kvm_vcpu_state *s = v->state;
    *s = *v->fresh;
    for (u32 i = 0; i < s->msr_count; i++)
        if (s->msr_index[i] == 0x10) /* IA32_TSC */
            s->msr_value[i] = 0;
    if (bsp) {
        store_le(s->lapic.regs + LAPIC_SVR, 4, 0x1ff);
        store_le(s->lapic.regs + LAPIC_LVT_LINT0, 4, 0x700);
        store_le(s->lapic.regs + LAPIC_LVT_LINT1, 4, 0x400);
    }
    s->mp_state.mp_state = bsp ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
    atomic_store(&v->signals, 0);
    kvm_nested_forget(v);
    if (kvm_state_put(v, s, &v->refused))
        return;
    v->refused = (struct err){0};
}

/* ---- registers ---- */

u32 kvm_segment_attr(const struct kvm_segment *s)
{
    return s->type | (u32)s->s << 4 | (u32)s->dpl << 5 | (u32)s->present << 7 | (u32)s->avl << 12 |
           (u32)s->l << 13 | (u32)s->db << 14 | (u32)s->g << 15;
}

struct kvm_segment kvm_segment_of(u64 base, u32 limit, u32 attr, u16 sel)
{
    return (struct kvm_segment){.base = base,
                                .limit = limit,
                                .selector = sel,
                                .type = bits(attr, 3, 0),
                                .s = bits(attr, 4, 4),
                                .dpl = bits(attr, 6, 5),
                                .present = bits(attr, 7, 7),
                                .avl = bits(attr, 12, 12),
                                .l = bits(attr, 13, 13),
                                .db = bits(attr, 14, 14),
                                .g = bits(attr, 15, 15),
                                .unusable = !(attr & SEG_P) || (attr & SEG_UNUSABLE)};
}

/* Members of kvm_regs by register number, of kvm_sregs by segment number. */
static const u16 gpr_at[16] = {
    [RAX] = offsetof(struct kvm_regs, rax), [RCX] = offsetof(struct kvm_regs, rcx),
    [RDX] = offsetof(struct kvm_regs, rdx), [RBX] = offsetof(struct kvm_regs, rbx),
    [RSP] = offsetof(struct kvm_regs, rsp), [RBP] = offsetof(struct kvm_regs, rbp),
    [RSI] = offsetof(struct kvm_regs, rsi), [RDI] = offsetof(struct kvm_regs, rdi),
    [8] = offsetof(struct kvm_regs, r8),    [9] = offsetof(struct kvm_regs, r9),
    [10] = offsetof(struct kvm_regs, r10),  [11] = offsetof(struct kvm_regs, r11),
    [12] = offsetof(struct kvm_regs, r12),  [13] = offsetof(struct kvm_regs, r13),
    [14] = offsetof(struct kvm_regs, r14),  [15] = offsetof(struct kvm_regs, r15),
};

u64 *kvm_gpr(struct kvm_regs *r, unsigned n)
{
    return (u64 *)((u8 *)r + gpr_at[n]);
}

struct kvm_segment *kvm_seg(struct kvm_sregs *s, unsigned n)
{
    struct kvm_segment *const at[SEG_COUNT] = {
        [ES] = &s->es, [CS] = &s->cs, [SS] = &s->ss,        [DS] = &s->ds,
        [FS] = &s->fs, [GS] = &s->gs, [SEG_LDTR] = &s->ldt, [SEG_TR] = &s->tr};
    return at[n];
}

void kvm_get_regs(struct accel_vcpu *v, struct accel_regs *r)
{
    struct kvm_regs k = {0};
    struct kvm_sregs s = {0};
    struct err err = {0};
    memset(r, 0, sizeof(*r));
    if (kvm_want(v->fd, KVM_GET_REGS, &k, "the registers", &err) ||
        kvm_want(v->fd, KVM_GET_SREGS, &s, "the segments", &err))
        return;
    for (unsigned i = 0; i < 16; i++)
        r->gpr[i] = *kvm_gpr(&k, i);
    r->rip = k.rip;
    r->rflags = k.rflags;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct kvm_segment *g = kvm_seg(&s, i);
        r->seg[i].base = g->base;
        r->seg[i].limit = g->limit;
        r->seg[i].attr = kvm_segment_attr(g);
        r->seg[i].sel = g->selector;
    }
    r->gdt_base = s.gdt.base;
    r->gdt_limit = s.gdt.limit;
    r->idt_base = s.idt.base;
    r->idt_limit = s.idt.limit;
    r->cr0 = s.cr0;
    r->cr2 = s.cr2;
    r->cr3 = s.cr3;
    r->cr4 = s.cr4;
    r->efer = s.efer;
}

static void fill_sregs(struct kvm_sregs *s, const struct accel_regs *r)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        *kvm_seg(s, i) = kvm_segment_of(r->seg[i].base, r->seg[i].limit, r->seg[i].attr, r->seg[i].sel);
    if (!s->tr.present) /* no processor is without one. SDM 3C 27.3.1.2 */
        s->tr = kvm_segment_of(0, 0xffff, SEG_P | 11, 0);
    s->gdt.base = r->gdt_base;
    s->gdt.limit = r->gdt_limit;
    s->idt.base = r->idt_base;
    s->idt.limit = r->idt_limit;
    s->cr0 = r->cr0;
    s->cr2 = r->cr2;
    s->cr3 = r->cr3;
    s->cr4 = r->cr4;
    s->efer = r->efer;
}

void kvm_set_regs(struct accel_vcpu *v, const struct accel_regs *r)
{
    struct kvm_regs k = {.rip = r->rip, .rflags = r->rflags | FLAG_R1};
    struct kvm_sregs s;
    for (unsigned i = 0; i < 16; i++)
        *kvm_gpr(&k, i) = r->gpr[i];
    if (kvm_want(v->fd, KVM_GET_SREGS, &s, "the segments", &v->refused))
        return;
    fill_sregs(&s, r);
    if (kvm_want(v->fd, KVM_SET_SREGS, &s, "the guest's first segments", &v->refused) ||
        kvm_want(v->fd, KVM_SET_REGS, &k, "the guest's first registers", &v->refused))
        return;
}

/* ---- saved machines ---- */

static int state_loaded(void *obj)
{
    const struct kvm_vcpu_state *s = obj;
    const struct kvm_nested_state *n = (const struct kvm_nested_state *)s->nested;
    return s->msr_count > KVM_MSRS_MAX || s->xcrs.nr_xcrs > KVM_MAX_XCRS || n->size > sizeof(s->nested) ? -1
                                                                                                        : 0;
}

#define BYTES(f)                                                                                             \
    {                                                                                                        \
#f, offsetof(struct kvm_vcpu_state, f), 1, sizeof(((struct kvm_vcpu_state *)0)->f)                   \
    }

static const struct state_field state_fields[] = {
    BYTES(regs),
    BYTES(sregs),
    BYTES(xsave),
    BYTES(xcrs),
    BYTES(debugregs),
    BYTES(lapic),
    BYTES(mp_state),
    BYTES(events),
    BYTES(nested),
    STATE_FIELD(struct kvm_vcpu_state, nested_ns),
    STATE_FIELD(struct kvm_vcpu_state, nested_ran),
    STATE_FIELD(struct kvm_vcpu_state, msr_count),
    STATE_ARRAY(struct kvm_vcpu_state, msr_index),
    STATE_ARRAY(struct kvm_vcpu_state, msr_value),
    STATE_END,
};
static const struct state_desc state_desc = {
    .name = "kvm-vcpu", .fields = state_fields, .loaded = state_loaded};

static int vm_loaded(void *obj)
{
    const struct accel_vm *vm = obj;
    return vm->route_count > KVM_ROUTES ? -1 : 0;
}

static const struct state_field vm_fields[] = {
    {"route", offsetof(struct accel_vm, route), sizeof(struct kvm_level_route), KVM_ROUTES},
    STATE_FIELD(struct accel_vm, route_count),
    STATE_FIELD(struct accel_vm, route_turn),
    {"clock", offsetof(struct accel_vm, clock.clock), 8, 1},
    STATE_END,
};
static const struct state_desc vm_desc = {.name = "kvm-vm", .fields = vm_fields, .loaded = vm_loaded};

void kvm_save(struct accel_vcpu *v, struct state_image *img)
{
    struct err err = {0};
    if (kvm_state_get(v, v->state, &err))
        img->failed = true;
    kvm_nested_save(v, v->state);
    state_save(img, &state_desc, v->index, v->state);
    if (v->index)
        return;
    if (kvm_call(v->vm->fd, KVM_GET_CLOCK, &v->vm->clock) < 0)
        img->failed = true;
    state_save(img, &vm_desc, 0, v->vm);
}

static int load_vm(struct accel_vm *vm, const struct state_image *img, struct err *err)
{
    if (state_load(img, &vm_desc, 0, vm, err) || kvm_routes_restore(vm, err))
        return -1;
    vm->clock.flags = 0;
    return kvm_want(vm->fd, KVM_SET_CLOCK, &vm->clock, "the saved clock", err);
}

int kvm_load(struct accel_vcpu *v, const struct state_image *img, struct err *err)
{
    *v->state = *v->fresh;
    if (state_load(img, &state_desc, v->index, v->state, err) || (v->index == 0 && load_vm(v->vm, img, err)))
        return -1;
    kvm_nested_load(v, v->state);
    return kvm_state_put(v, v->state, err);
}
