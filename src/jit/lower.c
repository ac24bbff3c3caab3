/* SPDX-License-Identifier: MIT */
/*
 * Instructions that are their own host code: the same opcode with the operands where translated code keeps
 * them. Operands come from the row in insn.def, so nothing here knows one instruction from another but by its
 * row.
 */
#include "jit/gen.h"

/* Operands of a row as they are encoded. */
struct form {
    bool has_rm, has_reg, plus; /* ModRM.rm, ModRM.reg as a register, register in the opcode */
    bool rm_byte, reg_byte;
    bool rm_read, rm_write, reg_read, reg_write;
    unsigned imm; /* bytes */
};

static bool in_opcode(const struct insn_info *i)
{
    unsigned row = i->opcode >> 3;
    if (i->map == 1)
        return row == 0xc8 >> 3;
    return i->map == 0 && (row == 0x90 >> 3 || row == 0xb0 >> 3 || row == 0xb8 >> 3);
}

static unsigned imm_bytes(const struct operand_info *o, const struct insn *in)
{
    switch (o->size) {
    case SZ_B:
        return 1;
    case SZ_W:
        return 2;
    case SZ_V:
        return in->size;
    default:
        return in->size == 2 ? 2 : 4;
    }
}

static struct form form_of(const struct insn *in, const struct insn_info *info)
{
    struct form f = {0};
    for (const struct operand_info *o = info->op; o < info->op + ARRAY_SIZE(info->op); o++) {
        bool byte = o->size == SZ_B, read = o->access & ACC_READ, write = o->access & ACC_WRITE;
        switch (o->kind) {
        case OP_E:
        case OP_M:
        case OP_Z:
            f.has_rm = o->kind != OP_Z;
            f.plus = o->kind == OP_Z && in_opcode(info);
            f.rm_byte = byte;
            f.rm_read = read;
            f.rm_write = write;
            break;
        case OP_G:
            f.has_reg = true;
            f.reg_byte = byte;
            f.reg_read = read;
            f.reg_write = write;
            break;
        case OP_I:
            f.imm = imm_bytes(o, in);
            break;
        }
    }
    return f;
}

u32 opcode_of(const struct insn *in, const struct insn_info *info)
{
    static const u32 map[4] = {0, 0x0f00, 0x0f3800, 0x0f3a00};
    return map[info->map & 3] | in->opcode;
}

static struct prefixes prefixes_of(const struct insn *in, const struct insn_info *info, const struct form *f)
{
    return (struct prefixes){.lock = in->flags & INSN_LOCK,
                             .rex_w = in->size == 8,
                             .opsize = in->size == 2,
                             .byte_reg = f->reg_byte,
                             .byte_rm = f->rm_byte,
                             .mandatory = info->prefix};
}

static void immediate(struct gen *g, const struct form *f)
{
    u64 imm = g->in->imm;
    emit_bytes(&g->e, &imm, f->imm);
}

/* A row with AH..BH is encoded as it stands, which takes registers that need no REX prefix on the host
 * either. */
static bool plain_high(struct gen *g, const struct form *f)
{
    const struct insn *in = g->in;
    struct prefixes p = prefixes_of(in, g->info, f);
    unsigned rm = in->rm, reg = in->reg;
    if (rm > 7 || reg > 7 || (!f->rm_byte && rm == RSP) || (!f->reg_byte && f->has_reg && reg == RSP))
        return false;
    p.byte_reg = p.byte_rm = false;
    if (f->plus)
        emit_op_plus(&g->e, p, opcode_of(in, g->info) & ~7u, (enum host_reg)rm);
    else
        emit_op_reg(&g->e, p, opcode_of(in, g->info), f->has_reg ? reg : in->modrm >> 3 & 7u,
                    (enum host_reg)rm);
    immediate(g, f);
    return true;
}

/* The host register of an operand, with its value where that is needed. */
static enum host_reg operand(struct gen *g, unsigned guest, enum host_reg scratch, bool read)
{
    return read ? guest_reg(g, guest, scratch) : result_reg(guest, scratch);
}

void go_home(struct gen *g, unsigned guest, enum host_reg scratch, bool written)
{
    if (written && host_reg_of[guest] == H_NONE)
        emit_mem(&g->e, X_MOV_TO, 8, scratch, home_of(guest));
}

/* Whether the old value matters: it is read, or parts of it stay. */
static bool needs_old(const struct gen *g, bool read, bool byte)
{
    return read || byte || g->in->size < 4 || g->how[g->index] == LOWER_KEEP;
}

/* XOR or SUB of a register and itself, whole. */
static bool makes_zero(const struct gen *g)
{
    enum meaning_no no = meaning_no(g->in->id);
    return (no == NO_xor_EG || no == NO_xor_GE || no == NO_sub_EG || no == NO_sub_GE) && g->in->size >= 4 &&
           !(g->in->flags & INSN_MEM) && g->in->rm == g->in->reg;
}

/* MOV between whole registers of which one at least is at home. A load from there by a plain MOV costs no
 * time on hosts that rename memory; one as another instruction's operand does. */
static bool move_home(struct gen *g)
{
    const struct insn *in = g->in;
    enum meaning_no no = meaning_no(in->id);
    unsigned to = no == NO_mov_EG ? in->rm : in->reg, from = no == NO_mov_EG ? in->reg : in->rm;
    if ((no != NO_mov_EG && no != NO_mov_GE) || in->size < 4 ||
        (host_reg_of[to] != H_NONE && host_reg_of[from] != H_NONE))
        return false;
    enum host_reg r = result_reg(to, H_R10);
    if (host_reg_of[from] == H_NONE)
        emit_mem(&g->e, X_MOV, in->size, r, home_of(from));
    else if (in->size == 4)
        emit_reg(&g->e, X_MOV, 4, r, host_reg_of[from]);
    else
        r = host_reg_of[from];
    go_home(g, to, r, true);
    return true;
}

/* MOV of a constant to a register at home. */
static bool fill_home(struct gen *g)
{
    const struct insn *in = g->in;
    i64 imm = in->size == 4 ? (i64)(u32)in->imm : (i64)in->imm;
    if (meaning_no(in->id) != NO_mov_EI || in->size < 4 || host_reg_of[in->rm] != H_NONE || imm != (i32)imm)
        return false;
    emit_op_mem(&g->e, (struct prefixes){.rex_w = true}, 0xc7, 0, home_of(in->rm));
    emit32(&g->e, (u32)imm);
    return true;
}

static void plain_registers(struct gen *g, const struct form *f)
{
    const struct insn *in = g->in;
    struct prefixes p = prefixes_of(in, g->info, f);
    u32 op = opcode_of(in, g->info);
    bool rm = f->has_rm || f->plus, one = rm && f->has_reg && in->reg == in->rm;
    enum host_reg reg = H_NONE, r = H_NONE;
    if (rm)
        r = operand(g, in->rm, H_R10,
                    !makes_zero(g) && (needs_old(g, f->rm_read, f->rm_byte) ||
                                       (one && needs_old(g, f->reg_read, f->reg_byte))));
    if (one)
        reg = r;
    else if (f->has_reg)
        reg = operand(g, in->reg, H_R11, needs_old(g, f->reg_read, f->reg_byte));
    if (f->plus)
        emit_op_plus(&g->e, p, op & ~7u, r);
    else if (rm)
        emit_op_reg(&g->e, p, op, f->has_reg ? reg : in->modrm >> 3 & 7u, r);
    else
        emit_op_plus(&g->e, p, op & ~7u, op & 7u); /* an implied register: the opcode as it is */
    immediate(g, f);
    if (rm)
        go_home(g, in->rm, r, f->rm_write);
    if (f->has_reg)
        go_home(g, in->reg, reg, f->reg_write);
}

/* A locked access across a line is for the meaning, which stops the world. */
void refuse_split(struct gen *g, unsigned size)
{
    emit_op_reg(&g->e, (struct prefixes){.byte_rm = true}, 0xf6, 0, H_R10);
    emit8(&g->e, (u8)(size - 1));
    go_slow(g, CC_NE);
}

/* AH and AL, and so on. Flags stay. */
static void swap_halves(struct gen *g, enum host_reg r)
{
    emit_op_reg(&g->e, (struct prefixes){0}, 0x86, r + 4u, r);
}

/* The instruction's recipe looks for its memory operand in the frame, and is worth it. */
static bool keeps_operand(const struct gen *g, const struct form *f, struct recipe *r)
{
    const struct insn *in = g->in;
    return g->seen[g->index] && !(in->flags & INSN_LOCK) && recipe_make(in, r) && recipe_takes_put(r) &&
           !(f->rm_write && f->has_reg && host_reg_of[in->reg] == H_NONE);
}

static void move_operand(struct gen *g, enum host_reg r, bool store)
{
    unsigned n = g->in->mem_size;
    if (store)
        emit_mem(&g->e, n == 1 ? X_MOV_TO - 1 : X_MOV_TO, n, r, g->operand);
    else
        emit_mem(&g->e, n == 1 ? X_MOVZX8 : n == 2 ? X_MOVZX16 : X_MOV, n < 4 ? 4 : n, r, g->operand);
}

/* R10: its host address. The memory operand by way of a register, and to the frame. */
static void by_register(struct gen *g, const struct form *f, const struct recipe *r)
{
    const struct insn *in = g->in;
    enum host_reg value = f->rm_write ? H_R11 : H_R10, reg = H_NONE;
    move_operand(g, value, false);
    if (f->has_reg)
        reg = operand(g, in->reg, H_R11, needs_old(g, f->reg_read, f->reg_byte));
    emit_op_reg(&g->e, prefixes_of(in, g->info, f), opcode_of(in, g->info),
                f->has_reg ? reg : in->modrm >> 3 & 7u, value);
    immediate(g, f);
    if (f->rm_write)
        move_operand(g, value, true);
    recipe_put(g, r->op[0] == RECIPE_KEPT ? 0 : 1, value);
    if (f->has_reg)
        go_home(g, in->reg, reg, f->reg_write);
}

/* AH..BH beside a host address, which needs a REX prefix, take the place of AL..BL meanwhile. */
static void plain_memory(struct gen *g, const struct form *f, bool flags, bool high)
{
    const struct insn *in = g->in;
    enum host_reg reg = H_NONE;
    bool atomic = (in->flags & INSN_LOCK) || g->how[g->index] == LOWER_ATOMIC;
    bool home = f->has_reg && !high && host_reg_of[in->reg] == H_NONE;
    g->spares_r11 = !atomic && !high && !flags && !home;
    (atomic || high ? operand_address : operand_place)(g, in->mem_size, f->rm_write);
    if (atomic && in->mem_size > 1)
        refuse_split(g, in->mem_size);
    if (flags)
        flags_need(g);
    if (high)
        swap_halves(g, reg = host_reg_of[in->reg & 3]);
    else if (f->has_reg)
        reg = operand(g, in->reg, H_R11, needs_old(g, f->reg_read, f->reg_byte));
    emit_op_mem(&g->e, prefixes_of(in, g->info, f), opcode_of(in, g->info),
                f->has_reg ? reg : in->modrm >> 3 & 7u, g->operand);
    immediate(g, f);
    if (high)
        swap_halves(g, reg);
    else if (f->has_reg)
        go_home(g, in->reg, reg, f->reg_write);
}

unsigned lower_count(const struct insn *in)
{
    bool one = insn_infos[in->id].map == 0 && (in->opcode & ~1) == 0xd0;
    bool by_cl = insn_infos[in->id].map == 1 ? in->opcode & 1 : in->opcode >= 0xd2;
    return one ? 1 : by_cl ? 0 : in->imm & (in->size == 8 ? 63 : 31);
}

u32 lower_overwrites(const struct insn *in, enum lowering how)
{
    const struct insn_info *info = &insn_infos[in->id];
    u32 undefined = 0;
    if (how == LOWER_NONE || (how == LOWER_SHIFT && !lower_count(in)))
        return 0;
    if (how == LOWER_LOGIC || (how == LOWER_SHIFT && in->size != 2))
        undefined = info->flags_undefined;
    return (info->flags_written | undefined) & FLAGS_ARITH;
}

u32 lower_flags_killed(const struct gen *g, unsigned i)
{
    return lower_overwrites(&g->b->uop[i].in, (enum lowering)g->how[i]);
}

bool flags_outlive(const struct gen *g)
{
    u32 touched = (g->info->flags_written | g->info->flags_undefined) & FLAGS_ARITH;
    return (g->info->flags_read & FLAGS_ARITH) ||
           (touched && (g->live[g->index] & ~lower_flags_killed(g, g->index)));
}

static void set_if_written(struct gen *g)
{
    if ((g->info->flags_written | g->info->flags_undefined) & FLAGS_ARITH)
        flags_set(g);
}

/* flags: they are to be right before it. */
static void in_registers(struct gen *g, const struct form *f, bool flags)
{
    const struct insn *in = g->in;
    struct recipe r;
    if (move_home(g) || fill_home(g))
        return;
    if (flags && flags_extend(g, &r)) {
        plain_registers(g, f);
        flags_set_extended(g, &r);
        return;
    }
    if (flags)
        flags_need(g);
    if (g->seen[g->index] && recipe_make(in, &r) && recipe_takes_put(&r)) {
        recipe_put(g, 0, guest_reg(g, in->rm, H_R11));
        plain_registers(g, f);
        flags_set_put(g);
        return;
    }
    plain_registers(g, f);
    set_if_written(g);
}

bool lower_plain(struct gen *g)
{
    const struct insn *in = g->in;
    struct recipe r;
    struct form f = form_of(in, g->info);
    bool mem = in->flags & INSN_MEM, high = lower_names_high(in), flags = flags_outlive(g);
    if (!addressable(in) || (mem && high && g->how[g->index] == LOWER_KEEP))
        return false; /* CMPXCHG needs AL and AH at once */
    if (mem && keeps_operand(g, &f, &r)) {
        (f.rm_write ? operand_address : operand_place)(g, in->mem_size, f.rm_write);
        by_register(g, &f, &r);
        flags_set_kept(g);
        return true;
    }
    if (mem) {
        plain_memory(g, &f, flags, high);
    } else if (high) {
        size_t before = g->e.len;
        bool had = g->flags.host;
        if (flags)
            flags_need(g);
        if (!plain_high(g, &f)) {
            g->e.len = before;
            g->flags.host = had;
            return false;
        }
    } else {
        in_registers(g, &f, flags);
        return true;
    }
    set_if_written(g);
    return true;
}

bool lower_lea(struct gen *g)
{
    const struct insn *in = g->in;
    if (!lea_is_native(in))
        return false;
    enum host_reg to = result_reg(in->reg, H_R10);
    address_to(g, to, in->size, 0);
    go_home(g, in->reg, to, true);
    return true;
}
