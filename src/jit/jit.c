/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's way into translated code and back.
 *
 * A block is found by its place in host memory, root and non-root operation apart, and translated when it has
 * been run `hot` times. When its page's code version changes it is shut before translated code runs again on
 * this vCPU: at the latest a slice (JIT_SLICE instructions) and at once behind an instruction that
 * serializes. Translated code goes on from block to block by itself and comes back when a place is not
 * translated, something is asked of the vCPU, its budget ends, or an instruction's outcome is for the
 * interpreter's loop.
 */
#include "jit/jit.h"

#include <sys/mman.h>

#include "cpu/jit_port.h"
#include "cpu/mmu.h"
#include "jit/cache.h"

#define BUDGET_MOST  (1ull << 62)
#define SAMPLED_TIME (8 * MIB) /* instructions */

/* An exit of a trace is taken often with fewer instructions than that from one time to the next; it is linked
 * all the same when it was seen to be rare so many times, and no more traces are begun behind it than that.
 * Nor are more traces of one place given up, by a count that forgets: traces of other places may share it. */
enum { EXIT_OFTEN = 4096, RARE_MOST = 3, BEGUN_MOST = 2, AGAIN_MOST = 3, AGAIN_BITS = 12 };
#define AGAIN_TIME (1ull << 32) /* instructions */

struct jit {
    struct jit_cache *cache;
    struct cache_user user;
    struct jit_stats stats;
    u64 chaos;   /* as in struct jit_runtime */
    bool single; /* jit_run_block(): nothing follows the block */
    bool recording;
    const u8 *wanted;  /* or NULL: where in host memory a trace is to begin, if that is seen to run soon */
    unsigned patience; /* how many other blocks may be seen before */
    bool behind;       /* the one that is recorded was wanted */
    struct trace trace;
    u64 sampled_since; /* retired instructions when `sample` was cleared */
    u64 again_since;   /* the same of `again` */
    u8 sample[1u << JIT_SAMPLE_BITS];
    u8 again[1u << AGAIN_BITS]; /* traces given up, by their place */
};

/* Chaos: whether to do otherwise, once in n times. */
static bool upset(struct jit *j, unsigned n)
{
    return chaos_one_in(j->chaos ? &j->chaos : NULL, n);
}

/* What was noted of places in code may not be used any more when some of it has gone. */
static void go_in(struct jit *j)
{
    if (unlikely(cache_enter(j->cache, &j->user)))
        tlb_forget_notes(j->user.cpu->tlb);
}

/* ---- making blocks ---- */

static void tell(struct jit *j, const struct block *b, const struct trace *trace, u64 rip,
                 const struct jit_block *u)
{
    const struct jit_watch *w = &j->cache->options.watch;
    const struct translation *t = &j->cache->scratch;
    struct jit_view v = {.block = b,
                         .rip = rip,
                         .code = j->cache->pages.rx + u->far,
                         .len = t->len,
                         .part = j->cache->filling,
                         .at = t->at,
                         .trace = trace,
                         .native = t->native,
                         .called = t->called};
    j->stats.blocks++;
    j->stats.native += t->native;
    j->stats.called += t->called;
    if (w->translated)
        w->translated(w->opaque, j->user.cpu->index, &v);
}

/* Lock held. NULL when there is no room, or the block's code does not fit into the buffer, or its page has
 * changed. trace: b is its, or NULL. */
static struct jit_block *make(struct jit *j, const struct block *b, const struct trace *trace, u64 rip)
{
    struct jit_cache *k = j->cache;
    struct cache_room room;
    u64 evictions = k->evictions;
    bool any = cache_room(k, b->count, trace ? TRACE_EXITS : EXITS_MAX, trace ? trace->pages : 1, &room);
    j->stats.evictions += k->evictions - evictions;
    if (!any || !translate(b, trace, room.block->site, room.exit, &k->rt, room.base, &k->scratch))
        return NULL;
    struct jit_page_ref more[TRACE_PAGES];
    unsigned others = trace ? trace->pages - 1 : 0;
    for (unsigned i = 0; i < others; i++)
        more[i] =
            (struct jit_page_ref){.page = trace->page[i + 1].info, .version = trace->page[i + 1].version};
    struct jit_block *u = cache_add(k, &room, b, more, others, &k->scratch);
    if (u)
        tell(j, b, trace, rip, u);
    return u;
}

static bool is_of(const struct jit_block *u, const struct block *b)
{
    return u && u->host2 == b->host2 && (!u->host2 || u->version2 == b->version2);
}

/* Another vCPU may have been faster. */
static struct jit_block *make_once(struct jit *j, const struct block *b, u64 rip)
{
    if (!cache_lock(j->cache))
        return NULL;
    struct jit_block *u = cache_find(j->cache, b->mode, b->host, b->version);
    if (!is_of(u, b))
        u = make(j, b, NULL, rip);
    cache_unlock(j->cache);
    return u;
}

/* The translation of a block, made if it is worth it; or NULL. One that is outdated already would be made
 * after its change was seen. */
static struct jit_block *find(struct jit *j, const struct block *b, u64 rip)
{
    if (b->version != code_version_of(b->page))
        return NULL;
    struct jit_block *u = cache_find(j->cache, b->mode, b->host, b->version);
    if (is_of(u, b)) {
        cache_note(j->cache, u);
        return u;
    }
    return cache_hot(j->cache, b) ? make_once(j, b, rip) : NULL;
}

/* ---- running them ---- */

static void enter(struct jit *j, struct cpu *c, const struct jit_block *u, struct jit_frame *f)
{
    typedef void (*enter_fn)(struct cpu *, const void *, struct jit_frame *);
    const u8 *code = j->cache->pages.rx;
    ((enter_fn)(uintptr_t)(code + j->cache->rt.enter))(c, code + u->far + u->body, f);
}

/* From here on translated code may run until the budget ends; `first` instructions of it are taken already.
 */
static void open_frame(struct jit *j, const struct cpu *c, unsigned first, struct jit_frame *f)
{
    u64 budget = c->budget_end - c->retired;
    u64 total = (budget < BUDGET_MOST ? budget : BUDGET_MOST) - first, slice = j->cache->options.slice;
    f->rip_page = c->rip & ~(PAGE_SIZE - 1);
    f->places = (u64)j->cache->place[!!(c->code_mode & CODE_GUEST)];
    f->samples = (u64)j->sample;
    tlb_begin_notes(c->tlb);
    f->changes_at = (u64)space_code_counter(c->memory);
    f->changes = j->user.changes;
    f->left = total < slice ? total : slice;
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

/* The same behind the checks of its entry, of a block that fits into the slice; or NULL. */
static const void *body_here(struct jit *j, const struct cpu *c, const u8 *host, struct jit_frame *f)
{
    u32 version = code_version_of(space_page_of_host(c->memory, host));
    const struct jit_block *u = cache_find(j->cache, c->code_mode, host, version);
    if (!u || u->host2 || u->count > f->left)
        return NULL;
    f->left -= u->count;
    return j->cache->pages.rx + u->far + u->body;
}

/* The way into the translation at RIP (its far entry), or NULL with the outcome. Entered behind its checks
 * when its first instruction must come before anything else. No translated code is on the stack. */
static const void *way_on(struct jit *j, struct cpu *c, struct jit_frame *f, enum outcome *o)
{
    if ((c->code_mode & CODE_MODE_MASK) != MODE_64 || asked(c) || !cpu_runs_blocks(c) ||
        c->retired >= c->budget_end)
        return NULL;
    const u8 *host = code_here(c, o);
    if (!host)
        return NULL;
    if (unlikely(cache_is_news(j->cache, &j->user)))
        go_in(j);
    if (!cache_see_changes(j->cache, &j->user, c->memory))
        return NULL;
    const void *code = cache_place(j->cache, c->code_mode, host);
    if (!code)
        return NULL;
    open_frame(j, c, 0, f);
    if (unlikely(c->shadow))
        code = body_here(j, c, host, f);
    if (code)
        cpu_begin_block(c);
    return code;
}

const void *jit_look_up(struct cpu *c, u64 rip)
{
    struct jit *j = c->jit_state;
    u64 gpa;
    void *host = tlb_hit(c->tlb->x, rip, 1);
    if (!host && (mmu_fetch_page(c, rip, &gpa, &host) != DONE || !host))
        return NULL;
    if (tlb_fetch_id(c->tlb) != c->tlb->view->notes_id)
        return NULL; /* the notes are not right any more */
    const void *code = cache_place(j->cache, c->code_mode, host);
    if (code)
        return code;
    u32 version = code_version_of(space_page_of_host(c->memory, host));
    struct jit_block *u = cache_find(j->cache, c->code_mode, host, version);
    if (!u)
        return NULL;
    cache_note(j->cache, u);
    return j->cache->pages.rx + u->far;
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
    bool stop = j->single || j->cache->options.stop;
    if (!stop && (o == FAULT || o == END || o == AGAIN))
        o = cpu_next(c, o);
    c->code_dirty = 0;
    stop |= upset(j, 8);
    const void *code = !stop && o == DONE ? way_on(j, c, f, &o) : NULL;
    f->what = o;
    return code;
}

static void want(struct jit *j, const u8 *host)
{
    enum { PATIENCE = 8 };
    j->wanted = host;
    j->patience = PATIENCE;
}

/* A trace that is often left for a way which is none by itself: the next one from its beginning may have that
 * in it. */
static void give_up(struct jit *j, const struct cpu *c, struct jit_block *u)
{
    u8 *again = &j->again[(u64)u->host * 0x9e3779b97f4a7c15ull >> (64 - AGAIN_BITS)];
    if (c->retired - j->again_since > AGAIN_TIME) {
        j->again_since = c->retired;
        memset(j->again, 0, sizeof(j->again));
    }
    if (*again == AGAIN_MOST || !cache_lock(j->cache))
        return;
    ++*again;
    cache_shut(j->cache, u);
    cache_unlock(j->cache);
    j->stats.given_up++;
    want(j, u->host);
}

/* A slice ends where a trace is entered, seldom behind its exits: those that are the main way are found here.
 * True: the exit stays as it is, to be looked at again, and the way from there may be worth a trace. The
 * first answer of all says nothing. */
static bool watch_exit(struct jit *j, const struct cpu *c, struct jit_exit *x, const struct jit_block *to)
{
    u64 since = c->retired - x->asked;
    unsigned times = x->far ? JIT_LINK_AFTER : j->cache->options.exits;
    bool often = x->asked && since < (u64)EXIT_OFTEN * times;
    x->asked = c->retired;
    if (!to || to->trace || x->rare == RARE_MOST)
        return false;
    if (often && x->begun == BEGUN_MOST) {
        if (x->side)
            give_up(j, c, x->from);
        return false;
    }
    ++*(often ? &x->begun : &x->rare);
    if (often)
        want(j, to->host);
    return true;
}

/* c->rip is where the exit leads. */
static void link_exit(struct jit *j, const struct cpu *c, struct jit_exit *x)
{
    const u8 *host = tlb_hit(c->tlb->x, c->rip, 1);
    u32 version = host ? code_version_of(space_page_of_host(c->memory, host)) : 0;
    if (!x->from->trace ||
        !watch_exit(j, c, x, host ? cache_find(j->cache, c->code_mode, host, version) : NULL))
        cache_link(j->cache, x, host, version);
}

static enum outcome run_from(struct jit *j, struct cpu *c, const struct jit_block *u)
{
    struct jit_frame f;
    open_frame(j, c, u->count, &f);
    enter(j, c, u, &f);
    if (f.reason == JIT_SETTLED)
        return (enum outcome)f.what;
    c->retired = f.end - f.left;
    c->regs[REG_RIP] = c->rip;
    if (f.reason == JIT_CHAIN && !j->single)
        link_exit(j, c, (struct jit_exit *)f.what);
    return DONE;
}

/* Chaos: true when the block is for the interpreter after all. */
static bool disturb(struct jit *j, struct cpu *c)
{
    if (upset(j, 32))
        tlb_flush_current(c);
    if (upset(j, 16))
        tlb_lose_tables(c->tlb);
    if (upset(j, 512) && cache_lock(j->cache)) {
        u64 evictions = j->cache->evictions;
        cache_next_region(j->cache);
        j->stats.evictions += j->cache->evictions - evictions;
        cache_unlock(j->cache);
    }
    return upset(j, 16);
}

/* ---- traces ---- */

static u8 *samples_of(struct jit *j, const struct jit_block *u)
{
    return &j->sample[jit_sample_of(j->cache->pages.rx + u->far + u->near)];
}

/* Where slices ended lately is where time goes. Counts of long ago mean nothing. */
static bool often_sampled(struct jit *j, const struct cpu *c, const struct jit_block *u)
{
    if (upset(j, 8))
        return !u->trace;
    if (likely(*samples_of(j, u) != j->cache->options.samples))
        return false;
    if (c->retired - j->sampled_since < SAMPLED_TIME)
        return !u->trace;
    j->sampled_since = c->retired; /* as chance has it, it is sampled once more */
    memset(j->sample, 0, sizeof(j->sample));
    return false;
}

static bool is_wanted(struct jit *j, const struct jit_block *u)
{
    bool wanted = j->wanted == u->host && !u->trace;
    if (wanted || (j->wanted && !j->patience--))
        j->wanted = NULL;
    return j->behind = wanted;
}

/* Whatever comes of it, the next slice that ends there is no reason to leave. */
static bool begin_trace(struct jit *j, u64 rip, const struct block *b, const struct jit_block *u)
{
    ++*samples_of(j, u);
    return j->recording = trace_begin(&j->trace, b, rip);
}

/* It takes its first block's place. */
static void make_trace(struct jit *j)
{
    const struct block *b = trace_block(&j->trace);
    if (!trace_pays(&j->trace) || !cache_lock(j->cache))
        return;
    const struct jit_block *u = cache_find(j->cache, b->mode, b->host, b->version);
    if (u && !u->trace && make(j, b, &j->trace, j->trace.rip)) {
        j->stats.behind += j->behind;
        tlb_forget_notes(j->user.cpu->tlb); /* late jumps find it */
    }
    cache_unlock(j->cache);
}

/* True while b is to be interpreted, so that the way on from it is seen. */
static bool record(struct jit *j, const struct block *b, u64 rip)
{
    if (trace_add(&j->trace, b, rip))
        return true;
    j->recording = false;
    make_trace(j);
    return false;
}

/* The first block runs in any case: the loop looked at requests and at the budget before it asked. While a
 * request waits, the run ends behind that block. */
static bool run_inside(struct jit *j, struct cpu *c, const struct block *b, enum outcome *o)
{
    if (!cache_see_changes(j->cache, &j->user, c->memory) || disturb(j, c) ||
        (unlikely(j->recording) && record(j, b, c->rip)))
        return false;
    struct jit_block *u = find(j, b, c->rip);
    if (!u || (unlikely(is_wanted(j, u) || often_sampled(j, c, u)) && begin_trace(j, c->rip, b, u)) ||
        c->retired + u->count > c->budget_end)
        return false;
    if (asked(c))
        atomic_store(&c->poll, 1);
    *o = run_from(j, c, u);
    return true;
}

static bool run(struct cpu *c, const struct block *b, enum outcome *o)
{
    struct jit *j = c->jit_state;
    if ((b->mode & CODE_MODE_MASK) != MODE_64)
        return false;
    go_in(j);
    bool ran = run_inside(j, c, b, o);
    cache_leave(&j->user);
    return ran;
}

enum outcome jit_run_block(struct cpu *c, const struct block *b)
{
    struct jit *j = c->jit_state;
    cache_forget(j->cache);
    go_in(j);
    bool seen = cache_see_changes(j->cache, &j->user, c->memory);
    const struct jit_block *u = make_once(j, b, c->rip);
    bug_on(!seen || !u, "a block of %u instructions does not fit", b->count);
    atomic_store(&c->poll, 0);
    j->single = true;
    enum outcome o = run_from(j, c, u);
    j->single = false;
    cache_leave(&j->user);
    return o;
}

static const struct jit_port port = {.run = run};

int jit_attach(struct cpu *c, struct jit_cache *cache, struct err *err)
{
    struct jit *j =
        mmap(NULL, sizeof(*j), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (j == MAP_FAILED)
        return err_set(err, EXIT_STATUS_HOST, "no memory for the translator: use --engine soft,jit=off");
    j->cache = cache;
    if (cache->options.chaos)
        j->chaos = cache->options.chaos + c->index + 1;
    cache_join(cache, &j->user, c);
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
    cache_part(j->cache, &j->user);
    munmap(j, sizeof(*j));
}

void jit_stats(const struct cpu *c, struct jit_stats *s)
{
    const struct jit *j = c->jit_state;
    *s = j ? j->stats : (struct jit_stats){0};
}
