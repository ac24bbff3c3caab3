/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's cache of translated blocks and the way into it.
 *
 * A block is found by its place in host memory, root and non-root operation apart. It is translated when it
 * has been run HOT times. When its page's code version changes its entries are shut (shut()), before
 * translated code runs again on this vCPU: at the latest JIT_SLICE instructions and at once behind an
 * instruction that serializes. Translated code goes on from block to block by itself and comes back when a
 * place is not translated, something is asked of the vCPU, its budget ends, or an instruction's outcome is
 * for the interpreter's loop. When code memory or the tables are full, everything is forgotten at once, never
 * while translated code is on the stack.
 */
#include "jit/jit.h"

#include <sys/mman.h>

#include "base/exec_pages.h"
#include "cpu/jit_port.h"
#include "cpu/mmu.h"
#include "jit/emit.h"
#include "jit/translate.h"

#define CODE_SIZE   (32 * MIB)
#define UNITS_SIZE  (32 * MIB)
#define CHAOS_SIZE  (2 * MIB)
#define HEAT_BITS   12
#define HEAT_WAYS   4
#define BUCKET_BITS 15
#define PAGE_BITS   12
#define HOT         8
#define BUDGET_MOST (1ull << 62)

/* What C knows of a translated block; its sites stand behind it. */
struct jit_block {
    const u8 *host, *host2;      /* as in struct block */
    struct jit_block *next;      /* in its bucket */
    struct jit_block *next_page; /* in its page's bucket */
    const struct page_info *page;
    u32 version, version2;
    u32 far, known, near, body, refuse; /* as in struct translation, in the code cache */
    u8 mode, count;
    struct jit_exit exit[EXITS_MAX];
    struct jit_site site[];
};

/* How often a block was interpreted. */
struct heat {
    const u8 *host;
    u32 version;
    u16 runs;
    u8 mode;
};

struct jit {
    struct exec_pages pages;
    struct jit_runtime rt;
    size_t first; /* of pages: behind the runtime */
    u8 *units;
    size_t units_used;
    bool single; /* jit_run_block(): nothing follows the block */
    struct jit_stats stats;
    struct jit_options options;
    unsigned vcpu;
    u8 image[512] __attribute__((aligned(64)));
    struct translation scratch;
    struct heat heat[1u << HEAT_BITS][HEAT_WAYS]; /* the latest first */
    struct jit_block
        *bucket[1u << BUCKET_BITS];          /* every block; `place` holds those that were looked up lately */
    struct jit_block *page[1u << PAGE_BITS]; /* the same, by page */
    u64 changes;                             /* of code, that have been seen to */
    u64 salts;                               /* the last tlb_fetch_id() */
    struct jit_jump jump[1u << JIT_JUMP_BITS];
    struct jit_place place[2][1u << JIT_PLACE_BITS]; /* root, non-root */
};

static void forget_all(struct jit *j)
{
    memset(j->heat, 0, sizeof(j->heat));
    memset(j->place, 0, sizeof(j->place));
    memset(j->page, 0, sizeof(j->page));
    memset(j->jump, 0, sizeof(j->jump));
    memset(j->bucket, 0, sizeof(j->bucket));
    j->pages.used = j->first;
    j->units_used = 0;
    j->stats.resets++;
}

static struct jit_place *place_of(struct jit *j, u8 mode, const u8 *host)
{
    return &j->place[!!(mode & CODE_GUEST)][jit_place_of(host)];
}

static struct jit_block **bucket_of(struct jit *j, const u8 *host)
{
    return &j->bucket[(u64)host * 0x9e3779b97f4a7c15ull >> (64 - BUCKET_BITS)];
}

static struct jit_block **page_bucket(struct jit *j, const struct page_info *page)
{
    return &j->page[(u64)page * 0x9e3779b97f4a7c15ull >> (64 - PAGE_BITS)];
}

/* Where translated code finds it. */
static void place_block(struct jit *j, struct jit_block *u)
{
    *place_of(j, u->mode, u->host) = (struct jit_place){.host = u->host, .code = j->pages.rx + u->far};
}

static void tell(struct jit *j, const struct block *b, u64 rip, const u8 *code)
{
    const struct translation *t = &j->scratch;
    struct jit_view v = {.block = b,
                         .rip = rip,
                         .code = code,
                         .len = t->len,
                         .at = t->at,
                         .native = t->native,
                         .called = t->called};
    if (j->options.watch.translated)
        j->options.watch.translated(j->options.watch.opaque, j->vcpu, &v);
}

static void put_jump(struct jit *j, u32 at, u32 to)
{
    j->pages.rw[at] = 0xe9;
    store_le(j->pages.rw + at + 1, 4, to - (at + 5));
}

/* Another translation of the same bytes, made for another second page: whoever knows the older one comes to
 * the newer. */
static void supersede(struct jit *j, const struct jit_block *old, const struct jit_block *u)
{
    put_jump(j, old->known, u->known);
    put_jump(j, old->near, u->near);
}

/* The block's code, or NULL when it does not fit into the buffer. */
static struct jit_block *make(struct jit *j, const struct block *b, u64 rip)
{
    size_t most = sizeof(struct jit_block) + b->count * sizeof(struct jit_site);
    if (j->units_used + most > UNITS_SIZE ||
        ALIGN_UP(j->pages.used, 16) + TRANSLATE_MAX > (j->options.chaos ? CHAOS_SIZE : CODE_SIZE))
        forget_all(j);
    struct jit_block *u = (struct jit_block *)(j->units + j->units_used);
    u32 base = (u32)ALIGN_UP(j->pages.used, 16);
    if (!translate(b, u->site, u->exit, &j->rt, base, &j->scratch))
        return NULL;
    const void *code = exec_pages_add(&j->pages, j->scratch.code, j->scratch.len);
    bug_on(code != j->pages.rx + base, "translated code does not lie where it was made for");
    u->host = b->host;
    u->mode = b->mode;
    u->count = b->count;
    u->version = b->version;
    u->host2 = b->host2;
    u->version2 = b->host2 ? b->version2 : 0;
    u->page = b->page;
    u->far = base;
    u->known = base + (u32)j->scratch.known;
    u->near = base + (u32)j->scratch.near;
    u->body = base + (u32)j->scratch.body;
    u->refuse = base + (u32)j->scratch.refuse;
    j->units_used += ALIGN_UP(sizeof(*u) + j->scratch.sites * sizeof(struct jit_site), 16);
    j->stats.blocks++;
    j->stats.native += j->scratch.native;
    j->stats.called += j->scratch.called;
    struct jit_block **bucket = bucket_of(j, u->host);
    u->next = *bucket;
    *bucket = u;
    bucket = page_bucket(j, u->page);
    u->next_page = *bucket;
    *bucket = u;
    place_block(j, u);
    tell(j, b, rip, code);
    return u;
}

static bool is_heat_of(const struct heat *h, const struct block *b)
{
    return h->host == b->host && h->version == b->version && h->mode == b->mode;
}

/* Blocks that share a place keep their counts beside each other: if one's run began the other's anew, two of
 * one loop would never be hot. */
static bool hot(struct jit *j, const struct block *b)
{
    struct heat *set = j->heat[jit_place_of(b->host) & ((1u << HEAT_BITS) - 1)];
    struct heat h = {.host = b->host, .version = b->version, .mode = b->mode};
    unsigned at = 0;
    while (at < HEAT_WAYS - 1 && !is_heat_of(&set[at], b))
        at++;
    if (is_heat_of(&set[at], b))
        h.runs = set[at].runs;
    memmove(set + 1, set, at * sizeof(*set));
    h.runs++;
    set[0] = h;
    return h.runs >= j->options.hot;
}

/* Translated and of this version, or NULL. */
static struct jit_block *known(struct jit *j, u8 mode, const u8 *host, u32 version)
{
    for (struct jit_block *u = *bucket_of(j, host); u; u = u->next)
        if (u->host == host && u->mode == mode && u->version == version)
            return u;
    return NULL;
}

/* Nobody finds it any more. Jumps inside the page leave at its start, late jumps look once more. */
static void shut(struct jit *j, struct jit_block *u)
{
    struct jit_place *place = place_of(j, u->mode, u->host);
    struct jit_block **p = bucket_of(j, u->host);
    while (*p != u)
        p = &(*p)->next;
    *p = u->next;
    if (place->code == j->pages.rx + u->far)
        *place = (struct jit_place){0};
    put_jump(j, u->known, j->rt.lookup);
    put_jump(j, u->near, u->refuse);
}

/* Of the blocks in a page's bucket, those of older versions of their pages. */
static void shut_outdated(struct jit *j, struct jit_block **bucket)
{
    for (struct jit_block *u; (u = *bucket);) {
        if (u->version == code_version_of(u->page)) {
            bucket = &u->next_page;
            continue;
        }
        *bucket = u->next_page;
        shut(j, u);
    }
}

/* Before any translated code runs. */
static void see_changes(struct jit *j, struct cpu *c)
{
    const struct page_info *page[SPACE_CHANGES_KEPT];
    if (likely(space_code_changes(c->memory) == j->changes))
        return;
    int n = space_code_changed(c->memory, j->changes, page, &j->changes);
    for (int i = 0; i < n; i++)
        shut_outdated(j, page_bucket(j, page[i]));
    for (unsigned i = 0; n < 0 && i < ARRAY_SIZE(j->page); i++)
        shut_outdated(j, &j->page[i]);
}

/* The translation of a block, made if it is worth it; or NULL. One that is outdated already would be made
 * after its change was seen. */
static struct jit_block *find(struct jit *j, const struct block *b, u64 rip)
{
    if (b->version != code_version_of(b->page))
        return NULL;
    struct jit_block *u = known(j, b->mode, b->host, b->version);
    if (u && u->host2 == b->host2 && (!u->host2 || u->version2 == b->version2)) {
        place_block(j, u);
        return u;
    }
    if (!hot(j, b))
        return NULL;
    u64 resets = j->stats.resets;
    struct jit_block *made = make(j, b, rip);
    if (u && made && resets == j->stats.resets)
        supersede(j, u, made);
    return made;
}

/* The target's code from now on, if it is translated and of the same version. */
static void patch(struct jit *j, const struct jit_exit *x)
{
    const struct jit_block *u = known(j, x->mode, x->page + x->target, x->version);
    if (!u)
        return;
    store_le(j->pages.rw + x->place, 4, u->near - (x->place + 4));
}

static void enter(struct jit *j, struct cpu *c, const struct jit_block *u, struct jit_frame *f)
{
    typedef void (*enter_fn)(struct cpu *, const void *, struct jit_frame *);
    ((enter_fn)(uintptr_t)(j->pages.rx + j->rt.enter))(c, j->pages.rx + u->body, f);
}

/* What keys of late jumps are XORed with: the address's bits that all keys of a place or all addresses have
 * in common hold an id. Before one could come again all jumps are forgotten. */
static u64 salt(struct jit *j, const struct cpu *c)
{
    u64 id = tlb_fetch_id(c->tlb);
    if (id >> (JIT_JUMP_BITS + JIT_SALT_BITS) != j->salts >> (JIT_JUMP_BITS + JIT_SALT_BITS))
        memset(j->jump, 0, sizeof(j->jump));
    j->salts = id;
    return (id & (BIT(JIT_JUMP_BITS) - 1)) | (id >> JIT_JUMP_BITS & (BIT(JIT_SALT_BITS) - 1))
                                                 << JIT_SALT_SHIFT;
}

/* From here on translated code may run until the budget ends; `first` instructions of it are taken already.
 */
static void open_frame(struct jit *j, const struct cpu *c, unsigned first, struct jit_frame *f)
{
    u64 budget = c->budget_end - c->retired;
    u64 total = (budget < BUDGET_MOST ? budget : BUDGET_MOST) - first;
    f->rip_page = c->rip & ~(PAGE_SIZE - 1);
    f->places = (u64)j->place[!!(c->code_mode & CODE_GUEST)];
    f->jumps = (u64)j->jump;
    f->salt = salt(j, c);
    f->changes_at = (u64)space_code_counter(c->memory);
    f->changes = j->changes;
    f->left = total < JIT_SLICE ? total : JIT_SLICE;
    f->end = c->retired + first + f->left;
    f->limit = c->retired + first + total;
}

/* A request that comes after `poll` was cleared sets it again. */
static bool asked(struct cpu *c)
{
    if (atomic_load_explicit(&c->poll, memory_order_relaxed))
        atomic_store(&c->poll, 0);
    return cpu_attention(c);
}

/* Host address of the instruction at RIP, or NULL with the outcome. */
static const u8 *code_here(struct cpu *c, enum outcome *o)
{
    u64 gpa;
    void *host = tlb_hit(c->tlb->x, c->rip, 1);
    if (unlikely(!host))
        *o = mmu_fetch_page(c, c->rip, &gpa, &host);
    return *o == DONE ? host : NULL;
}

const void *jit_look_up(struct cpu *c, u64 rip)
{
    struct jit *j = c->jit_state;
    u64 gpa;
    void *host = tlb_hit(c->tlb->x, rip, 1);
    if (!host && (mmu_fetch_page(c, rip, &gpa, &host) != DONE || !host))
        return NULL;
    const struct page_info *page = space_page_of_host(c->memory, host);
    struct jit_block *u = known(j, c->code_mode, host, code_version_of(page));
    if (!u)
        return NULL;
    place_block(j, u);
    return j->pages.rx + u->far;
}

/* The way into the translation at RIP (its far entry), or NULL with the outcome. Entered behind its checks
 * when its first instruction must come before anything else. */
static const void *way_on(struct jit *j, struct cpu *c, struct jit_frame *f, enum outcome *o)
{
    if ((c->code_mode & CODE_MODE_MASK) != MODE_64 || asked(c) || !cpu_runs_blocks(c) ||
        c->retired >= c->budget_end)
        return NULL;
    const u8 *host = code_here(c, o);
    if (!host)
        return NULL;
    see_changes(j, c);
    const struct jit_place *p = place_of(j, c->code_mode, host);
    if (p->host != host)
        return NULL;
    open_frame(j, c, 0, f);
    if (likely(!c->shadow)) {
        cpu_begin_block(c);
        return p->code;
    }
    const struct page_info *page = space_page_of_host(c->memory, host);
    u32 version = code_version_of(page);
    const struct jit_block *u = known(j, c->code_mode, host, version);
    if (!u || u->host2 || u->count > f->left)
        return NULL;
    f->left -= u->count;
    cpu_begin_block(c);
    return j->pages.rx + u->body;
}

/* Retirement and RIP as the interpreter's run_block() leaves them. */
static enum outcome settle(struct cpu *c, const struct jit_site *s, u64 block_end, enum outcome o)
{
    c->code_dirty = 0;
    c->retired = block_end - (s->count - (s->index + (o != FAULT && o != AGAIN)));
    return cpu_settle(c, &s->in, o);
}

const void *jit_after(struct cpu *c, const struct jit_site *s, struct jit_frame *f, u64 left, enum outcome o)
{
    struct jit *j = c->jit_state;
    o = settle(c, s, f->end - left, o);
    bool stop = j->single || j->options.stop;
    if (!stop && (o == FAULT || o == END || o == AGAIN))
        o = cpu_next(c, o);
    c->code_dirty = 0;
    stop |= chaos_one_in(j->rt.chaos, 8);
    const void *code = !stop && o == DONE ? way_on(j, c, f, &o) : NULL;
    f->what = o;
    return code;
}

static enum outcome run_from(struct jit *j, struct cpu *c, const struct block *b, const struct jit_block *u)
{
    struct jit_frame f = {0};
    open_frame(j, c, b->count, &f);
    enter(j, c, u, &f);
    if (f.reason == JIT_SETTLED)
        return (enum outcome)f.what;
    c->retired = f.end - f.left;
    c->regs[REG_RIP] = c->rip;
    if (f.reason == JIT_CHAIN)
        patch(j, (const struct jit_exit *)f.what);
    return DONE;
}

/* Chaos: true when the block is for the interpreter after all. No translated code is on the stack. */
static bool upset(struct jit *j, struct cpu *c)
{
    if (chaos_one_in(j->rt.chaos, 32))
        tlb_flush_current(c);
    if (chaos_one_in(j->rt.chaos, 4096))
        forget_all(j);
    return chaos_one_in(j->rt.chaos, 16);
}

/* The first block runs in any case: the loop looked at requests and at the budget before it asked. While a
 * request waits, the run ends behind that block. */
static bool run(struct cpu *c, const struct block *b, enum outcome *o)
{
    struct jit *j = c->jit_state;
    if ((b->mode & CODE_MODE_MASK) != MODE_64)
        return false;
    see_changes(j, c);
    if (upset(j, c))
        return false;
    struct jit_block *u = find(j, b, c->rip);
    if (!u)
        return false;
    if (asked(c))
        atomic_store(&c->poll, 1);
    *o = run_from(j, c, b, u);
    return true;
}

enum outcome jit_run_block(struct cpu *c, const struct block *b)
{
    struct jit *j = c->jit_state;
    forget_all(j);
    see_changes(j, c);
    const struct jit_block *u = make(j, b, c->rip);
    bug_on(!u, "a block of %u instructions does not fit", b->count);
    atomic_store(&c->poll, 0);
    j->single = true;
    enum outcome o = run_from(j, c, b, u);
    j->single = false;
    return o;
}

static const struct jit_port port = {.run = run};

static bool emit_runtime(struct jit *j)
{
    struct emit e = {.buf = j->scratch.code, .cap = sizeof(j->scratch.code)};
    j->rt.image = j->image;
    runtime_emit(&e, &j->rt, j->options.watch.counts);
    void *code = exec_pages_add(&j->pages, e.buf, e.len);
    j->first = j->pages.used;
    j->scratch.len = e.len;
    tell(j, NULL, 0, code);
    return !e.overflow && code == j->pages.rx;
}

int jit_attach(struct cpu *c, const struct jit_options *options, struct err *err)
{
    struct jit *j =
        mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *units =
        mmap(NULL, UNITS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (j == MAP_FAILED || units == MAP_FAILED || exec_pages_create(&j->pages, CODE_SIZE, err) < 0) {
        if (j != MAP_FAILED)
            munmap(j, sizeof(*j));
        if (units != MAP_FAILED)
            munmap(units, UNITS_SIZE);
        return err_set(err, EXIT_STATUS_HOST, "no memory for the translator: use --engine soft,jit=off");
    }
    if (options)
        j->options = *options;
    if (!j->options.hot)
        j->options.hot = j->options.chaos ? 2 : HOT;
    if (j->options.chaos)
        j->rt.chaos = &j->options.chaos;
    j->vcpu = c->index;
    bug_on(!emit_runtime(j), "the translator's routines do not fit");
    j->units = units;
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
    munmap(j->units, UNITS_SIZE);
    munmap(j, sizeof(*j));
}

void jit_stats(const struct cpu *c, struct jit_stats *s)
{
    const struct jit *j = c->jit_state;
    *s = j ? j->stats : (struct jit_stats){0};
}
