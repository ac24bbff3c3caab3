/* SPDX-License-Identifier: MIT */
/*
 * From user to kernel and back: SYSCALL and SYSRET, as cpu/syscall.c has them, and STAC and CLAC, behind the
 * checks that lower_system.c emits.
 */
#include "jit/runtime.h"

#define SLOT(field) MEM(H_RSP, (i32)offsetof(struct jit_frame, field))

enum {
    GROUP_IMM = 0x81,
    POP = 0x8f,
    BYTE_MOV_IMM = 0xc6,
    MOV_IMM = 0xc7,
    NOT = 2,
    JUMP = 0xff,
    CMOVE = 0x0f44
};
enum { FL_BYTE = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF };

/* R11: RFLAGS. RAX is lost. */
static void flags_to_image(struct emit *e)
{
    emit_mem(e, X_MOVZX16, 4, H_RAX, SLOT(fl));
    emit_reg(e, X_MOV, 4, H_R11, H_RAX);
    emit_shift(e, X_SHR, 4, H_R11, 8);
    emit_imm(e, X_IMM_AND, 4, H_R11, FL_BYTE);
    emit_imm(e, X_IMM_AND, 4, H_RAX, FL_OF);
    emit_shift(e, X_SHL, 4, H_RAX, 11);
    emit_reg(e, X_OR, 4, H_R11, H_RAX);
    emit_mem(e, X_OR, 4, H_R11, MEM(H_R10, CPU(rflags)));
}

/* RAX and R11 are lost. */
static void image_to_flags(struct emit *e)
{
    emit_reg(e, X_MOV, 4, H_RAX, H_R11);
    emit_imm(e, X_IMM_AND, 4, H_RAX, (i32) ~(u32)FLAGS_ARITH);
    emit_imm(e, X_IMM_OR, 4, H_RAX, FLAG_R1);
    emit_mem(e, X_MOV_TO, 8, H_RAX, MEM(H_R10, CPU(rflags)));
    emit_reg(e, X_MOV, 4, H_RAX, H_R11);
    emit_imm(e, X_IMM_AND, 4, H_RAX, FL_BYTE);
    emit_shift(e, X_SHL, 4, H_RAX, 8);
    emit_shift(e, X_SHR, 4, H_R11, 11);
    emit_imm(e, X_IMM_AND, 4, H_R11, FL_OF);
    emit_reg(e, X_OR, 4, H_RAX, H_R11);
    emit_mem(e, X_MOV_TO, 2, H_RAX, SLOT(fl));
}
_Static_assert(FL_OF == 1 && FLAG_OF == 1 << 11 && FL_CF == FLAG_CF << 8 && FL_SF == FLAG_SF << 8,
               "ORDER FL");

/* Base 0, limit 4 GiB. RAX: the selector. */
static void set_segment(struct emit *e, unsigned seg, u32 attr)
{
    i32 at = CPU(seg) + (i32)(seg * sizeof(struct segment));
    emit_op_mem(e, wide, MOV_IMM, 0, MEM(H_R10, at + (i32)offsetof(struct segment, base)));
    emit32(e, 0);
    emit_op_mem(e, none, MOV_IMM, 0, MEM(H_R10, at + (i32)offsetof(struct segment, limit)));
    emit32(e, 0xffffffff);
    emit_op_mem(e, none, MOV_IMM, 0, MEM(H_R10, at + (i32)offsetof(struct segment, attr)));
    emit32(e, attr);
    emit_mem(e, X_MOV_TO, 2, H_RAX, MEM(H_R10, at + (i32)offsetof(struct segment, sel)));
}

static void set_level(struct emit *e, unsigned dpl)
{
    set_segment(e, CS, SEG_P | SEG_S | 11 | SEG_G | SEG_L | dpl << 5);
}

static void set_stack(struct emit *e, unsigned dpl)
{
    set_segment(e, SS, SEG_P | SEG_S | 3 | SEG_G | SEG_DB | dpl << 5);
    emit_op_mem(e, none, BYTE_MOV_IMM, 0, MEM(H_R10, CPU(cpl)));
    emit8(e, (u8)dpl);
}

/* ---- which data accesses are of: enum tlb_class ---- */

static struct mem tlb_at(enum host_reg r, size_t off)
{
    return MEM(r, (i32)off);
}

/* RAX: the class of kernels behind SYSCALL. */
static void kernel_class(struct emit *e)
{
    emit_mov_imm(e, H_RAX, TLB_SUPER);
    emit_op_mem(e, none, TEST_IMM, 0, MEM(H_R10, CPU(cr4)));
    emit32(e, CR4_SMAP);
    size_t no_smap = emit_jcc(e, CC_E);
    emit_mem(e, X_MOV, 4, H_R11, MEM(H_R10, CPU(sfmask)));
    emit_op_reg(e, none, TEST_IMM, NOT, H_R11);
    emit_mem(e, X_AND, 4, H_R11, MEM(H_R10, CPU(rflags)));
    emit_imm(e, X_IMM_AND, 4, H_R11, FLAG_AC);
    size_t open = emit_jcc(e, CC_NE);
    emit_mov_imm(e, H_RAX, TLB_SUPER_SMAP);
    emit_patch(e, no_smap, e->len);
    emit_patch(e, open, e->len);
}

/* The class in RAX becomes the current one, as tlb_set_class() does it, unless the notes of its view are not
 * right: then NE, and nothing has changed but RAX, R9 and R11. */
static void set_class(struct emit *e, bool user)
{
    i32 fetch = (i32)(offsetof(struct tlb_ctx, fetch) + user * TLB_SIZE * sizeof(struct tlb_entry));
    i32 view = (i32)offsetof(struct tlb_ctx, view), id = view + (i32)offsetof(struct tlb_view, notes_id);
    emit_mem(e, X_MOV_TO, 8, H_RAX, SLOT(spare));
    emit_op_reg(e, none, IMUL_IMM, H_RAX, H_RAX);
    emit32(e, sizeof(struct tlb_view));
    emit_mem(e, X_MOV, 8, H_R11, MEM(H_R10, CPU(tlb)));
    emit_mem(e, X_MOV, 8, H_R11, tlb_at(H_R11, offsetof(struct tlb, cur)));
    emit_reg(e, X_ADD, 8, H_RAX, H_R11); /* the view lies `view` behind */
    emit_mem(e, X_MOV, 8, H_R9, tlb_at(H_R11, offsetof(struct tlb_ctx, fetch_id)));
    if (!user) {
        emit_op_mem(e, none, BYTE_CMP_IMM, X_IMM_CMP, tlb_at(H_R11, offsetof(struct tlb_ctx, alone)));
        emit8(e, 0);
        emit_op_mem(e, wide, CMOVE, H_R9, tlb_at(H_R11, offsetof(struct tlb_ctx, global_id)));
    }
    emit_lea(e, H_R9, (struct mem){.base = H_R9, .index = H_R9, .disp = user});
    emit_mem(e, X_CMP, 8, H_R9, MEM(H_RAX, id));
    size_t wrong = emit_jcc(e, CC_NE);
    emit_lea(e, H_R9, MEM(H_R11, fetch));
    emit_mem(e, X_MOV_TO, 8, H_R9, SLOT(tlb_x));
    emit_mem(e, X_MOV, 8, H_R11, MEM(H_R10, CPU(tlb)));
    emit_mem(e, X_MOV_TO, 8, H_R9, tlb_at(H_R11, offsetof(struct tlb, x)));
    emit_lea(e, H_R9, MEM(H_RAX, view));
    emit_mem(e, X_MOV_TO, 8, H_R9, tlb_at(H_R11, offsetof(struct tlb, view)));
    emit_mem(e, X_MOV, 4, H_RAX, SLOT(spare));
    emit_op_mem(e, none, BYTE_TO, H_RAX, MEM(H_R10, CPU(user_index)));
    emit_lea(e, H_R9, MEM(H_R9, (i32)offsetof(struct tlb_view, read)));
    emit_reg(e, X_CMP, 4, H_RAX, H_RAX);
    emit_patch(e, wrong, e->len);
}

/* ---- the routines ---- */

/* Begins a routine that is called and comes back only when it cannot do it. */
static void enter_called(struct emit *e)
{
    emit_op_mem(e, none, POP, 0, SLOT(what)); /* the address is RSP's after it */
    emit_mem(e, X_MOV_TO, 8, H_RAX, SLOT(scratch));
    emit_mem(e, X_MOV, 8, H_R10, SLOT(cpu));
}

/* Behind set_class(). */
static void back_if_wrong(struct emit *e)
{
    size_t right = emit_jcc(e, CC_E);
    runtime_load_view(e);
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(scratch));
    emit_op_mem(e, none, JUMP, 4, SLOT(what));
    emit_patch(e, right, e->len);
}

/* R10: RIP. */
static void go(struct emit *e, const struct jit_runtime *rt)
{
    struct mem note = {.base = H_R9, .index = H_R11, .scale = 3, .disp = VIEW_AT(note)};
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(scratch));
    runtime_note_index(e);
    emit_mem(e, X_CMP, 8, H_R10, note);
    size_t miss = emit_jcc(e, CC_NE);
    note.disp += (i32)offsetof(struct tlb_note, what);
    emit_op_mem(e, none, JUMP, 4, note);
    emit_patch(e, miss, e->len);
    emit_jmp_to(e, rt->lookup);
}

static void emit_syscall(struct emit *e, const struct jit_runtime *rt)
{
    enter_called(e);
    kernel_class(e);
    set_class(e, false);
    back_if_wrong(e);
    flags_to_image(e);
    emit_mem(e, X_MOV_TO, 8, H_R11, SLOT(home[R11 - R8]));
    emit_mem(e, X_MOV, 4, H_RAX, MEM(H_R10, CPU(sfmask)));
    emit_op_reg(e, none, TEST_IMM, NOT, H_RAX);
    emit_reg(e, X_AND, 4, H_R11, H_RAX);
    image_to_flags(e);
    emit_mem(e, X_MOVZX16, 4, H_RAX, MEM(H_R10, CPU(star) + 4));
    emit_imm(e, X_IMM_AND, 4, H_RAX, ~3);
    set_level(e, 0);
    emit_imm(e, X_IMM_ADD, 4, H_RAX, 8);
    set_stack(e, 0);
    emit_mem(e, X_MOV, 8, H_R10, MEM(H_R10, CPU(lstar)));
    go(e, rt);
}

static void emit_sysret(struct emit *e, const struct jit_runtime *rt)
{
    enter_called(e);
    emit_mov_imm(e, H_RAX, TLB_USER);
    set_class(e, true);
    back_if_wrong(e);
    emit_mem(e, X_MOV, 4, H_R11, SLOT(home[R11 - R8]));
    emit_imm(e, X_IMM_AND, 4, H_R11, SYSRET_FLAGS);
    image_to_flags(e);
    emit_mem(e, X_MOVZX16, 4, H_RAX, MEM(H_R10, CPU(star) + 6));
    emit_imm(e, X_IMM_OR, 4, H_RAX, 3);
    emit_imm(e, X_IMM_ADD, 4, H_RAX, 16);
    set_level(e, 3);
    emit_imm(e, X_IMM_SUB, 4, H_RAX, 8);
    set_stack(e, 3);
    emit_reg(e, X_MOV, 8, H_R10, H_RCX);
    go(e, rt);
}

/* Without CR4.SMAP only the flag changes. */
static void emit_set_ac(struct emit *e, bool on)
{
    enter_called(e);
    emit_op_mem(e, none, TEST_IMM, 0, MEM(H_R10, CPU(cr4)));
    emit32(e, CR4_SMAP);
    size_t without = emit_jcc(e, CC_E);
    emit_mov_imm(e, H_RAX, on ? TLB_SUPER : TLB_SUPER_SMAP);
    set_class(e, false);
    back_if_wrong(e);
    emit_patch(e, without, e->len);
    emit_op_mem(e, none, GROUP_IMM, on ? X_IMM_OR : X_IMM_AND, MEM(H_R10, CPU(rflags)));
    emit32(e, on ? FLAG_AC : ~(u32)FLAG_AC);
    emit_mem(e, X_MOV, 8, H_RAX, SLOT(scratch));
    emit_reg(e, X_CMP, 4, H_RAX, H_RAX);
    emit_op_mem(e, none, JUMP, 4, SLOT(what));
}

void runtime_system_emit(struct emit *e, struct jit_runtime *rt)
{
    rt->syscall = (u32)e->len;
    emit_syscall(e, rt);
    rt->sysret = (u32)e->len;
    emit_sysret(e, rt);
    rt->stac = (u32)e->len;
    emit_set_ac(e, true);
    rt->clac = (u32)e->len;
    emit_set_ac(e, false);
}
