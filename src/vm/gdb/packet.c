/* SPDX-License-Identifier: MIT */
/* Packets: see the header. Run-length encoding is neither expected (gdb sends none) nor used. */
#include "vm/gdb/packet.h"

enum { OUTSIDE, INSIDE, SUM };

static int digit(u8 c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void begin(struct gdb_input *in)
{
    in->len = 0;
    in->sum = 0;
    in->escaped = in->damaged = false;
    in->state = INSIDE;
}

static void store(struct gdb_input *in, u8 byte)
{
    if (in->len < GDB_PACKET_MAX)
        in->data[in->len++] = byte;
    else
        in->damaged = true;
}

static enum gdb_event inside(struct gdb_input *in, u8 byte)
{
    if (byte == '$') { /* the rest of the one before is lost */
        begin(in);
        return GDB_MORE;
    }
    if (byte == '#') {
        in->state = SUM;
        in->digits = 0;
        return GDB_MORE;
    }
    in->sum = (u8)(in->sum + byte);
    if (byte == '}' && !in->escaped) {
        in->escaped = true;
        return GDB_MORE;
    }
    store(in, in->escaped ? byte ^ 0x20 : byte);
    in->escaped = false;
    return GDB_MORE;
}

/* Both digits come off the sum: it is 0 when they were right. */
static enum gdb_event sum(struct gdb_input *in, u8 byte)
{
    int d = digit(byte);
    if (d < 0)
        in->damaged = true;
    else
        in->sum = (u8)(in->sum - (in->digits ? d : d << 4));
    if (!in->digits++)
        return GDB_MORE;
    in->state = OUTSIDE;
    in->data[in->len] = 0;
    return in->sum || in->damaged || in->escaped ? GDB_DAMAGED : GDB_PACKET;
}

enum gdb_event gdb_input_byte(struct gdb_input *in, u8 byte)
{
    if (in->state == INSIDE)
        return inside(in, byte);
    if (in->state == SUM)
        return sum(in, byte);
    switch (byte) {
    case '$':
        begin(in);
        return GDB_MORE;
    case '+':
        return GDB_ACK;
    case '-':
        return GDB_NACK;
    case 3:
        return GDB_INTERRUPT;
    default:
        return GDB_MORE;
    }
}

/* ---- writing ---- */

void gdb_output_begin(struct gdb_output *o)
{
    o->data[0] = '$';
    o->len = 1;
    o->overflow = false;
}

size_t gdb_output_room(const struct gdb_output *o)
{
    return GDB_PACKET_MAX + 1 - o->len;
}

static void put(struct gdb_output *o, u8 byte)
{
    if (gdb_output_room(o))
        o->data[o->len++] = byte;
    else
        o->overflow = true;
}

void gdb_put_text(struct gdb_output *o, const char *text)
{
    while (*text)
        put(o, (u8)*text++);
}

static const char digits[] = "0123456789abcdef";

void gdb_put_number(struct gdb_output *o, u64 v)
{
    int shift = 60;
    while (shift && !(v >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put(o, (u8)digits[v >> shift & 15]);
}

void gdb_put_hex(struct gdb_output *o, const void *bytes, size_t len)
{
    for (const u8 *p = bytes; len; len--, p++) {
        put(o, (u8)digits[*p >> 4]);
        put(o, (u8)digits[*p & 15]);
    }
}

void gdb_put_binary(struct gdb_output *o, const void *bytes, size_t len)
{
    for (const u8 *p = bytes; len; len--, p++) {
        bool special = *p == '$' || *p == '#' || *p == '}' || *p == '*';
        if (special)
            put(o, '}');
        put(o, special ? *p ^ 0x20 : *p);
    }
}

void gdb_output_end(struct gdb_output *o)
{
    u8 total = 0;
    if (o->overflow) {
        gdb_output_begin(o);
        gdb_put_text(o, "E01");
    }
    for (size_t i = 1; i < o->len; i++)
        total = (u8)(total + o->data[i]);
    o->data[o->len++] = '#';
    o->data[o->len++] = (u8)digits[total >> 4];
    o->data[o->len++] = (u8)digits[total & 15];
}

/* ---- reading ---- */

bool gdb_take_number(const char **p, u64 *v)
{
    unsigned n = 0;
    *v = 0;
    for (int d; (d = digit((u8) * *p)) >= 0; (*p)++, n++) {
        if (n == 16)
            return false;
        *v = *v << 4 | (u64)d;
    }
    return n != 0;
}

bool gdb_take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

bool gdb_take_range(const char **p, u64 *at, u64 *len)
{
    return gdb_take_number(p, at) && gdb_take_char(p, ',') && gdb_take_number(p, len);
}

bool gdb_take_hex(const char **p, void *bytes, size_t len)
{
    for (u8 *to = bytes; len; len--, *p += 2) {
        int high = digit((u8)(*p)[0]), low = high < 0 ? -1 : digit((u8)(*p)[1]);
        if (low < 0)
            return false;
        *to++ = (u8)(high << 4 | low);
    }
    return true;
}

const char *gdb_after(const char *p, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(p, prefix, n) == 0 ? p + n : NULL;
}
