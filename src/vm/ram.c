/* SPDX-License-Identifier: MIT */
/*
 * Memory that moves, and when it must not.
 *
 * Engine soft says at any moment whether a hypervisor runs guests, so each report of free pages is held
 * against that. Engine kvm says it only while its vCPUs rest, which a device may not wait for: there a timer
 * asks, and a report is held against its last answer.
 */
#include "vm/machine_parts.h"

#define REVIEW_NS 1000000000ull

static bool frozen(void *opaque)
{
    struct machine *m = opaque;
    if (m->config.engine->nested_at_rest)
        return atomic_load(&m->ram_nested);
    return m->vm && machine_nested_active(m);
}

struct balloon_port ram_balloon_port(struct machine *m)
{
    return (struct balloon_port){frozen, m};
}

static void ask_at_rest(struct machine *m)
{
    struct balloon_info b;
    virtio_balloon_info(m->board.balloon, &b);
    if (b.driver && m->config.engine->nested_at_rest)
        atomic_store(&m->ram_nested, machine_nested_active(m));
}

static void review(void *opaque)
{
    struct machine *m = opaque;
    ask_at_rest(m);
    virtio_balloon_review(m->board.balloon);
    timer_arm(&m->ram_timer, clock_now(m->clock) + REVIEW_NS);
}

void ram_begin(struct machine *m)
{
    timer_init(&m->ram_timer, m->clock, review, m);
    if (m->config.nested)
        timer_arm(&m->ram_timer, clock_now(m->clock) + REVIEW_NS);
}

void ram_end(struct machine *m)
{
    if (m->ram_timer.clock)
        timer_cancel(&m->ram_timer);
}

/* Had and available at one moment: between two statistics the balloon moves. The numbers may be anything. The
 * guest's own total leaves out what its kernel took at boot, and leaves out or counts what it has given back,
 * by features; what it was given and has left is the same either way. */
static u64 used(const struct machine_ram *r, const struct balloon_info *b)
{
    u64 available = b->stat[VIRTIO_BALLOON_S_AVAIL];
    u64 had = r->size - (b->stats_actual < r->size ? b->stats_actual : r->size);
    if (!b->has_stats || available == BALLOON_UNKNOWN)
        return 0;
    return available < had ? had - available : PAGE_SIZE;
}

void machine_ram_state(struct machine *m, struct machine_ram *out)
{
    struct balloon_info b;
    virtio_balloon_info(m->board.balloon, &b);
    u64 size = m->config.memory;
    *out = (struct machine_ram){
        .size = size,
        .assigned = size - (b.actual < size ? b.actual : size),
        .wanted = size - (b.target < size ? b.target : size),
        .reported = b.reported,
        .driver = b.driver,
        .frozen = machine_nested_active(m),
    };
    out->used = used(out, &b);
}

int machine_ram_move(struct machine *m, u64 bytes, struct err *err)
{
    struct machine_ram now;
    machine_ram_state(m, &now);
    if (now.frozen)
        return err_set(
            err, EXIT_STATUS_USAGE,
            "memory stays while a hypervisor runs in the machine (nested virtualization is active)");
    if (bytes > now.size)
        return err_set(err, EXIT_STATUS_USAGE,
                       "%llu MiB are more than the %llu MiB that it was started with, and it does not grow "
                       "beyond them while it runs",
                       (unsigned long long)(bytes / MIB), (unsigned long long)(now.size / MIB));
    if (!now.driver && bytes != now.wanted)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the guest gives no memory back: its virtio balloon driver is not loaded, or not yet");
    virtio_balloon_set_target(m->board.balloon, now.size - bytes);
    return 0;
}

void machine_ram_poll(struct machine *m, u64 interval_ns)
{
    virtio_balloon_poll(m->board.balloon, interval_ns);
}
