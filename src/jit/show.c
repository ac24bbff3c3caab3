/* SPDX-License-Identifier: MIT */
/* A translated block as text: each guest instruction beside the host code it became, then what is rarely
 * taken. */
#include <inttypes.h>
#include <string.h>

#include "cpu/code.h"
#include "jit/watch.h"
#include "x86/disasm.h"

enum { LEFT = 60, TEXT_MAX = 128 };

struct show {
    const struct jit_view *v;
    jit_name_fn name;
    void *opaque;
    FILE *out;
    u64 base; /* what the code's first byte is shown at */
};

static void hex(char *to, const u8 *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sprintf(to + 2 * i, "%02x", bytes[i]);
    to[2 * n] = 0;
}

/* Text with every 0xNUMBER that has a name replaced by it. */
static void put_named(const struct show *s, const char *text)
{
    char name[TEXT_MAX];
    for (const char *p = text; *p;) {
        unsigned long long value;
        int n = 0;
        if (s->name && p[0] == '0' && p[1] == 'x' && sscanf(p, "%llx%n", &value, &n) == 1 &&
            s->name(s->opaque, value, name, sizeof(name))) {
            fputs(name, s->out);
            p += n;
        } else {
            fputc(*p++, s->out);
        }
    }
}

/* Bytes are left out where names are wanted: they hold the numbers that have them. */
static void put_host(const struct show *s, size_t at, const struct insn *in)
{
    char bytes[32], text[TEXT_MAX];
    unsigned len = in->len;
    disasm(MODE_64, s->base + at, s->v->code + at, len, text, sizeof(text));
    hex(bytes, s->v->code + at, len);
    fprintf(s->out, "%4zx  ", at);
    if (!s->name)
        fprintf(s->out, "%-24s ", bytes);
    put_named(s, text);
    fputc('\n', s->out);
}

static void put_range(const struct show *s, size_t from, size_t to, const char *left)
{
    while (from < to || *left) {
        struct insn in = {0};
        fprintf(s->out, from < to ? "%-*s | " : "%-*s |\n", LEFT, left);
        left = "";
        if (from >= to)
            return;
        if (insn_decode(MODE_64, s->v->code + from, (unsigned)(to - from < 15 ? to - from : 15), &in) !=
            DECODE_OK)
            in.len = (u8)(to - from < 15 ? to - from : 15);
        put_host(s, from, &in);
        from += in.len;
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

void jit_show(const struct jit_view *v, jit_name_fn name, void *opaque, FILE *out)
{
    struct show s = {v, name, opaque, out, name ? 0 : (u64)v->code};
    const struct block *b = v->block;
    if (!b) {
        fprintf(out, "routines, %zu bytes at %p\n", v->len, (const void *)v->code);
        put_range(&s, 0, v->len, "");
        return;
    }
    fprintf(out, "block %" PRIx64 ", mode %02x, %u instructions (%u native), %u bytes to %zu", v->rip,
            b->mode, b->count, v->native, b->bytes, v->len);
    if (!name)
        fprintf(out, " at %p", (const void *)v->code);
    fputc('\n', out);
    put_range(&s, 0, v->at[0], "entry");
    u64 at = 0;
    for (unsigned i = 0; i < b->count; at += b->uop[i++].in.len)
        put_guest(&s, i, v->rip + at, b->host + at);
    put_range(&s, v->at[b->count], v->len, "rarely");
}
