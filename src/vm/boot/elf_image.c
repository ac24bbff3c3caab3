/* SPDX-License-Identifier: MIT */
/* ELF headers (System V ABI, chapters 4 and 5) of both classes, and Xen's PVH entry note. */
#include "vm/boot/elf_image.h"

#include <elf.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18

static struct elf_segment segment64(const Elf64_Phdr *p)
{
    return (struct elf_segment){p->p_type,   p->p_offset, p->p_vaddr, p->p_paddr,
                                p->p_filesz, p->p_memsz,  p->p_align};
}

static struct elf_segment segment32(const Elf32_Phdr *p)
{
    return (struct elf_segment){p->p_type,   p->p_offset, p->p_vaddr, p->p_paddr,
                                p->p_filesz, p->p_memsz,  p->p_align};
}

static int read_segments(const struct image *img, struct elf_image *elf, bool is64, u64 off,
                         unsigned entry_size, unsigned count, struct err *err)
{
    unsigned want = is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (entry_size != want)
        return image_bad(img, err, "damaged ELF header: program headers of a wrong size");
    if (count == 0 || count > ELF_SEGMENTS_MAX)
        return image_bad(img, err, "not a kernel: an ELF file with no or more than 64 program headers");
    if (off > img->size)
        return image_bad(img, err, "the file is cut short: its program headers lie past the end");
    for (unsigned i = 0; i < count; i++) {
        union {
            Elf64_Phdr p64;
            Elf32_Phdr p32;
        } p;
        if (image_read(img, off + (u64)i * want, &p, want, err))
            return -1;
        elf->segment[i] = is64 ? segment64(&p.p64) : segment32(&p.p32);
    }
    elf->count = count;
    return 0;
}

int elf_open(const struct image *img, struct elf_image *elf, bool *found, struct err *err)
{
    union {
        u8 ident[EI_NIDENT];
        Elf64_Ehdr e64;
        Elf32_Ehdr e32;
    } h = {0};
    *found = false;
    if (img->size < sizeof(h.e32))
        return 0;
    if (image_read(img, 0, &h, img->size < sizeof(h) ? sizeof(h.e32) : sizeof(h), err))
        return -1;
    if (memcmp(h.ident, ELFMAG, SELFMAG))
        return 0;
    *found = true;
    bool is64 = h.ident[EI_CLASS] == ELFCLASS64;
    if (is64 && img->size < sizeof(h.e64))
        return image_bad(img, err, "the file is cut short within its ELF header");
    if ((!is64 && h.ident[EI_CLASS] != ELFCLASS32) || h.ident[EI_DATA] != ELFDATA2LSB)
        return image_bad(img, err, "not a kernel for x86: big-endian or of an unknown ELF class");
    unsigned machine = is64 ? h.e64.e_machine : h.e32.e_machine;
    if (machine != EM_X86_64 && machine != EM_386)
        return image_bad(img, err, "a kernel for another processor; this machine is x86");
    elf->entry = is64 ? h.e64.e_entry : h.e32.e_entry;
    if (is64)
        return read_segments(img, elf, true, h.e64.e_phoff, h.e64.e_phentsize, h.e64.e_phnum, err);
    return read_segments(img, elf, false, h.e32.e_phoff, h.e32.e_phentsize, h.e32.e_phnum, err);
}

int elf_load(const struct elf_image *elf, const struct image *img, struct boot_room *r, struct err *err)
{
    bool any = false;
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segment[i];
        if (s->type != PT_LOAD || s->mem_size == 0)
            continue;
        if (s->file_size > s->mem_size)
            return image_bad(img, err, "damaged ELF header: a segment is larger in the file than in memory");
        if (room_claim(r, img, s->paddr, s->mem_size, err) ||
            room_load(r, img, s->offset, s->paddr, s->file_size, err))
            return -1;
        any = true;
    }
    return any ? 0 : image_bad(img, err, "not a kernel: an ELF file with nothing to load");
}

u64 elf_physical_entry(const struct elf_image *elf)
{
    for (unsigned i = 0; i < elf->count; i++) {
        const struct elf_segment *s = &elf->segment[i];
        if (s->type == PT_LOAD && elf->entry >= s->vaddr && elf->entry - s->vaddr < s->mem_size)
            return s->paddr + (elf->entry - s->vaddr);
    }
    return elf->entry;
}

/* One PT_NOTE's bytes: {name size, desc size, type, name, desc}, parts padded to the segment's alignment (4
 * or 8). */
static bool find_note(const u8 *p, size_t len, u64 alignment, u32 *entry)
{
    u64 pad = alignment == 8 ? 8 : 4;
    while (len >= 12) {
        u64 name = load_le(p, 4), desc = load_le(p + 4, 4), type = load_le(p + 8, 4);
        u64 desc_at = ALIGN_UP(12 + name, pad), end = ALIGN_UP(desc_at + desc, pad);
        if (desc_at + desc > len)
            return false;
        if (type == XEN_ELFNOTE_PHYS32_ENTRY && name == 4 && memcmp(p + 12, "Xen", 4) == 0 && desc >= 4) {
            *entry = (u32)load_le(p + desc_at, 4);
            return true;
        }
        if (end >= len)
            return false;
        p += end;
        len -= end;
    }
    return false;
}

int elf_pvh_entry(const struct elf_image *elf, const struct image *img, u32 *entry, bool *found,
                  struct err *err)
{
    u8 notes[64 * KIB]; /* what lies further in a note segment is not looked at */
    *found = false;
    for (unsigned i = 0; i < elf->count && !*found; i++) {
        const struct elf_segment *s = &elf->segment[i];
        if (s->type != PT_NOTE)
            continue;
        size_t n = s->file_size < sizeof(notes) ? s->file_size : sizeof(notes);
        if (image_read(img, s->offset, notes, n, err))
            return -1;
        *found = find_note(notes, n, s->alignment, entry);
    }
    return 0;
}
