/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's cache of translated blocks. Keyed like decoded blocks: by place in host memory, decoding mode and
 * the page's code version. A block is translated when it has been run HOT times. When code memory or the
 * table of copied instructions is full, everything is forgotten at once, never while translated code is on
 * the stack.
 */
#include "jit/jit.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/exec_pages.h"
#include "cpu/jit_port.h"
#include "jit/translate.h"

#define CODE_SIZE  (8 * MIB)
#define UOPS_SIZE  (6 * MIB)
#define TABLE_BITS 14
#define HOT        4

struct place {
    const u8 *host;
    u32 version;
    u16 runs;
    u8 mode;
    jit_code code;
    const struct uop *uops;
};

struct jit {
    struct exec_pages pages;
    u8 *uops; /* copies of the instructions that translated code hands to meanings */
    size_t uops_used;
    struct jit_stats stats;
    struct translation scratch;
    struct place table[1u << TABLE_BITS];
};

static void forget_all(struct jit *j)
{
    memset(j->table, 0, sizeof(j->table));
    j->pages.used = 0;
    j->uops_used = 0;
    j->stats.resets++;
}

static struct place *place_of(struct jit *j, const u8 *host)
{
    return &j->table[((u64)host * 0x9e3779b97f4a7c15ull) >> (64 - TABLE_BITS)];
}

static bool make(struct jit *j, struct place *p, const struct block *b)
{
    size_t size = b->count * sizeof(struct uop);
    if (j->uops_used + size > UOPS_SIZE || j->pages.used + TRANSLATE_MAX > CODE_SIZE)
        forget_all(j);
    struct uop *copy = (struct uop *)(j->uops + j->uops_used);
    memcpy(copy, b->uop, size);
    if (!translate(copy, b->count, &j->scratch))
        return false;
    void *code = exec_pages_add(&j->pages, j->scratch.code, j->scratch.len);
    if (!code)
        return false;
    j->uops_used += size;
    j->stats.blocks++;
    j->stats.native += j->scratch.native;
    j->stats.called += j->scratch.called;
    *p = (struct place){.host = b->host,
                        .version = b->version,
                        .mode = b->mode,
                        .code = (jit_code)(uintptr_t)code,
                        .uops = copy};
    return true;
}

/* Retirement and RIP as the interpreter's run_block() leaves them. */
static enum outcome account(struct cpu *c, const struct place *p, struct jit_end end, unsigned count)
{
    enum outcome o = (enum outcome)end.outcome;
    bool dirty = c->code_dirty;
    c->code_dirty = 0;
    if (end.index == count) {
        c->retired += count;
        return DONE;
    }
    c->retired += end.index + (o != FAULT && o != AGAIN);
    if (o == DONE) {
        bug_on(!dirty, "translated code left at %llu of %u for no reason", (unsigned long long)end.index,
               count);
        c->rip = c->regs[REG_RIP];
        return DONE;
    }
    return cpu_settle(c, &p->uops[end.index].in, o);
}

static bool run(struct cpu *c, const struct block *b, enum outcome *o)
{
    struct jit *j = c->jit_state;
    if ((b->mode & CODE_MODE_MASK) != MODE_64)
        return false;
    struct place *p = place_of(j, b->host);
    if (p->host != b->host || p->version != b->version || p->mode != b->mode) {
        *p = (struct place){.host = b->host, .version = b->version, .mode = b->mode, .runs = 1};
        return false;
    }
    if (!p->code) {
        if (++p->runs < HOT || !make(j, p, b))
            return false;
    }
    *o = account(c, p, p->code(c), b->count);
    return true;
}

static const struct jit_port port = {.run = run};

int jit_attach(struct cpu *c, struct err *err)
{
    struct jit *j = mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *uops =
        mmap(NULL, UOPS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (j == MAP_FAILED || uops == MAP_FAILED || exec_pages_create(&j->pages, CODE_SIZE, err) < 0) {
        if (j != MAP_FAILED)
            munmap(j, sizeof(*j));
        if (uops != MAP_FAILED)
            munmap(uops, UOPS_SIZE);
        return err_set(err, EXIT_STATUS_HOST, "no memory for the translator: use --engine soft,jit=off");
    }
    j->uops = uops;
    c->jit_state = j;
    c->jit = &port;
    return 0;
}

void jit_detach(struct cpu *c)
{
    struct jit *j = c->jit_state;
    if (!j)
        return;
    c->jit = NULL;
    c->jit_state = NULL;
    exec_pages_destroy(&j->pages);
    munmap(j->uops, UOPS_SIZE);
    munmap(j, sizeof(*j));
}

void jit_stats(const struct cpu *c, struct jit_stats *s)
{
    const struct jit *j = c->jit_state;
    *s = j ? j->stats : (struct jit_stats){0};
}
