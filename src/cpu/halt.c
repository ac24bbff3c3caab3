/* SPDX-License-Identifier: MIT */
/*
 * Interrupt flag, halting, caches, AC: CLI STI HLT MONITOR MWAIT INVD WBINVD STAC CLAC. SDM 2A, 2B by name.
 *
 * MWAIT returns at once: any event may end it, and a plain store by another vCPU cannot wake a sleeper
 * cheaply. It is not advertised by default.
 */
#include "cpu/meanings.h"
#include "cpu/system.h"

static bool may_change_if(const struct cpu *c)
{
    return real_mode(c) || (v86_mode(c) ? iopl(c) == 3 : c->cpl <= iopl(c));
}

static enum outcome cli(struct cpu *c, const struct insn *in)
{
    if (!may_change_if(c))
        return fault_gp0(c);
    c->rflags &= ~(u64)FLAG_IF;
    return DONE;
}
DEFINE_MEANING_ONE(cli, cli);

static enum outcome sti(struct cpu *c, const struct insn *in)
{
    if (!may_change_if(c))
        return fault_gp0(c);
    if (c->rflags & FLAG_IF)
        return DONE;
    c->shadow |= SHADOW_STI;
    c->rflags |= FLAG_IF;
    return END;
}
DEFINE_MEANING_ONE(sti, sti);

static enum outcome hlt(struct cpu *c, const struct insn *in)
{
    if (c->cpl)
        return fault_gp0(c);
    c->activity = CPU_HLT;
    return HALTED;
}
DEFINE_MEANING_ONE(hlt, hlt);

/* Which accesses are allowed changes, not how anything is decoded: the block goes on. */
static enum outcome set_ac(struct cpu *c, bool on)
{
    if (c->cpl)
        return fault_ud(c);
    c->rflags = on ? c->rflags | FLAG_AC : c->rflags & ~(u64)FLAG_AC;
    cpu_privilege_changed(c);
    return DONE;
}

static enum outcome stac(struct cpu *c, const struct insn *in)
{
    return set_ac(c, true);
}
static enum outcome clac(struct cpu *c, const struct insn *in)
{
    return set_ac(c, false);
}
DEFINE_MEANING_ONE(stac, stac);
DEFINE_MEANING_ONE(clac, clac);

/* Caches are the host's matter. */
static enum outcome write_back(struct cpu *c, const struct insn *in)
{
    return c->cpl ? fault_gp0(c) : DONE;
}
DEFINE_MEANING_ONE(invd, write_back);
DEFINE_MEANING_ONE(wbinvd, write_back);

static enum outcome monitor(struct cpu *c, const struct insn *in)
{
    u64 v;
    if (c->cpl)
        return fault_ud(c);
    if ((u32)c->regs[RCX])
        return fault_gp0(c);
    return operand_load(c, in, 1, &v);
}
DEFINE_MEANING_ONE(monitor, monitor);

static enum outcome mwait(struct cpu *c, const struct insn *in)
{
    if (c->cpl)
        return fault_ud(c);
    if ((u32)c->regs[RCX] & ~1u)
        return fault_gp0(c);
    return END;
}
DEFINE_MEANING_ONE(mwait, mwait);
