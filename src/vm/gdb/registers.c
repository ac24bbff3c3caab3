/* SPDX-License-Identifier: MIT */
/* Registers by the table registers.def. */
#include "vm/gdb/registers.h"

#include <stdarg.h>
#include <stdio.h>

#include "x86/flags.h"

enum where {
    GPR,
    RIP,
    RFLAGS,
    SELECTOR,
    FXSAVE,   /* bytes of the image */
    FXSAVE16, /* two bytes of it, shown as four */
    TAGS,
    MXCSR,
    YMM_HIGH,
    BASE,
    CR0,
    CR2,
    CR3,
    CR4,
    CR8,
    EFER,
};

static const struct row {
    const char *feature; /* begins with this one; NULL: goes on */
    const char *name;
    unsigned bytes;
    const char *type, *group;
    enum where where;
    unsigned index;
} rows[] = {
#define GDB_FEATURE(name)                               {.feature = name},
#define GDB_REG(name, bytes, type, group, where, index) {NULL, name, bytes, type, group, where, index},
#include "vm/gdb/registers.def"
#undef GDB_REG
#undef GDB_FEATURE
};

/* The n-th register's row, or NULL. */
static const struct row *row_of(unsigned n)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (!rows[i].feature && n-- == 0)
            return &rows[i];
    return NULL;
}

unsigned gdb_registers_count(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        n += !rows[i].feature;
    return n;
}

unsigned gdb_register_size(unsigned n)
{
    return row_of(n)->bytes;
}

/* ---- the x87 tag word: two bits a register, of which FXSAVE keeps whether it is empty. SDM
 * 1 8.1.7, 10.5.1.1 */

enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static unsigned tag_of(const u8 *st)
{
    u64 mantissa = load_le(st, 8), exponent = load_le(st + 8, 2) & 0x7fff;
    if (!exponent && !mantissa)
        return TAG_ZERO;
    return exponent == 0x7fff || !exponent || !(mantissa >> 63) ? TAG_SPECIAL : TAG_VALID;
}

static u64 tags_get(const u8 *fxsave)
{
    unsigned top = (unsigned)load_le(fxsave + 2, 2) >> 11 & 7;
    u64 tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        bool used = fxsave[4] >> i & 1;
        tags |= (u64)(used ? tag_of(fxsave + 32 + 16 * ((i - top) & 7)) : TAG_EMPTY) << 2 * i;
    }
    return tags;
}

static void tags_put(u8 *fxsave, u64 tags)
{
    fxsave[4] = 0;
    for (unsigned i = 0; i < 8; i++)
        if ((tags >> 2 * i & 3) != TAG_EMPTY)
            fxsave[4] |= (u8)(1u << i);
}

/* ---- values ---- */

/* Those that are a field as it is; NULL for others. */
static void *field_of(const struct debug_regs *r, const struct row *w)
{
    struct debug_regs *m = (struct debug_regs *)r;
    switch (w->where) {
    case GPR:
        return &m->r.gpr[w->index];
    case RIP:
        return &m->r.rip;
    case FXSAVE:
        return &m->fpu.fxsave[w->index];
    case MXCSR:
        return &m->fpu.fxsave[24];
    case YMM_HIGH:
        return m->fpu.ymm_high[w->index];
    case BASE:
        return &m->r.seg[w->index].base;
    case CR0:
        return &m->r.cr0;
    case CR2:
        return &m->r.cr2;
    case CR3:
        return &m->r.cr3;
    case CR4:
        return &m->r.cr4;
    case CR8:
        return &m->cr8;
    case EFER:
        return &m->r.efer;
    default:
        return NULL;
    }
}

static u64 value_of(const struct debug_regs *r, const struct row *w)
{
    switch (w->where) {
    case RFLAGS:
        return r->r.rflags;
    case SELECTOR:
        return r->r.seg[w->index].sel;
    case FXSAVE16:
        return load_le(&r->fpu.fxsave[w->index], 2);
    default:
        return tags_get(r->fpu.fxsave);
    }
}

void gdb_register_get(const struct debug_regs *r, unsigned n, u8 *out)
{
    const struct row *w = row_of(n);
    const void *p = field_of(r, w);
    if (p)
        memcpy(out, p, w->bytes);
    else
        store_le(out, w->bytes, value_of(r, w));
}

static bool is_canonical(u64 v)
{
    return (u64)((i64)(v << 16) >> 16) == v;
}

/* What may be put there, beside what is there. SDM 3A 3.4.3, SDM 1 10.2.3 */
static bool acceptable(const struct debug_regs *r, const struct row *w, const u8 *in)
{
    const u64 flags =
        FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_AC | FLAG_ID;
    switch (w->where) {
    case GPR:
    case RIP:
    case FXSAVE:
    case YMM_HIGH:
    case CR2:
        return true;
    case FXSAVE16:
    case TAGS:
        return load_le(in, 4) <= 0xffff;
    case RFLAGS:
        return !((load_le(in, 4) ^ r->r.rflags) & ~flags);
    case MXCSR:
        return load_le(in, 4) <= 0xffff;
    case BASE:
        return is_canonical(load_le(in, 8));
    default:
        return false;
    }
}

bool gdb_register_put(struct debug_regs *r, unsigned n, const u8 *in)
{
    const struct row *w = row_of(n);
    u8 present[GDB_REGISTER_MAX];
    gdb_register_get(r, n, present);
    if (memcmp(present, in, w->bytes) == 0)
        return true;
    if (!acceptable(r, w, in))
        return false;
    void *p = field_of(r, w);
    if (p)
        memcpy(p, in, w->bytes);
    else if (w->where == RFLAGS)
        r->r.rflags = load_le(in, 4);
    else if (w->where == FXSAVE16)
        memcpy(&r->fpu.fxsave[w->index], in, 2);
    else
        tags_put(r->fpu.fxsave, load_le(in, 4));
    return true;
}

/* ---- the description ---- */

struct text {
    char *buf;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *fmt, ...)
{
    va_list ap;
    size_t room = t->len < t->size ? t->size - t->len : 0;
    va_start(ap, fmt);
    int n = vsnprintf(room ? t->buf + t->len : NULL, room, fmt, ap);
    va_end(ap);
    t->len += n > 0 ? (size_t)n : 0;
}

static void say_flags(struct text *t, const char *id, const char *const *names, unsigned count)
{
    say(t, "<flags id=\"%s\" size=\"4\">", id);
    for (unsigned i = 0; i < count; i++)
        if (names[i])
            say(t, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", names[i], i, i);
    say(t, "</flags>\n");
}

/* The types that belong to a feature. */
static void say_types(struct text *t, const char *feature)
{
    static const char *const flags[] = {"CF", "",   "PF", NULL, "AF", NULL, "ZF", "SF", "TF",  "IF",  "DF",
                                        "OF", NULL, NULL, "NT", NULL, "RF", "VM", "AC", "VIF", "VIP", "ID"};
    static const char *const mxcsr[] = {"IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM",
                                        "DM", "ZM", "OM", "UM", "PM", NULL, NULL,  "FZ"};
    static const struct {
        const char *id, *type, *field;
        unsigned count;
    } vectors[] = {{"v4f", "ieee_single", "v4_float", 4}, {"v2d", "ieee_double", "v2_double", 2},
                   {"v16i8", "int8", "v16_int8", 16},     {"v8i16", "int16", "v8_int16", 8},
                   {"v4i32", "int32", "v4_int32", 4},     {"v2i64", "int64", "v2_int64", 2}};
    if (strcmp(feature, "org.gnu.gdb.i386.core") == 0)
        say_flags(t, "x86_flags", flags, ARRAY_SIZE(flags));
    if (strcmp(feature, "org.gnu.gdb.i386.sse") != 0)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++)
        say(t, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", vectors[i].id, vectors[i].type,
            vectors[i].count);
    say(t, "<union id=\"vec128\">");
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++)
        say(t, "<field name=\"%s\" type=\"%s\"/>", vectors[i].field, vectors[i].id);
    say(t, "<field name=\"uint128\" type=\"uint128\"/></union>\n");
    say_flags(t, "x86_mxcsr", mxcsr, ARRAY_SIZE(mxcsr));
}

size_t gdb_registers_describe(char *buf, size_t size)
{
    struct text t = {buf, size, 0};
    bool open = false;
    say(&t, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
            "<architecture>i386:x86-64</architecture>\n");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *w = &rows[i];
        if (w->feature) {
            say(&t, "%s<feature name=\"%s\">\n", open ? "</feature>\n" : "", w->feature);
            say_types(&t, w->feature);
            open = true;
            continue;
        }
        say(&t, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"", w->name, w->bytes * 8, w->type);
        if (*w->group)
            say(&t, " group=\"%s\"", w->group);
        say(&t, "/>\n");
    }
    say(&t, "</feature>\n</target>\n");
    return t.len;
}
