/* SPDX-License-Identifier: MIT */
/*
 * Control registers: MOV CR, LMSW, SMSW, CLTS; and translation invalidation: INVLPG, INVPCID.
 * SDM 3A 2.5 (bits and their rules), 4.10.4 (what invalidates what), 9.8.5 (entering and leaving IA-32e
 * mode).
 */
#include "cpu/control.h"

#include "cpu/meanings.h"
#include "cpu/nested/nested.h"
#include "cpu/operands.h"
#include "cpu/system.h"
#include "cpu/tlb.h"

#define CR0_WRITABLE (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

u64 cr4_valid(const struct cpu *c)
{
    static const struct {
        u8 feature;
        u32 bits;
    } gates[] = {
        {FEAT_DE, CR4_DE},          {FEAT_PSE, CR4_PSE},       {FEAT_PAE, CR4_PAE},
        {FEAT_MCE, CR4_MCE},        {FEAT_PGE, CR4_PGE},       {FEAT_FXSR, CR4_OSFXSR},
        {FEAT_SSE, CR4_OSXMMEXCPT}, {FEAT_UMIP, CR4_UMIP},     {FEAT_FSGSBASE, CR4_FSGSBASE},
        {FEAT_PCID, CR4_PCIDE},     {FEAT_XSAVE, CR4_OSXSAVE}, {FEAT_SMEP, CR4_SMEP},
        {FEAT_SMAP, CR4_SMAP},
    };
    u64 valid = CR4_TSD | CR4_PCE;
    for (unsigned i = 0; i < ARRAY_SIZE(gates); i++)
        if (cpu_has(c, gates[i].feature))
            valid |= gates[i].bits;
    if (c->nested && cpu_has(c, FEAT_VMX))
        valid |= CR4_VMXE;
    return valid;
}

u64 physical_reserved(const struct cpu *c)
{
    return ~0ull << c->model->phys_bits;
}

/* IA-32e mode follows CR0.PG while EFER.LME is set. SDM 3A 9.8.5 */
static bool cr0_paging_allowed(const struct cpu *c, u64 v)
{
    bool on = v & CR0_PG, was = c->cr0 & CR0_PG;
    if (on && !was && (c->efer & EFER_LME))
        return (c->cr4 & CR4_PAE) && !(c->seg[CS].attr & SEG_L);
    if (!on && was)
        return !(c->cr4 & CR4_PCIDE) && c->mode != MODE_64;
    return true;
}

enum outcome control_set_cr0(struct cpu *c, u64 v)
{
    if (v >> 32 || ((v & CR0_PG) && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)) ||
        !cr0_paging_allowed(c, v) || !nested_cr0_allowed(c, v))
        return fault_gp0(c);
    if (nested_load_pdptes(c, v, c->cr3, c->cr4) != DONE)
        return FAULT;
    u64 old = c->cr0;
    c->cr0 = (v & CR0_WRITABLE) | CR0_ET;
    if ((c->cr0 & CR0_PG) && (c->efer & EFER_LME))
        c->efer |= EFER_LMA;
    else
        c->efer &= ~(u64)EFER_LMA;
    if ((old ^ c->cr0) & (CR0_PG | CR0_PE))
        tlb_flush_all(c);
    cpu_mode_changed(c);
    return END;
}

enum outcome control_set_cr3(struct cpu *c, u64 v)
{
    bool keep = false;
    if (c->cr4 & CR4_PCIDE) {
        keep = v >> 63;
        v &= ~BIT(63);
    }
    if (long_mode(c) && (v & physical_reserved(c)))
        return fault_gp0(c);
    if (nested_load_pdptes(c, c->cr0, v, c->cr4) != DONE)
        return FAULT;
    c->cr3 = v;
    mmu_space_changed(c);
    if (!keep)
        tlb_flush_current(c);
    return END;
}

enum outcome control_set_cr4(struct cpu *c, u64 v)
{
    u64 changed = c->cr4 ^ v;
    if ((v & ~cr4_valid(c)) || !nested_cr4_allowed(c, v))
        return fault_gp0(c);
    if (long_mode(c) && !(v & CR4_PAE))
        return fault_gp0(c);
    if ((changed & v & CR4_PCIDE) && (!long_mode(c) || (c->cr3 & 0xfff)))
        return fault_gp0(c);
    if (nested_load_pdptes(c, c->cr0, c->cr3, v) != DONE)
        return FAULT;
    c->cr4 = v;
    if (changed & (CR4_PGE | CR4_PSE | CR4_PAE | CR4_PCIDE | CR4_SMEP | CR4_SMAP))
        tlb_flush_all(c);
    cpu_mode_changed(c);
    return END;
}

static enum outcome set_cr8(struct cpu *c, u64 v)
{
    if (v > 15)
        return fault_gp0(c);
    if (c->apic.set_tpr)
        c->apic.set_tpr(c->apic.opaque, (u8)(v << 4));
    return END;
}

/* LOCK MOV CR0 names CR8 outside 64-bit mode. APM 3 MOV CRn */
static unsigned control_register(const struct insn *in)
{
    return in->flags & INSN_LOCK ? in->reg | 8 : in->reg;
}

static enum outcome mov_CR(struct cpu *c, const struct insn *in)
{
    u64 v = reg_get(c, in->rm * 8, c->mode == MODE_64 ? 8 : 4);
    unsigned n = control_register(in);
    if (n != 0 && n != 2 && n != 3 && n != 4 && n != 8)
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    switch (n) {
    case 0:
        return control_set_cr0(c, v);
    case 2:
        c->cr2 = v;
        return DONE;
    case 3:
        return control_set_cr3(c, v);
    case 4:
        return control_set_cr4(c, v);
    default:
        return set_cr8(c, v);
    }
}
DEFINE_MEANING_ONE(mov_CR, mov_CR);

static enum outcome mov_RC(struct cpu *c, const struct insn *in)
{
    u64 v;
    unsigned n = control_register(in);
    switch (n) {
    case 0:
        v = c->cr0;
        break;
    case 2:
        v = c->cr2;
        break;
    case 3:
        v = c->cr3;
        break;
    case 4:
        v = c->cr4;
        break;
    case 8:
        v = c->apic.get_tpr ? c->apic.get_tpr(c->apic.opaque) >> 4 : 0;
        break;
    default:
        return fault_ud(c);
    }
    if (c->cpl)
        return fault_gp0(c);
    reg_set(c, in->rm * 8, c->mode == MODE_64 ? 8 : 4, v);
    return DONE;
}
DEFINE_MEANING_ONE(mov_RC, mov_RC);

/* PE can be set, not cleared. SDM 2A LMSW */
static enum outcome lmsw(struct cpu *c, const struct insn *in)
{
    u64 v;
    if (c->cpl)
        return fault_gp0(c);
    if (in->flags & INSN_MEM) {
        if (operand_load(c, in, 2, &v) != DONE)
            return FAULT;
    } else {
        v = reg_get(c, in->rm * 8, 2);
    }
    return control_set_cr0(c, (c->cr0 & ~0xeull) | (v & 0xf));
}
DEFINE_MEANING_ONE(lmsw, lmsw);

static enum outcome smsw(struct cpu *c, const struct insn *in)
{
    if ((c->cr4 & CR4_UMIP) && c->cpl)
        return fault_gp0(c);
    if (in->flags & INSN_MEM)
        return operand_store(c, in, 2, (u16)c->cr0);
    reg_set(c, in->rm * 8, in->size, c->cr0);
    return DONE;
}
DEFINE_MEANING_ONE(smsw, smsw);

static enum outcome clts(struct cpu *c, const struct insn *in)
{
    if (c->cpl)
        return fault_gp0(c);
    c->cr0 &= ~(u64)CR0_TS;
    return END;
}
DEFINE_MEANING_ONE(clts, clts);

static enum outcome invlpg(struct cpu *c, const struct insn *in)
{
    if (!(in->flags & INSN_MEM))
        return fault_ud(c);
    if (c->cpl)
        return fault_gp0(c);
    u64 ea = insn_ea(c, in);
    u64 lin = c->mode == MODE_64 ? ea + (in->seg >= FS ? c->seg[in->seg].base : 0)
                                 : (u32)(ea + c->seg[in->seg].base);
    if (canonical(lin))
        tlb_flush_page(c, lin);
    return END;
}
DEFINE_MEANING_ONE(invlpg, invlpg);

enum { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

static enum outcome invpcid(struct cpu *c, const struct insn *in)
{
    u64 desc[2], lin, type = reg_get(c, in->reg * 8, c->mode == MODE_64 ? 8 : 4);
    if (real_mode(c) && type > INVPCID_ALL_BUT_GLOBAL)
        return fault_gp0(c);
    if (c->cpl || v86_mode(c))
        return fault_gp0(c);
    if (insn_linear(c, in, 16, false, &lin) != DONE || mmu_read(c, lin, desc, 16) != DONE)
        return FAULT;
    bool names_pcid = type <= INVPCID_CONTEXT;
    if (type > INVPCID_ALL_BUT_GLOBAL || desc[0] >> 12 || (names_pcid && desc[0] && !(c->cr4 & CR4_PCIDE)) ||
        (type == INVPCID_ADDRESS && !canonical(desc[1])))
        return fault_gp0(c);
    if (type == INVPCID_ADDRESS)
        tlb_flush_page(c, desc[1]);
    else if (type == INVPCID_CONTEXT)
        tlb_flush_pcid(c, (u16)desc[0]);
    else
        tlb_flush_all(c);
    return END;
}
DEFINE_MEANING_ONE(invpcid, invpcid);
