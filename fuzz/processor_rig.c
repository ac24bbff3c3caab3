/* SPDX-License-Identifier: MIT */
#include "processor_rig.h"

#include <pthread.h>
#include <unistd.h>

#include "cpu/world.h"
#include "jit/jit.h"

/* ---- the device ---- */

static u64 device_read(void *dev, u64 off, unsigned size)
{
    struct side *s = dev;
    s->asked = (s->asked ^ off << 8 ^ size) * 0x9e3779b97f4a7c15ull;
    return s->asked >> 20;
}

static void device_write(void *dev, u64 off, unsigned size, u64 v)
{
    struct side *s = dev;
    s->asked = (s->asked ^ v ^ off << 8 ^ size) * 0x9e3779b97f4a7c15ull;
    if ((off & 7) == 1) {
        s->vector = (int)(32 + (v & 31));
        cpu_request(s->running, REQ_INTR);
    } else if ((off & 7) == 2) {
        cpu_request(s->running, REQ_NMI);
    } else if ((off & 7) == 3) {
        s->poked(s, v);
    }
}

static int apic_pending(void *opaque)
{
    return ((struct side *)opaque)->vector;
}

static int apic_acknowledge(void *opaque)
{
    struct side *s = opaque;
    int v = s->vector;
    s->vector = -1;
    return v;
}

static u8 apic_get_tpr(void *opaque)
{
    return (u8)((struct side *)opaque)->asked;
}

static void apic_set_tpr(void *opaque, u8 tpr)
{
    device_write(opaque, 0, 1, tpr);
}

static bool apic_msr_read(void *opaque, u32 msr, u64 *v)
{
    *v = device_read(opaque, msr, 8);
    return msr & 1;
}

static bool apic_msr_write(void *opaque, u32 msr, u64 v)
{
    device_write(opaque, msr, 8, v);
    return msr & 1;
}

static u8 apic_take_sipi(void *opaque)
{
    return ((struct side *)opaque)->sipi_page;
}

static void apic_init(void *opaque) {}

static void apic_eoi(void *opaque)
{
    device_write(opaque, 4, 1, 0);
}

/* ---- the sides ---- */

static void side_init(struct side *s, const struct side_config *f, bool jit)
{
    static const struct region_ops ops = {.read = device_read, .write = device_write};
    struct region mmio = {.base = f->device, .size = f->device_size, .ops = &ops, .dev = s, .name = "fuzz"};
    struct region port = {.base = 0, .size = 0x8000, .ops = &ops, .dev = s, .name = "fuzz"};
    s->poked = f->poked;
    s->sipi_page = f->sipi_page;
    s->memory = space_new(1ull << 39);
    s->ports = space_new(0x10000);
    s->clock = clock_new(CLOCK_MODE_ICOUNT, 0);
    s->world = world_new();
    bug_on(space_add_ram(s->memory, 0, f->ram, NULL) || space_add_region(s->memory, &mmio) ||
               space_add_region(s->ports, &port),
           "no memory");
    world_watch(s->world, s->memory);
    for (int i = 0; i < 2; i++) {
        struct cpu_init init = {.memory = s->memory,
                                .ports = s->ports,
                                .clock = s->clock,
                                .world = s->world,
                                .model = f->model[i],
                                .random_seed = 1};
        init.apic = (struct apic_port){.opaque = s,
                                       .pending = apic_pending,
                                       .acknowledge = apic_acknowledge,
                                       .get_tpr = apic_get_tpr,
                                       .set_tpr = apic_set_tpr,
                                       .msr_read = apic_msr_read,
                                       .msr_write = apic_msr_write,
                                       .take_sipi = apic_take_sipi,
                                       .init = apic_init,
                                       .eoi = f->hears_eoi ? apic_eoi : NULL};
        s->cpu[i] = cpu_new(&init, NULL);
        bug_on(!s->cpu[i], "no processor");
        struct jit_cache *cache = jit ? jit_cache_new(NULL, NULL) : NULL; /* models may differ */
        bug_on(jit && (!cache || jit_attach(s->cpu[i], cache, NULL)), "no translator");
    }
}

static void *watchdog(void *opaque)
{
    struct side_pair *p = opaque;
    for (unsigned last = 0, ticks = 0;;) {
        usleep(20000);
        unsigned now = atomic_load(&p->run);
        ticks = now == last && now % 2 ? ticks + 1 : 0;
        last = now;
        if (ticks < 5)
            continue;
        atomic_store(&p->timed_out, true);
        for (unsigned i = 0; i < 4; i++)
            cpu_request(p->side[i / 2].cpu[i % 2], REQ_LEAVE);
    }
    return NULL;
}

void side_pair_init(struct side_pair *p, const struct side_config *config)
{
    pthread_t thread;
    side_init(&p->side[0], config, false);
    side_init(&p->side[1], config, true);
    bug_on(pthread_create(&thread, NULL, watchdog, p), "no thread");
}

void side_begin(struct side *s, struct cpu *c, const u8 *image, u64 ram)
{
    for (u64 at = 0; at < ram; at += PAGE_SIZE)
        if (memcmp(space_ram(s->memory, at, NULL), image + at, PAGE_SIZE))
            space_write(s->memory, at, image + at, PAGE_SIZE);
    s->asked = 1;
    s->vector = -1;
    s->running = c;
}

enum outcome side_run(struct side_pair *p, struct cpu *c)
{
    atomic_fetch_add(&p->run, 1);
    enum outcome o = cpu_run(c);
    atomic_fetch_add(&p->run, 1);
    return o;
}
