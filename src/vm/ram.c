/* SPDX-License-Identifier: MIT */
/*
 * Memory that moves, and when it must not.
 *
 * A machine is built with some RAM and has a range of addresses for more. What it should have, `wanted`, is
 * split: above what it was built with it is virtio-mem's, below it is missing in the balloon. A guest may be
 * unable to unplug what it uses for good; after some patience the balloon takes as much instead.
 *
 * Engine soft says at any moment whether a hypervisor runs guests, so each report of free pages is held
 * against that. Engine kvm says it only while its vCPUs rest, which a device may not wait for: there a timer
 * asks, and a report is held against its last answer.
 */
#include "vm/machine_parts.h"

#define REVIEW_NS 1000000000ull
#define PATIENCE  5 /* looks */

/* ---- the range of blocks ---- */

static bool fits(const struct machine *m)
{
    return m->map.mmio64 + MMIO64_SIZE <= 1ull << m->model.phys_bits;
}

/* Growth is a wish, what the machine is built with is not. */
int ram_build(struct machine *m, struct err *err)
{
    const struct machine_config *c = &m->config;
    struct err no_room = {0};
    u64 more = c->memory_most > c->memory ? ALIGN_UP(c->memory_most - c->memory, BLOCKS_STEP) : 0;
    m->ram.wanted = c->memory;
    m->map = memory_map_make(c->memory, more);
    for (; more && !fits(m); m->map = memory_map_make(c->memory, more))
        more = ALIGN_DOWN(more / 2, BLOCKS_STEP);
    if (!fits(m))
        return err_set(err, EXIT_STATUS_USAGE,
                       "%llu MiB of memory do not fit the CPU model's %u address bits",
                       (unsigned long long)(c->memory / MIB), m->model.phys_bits);
    if (memory_map_populate(&m->map, m->memory, err))
        return -1;
    if (more && space_add_pluggable(m->memory, m->map.blocks_base, more, VIRTIO_MEM_BLOCK, &no_room))
        m->map.blocks_size = 0;
    return 0;
}

static int plug(void *opaque, u64 gpa, u64 size, bool on)
{
    struct machine *m = opaque;
    const struct accel_ops *ops = m->config.engine;
    (on ? space_plug : space_unplug)(m->memory, gpa, size);
    if (!ops->blocks_changed || !m->vm || ops->blocks_changed(m->vm, gpa, size) == 0)
        return 0;
    if (on)
        space_unplug(m->memory, gpa, size);
    return -1;
}

static bool frozen(void *opaque)
{
    struct machine *m = opaque;
    if (m->config.engine->nested_at_rest)
        return atomic_load(&m->ram.nested_then);
    return m->vm && machine_nested_active(m);
}

struct balloon_port ram_balloon_port(struct machine *m)
{
    return (struct balloon_port){frozen, m};
}

struct memory_port ram_blocks_port(struct machine *m)
{
    return (struct memory_port){frozen, plug, m};
}

int ram_plug(struct machine *m, u64 gpa, u64 size)
{
    return plug(m, gpa, size, true);
}

/* ---- what the guest is asked for ---- */

static struct memory_range_info blocks(struct machine *m)
{
    struct memory_range_info r = {0};
    if (m->board.blocks)
        virtio_mem_info(m->board.blocks, &r);
    return r;
}

static u64 blocks_wanted(const struct machine *m)
{
    u64 size = m->config.memory;
    return m->ram.wanted > size ? ALIGN_UP(m->ram.wanted - size, VIRTIO_MEM_BLOCK) : 0;
}

static void settle(struct machine *m)
{
    u64 request = blocks_wanted(m), plugged = blocks(m).plugged;
    u64 counted = plugged > request && m->ram.patience < PATIENCE ? request : plugged;
    u64 have = m->config.memory + counted;
    if (m->board.blocks)
        virtio_mem_request(m->board.blocks, request);
    virtio_balloon_set_target(m->board.balloon, have > m->ram.wanted ? have - m->ram.wanted : 0);
}

static void lose_patience(struct machine *m)
{
    struct ram_control *r = &m->ram;
    u64 plugged = blocks(m).plugged;
    if (plugged <= blocks_wanted(m))
        r->patience = 0;
    else if (plugged == r->plugged_then && r->patience < PATIENCE)
        r->patience++;
    r->plugged_then = plugged;
}

static void ask_at_rest(struct machine *m)
{
    struct balloon_info b;
    virtio_balloon_info(m->board.balloon, &b);
    if ((b.driver || blocks(m).driver) && m->config.engine->nested_at_rest)
        atomic_store(&m->ram.nested_then, machine_nested_active(m));
}

static void review(void *opaque)
{
    struct machine *m = opaque;
    ask_at_rest(m);
    virtio_balloon_review(m->board.balloon);
    if (m->board.blocks) {
        virtio_mem_review(m->board.blocks);
        lose_patience(m);
        settle(m);
    }
    timer_arm(&m->ram.timer, clock_now(m->clock) + REVIEW_NS);
}

void ram_begin(struct machine *m)
{
    timer_init(&m->ram.timer, m->clock, review, m);
    if (m->config.nested || m->board.blocks)
        timer_arm(&m->ram.timer, clock_now(m->clock) + REVIEW_NS);
}

void ram_end(struct machine *m)
{
    if (m->ram.timer.clock)
        timer_cancel(&m->ram.timer);
}

void ram_restored(struct machine *m, u64 wanted, u64 overhead, bool overhead_known)
{
    u64 most = m->config.memory + m->map.blocks_size;
    m->ram.wanted = !wanted ? m->config.memory : wanted < most ? wanted : most; /* 0: it was not said */
    m->ram.overhead = overhead;
    m->ram.overhead_known = overhead_known;
}

/* ---- what the guest uses ---- */

/* Of the plugged blocks, what the guest's statistics speak of: it may not have put them to use yet, or never
 * do. Its own total leaves out what its kernel took at boot, which is seen while nothing is plugged. */
static u64 online(struct machine *m, const struct balloon_info *b, u64 plugged)
{
    struct ram_control *r = &m->ram;
    u64 size = m->config.memory, total = b->stat[VIRTIO_BALLOON_S_MEMTOT];
    if (total == BALLOON_UNKNOWN || total > BIT(52))
        return plugged;
    total += b->total_whole ? 0 : b->stats_actual;
    if (!plugged && total <= size) {
        r->overhead = size - total;
        r->overhead_known = true;
    }
    if (!r->overhead_known || r->overhead > size)
        return plugged;
    u64 more = total + r->overhead > size ? total + r->overhead - size : 0;
    return more < m->map.blocks_size ? more : m->map.blocks_size;
}

/* Had and available at one moment: between two statistics the balloon moves. The numbers may be anything. */
static u64 used(struct machine *m, const struct balloon_info *b, u64 plugged)
{
    u64 available = b->stat[VIRTIO_BALLOON_S_AVAIL];
    if (!b->has_stats || available == BALLOON_UNKNOWN)
        return 0;
    u64 had = m->config.memory + online(m, b, plugged);
    had -= b->stats_actual < had ? b->stats_actual : had;
    return available < had ? had - available : PAGE_SIZE;
}

void machine_ram_state(struct machine *m, struct machine_ram *out)
{
    struct balloon_info b;
    struct memory_range_info r = blocks(m);
    virtio_balloon_info(m->board.balloon, &b);
    u64 size = m->config.memory, has = size + r.plugged;
    *out = (struct machine_ram){
        .size = size,
        .most = size + m->map.blocks_size,
        .assigned = has - (b.actual < has ? b.actual : has),
        .wanted = m->ram.wanted,
        .reported = b.reported,
        .driver = b.driver,
        .grows = r.driver,
        .frozen = machine_nested_active(m),
        .used = used(m, &b, r.plugged),
    };
}

/* ---- moving ---- */

static int refuse(const struct machine_ram *now, u64 bytes, struct err *err)
{
    if (now->frozen)
        return err_set(
            err, EXIT_STATUS_USAGE,
            "memory stays while a hypervisor runs in the machine (nested virtualization is active)");
    if (bytes > now->most)
        return err_set(err, EXIT_STATUS_USAGE, "%llu MiB are more than the %llu MiB that it can grow to",
                       (unsigned long long)(bytes / MIB), (unsigned long long)(now->most / MIB));
    if (bytes > now->size && !now->grows && bytes != now->wanted)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the guest takes no more than the %llu MiB that it was started with: its virtio-mem "
                       "driver is not loaded, or not yet",
                       (unsigned long long)(now->size / MIB));
    if (bytes < now->size && !now->driver && bytes != now->wanted)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the guest gives no memory back: its virtio balloon driver is not loaded, or not yet");
    return 0;
}

int machine_ram_move(struct machine *m, u64 bytes, struct err *err)
{
    struct machine_ram now;
    machine_ram_state(m, &now);
    if (refuse(&now, bytes, err))
        return -1;
    m->ram.wanted = bytes;
    settle(m);
    return 0;
}

void machine_ram_poll(struct machine *m, u64 interval_ns)
{
    virtio_balloon_poll(m->board.balloon, interval_ns);
}
