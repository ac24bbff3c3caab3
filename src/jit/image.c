/* SPDX-License-Identifier: MIT */
/*
 * An ELF image of translated code: see the header. System V ABI, chapter 4; its AMD64 supplement 3.6.2 (the
 * numbers of registers); DWARF 4, 6.4 and 7.23.
 *
 * Places in the file do not move while it grows: headers, names of sections, .debug_frame, room for symbols,
 * room for their names.
 */
#include "jit/image.h"

#include <stdio.h>

#include "jit/runtime.h"

#include <elf.h> /* last: its PF_* macros are names in x86/flags.h */

enum { TEXT = 1, SYMBOLS, NAMES, SECTION_NAMES, FRAMES, SECTIONS };
enum { FRAMES_AT = 512, SYMBOLS_AT = 8192 };

static const char section_names[] = "\0.text\0.symtab\0.strtab\0.shstrtab\0.debug_frame";
enum { SECTION_NAMES_AT = sizeof(Elf64_Ehdr) + SECTIONS * sizeof(Elf64_Shdr) };
_Static_assert(SECTION_NAMES_AT + sizeof(section_names) <= FRAMES_AT, "headers and names have room");

static size_t names_at(unsigned most)
{
    return SYMBOLS_AT + (most + 1) * sizeof(Elf64_Sym);
}

size_t jit_image_size(unsigned symbols)
{
    return names_at(symbols) + 1 + symbols * JIT_IMAGE_NAME;
}

static Elf64_Shdr *section(const struct jit_image *m, unsigned n)
{
    return (Elf64_Shdr *)(m->file + sizeof(Elf64_Ehdr)) + n;
}

/* ---- .debug_frame ---- */

enum {
    DW_CFA_nop = 0x00,
    DW_CFA_advance_loc4 = 0x04,
    DW_CFA_undefined = 0x07,
    DW_CFA_def_cfa = 0x0c,
    DW_CFA_def_cfa_offset = 0x0e,
    DW_CFA_offset = 0x80,
};
enum { DWARF_RSP = 7, DWARF_RETURN = 16, DWARF_SLOT = -8 /* a register on the stack */ };

static unsigned dwarf_of(enum host_reg r)
{
    static const u8 number[] = {[H_RAX] = 0, [H_RDX] = 1, [H_RCX] = 2, [H_RBX] = 3,
                                [H_RSI] = 4, [H_RDI] = 5, [H_RBP] = 6, [H_RSP] = DWARF_RSP};
    return r < H_R8 ? number[r] : r;
}

static void emit_uleb(struct emit *e, u32 v)
{
    for (; v >= 0x80; v >>= 7)
        emit8(e, (u8)(v | 0x80));
    emit8(e, (u8)v);
}

/* The length of what began at `at`, filled up. */
static void end_entry(struct emit *e, size_t at)
{
    while (e->len % 8)
        emit8(e, DW_CFA_nop);
    store_le(e->buf + at, 4, e->len - at - 4);
}

static size_t emit_cie(struct emit *e, enum jit_kept kept)
{
    size_t at = e->len;
    emit32(e, 0);
    emit32(e, 0xffffffff);
    emit8(e, 1); /* version */
    emit8(e, 0); /* no augmentation */
    emit_uleb(e, 1);
    emit8(e, DWARF_SLOT & 0x7f);
    emit_uleb(e, DWARF_RETURN);
    emit8(e, DW_CFA_def_cfa);
    emit_uleb(e, DWARF_RSP);
    emit_uleb(e, 8);
    emit8(e, DW_CFA_offset | DWARF_RETURN);
    emit_uleb(e, 1);
    for (unsigned i = 0; kept == JIT_KEPT_SAVED && i < ARRAY_SIZE(saved_regs); i++) {
        emit8(e, (u8)(DW_CFA_offset | dwarf_of(saved_regs[i])));
        emit_uleb(e, i + 2);
    }
    for (enum host_reg r = H_RAX; kept == JIT_KEPT_LOST && r < H_NONE; r++)
        if (r != H_RSP) {
            emit8(e, DW_CFA_undefined);
            emit_uleb(e, dwarf_of(r));
        }
    end_entry(e, at);
    return at;
}

/* Of as many rows as keep registers the same way; how many. Its range is that up to the next, or not known
 * yet. */
static unsigned emit_fde(struct jit_image *m, struct emit *e, const struct jit_unwind *row, unsigned rows,
                         size_t cie)
{
    size_t at = e->len;
    unsigned n = 0;
    emit32(e, 0);
    emit32(e, (u32)cie);
    emit64(e, m->covers = m->start + row->at);
    m->range = FRAMES_AT + e->len;
    emit64(e, 0);
    do {
        if (n) {
            emit8(e, DW_CFA_advance_loc4);
            emit32(e, row[n].at - row[n - 1].at);
        }
        emit8(e, DW_CFA_def_cfa_offset);
        emit_uleb(e, row[n].caller);
    } while (++n < rows && row[n].kept == row->kept);
    if (n < rows)
        store_le(m->file + m->range, 8, row[n].at - row->at);
    end_entry(e, at);
    return n;
}

static size_t write_frames(struct jit_image *m, const struct jit_unwind *row, unsigned rows)
{
    struct emit e = {.buf = m->file + FRAMES_AT, .cap = SYMBOLS_AT - FRAMES_AT};
    size_t cie[] = {emit_cie(&e, JIT_KEPT_THERE), emit_cie(&e, JIT_KEPT_SAVED), emit_cie(&e, JIT_KEPT_LOST)};
    for (unsigned i = 0; i < rows;)
        i += emit_fde(m, &e, row + i, rows - i, cie[row[i].kept]);
    bug_on(e.overflow, "%u rows of unwinding do not fit", rows);
    return e.len;
}

/* ---- the rest ---- */

static void write_header(u8 *file)
{
    const Elf64_Ehdr h = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE},
        .e_type = ET_REL, /* others need program headers */
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_shoff = sizeof(h),
        .e_ehsize = sizeof(h),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTIONS,
        .e_shstrndx = SECTION_NAMES,
    };
    memcpy(file, &h, sizeof(h));
    memcpy(file + SECTION_NAMES_AT, section_names, sizeof(section_names));
}

static u32 name_of_section(const char *name)
{
    const char *p = section_names + 1;
    while (strcmp(p, name))
        p += strlen(p) + 1;
    return (u32)(p - section_names);
}

static void write_sections(struct jit_image *m, size_t frames)
{
    *section(m, TEXT) = (Elf64_Shdr){.sh_name = name_of_section(".text"),
                                     .sh_type = SHT_NOBITS,
                                     .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                     .sh_addr = m->start,
                                     .sh_addralign = 1};
    *section(m, SYMBOLS) = (Elf64_Shdr){.sh_name = name_of_section(".symtab"),
                                        .sh_type = SHT_SYMTAB,
                                        .sh_offset = SYMBOLS_AT,
                                        .sh_link = NAMES,
                                        .sh_info = 1, /* the first that is not local */
                                        .sh_addralign = 8,
                                        .sh_entsize = sizeof(Elf64_Sym)};
    *section(m, NAMES) = (Elf64_Shdr){.sh_name = name_of_section(".strtab"),
                                      .sh_type = SHT_STRTAB,
                                      .sh_offset = names_at(m->most),
                                      .sh_addralign = 1};
    *section(m, SECTION_NAMES) = (Elf64_Shdr){.sh_name = name_of_section(".shstrtab"),
                                              .sh_type = SHT_STRTAB,
                                              .sh_offset = SECTION_NAMES_AT,
                                              .sh_size = sizeof(section_names),
                                              .sh_addralign = 1};
    *section(m, FRAMES) = (Elf64_Shdr){.sh_name = name_of_section(".debug_frame"),
                                       .sh_type = SHT_PROGBITS,
                                       .sh_offset = FRAMES_AT,
                                       .sh_size = frames,
                                       .sh_addralign = 8};
}

/* What follows from how much is in it. */
static void write_sizes(struct jit_image *m)
{
    section(m, TEXT)->sh_size = m->end - m->start;
    section(m, SYMBOLS)->sh_size = (m->symbols + 1) * sizeof(Elf64_Sym);
    section(m, NAMES)->sh_size = m->names;
    store_le(m->file + m->range, 8, m->end - m->covers);
}

void jit_image_begin(struct jit_image *m, void *memory, unsigned most, const void *start,
                     const struct jit_unwind *row, unsigned rows)
{
    *m = (struct jit_image){.file = memory, .most = most, .names = 1};
    m->start = m->end = (u64)start;
    write_header(m->file);
    write_sections(m, write_frames(m, row, rows));
    write_sizes(m);
}

bool jit_image_add(struct jit_image *m, const void *code, size_t len, const char *name)
{
    if (m->symbols == m->most)
        return false;
    char *to = (char *)m->file + names_at(m->most) + m->names;
    Elf64_Sym *symbol = (Elf64_Sym *)(m->file + SYMBOLS_AT) + ++m->symbols;
    *symbol = (Elf64_Sym){.st_name = (u32)m->names,
                          .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                          .st_shndx = TEXT,
                          .st_value = (u64)code - m->start, /* ET_REL: within its section */
                          .st_size = len};
    m->names += 1 + (size_t)snprintf(to, JIT_IMAGE_NAME, "%.*s", JIT_IMAGE_NAME - 1, name);
    m->end = (u64)code + len;
    write_sizes(m);
    return true;
}

bool jit_image_append(struct jit_image *m, const struct jit_image *other)
{
    const char *names = (const char *)other->file + names_at(other->most);
    for (unsigned i = 1; i <= other->symbols; i++) {
        const Elf64_Sym *s = (const Elf64_Sym *)(other->file + SYMBOLS_AT) + i;
        if (!jit_image_add(m, (const u8 *)(other->start + s->st_value), s->st_size, names + s->st_name))
            return false;
    }
    return true;
}
