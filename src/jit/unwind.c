/* SPDX-License-Identifier: MIT */
/* Where the routines' callers are found on the stack: see the header. */
#include "jit/unwind.h"

#include <stdio.h>
#include <stdlib.h>

#include "jit/runtime.h"
#include "x86/insn.h"

/* From the frame to the RSP of who called `enter`: the third argument, saved_regs, and the address to return
 * to. */
enum { ABOVE_FRAME = sizeof(struct jit_frame) + 8 * (1 + ARRAY_SIZE(saved_regs) + 1) };

const struct jit_unwind jit_unwind_block = {0, ABOVE_FRAME, JIT_KEPT_SAVED};

/* ---- the routines ---- */

static void add_routine(struct jit_routine *out, unsigned *n, const char *name, u32 at, bool called)
{
    unsigned i = (*n)++;
    bug_on(*n > JIT_ROUTINES_MAX, "more than %d routines", JIT_ROUTINES_MAX);
    for (; i && out[i - 1].at > at; i--)
        out[i] = out[i - 1];
    out[i] = (struct jit_routine){.at = at, .called = called};
    snprintf(out[i].name, sizeof(out[i].name), "%s", name);
}

unsigned jit_routines(const struct jit_runtime *rt, struct jit_routine out[JIT_ROUTINES_MAX])
{
    enum { JUMPED_TO, CALLED };
#define ROUTINE(name, how) add_routine(out, &n, #name, rt->name, how)
    unsigned n = 0;
    ROUTINE(enter, JUMPED_TO);
    ROUTINE(call, CALLED);
    ROUTINE(call_last, CALLED);
    ROUTINE(leave_at, JUMPED_TO);
    ROUTINE(leave_chain, JUMPED_TO);
    ROUTINE(leave_trace, JUMPED_TO);
    ROUTINE(slice, JUMPED_TO);
    ROUTINE(lookup, JUMPED_TO);
    ROUTINE(link, JUMPED_TO);
    ROUTINE(stack, CALLED);
    ROUTINE(open_slot, CALLED);
    ROUTINE(syscall, CALLED);
    ROUTINE(sysret, CALLED);
    ROUTINE(stac, CALLED);
    ROUTINE(clac, CALLED);
    ROUTINE(load_xmm, CALLED);
    ROUTINE(load_ymm, CALLED);
    ROUTINE(load_x87, CALLED);
    ROUTINE(vec_again, CALLED);
#undef ROUTINE
    for (unsigned write = 0; write < 2; write++) {
        const char *what = write ? "write" : "read";
        char name[24];
        snprintf(name, sizeof(name), "refill_%s", what);
        add_routine(out, &n, name, rt->refill_ask[write], CALLED);
        for (unsigned i = 0; i < JIT_REFILLS; i++) {
            snprintf(name, sizeof(name), "refill_%s_%u", what, 1u << i);
            add_routine(out, &n, name, rt->refill[write][i], CALLED);
        }
    }
    return n;
}

/* ---- following them ---- */

/* How the stack is before an instruction. */
struct stack {
    bool known;
    u8 kept;
    i32 below; /* RSP, from the frame */
};

struct walk {
    const u8 *code;
    size_t len;
    struct stack *at; /* of each byte where an instruction begins */
    size_t seen;      /* the instruction looked at */
    bool more;        /* something became known */
    bool bad;         /* what is known contradicts itself */
};

static u32 caller_of(const struct stack *s)
{
    return (u32)(s->below + (s->kept == JIT_KEPT_LOST ? 0 : ABOVE_FRAME));
}

static void come_to(struct walk *w, size_t to, struct stack s)
{
    if (to >= w->len)
        return;
    if (w->at[to].known) {
        w->bad |= w->at[to].below != s.below;
        return;
    }
    w->at[to] = s;
    w->more = true;
}

/* Somebody will jump there, with the stack as it is here; unless it is just where the routines begin. */
static void take_address(struct walk *w, size_t to, struct stack s)
{
    if (to < w->len && !w->at[to].known)
        come_to(w, to, s);
}

static bool is(const struct insn *in, const char *mnemonic)
{
    return !strcmp(insn_infos[in->id].mnemonic, mnemonic);
}

static bool moves_rsp(const struct insn *in)
{
    const struct operand_info *to = &insn_infos[in->id].op[0];
    bool reg = to->kind == OP_G   ? in->reg == RSP
               : to->kind == OP_Z ? in->rm == RSP
               : to->kind == OP_E ? !(in->flags & INSN_MEM) && in->rm == RSP
                                  : false;
    return reg && (to->access & ACC_WRITE);
}

/* Back at the frame, and below it no more by a call: what runs is as a block. */
static void change_stack(struct walk *w, const struct insn *in, struct stack *s)
{
    bool imm = insn_infos[in->id].op[1].kind == OP_I;
    if (is(in, "push"))
        s->below += 8;
    else if (is(in, "pop"))
        s->below -= 8;
    else if (moves_rsp(in) && imm && is(in, "sub"))
        s->below += (i32)in->imm;
    else if (moves_rsp(in) && imm && is(in, "add"))
        s->below -= (i32)in->imm;
    else if (moves_rsp(in))
        w->bad = true;
    if (!s->below)
        s->kept = JIT_KEPT_SAVED;
}

/* Where else the instruction leads; whether it goes on to the next. */
static bool follow(struct walk *w, const struct insn *in, size_t next, struct stack s)
{
    bool relative = insn_infos[in->id].op[0].kind == OP_J;
    size_t to = next + (size_t)in->imm;
    if (is(in, "call")) {
        if (relative)
            come_to(w, to, (struct stack){true, JIT_KEPT_LOST, s.below + 8});
        return true;
    }
    if (is(in, "ret")) {
        w->bad |= caller_of(&s) != 8;
        return false;
    }
    if (is(in, "jmp") && !relative) {
        w->bad |= s.below != 0; /* blocks, and who called what popped its address */
        return false;
    }
    if (relative)
        come_to(w, to, s);
    if (is(in, "lea") && in->base == REG_RIP)
        take_address(w, next + (size_t)(i64)in->disp, s);
    return !is(in, "jmp");
}

static bool decode(const struct walk *w, size_t at, struct insn *in)
{
    size_t left = w->len - at;
    return insn_decode(MODE_64, w->code + at, left < 15 ? (unsigned)left : 15, in) == DECODE_OK;
}

/* Once through the code, as far as is known how it is come to. */
static void pass(struct walk *w)
{
    bool flows = false;
    struct stack now = {0};
    struct insn in;
    w->more = false;
    for (size_t at = 0; at < w->len && !w->bad; at += in.len) {
        w->seen = at;
        if (flows)
            come_to(w, at, now);
        w->bad |= !decode(w, at, &in);
        flows = !w->bad && w->at[at].known;
        if (!flows)
            continue;
        now = w->at[at];
        change_stack(w, &in, &now);
        flows = follow(w, &in, at + in.len, now);
    }
}

static unsigned write_rows(struct walk *w, struct jit_unwind *out)
{
    unsigned n = 0;
    struct insn in;
    for (size_t at = 0; at < w->len; at += in.len) {
        const struct stack *s = &w->at[at];
        u32 caller = caller_of(s);
        w->seen = at;
        if (!s->known || caller > UINT16_MAX || !decode(w, at, &in))
            return 0;
        if (n && out[n - 1].caller == caller && out[n - 1].kept == s->kept)
            continue;
        if (n == JIT_UNWIND_MAX)
            return 0;
        out[n++] = (struct jit_unwind){(u32)at, (u16)caller, s->kept};
    }
    return n;
}

unsigned jit_unwind_routines(const struct jit_runtime *rt, const u8 *code, size_t len,
                             struct jit_unwind out[JIT_UNWIND_MAX])
{
    struct jit_routine routine[JIT_ROUTINES_MAX];
    unsigned n = jit_routines(rt, routine);
    struct walk w = {.code = code, .len = len, .at = calloc(len, sizeof(*w.at))};
    bug_on(!w.at, "no memory to follow %zu bytes of code", len);
    for (unsigned i = 0; i < n; i++)
        come_to(&w, routine[i].at,
                routine[i].called ? (struct stack){true, JIT_KEPT_LOST, 8}
                                  : (struct stack){true, JIT_KEPT_SAVED, 0});
    w.at[rt->enter] = (struct stack){true, JIT_KEPT_THERE, 8 - ABOVE_FRAME};
    do
        pass(&w);
    while (w.more && !w.bad);
    unsigned rows = w.bad ? 0 : write_rows(&w, out);
    if (!rows)
        out[0].at = (u32)w.seen;
    free(w.at);
    return rows;
}
