/* SPDX-License-Identifier: MIT */
/* A translated block as text: each guest instruction beside the host code it became, then what is rarely
 * taken. */
#include <inttypes.h>

#include "cpu/code.h"
#include "jit/translate.h"
#include "jit/trace.h"
#include "jit/watch.h"
#include "x86/disasm.h"

enum { LEFT = 60, TEXT_MAX = 128, SHOWN = TRANSLATE_MAX, NOWHERE = SHOWN - 1 };

struct show {
    const struct jit_view *v;
    jit_name_fn name;
    void *opaque;
    FILE *out;
    u64 base;          /* what the code's first byte is shown at */
    bool label[SHOWN]; /* where jumps lead */
};

static void hex(char *to, const u8 *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sprintf(to + 2 * i, "%02x", bytes[i]);
    to[2 * n] = 0;
}

/* Length and, for a jump or an address that is another place of this code, which. */
static unsigned measure(const struct show *s, size_t at, size_t end, size_t *target)
{
    struct insn in = {0};
    unsigned most = end - at < 15 ? (unsigned)(end - at) : 15;
    *target = NOWHERE;
    if (insn_decode(MODE_64, s->v->code + at, most, &in) != DECODE_OK)
        return most;
    bool jump = insn_infos[in.id].op[0].kind == OP_J, relative = (in.flags & INSN_MEM) && in.base == REG_RIP;
    size_t to = at + in.len + (jump ? in.imm : (u64)(i64)in.disp);
    if ((jump || relative) && to < s->v->len)
        *target = to;
    return in.len;
}

static void find_labels(struct show *s)
{
    size_t target;
    for (size_t at = 0; at < s->v->len;
         at += measure(s, at, s->v->len, &target), s->label[target % SHOWN] = true)
        ;
    s->label[NOWHERE] = false;
}

static unsigned label_at(const struct show *s, size_t at)
{
    unsigned n = 0;
    for (size_t i = 0; i <= at; i++)
        n += s->label[i];
    return n;
}

/* Text with every 0xNUMBER that has a name replaced by it. */
static void put_named(const struct show *s, const char *text, size_t target)
{
    for (const char *p = text; *p;) {
        char name[TEXT_MAX];
        unsigned long long value;
        int n = 0;
        if (p[0] != '0' || p[1] != 'x' || sscanf(p, "%llx%n", &value, &n) != 1) {
            fputc(*p++, s->out);
            continue;
        }
        if (target != NOWHERE && value == target)
            fprintf(s->out, "L%u", label_at(s, target));
        else if (s->name(s->opaque, value, name, sizeof(name)))
            fputs(name, s->out);
        else
            fprintf(s->out, "%.*s", n, p);
        p += n;
    }
}

/* Offsets and bytes are left out where names are wanted: there a change is to show where it is and nowhere
 * else. */
static void put_place(const struct show *s, size_t at, unsigned len)
{
    char text[32] = "";
    if (s->name && s->label[at])
        snprintf(text, sizeof(text), "L%u:", label_at(s, at));
    if (s->name) {
        fprintf(s->out, "%-4s ", text);
        return;
    }
    hex(text, s->v->code + at, len);
    fprintf(s->out, "%4zx  %-24s ", at, text);
}

static unsigned put_host(const struct show *s, size_t at, size_t end)
{
    char text[TEXT_MAX];
    size_t target;
    unsigned len = measure(s, at, end, &target);
    disasm(MODE_64, s->base + at, s->v->code + at, len, text, sizeof(text));
    put_place(s, at, len);
    if (s->name)
        put_named(s, text, target);
    else
        fputs(text, s->out);
    fputc('\n', s->out);
    return len;
}

static void put_range(const struct show *s, size_t from, size_t to, const char *left)
{
    if (from >= to && *left)
        fprintf(s->out, "%-*s |\n", LEFT, left);
    for (; from < to; left = "") {
        fprintf(s->out, "%-*s | ", LEFT, left);
        from += put_host(s, from, to);
    }
}

static void put_guest(const struct show *s, unsigned i, u64 rip, const u8 *bytes)
{
    const struct insn *in = &s->v->block->uop[i].in;
    char text[TEXT_MAX], raw[32], left[256];
    disasm((enum decode_mode)(s->v->block->mode & CODE_MODE_MASK), rip, bytes, in->len, text, sizeof(text));
    hex(raw, bytes, in->len);
    snprintf(left, sizeof(left), "%06" PRIx64 "  %-20s %s", rip & 0xffffff, raw, text);
    put_range(s, s->v->at[i], s->v->at[i + 1], left);
}

/* Of one whose last bytes are on another page the disassembler may be shown others. */
static const u8 *place_in_trace(const struct trace *t, unsigned i, u64 begin, u64 *rip)
{
    const struct trace_page *page = &t->page[t->at[i]];
    *rip = (begin & ~(PAGE_SIZE - 1)) + (u64)page->delta + t->offset[i];
    return page->host + t->offset[i];
}

void jit_show(const struct jit_view *v, jit_name_fn name, void *opaque, FILE *out)
{
    struct show s = {v, name, opaque, out, name ? 0 : (u64)v->code, {0}};
    const struct block *b = v->block;
    if (name)
        find_labels(&s);
    if (!b) {
        fprintf(out, "routines, %zu bytes at %p\n", v->len, (const void *)v->code);
        put_range(&s, 0, v->len, "");
        return;
    }
    fprintf(out, "%s %" PRIx64 ", mode %02x, %u instructions (%u native), %u bytes to %zu",
            v->trace ? "trace" : "block", v->rip, b->mode, b->count, v->native, b->bytes, v->len);
    if (!name)
        fprintf(out, " at %p", (const void *)v->code);
    fputc('\n', out);
    put_range(&s, 0, v->at[0], "entry");
    u64 at = 0;
    for (unsigned i = 0; i < b->count; at += b->uop[i++].in.len) {
        u64 rip = v->rip + at;
        const u8 *bytes = b->host + at;
        if (v->trace)
            bytes = place_in_trace(v->trace, i, v->rip, &rip);
        put_guest(&s, i, rip, bytes);
    }
    put_range(&s, v->at[b->count], v->len, "rarely");
}
