/* SPDX-License-Identifier: MIT */
/* Instructions that leave non-root operation, by a table. SDM 3C 25.1 */
#include "cpu/nested/vmx_intercept.h"

#include "cpu/meanings.h"
#include "cpu/msr.h"
#include "cpu/operands.h"
#include "cpu/system.h"

#include "insn_ids.h"

#define F(name) (v->f[VMCS_##name])

enum outcome vmx_leave(struct cpu *c, const struct insn *in, u32 reason, u64 qualification)
{
    vmx_exit(c, &(struct vmx_exit){.reason = reason, .qualification = qualification, .length = in->len});
    return END;
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
static INTERCEPT(on_cpuid)
{
    return vmx_leave(c, in, EXIT_CPUID, 0);
}

/* VMX instructions: mode first, then the exit, privilege never. */
static enum outcome vmx_mode(struct cpu *c)
{
    return !protected_mode(c) || (long_mode(c) && c->mode != MODE_64) ? fault_ud(c) : DONE;
}

static INTERCEPT(on_vmcall)
{
    return vmx_leave(c, in, EXIT_VMCALL, 0);
}
static INTERCEPT(on_vmx_plain)
{
    u32 reason = in->id == ID_VMLAUNCH ? EXIT_VMLAUNCH : in->id == ID_VMRESUME ? EXIT_VMRESUME : EXIT_VMXOFF;
    return vmx_mode(c) == DONE ? vmx_leave(c, in, reason, 0) : FAULT;
}
static INTERCEPT(on_vmx_pointer)
{
    u32 reason = in->id == ID_VMPTRLD   ? EXIT_VMPTRLD
                 : in->id == ID_VMCLEAR ? EXIT_VMCLEAR
                 : in->id == ID_VMPTRST ? EXIT_VMPTRST
                                        : EXIT_VMXON;
    return vmx_mode(c) == DONE ? leave_memory(c, in, reason, memory_info(in)) : FAULT;
}
/* With VMCS shadowing, of a field whose bit is clear: the shadow VMCS'. 24.6.15, 25.1.3 */
static bool shadowed(struct cpu *c, const struct vmcs *v, u64 encoding, u64 bitmap)
{
    u8 byte = 0xff;
    if (!ctl2(v, SHADOWING) || encoding >> 15)
        return false;
    (void)space_read(c->memory, bitmap + encoding / 8, &byte, 1);
    return !(byte >> (encoding & 7) & 1);
}
static INTERCEPT(on_vmx_field)
{
    bool mem = in->flags & INSN_MEM;
    u64 encoding = reg_get(c, in->reg * 8, c->mode == MODE_64 ? 8 : 4);
    u32 info = (mem ? memory_info(in) : 1u << 10 | (u32)in->rm << 3) | (u32)in->reg << 28;
    u32 reason = in->id == ID_VMREAD ? EXIT_VMREAD : EXIT_VMWRITE;
    if (vmx_mode(c) != DONE)
        return FAULT;
    if (shadowed(c, v, encoding, in->id == ID_VMREAD ? F(VMREAD_BITMAP) : F(VMWRITE_BITMAP)))
        return DONE;
    return leave_memory(c, in, reason, info);
}
static INTERCEPT(on_vmx_invalidate)
{
    u32 reason = in->id == ID_INVEPT ? EXIT_INVEPT : EXIT_INVVPID;
    return vmx_mode(c) == DONE ? leave_memory(c, in, reason, memory_info(in) | (u32)in->reg << 28) : FAULT;
}

static INTERCEPT(on_hlt)
{
    return !ctl(v, PROC, HLT) || c->cpl ? DONE : vmx_leave(c, in, EXIT_HLT, 0);
}
/* Whether this PAUSE is one too many of a loop, by the host's TSC. 25.1.3 */
static bool pause_loops(struct cpu *c, const struct vmcs *v)
{
    struct vmx *x = vmx_of(c);
    u64 now = tsc_host(c);
    if (!x->pause_seen || now - x->pause_last > (u32)F(PLE_GAP))
        x->pause_first = now;
    x->pause_seen = true;
    x->pause_last = now;
    return now - x->pause_first > (u32)F(PLE_WINDOW);
}
static INTERCEPT(on_pause)
{
    bool leaves = ctl(v, PROC, PAUSE) || (ctl2(v, PAUSE_LOOP) && !c->cpl && pause_loops(c, v));
    return leaves ? vmx_leave(c, in, EXIT_PAUSE, 0) : DONE;
}
/* Table 27-12 */
static INTERCEPT(on_random)
{
    bool seed = in->id == ID_RDSEED;
    if (seed ? !ctl2(v, RDSEED) : !ctl2(v, RDRAND))
        return DONE;
    u32 size = in->size == 2 ? 0 : in->size == 4 ? 1 : 2;
    vmx_exit(c, &(struct vmx_exit){.reason = seed ? EXIT_RDSEED : EXIT_RDRAND,
                                   .length = in->len,
                                   .insn_info = (u32)in->rm << 3 | size << 11});
    return END;
}

/* VM functions: 0 is EPTP switching, at any privilege. 25.5.6 */
static INTERCEPT(on_vmfunc)
{
    u32 function = (u32)c->regs[RAX], index = (u32)c->regs[RCX];
    u64 eptp = ~0ull;
    if (!ctl2(v, VM_FUNCTIONS) || function > 63)
        return fault_ud(c);
    if (!(F(VM_FUNCTIONS) >> function & 1) || index >= 512)
        return vmx_leave(c, in, EXIT_VMFUNC, 0);
    (void)space_read(c->memory, F(EPTP_LIST) + 8ull * index, &eptp, 8);
    if (!vmx_eptp_valid(c, eptp))
        return vmx_leave(c, in, EXIT_VMFUNC, 0);
    vmx_of(c)->v.f[VMCS_EPTP] = eptp;
    vmx_select_eptp(c, eptp);
    mmu_space_changed(c);
    return END;
}

/* A guest that reads the time sees none after the timer's. */
static bool timer_leaves(struct cpu *c)
{
    if (!vmx_timer_over(c))
        return false;
    vmx_exit(c, &(struct vmx_exit){.reason = EXIT_TIMER});
    return true;
}
static INTERCEPT(on_rdtsc)
{
    if (timer_leaves(c))
        return END;
    if (!ctl(v, PROC, RDTSC) || (c->cpl && (c->cr4 & CR4_TSD)))
        return DONE;
    return vmx_leave(c, in, EXIT_RDTSC, 0);
}
static INTERCEPT(on_rdtscp)
{
    if (timer_leaves(c))
        return END;
    if (!ctl2(v, RDTSCP))
        return fault_ud(c);
    if (!ctl(v, PROC, RDTSC) || (c->cpl && (c->cr4 & CR4_TSD)))
        return DONE;
    return vmx_leave(c, in, EXIT_RDTSCP, 0);
}
static INTERCEPT(on_rdpid)
{
    return ctl2(v, RDTSCP) ? DONE : fault_ud(c);
}
/* The other vendor's. */
static INTERCEPT(on_vmmcall)
{
    return fault_ud(c);
}
static INTERCEPT(on_rdpmc)
{
    if (!ctl(v, PROC, RDPMC) || (c->cpl && !(c->cr4 & CR4_PCE)))
        return DONE;
    return vmx_leave(c, in, EXIT_RDPMC, 0);
}
static INTERCEPT(on_invd)
{
    return c->cpl ? DONE : vmx_leave(c, in, EXIT_INVD, 0);
}
static INTERCEPT(on_wbinvd)
{
    return c->cpl || !ctl2(v, WBINVD) ? DONE : vmx_leave(c, in, EXIT_WBINVD, 0);
}
static INTERCEPT(on_xsetbv)
{
    return c->cpl || !(c->cr4 & CR4_OSXSAVE) ? DONE : vmx_leave(c, in, EXIT_XSETBV, 0);
}
static INTERCEPT(on_monitor)
{
    return c->cpl || !ctl(v, PROC, MONITOR) ? DONE : vmx_leave(c, in, EXIT_MONITOR, 0);
}
static INTERCEPT(on_mwait)
{
    return c->cpl || !ctl(v, PROC, MWAIT) ? DONE : vmx_leave(c, in, EXIT_MWAIT, 0);
}
static INTERCEPT(on_xsaves)
{
    return ctl2(v, XSAVES) ? DONE : fault_ud(c); /* IA32_XSS is 0: its bitmap finds nothing */
}

static INTERCEPT(on_invlpg)
{
    if (c->cpl || !ctl(v, PROC, INVLPG) || !(in->flags & INSN_MEM))
        return DONE;
    u64 ea = insn_ea(c, in);
    u64 lin = c->mode == MODE_64 ? ea + (in->seg >= FS ? c->seg[in->seg].base : 0)
                                 : (u32)(ea + c->seg[in->seg].base);
    return vmx_leave(c, in, EXIT_INVLPG, lin);
}
static INTERCEPT(on_invpcid)
{
    if (!ctl2(v, INVPCID))
        return fault_ud(c);
    if (c->cpl || v86_mode(c) || !ctl(v, PROC, INVLPG))
        return DONE;
    return leave_memory(c, in, EXIT_INVPCID, memory_info(in) | (u32)in->reg << 28);
}

static INTERCEPT(on_descriptor_table)
{
    static const u8 identity[] = {0, 1, 2, 3};
    bool loads = in->id == ID_LGDT || in->id == ID_LIDT;
    unsigned which = in->id == ID_SGDT ? 0 : in->id == ID_SIDT ? 1 : in->id == ID_LGDT ? 2 : 3;
    if (!ctl2(v, DESCRIPTOR_TABLE) || (c->cpl && (loads || (c->cr4 & CR4_UMIP))))
        return DONE;
    u32 info = memory_info(in) | (in->size >= 4 ? 1u << 11 : 0) | (u32)identity[which] << 28;
    return leave_memory(c, in, EXIT_GDTR_IDTR, info);
}

static INTERCEPT(on_ldt_tr)
{
    bool loads = in->id == ID_LLDT || in->id == ID_LTR, mem = in->flags & INSN_MEM;
    bool tr = in->id == ID_LTR || in->id == ID_STR_Mw || in->id == ID_STR_Rv;
    if (!ctl2(v, DESCRIPTOR_TABLE) || !protected_mode(c) || (c->cpl && (loads || (c->cr4 & CR4_UMIP))))
        return DONE;
    u32 info = (mem ? memory_info(in) : 1u << 10 | (u32)in->rm << 3) | (u32)(loads * 2 + tr) << 28;
    return leave_memory(c, in, EXIT_LDTR_TR, info);
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
static INTERCEPT(on_rdmsr)
{
    u64 value;
    if (c->cpl)
        return DONE;
    if (msr_exits(c, v, false))
        return vmx_leave(c, in, EXIT_RDMSR, 0);
    if (!vmx_apic_msr_read(c, (u32)c->regs[RCX], &value))
        return DONE;
    c->regs[RAX] = (u32)value;
    c->regs[RDX] = value >> 32;
    return END;
}
static INTERCEPT(on_wrmsr)
{
    if (c->cpl)
        return DONE;
    if (msr_exits(c, v, true))
        return vmx_leave(c, in, EXIT_WRMSR, 0);
    return vmx_apic_msr_write(c, (u32)c->regs[RCX], c->regs[RDX] << 32 | (u32)c->regs[RAX]);
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

static INTERCEPT(on_io)
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

static INTERCEPT(on_io_string)
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
static INTERCEPT(on_int3)
{
    return soft_exception(c, in, v, VEC_BP, INTR_SOFT_EXCEPTION);
}
static INTERCEPT(on_into)
{
    return c->fl & FL_OF ? soft_exception(c, in, v, VEC_OF, INTR_SOFT_EXCEPTION) : DONE;
}
static INTERCEPT(on_int1)
{
    return soft_exception(c, in, v, VEC_DB, INTR_PRIVILEGED);
}

u32 vmx_plain(const struct vmcs *v)
{
    u32 plain = NESTED_PLAIN_PUSHF | NESTED_PLAIN_READ_CR2;
    if (!ctl(v, PROC, RDTSC))
        plain |= ctl2(v, RDTSCP) ? NESTED_PLAIN_RDTSC | NESTED_PLAIN_RDTSCP : NESTED_PLAIN_RDTSC;
    return ctl(v, PROC, CR3_STORE) ? plain : plain | NESTED_PLAIN_READ_CR3;
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
    [ID_RDRAND] = on_random,
    [ID_RDSEED] = on_random,
    [ID_VMFUNC] = on_vmfunc,
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
    [ID_MOV_CyRy] = vmx_on_mov_to_cr,
    [ID_MOV_RyCy] = vmx_on_mov_from_cr,
    [ID_CLTS] = vmx_on_clts,
    [ID_LMSW] = vmx_on_lmsw,
    [ID_SMSW_Mw] = vmx_on_smsw,
    [ID_SMSW_Rv] = vmx_on_smsw,
    [ID_MOV_RyDy] = vmx_on_mov_dr,
    [ID_MOV_DyRy] = vmx_on_mov_dr,
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
