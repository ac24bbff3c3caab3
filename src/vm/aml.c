/* SPDX-License-Identifier: MIT */
/* AML encoding, ACPI 6.4 20.2 (objects) and 6.4 (resource descriptors). */
#include "vm/aml.h"

static void bytes(struct aml *a, const void *p, size_t n)
{
    if (a->failed || n > a->cap - a->len) {
        a->failed = true;
        return;
    }
    memcpy(a->data + a->len, p, n);
    a->len += n;
}

static void num(struct aml *a, u64 value, unsigned size)
{
    bytes(a, &value, size);
}

static void name_seg(struct aml *a, const char *name)
{
    char seg[4] = {'_', '_', '_', '_'};
    memcpy(seg, name, strnlen(name, 4));
    bytes(a, seg, 4);
}

void aml_close(struct aml *a, size_t open)
{
    /* PkgLength counts itself. ACPI 6.4 20.2.4 */
    size_t body = a->len - open;
    u8 enc[4];
    unsigned n = body + 1 < 0x40 ? 1 : body + 2 < 0x1000 ? 2 : 3;
    u64 total = body + n;
    if (n == 1) {
        enc[0] = total;
    } else {
        enc[0] = (n - 1) << 6 | (total & 0xf);
        for (unsigned i = 1; i < n; i++)
            enc[i] = total >> (4 + 8 * (i - 1));
    }
    if (a->failed || n > a->cap - a->len || total > 0xfffff) {
        a->failed = true;
        return;
    }
    memmove(a->data + open + n, a->data + open, body);
    memcpy(a->data + open, enc, n);
    a->len += n;
}

size_t aml_scope(struct aml *a, const char *path)
{
    num(a, 0x10, 1);
    size_t open = a->len;
    if (*path == '\\') {
        num(a, '\\', 1);
        path++;
    }
    name_seg(a, path);
    return open;
}

size_t aml_device(struct aml *a, const char *name)
{
    num(a, 0x825b, 2);
    size_t open = a->len;
    name_seg(a, name);
    return open;
}

size_t aml_package(struct aml *a, unsigned elements)
{
    num(a, 0x12, 1);
    size_t open = a->len;
    num(a, elements, 1);
    return open;
}

/* A buffer whose size is an integer of fixed width, so that closing can write it. */
size_t aml_resources(struct aml *a)
{
    aml_name(a, "_CRS");
    num(a, 0x11, 1);
    size_t open = a->len;
    num(a, 0x0b, 1);
    num(a, 0, 2);
    return open;
}

void aml_resources_end(struct aml *a, size_t open)
{
    num(a, 0x0079, 2); /* end tag, checksum not used */
    if (a->failed)
        return;
    store_le(a->data + open + 1, 2, a->len - (open + 3));
    aml_close(a, open);
}

void aml_name(struct aml *a, const char *name)
{
    num(a, 0x08, 1);
    name_seg(a, name);
}

void aml_int(struct aml *a, u64 value)
{
    if (value <= 1) {
        num(a, value, 1);
        return;
    }
    unsigned log2 = value <= 0xff ? 0 : value <= 0xffff ? 1 : value <= 0xffffffff ? 2 : 3;
    static const u8 prefix[] = {0x0a, 0x0b, 0x0c, 0x0e};
    num(a, prefix[log2], 1);
    num(a, value, 1u << log2);
}

void aml_string(struct aml *a, const char *text)
{
    num(a, 0x0d, 1);
    bytes(a, text, strlen(text) + 1);
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

void aml_eisa_id(struct aml *a, const char *id)
{
    u32 v = (u32)(id[0] & 0x1f) << 26 | (u32)(id[1] & 0x1f) << 21 | (u32)(id[2] & 0x1f) << 16;
    for (unsigned i = 0; i < 4; i++)
        v |= hex_digit(id[3 + i]) << (12 - 4 * i);
    num(a, 0x0c, 1);
    num(a, __builtin_bswap32(v), 4);
}

void aml_io(struct aml *a, u16 base, u8 len)
{
    num(a, 0x0147, 2); /* 16-bit decode */
    num(a, base, 2);
    num(a, base, 2);
    num(a, 1, 1);
    num(a, len, 1);
}

void aml_irq(struct aml *a, unsigned irq)
{
    num(a, 0x22, 1);
    num(a, 1u << irq, 2);
}

void aml_memory32(struct aml *a, u32 base, u32 size)
{
    num(a, 0x86, 1);
    num(a, 9, 2);
    num(a, 1, 1); /* read-write */
    num(a, base, 4);
    num(a, size, 4);
}

/* The common part of address space descriptors, ACPI 6.4 6.4.3.5: fixed minimum and maximum, positive decode.
 */
static void window(struct aml *a, u8 tag, enum aml_window type, unsigned width, u64 first, u64 size)
{
    static const u8 specific[] = {[AML_MEMORY] = 1, [AML_IO] = 3, [AML_BUS] = 0};
    num(a, tag, 1);
    num(a, 3 + 5 * width, 2);
    num(a, type, 1);
    num(a, 0x0c, 1);
    num(a, specific[type], 1);
    num(a, 0, width);
    num(a, first, width);
    num(a, first + size - 1, width);
    num(a, 0, width);
    num(a, size, width);
}

void aml_window16(struct aml *a, enum aml_window type, u16 first, u32 size)
{
    window(a, 0x88, type, 2, first, size);
}

void aml_window32(struct aml *a, u32 first, u32 size)
{
    window(a, 0x87, AML_MEMORY, 4, first, size);
}

void aml_window64(struct aml *a, u64 first, u64 size)
{
    window(a, 0x8a, AML_MEMORY, 8, first, size);
}
