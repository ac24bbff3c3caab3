/* SPDX-License-Identifier: MIT */
/* Control and debug registers in non-root operation: masks, shadows and targets. SDM 3C 25.1.3, 25.3, table
 * 27-3 */
#include "cpu/control.h"
#include "cpu/nested/vmx_intercept.h"
#include "cpu/operands.h"
#include "cpu/system.h"

#include "insn_ids.h"

#define F(name) (v->f[VMCS_##name])

static unsigned width(const struct cpu *c)
{
    return c->mode == MODE_64 ? 8 : 4;
}

enum { CR_TO, CR_FROM, CR_CLTS, CR_LMSW };

static u64 cr_qualification(const struct insn *in, unsigned n, unsigned type)
{
    return n | type << 4 | (u32)in->rm << 8;
}

static bool cr3_target(const struct vmcs *v, u64 value)
{
    for (unsigned i = 0; i < (u32)F(CR3_TARGETS) && i < VMX_CR3_TARGETS; i++)
        if (v->f[VMCS_CR3_TARGET0 + i] == value)
            return true;
    return false;
}

static enum outcome mov_to_cr8(struct cpu *c, const struct insn *in, const struct vmcs *v, u64 value)
{
    if (ctl(v, PROC, CR8_LOAD))
        return vmx_leave(c, in, EXIT_CR, cr_qualification(in, 8, CR_TO));
    if (!ctl(v, PROC, TPR_SHADOW))
        return DONE;
    if (value > 15)
        return fault_gp0(c);
    (void)vmx_write_cr8(c, value);
    return END;
}

INTERCEPT(vmx_on_mov_to_cr)
{
    u64 value = reg_get(c, in->rm * 8, width(c));
    if (c->cpl)
        return DONE;
    switch (in->reg) {
    case 0:
        if ((value ^ F(CR0_SHADOW)) & F(CR0_MASK))
            return vmx_leave(c, in, EXIT_CR, cr_qualification(in, 0, CR_TO));
        return control_set_cr0(c, (value & ~F(CR0_MASK)) | (c->cr0 & F(CR0_MASK)));
    case 3:
        if (!ctl(v, PROC, CR3_LOAD) || cr3_target(v, value))
            return DONE;
        return vmx_leave(c, in, EXIT_CR, cr_qualification(in, 3, CR_TO));
    case 4:
        if ((value ^ F(CR4_SHADOW)) & F(CR4_MASK))
            return vmx_leave(c, in, EXIT_CR, cr_qualification(in, 4, CR_TO));
        return control_set_cr4(c, (value & ~F(CR4_MASK)) | (c->cr4 & F(CR4_MASK)));
    case 8:
        return mov_to_cr8(c, in, v, value);
    default:
        return DONE;
    }
}

static enum outcome give(struct cpu *c, const struct insn *in, u64 value)
{
    reg_set(c, in->rm * 8, width(c), value);
    return END;
}

INTERCEPT(vmx_on_mov_from_cr)
{
    if (c->cpl)
        return DONE;
    switch (in->reg) {
    case 0:
        return give(c, in, (c->cr0 & ~F(CR0_MASK)) | (F(CR0_SHADOW) & F(CR0_MASK)));
    case 3:
        return ctl(v, PROC, CR3_STORE) ? vmx_leave(c, in, EXIT_CR, cr_qualification(in, 3, CR_FROM)) : DONE;
    case 4:
        return give(c, in, (c->cr4 & ~F(CR4_MASK)) | (F(CR4_SHADOW) & F(CR4_MASK)));
    case 8:
        if (ctl(v, PROC, CR8_STORE))
            return vmx_leave(c, in, EXIT_CR, cr_qualification(in, 8, CR_FROM));
        return ctl(v, PROC, TPR_SHADOW) ? give(c, in, vmx_vtpr(c) >> 4) : DONE;
    default:
        return DONE;
    }
}

INTERCEPT(vmx_on_clts)
{
    if (c->cpl || !(F(CR0_MASK) & CR0_TS))
        return DONE;
    return F(CR0_SHADOW) & CR0_TS ? vmx_leave(c, in, EXIT_CR, cr_qualification(in, 0, CR_CLTS) & 0xff) : END;
}

INTERCEPT(vmx_on_lmsw)
{
    u64 value, lin = 0;
    bool mem = in->flags & INSN_MEM;
    if (c->cpl)
        return DONE;
    if (!mem)
        value = reg_get(c, in->rm * 8, 2);
    else if (insn_linear(c, in, 2, false, &lin) != DONE || mmu_load(c, lin, 2, &value) != DONE)
        return FAULT;
    u64 mask = F(CR0_MASK), change = (value ^ F(CR0_SHADOW)) & mask;
    bool sets_pe = mask & value & ~F(CR0_SHADOW) & CR0_PE;
    if (sets_pe || (change & 0xe)) {
        u64 q = CR_LMSW << 4 | (mem ? 1u << 6 : 0) | (value & 0xffff) << 16;
        vmx_exit(c,
                 &(struct vmx_exit){.reason = EXIT_CR, .qualification = q, .length = in->len, .linear = lin});
        return END;
    }
    u64 from = (value & 0xf & ~mask) | (c->cr0 & 0xf & mask) | (c->cr0 & CR0_PE);
    return control_set_cr0(c, (c->cr0 & ~0xfull) | from);
}

INTERCEPT(vmx_on_smsw)
{
    u64 value = (c->cr0 & ~F(CR0_MASK)) | (F(CR0_SHADOW) & F(CR0_MASK));
    if (!F(CR0_MASK) || ((c->cr4 & CR4_UMIP) && c->cpl))
        return DONE;
    if (in->flags & INSN_MEM)
        return operand_store(c, in, 2, (u16)value) == DONE ? END : FAULT;
    reg_set(c, in->rm * 8, in->size, value);
    return END;
}

INTERCEPT(vmx_on_mov_dr)
{
    if (!ctl(v, PROC, MOV_DR) || c->cpl || in->reg > 7 ||
        ((in->reg == 4 || in->reg == 5) && (c->cr4 & CR4_DE)))
        return DONE;
    bool from = in->id == ID_MOV_RyDy;
    return vmx_leave(c, in, EXIT_DR, in->reg | (from ? 1u << 4 : 0) | (u32)in->rm << 8);
}
