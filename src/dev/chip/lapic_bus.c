/* SPDX-License-Identifier: MIT */
/*
 * What lies between the local APICs: destinations (SDM 3A 11.6.2, 11.12.9), lowest-priority arbitration,
 * MSIs, and the register pages in guest-physical space.
 *
 * Destinations are matched without a lock: each local APIC publishes what it answers to in one atomic word.
 * The list of local APICs is built before the machine runs and does not change while it does. Register pages
 * are shared by all processors whose IA32_APIC_BASE names them; the list of pages has its own lock, which is
 * innermost but for the space's.
 */
#include <stdlib.h>

#include "dev/chip/lapic_priv.h"

struct page {
    struct lapic_bus *bus;
    struct page *next;
    u64 base;
    bool mapped;
};

struct lapic_bus {
    const struct dev_env *env;
    struct dev *(*current)(void *opaque);
    void *current_opaque;
    void (*eoi)(void *opaque, u8 vector);
    void *eoi_opaque;
    struct lapic **lapic;
    unsigned count;
    u32 highest_id;
    unsigned turn; /* atomic: breaks ties among the lowest priorities */
    pthread_mutex_t pages_lock;
    struct page *pages;
};

/* The word a local APIC publishes: x2APIC id 31:0, xAPIC id 39:32, LDR 47:40, flat 48, x2APIC mode 49, on 50.
 */
enum { ADDRESS_FLAT = 48, ADDRESS_X2APIC = 49, ADDRESS_ON = 50 };

void lapic_publish(struct lapic *l)
{
    u64 a = l->config.id | (u64)(l->xapic_id & 0xff) << 32 | (u64)(l->ldr >> 24) << 40;
    a |= (u64)(l->dfr >> 28 == 0xf) << ADDRESS_FLAT;
    a |= bits(l->base, 10, 10) << ADDRESS_X2APIC | bits(l->base, 11, 11) << ADDRESS_ON;
    __atomic_store_n(&l->address, a, __ATOMIC_RELEASE);
}

static bool is_broadcast(const struct lapic_bus *b, const struct lapic_message *m)
{
    if (m->wide)
        return m->dest == 0xffffffff;
    /* An MSI of a machine whose ids need the extended destination means 255 itself. */
    return m->dest == 0xff && (m->sender || b->highest_id < 0xff);
}

static bool matches_physical(u64 a, const struct lapic_message *m)
{
    /* A processor still in xAPIC mode whose id does not fit one byte can be reached by its whole id. */
    if (bits(a, ADDRESS_X2APIC, ADDRESS_X2APIC) || m->dest > 0xff)
        return (u32)a == m->dest;
    return bits(a, 39, 32) == m->dest;
}

static bool matches_logical(u64 a, const struct lapic_message *m)
{
    if (bits(a, ADDRESS_X2APIC, ADDRESS_X2APIC))
        return (u32)a >> 4 == m->dest >> 16 && (m->dest & 1u << (a & 15));
    if (m->dest > 0xff)
        return false;
    u8 ldr = bits(a, 47, 40);
    if (bits(a, ADDRESS_FLAT, ADDRESS_FLAT))
        return ldr & m->dest;
    u8 cluster = m->dest >> 4;
    return (cluster == 0xf || cluster == ldr >> 4) && (ldr & m->dest & 0xf);
}

static bool is_named(const struct lapic_bus *b, struct lapic *l, const struct lapic_message *m)
{
    u64 a = __atomic_load_n(&l->address, __ATOMIC_ACQUIRE);
    if (!bits(a, ADDRESS_ON, ADDRESS_ON))
        return false;
    switch (m->shorthand) {
    case 1:
        return l == m->sender;
    case 2:
        return true;
    case 3:
        return l != m->sender;
    }
    if (is_broadcast(b, m))
        return true;
    return m->logical ? matches_logical(a, m) : matches_physical(a, m);
}

static void accept(struct lapic *l, const struct lapic_message *m)
{
    dev_lock(&l->dev);
    lapic_accept(l, m->mode, m->vector, m->level);
    dev_unlock(&l->dev);
}

/* Lowest processor priority wins; among equals, whose turn it is. */
static void deliver_to_lowest(struct lapic_bus *b, const struct lapic_message *m)
{
    unsigned first = __atomic_fetch_add(&b->turn, 1, __ATOMIC_RELAXED), best = 0x100;
    struct lapic *chosen = NULL;
    for (unsigned n = 0; n < b->count; n++) {
        struct lapic *l = b->lapic[(first + n) % b->count];
        unsigned priority = is_named(b, l, m) ? lapic_priority(l) : 0x100;
        if (priority < best) {
            best = priority;
            chosen = l;
        }
    }
    if (chosen)
        accept(chosen, m);
}

void lapic_bus_deliver(struct lapic_bus *b, const struct lapic_message *m)
{
    if (m->deassert)
        return;
    if (m->mode == MODE_LOWEST && m->shorthand != 1) {
        deliver_to_lowest(b, m);
        return;
    }
    for (unsigned n = 0; n < b->count; n++)
        if (is_named(b, b->lapic[n], m))
            accept(b->lapic[n], m);
}

/* SDM 3A 11.11. Bits 11:5 hold destination bits 14:8, as KVM_FEATURE_MSI_EXT_DEST_ID has it. */
static void msi_send(void *opaque, u64 address, u32 data)
{
    if (address >> 20 != LAPIC_BASE >> 20)
        return; /* an ordinary address is the sender's to write */
    struct lapic_message m = {
        .dest = bits(address, 19, 12) | bits(address, 11, 5) << 8,
        .logical = bits(address, 2, 2),
        .vector = data,
        .mode = bits(data, 10, 8),
        .level = bits(data, 15, 15),
    };
    if (m.level && !bits(data, 14, 14))
        return; /* de-assertion of a level is no event */
    lapic_bus_deliver(opaque, &m);
}

struct msi_sink lapic_bus_msi(struct lapic_bus *b)
{
    return (struct msi_sink){.send = msi_send, .opaque = b};
}

void lapic_bus_on_eoi(struct lapic_bus *b, void (*eoi)(void *opaque, u8 vector), void *opaque)
{
    b->eoi = eoi;
    b->eoi_opaque = opaque;
}

void lapic_bus_eoi(struct lapic_bus *b, u8 vector)
{
    if (b->eoi)
        b->eoi(b->eoi_opaque, vector);
}

/* ---- the register pages ---- */

/* Whose access this is, if its registers are on this page. */
static struct lapic *page_owner(const struct page *p)
{
    struct dev *d = p->bus->current ? p->bus->current(p->bus->current_opaque) : NULL;
    struct lapic *l = (struct lapic *)d;
    return l && ALIGN_DOWN(__atomic_load_n(&l->base, __ATOMIC_RELAXED), PAGE_SIZE) == p->base ? l : NULL;
}

/* Registers are 4 bytes at multiples of 16 (SDM 3A 11.4.1); the gaps read as zero and ignore writes. */
static u64 page_read(void *dev, u64 off, unsigned size)
{
    struct lapic *l = page_owner(dev);
    if (!l)
        return size_mask(size);
    if ((off & 15) + size > 4)
        return 0;
    return lapic_mmio_read(l, off >> 4) >> 8 * (off & 3) & size_mask(size);
}

static void page_write(void *dev, u64 off, unsigned size, u64 value)
{
    struct lapic *l = page_owner(dev);
    if (l && size == 4 && !(off & 15))
        lapic_mmio_write(l, off >> 4, value);
}

static const struct region_ops page_ops = {page_read, page_write, 4};

static struct page *find_page(struct lapic_bus *b, u64 base)
{
    for (struct page *p = b->pages; p; p = p->next)
        if (p->mapped && p->base == base)
            return p;
    return NULL;
}

static bool is_used(const struct lapic_bus *b, u64 base)
{
    for (unsigned n = 0; n < b->count; n++)
        if (ALIGN_DOWN(__atomic_load_n(&b->lapic[n]->base, __ATOMIC_RELAXED), PAGE_SIZE) == base)
            return true;
    return false;
}

static struct page *unused_page(struct lapic_bus *b)
{
    for (struct page *p = b->pages; p; p = p->next)
        if (!p->mapped)
            return p;
    struct page *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->bus = b;
    p->next = b->pages;
    b->pages = p;
    return p;
}

/* 0, or -1 when something else answers there: then the registers cannot be seen, as on a real board. */
static int map_page(struct lapic_bus *b, u64 base)
{
    if (find_page(b, base))
        return 0;
    struct page *p = unused_page(b);
    if (!p)
        return -1;
    p->base = base;
    struct region r = {.base = base, .size = PAGE_SIZE, .ops = &page_ops, .dev = p, .name = "lapic"};
    p->mapped = !space_add_region(b->env->memory, &r);
    return p->mapped ? 0 : -1;
}

/* The page at the reset address stays, so that every processor can come back to it. A page taken away is kept
 * for the next: another processor may be inside its callback. */
void lapic_bus_moved(struct lapic_bus *b)
{
    pthread_mutex_lock(&b->pages_lock);
    for (struct page *p = b->pages; p; p = p->next) {
        if (!p->mapped || p->base == LAPIC_BASE || is_used(b, p->base))
            continue;
        space_remove_region(b->env->memory, p->base, p);
        p->mapped = false;
    }
    for (unsigned n = 0; n < b->count; n++)
        (void)map_page(b, ALIGN_DOWN(__atomic_load_n(&b->lapic[n]->base, __ATOMIC_RELAXED), PAGE_SIZE));
    pthread_mutex_unlock(&b->pages_lock);
}

/* ---- the bus ---- */

void lapic_bus_add(struct lapic_bus *b, struct lapic *l)
{
    struct lapic **list = realloc(b->lapic, (b->count + 1) * sizeof *list);
    bug_on(!list, "no memory for the list of %u local APICs", b->count + 1);
    b->lapic = list;
    l->dev.instance = b->count;
    list[b->count++] = l;
    if (l->config.id > b->highest_id)
        b->highest_id = l->config.id;
}

void lapic_bus_remove(struct lapic_bus *b, struct lapic *l)
{
    unsigned kept = 0;
    for (unsigned n = 0; n < b->count; n++)
        if (b->lapic[n] != l)
            b->lapic[kept++] = b->lapic[n];
    b->count = kept;
}

struct lapic_bus *lapic_bus_new(const struct dev_env *env, struct dev *(*current)(void *opaque), void *opaque,
                                struct err *err)
{
    struct lapic_bus *b = calloc(1, sizeof *b);
    if (!b) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the local APICs' bus");
        return NULL;
    }
    b->env = env;
    b->current = current;
    b->current_opaque = opaque;
    pthread_mutex_init(&b->pages_lock, NULL);
    if (map_page(b, LAPIC_BASE)) {
        err_set(err, EXIT_STATUS_HOST, "the local APICs' address is taken");
        lapic_bus_free(b);
        return NULL;
    }
    return b;
}

void lapic_bus_free(struct lapic_bus *b)
{
    if (!b)
        return;
    for (struct page *p = b->pages, *next; p; p = next) {
        next = p->next;
        if (p->mapped)
            space_remove_region(b->env->memory, p->base, p);
        free(p);
    }
    free(b->lapic);
    pthread_mutex_destroy(&b->pages_lock);
    free(b);
}
