/* SPDX-License-Identifier: MIT */
/*
 * VM exit: the one way out of non-root operation. Exit information, guest state, MSR areas, host state. SDM
 * 3C chapter 27
 */
#include "cpu/debug.h"
#include "cpu/msr.h"
#include "cpu/nested/vmx.h"
#include "cpu/system.h"

#define F(name)  (v->f[VMCS_##name])
#define CR0_KEPT 0x7ffaffd0ull

static void save_information(struct vmcs *v, const struct vmx_exit *x)
{
    F(REASON) = x->reason;
    F(QUALIFICATION) = x->qualification;
    F(LINEAR_ADDRESS) = x->linear;
    F(PHYSICAL_ADDRESS) = x->physical;
    F(INTR_INFO) = x->info;
    F(INTR_ERROR) = x->error;
    F(IDT_INFO) = x->idt_info;
    F(IDT_ERROR) = x->idt_error;
    F(INSN_LENGTH) = x->length;
    F(INSN_INFO) = x->insn_info;
}

/* What a guest has made of its state need not pass the checks of the next entry: what changed is dirty. */
#define SET(name, value) vmcs_set(v, VMCS_##name, value)

static void save_segments(const struct cpu *c, struct vmcs *v)
{
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        vmcs_set(v, VMCS_ES_SEL + s, c->seg[s].sel);
        vmcs_set(v, VMCS_ES_BASE + s, c->seg[s].base);
        vmcs_set(v, VMCS_ES_LIMIT + s, c->seg[s].limit);
        vmcs_set(v, VMCS_ES_AR + s, c->seg[s].attr);
    }
    SET(GDTR_BASE, c->gdtr.base);
    SET(GDTR_LIMIT, c->gdtr.limit);
    SET(IDTR_BASE, c->idtr.base);
    SET(IDTR_LIMIT, c->idtr.limit);
}

static void save_registers(const struct cpu *c, struct vmcs *v, bool rf)
{
    SET(CR0, c->cr0);
    SET(CR3, c->cr3);
    SET(CR4, c->cr4);
    SET(RSP, c->regs[RSP]);
    SET(RIP, c->rip);
    SET(RFLAGS, cpu_rflags_held(c) | (rf ? FLAG_RF : 0));
    SET(SYSENTER_CS, c->sysenter_cs);
    SET(SYSENTER_ESP, c->sysenter_esp);
    SET(SYSENTER_EIP, c->sysenter_eip);
    if (ctl(v, EXIT, SAVE_DEBUG)) {
        SET(DR7, c->dr7);
        SET(DEBUGCTL, c->msr_store[MSR_SLOT_DEBUGCTL]);
    }
    if (ctl(v, EXIT, SAVE_PAT))
        SET(PAT, c->pat);
    if (ctl(v, EXIT, SAVE_EFER))
        SET(EFER, c->efer);
    /* "IA-32e mode guest" follows the guest into and out of IA-32e mode. 27.2 */
    SET(ENTRY, c->efer & EFER_LMA ? F(ENTRY) | BIT(ENTRY_GUEST_64_BIT) : F(ENTRY) & ~BIT(ENTRY_GUEST_64_BIT));
}

static void save_events(struct cpu *c, struct vmx *x, struct vmcs *v)
{
    u8 shadow = cpu_shadow(c);
    SET(INTERRUPTIBILITY, (shadow & SHADOW_STI ? BLOCK_STI : 0) |
                              (shadow & SHADOW_MOV_SS ? BLOCK_MOV_SS : 0) | (c->nmi_blocked ? BLOCK_NMI : 0));
    SET(ACTIVITY, c->activity); /* the values are the manual's */
    SET(PENDING_DEBUG, c->pending_dr6 | (c->pending_dr6 & 15 ? BIT(12) : 0));
    SET(INJECT_INFO, F(INJECT_INFO) & ~(u64)INTR_VALID);
    if (ctl(v, EXIT, SAVE_TIMER)) {
        u64 now = clock_now(c->clock), hz = c->model->tsc_hz;
        u64 ns = c->nested->deadline > now ? c->nested->deadline - now : 0;
        u64 ticks = ns / 1000000000 * hz + ns % 1000000000 * hz / 1000000000;
        F(TIMER) = (u32)((ticks + BIT(VMX_TIMER_SHIFT) - 1) >> VMX_TIMER_SHIFT);
    }
}

u32 vmx_store_msrs(struct cpu *c, u64 area, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u32 number[2];
        u64 value;
        if (i >= VMX_MSR_LIST_MAX || space_read(c->memory, area + i * 16ull, number, 8))
            return i + 1;
        if (number[1] || number[0] >> 8 == 8 || !msr_read(c, number[0], &value))
            return i + 1;
        if (space_write(c->memory, area + i * 16ull + 8, &value, 8))
            return i + 1;
    }
    return 0;
}

/* 27.5.2 */
static void host_segments(struct cpu *c, const struct vmcs *v)
{
    bool wide = ctl(v, EXIT, HOST_64);
    static const u16 host_sel[] = {VMCS_HOST_ES_SEL, VMCS_HOST_CS_SEL, VMCS_HOST_SS_SEL,
                                   VMCS_HOST_DS_SEL, VMCS_HOST_FS_SEL, VMCS_HOST_GS_SEL};
    for (unsigned s = ES; s <= GS; s++) {
        u16 sel = (u16)v->f[host_sel[s]];
        u32 attr = SEG_P | SEG_S | SEG_G | SEG_DB | 3;
        c->seg[s] = (struct segment){
            .sel = sel, .limit = 0xffffffff, .attr = sel || s == SS ? attr : attr | SEG_UNUSABLE};
    }
    c->seg[CS].attr = SEG_P | SEG_S | SEG_G | 11 | (wide ? SEG_L : SEG_DB);
    if (!(u16)F(HOST_SS_SEL))
        c->seg[SS].attr |= SEG_UNUSABLE;
    c->seg[FS].base = F(HOST_FS_BASE);
    c->seg[GS].base = F(HOST_GS_BASE);
    c->seg[SEG_LDTR] = (struct segment){.attr = SEG_UNUSABLE};
    c->seg[SEG_TR] = (struct segment){
        .sel = (u16)F(HOST_TR_SEL), .base = F(HOST_TR_BASE), .limit = 0x67, .attr = SEG_P | 11};
    c->gdtr = (struct dtable){F(HOST_GDTR_BASE), 0xffff};
    c->idtr = (struct dtable){F(HOST_IDTR_BASE), 0xffff};
}

/* 27.5.1 */
static void host_registers(struct cpu *c, const struct vmcs *v)
{
    bool wide = ctl(v, EXIT, HOST_64);
    c->cr0 = (F(HOST_CR0) & ~CR0_KEPT) | (c->cr0 & CR0_KEPT);
    c->cr3 = F(HOST_CR3);
    c->cr4 = wide ? F(HOST_CR4) | CR4_PAE : F(HOST_CR4) & ~(u64)CR4_PCIDE;
    c->dr7 = DR7_FIXED;
    c->msr_store[MSR_SLOT_DEBUGCTL] = 0;
    c->sysenter_cs = (u32)F(HOST_SYSENTER_CS);
    c->sysenter_esp = F(HOST_SYSENTER_ESP);
    c->sysenter_eip = F(HOST_SYSENTER_EIP);
    if (ctl(v, EXIT, LOAD_EFER))
        c->efer = F(HOST_EFER);
    else
        c->efer = (c->efer & ~(u64)(EFER_LMA | EFER_LME)) | (wide ? EFER_LMA | EFER_LME : 0);
    if (ctl(v, EXIT, LOAD_PAT))
        c->pat = F(HOST_PAT);
    c->regs[RSP] = F(HOST_RSP);
    c->rip = c->regs[REG_RIP] = F(HOST_RIP);
    cpu_set_rflags(c, FLAG_R1);
}

static bool match_vpid_0(const struct tlb_tag *t, const void *arg)
{
    return t->asid == 0;
}

/* 27.7: the processor stops, the VMCS says why. */
static void vmx_abort(struct cpu *c, u32 indicator)
{
    struct vmcs *page = vmcs_at(c, vmx_of(c)->current);
    nested_trace_abort(c, indicator);
    if (page) {
        page->abort = indicator;
        vmcs_written(c, vmx_of(c)->current);
    }
    c->activity = CPU_SHUTDOWN_STATE;
}

static void load_host(struct cpu *c, struct vmx *x, u32 reason)
{
    const struct vmcs *v = &x->v;
    bool failed = reason & ENTRY_FAILED;
    c->nested->guest = c->nested->second = c->nested->iret_keeps_nmi = false;
    c->nested->pdpte = NULL;
    c->guest_tsc_offset = 0;
    c->guest_tsc_ratio = TSC_RATIO_1;
    c->stepping = STEP_OFF;
    x->apic_write = 0;
    x->virtual_pending = x->trap_flag = false;
    if (!failed) {
        bool was = ctl(v, PIN, VIRTUAL_NMI) ? x->host_nmi_blocked : c->nmi_blocked;
        c->nmi_blocked = was || (reason == EXIT_EXCEPTION && (F(INTR_INFO) >> 8 & 7) == INTR_NMI);
    }
    c->activity = CPU_ACTIVE;
    c->shadow = 0;
    cpu_end_held(c);
    c->pending_dr6 = 0;
    c->step_armed = c->delivering = c->delivery_failed = false;
    c->rf_kept = true;
    host_segments(c, v);
    host_registers(c, v);
    debug_points_changed(c);
    cpu_mode_changed(c);
    if (!ctl2(v, VPID) || failed)
        tlb_flush_matching(c, match_vpid_0, NULL);
    if (vmx_load_msrs(c, F(EXIT_MSR_LOAD), (u32)F(EXIT_MSR_LOAD_COUNT)))
        vmx_abort(c, 4);
}

void vmx_exit(struct cpu *c, const struct vmx_exit *e)
{
    struct vmx *x = vmx_of(c);
    struct vmcs *v = &x->v;
    nested_trace_vmx_exit(c, e);
    save_information(v, e);
    save_segments(c, v);
    save_registers(c, v, e->rf);
    save_events(c, x, v);
    c->nested->deadline = CLOCK_NEVER;
    nested_withdraw_look(c);
    c->guest_tsc_ratio = TSC_RATIO_1;
    c->guest_tsc_offset = 0; /* the area takes the host's TSC */
    u32 bad = vmx_store_msrs(c, F(EXIT_MSR_STORE), (u32)F(EXIT_MSR_STORE_COUNT));
    load_host(c, x, e->reason);
    if (bad)
        vmx_abort(c, 1);
    vmx_ask_interrupt(c);
}

void vmx_exit_behind(struct cpu *c, u32 reason, u64 qualification)
{
    if (c->rip != c->regs[REG_RIP]) { /* not at a boundary: ends the instruction as debug_after() would */
        c->rip = c->regs[REG_RIP];
        c->rflags &= ~(u64)FLAG_RF;
        cpu_end_held(c);
        if (c->step_armed)
            c->pending_dr6 |= DR6_BS;
    }
    vmx_exit(c, &(struct vmx_exit){.reason = reason, .qualification = qualification});
}

void vmx_entry_failure(struct cpu *c, u32 reason, u64 qualification, const char *check)
{
    struct vmx *x = vmx_of(c);
    struct vmcs *v = &x->v;
    nested_trace_refused(c, reason, qualification, check);
    F(REASON) = reason | ENTRY_FAILED;
    F(QUALIFICATION) = qualification;
    load_host(c, x, (u32)F(REASON));
}
