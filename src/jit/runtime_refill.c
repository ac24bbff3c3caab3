/* SPDX-License-Identifier: MIT */
/*
 * The routines that accesses call whose page the soft TLB's tables do not hold: they ask its second level,
 * which fills the tables. Only registers that C may overwrite are saved; vector registers stay as they are.
 *
 * A read in a large page whose place in the tables is another's goes by the large page's entry, which lies
 * apart and costs no call of C: so is read what is larger than the tables. One in WIDE_TURNS is for C all the
 * same: pages that are read often come into the tables.
 */
#include "jit/runtime.h"

#include "cpu/mmu.h"

/* With the return address they keep the stack aligned. */
static const enum host_reg lost[] = {H_RAX, H_RCX, H_RDX, H_RSI, H_RDI, H_R8, H_R9, H_R10, H_R11};
enum { BIAS = 8 * (ARRAY_SIZE(lost) + 1) };
_Static_assert(BIAS % 16 == 0, "the stack stays aligned");

/* R10: linear address, R11: size. */
static void emit_ask(struct emit *e, bool write)
{
    for (unsigned i = 0; i < ARRAY_SIZE(lost); i++)
        emit_push(e, lost[i]);
    emit_mem(e, X_MOV, 8, H_RDI, MEM(H_RSP, (i32)offsetof(struct jit_frame, cpu) + BIAS));
    emit_reg(e, X_MOV, 8, H_RSI, H_R10);
    emit_reg(e, X_MOV, 4, H_RDX, H_R11);
    emit_mov_imm(e, H_RCX, write);
    emit_mov_imm(e, H_RAX, (u64)mmu_refill);
    emit_op_reg(e, none, CALL_MEM, 2, H_RAX);
    emit_reg(e, X_TEST, 8, H_RAX, H_RAX);
    for (unsigned i = ARRAY_SIZE(lost); i-- > 0;)
        emit_pop(e, lost[i]); /* flags stay */
    size_t nothing = emit_jcc(e, CC_E);
    runtime_tlb_index(e);
    emit_imm(e, X_IMM_AND, 8, H_R10, PAGE_SIZE - 1);
    emit8(e, 0xc3);
    emit_patch(e, nothing, e->len);
    emit_op_mem(e, wide, 0x83, X_IMM_ADD, MEM(H_RSP, 0));
    emit8(e, JIT_REFILL_SKIPS);
    emit8(e, 0xc3);
}

enum { WIDE_TURNS = 4 };
_Static_assert(sizeof(struct tlb_entry) == 16 && TLB_WIDE_SHIFT == 21, "ORDER WIDE");

/* R10: linear address, R11: where its entry is, which is another's or empty. R11 is lost if no wide entry is
 * to be used. */
static void try_wide(struct emit *e, unsigned size)
{
    struct mem entry = {.base = H_R9, .index = H_R11, .disp = VIEW_AT(read)};
    emit_op_mem(e, wide, 0x81, X_IMM_CMP, entry);
    emit32(e, (TLB_SIZE / 2) << PAGE_SHIFT); /* no TLB_EMPTY() is above */
    size_t empty = emit_jcc(e, CC_BE);
    entry.disp = VIEW_AT(wide);
    emit_reg(e, X_MOV, 8, H_R11, H_R10);
    emit_shift(e, X_SHR, 8, H_R11, TLB_WIDE_SHIFT - 4);
    emit_imm(e, X_IMM_AND, 4, H_R11, (TLB_WIDE - 1) << 4);
    emit_mem(e, X_XOR, 8, H_R10, entry);
    emit_imm(e, X_IMM_CMP, 8, H_R10, (1 << TLB_WIDE_SHIFT) - (i32)size);
    size_t other = emit_jcc(e, CC_A);
    emit_op_mem(e, none, 0x80, X_IMM_ADD, MEM(H_RSP, (i32)offsetof(struct jit_frame, wide) + 8));
    emit8(e, 256 / WIDE_TURNS);
    size_t turn = emit_jcc(e, CC_E);
    emit_imm(e, X_IMM_ADD, 8, H_R11, VIEW_AT(wide) - VIEW_AT(read));
    emit8(e, 0xc3);
    emit_patch(e, other, e->len);
    emit_patch(e, turn, e->len);
    emit_mem(e, X_XOR, 8, H_R10, entry);
    emit_patch(e, empty, e->len);
}

void runtime_refill_emit(struct emit *e, struct jit_runtime *rt)
{
    for (unsigned write = 0; write < 2; write++) {
        size_t ask = rt->refill_ask[write] = (u32)e->len;
        emit_ask(e, write);
        for (unsigned i = 0; i < JIT_REFILLS; i++) {
            rt->refill[write][i] = (u32)e->len;
            emit_mem(
                e, X_XOR, 8, H_R10,
                (struct mem){.base = H_R9, .index = H_R11, .disp = write ? VIEW_AT(write) : VIEW_AT(read)});
            if (!write)
                try_wide(e, 1u << i);
            emit_mov_imm(e, H_R11, 1u << i);
            emit_jmp_to(e, ask);
        }
    }
}
