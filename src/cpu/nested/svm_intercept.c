/* SPDX-License-Identifier: MIT */
/*
 * Instruction intercepts: which exit code an instruction has, what it reports, and whether exceptions come
 * first. APM 2 15.9 and table 15-7 (order), 15.8.4 (decode assists), 15.10 (ports), 15.11 (MSRs).
 *
 * One row an instruction. A handler returns DONE to let the instruction run (and raise what faults it has),
 * END when the exit was taken, FAULT for an exception that comes before the intercept.
 */
#include "cpu/nested/svm.h"

#include "cpu/control.h"
#include "cpu/operands.h"

#include "insn_ids.h"

typedef enum outcome (*intercept_fn)(struct cpu *c, const struct insn *in, unsigned code);

/* Exit from an instruction: nRIP is the next one's address. APM 2 15.7.1 */
static enum outcome leave(struct cpu *c, u64 code, u64 info1, u64 info2)
{
    return svm_leave(
        c, &(struct svm_exit){.code = code, .info1 = info1, .info2 = info2, .next_rip = c->regs[REG_RIP]});
}

/* Before any exception. */
static enum outcome first(struct cpu *c, const struct insn *in, unsigned code)
{
    return svm_intercepts(c->nested->svm, code) ? leave(c, code, 0, 0) : DONE;
}

/* CPL 0 only: #GP(0) comes first. */
static enum outcome privileged(struct cpu *c, const struct insn *in, unsigned code)
{
    return c->cpl ? fault_gp0(c) : first(c, in, code);
}

static enum outcome timestamp(struct cpu *c, const struct insn *in, unsigned code)
{
    return c->cpl && (c->cr4 & CR4_TSD) ? fault_gp0(c) : first(c, in, code);
}

/* No counter exists, but its intercept does. */
static enum outcome counter(struct cpu *c, const struct insn *in, unsigned code)
{
    return c->cpl && !(c->cr4 & CR4_PCE) ? fault_gp0(c) : first(c, in, code);
}

static enum outcome monitor_mwait(struct cpu *c, const struct insn *in, unsigned code)
{
    return c->cpl ? fault_ud(c) : first(c, in, code);
}

static enum outcome xsetbv(struct cpu *c, const struct insn *in, unsigned code)
{
    return c->cr4 & CR4_OSXSAVE ? privileged(c, in, code) : fault_ud(c);
}

/* SGDT SIDT SLDT STR SMSW: UMIP comes first, memory faults after. */
static enum outcome store_system(struct cpu *c, const struct insn *in, unsigned code)
{
    return (c->cr4 & CR4_UMIP) && c->cpl ? fault_gp0(c) : first(c, in, code);
}

static enum outcome store_selector(struct cpu *c, const struct insn *in, unsigned code)
{
    return protected_mode(c) ? store_system(c, in, code) : fault_ud(c);
}

static enum outcome load_table(struct cpu *c, const struct insn *in, unsigned code)
{
    return in->flags & INSN_MEM ? privileged(c, in, code) : fault_ud(c);
}

static enum outcome store_table(struct cpu *c, const struct insn *in, unsigned code)
{
    return in->flags & INSN_MEM ? store_system(c, in, code) : fault_ud(c);
}

static enum outcome load_selector(struct cpu *c, const struct insn *in, unsigned code)
{
    return protected_mode(c) ? privileged(c, in, code) : fault_ud(c);
}

/* The filter counts down at each PAUSE, and anew after one that came later than the threshold behind the
 * last; cycles are instructions here. APM 2 15.14.4 */
static enum outcome pause_filter(struct cpu *c, const struct insn *in, unsigned code)
{
    struct svm *s = c->nested->svm;
    if (!svm_intercepts(s, code))
        return DONE;
    u64 elapsed = c->retired - s->pause_last;
    s->pause_last = c->retired;
    if (s->ctl.pause_threshold && elapsed > s->ctl.pause_threshold) {
        s->pause_left = s->ctl.pause_count;
        return DONE;
    }
    if (s->pause_left) {
        s->pause_left--;
        return DONE;
    }
    return leave(c, code, 0, 0);
}

/* The idle intercept lets a guest halt that has a virtual interrupt or NMI to wake it. APM 2 15.9 */
static enum outcome halt(struct cpu *c, const struct insn *in, unsigned code)
{
    enum outcome o = privileged(c, in, code);
    return o != DONE || svm_virtual_pending(c) ? o : first(c, in, SVM_EXIT_IDLE_HLT);
}

static u64 operand_linear(const struct cpu *c, const struct insn *in)
{
    u64 ea = insn_ea(c, in);
    if (c->mode == MODE_64)
        return ea + (in->seg >= FS ? c->seg[in->seg].base : 0);
    return (u32)(ea + c->seg[in->seg].base);
}

static enum outcome invlpg(struct cpu *c, const struct insn *in, unsigned code)
{
    if (!(in->flags & INSN_MEM))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    if (!svm_intercepts(c->nested->svm, code))
        return DONE;
    return leave(c, code, operand_linear(c, in), 0);
}

/* The descriptor's address and the type. APM 2 15.9 INVPCID */
static enum outcome invpcid(struct cpu *c, const struct insn *in, unsigned code)
{
    if (c->cpl || v86_mode(c))
        return fault_gp0(c);
    if (!svm_intercepts(c->nested->svm, code))
        return DONE;
    u64 type = reg_get(c, in->reg * 8, c->mode == MODE_64 ? 8 : 4);
    return leave(c, code, operand_linear(c, in), type);
}

/* Control registers. EXITINFO1 of MOV: bit 63 and the general register's number. */
#define MOV_CR_ASSIST BIT(63)
#define CR0_SELECTIVE (CR0_TS | CR0_MP) /* changing others is a selective write. APM 2 15.9 */

static unsigned control_register(const struct insn *in)
{
    return in->flags & INSN_LOCK ? in->reg | 8 : in->reg;
}

static bool control_register_exists(unsigned n)
{
    return n == 0 || n == 2 || n == 3 || n == 4 || n == 8;
}

static bool virtual_tpr(const struct cpu *c)
{
    return c->nested->svm->ctl.int_ctl & VINTR_MASKING;
}

/* With V_INTR_MASKING, CR8 is V_TPR. APM 2 15.21.2 */
static enum outcome read_cr8(struct cpu *c, const struct insn *in)
{
    if (!virtual_tpr(c))
        return DONE;
    u64 v = c->nested->svm->ctl.int_ctl & VINTR_TPR;
    reg_set(c, in->rm * 8, c->mode == MODE_64 ? 8 : 4, v);
    return END;
}

static enum outcome write_cr8(struct cpu *c, const struct insn *in)
{
    struct svm *s = c->nested->svm;
    u64 v = reg_get(c, in->rm * 8, c->mode == MODE_64 ? 8 : 4);
    if (!virtual_tpr(c))
        return DONE;
    if (v > 15)
        return fault_gp0(c);
    s->ctl.int_ctl = (s->ctl.int_ctl & ~(u32)VINTR_TPR) | (u32)v;
    return END;
}

static enum outcome mov_from_cr(struct cpu *c, const struct insn *in, unsigned code)
{
    unsigned n = control_register(in);
    if (!control_register_exists(n))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    if (svm_intercepts(c->nested->svm, code + n))
        return leave(c, code + n, MOV_CR_ASSIST | in->rm, 0);
    return n == 8 ? read_cr8(c, in) : DONE;
}

/* The plain CR0 write intercept comes first. */
static bool cr0_selective(const struct cpu *c, u64 new)
{
    u64 changes = (c->cr0 ^ new) & ~(u64)(CR0_SELECTIVE | CR0_ET);
    return changes && svm_intercepts(c->nested->svm, SVM_EXIT_CR0_SEL_WRITE);
}

static enum outcome mov_to_cr(struct cpu *c, const struct insn *in, unsigned code)
{
    unsigned n = control_register(in);
    u64 v = reg_get(c, in->rm * 8, c->mode == MODE_64 ? 8 : 4);
    if (!control_register_exists(n))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    if (svm_intercepts(c->nested->svm, code + n))
        return leave(c, code + n, MOV_CR_ASSIST | in->rm, 0);
    if (n == 0 && cr0_selective(c, v))
        return leave(c, SVM_EXIT_CR0_SEL_WRITE, MOV_CR_ASSIST | in->rm, 0);
    return n == 8 ? write_cr8(c, in) : DONE;
}

static enum outcome clts(struct cpu *c, const struct insn *in, unsigned code)
{
    return privileged(c, in, code);
}

/* LMSW is a selective write whatever it changes. */
static enum outcome lmsw(struct cpu *c, const struct insn *in, unsigned code)
{
    enum outcome o = privileged(c, in, code);
    return o == DONE ? first(c, in, SVM_EXIT_CR0_SEL_WRITE) : o;
}

static enum outcome mov_dr(struct cpu *c, const struct insn *in, unsigned code)
{
    unsigned n = in->reg;
    if (n > 7 || ((n == 4 || n == 5) && (c->cr4 & CR4_DE)))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    return svm_intercepts(c->nested->svm, code + n) ? leave(c, code + n, in->rm, 0) : DONE;
}

/* The two bits of an MSR; none: always intercepted. APM 2 15.11 */
static bool msr_bit(u32 msr, bool write, u32 *bit)
{
    static const struct {
        u32 first, at;
    } ranges[] = {{0, 0}, {0xc0000000, 0x800}, {0xc0010000, 0x1000}};
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        u32 off = msr - ranges[i].first;
        if (off < 0x2000) {
            *bit = ranges[i].at * 8 + off * 2 + write;
            return true;
        }
    }
    return false;
}

/* Maps outside RAM read as ones. */
static bool map_bit(struct cpu *c, u64 map, u32 bit)
{
    u64 v;
    if (!space_io_read(c->memory, (map & ~(PAGE_SIZE - 1)) + bit / 8, 1, &v))
        return true;
    return v >> (bit & 7) & 1;
}

static enum outcome msr_access(struct cpu *c, const struct insn *in, unsigned code)
{
    const struct svm *s = c->nested->svm;
    bool write = in->id == ID_WRMSR;
    u32 bit;
    if (c->cpl)
        return fault_gp0(c);
    if (!svm_intercepts(s, code))
        return DONE;
    if (msr_bit((u32)c->regs[RCX], write, &bit) && !map_bit(c, s->ctl.msrpm, bit))
        return DONE;
    return leave(c, code, write, 0);
}

/* EXITINFO1 of IOIO. APM 2 15.10.2 */
enum {
    IOIO_IN = 1,
    IOIO_STR = 4,
    IOIO_REP = 8,
    IOIO_SIZE = 4,
    IOIO_ADDRESS = 6,
    IOIO_SEG = 10,
    IOIO_PORT = 16
};

static bool io_string(const struct insn *in)
{
    return in->opcode >= 0x6c && in->opcode <= 0x6f;
}

/* IN and INS have an even half of the opcode map: 6C 6D, E4 E5, EC ED. */
static bool io_in(const struct insn *in)
{
    return !(in->opcode & 2);
}

static u64 io_info(const struct insn *in, u16 port)
{
    u64 info = (u64)port << IOIO_PORT | (u64)in->size << IOIO_SIZE;
    if (io_in(in))
        info |= IOIO_IN;
    if (!io_string(in))
        return info;
    info |= IOIO_STR | (u64)(in->adsize == 2 ? 1 : in->adsize == 4 ? 2 : 4) << 7;
    info |= (u64)(io_in(in) ? ES : in->seg) << IOIO_SEG;
    return in->flags & (INSN_REP | INSN_REPNE) ? info | IOIO_REP : info;
}

static enum outcome port_access(struct cpu *c, const struct insn *in, unsigned code)
{
    const struct svm *s = c->nested->svm;
    bool immediate = in->opcode >= 0xe4 && in->opcode <= 0xe7;
    u16 port = (u16)(immediate ? (u8)in->imm : c->regs[RDX]);
    bool rep = in->flags & (INSN_REP | INSN_REPNE);
    if (!svm_intercepts(s, code) || (io_string(in) && rep && !(c->regs[RCX] & size_mask(in->adsize))))
        return DONE;
    bool wanted = false;
    for (unsigned i = 0; i < in->size; i++)
        wanted |= map_bit(c, s->ctl.iopm, port + i);
    if (!wanted)
        return DONE;
    if (port_permitted(c, port, in->size) != DONE)
        return FAULT;
    return leave(c, code, io_info(in, port), c->regs[REG_RIP]);
}

static enum outcome int_n(struct cpu *c, const struct insn *in, unsigned code)
{
    return svm_intercepts(c->nested->svm, code) ? leave(c, code, (u8)in->imm, 0) : DONE;
}

/* INT3 and INTO are caught as exceptions; RIP is the instruction's. APM 2 15.12.4, 15.12.5 */
static enum outcome int3(struct cpu *c, const struct insn *in, unsigned code)
{
    return first(c, in, code + VEC_BP);
}

static enum outcome into(struct cpu *c, const struct insn *in, unsigned code)
{
    return c->fl & FL_OF ? first(c, in, code + VEC_OF) : DONE;
}

static enum outcome icebp(struct cpu *c, const struct insn *in, unsigned code)
{
    enum outcome o = first(c, in, code);
    return o == DONE ? first(c, in, SVM_EXIT_EXCEPTION + VEC_DB) : o;
}

/* The SVM instructions: #UD and #GP come first. */
static enum outcome svm_instruction(struct cpu *c, const struct insn *in, unsigned code)
{
    return svm_allowed(c) == DONE ? first(c, in, code) : FAULT;
}

/* Nobody takes the guest's hypercall but the hypervisor that intercepts it. APM 3 VMMCALL */
static enum outcome vmmcall(struct cpu *c, const struct insn *in, unsigned code)
{
    enum outcome o = first(c, in, code);
    return o == DONE ? fault_ud(c) : o;
}

static enum outcome undefined(struct cpu *c, const struct insn *in, unsigned code)
{
    return fault_ud(c);
}

u32 svm_plain(const struct svm *s)
{
    static const struct {
        u8 code, plain;
    } row[] = {{SVM_EXIT_RDTSC, NESTED_PLAIN_RDTSC},
               {SVM_EXIT_RDTSCP, NESTED_PLAIN_RDTSCP},
               {SVM_EXIT_PUSHF, NESTED_PLAIN_PUSHF},
               {SVM_EXIT_CR_READ + 2, NESTED_PLAIN_READ_CR2},
               {SVM_EXIT_CR_READ + 3, NESTED_PLAIN_READ_CR3}};
    u32 plain = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(row); i++)
        if (!svm_intercepts(s, row[i].code))
            plain |= row[i].plain;
    return plain;
}

static const struct {
    intercept_fn fn;
    u8 code;
} rows[] = {
    [ID_PAUSE] = {pause_filter, SVM_EXIT_PAUSE},
    [ID_PUSHF] = {first, SVM_EXIT_PUSHF},
    [ID_POPF] = {first, SVM_EXIT_POPF},
    [ID_IRET] = {first, SVM_EXIT_IRET},
    [ID_RSM] = {first, SVM_EXIT_RSM},
    [ID_INT_Ib] = {int_n, SVM_EXIT_SWINT},
    [ID_INT3] = {int3, SVM_EXIT_EXCEPTION},
    [ID_INTO] = {into, SVM_EXIT_EXCEPTION},
    [ID_INT1] = {icebp, SVM_EXIT_ICEBP},
    [ID_INS_b] = {port_access, SVM_EXIT_IOIO},
    [ID_INS_z] = {port_access, SVM_EXIT_IOIO},
    [ID_OUTS_b] = {port_access, SVM_EXIT_IOIO},
    [ID_OUTS_z] = {port_access, SVM_EXIT_IOIO},
    [ID_IN_ALIb] = {port_access, SVM_EXIT_IOIO},
    [ID_IN_eAXIb] = {port_access, SVM_EXIT_IOIO},
    [ID_IN_ALDX] = {port_access, SVM_EXIT_IOIO},
    [ID_IN_eAXDX] = {port_access, SVM_EXIT_IOIO},
    [ID_OUT_ALIb] = {port_access, SVM_EXIT_IOIO},
    [ID_OUT_eAXIb] = {port_access, SVM_EXIT_IOIO},
    [ID_OUT_ALDX] = {port_access, SVM_EXIT_IOIO},
    [ID_OUT_eAXDX] = {port_access, SVM_EXIT_IOIO},
    [ID_SLDT_Mw] = {store_selector, SVM_EXIT_LDTR_READ},
    [ID_SLDT_Rv] = {store_selector, SVM_EXIT_LDTR_READ},
    [ID_STR_Mw] = {store_selector, SVM_EXIT_TR_READ},
    [ID_STR_Rv] = {store_selector, SVM_EXIT_TR_READ},
    [ID_LLDT] = {load_selector, SVM_EXIT_LDTR_WRITE},
    [ID_LTR] = {load_selector, SVM_EXIT_TR_WRITE},
    [ID_SGDT] = {store_table, SVM_EXIT_GDTR_READ},
    [ID_SIDT] = {store_table, SVM_EXIT_IDTR_READ},
    [ID_LGDT] = {load_table, SVM_EXIT_GDTR_WRITE},
    [ID_LIDT] = {load_table, SVM_EXIT_IDTR_WRITE},
    [ID_SMSW_Mw] = {store_system, SVM_EXIT_CR_READ},
    [ID_SMSW_Rv] = {store_system, SVM_EXIT_CR_READ},
    [ID_LMSW] = {lmsw, SVM_EXIT_CR_WRITE},
    [ID_CLTS] = {clts, SVM_EXIT_CR_WRITE},
    [ID_MOV_RyCy] = {mov_from_cr, SVM_EXIT_CR_READ},
    [ID_MOV_RyCy_lock] = {mov_from_cr, SVM_EXIT_CR_READ},
    [ID_MOV_CyRy] = {mov_to_cr, SVM_EXIT_CR_WRITE},
    [ID_MOV_CyRy_lock] = {mov_to_cr, SVM_EXIT_CR_WRITE},
    [ID_MOV_RyDy] = {mov_dr, SVM_EXIT_DR_READ},
    [ID_MOV_DyRy] = {mov_dr, SVM_EXIT_DR_WRITE},
    [ID_WRMSR] = {msr_access, SVM_EXIT_MSR},
    [ID_RDMSR] = {msr_access, SVM_EXIT_MSR},
    [ID_RDTSC] = {timestamp, SVM_EXIT_RDTSC},
    [ID_RDTSCP] = {timestamp, SVM_EXIT_RDTSCP},
    [ID_RDPMC] = {counter, SVM_EXIT_RDPMC},
    [ID_XSETBV] = {xsetbv, SVM_EXIT_XSETBV},
    [ID_CPUID] = {first, SVM_EXIT_CPUID},
    [ID_HLT] = {halt, SVM_EXIT_HLT},
    [ID_MONITOR] = {monitor_mwait, SVM_EXIT_MONITOR},
    [ID_MWAIT] = {monitor_mwait, SVM_EXIT_MWAIT},
    [ID_INVD] = {privileged, SVM_EXIT_INVD},
    [ID_WBINVD] = {privileged, SVM_EXIT_WBINVD},
    [ID_INVLPG] = {invlpg, SVM_EXIT_INVLPG},
    [ID_INVPCID] = {invpcid, SVM_EXIT_INVPCID},
    [ID_VMCALL] = {undefined, 0},
    [ID_VMMCALL] = {vmmcall, SVM_EXIT_VMMCALL},
    [ID_VMRUN] = {svm_instruction, SVM_EXIT_VMRUN},
    [ID_VMLOAD] = {svm_instruction, SVM_EXIT_VMLOAD},
    [ID_VMSAVE] = {svm_instruction, SVM_EXIT_VMSAVE},
    [ID_STGI] = {svm_instruction, SVM_EXIT_STGI},
    [ID_CLGI] = {svm_instruction, SVM_EXIT_CLGI},
    [ID_SKINIT] = {undefined, SVM_EXIT_SKINIT}, /* not offered: #UD, intercepted or not */
    [ID_INVLPGA] = {svm_instruction, SVM_EXIT_INVLPGA},
};

enum outcome svm_insn(struct cpu *c, const struct insn *in)
{
    if (in->id >= ARRAY_SIZE(rows) || !rows[in->id].fn)
        return DONE;
    return rows[in->id].fn(c, in, rows[in->id].code);
}
