/* SPDX-License-Identifier: MIT */
/*
 * The virtual APIC: the TPR shadow, APIC-access page and x2APIC registers, virtual interrupts, posted
 * interrupts. SDM 3C chapter 29
 *
 * Its registers are in the guest's virtual-APIC page, RVI and SVI in the VMCS. A virtualized store to
 * the APIC-access page lands in the virtual-APIC page like any other; what it means is done at the next
 * boundary (29.4.3.2), for which it sets c->stepping.
 */
#include "cpu/meanings.h"
#include "cpu/nested/vmx.h"
#include "cpu/system.h"

#define F(name) (v->f[VMCS_##name])

/* Offsets on the page. 29.1.1 */
enum {
    REG_ID = 0x20,
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_PPR = 0xa0,
    REG_EOI = 0xb0,
    REG_LDR = 0xd0,
    REG_DFR = 0xe0,
    REG_SVR = 0xf0,
    REG_ISR = 0x100,
    REG_TMR = 0x180,
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_ICR_LOW = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT = 0x320,
    REG_LVT_LAST = 0x370,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_DIVIDE = 0x3e0,
    REG_SELF_IPI = 0x3f0,
    AT_ENTRY = 0x1000, /* none: the threshold is looked at behind a VM entry. 26.7.7 */
};

static u32 get(struct cpu *c, u32 offset)
{
    u32 x = 0;
    (void)space_read(c->memory, vmx_of(c)->v.f[VMCS_VIRTUAL_APIC] + offset, &x, 4);
    return x;
}

static void put(struct cpu *c, u32 offset, u32 x)
{
    (void)space_write(c->memory, vmx_of(c)->v.f[VMCS_VIRTUAL_APIC] + offset, &x, 4);
}

u8 vmx_vtpr(struct cpu *c)
{
    return (u8)get(c, REG_TPR);
}

/* ---- vectors ---- */

static void put_bit(struct cpu *c, u32 set, u8 vector, bool on)
{
    u32 at = set + (vector >> 5) * 16u, bit = 1u << (vector & 31), x = get(c, at);
    put(c, at, on ? x | bit : x & ~bit);
}

/* 0: none. */
static u8 highest(struct cpu *c, u32 set)
{
    for (int word = 7; word >= 0; word--) {
        u32 x = get(c, set + (u32)word * 16);
        if (x)
            return (u8)(word * 32 + 31 - __builtin_clz(x));
    }
    return 0;
}

static u8 rvi(const struct vmcs *v)
{
    return (u8)F(INTERRUPT_STATUS);
}

static u8 svi(const struct vmcs *v)
{
    return (u8)(F(INTERRUPT_STATUS) >> 8);
}

static void set_status(struct vmcs *v, u8 requesting, u8 serving)
{
    F(INTERRUPT_STATUS) = requesting | (u32)serving << 8;
}

/* 29.2.1 */
static void evaluate(struct cpu *c)
{
    struct vmx *x = vmx_of(c);
    const struct vmcs *v = &x->v;
    x->virtual_pending = !ctl(v, PROC, INTERRUPT_WINDOW) && rvi(v) >> 4 > (u8)get(c, REG_PPR) >> 4;
    if (x->virtual_pending)
        cpu_request(c, REQ_NESTED);
}

/* 29.1.3 */
static void virtualize_ppr(struct cpu *c)
{
    u8 tpr = vmx_vtpr(c), serving = svi(&vmx_of(c)->v);
    put(c, REG_PPR, tpr >> 4 >= serving >> 4 ? tpr : serving & 0xf0);
}

/* 29.1.2 */
static bool virtualize_tpr(struct cpu *c)
{
    const struct vmcs *v = &vmx_of(c)->v;
    if (ctl2(v, VIRTUAL_INTERRUPTS)) {
        virtualize_ppr(c);
        evaluate(c);
        return false;
    }
    if (vmx_vtpr(c) >> 4 >= (F(TPR_THRESHOLD) & 15))
        return false;
    vmx_exit_behind(c, EXIT_TPR_THRESHOLD, 0);
    return true;
}

/* 29.1.4 */
static bool virtualize_eoi(struct cpu *c)
{
    struct vmcs *v = &vmx_of(c)->v;
    u8 vector = svi(v);
    put_bit(c, REG_ISR, vector, false);
    set_status(v, rvi(v), highest(c, REG_ISR));
    virtualize_ppr(c);
    if (v->f[VMCS_EOI_EXIT0 + vector / 64] >> (vector % 64) & 1) {
        vmx_exit_behind(c, EXIT_VIRTUAL_EOI, vector);
        return true;
    }
    evaluate(c);
    return false;
}

/* 29.1.5 */
static void virtualize_self_ipi(struct cpu *c, u8 vector)
{
    struct vmcs *v = &vmx_of(c)->v;
    put_bit(c, REG_IRR, vector, true);
    set_status(v, vector > rvi(v) ? vector : rvi(v), svi(v));
    evaluate(c);
}

enum outcome vmx_deliver_virtual(struct cpu *c)
{
    struct vmx *x = vmx_of(c);
    struct vmcs *v = &x->v;
    u8 vector = rvi(v);
    put_bit(c, REG_ISR, vector, true);
    put(c, REG_PPR, vector & 0xf0);
    put_bit(c, REG_IRR, vector, false);
    set_status(v, highest(c, REG_IRR), vector);
    x->virtual_pending = false;
    c->activity = CPU_ACTIVE;
    if (c->stepping)
        c->stepping = STEP_TAKEN;
    struct event e = {.vector = vector, .kind = EVENT_EXTERNAL, .rip = c->rip};
    return event_deliver(c, &e) == END ? END : event_fault(c);
}

/* ---- the APIC-access page. 29.4 ---- */

static bool readable(const struct vmcs *v, u32 r)
{
    if (r == REG_TPR)
        return true;
    if (!ctl2(v, APIC_REGISTERS))
        return false;
    return r == REG_ID || r == REG_VERSION || r == REG_EOI || r == REG_LDR || r == REG_DFR || r == REG_SVR ||
           (r >= REG_ISR && r <= REG_ESR) || r == REG_ICR_LOW || r == REG_ICR_HIGH ||
           (r >= REG_LVT && r <= REG_LVT_LAST) || r == REG_TIMER_INITIAL || r == REG_TIMER_DIVIDE;
}

static bool writable(const struct vmcs *v, u32 r)
{
    if (r == REG_TPR)
        return true;
    if (!ctl2(v, APIC_REGISTERS))
        return ctl2(v, VIRTUAL_INTERRUPTS) && (r == REG_EOI || r == REG_ICR_LOW);
    return r == REG_ID || r == REG_EOI || r == REG_LDR || r == REG_DFR || r == REG_SVR || r == REG_ESR ||
           r == REG_ICR_LOW || r == REG_ICR_HIGH || (r >= REG_LVT && r <= REG_LVT_LAST) ||
           r == REG_TIMER_INITIAL || r == REG_TIMER_DIVIDE;
}

/* Soon, behind the instruction: 29.4.3.2 */
static void plan(struct cpu *c, u32 what)
{
    vmx_of(c)->apic_write = (u16)(1 + what);
    c->stepping = STEP_TAKEN;
    c->code_dirty = 1;
    cpu_request(c, REQ_NESTED);
}

bool vmx_apic_virtualized(struct cpu *c, u32 offset, unsigned size, bool write)
{
    struct vmx *x = vmx_of(c);
    const struct vmcs *v = &x->v;
    u32 r = offset & ~15u;
    if (!ctl(v, PROC, TPR_SHADOW) || !size || (offset & 15) + size > 4)
        return false;
    if (!write)
        return readable(v, r);
    if (!writable(v, r) || (x->apic_write && x->apic_write != 1 + r))
        return false;
    plan(c, r);
    return true;
}

/* Fixed, edge-triggered, to itself, no reserved bit and not pending, a vector that interrupts may have. Level
 * and destination mode do not matter. 29.4.3.2 */
static bool is_self_ipi(u32 icr)
{
    return (icr & 0xffffb700) == 0x00040000 && (icr & 0xf0);
}

static bool leave_write(struct cpu *c, u32 r)
{
    vmx_exit_behind(c, EXIT_APIC_WRITE, r);
    return true;
}

bool vmx_apic_emulate_write(struct cpu *c)
{
    struct vmx *x = vmx_of(c);
    u32 r = x->apic_write - 1u;
    bool interrupts = ctl2(&x->v, VIRTUAL_INTERRUPTS);
    x->apic_write = 0;
    switch (r) {
    case AT_ENTRY:
        return virtualize_tpr(c);
    case REG_TPR:
        put(c, REG_TPR, vmx_vtpr(c));
        return virtualize_tpr(c);
    case REG_EOI:
        if (!interrupts)
            return leave_write(c, r);
        put(c, REG_EOI, 0);
        return virtualize_eoi(c);
    case REG_ICR_LOW:
        if (!interrupts || !is_self_ipi(get(c, r)))
            return leave_write(c, r);
        virtualize_self_ipi(c, (u8)get(c, r));
        return false;
    case REG_ICR_HIGH:
        put(c, r, get(c, r) & 0xff000000);
        return false;
    default:
        return leave_write(c, r);
    }
}

/* ---- registers. 29.3, 29.5 ---- */

bool vmx_write_cr8(struct cpu *c, u64 value)
{
    put(c, REG_TPR, (u32)value << 4);
    return virtualize_tpr(c);
}

bool vmx_apic_msr_read(struct cpu *c, u32 number, u64 *value)
{
    const struct vmcs *v = &vmx_of(c)->v;
    u32 r = (number & 0xff) << 4;
    if (number >> 8 != 8 || !ctl2(v, X2APIC) || (r != REG_TPR && !ctl2(v, APIC_REGISTERS)))
        return false;
    *value = get(c, r) | (u64)get(c, r + 4) << 32;
    return true;
}

static void put_wide(struct cpu *c, u32 r, u64 value)
{
    put(c, r, (u32)value);
    put(c, r + 4, (u32)(value >> 32));
}

enum outcome vmx_apic_msr_write(struct cpu *c, u32 number, u64 value)
{
    const struct vmcs *v = &vmx_of(c)->v;
    u32 r = (number & 0xff) << 4;
    if (number >> 8 != 8 || !ctl2(v, X2APIC) || (r != REG_TPR && !ctl2(v, VIRTUAL_INTERRUPTS)))
        return DONE;
    if (r != REG_TPR && r != REG_EOI && r != REG_SELF_IPI)
        return DONE;
    if (r == REG_EOI ? value : value >> 8)
        return fault_gp0(c);
    put_wide(c, r, value);
    if (r == REG_TPR)
        (void)virtualize_tpr(c);
    else if (r == REG_EOI)
        (void)virtualize_eoi(c);
    else if (value >> 4)
        virtualize_self_ipi(c, (u8)value);
    else
        (void)leave_write(c, r);
    return END;
}

/* ---- entry, posted interrupts ---- */

void vmx_apic_enter(struct cpu *c)
{
    struct vmx *x = vmx_of(c);
    const struct vmcs *v = &x->v;
    x->virtual_pending = false;
    x->apic_write = 0;
    if (ctl2(v, VIRTUAL_INTERRUPTS)) {
        virtualize_ppr(c);
        evaluate(c);
    } else if (ctl(v, PROC, TPR_SHADOW) && ctl2(v, APIC_ACCESSES)) {
        plan(c, AT_ENTRY);
    }
}

/* Descriptor: 256 requests, then bit 256 ON. Others post while we take. 29.6 */
void vmx_take_posted(struct cpu *c)
{
    enum { WORDS = 4, ON = 1 };
    struct vmcs *v = &vmx_of(c)->v;
    u64 *words = space_ram(c->memory, F(POSTED_DESCRIPTOR), NULL);
    u8 top = 0;
    if (!words || (F(POSTED_DESCRIPTOR) & 63)) /* a loaded state was not checked by an entry */
        return;
    __atomic_fetch_and(&words[WORDS], ~(u64)ON, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < WORDS; i++) {
        u64 posted = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
        for (unsigned half = 0; half < 2; half++) {
            u32 bits = (u32)(posted >> (32 * half)), at = REG_IRR + (2 * i + half) * 16;
            if (bits)
                put(c, at, get(c, at) | bits);
        }
        if (posted)
            top = (u8)(64 * i + 63 - (unsigned)__builtin_clzll(posted));
    }
    space_written(c->memory, F(POSTED_DESCRIPTOR), 64);
    set_status(v, top > rvi(v) ? top : rvi(v), svi(v));
    evaluate(c);
}
