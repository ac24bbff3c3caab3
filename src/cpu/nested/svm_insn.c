/* SPDX-License-Identifier: MIT */
/*
 * VMRUN VMLOAD VMSAVE STGI CLGI SKINIT INVLPGA, by whoever executes them: the host, or a guest whose
 * hypervisor does not intercept them. APM 3 by name; APM 2 15.33 (virtual VMLOAD, VMSAVE, GIF).
 */
#include "cpu/nested/svm.h"

#include "cpu/control.h"
#include "cpu/jit_port.h"
#include "cpu/meanings.h"
#include "cpu/tlb.h"

enum outcome svm_allowed(struct cpu *c)
{
    if (!c->nested || !(c->efer & EFER_SVME) || !protected_mode(c))
        return fault_ud(c);
    return c->cpl ? fault_gp0(c) : DONE;
}

/* The host's own: a refusal is told. */
static enum outcome allowed(struct cpu *c, const struct insn *in)
{
    enum outcome o = svm_allowed(c);
    if (o != DONE && c->nested && !c->nested->guest)
        nested_tell(c, TOLD_INSN, "%s refused with %s: %s", insn_infos[in->id].mnemonic,
                    c->fault.vector == VEC_UD ? "#UD" : "#GP(0)",
                    !(c->efer & EFER_SVME) ? "EFER.SVME is clear"
                    : !protected_mode(c)   ? "the processor is not in protected mode"
                                           : "the CPL is not 0");
    return o == DONE ? o : nested_trace_fault(c, o);
}

static enum outcome refuse_address(struct cpu *c, const struct insn *in, u64 pa)
{
    if (!c->nested->guest)
        nested_tell(c, TOLD_INSN, "%s refused with #GP(0): %llx is not the address of a page of RAM",
                    insn_infos[in->id].mnemonic, (unsigned long long)pa);
    return nested_trace_fault(c, fault_gp0(c));
}

static u64 rax_address(const struct cpu *c, const struct insn *in)
{
    return c->regs[RAX] & size_mask(in->adsize);
}

static enum outcome vmrun(struct cpu *c, const struct insn *in)
{
    if (allowed(c, in) != DONE)
        return FAULT;
    if (c->nested->guest) /* consistency demands the intercept: never here */
        return fault_ud(c);
    u64 pa = rax_address(c, in);
    struct vmcb *v = svm_vmcb(c, pa);
    return v ? svm_enter(c, pa, v) : refuse_address(c, in, pa);
}
DEFINE_MEANING_ONE(vmrun, vmrun);

/* In a guest with virtual VMLOAD and VMSAVE the address is the guest's. */
static enum outcome operand(struct cpu *c, const struct insn *in, bool write, struct vmcb **v, u64 *pa)
{
    if (allowed(c, in) != DONE)
        return FAULT;
    *pa = rax_address(c, in);
    struct nested_state *n = c->nested;
    if (n->guest && n->second && (n->svm->ctl.virt_ext & VIRT_EXT_VMLOAD_VMSAVE)) {
        struct second_access a = {.read = !write, .write = write, .user = true};
        struct second_found f;
        if (*pa & (PAGE_SIZE - 1) || *pa & physical_reserved(c))
            return fault_gp0(c);
        if (npt_translate(c, *pa, &a, &f) != DONE)
            return FAULT;
        *pa = f.at;
    }
    *v = svm_vmcb(c, *pa);
    return *v ? DONE : refuse_address(c, in, *pa);
}

static u64 canonicalize(u64 a)
{
    return (u64)((i64)(a << 16) >> 16);
}

static enum outcome vmload(struct cpu *c, const struct insn *in)
{
    struct vmcb *v;
    u64 pa;
    if (operand(c, in, false, &v, &pa) != DONE)
        return FAULT;
    const struct vmcb_save *s = &v->save;
    svm_load_segment(&c->seg[FS], &s->fs);
    svm_load_segment(&c->seg[GS], &s->gs);
    svm_load_segment(&c->seg[SEG_LDTR], &s->ldtr);
    svm_load_segment(&c->seg[SEG_TR], &s->tr);
    c->kernel_gs_base = canonicalize(s->kernel_gs_base);
    c->star = s->star;
    c->lstar = canonicalize(s->lstar);
    c->cstar = canonicalize(s->cstar);
    c->sfmask = (u32)s->sfmask;
    c->sysenter_cs = (u32)s->sysenter_cs;
    c->sysenter_esp = canonicalize(s->sysenter_esp);
    c->sysenter_eip = canonicalize(s->sysenter_eip);
    return DONE;
}
DEFINE_MEANING_ONE(vmload, vmload);

static enum outcome vmsave(struct cpu *c, const struct insn *in)
{
    struct vmcb *v;
    u64 pa;
    if (operand(c, in, true, &v, &pa) != DONE)
        return FAULT;
    svm_store_segment(&v->save.fs, &c->seg[FS]);
    svm_store_segment(&v->save.gs, &c->seg[GS]);
    svm_store_segment(&v->save.ldtr, &c->seg[SEG_LDTR]);
    svm_store_segment(&v->save.tr, &c->seg[SEG_TR]);
    v->save.kernel_gs_base = c->kernel_gs_base;
    v->save.star = c->star;
    v->save.lstar = c->lstar;
    v->save.cstar = c->cstar;
    v->save.sfmask = c->sfmask;
    v->save.sysenter_cs = c->sysenter_cs;
    v->save.sysenter_esp = c->sysenter_esp;
    v->save.sysenter_eip = c->sysenter_eip;
    space_written(c->memory, pa, sizeof(*v));
    return DONE;
}
DEFINE_MEANING_ONE(vmsave, vmsave);

/* A guest with a virtual GIF has only that one. What waited for it is looked at behind STGI. */
static enum outcome set_gif(struct cpu *c, const struct insn *in, bool on)
{
    if (allowed(c, in) != DONE)
        return FAULT;
    struct nested_state *n = c->nested;
    u32 *v = &n->svm->ctl.int_ctl;
    if (n->guest && (*v & VINTR_GIF_ENABLE))
        *v = on ? *v | VINTR_GIF : *v & ~(u32)VINTR_GIF;
    else
        n->gif = on;
    return on && cpu_attention(c) ? END : DONE;
}

static enum outcome stgi(struct cpu *c, const struct insn *in)
{
    return set_gif(c, in, true);
}
DEFINE_MEANING_ONE(stgi, stgi);

static enum outcome clgi(struct cpu *c, const struct insn *in)
{
    return set_gif(c, in, false);
}
DEFINE_MEANING_ONE(clgi, clgi);

/* CPUID does not offer it. */
static enum outcome skinit(struct cpu *c, const struct insn *in)
{
    return fault_ud(c);
}
DEFINE_MEANING_ONE(skinit, skinit);

/* The page is forgotten in every address space: more than ECX's ASID asks for. */
static enum outcome invlpga(struct cpu *c, const struct insn *in)
{
    if (allowed(c, in) != DONE)
        return FAULT;
    tlb_flush_page(c, rax_address(c, in));
    svm_forget_asid(c, (u32)c->regs[RCX]);
    return END;
}
DEFINE_MEANING_ONE(invlpga, invlpga);
