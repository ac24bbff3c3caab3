/* SPDX-License-Identifier: MIT */
/*
 * What leaves non-root operation: instructions by a table, faults, and what is due at a boundary. SDM 3C
 * chapter 25
 *
 * An instruction's own #UD and privilege checks come before its exit, its operand's faults after it (25.1.1):
 * a function of the table returns DONE for "run it", having checked nothing, or looks at what comes first.
 */
#include "cpu/control.h"
#include "cpu/meanings.h"
#include "cpu/nested/vmx.h"
#include "cpu/operands.h"
#include "cpu/system.h"

#include "insn_ids.h"

typedef enum outcome (*intercept_fn)(struct cpu *c, const struct insn *in, const struct vmcs *v);
#define F(name)         (v->f[VMCS_##name])
#define INTERCEPT(name) static enum outcome name(struct cpu *c, const struct insn *in, const struct vmcs *v)

static enum outcome leave(struct cpu *c, const struct insn *in, u32 reason, u64 qualification)
{
    vmx_exit(c, &(struct vmx_exit){.reason = reason, .qualification = qualification, .length = in->len});
    return END;
}

static unsigned width(const struct cpu *c)
{
    return c->mode == MODE_64 ? 8 : 4;
}

/* VM-exit instruction information of a memory operand, and its displacement. 27.2.5, tables 27-9 to 27-14 */
static u32 memory_info(const struct insn *in)
{
    u32 i = in->scale | (u32)(in->adsize == 2 ? 0 : in->adsize == 4 ? 1 : 2) << 7 | (u32)in->seg << 15;
    i |= in->index == REG_ZERO ? 1u << 22 : (u32)in->index << 18;
    i |= in->base >= REG_RIP ? 1u << 27 : (u32)in->base << 23;
    return i;
}

static u64 displacement(const struct cpu *c, const struct insn *in)
{
    if (!(in->flags & INSN_MEM))
        return 0;
    u64 d = (u64)(i64)in->disp + (in->base == REG_RIP ? c->regs[REG_RIP] : 0);
    return in->adsize == 8 ? d : d & size_mask(in->adsize);
}

static enum outcome leave_memory(struct cpu *c, const struct insn *in, u32 reason, u32 info)
{
    vmx_exit(
        c, &(struct vmx_exit){
               .reason = reason, .qualification = displacement(c, in), .length = in->len, .insn_info = info});
    return END;
}

/* Always, whatever the privilege. */
INTERCEPT(on_cpuid)
{
    return leave(c, in, EXIT_CPUID, 0);
}

/* VMX instructions: mode first, then the exit, privilege never. */
static enum outcome vmx_mode(struct cpu *c)
{
    return !protected_mode(c) || (long_mode(c) && c->mode != MODE_64) ? fault_ud(c) : DONE;
}

INTERCEPT(on_vmcall)
{
    return leave(c, in, EXIT_VMCALL, 0);
}
INTERCEPT(on_vmx_plain)
{
    u32 reason = in->id == ID_VMLAUNCH ? EXIT_VMLAUNCH : in->id == ID_VMRESUME ? EXIT_VMRESUME : EXIT_VMXOFF;
    return vmx_mode(c) == DONE ? leave(c, in, reason, 0) : FAULT;
}
INTERCEPT(on_vmx_pointer)
{
    u32 reason = in->id == ID_VMPTRLD   ? EXIT_VMPTRLD
                 : in->id == ID_VMCLEAR ? EXIT_VMCLEAR
                 : in->id == ID_VMPTRST ? EXIT_VMPTRST
                                        : EXIT_VMXON;
    return vmx_mode(c) == DONE ? leave_memory(c, in, reason, memory_info(in)) : FAULT;
}
INTERCEPT(on_vmx_field)
{
    bool mem = in->flags & INSN_MEM;
    u32 info = (mem ? memory_info(in) : 1u << 10 | (u32)in->rm << 3) | (u32)in->reg << 28;
    u32 reason = in->id == ID_VMREAD ? EXIT_VMREAD : EXIT_VMWRITE;
    return vmx_mode(c) == DONE ? leave_memory(c, in, reason, info) : FAULT;
}
INTERCEPT(on_vmx_invalidate)
{
    u32 reason = in->id == ID_INVEPT ? EXIT_INVEPT : EXIT_INVVPID;
    return vmx_mode(c) == DONE ? leave_memory(c, in, reason, memory_info(in) | (u32)in->reg << 28) : FAULT;
}

INTERCEPT(on_hlt)
{
    return !ctl(v, PROC, HLT) || c->cpl ? DONE : leave(c, in, EXIT_HLT, 0);
}
INTERCEPT(on_pause)
{
    return ctl(v, PROC, PAUSE) ? leave(c, in, EXIT_PAUSE, 0) : DONE;
}
/* A guest that reads the time sees none after the timer's. */
static bool timer_over(struct cpu *c)
{
    if (vmx_of(c)->deadline == CLOCK_NEVER || clock_now(c->clock) < vmx_of(c)->deadline)
        return false;
    vmx_exit(c, &(struct vmx_exit){.reason = EXIT_TIMER});
    return true;
}
INTERCEPT(on_rdtsc)
{
    if (timer_over(c))
        return END;
    if (!ctl(v, PROC, RDTSC) || (c->cpl && (c->cr4 & CR4_TSD)))
        return DONE;
    return leave(c, in, EXIT_RDTSC, 0);
}
INTERCEPT(on_rdtscp)
{
    if (timer_over(c))
        return END;
    if (!ctl2(v, RDTSCP))
        return fault_ud(c);
    if (!ctl(v, PROC, RDTSC) || (c->cpl && (c->cr4 & CR4_TSD)))
        return DONE;
    return leave(c, in, EXIT_RDTSCP, 0);
}
INTERCEPT(on_rdpid)
{
    return ctl2(v, RDTSCP) ? DONE : fault_ud(c);
}
/* The other vendor's. */
INTERCEPT(on_vmmcall)
{
    return fault_ud(c);
}
INTERCEPT(on_rdpmc)
{
    if (!ctl(v, PROC, RDPMC) || (c->cpl && !(c->cr4 & CR4_PCE)))
        return DONE;
    return leave(c, in, EXIT_RDPMC, 0);
}
INTERCEPT(on_invd)
{
    return c->cpl ? DONE : leave(c, in, EXIT_INVD, 0);
}
INTERCEPT(on_wbinvd)
{
    return c->cpl || !ctl2(v, WBINVD) ? DONE : leave(c, in, EXIT_WBINVD, 0);
}
INTERCEPT(on_xsetbv)
{
    return c->cpl || !(c->cr4 & CR4_OSXSAVE) ? DONE : leave(c, in, EXIT_XSETBV, 0);
}
INTERCEPT(on_monitor)
{
    return c->cpl || !ctl(v, PROC, MONITOR) ? DONE : leave(c, in, EXIT_MONITOR, 0);
}
INTERCEPT(on_mwait)
{
    return c->cpl || !ctl(v, PROC, MWAIT) ? DONE : leave(c, in, EXIT_MWAIT, 0);
}
INTERCEPT(on_xsaves)
{
    return ctl2(v, XSAVES) ? DONE : fault_ud(c); /* IA32_XSS is 0: its bitmap finds nothing */
}

INTERCEPT(on_invlpg)
{
    if (c->cpl || !ctl(v, PROC, INVLPG) || !(in->flags & INSN_MEM))
        return DONE;
    u64 ea = insn_ea(c, in);
    u64 lin = c->mode == MODE_64 ? ea + (in->seg >= FS ? c->seg[in->seg].base : 0)
                                 : (u32)(ea + c->seg[in->seg].base);
    return leave(c, in, EXIT_INVLPG, lin);
}
INTERCEPT(on_invpcid)
{
    if (!ctl2(v, INVPCID))
        return fault_ud(c);
    if (c->cpl || v86_mode(c) || !ctl(v, PROC, INVLPG))
        return DONE;
    return leave_memory(c, in, EXIT_INVPCID, memory_info(in) | (u32)in->reg << 28);
}

INTERCEPT(on_descriptor_table)
{
    static const u8 identity[] = {0, 1, 2, 3};
    bool loads = in->id == ID_LGDT || in->id == ID_LIDT;
    unsigned which = in->id == ID_SGDT ? 0 : in->id == ID_SIDT ? 1 : in->id == ID_LGDT ? 2 : 3;
    if (!ctl2(v, DESCRIPTOR_TABLE) || (c->cpl && (loads || (c->cr4 & CR4_UMIP))))
        return DONE;
    u32 info = memory_info(in) | (in->size >= 4 ? 1u << 11 : 0) | (u32)identity[which] << 28;
    return leave_memory(c, in, EXIT_GDTR_IDTR, info);
}

INTERCEPT(on_ldt_tr)
{
    bool loads = in->id == ID_LLDT || in->id == ID_LTR, mem = in->flags & INSN_MEM;
    bool tr = in->id == ID_LTR || in->id == ID_STR_Mw || in->id == ID_STR_Rv;
    if (!ctl2(v, DESCRIPTOR_TABLE) || !protected_mode(c) || (c->cpl && (loads || (c->cr4 & CR4_UMIP))))
        return DONE;
    u32 info = (mem ? memory_info(in) : 1u << 10 | (u32)in->rm << 3) | (u32)(loads * 2 + tr) << 28;
    return leave_memory(c, in, EXIT_LDTR_TR, info);
}

/* Control registers: masks, shadows and targets. 25.1.3, 25.3, table 27-3 */
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

static void set_vtpr(struct cpu *c, const struct vmcs *v, u8 tpr)
{
    (void)space_write(c->memory, F(VIRTUAL_APIC) + 0x80, &tpr, 1);
}

u8 vmx_vtpr(struct cpu *c)
{
    u8 tpr = 0;
    (void)space_read(c->memory, vmx_of(c)->v.f[VMCS_VIRTUAL_APIC] + 0x80, &tpr, 1);
    return tpr;
}

/* A trap: the instruction is done when it leaves. 29.1.2 */
static enum outcome mov_to_cr8(struct cpu *c, const struct insn *in, const struct vmcs *v, u64 value)
{
    if (ctl(v, PROC, CR8_LOAD))
        return leave(c, in, EXIT_CR, cr_qualification(in, 8, CR_TO));
    if (!ctl(v, PROC, TPR_SHADOW))
        return DONE;
    if (value > 15)
        return fault_gp0(c);
    set_vtpr(c, v, (u8)(value << 4));
    if (value < (F(TPR_THRESHOLD) & 15)) {
        c->rip = c->regs[REG_RIP];
        vmx_exit(c, &(struct vmx_exit){.reason = EXIT_TPR_THRESHOLD});
    }
    return END;
}

INTERCEPT(on_mov_to_cr)
{
    u64 value = reg_get(c, in->rm * 8, width(c));
    if (c->cpl)
        return DONE;
    switch (in->reg) {
    case 0:
        if ((value ^ F(CR0_SHADOW)) & F(CR0_MASK))
            return leave(c, in, EXIT_CR, cr_qualification(in, 0, CR_TO));
        return control_set_cr0(c, (value & ~F(CR0_MASK)) | (c->cr0 & F(CR0_MASK)));
    case 3:
        if (!ctl(v, PROC, CR3_LOAD) || cr3_target(v, value))
            return DONE;
        return leave(c, in, EXIT_CR, cr_qualification(in, 3, CR_TO));
    case 4:
        if ((value ^ F(CR4_SHADOW)) & F(CR4_MASK))
            return leave(c, in, EXIT_CR, cr_qualification(in, 4, CR_TO));
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

INTERCEPT(on_mov_from_cr)
{
    if (c->cpl)
        return DONE;
    switch (in->reg) {
    case 0:
        return give(c, in, (c->cr0 & ~F(CR0_MASK)) | (F(CR0_SHADOW) & F(CR0_MASK)));
    case 3:
        return ctl(v, PROC, CR3_STORE) ? leave(c, in, EXIT_CR, cr_qualification(in, 3, CR_FROM)) : DONE;
    case 4:
        return give(c, in, (c->cr4 & ~F(CR4_MASK)) | (F(CR4_SHADOW) & F(CR4_MASK)));
    case 8:
        if (ctl(v, PROC, CR8_STORE))
            return leave(c, in, EXIT_CR, cr_qualification(in, 8, CR_FROM));
        return ctl(v, PROC, TPR_SHADOW) ? give(c, in, vmx_vtpr(c) >> 4) : DONE;
    default:
        return DONE;
    }
}

INTERCEPT(on_clts)
{
    if (c->cpl || !(F(CR0_MASK) & CR0_TS))
        return DONE;
    return F(CR0_SHADOW) & CR0_TS ? leave(c, in, EXIT_CR, cr_qualification(in, 0, CR_CLTS) & 0xff) : END;
}

INTERCEPT(on_lmsw)
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

INTERCEPT(on_smsw)
{
    u64 value = (c->cr0 & ~F(CR0_MASK)) | (F(CR0_SHADOW) & F(CR0_MASK));
    if (!F(CR0_MASK) || ((c->cr4 & CR4_UMIP) && c->cpl))
        return DONE;
    if (in->flags & INSN_MEM)
        return operand_store(c, in, 2, (u16)value) == DONE ? END : FAULT;
    reg_set(c, in->rm * 8, in->size, value);
    return END;
}

INTERCEPT(on_mov_dr)
{
    if (!ctl(v, PROC, MOV_DR) || c->cpl || in->reg > 7 ||
        ((in->reg == 4 || in->reg == 5) && (c->cr4 & CR4_DE)))
        return DONE;
    bool from = in->id == ID_MOV_RyDy;
    return leave(c, in, EXIT_DR, in->reg | (from ? 1u << 4 : 0) | (u32)in->rm << 8);
}

/* MSRs. 25.1.3 */
static bool msr_exits(struct cpu *c, const struct vmcs *v, bool write)
{
    u32 n = (u32)c->regs[RCX];
    u8 byte = 0xff;
    if (!ctl(v, PROC, MSR_BITMAPS) || (n & ~0xc0001fffu) || (n >> 30 != 0 && n >> 30 != 3))
        return true;
    u64 at = F(MSR_BITMAP) + (write ? 2048 : 0) + (n >> 31 ? 1024 : 0) + (n & 0x1fff) / 8;
    (void)space_read(c->memory, at, &byte, 1);
    return byte >> (n & 7) & 1;
}
INTERCEPT(on_rdmsr)
{
    return c->cpl || !msr_exits(c, v, false) ? DONE : leave(c, in, EXIT_RDMSR, 0);
}
INTERCEPT(on_wrmsr)
{
    return c->cpl || !msr_exits(c, v, true) ? DONE : leave(c, in, EXIT_WRMSR, 0);
}

/* Ports. 25.1.3, table 27-5 */
static bool io_exits(struct cpu *c, const struct vmcs *v, u16 port, unsigned size)
{
    if (!ctl(v, PROC, IO_BITMAPS))
        return ctl(v, PROC, IO);
    for (unsigned i = 0; i < size; i++) {
        u32 p = port + i;
        u8 byte = 0xff;
        if (p > 0xffff)
            return true;
        (void)space_read(c->memory, (p < 0x8000 ? F(IO_BITMAP_A) : F(IO_BITMAP_B)) + (p & 0x7fff) / 8, &byte,
                         1);
        if (byte >> (p & 7) & 1)
            return true;
    }
    return false;
}

enum { IO_IN = 1 << 3, IO_STRING = 1 << 4, IO_REP = 1 << 5, IO_IMMEDIATE = 1 << 6 };

static enum outcome leave_io(struct cpu *c, const struct insn *in, u16 port, u32 flags, u64 lin)
{
    u32 info = 0;
    if (flags & IO_STRING)
        info = (u32)(in->adsize == 2   ? 0
                     : in->adsize == 4 ? 1
                                       : 2)
                   << 7 |
               (u32)(flags & IO_IN ? ES : in->seg) << 15;
    vmx_exit(c, &(struct vmx_exit){.reason = EXIT_IO,
                                   .qualification = (in->size - 1u) | flags | (u32)port << 16,
                                   .length = in->len,
                                   .insn_info = info,
                                   .linear = lin});
    return END;
}

INTERCEPT(on_io)
{
    bool imm =
        in->id == ID_IN_ALIb || in->id == ID_IN_eAXIb || in->id == ID_OUT_ALIb || in->id == ID_OUT_eAXIb;
    bool input =
        in->id == ID_IN_ALIb || in->id == ID_IN_eAXIb || in->id == ID_IN_ALDX || in->id == ID_IN_eAXDX;
    u16 port = imm ? (u8)in->imm : (u16)c->regs[RDX];
    if (port_permitted(c, port, in->size) != DONE)
        return FAULT;
    if (!io_exits(c, v, port, in->size))
        return DONE;
    return leave_io(c, in, port, (input ? IO_IN : 0) | (imm ? IO_IMMEDIATE : 0), 0);
}

static enum outcome string_linear(struct cpu *c, const struct insn *in, bool input, u64 *lin)
{
    unsigned seg = input ? ES : in->seg;
    u64 at = c->regs[input ? RDI : RSI] & size_mask(in->adsize);
    if (c->mode != MODE_64)
        return mmu_linear_legacy(c, seg, at, in->size, input, lin);
    *lin = at + (seg >= FS ? c->seg[seg].base : 0);
    return DONE;
}

INTERCEPT(on_io_string)
{
    bool input = in->id == ID_INS_b || in->id == ID_INS_z, rep = in->flags & (INSN_REP | INSN_REPNE);
    u16 port = (u16)c->regs[RDX];
    u64 lin;
    if (port_permitted(c, port, in->size) != DONE)
        return FAULT;
    if ((rep && !(c->regs[RCX] & size_mask(in->adsize))) || !io_exits(c, v, port, in->size))
        return DONE;
    if (string_linear(c, in, input, &lin) != DONE)
        return FAULT;
    return leave_io(c, in, port, IO_STRING | (input ? IO_IN : 0) | (rep ? IO_REP : 0), lin);
}

/* Software exceptions: the bitmap's bit, then a trap-like fault. 25.2 */
static enum outcome soft_exception(struct cpu *c, const struct insn *in, const struct vmcs *v, u8 vector,
                                   unsigned type)
{
    if (!(F(EXCEPTIONS) >> vector & 1))
        return DONE;
    vmx_exit(c, &(struct vmx_exit){
                    .reason = EXIT_EXCEPTION, .info = INTR_VALID | type << 8 | vector, .length = in->len});
    return END;
}
INTERCEPT(on_int3)
{
    return soft_exception(c, in, v, VEC_BP, INTR_SOFT_EXCEPTION);
}
INTERCEPT(on_into)
{
    return c->fl & FL_OF ? soft_exception(c, in, v, VEC_OF, INTR_SOFT_EXCEPTION) : DONE;
}
INTERCEPT(on_int1)
{
    return soft_exception(c, in, v, VEC_DB, INTR_PRIVILEGED);
}

static const intercept_fn table[ID_COUNT] = {
    [ID_CPUID] = on_cpuid,
    [ID_VMCALL] = on_vmcall,
    [ID_VMLAUNCH] = on_vmx_plain,
    [ID_VMRESUME] = on_vmx_plain,
    [ID_VMXOFF] = on_vmx_plain,
    [ID_VMPTRLD] = on_vmx_pointer,
    [ID_VMCLEAR] = on_vmx_pointer,
    [ID_VMXON] = on_vmx_pointer,
    [ID_VMPTRST] = on_vmx_pointer,
    [ID_VMREAD] = on_vmx_field,
    [ID_VMWRITE] = on_vmx_field,
    [ID_INVEPT] = on_vmx_invalidate,
    [ID_INVVPID] = on_vmx_invalidate,
    [ID_HLT] = on_hlt,
    [ID_PAUSE] = on_pause,
    [ID_RDTSC] = on_rdtsc,
    [ID_RDTSCP] = on_rdtscp,
    [ID_RDPID] = on_rdpid,
    [ID_VMMCALL] = on_vmmcall,
    [ID_RDPMC] = on_rdpmc,
    [ID_INVD] = on_invd,
    [ID_WBINVD] = on_wbinvd,
    [ID_XSETBV] = on_xsetbv,
    [ID_MONITOR] = on_monitor,
    [ID_MWAIT] = on_mwait,
    [ID_XSAVES] = on_xsaves,
    [ID_XRSTORS] = on_xsaves,
    [ID_INVLPG] = on_invlpg,
    [ID_INVPCID] = on_invpcid,
    [ID_SGDT] = on_descriptor_table,
    [ID_SIDT] = on_descriptor_table,
    [ID_LGDT] = on_descriptor_table,
    [ID_LIDT] = on_descriptor_table,
    [ID_SLDT_Mw] = on_ldt_tr,
    [ID_SLDT_Rv] = on_ldt_tr,
    [ID_STR_Mw] = on_ldt_tr,
    [ID_STR_Rv] = on_ldt_tr,
    [ID_LLDT] = on_ldt_tr,
    [ID_LTR] = on_ldt_tr,
    [ID_MOV_CyRy] = on_mov_to_cr,
    [ID_MOV_RyCy] = on_mov_from_cr,
    [ID_CLTS] = on_clts,
    [ID_LMSW] = on_lmsw,
    [ID_SMSW_Mw] = on_smsw,
    [ID_SMSW_Rv] = on_smsw,
    [ID_MOV_RyDy] = on_mov_dr,
    [ID_MOV_DyRy] = on_mov_dr,
    [ID_RDMSR] = on_rdmsr,
    [ID_WRMSR] = on_wrmsr,
    [ID_IN_ALIb] = on_io,
    [ID_IN_eAXIb] = on_io,
    [ID_IN_ALDX] = on_io,
    [ID_IN_eAXDX] = on_io,
    [ID_OUT_ALIb] = on_io,
    [ID_OUT_eAXIb] = on_io,
    [ID_OUT_ALDX] = on_io,
    [ID_OUT_eAXDX] = on_io,
    [ID_INS_b] = on_io_string,
    [ID_INS_z] = on_io_string,
    [ID_OUTS_b] = on_io_string,
    [ID_OUTS_z] = on_io_string,
    [ID_INT3] = on_int3,
    [ID_INTO] = on_into,
    [ID_INT1] = on_int1,
};

enum outcome vmx_insn(struct cpu *c, const struct insn *in)
{
    intercept_fn f = table[in->id];
    if (!f || !cpu_has(c, insn_infos[in->id].gate))
        return DONE;
    return f(c, in, &vmx_of(c)->v);
}

/* The event whose delivery met an exit. 27.2.4 */
static void vectoring(const struct cpu *c, const struct event *during, struct vmx_exit *x)
{
    static const u8 type[] = {[EVENT_EXTERNAL] = INTR_EXTERNAL,
                              [EVENT_EXCEPTION] = INTR_HARDWARE,
                              [EVENT_INT_N] = INTR_SOFT_INT,
                              [EVENT_INT3] = INTR_SOFT_EXCEPTION,
                              [EVENT_INT1] = INTR_PRIVILEGED};
    if (!during)
        return;
    bool nmi = during->kind == EVENT_EXTERNAL && during->vector == VEC_NMI;
    unsigned t = nmi ? INTR_NMI : type[during->kind];
    x->idt_info = INTR_VALID | t << 8 | during->vector | (during->has_error ? INTR_ERROR_VALID : 0);
    x->idt_error = during->has_error ? during->error : 0;
    if (t >= INTR_SOFT_INT)
        x->length = (u32)(during->rip - c->rip);
}

static bool exception_exits(const struct vmcs *v, const struct fault *f)
{
    bool bit = (u32)F(EXCEPTIONS) >> f->vector & 1;
    if (f->vector != VEC_PF)
        return bit;
    return ((f->error & (u32)F(PF_MASK)) == (u32)F(PF_MATCH)) == bit;
}

bool vmx_fault(struct cpu *c, const struct fault *f, const struct event *during)
{
    const struct vmx *vmx = vmx_of(c);
    struct vmx_exit x = {.rf = f->vector != VEC_DB && !during};
    vectoring(c, during, &x);
    if (f->exit) {
        x.reason = vmx->second.reason;
        x.qualification = vmx->second.qualification;
        x.linear = vmx->second.linear;
        x.physical = vmx->second.physical;
        x.rf = !during;
        vmx_exit(c, &x);
        return true;
    }
    if (!exception_exits(&vmx->v, f))
        return false;
    bool error = f->has_error && !real_mode(c);
    x.reason = EXIT_EXCEPTION;
    x.info = INTR_VALID | INTR_HARDWARE << 8 | f->vector | (error ? INTR_ERROR_VALID : 0);
    x.error = error ? f->error : 0;
    x.qualification = f->vector == VEC_PF ? f->cr2 : f->vector == VEC_DB ? f->dr6 : 0;
    vmx_exit(c, &x);
    return true;
}

/* At a boundary, by priority. SDM 3A table 6-2; 3C 25.5.1, 25.2, 26.7 */
enum due { DUE_NOTHING, DUE_TPR, DUE_TIMER, DUE_NMI_WINDOW, DUE_NMI, DUE_WINDOW, DUE_INTERRUPT };

static enum due what_is_due(struct cpu *c, unsigned r, u8 shadow)
{
    const struct vmx *x = vmx_of(c);
    const struct vmcs *v = &x->v;
    if (x->deadline != CLOCK_NEVER && clock_now(c->clock) >= x->deadline)
        return DUE_TIMER;
    bool nmi_open = !(shadow & SHADOW_MOV_SS);
    if (ctl(v, PROC, NMI_WINDOW) && nmi_open && !c->nmi_blocked)
        return DUE_NMI_WINDOW;
    if ((r & REQ_NMI) && ctl(v, PIN, NMI) && nmi_open && (ctl(v, PIN, VIRTUAL_NMI) || !c->nmi_blocked))
        return DUE_NMI;
    if (ctl(v, PROC, INTERRUPT_WINDOW) && (c->rflags & FLAG_IF) && !shadow)
        return DUE_WINDOW;
    if ((r & REQ_INTR) && ctl(v, PIN, EXTERNAL_INTERRUPT) && !shadow && c->apic.pending &&
        c->apic.pending(c->apic.opaque) >= 0)
        return DUE_INTERRUPT;
    return DUE_NOTHING;
}

bool vmx_due(struct cpu *c)
{
    return what_is_due(c, atomic_load(&c->requests), c->shadow) != DUE_NOTHING;
}

static enum outcome leave_interrupt(struct cpu *c, const struct vmcs *v)
{
    struct vmx_exit x = {.reason = EXIT_EXTERNAL_INTERRUPT};
    if (ctl(v, EXIT, ACKNOWLEDGE)) {
        int vector = c->apic.acknowledge(c->apic.opaque);
        if (vector < 0)
            return AGAIN;
        x.info = INTR_VALID | INTR_EXTERNAL << 8 | (u32)vector;
    }
    vmx_exit(c, &x);
    return END;
}

/* A request that came to nothing. Cleared first, then looked at: none is lost. */
static void forget_interrupt(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INTR);
    if (c->apic.pending && c->apic.pending(c->apic.opaque) >= 0)
        cpu_request(c, REQ_INTR);
}

enum outcome vmx_boundary(struct cpu *c, unsigned r, u8 shadow)
{
    const struct vmcs *v = &vmx_of(c)->v;
    struct vmx_exit x = {0};
    switch (what_is_due(c, r, shadow)) {
    case DUE_TIMER:
        x.reason = EXIT_TIMER;
        break;
    case DUE_NMI_WINDOW:
        x.reason = EXIT_NMI_WINDOW;
        break;
    case DUE_NMI:
        atomic_fetch_and(&c->requests, ~(unsigned)REQ_NMI);
        x.reason = EXIT_EXCEPTION;
        x.info = INTR_VALID | INTR_NMI << 8 | VEC_NMI;
        break;
    case DUE_WINDOW:
        x.reason = EXIT_INTERRUPT_WINDOW;
        break;
    case DUE_INTERRUPT:
        return leave_interrupt(c, v);
    default:
        /* Physical events that the controls take away from the guest wait for the exit. */
        if ((r & REQ_INTR) && ctl(v, PIN, EXTERNAL_INTERRUPT)) {
            forget_interrupt(c);
            return AGAIN;
        }
        return (r & REQ_NMI) && ctl(v, PIN, NMI) ? AGAIN : DONE;
    }
    vmx_exit(c, &x);
    return END;
}

void vmx_arm(struct cpu *c)
{
    const struct vmx *x = vmx_of(c);
    bool look = ctl(&x->v, PROC, NMI_WINDOW) || ctl(&x->v, PROC, INTERRUPT_WINDOW) ||
                (x->deadline != CLOCK_NEVER && clock_now(c->clock) >= x->deadline);
    cpu_request(c, REQ_INTR | (look ? REQ_NESTED : 0)); /* INTR: what came while nobody could take it */
}
