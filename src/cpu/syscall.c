/* SPDX-License-Identifier: MIT */
/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT. SDM 2B by name; APM 3 by name. The vendors differ in where they exist:
 * Intel has SYSCALL in 64-bit mode only, AMD has SYSENTER outside long mode only; and in who notices a bad
 * return address.
 */
#include "cpu/debug.h"
#include "cpu/meanings.h"
#include "cpu/system.h"

static void flat_code(struct cpu *c, u16 sel, unsigned dpl, bool wide)
{
    c->seg[CS] = (struct segment){.sel = sel,
                                  .limit = 0xffffffff,
                                  .attr = SEG_P | SEG_S | 11 | SEG_G | dpl << 5 | (wide ? SEG_L : SEG_DB)};
}

static void flat_stack(struct cpu *c, u16 sel, unsigned dpl)
{
    c->seg[SS] = (struct segment){
        .sel = sel, .limit = 0xffffffff, .attr = SEG_P | SEG_S | 3 | SEG_G | SEG_DB | dpl << 5};
}

static enum outcome go(struct cpu *c, u64 rip)
{
    c->regs[REG_RIP] = rip;
    cpu_privilege_changed(c);
    return END;
}

static bool amd(const struct cpu *c)
{
    return c->model->vendor == VENDOR_AMD;
}

static enum outcome syscall_long(struct cpu *c, u16 sel)
{
    u64 flags = cpu_rflags(c) & ~(u64)FLAG_RF;
    u64 target = c->mode == MODE_64 ? c->lstar : c->cstar;
    c->regs[RCX] = c->regs[REG_RIP];
    c->regs[R11] = flags;
    cpu_set_rflags(c, flags & ~c->sfmask);
    /* A mask that clears TF stops the single step in front of the kernel. */
    c->step_armed = c->step_armed && (c->rflags & FLAG_TF);
    flat_code(c, sel & ~3, 0, true);
    flat_stack(c, (u16)((sel & ~3) + 8), 0);
    return go(c, target);
}

static enum outcome syscall_(struct cpu *c, const struct insn *in)
{
    u16 sel = (u16)bits(c->star, 47, 32);
    if (!(c->efer & EFER_SCE) || real_mode(c) || (!amd(c) && c->mode != MODE_64))
        return fault_ud(c);
    if (long_mode(c))
        return syscall_long(c, sel);
    c->regs[RCX] = (u32)c->regs[REG_RIP];
    c->rflags &= ~(u64)(FLAG_IF | FLAG_VM | FLAG_RF);
    flat_code(c, sel & ~3, 0, false);
    flat_stack(c, (u16)((sel & ~3) + 8), 0);
    return go(c, (u32)c->star);
}
DEFINE_MEANING_ONE(syscall, syscall_);

/* SYSCALL and SYSRET are stepped by the TF they leave behind, not by the one they began with: a program that
 * steps itself is trapped behind its system call. */
static void trap_by_new_flags(struct cpu *c)
{
    c->step_armed = false;
    if (c->rflags & FLAG_TF)
        c->pending_dr6 |= DR6_BS;
}

static enum outcome sysret(struct cpu *c, const struct insn *in)
{
    u16 sel = (u16)(bits(c->star, 63, 48) | 3);
    bool wide = in->flags & INSN_W;
    if (!(c->efer & EFER_SCE) || (!amd(c) && c->mode != MODE_64))
        return fault_ud(c);
    if (!protected_mode(c) || c->cpl)
        return fault_gp0(c);
    u64 rip = wide ? c->regs[RCX] : (u32)c->regs[RCX];
    if (!amd(c) && !canonical(rip))
        return fault_gp0(c);
    if (long_mode(c))
        cpu_set_rflags(c, (c->regs[R11] & SYSRET_FLAGS) | FLAG_R1);
    else
        c->rflags |= FLAG_IF;
    trap_by_new_flags(c);
    flat_code(c, wide ? (u16)((sel + 16) | 3) : sel, 3, wide);
    flat_stack(c, (u16)((sel + 8) | 3), 3);
    return go(c, rip);
}
DEFINE_MEANING_ONE(sysret, sysret);

static enum outcome sysenter(struct cpu *c, const struct insn *in)
{
    u16 sel = (u16)(c->sysenter_cs & ~3ull);
    if (amd(c) && long_mode(c))
        return fault_ud(c);
    if (real_mode(c) || !sel)
        return fault_gp0(c);
    bool lm = long_mode(c);
    c->rflags &= ~(u64)(FLAG_VM | FLAG_IF | FLAG_RF);
    flat_code(c, sel, 0, lm);
    flat_stack(c, (u16)(sel + 8), 0);
    c->regs[RSP] = lm ? c->sysenter_esp : (u32)c->sysenter_esp;
    return go(c, lm ? c->sysenter_eip : (u32)c->sysenter_eip);
}
DEFINE_MEANING_ONE(sysenter, sysenter);

static enum outcome sysexit(struct cpu *c, const struct insn *in)
{
    u16 sel = (u16)(c->sysenter_cs & ~3ull);
    bool wide = in->flags & INSN_W;
    if (amd(c) && long_mode(c))
        return fault_ud(c);
    if (!protected_mode(c) || c->cpl || !sel)
        return fault_gp0(c);
    u64 rip = wide ? c->regs[RDX] : (u32)c->regs[RDX], rsp = wide ? c->regs[RCX] : (u32)c->regs[RCX];
    if (!canonical(rip) || !canonical(rsp))
        return fault_gp0(c);
    flat_code(c, (u16)((sel + (wide ? 32 : 16)) | 3), 3, wide);
    flat_stack(c, (u16)((sel + (wide ? 40 : 24)) | 3), 3);
    c->regs[RSP] = rsp;
    return go(c, rip);
}
DEFINE_MEANING_ONE(sysexit, sysexit);

static enum outcome swapgs(struct cpu *c, const struct insn *in)
{
    if (c->mode != MODE_64)
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    u64 base = c->seg[GS].base;
    c->seg[GS].base = c->kernel_gs_base;
    c->kernel_gs_base = base;
    return DONE;
}
DEFINE_MEANING_ONE(swapgs, swapgs);
