/* SPDX-License-Identifier: MIT */
/* Packets about registers, memory, breakpoints and watchpoints. */
#include "vm/gdb/registers.h"
#include "vm/gdb/session_parts.h"

void gdb_read_all(struct gdb_session *s)
{
    struct debug_regs r;
    u8 value[GDB_REGISTER_MAX];
    s->target.get(s->target.opaque, s->general, &r);
    gdb_output_begin(&s->out);
    for (unsigned n = 0; n < gdb_registers_count(); n++) {
        gdb_register_get(&r, n, value);
        gdb_put_hex(&s->out, value, gdb_register_size(n));
    }
    gdb_finish(s);
}

void gdb_write_all(struct gdb_session *s, const char *p)
{
    struct debug_regs r;
    u8 value[GDB_REGISTER_MAX];
    bool good = true;
    s->target.get(s->target.opaque, s->general, &r);
    for (unsigned n = 0; good && n < gdb_registers_count(); n++)
        good = gdb_take_hex(&p, value, gdb_register_size(n)) && gdb_register_put(&r, n, value);
    good &= !*p;
    if (good)
        s->target.set(s->target.opaque, s->general, &r);
    gdb_answer_ok_or(s, good, GDB_BAD);
}

static bool take_register(const char **p, u64 *n)
{
    return gdb_take_number(p, n) && *n < gdb_registers_count();
}

void gdb_read_one(struct gdb_session *s, const char *p)
{
    struct debug_regs r;
    u8 value[GDB_REGISTER_MAX];
    u64 n;
    if (!take_register(&p, &n) || *p) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    s->target.get(s->target.opaque, s->general, &r);
    gdb_register_get(&r, (unsigned)n, value);
    gdb_output_begin(&s->out);
    gdb_put_hex(&s->out, value, gdb_register_size((unsigned)n));
    gdb_finish(s);
}

void gdb_write_one(struct gdb_session *s, const char *p)
{
    struct debug_regs r;
    u8 value[GDB_REGISTER_MAX];
    u64 n;
    bool good = take_register(&p, &n) && gdb_take_char(&p, '=') &&
                gdb_take_hex(&p, value, gdb_register_size((unsigned)n)) && !*p;
    if (good) {
        s->target.get(s->target.opaque, s->general, &r);
        good = gdb_register_put(&r, (unsigned)n, value);
    }
    if (good)
        s->target.set(s->target.opaque, s->general, &r);
    gdb_answer_ok_or(s, good, GDB_BAD);
}

/* ---- memory ---- */

void gdb_read_memory(struct gdb_session *s, const char *p)
{
    u64 at, len;
    if (!gdb_take_range(&p, &at, &len) || *p) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    if (len > GDB_PACKET_MAX / 2 - 1)
        len = GDB_PACKET_MAX / 2 - 1; /* gdb asks for the rest */
    size_t got = s->target.read(s->target.opaque, s->general, s->physical, at, s->buf, len);
    if (!got && len) {
        gdb_answer(s, GDB_FAULTS);
        return;
    }
    gdb_output_begin(&s->out);
    gdb_put_hex(&s->out, s->buf, got);
    gdb_finish(s);
}

static void write_bytes(struct gdb_session *s, u64 at, const void *bytes, u64 len)
{
    gdb_answer_ok_or(s, s->target.write(s->target.opaque, s->general, s->physical, at, bytes, len) == len,
                     GDB_FAULTS);
}

void gdb_write_hex(struct gdb_session *s, const char *p)
{
    u64 at, len;
    if (gdb_take_range(&p, &at, &len) && len <= sizeof(s->buf) && gdb_take_char(&p, ':') &&
        gdb_take_hex(&p, s->buf, len) && !*p)
        write_bytes(s, at, s->buf, len);
    else
        gdb_answer(s, GDB_BAD);
}

/* The bytes may be anything, zeroes too: what counts is how many there are. */
void gdb_write_binary(struct gdb_session *s, const char *p)
{
    u64 at, len;
    if (gdb_take_range(&p, &at, &len) && gdb_take_char(&p, ':') &&
        len == (size_t)((const char *)s->in.data + s->in.len - p))
        write_bytes(s, at, p, len);
    else
        gdb_answer(s, GDB_BAD);
}

/* ---- points ---- */

static unsigned find_point(const struct gdb_session *s, u8 type, const struct debug_point *p)
{
    unsigned i = 0;
    while (i < s->count &&
           !(s->types[i] == type && s->points[i].linear == p->linear && s->points[i].len == p->len))
        i++;
    return i;
}

/* Both are idempotent, as the manual asks. */
static bool change_point(struct gdb_session *s, bool insert, u8 type, const struct debug_point *p)
{
    unsigned i = find_point(s, type, p);
    if (insert == (i < s->count))
        return true;
    if (insert && s->count == POINTS_MAX)
        return false;
    if (insert) {
        s->types[s->count] = type;
        s->points[s->count++] = *p;
    } else {
        s->count--;
        s->types[i] = s->types[s->count];
        s->points[i] = s->points[s->count];
    }
    if (s->target.set_points(s->target.opaque, s->points, s->count))
        return true;
    if (insert)
        s->count--;
    return false;
}

void gdb_point(struct gdb_session *s, bool insert, const char *p)
{
    static const enum debug_kind kinds[] = {DEBUG_EXECUTE, DEBUG_EXECUTE, DEBUG_WRITE, DEBUG_READ,
                                            DEBUG_ACCESS};
    u64 at, len;
    u8 type = (u8)(*p - '0');
    if (type >= ARRAY_SIZE(kinds)) {
        gdb_answer(s, "");
        return;
    }
    p++;
    if (!gdb_take_char(&p, ',') || !gdb_take_range(&p, &at, &len) || *p || !len || len > WATCH_MAX) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    struct debug_point d = {kinds[type], at, type < 2 ? 1 : len};
    gdb_answer_ok_or(s, change_point(s, insert, type, &d), GDB_FULL);
}
