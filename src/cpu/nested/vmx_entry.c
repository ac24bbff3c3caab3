/* SPDX-License-Identifier: MIT */
/*
 * VM entry: the one way into non-root operation. SDM 3C chapter 26
 *
 * The current VMCS is checked, as far as it was written since it was last found good, then loaded; until then
 * the processor is unchanged but for MSRs of the load area, as the manual has it.
 */
#include "cpu/debug.h"
#include "cpu/msr.h"
#include "cpu/nested/second.h"
#include "cpu/nested/vmx.h"
#include "cpu/system.h"

#define F(name) (v->f[VMCS_##name])

/* What loading CR0 leaves alone: ET, NW, CD and reserved bits. 26.3.2.1 */
#define CR0_KEPT 0x7ffaffd0ull

static void load_segments(struct cpu *c, const struct vmcs *v)
{
    for (unsigned s = 0; s < SEG_COUNT; s++)
        c->seg[s] = (struct segment){.base = v->f[VMCS_ES_BASE + s],
                                     .limit = (u32)v->f[VMCS_ES_LIMIT + s],
                                     .attr = (u32)v->f[VMCS_ES_AR + s] & 0x1f0ff,
                                     .sel = (u16)v->f[VMCS_ES_SEL + s]};
    c->gdtr = (struct dtable){F(GDTR_BASE), (u16)F(GDTR_LIMIT)};
    c->idtr = (struct dtable){F(IDTR_BASE), (u16)F(IDTR_LIMIT)};
}

static void load_efer(struct cpu *c, const struct vmcs *v)
{
    if (ctl(v, ENTRY, LOAD_EFER)) {
        c->efer = F(EFER);
        return;
    }
    u64 lm = ctl(v, ENTRY, GUEST_64) ? EFER_LMA | EFER_LME : 0;
    u64 changed = F(CR0) & CR0_PG ? EFER_LMA | EFER_LME : EFER_LMA;
    c->efer = (c->efer & ~changed) | (lm & changed);
}

static void load_registers(struct cpu *c, const struct vmcs *v)
{
    c->cr0 = (F(CR0) & ~CR0_KEPT) | (c->cr0 & CR0_KEPT);
    c->cr3 = F(CR3);
    c->cr4 = F(CR4);
    load_efer(c, v);
    if (ctl(v, ENTRY, LOAD_DEBUG)) {
        c->dr7 = (F(DR7) & 0xffff27ff) | DR7_FIXED;
        c->msr_store[MSR_SLOT_DEBUGCTL] = F(DEBUGCTL);
    }
    if (ctl(v, ENTRY, LOAD_PAT))
        c->pat = F(PAT);
    c->sysenter_cs = (u32)F(SYSENTER_CS);
    c->sysenter_esp = F(SYSENTER_ESP);
    c->sysenter_eip = F(SYSENTER_EIP);
    c->regs[RSP] = F(RSP);
    c->rip = c->regs[REG_RIP] = F(RIP);
    cpu_set_rflags(c, F(RFLAGS));
}

static void load_events(struct cpu *c, struct vmx *x, const struct vmcs *v)
{
    u32 block = (u32)F(INTERRUPTIBILITY);
    c->shadow = (block & BLOCK_STI ? SHADOW_STI : 0) | (block & BLOCK_MOV_SS ? SHADOW_MOV_SS : 0);
    x->host_nmi_blocked = c->nmi_blocked;
    c->nmi_blocked = block & BLOCK_NMI;
    c->activity = (u8)F(ACTIVITY); /* the values are the manual's */
    c->pending_dr6 = F(PENDING_DEBUG) & 0x400f;
    c->step_armed = false;
    c->rf_kept = true;
}

void vmx_set_nested(struct cpu *c)
{
    const struct vmcs *v = &vmx_of(c)->v;
    struct nested_state *n = c->nested;
    n->guest = true;
    n->second = ctl2(v, EPT) || ctl2(v, APIC_ACCESSES);
    n->second_root = 0;
    if (ctl2(v, EPT))
        vmx_select_eptp(c, F(EPTP));
    n->pdpte = ctl2(v, EPT) ? &vmx_of(c)->v.f[VMCS_PDPTE0] : NULL;
    n->asid = ctl2(v, VPID) ? (u16)F(VPID) : 0;
    n->plain = vmx_plain(v);
    bool keeps = ctl(v, PIN, NMI) && !ctl(v, PIN, VIRTUAL_NMI); /* 25.3 IRET */
    n->iret_keeps_nmi = keeps;
    c->guest_tsc_offset = ctl(v, PROC, TSC_OFFSET) ? F(TSC_OFFSET) : 0;
    bool scales = ctl(v, PROC, TSC_OFFSET) && ctl2(v, TSC_SCALING);
    c->guest_tsc_ratio = scales ? F(TSC_MULTIPLIER) : TSC_RATIO_1;
}

static u64 ns_of_ticks(u64 ticks, u64 hz)
{
    return likely(hz == 1000000000) ? ticks
                                    : ticks / hz * 1000000000 + (ticks % hz * 1000000000 + hz - 1) / hz;
}

/* It counts when a bit of the TSC changes: the first count is a short one. True: it is over already. 25.5.1
 */
static bool load_timer(struct cpu *c, struct vmx *x)
{
    u64 counts = x->v.f[VMCS_TIMER], whole = BIT(VMX_TIMER_SHIFT);
    c->nested->deadline = CLOCK_NEVER;
    if (!ctl(&x->v, PIN, TIMER))
        return false;
    u64 now = clock_now(c->clock), ticks = counts ? counts * whole - (tsc_host_at(c, now) & (whole - 1)) : 0;
    c->nested->deadline = now + ns_of_ticks(ticks, c->model->tsc_hz);
    if (ticks)
        vmx_keep_timer(c);
    return !ticks;
}

u32 vmx_load_msrs(struct cpu *c, u64 area, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        struct {
            u32 number, reserved;
            u64 value;
        } e;
        if (i >= VMX_MSR_LIST_MAX || space_read(c->memory, area + i * 16ull, &e, sizeof(e)))
            return i + 1;
        /* FS and GS bases are the guest-state area's; x2APIC registers are refused. 26.4 */
        if (e.reserved || e.number == 0xc0000100 || e.number == 0xc0000101 || e.number >> 8 == 8 ||
            !msr_write(c, e.number, e.value))
            return i + 1;
    }
    return 0;
}

/* Without VPIDs translations of linear addresses do not outlive an entry or exit. 28.4.3.1 */
static bool match_vpid_0(const struct tlb_tag *t, const void *arg)
{
    return t->asid == 0;
}

static enum outcome fails(struct cpu *c, u32 reason, u64 qualification, const char *check)
{
    nested_tell(c, TOLD_ENTRY, "VM entry failed, exit reason %u: not so: %s", reason, check);
    vmx_entry_failure(c, reason, qualification, check);
    return END;
}

/* 26.6 */
static enum outcome inject(struct cpu *c, const struct vmcs *v)
{
    static const u8 kind[] = {
        [INTR_EXTERNAL] = EVENT_EXTERNAL, [INTR_NMI] = EVENT_EXTERNAL,    [INTR_HARDWARE] = EVENT_EXCEPTION,
        [INTR_SOFT_INT] = EVENT_INT_N,    [INTR_PRIVILEGED] = EVENT_INT1, [INTR_SOFT_EXCEPTION] = EVENT_INT3};
    u32 info = (u32)F(INJECT_INFO);
    unsigned type = info >> 8 & 7;
    if (!(info & INTR_VALID))
        return END;
    if (type == INTR_OTHER) { /* a pending MTF VM exit. 26.6.2 */
        vmx_of(c)->trap_flag = true;
        c->stepping = STEP_TAKEN;
        cpu_request(c, REQ_NESTED);
        return END;
    }
    if (c->stepping)
        c->stepping = STEP_TAKEN;
    struct event e = {.vector = (u8)info,
                      .kind = kind[type],
                      .has_error = info & INTR_ERROR_VALID,
                      .error = (u32)F(INJECT_ERROR),
                      .rip = c->rip};
    if (type >= INTR_SOFT_INT)
        e.rip += (u32)F(INJECT_LENGTH);
    else
        c->pending_dr6 = 0;
    c->shadow = 0;
    c->activity = CPU_ACTIVE;
    if (event_deliver(c, &e) == END) {
        if (type == INTR_NMI)
            c->nmi_blocked = true;
        return END;
    }
    return event_fault(c);
}

static void load_guest(struct cpu *c, struct vmx *x)
{
    const struct vmcs *v = &x->v;
    load_segments(c, v);
    load_registers(c, v);
    load_events(c, x, v);
    vmx_set_nested(c);
    debug_points_changed(c);
    cpu_mode_changed(c);
    if (!ctl2(v, VPID)) {
        tlb_flush_matching(c, match_vpid_0, NULL);
        second_flush_all(c->nested->translations); /* more than is asked for: as processors show it */
    }
}

/* What is injected, as a trace shows it. */
static u64 injected(const struct vmcs *v)
{
    return F(INJECT_INFO) & INTR_VALID ? (u32)F(INJECT_INFO) | F(INJECT_ERROR) << 32 : 0;
}

static enum outcome refused(struct cpu *c, bool launch, enum vmx_error error, const char *check)
{
    vmx_fail(c, launch ? "VMLAUNCH" : "VMRESUME", error, check);
    return DONE;
}

enum outcome vmx_enter(struct cpu *c, bool launch)
{
    struct vmx *x = vmx_of(c);
    u64 qualification;
    if (!vmx_current(c))
        return refused(c, launch, ERR_INVALID, NULL);
    if (c->held_shadow & SHADOW_MOV_SS)
        return refused(c, launch, ERR_MOV_SS, NULL);
    if (x->v.revision & VMCS_SHADOW)
        return refused(c, launch, ERR_INVALID, NULL);
    if (!x->v.launched != launch)
        return refused(c, launch, launch ? ERR_LAUNCH_NOT_CLEAR : ERR_RESUME_NOT_LAUNCHED, NULL);
    unsigned error = vmx_check_controls_and_host(c, x);
    if (error)
        return refused(c, launch, error, vmx_check_text(x->failed));
    if (!vmx_check_guest(c, x, &qualification))
        return fails(c, EXIT_GUEST_STATE, qualification, vmx_check_text(x->failed));
    /* EFER.LME and CR0.PG of the guest come with the MSRs' rules. */
    u32 bad = vmx_load_msrs(c, x->v.f[VMCS_ENTRY_MSR_LOAD], (u32)x->v.f[VMCS_ENTRY_MSR_LOAD_COUNT]);
    if (bad)
        return fails(c, EXIT_MSR_LOAD, bad, "every entry of the VM-entry MSR-load area can be loaded");
    vmx_succeed(c);
    x->v.launched = 1;
    load_guest(c, x);
    bool over = load_timer(c, x);
    x->pause_seen = false;
    x->trap_flag = ctl(&x->v, PROC, TRAP_FLAG);
    c->stepping = x->trap_flag ? STEP_WANTED : STEP_OFF;
    if (c->shadow && over)
        c->stepping = STEP_TAKEN;
    vmx_apic_enter(c);
    nested_entered(c, injected(&x->v));
    vmx_arm(c, over);
    return inject(c, &x->v);
}
