/* SPDX-License-Identifier: MIT */
/*
 * VMX instructions in root operation and outside VMX operation; in non-root operation they leave before they
 * get here (vmx_intercept.c). SDM 3C chapter 30
 */
#include "cpu/control.h"
#include "cpu/meanings.h"
#include "cpu/nested/second.h"
#include "cpu/nested/vmx.h"
#include "cpu/operands.h"
#include "cpu/system.h"
#include "cpu/tlb.h"

#define ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

void vmx_succeed(struct cpu *c)
{
    c->fl = (u16)(c->fl & ~ARITH);
}

static void tell(struct cpu *c, const char *insn, enum vmx_error error, const char *check)
{
    enum nested_told kind = error == ERR_CONTROLS || error == ERR_HOST_STATE ? TOLD_ENTRY : TOLD_INSN;
    const char *is = check ? "not so: " : "", *what = check ? check : nested_error_words(error);
    if (error)
        nested_tell(c, kind, "%s failed, VM-instruction error %u: %s%s", insn, error, is, what);
    else
        nested_tell(c, kind, "%s failed, VMfailInvalid: %s%s", insn, is, what);
}

/* The VMCS that VMREAD and VMWRITE mean: in non-root operation the shadow one, which is on its page. 30.3 */
static struct vmcs *meant(struct cpu *c)
{
    return c->nested->guest ? vmcs_at(c, vmx_of(c)->v.f[VMCS_LINK]) : vmx_current(c);
}

/* VMfailInvalid without a current VMCS, else VMfailValid. 30.2 */
void vmx_fail(struct cpu *c, const char *insn, enum vmx_error error, const char *check)
{
    bool valid = error && meant(c);
    tell(c, insn, error, check);
    nested_trace_vmfail(c, insn, error, check);
    vmx_succeed(c);
    c->fl |= valid ? FL_ZF : FL_CF;
    if (valid)
        vmx_of(c)->v.f[VMCS_INSN_ERROR] = error; /* of the current VMCS, in non-root operation too */
}

static enum outcome failed(struct cpu *c, const char *insn, enum vmx_error error)
{
    vmx_fail(c, insn, error, NULL);
    return DONE;
}

static enum outcome succeeded(struct cpu *c)
{
    vmx_succeed(c);
    return DONE;
}

static bool right_mode(const struct cpu *c)
{
    return protected_mode(c) && !(long_mode(c) && c->mode != MODE_64);
}

/* What all instructions but VMXON begin with. */
static enum outcome allowed(struct cpu *c)
{
    if (!c->nested || !c->nested->vmx || !vmx_of(c)->on || !right_mode(c))
        return nested_trace_fault(c, fault_ud(c));
    return c->cpl ? nested_trace_fault(c, fault_gp0(c)) : DONE;
}

static bool pointer_valid(const struct cpu *c, u64 p)
{
    return !(p & 0xfff) && !(p & physical_reserved(c));
}

static u32 revision_at(struct cpu *c, u64 p)
{
    u32 r = 0;
    (void)space_read(c->memory, p, &r, 4);
    return r;
}

static enum outcome vmxon(struct cpu *c, const struct insn *in)
{
    u64 p;
    if (!c->nested || !c->nested->vmx || !(c->cr4 & CR4_VMXE) || !right_mode(c))
        return nested_trace_fault(c, fault_ud(c));
    struct vmx *x = vmx_of(c);
    if (x->on)
        return c->cpl ? nested_trace_fault(c, fault_gp0(c)) : failed(c, "VMXON", ERR_VMXON_IN_ROOT);
    u64 need = CR0_PE | CR0_NE | (u64)CR0_PG;
    if (c->cpl || (c->cr0 & need) != need)
        return nested_trace_fault(c, fault_gp0(c));
    if (operand_load(c, in, 8, &p) != DONE)
        return FAULT;
    if (!pointer_valid(c, p) || revision_at(c, p) != VMCS_REVISION) {
        vmx_fail(c, "VMXON", ERR_INVALID,
                 "a VMXON region at a valid address, with the revision of IA32_VMX_BASIC");
        return DONE;
    }
    x->on = true;
    x->vmxon = p;
    nested_operation_changed(c);
    return succeeded(c);
}
DEFINE_MEANING_ONE(vmxon, vmxon);

static enum outcome vmxoff(struct cpu *c, const struct insn *in)
{
    if (allowed(c) != DONE)
        return FAULT;
    vmx_set_current(c, VMCS_NONE);
    vmx_of(c)->on = false;
    nested_operation_changed(c);
    return succeeded(c);
}
DEFINE_MEANING_ONE(vmxoff, vmxoff);

static enum outcome vmclear(struct cpu *c, const struct insn *in)
{
    u64 p;
    if (allowed(c) != DONE || operand_load(c, in, 8, &p) != DONE)
        return FAULT;
    struct vmx *x = vmx_of(c);
    if (!pointer_valid(c, p))
        return failed(c, "VMCLEAR", ERR_VMCLEAR_ADDRESS);
    if (p == x->vmxon)
        return failed(c, "VMCLEAR", ERR_VMCLEAR_VMXON);
    if (p == x->current)
        vmx_set_current(c, VMCS_NONE);
    struct vmcs *page = vmcs_at(c, p);
    if (page) {
        page->launched = 0;
        vmcs_written(c, p);
    }
    return succeeded(c);
}
DEFINE_MEANING_ONE(vmclear, vmclear);

static enum outcome vmptrld(struct cpu *c, const struct insn *in)
{
    u64 p;
    if (allowed(c) != DONE || operand_load(c, in, 8, &p) != DONE)
        return FAULT;
    struct vmx *x = vmx_of(c);
    if (!pointer_valid(c, p))
        return failed(c, "VMPTRLD", ERR_VMPTRLD_ADDRESS);
    if (p == x->vmxon)
        return failed(c, "VMPTRLD", ERR_VMPTRLD_VMXON);
    const struct vmcs *page = vmcs_at(c, p);
    if (!page || (page->revision & ~VMCS_SHADOW) != VMCS_REVISION)
        return failed(c, "VMPTRLD", ERR_VMPTRLD_REVISION);
    vmx_set_current(c, p);
    return succeeded(c);
}
DEFINE_MEANING_ONE(vmptrld, vmptrld);

static enum outcome vmptrst(struct cpu *c, const struct insn *in)
{
    if (allowed(c) != DONE || operand_store(c, in, 8, vmx_of(c)->current) != DONE)
        return FAULT;
    return succeeded(c);
}
DEFINE_MEANING_ONE(vmptrst, vmptrst);

/* 64-bit operands in 64-bit mode, else 32. */
static unsigned operand_size(const struct cpu *c)
{
    return c->mode == MODE_64 ? 8 : 4;
}

static enum outcome vmread(struct cpu *c, const struct insn *in)
{
    unsigned size = operand_size(c);
    if (allowed(c) != DONE)
        return FAULT;
    const struct vmcs *vmcs = meant(c);
    u64 encoding = reg_get(c, in->reg * 8, size);
    int field = vmcs_find(encoding);
    if (!vmcs)
        return failed(c, "VMREAD", ERR_INVALID);
    if (field < 0)
        return failed(c, "VMREAD", ERR_FIELD);
    u64 v = vmcs_get(vmcs, field, encoding);
    if (!(in->flags & INSN_MEM))
        reg_set(c, in->rm * 8, size, v);
    else if (operand_store(c, in, size, v) != DONE)
        return FAULT;
    return succeeded(c);
}
DEFINE_MEANING_ONE(vmread, vmread);

static enum outcome vmwrite(struct cpu *c, const struct insn *in)
{
    unsigned size = operand_size(c);
    u64 v, encoding = reg_get(c, in->reg * 8, size);
    if (allowed(c) != DONE)
        return FAULT;
    if (!(in->flags & INSN_MEM))
        v = reg_get(c, in->rm * 8, size);
    else if (operand_load(c, in, size, &v) != DONE)
        return FAULT;
    struct vmcs *vmcs = meant(c);
    int field = vmcs_find(encoding);
    if (!vmcs)
        return failed(c, "VMWRITE", ERR_INVALID);
    if (field < 0)
        return failed(c, "VMWRITE", ERR_FIELD);
    vmcs_put(vmcs, field, encoding, v); /* read-only fields too: IA32_VMX_MISC bit 29 */
    if (c->nested->guest)
        vmcs_written(c, vmx_of(c)->v.f[VMCS_LINK]);
    else
        vmcs->dirty |= vmcs_groups[field];
    return succeeded(c);
}
DEFINE_MEANING_ONE(vmwrite, vmwrite);

static enum outcome vmlaunch(struct cpu *c, const struct insn *in)
{
    return allowed(c) == DONE ? vmx_enter(c, true) : FAULT;
}
DEFINE_MEANING_ONE(vmlaunch, vmlaunch);

static enum outcome vmresume(struct cpu *c, const struct insn *in)
{
    return allowed(c) == DONE ? vmx_enter(c, false) : FAULT;
}
DEFINE_MEANING_ONE(vmresume, vmresume);

/* Outside VMX operation the KVM hypercall interface, with no hypercall in it. Linux
 * Documentation/virt/kvm/x86/hypercalls.rst */
static enum outcome vmcall(struct cpu *c, const struct insn *in)
{
    enum { KVM_EPERM = 1, KVM_ENOSYS = 1000 };
    if (c->nested && c->nested->vmx && vmx_of(c)->on)
        return c->cpl ? fault_gp0(c) : failed(c, "VMCALL", ERR_VMCALL_IN_ROOT);
    i64 r = c->cpl ? -KVM_EPERM : -KVM_ENOSYS;
    c->regs[RAX] = c->mode == MODE_64 ? (u64)r : (u32)r;
    return DONE;
}
DEFINE_MEANING_ONE(vmcall, vmcall);

/* Non-root operation's: there it does not get here. */
static enum outcome vmfunc(struct cpu *c, const struct insn *in)
{
    return fault_ud(c);
}
DEFINE_MEANING_ONE(vmfunc, vmfunc);

static enum outcome descriptor(struct cpu *c, const struct insn *in, u64 *type, u64 d[2])
{
    u64 lin;
    *type = reg_get(c, in->reg * 8, operand_size(c));
    return insn_linear(c, in, 16, false, &lin) == DONE ? mmu_read(c, lin, d, 16) : FAULT;
}

static bool match_eptp(const struct tlb_tag *t, const void *arg)
{
    /* Mappings belong to the EPT's root: flags of the pointer do not tell them apart. 28.4.2 */
    return t->level && ((t->nested ^ *(const u64 *)arg) & 0x000ffffffffff000ull) == 0;
}

static bool match_guests(const struct tlb_tag *t, const void *arg)
{
    return t->level != 0;
}

static bool of_root(const struct second_tag *t, const void *arg)
{
    return ((t->root ^ *(const u64 *)arg) & 0x000ffffffffff000ull) == 0;
}

static enum outcome invept(struct cpu *c, const struct insn *in)
{
    u64 type, d[2];
    if (allowed(c) != DONE || descriptor(c, in, &type, d) != DONE)
        return FAULT;
    if ((type != 1 && type != 2) || (type == 1 && !vmx_eptp_valid(c, d[0])))
        return failed(c, "INVEPT", ERR_INVALIDATE_OPERAND);
    tlb_flush_matching(c, type == 1 ? match_eptp : match_guests, &d[0]);
    if (type == 1)
        second_flush(c->nested->translations, of_root, &d[0]);
    else
        second_flush_all(c->nested->translations);
    return succeeded(c);
}
DEFINE_MEANING_ONE(invept, invept);

static bool match_vpid(const struct tlb_tag *t, const void *arg)
{
    return t->level && t->asid == *(const u16 *)arg;
}

static bool match_any_vpid(const struct tlb_tag *t, const void *arg)
{
    return t->level && t->asid;
}

enum { INVVPID_ADDRESS, INVVPID_ONE, INVVPID_ALL, INVVPID_ONE_BUT_GLOBAL };

static enum outcome invvpid(struct cpu *c, const struct insn *in)
{
    u64 type, d[2];
    if (allowed(c) != DONE || descriptor(c, in, &type, d) != DONE)
        return FAULT;
    u16 vpid = (u16)d[0];
    if (type > INVVPID_ONE_BUT_GLOBAL || d[0] >> 16 || (type != INVVPID_ALL && !vpid) ||
        (type == INVVPID_ADDRESS && !canonical(d[1])))
        return failed(c, "INVVPID", ERR_INVALIDATE_OPERAND);
    tlb_flush_matching(c, type == INVVPID_ALL ? match_any_vpid : match_vpid, &vpid);
    return succeeded(c);
}
DEFINE_MEANING_ONE(invvpid, invvpid);
