/* SPDX-License-Identifier: MIT */
/* VMCS fields by encoding, and the page they live in. SDM 3C 24.11.2 (encodings), appendix B */
#include "cpu/nested/vmcs.h"

/* Encoding: bit 0 high half, 9:1 index, 11:10 type, 14:13 width; the rest must be 0. */
enum { WIDTH_16 = 0, WIDTH_64 = 1, WIDTH_32 = 2, WIDTH_NATURAL = 3 };

const u8 vmcs_index[VMCS_INDEX_SIZE] = {
#define VMCS_FIELD(name, encoding, group) [(encoding) / 2] = VMCS_##name + 1,
#include "x86/vmcs.def"
#undef VMCS_FIELD
};

const u8 vmcs_groups[VMCS_FIELDS] = {
#define VMCS_FIELD(name, encoding, group) [VMCS_##name] = GROUP_##group,
#include "x86/vmcs.def"
#undef VMCS_FIELD
};

static const u64 masks[VMCS_FIELDS] = {
#define VMCS_FIELD(name, encoding, group)                                                                    \
    [VMCS_##name] = ((encoding) >> 13 & 3) == WIDTH_16   ? 0xffff                                            \
                    : ((encoding) >> 13 & 3) == WIDTH_32 ? 0xffffffff                                        \
                                                         : ~0ull,
#include "x86/vmcs.def"
#undef VMCS_FIELD
};

static unsigned width(u64 encoding)
{
    return (unsigned)(encoding >> 13 & 3);
}

unsigned vmcs_width(int field)
{
    return masks[field] == 0xffff ? 2 : masks[field] == 0xffffffff ? 4 : 8;
}

void vmcs_trim(struct vmcs *v)
{
    for (unsigned i = 0; i < VMCS_FIELDS; i++)
        v->f[i] &= masks[i];
    v->dirty = GROUP_ALL;
}

void vmcs_load(struct vmcs *to, const struct vmcs *page)
{
    memcpy(to, page, sizeof(*to));
    vmcs_trim(to);
}

void vmcs_store(struct vmcs *page, const struct vmcs *from)
{
    page->launched = from->launched;
    memcpy(page->f, from->f, sizeof(page->f));
}

int vmcs_find(u64 encoding)
{
    if (encoding >= 2 * VMCS_INDEX_SIZE || ((encoding & 1) && width(encoding) != WIDTH_64))
        return -1;
    return vmcs_index[encoding / 2] - 1;
}

unsigned vmcs_highest_index(void)
{
    static const u16 all[] = {
#define VMCS_FIELD(name, encoding, group) encoding,
#include "x86/vmcs.def"
#undef VMCS_FIELD
    };
    unsigned max = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if ((all[i] >> 1 & 0x1ffu) > max)
            max = all[i] >> 1 & 0x1ffu;
    return max;
}

u64 vmcs_get(const struct vmcs *v, int field, u64 encoding)
{
    u64 x = v->f[field];
    switch (width(encoding)) {
    case WIDTH_16:
        return (u16)x;
    case WIDTH_32:
        return (u32)x;
    default:
        return encoding & 1 ? x >> 32 : x;
    }
}

void vmcs_put(struct vmcs *v, int field, u64 encoding, u64 value)
{
    u64 *x = &v->f[field];
    switch (width(encoding)) {
    case WIDTH_16:
        *x = (u16)value;
        return;
    case WIDTH_32:
        *x = (u32)value;
        return;
    default:
        *x = encoding & 1 ? (*x & 0xffffffff) | value << 32 : value;
    }
}

struct vmcs *vmcs_at(struct cpu *c, u64 gpa)
{
    u64 room;
    void *p = space_ram(c->memory, gpa, &room);
    return p && room >= VMCS_SIZE && !(gpa & (VMCS_SIZE - 1)) ? p : NULL;
}

void vmcs_written(struct cpu *c, u64 gpa)
{
    struct page_info *p = space_page(c->memory, gpa);
    if (p && __atomic_load_n(&p->watch, __ATOMIC_SEQ_CST))
        space_written(c->memory, gpa, VMCS_SIZE);
}
