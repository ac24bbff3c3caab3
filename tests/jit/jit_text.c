/* SPDX-License-Identifier: MIT */
/*
 * jit_text FILE... [--update]: the host code of blocks of guest bytes, beside what the files expect.
 *
 * A file is paragraphs. Each begins with a comment and `code HEX...`, the block's bytes; what follows is what
 * the translator makes of them, as --trace jit shows it, with names for addresses that differ from run to
 * run. A trace is instead `at OFFSET HEX...`, bytes from there on in two pages, and `blocks OFFSET...`, where
 * those begin that it was recorded from, and what came after the last one. A difference is printed and
 * ends the program with status 1; --update writes the files anew.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/meanings.h"
#include "cpu/nested/vmcs.h"
#include "jit/translate.h"
#include "jit/watch.h"

enum { PAGE_OFFSET = 0x100, PAGES = 2, BASE = 0x100000, TEXT_MAX = 1 << 20 };
#define RIP 0x400000

/* One block or trace with all that its code may point to. */
static struct {
    u8 page[PAGES * PAGE_SIZE];
    struct page_info info[PAGES];
    struct jit_site site[TRACE_MAX];
    struct jit_exit exit[TRACE_EXITS];
    struct translation t;
    struct trace trace;
    u64 place[(sizeof(struct block) + BLOCK_MAX * sizeof(struct uop)) / 8 + 1];
} * w;

/* Routines lie where no offset of code does. */
#define ROUTINES(DO)                                                                                         \
    DO(call, 0x20)                                                                                           \
    DO(call_last, 0x30)                                                                                      \
    DO(leave_at, 0x40)                                                                                       \
    DO(leave_chain, 0x50)                                                                                    \
    DO(leave_trace, 0x58)                                                                                    \
    DO(slice, 0x60)                                                                                          \
    DO(lookup, 0x70)                                                                                         \
    DO(link, 0x78)                                                                                           \
    DO(stack, 0x80)                                                                                          \
    DO(refill[0][0], 0x81)                                                                                   \
    DO(refill[0][1], 0x82)                                                                                   \
    DO(refill[0][2], 0x83)                                                                                   \
    DO(refill[0][3], 0x84)                                                                                   \
    DO(refill[0][4], 0x85)                                                                                   \
    DO(refill[0][5], 0x86)                                                                                   \
    DO(refill[1][0], 0x87)                                                                                   \
    DO(refill[1][1], 0x88)                                                                                   \
    DO(refill[1][2], 0x89)                                                                                   \
    DO(refill[1][3], 0x8a)                                                                                   \
    DO(refill[1][4], 0x8b)                                                                                   \
    DO(refill[1][5], 0x8c)                                                                                   \
    DO(refill[0][6], 0x120)                                                                                  \
    DO(refill[0][7], 0x121)                                                                                  \
    DO(refill[0][8], 0x122)                                                                                  \
    DO(refill[0][9], 0x123)                                                                                  \
    DO(refill[1][6], 0x124)                                                                                  \
    DO(refill[1][7], 0x125)                                                                                  \
    DO(refill[1][8], 0x126)                                                                                  \
    DO(refill[1][9], 0x127)                                                                                  \
    DO(load_xmm, 0x90)                                                                                       \
    DO(load_ymm, 0xa0)                                                                                       \
    DO(load_x87, 0xb0)                                                                                       \
    DO(vec_again, 0xc0)                                                                                      \
    DO(open_slot, 0xd0)                                                                                      \
    DO(syscall, 0xe0)                                                                                        \
    DO(sysret, 0xf0)                                                                                         \
    DO(stac, 0x100)                                                                                          \
    DO(clac, 0x110)

static u16 next_slot[JIT_SLOT_KINDS];
static const struct jit_runtime runtime = {.next_slot = next_slot,
#define DO(name, at) .name = at,
                                           ROUTINES(DO)
#undef DO
};

static bool name_of(void *opaque, u64 value, char *name, size_t cap)
{
    static const struct {
        const char *name;
        u32 at;
    } routines[] = {
#define DO(name, at) {#name, at},
        ROUTINES(DO)
#undef DO
    };
    for (unsigned i = 0; i < ARRAY_SIZE(routines); i++)
        if (value == (u64)routines[i].at - BASE)
            return snprintf(name, cap, "%s", routines[i].name) > 0;
    const struct {
        const char *name;
        const void *at;
        size_t size, each;
        bool down;
    } data[] = {{"site", w->site, sizeof(w->site), sizeof(w->site[0]), false},
                {"exit", w->exit, sizeof(w->exit), sizeof(w->exit[0]), true},
                {"page", w->page, sizeof(w->page), PAGE_SIZE, false},
                {"page_info", w->info, sizeof(w->info), sizeof(w->info[0]), false},
                {"vmcs_index", vmcs_index, sizeof(vmcs_index), 1, false}};
    for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
        u64 off = value - (u64)data[i].at;
        size_t n = off / data[i].each, last = data[i].size / data[i].each - 1;
        if (off < data[i].size)
            return snprintf(name, cap, "%s[%zu]+%zu", data[i].name, data[i].down ? last - n : n,
                            (size_t)off % data[i].each) > 0;
    }
    return false;
}

static bool ends(const struct insn *in)
{
    return insn_infos[in->id].attr & (ATTR_BRANCH | ATTR_END);
}

/* The block at an offset, of at most len bytes. */
static struct block *decode(unsigned from, unsigned len)
{
    struct block *b = (struct block *)w->place;
    u8 *at = w->page + from;
    *b = (struct block){.host = at, .page = &w->info[from / PAGE_SIZE], .version = 1, .mode = MODE_64};
    while (b->bytes < len && b->count < BLOCK_MAX) {
        struct uop *u = &b->uop[b->count++];
        if (insn_decode(MODE_64, at + b->bytes, len - b->bytes, &u->in) != DECODE_OK)
            return NULL;
        const struct meaning *m = insn_meaning[u->in.id];
        u->fn = (u->in.flags & INSN_MEM ? m->mem : m->reg)[__builtin_ctz(u->in.size) & 3];
        b->bytes += u->in.len;
    }
    return b;
}

/* As the processor cuts them: up to a jump or the page's end, and an instruction across that by itself. */
static struct block *decode_next(unsigned from)
{
    struct insn in;
    unsigned end = from, left = PAGE_SIZE - from % PAGE_SIZE;
    do {
        if (insn_decode(MODE_64, w->page + end, sizeof(w->page) - end, &in) != DECODE_OK)
            return NULL;
        if (end > from && end - from + in.len > left)
            break;
        end += in.len;
    } while (!ends(&in) && end - from < left);
    struct block *b = decode(from, end - from);
    if (b && end - from > left) {
        b->host2 = w->page + PAGE_SIZE;
        b->page2 = &w->info[1];
        b->version2 = 1;
    }
    return b;
}

static bool write_code(const struct block *b, const struct trace *trace, u64 rip, FILE *out)
{
    memset(next_slot, 0, sizeof(next_slot));
    if (!b || !translate(b, trace, w->site, w->exit + TRACE_EXITS, &runtime, BASE, &w->t))
        return false;
    struct jit_view v = {.block = b,
                         .rip = rip,
                         .code = w->t.code,
                         .len = w->t.len,
                         .at = w->t.at,
                         .trace = trace,
                         .native = w->t.native,
                         .called = w->t.called};
    jit_show(&v, name_of, NULL, out);
    return true;
}

/* The bytes in a line's rest, to an offset on; how many. */
static unsigned read_bytes(const char *line, unsigned offset)
{
    unsigned n = 0, byte;
    int used;
    for (; offset + n < sizeof(w->page) && *line == ' ' && sscanf(line, " %2x%n", &byte, &used) == 1;
         line += used)
        w->page[offset + n++] = (u8)byte;
    return n;
}

static bool write_block(const char *line, FILE *out)
{
    return write_code(decode(PAGE_OFFSET, read_bytes(line, PAGE_OFFSET)), NULL, RIP + PAGE_OFFSET, out);
}

static void read_at(const char *line)
{
    char *bytes;
    unsigned offset = (unsigned)strtoul(line, &bytes, 16);
    read_bytes(bytes, offset);
}

static bool record(unsigned offset, bool first)
{
    const struct block *b = offset < sizeof(w->page) ? decode_next(offset) : NULL;
    return b && (first ? trace_begin(&w->trace, b, RIP + offset) : trace_add(&w->trace, b, RIP + offset));
}

static bool write_trace(const char *line, FILE *out)
{
    unsigned offset;
    int used;
    bool on = true, first = true;
    for (; on && *line == ' ' && sscanf(line, " %x%n", &offset, &used) == 1; line += used) {
        on = record(offset, first);
        first = false;
    }
    /* The last one has ended it. */
    return !on && *line == '\n' && trace_pays(&w->trace) &&
           write_code(trace_block(&w->trace), &w->trace, w->trace.rip, out);
}

static char *read_file(const char *path)
{
    static char text[TEXT_MAX];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    return f ? text : NULL;
}

static bool begins(const char *line, const char *word)
{
    return !strncmp(line, word, strlen(word));
}

/* What the file should be: comments and guest code as they are, the rest made anew. */
static bool expected(const char *text, const char *path, FILE *out)
{
    bool made = false;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        bool block = begins(line, "code "), trace = begins(line, "blocks ");
        if (line[0] == '#' && made)
            fputc('\n', out);
        if (line[0] == '#' || block || trace || begins(line, "at ")) {
            made = false;
            fprintf(out, "%.*s\n", (int)len, line);
        }
        if (begins(line, "at "))
            read_at(line + 3);
        if ((block && !(made = write_block(line + 4, out))) ||
            (trace && !(made = write_trace(line + 6, out)))) {
            fprintf(stderr, "%s: no code: %.*s\n", path, (int)len, line);
            return false;
        }
        line += len + (line[len] == '\n');
    }
    return true;
}

static void print_difference(const char *path, const char *old, const char *new)
{
    size_t i = 0;
    while (old[i] && old[i] == new[i])
        i++;
    while (i && old[i - 1] != '\n')
        i--;
    printf("%s differs first at\n- %.*s\n+ %.*s\n", path, (int)strcspn(old + i, "\n"), old + i,
           (int)strcspn(new + i, "\n"), new + i);
}

static int do_file(const char *path, bool update)
{
    char *old = read_file(path), *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!old || !out || !expected(old, path, out)) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    fclose(out);
    bool same = !strcmp(old, text);
    if (!same && !update) {
        print_difference(path, old, text);
        printf("If that is meant: build/tests/jit_text tests/jit/*.txt --update, and look at the diff\n");
    }
    FILE *f = !same && update ? fopen(path, "w") : NULL;
    if (f)
        fputs(text, f), fclose(f);
    free(text);
    return !same && !f;
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && !strcmp(argv[argc - 1], "--update");
    int status = 0;
    w = aligned_alloc(PAGE_SIZE, ALIGN_UP(sizeof(*w), PAGE_SIZE));
    memset(w, 0, sizeof(*w));
    for (int i = 1; i < argc - update; i++)
        status |= do_file(argv[i], update);
    return argc > 1 ? status : 2;
}
