/* SPDX-License-Identifier: MIT */
/*
 * The routines that open slots (struct tlb_slot): a place of translated code found its page elsewhere than
 * last time, so it is looked for in the soft TLB. They fill nothing that the TLB has not.
 */
#include "jit/runtime.h"

#define SLOT_FIELD(reg, field) MEM(reg, (i32)offsetof(struct tlb_slot, field))

/* A field of the entry at R11 of a table. */
static struct mem entry_at(i32 table, size_t field)
{
    return (struct mem){.base = H_R9, .index = H_R11, .disp = table + (i32)field};
}

/* The slot at RBX, whose number is in R11, will be open. R10 is lost. */
static void note_slot(struct emit *e)
{
    emit_op_mem(e, wide, 0x83, X_IMM_CMP, SLOT_FIELD(H_RBX, room));
    emit8(e, 0);
    size_t noted = emit_jcc(e, CC_NE);
    emit_mem(e, X_MOV, 4, H_R10, MEM(H_R9, VIEW_AT(slots_open)));
    emit_mem(e, X_MOV_TO, 2, H_R11,
             (struct mem){.base = H_R9, .index = H_R10, .scale = 1, .disp = VIEW_AT(open)});
    emit_op_mem(e, none, 0xff, 0, MEM(H_R9, VIEW_AT(slots_open))); /* inc */
    emit_patch(e, noted, e->len);
}

/* RAX: the tag XOR the address in R10; jumps away if the page is another. */
static size_t jump_if_other(struct emit *e, i32 table)
{
    emit_mem(e, X_MOV, 8, H_RAX, entry_at(table, offsetof(struct tlb_entry, tag)));
    emit_reg(e, X_XOR, 8, H_RAX, H_R10);
    emit_imm(e, X_IMM_CMP, 8, H_RAX, PAGE_SIZE - 1);
    return emit_jcc(e, CC_A);
}

static struct mem stack_field(unsigned slot, size_t field)
{
    return MEM(H_R9, jit_slot_at(slot) + (i32)field);
}

/* R10: page; R11: what is to be added to it. */
static void set_stack_slot(struct emit *e, unsigned slot)
{
    emit_mem(e, X_MOV_TO, 8, H_R10, stack_field(slot, offsetof(struct tlb_slot, page)));
    emit_mem(e, X_MOV_TO, 8, H_R11, stack_field(slot, offsetof(struct tlb_slot, to)));
}

/* R10, R11 and RBX are lost. */
static void open_stack_slot(struct emit *e, unsigned slot, u32 room)
{
    emit_lea(e, H_RBX, stack_field(slot, 0));
    emit_mov_imm(e, H_R11, slot);
    note_slot(e);
    emit_op_mem(e, wide, 0xc7, 0, SLOT_FIELD(H_RBX, room));
    emit32(e, room);
}

enum { STACK_AFTER = 4 }; /* times */

/* R10: linear address. Jumps away where the slot, which is open, had better stay: its page is that one, but
 * not all bytes of the access are surely in it, or there was no other page for several times. A stack that is
 * on two pages goes from one to the other and back. R11 is lost. */
static void stay_open(struct emit *e, size_t stays[2])
{
    emit_op_mem(e, wide, 0x83, X_IMM_CMP, stack_field(JIT_STACK_SLOT, offsetof(struct tlb_slot, room)));
    emit8(e, 0);
    size_t shut = emit_jcc(e, CC_E);
    emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_mem(e, X_SUB, 8, H_R11, stack_field(JIT_STACK_SLOT, offsetof(struct tlb_slot, page)));
    emit_imm(e, X_IMM_CMP, 8, H_R11, PAGE_SIZE - 1);
    stays[0] = emit_jcc(e, CC_BE);
    emit_op_mem(e, none, 0x80, X_IMM_ADD, stack_field(JIT_STACK_SLOT, offsetof(struct tlb_slot, often)));
    emit8(e, 256 / STACK_AFTER);
    stays[1] = emit_jcc(e, CC_NE);
    emit_patch(e, shut, e->len);
}

/* R10: linear address. Both tables must have its page. */
static void emit_stack(struct emit *e)
{
    size_t stays[2];
    stay_open(e, stays);
    emit_push(e, H_RAX);
    emit_push(e, H_RBX);
    runtime_tlb_index(e);
    size_t no_read = jump_if_other(e, VIEW_AT(read)), no_write = jump_if_other(e, VIEW_AT(write));
    emit_mem(e, X_MOV, 8, H_R11, entry_at(VIEW_AT(write), offsetof(struct tlb_entry, to)));
    emit_reg(e, X_MOV, 8, H_RAX, H_R10);
    emit_imm(e, X_IMM_AND, 8, H_R10, -(i32)PAGE_SIZE);
    set_stack_slot(e, JIT_STACK_SLOT);
    set_stack_slot(e, JIT_SPAN_SLOT);
    open_stack_slot(e, JIT_STACK_SLOT, JIT_STACK_ROOM);
    open_stack_slot(e, JIT_SPAN_SLOT, JIT_SPAN_ROOM);
    emit_reg(e, X_MOV, 8, H_R10, H_RAX);
    emit_patch(e, no_read, e->len);
    emit_patch(e, no_write, e->len);
    emit_pop(e, H_RBX);
    emit_pop(e, H_RAX);
    emit_patch(e, stays[0], e->len);
    emit_patch(e, stays[1], e->len);
    emit8(e, 0xc3);
}

/* RBX: slot, RDX: struct jit_slot_use. Counts openings between which not enough instructions lie, and forgets
 * half of them where there were enough. R10, RCX and RDX are lost. */
static void count_opening(struct emit *e, i32 bias)
{
    struct mem end = MEM(H_RSP, (i32)offsetof(struct jit_frame, end) + bias),
               left = MEM(H_RSP, (i32)offsetof(struct jit_frame, left) + bias);
    emit_mem(e, X_MOV, 4, H_RCX, end);
    emit_mem(e, X_SUB, 4, H_RCX, left); /* now */
    emit_reg(e, X_MOV, 4, H_R10, H_RCX);
    emit_mem(e, X_SUB, 4, H_R10, SLOT_FIELD(H_RBX, when));
    emit_mem(e, X_MOV_TO, 4, H_RCX, SLOT_FIELD(H_RBX, when));
    emit_shift(e, X_SHR, 8, H_RDX, 48); /* .rare */
    emit_reg(e, X_CMP, 4, H_R10, H_RDX);
    size_t soon = emit_jcc(e, CC_B);
    emit_op_mem(e, none, 0xd1, X_SHR, SLOT_FIELD(H_RBX, often));
    size_t done = emit_jmp(e);
    emit_patch(e, soon, e->len);
    emit_op_mem(e, none, 0xff, 0, SLOT_FIELD(H_RBX, often)); /* inc */
    emit_patch(e, done, e->len);
}

/* R11: the entry's place in the table for reads or writes, by RDX; RCX: .room */
static void table_of_use(struct emit *e)
{
    runtime_tlb_index(e);
    emit_reg(e, X_MOV, 8, H_RCX, H_RDX);
    emit_shift(e, X_SHR, 8, H_RCX, 16);
    emit_op_reg(e, none, 0x0fba, 6, H_RCX); /* btr: .write */
    emit8(e, 15);
    size_t read = emit_jcc(e, CC_AE);
    emit_imm(e, X_IMM_ADD, 8, H_R11, VIEW_AT(write) - VIEW_AT(read));
    emit_patch(e, read, e->len);
    emit_reg(e, X_MOVZX16, 4, H_RCX, H_RCX);
}

/* R10: page; R11: what is to be added to it; RDX: struct jit_slot_use. R10, R11, RBX, RCX and RDX are lost.
 */
static void open_slot(struct emit *e, i32 bias)
{
    _Static_assert(sizeof(struct tlb_slot) == 1 << 5, "ORDER TLB_SLOT");
    emit_reg(e, X_MOVZX16, 4, H_RCX, H_RDX); /* .number */
    emit_reg(e, X_MOV, 4, H_RBX, H_RCX);
    emit_shift(e, X_SHL, 4, H_RBX, 5);
    emit_lea(e, H_RBX, (struct mem){.base = H_RBX, .index = H_R9, .disp = VIEW_AT(slot)});
    emit_mem(e, X_MOV_TO, 8, H_R11, SLOT_FIELD(H_RBX, to));
    emit_mem(e, X_MOV_TO, 8, H_R10, SLOT_FIELD(H_RBX, page));
    emit_reg(e, X_MOV, 4, H_R11, H_RCX);
    note_slot(e);
    emit_reg(e, X_MOV, 8, H_RCX, H_RDX);
    emit_shift(e, X_SHR, 8, H_RCX, 32);
    emit_reg(e, X_MOVZX16, 4, H_RCX, H_RCX); /* .slot_room */
    emit_mem(e, X_MOV_TO, 8, H_RCX, SLOT_FIELD(H_RBX, room));
    count_opening(e, bias);
}

static void emit_open_slot(struct emit *e)
{
    static const enum host_reg used[] = {H_RAX, H_RCX, H_RDX, H_RBX};
    for (unsigned i = 0; i < ARRAY_SIZE(used); i++)
        emit_push(e, used[i]);
    emit_reg(e, X_MOV, 8, H_RDX, H_R11);
    table_of_use(e);
    emit_mem(e, X_MOV, 8, H_RAX, entry_at(VIEW_AT(read), offsetof(struct tlb_entry, tag)));
    emit_reg(e, X_XOR, 8, H_RAX, H_R10);
    emit_reg(e, X_CMP, 8, H_RAX, H_RCX);
    emit8(e, 0xf5); /* cmc: CF now says that it was not found */
    size_t miss = emit_jcc(e, CC_B);
    emit_mem(e, X_MOV, 8, H_R11, entry_at(VIEW_AT(read), offsetof(struct tlb_entry, to)));
    emit_reg(e, X_MOV, 8, H_RAX, H_R10);
    emit_imm(e, X_IMM_AND, 8, H_R10, -(i32)PAGE_SIZE);
    open_slot(e, 8 * (ARRAY_SIZE(used) + 1));
    emit_reg(e, X_MOV, 8, H_R10, H_RAX);
    emit8(e, 0xf8); /* clc */
    emit_patch(e, miss, e->len);
    for (unsigned i = ARRAY_SIZE(used); i-- > 0;)
        emit_pop(e, used[i]);
    emit8(e, 0xc3);
}

void runtime_slot_emit(struct emit *e, struct jit_runtime *rt)
{
    rt->stack = (u32)e->len;
    emit_stack(e);
    rt->open_slot = (u32)e->len;
    emit_open_slot(e);
}
