/* SPDX-License-Identifier: MIT */
/*
 * The routines that find where a jump leads that is not known to stay in its page: by the notes of the TLB
 * view, by the fetch entry and the table of places, at last by C. What they find they note, so that the next
 * time it is one compare.
 */
#include "jit/runtime.h"

#include "jit/hostmap.h"
#include "jit/watch.h"

#define FRAME(field) MEM(H_RSP, (i32)offsetof(struct jit_frame, field))

_Static_assert(sizeof(struct tlb_note) == 16 && sizeof(struct tlb_note) * TLB_NOTES_CHUNK == 8 << 7,
               "ORDER NOTE");

void runtime_note_index(struct emit *e)
{
    emit_op_mem(e, none, X_LEA, H_R11, (struct mem){.base = H_R10, .index = H_R10});
    emit_imm(e, X_IMM_AND, 4, H_R11, 2 * TLB_NOTES - 2);
}

/* The guest registers whose host registers C may overwrite. */
static void move_lost(struct emit *e, bool store, enum host_reg cpu)
{
    static const u8 guest[] = {RAX, RCX, RDX, RSI, RDI, RSP};
    for (unsigned i = 0; i < ARRAY_SIZE(guest); i++)
        emit_mem(e, store ? X_MOV_TO : X_MOV, 8, host_reg_of[guest[i]], MEM(cpu, CPU(regs) + 8 * guest[i]));
}

/* R10: RIP. Asks C; R11 becomes the far entry. Jumps away with R10 RIP when there is none. */
static size_t emit_ask(struct emit *e)
{
    emit_mem(e, X_MOV_TO, 8, H_R10, FRAME(what));
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    move_lost(e, true, H_R10);
    runtime_vec_store(e, 0);
    emit_reg(e, X_MOV, 8, H_RDI, H_R10);
    emit_mem(e, X_MOV, 8, H_RSI, FRAME(what));
    emit_mov_imm(e, H_RAX, (u64)jit_look_up);
    emit_op_reg(e, none, CALL_MEM, 2, H_RAX);
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_mem(e, X_MOV, 8, H_R10, FRAME(cpu));
    runtime_load_view(e);
    move_lost(e, false, H_R10);
    emit_mem(e, X_MOV, 8, H_R10, FRAME(what));
    emit_reg(e, X_TEST, 8, H_R11, H_R11);
    return emit_jcc(e, CC_E);
}

/* R10: RIP, R11: the far entry of its translation. Notes it as a late jump and goes there. */
static void emit_note_jump(struct emit *e)
{
    struct mem note = {.base = H_R9, .index = H_R11, .scale = 3, .disp = VIEW_AT(note)};
    emit_mem(e, X_MOV_TO, 8, H_RAX, FRAME(scratch));
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
    runtime_note_index(e);
    emit_mem(e, X_MOV_TO, 8, H_R10, note);
    note.disp += (i32)offsetof(struct tlb_note, what);
    emit_mem(e, X_MOV_TO, 8, H_RAX, note);
    emit_shift(e, X_SHR, 4, H_R11, 7);
    emit_op_mem(e, none, 0xc6, 0, (struct mem){.base = H_R9, .index = H_R11, .disp = VIEW_AT(noted)});
    emit8(e, 1);
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_mem(e, X_MOV, 8, H_RAX, FRAME(scratch));
    emit_op_reg(e, none, CALL_MEM, 4, H_R11);
}

/* R10: RIP. RAX and R11 become the host address of its code, by the fetch entry of the page. Jumps away when
 * there is no entry. */
static size_t find_code(struct emit *e)
{
    emit_reg(e, X_MOV, 8, H_RAX, H_R10);
    emit_imm(e, X_IMM_AND, 8, H_RAX, -(i32)PAGE_SIZE);
    runtime_tlb_index(e);
    emit_mem(e, X_ADD, 8, H_R11, FRAME(tlb_x));
    emit_mem(e, X_CMP, 8, H_RAX, MEM(H_R11, offsetof(struct tlb_entry, tag)));
    size_t miss = emit_jcc(e, CC_NE);
    emit_mem(e, X_MOV, 8, H_RAX, MEM(H_R11, offsetof(struct tlb_entry, to)));
    emit_reg(e, X_ADD, 8, H_RAX, H_R10);
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    return miss;
}

/* RAX and R11: host address of code. R11 becomes the far entry of its translation, as frame.places has it.
 * RAX is lost. Jumps away when there is none. */
static size_t find_entry(struct emit *e)
{
    emit_shift(e, X_SHR, 8, H_RAX, JIT_PLACE_BITS);
    emit_op_reg(e, none, IMUL_IMM, H_RAX, H_RAX);
    emit32(e, JIT_PLACE_FACTOR);
    emit_shift(e, X_SHR, 4, H_RAX, 32 - JIT_PLACE_BITS);
    emit_reg(e, X_XOR, 4, H_RAX, H_R11);
    emit_imm(e, X_IMM_AND, 4, H_RAX, (1 << JIT_PLACE_BITS) - 1);
    emit_shift(e, X_SHL, 4, H_RAX, 3);
    emit_mem(e, X_ADD, 8, H_RAX, FRAME(places));
    emit_mem(e, X_MOV, 8, H_RAX, MEM(H_RAX, 0));
    emit_shift(e, X_SHR, 8, H_R11, JIT_PLACE_BITS);
    emit_shift(e, X_SHL, 8, H_R11, 32);
    emit_reg(e, X_XOR, 8, H_RAX, H_R11); /* the offset alone, if the host address is the same */
    emit_reg(e, X_MOV, 4, H_R11, H_RAX);
    emit_reg(e, X_CMP, 8, H_R11, H_RAX);
    size_t absent = emit_jcc(e, CC_NE);
    emit_lea_rip(e, H_R11, 0); /* the code cache begins with these routines */
    emit_reg(e, X_ADD, 8, H_R11, H_RAX);
    return absent;
}

/* The fetch entry of the page, then the block by host address, or what C finds; found, it is noted as a late
 * jump. */
static void emit_lookup(struct emit *e, u32 leave_at)
{
    emit_mem(e, X_MOV_TO, 8, H_RAX, FRAME(scratch));
    size_t miss = find_code(e);
    size_t absent = find_entry(e);
    emit_mem(e, X_MOV, 8, H_RAX, FRAME(scratch));
    size_t found = e->len;
    emit_note_jump(e);
    emit_patch(e, miss, e->len);
    emit_patch(e, absent, e->len);
    emit_mem(e, X_MOV, 8, H_RAX, FRAME(scratch));
    size_t unknown = emit_ask(e);
    emit_jmp_to(e, found);
    emit_patch(e, unknown, e->len);
    emit_jmp_to(e, leave_at);
}

_Static_assert(TLB_NOTES_CHUNK == 1 << 6, "ORDER LINKED");
#define EXIT(field) MEM(H_RAX, (i32)offsetof(struct jit_exit, field))

/* R10: RIP, RAX: the exit. It is linked in this view. Its index is in RAX afterwards. */
static void fill_link(struct emit *e)
{
    emit_mem(e, X_MOV_TO, 8, H_RCX, FRAME(spare));
    emit_mem(e, X_MOV, 8, H_RCX, EXIT(key));
    emit_reg(e, X_ADD, 8, H_RCX, H_R10);
    emit_mem(e, X_MOV, 4, H_RAX, EXIT(slot));
    emit_mem(e, X_MOV_TO, 8, H_RCX,
             (struct mem){.base = H_R9, .index = H_RAX, .scale = 3, .disp = VIEW_AT(link)});
    emit_shift(e, X_SHR, 4, H_RAX, 6);
    emit_op_mem(e, none, 0xc6, 0, (struct mem){.base = H_R9, .index = H_RAX, .disp = VIEW_AT(linked)});
    emit8(e, 1);
    emit_mem(e, X_MOV, 8, H_RCX, FRAME(spare));
}

/* R10: RIP, R11: an exit of another page, which leads there but is not linked in this view. When it is
 * patched to what the notes have of RIP it is linked; when it is not patched at all C is asked for that, not
 * each time. */
static void emit_link(struct emit *e, const struct jit_runtime *rt)
{
    struct mem note = {.base = H_R9, .index = H_R11, .scale = 3, .disp = VIEW_AT(note)};
    emit_mem(e, X_MOV_TO, 8, H_RAX, FRAME(scratch));
    emit_reg(e, X_MOV, 8, H_RAX, H_R11);
    runtime_note_index(e);
    emit_mem(e, X_CMP, 8, H_R10, note);
    size_t unknown = emit_jcc(e, CC_NE);
    note.disp += (i32)offsetof(struct tlb_note, what);
    emit_mem(e, X_MOV, 8, H_R11, note);
    emit_mem(e, X_CMP, 8, H_R11, EXIT(code));
    size_t other = emit_jcc(e, CC_NE);
    fill_link(e);
    size_t go = e->len;
    emit_mem(e, X_MOV, 8, H_RAX, FRAME(scratch));
    emit_op_reg(e, none, CALL_MEM, 4, H_R11);
    emit_patch(e, other, e->len);
    emit_op_mem(e, wide, 0x83, X_IMM_CMP, EXIT(code));
    emit8(e, 0);
    emit_patch(e, emit_jcc(e, CC_NE), go);
    emit_op_mem(e, none, 0x80, X_IMM_ADD, EXIT(missed));
    emit8(e, 256 / JIT_LINK_AFTER);
    emit_patch(e, emit_jcc(e, CC_NE), go);
    emit_reg(e, X_MOV, 8, H_R11, H_RAX);
    emit_mem(e, X_MOV, 8, H_RAX, FRAME(scratch));
    emit_jmp_to(e, rt->leave_chain);
    emit_patch(e, unknown, e->len);
    emit_mem(e, X_MOV, 8, H_RAX, FRAME(scratch));
    emit_jmp_to(e, rt->lookup);
}

static void emit_leave_trace(struct emit *e, const struct jit_runtime *rt, unsigned exits)
{
    emit_op_mem(e, none, 0x80, X_IMM_ADD, MEM(H_R11, (i32)offsetof(struct jit_exit, missed)));
    emit8(e, (u8)(256 / exits));
    emit_patch(e, emit_jcc(e, CC_E), rt->leave_chain);
    emit_jmp_to(e, rt->lookup);
}

void runtime_jump_emit(struct emit *e, struct jit_runtime *rt, const struct jit_options *options)
{
    rt->lookup = (u32)e->len;
    emit_lookup(e, rt->leave_at);
    rt->leave_trace = (u32)e->len;
    emit_leave_trace(e, rt, options->exits);
    rt->link = (u32)e->len;
    emit_link(e, rt);
}
