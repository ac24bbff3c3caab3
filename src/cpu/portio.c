/* SPDX-License-Identifier: MIT */
/*
 * IN OUT INS OUTS: permission, then the port space. SDM 1 19.
 *
 * A device may block or take locks, so the vCPU is outside the world while it is called. A finished access
 * ends the block: the device may have raised an interrupt, reset the machine or moved memory.
 */
#include "cpu/portio.h"

#include "cpu/debug.h"
#include "cpu/string.h"
#include "cpu/system.h"
#include "cpu/world.h"

/* The I/O permission bitmap's answer. Two bytes are read always, the second within the limit too. SDM
 * 1 19.5.2 */
static enum outcome bitmap_check(struct cpu *c, u16 port, unsigned size)
{
    const struct segment *tr = &c->seg[SEG_TR];
    u64 base, map;
    if (!(tr->attr & 8) || tr->limit < 0x67)
        return fault_gp0(c);
    if (mmu_load_system(c, tr->base + 0x66, 2, &base) != DONE)
        return FAULT;
    u64 at = base + port / 8;
    if (at + 1 > tr->limit)
        return fault_gp0(c);
    if (mmu_load_system(c, tr->base + at, 2, &map) != DONE)
        return FAULT;
    return map >> (port & 7) & ((1u << size) - 1) ? fault_gp0(c) : DONE;
}

enum outcome port_permitted(struct cpu *c, u16 port, unsigned size)
{
    if (!(c->cr0 & CR0_PE))
        return DONE;
    if (likely(c->cpl <= bits(c->rflags, 13, 12) && !(c->rflags & FLAG_VM)))
        return DONE;
    return bitmap_check(c, port, size);
}

static u64 port_read(struct cpu *c, u16 port, unsigned size)
{
    u64 v;
    world_leave(c);
    if (!space_io_read(c->ports, port, size, &v))
        v = ~0ull;
    world_enter(c);
    debug_io(c, port, size);
    return v;
}

static void port_write(struct cpu *c, u16 port, unsigned size, u64 value)
{
    world_leave(c);
    space_io_write(c->ports, port, size, value & size_mask(size));
    world_enter(c);
    debug_io(c, port, size);
}

static inline enum outcome in_port(struct cpu *c, unsigned size, u16 port)
{
    if (port_permitted(c, port, size) != DONE)
        return FAULT;
    reg_set(c, 0, size, port_read(c, port, size));
    return END;
}

static inline enum outcome out_port(struct cpu *c, unsigned size, u16 port)
{
    if (port_permitted(c, port, size) != DONE)
        return FAULT;
    port_write(c, port, size, c->regs[RAX]);
    return END;
}

static enum outcome in_I(struct cpu *c, const struct insn *in)
{
    return in_port(c, in->size, (u8)in->imm);
}

static enum outcome in_DX(struct cpu *c, const struct insn *in)
{
    return in_port(c, in->size, (u16)c->regs[RDX]);
}

static enum outcome out_I(struct cpu *c, const struct insn *in)
{
    return out_port(c, in->size, (u8)in->imm);
}

static enum outcome out_DX(struct cpu *c, const struct insn *in)
{
    return out_port(c, in->size, (u16)c->regs[RDX]);
}

DEFINE_MEANING_ONE(in_I, in_I);
DEFINE_MEANING_ONE(in_DX, in_DX);
DEFINE_MEANING_ONE(out_I, out_I);
DEFINE_MEANING_ONE(out_DX, out_DX);

/* The destination is proved writable before the port is read: reading may change the device. */
static enum outcome ins_one(struct cpu *c, const struct insn *in, u16 port)
{
    u64 dst;
    if (string_target(c, in, in->size, true, &dst) != DONE ||
        mmu_probe_write(c, dst, in->size, AS_CURRENT) != DONE)
        return FAULT;
    if (mmu_store(c, dst, in->size, port_read(c, port, in->size)) != DONE)
        return FAULT;
    string_advance(c, in, RDI, string_step(c, in->size));
    return DONE;
}

static enum outcome outs_one(struct cpu *c, const struct insn *in, u16 port)
{
    u64 src, v;
    if (string_source(c, in, in->size, &src) != DONE || mmu_load(c, src, in->size, &v) != DONE)
        return FAULT;
    port_write(c, port, in->size, v);
    string_advance(c, in, RSI, string_step(c, in->size));
    return DONE;
}

/* With REP at most this many accesses before requests are looked at. */
enum { ACCESSES = 64 };

static inline enum outcome repeat(struct cpu *c, const struct insn *in,
                                  enum outcome (*one)(struct cpu *, const struct insn *, u16))
{
    bool rep = in->flags & (INSN_REP | INSN_REPNE);
    u16 port = (u16)c->regs[RDX];
    if (port_permitted(c, port, in->size) != DONE)
        return FAULT;
    if (rep && string_index(c, in, RCX) == 0)
        return DONE;
    if (!rep)
        return one(c, in, port) == DONE ? END : FAULT;
    bool step = c->rflags & FLAG_TF; /* traps after every iteration */
    for (unsigned i = 0; i < (step ? 1 : ACCESSES) && string_index(c, in, RCX); i++) {
        if (one(c, in, port) != DONE)
            return FAULT;
        string_advance(c, in, RCX, -1);
    }
    if (string_index(c, in, RCX) == 0)
        return END;
    if (!step)
        return AGAIN;
    c->regs[REG_RIP] = c->rip;
    return END;
}

static enum outcome ins(struct cpu *c, const struct insn *in)
{
    return repeat(c, in, ins_one);
}

static enum outcome outs(struct cpu *c, const struct insn *in)
{
    return repeat(c, in, outs_one);
}

DEFINE_MEANING_ONE(ins, ins);
DEFINE_MEANING_ONE(outs, outs);
