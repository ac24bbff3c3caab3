/* SPDX-License-Identifier: MIT */
/*
 * save_points MODE KERNEL INITRD SEED: a Linux guest that is stopped at random points, saved, and continued
 * in a new machine each time, against the same guest uninterrupted.
 *
 * MODE icount-off, icount-on (jit): the clock counts instructions, and every console byte, every hash of the
 * processor's state and the hash of the whole machine at the end must be as without interruption. Stops come
 * from another thread, so they fall anywhere in a slice. MODE real (two processors, jit): the guest must end
 * as it should; what it printed is left to the caller. The console goes to stdout, the rest to stderr.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm/machine.h"

#define CONSOLE_MAX (256 * KIB)
#define HASHES_MAX  20000
#define DISK_SIZE   (4 * MIB)

/* Often enough for any host's speed, and rarely enough to be done in time on a slow one. */
#define REAL_APART_NS  800000000ull
#define REAL_SAVES_MAX 12

struct mark {
    u64 retired, hash;
};

struct ride {
    struct machine_config config;
    struct boot_source source;
    int disk;
    struct machine *machine;
    struct timer timer; /* real mode: the next stop */
    u64 stop_at;        /* counted mode: stop behind this many instructions */
    bool posted;
    char console[CONSOLE_MAX];
    size_t len;
    struct mark marks[HASHES_MAX];
    unsigned mark_count;
    u64 retired, end_hash;
    const struct ride *model; /* what it must be like, NULL: it is the model */
};

static void die(const char *what)
{
    fprintf(stderr, "save_points: %s\n", what);
    exit(1);
}

static void serial_tx(void *opaque, u8 byte)
{
    struct ride *r = opaque;
    if (r->len == CONSOLE_MAX)
        die("too much on the console");
    r->console[r->len++] = (char)byte;
}

static void stop(void *opaque)
{
    machine_stop(((struct ride *)opaque)->machine);
}

/* On the vCPU's thread: it goes on while the loop's thread stops it. */
static void on_hash(void *opaque, unsigned vcpu, u64 retired, u64 hash)
{
    struct ride *r = opaque;
    unsigned i = r->mark_count;
    if (i == HASHES_MAX)
        die("the guest does not end");
    if (r->model && (i >= r->model->mark_count || r->model->marks[i].retired != retired ||
                     r->model->marks[i].hash != hash)) {
        fprintf(stderr, "save_points: the first difference is at or before instruction %llu\n",
                (unsigned long long)retired);
        exit(1);
    }
    r->marks[r->mark_count++] = (struct mark){retired, hash};
    if (r->stop_at && retired >= r->stop_at && !r->posted) {
        r->posted = true;
        event_loop_post(machine_loop(r->machine), stop, r);
    }
}

static void build(struct ride *r)
{
    struct err err = {0};
    struct block *b = NULL;
    r->machine = machine_new(&r->config, &err);
    if (r->machine)
        b = block_raw(dup(r->disk), false, &err);
    if (!b || machine_add_disk(r->machine, b, &err) || machine_boot(r->machine, &r->source, &err))
        die(err.text);
    timer_init(&r->timer, machine_clock(r->machine), stop, r);
}

/* Over into a new machine, which has begun to boot in vain. */
static void change(struct ride *r)
{
    struct err err = {0};
    struct state_image image = {0};
    struct accel_stats s;
    machine_stats(r->machine, 0, &s);
    if (machine_save(r->machine, &image, &err))
        die(err.text);
    fprintf(stderr, "saved at instruction %llu, %llu ms, %zu KiB\n", (unsigned long long)s.retired,
            (unsigned long long)(clock_now(machine_clock(r->machine)) / 1000000), image.len / 1024);
    machine_free(r->machine);
    build(r);
    if (machine_restore(r->machine, &image, &err))
        die(err.text);
    state_free(&image);
}

/* To the next stop; false: the guest powered off. */
static bool leg(struct ride *r)
{
    struct machine_result res = machine_run(r->machine);
    timer_cancel(&r->timer);
    r->posted = false;
    if (res.end != MACHINE_STOPPED && res.end != MACHINE_POWERED_OFF) {
        fwrite(r->console, 1, r->len, stdout);
        fprintf(stderr, "the guest ended with %d: %s\n", res.end, res.text);
        die("it should power off");
    }
    return res.end == MACHINE_STOPPED;
}

static void finish(struct ride *r)
{
    struct err err = {0};
    struct accel_stats s;
    machine_stats(r->machine, 0, &s);
    r->retired = s.retired;
    if (machine_hash(r->machine, &r->end_hash, &err))
        die(err.text);
    machine_free(r->machine);
}

static struct ride *ride_new(const struct machine_config *config, const struct boot_source *source)
{
    struct ride *r = calloc(1, sizeof(*r));
    if (!r)
        die("no memory");
    r->config = *config;
    r->config.serial = (struct serial_sink){serial_tx, NULL, r};
    r->config.options.hash_opaque = r;
    r->source = *source;
    r->disk = memfd_create("disk", MFD_CLOEXEC);
    if (r->disk < 0 || ftruncate(r->disk, DISK_SIZE))
        die("no disk");
    build(r);
    return r;
}

static u64 random_below(u64 n)
{
    return ((u64)rand() << 31 | (u64)rand()) % n;
}

static void compare(const struct ride *a, const struct ride *b)
{
    if (a->len != b->len || memcmp(a->console, b->console, a->len))
        die("the consoles differ");
    if (a->mark_count != b->mark_count || a->retired != b->retired)
        die("the numbers of instructions differ");
    if (a->end_hash != b->end_hash)
        die("the machines differ in the end, though their processors do not");
}

static void counted(const struct machine_config *config, const struct boot_source *source)
{
    struct ride *model = ride_new(config, source);
    if (leg(model))
        die("nobody stopped it");
    finish(model);
    struct ride *r = ride_new(config, source);
    r->model = model;
    unsigned saves = 0;
    u64 apart = model->retired / 8;
    for (r->stop_at = 1 + random_below(apart); leg(r); saves++) {
        change(r);
        r->stop_at += 1 + random_below(apart);
    }
    finish(r);
    compare(model, r);
    fwrite(r->console, 1, r->len, stdout);
    fprintf(stderr, "%u saves, %u states equal, %llu instructions\n", saves, r->mark_count,
            (unsigned long long)r->retired);
    if (saves < 4)
        die("too few saves");
}

static void real(const struct machine_config *config, const struct boot_source *source)
{
    struct ride *r = ride_new(config, source);
    unsigned saves = 0;
    for (timer_arm(&r->timer, 1 + random_below(REAL_APART_NS)); leg(r); saves++) {
        change(r);
        if (saves < REAL_SAVES_MAX)
            timer_arm(&r->timer, clock_now(machine_clock(r->machine)) + 1 + random_below(REAL_APART_NS));
    }
    finish(r);
    fwrite(r->console, 1, r->len, stdout);
    fprintf(stderr, "%u saves\n", saves);
    if (saves < 4)
        die("too few saves");
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage: save_points icount-off|icount-on|real KERNEL INITRD SEED");
    bool is_real = strcmp(argv[1], "real") == 0;
    struct boot_file initrd = {open(argv[3], O_RDONLY | O_CLOEXEC), argv[3], NULL};
    struct boot_source source = {
        {open(argv[2], O_RDONLY | O_CLOEXEC), argv[2], NULL}, &initrd, 1, "console=ttyS0 panic=-1"};
    struct machine_config config = {.memory = 256 * MIB,
                                    .cpus = is_real ? 2 : 1,
                                    .wall_ns = 1735689600000000000ull,
                                    .engine = &accel_soft,
                                    .options = {.jit = strcmp(argv[1], "icount-off") != 0,
                                                .icount = !is_real,
                                                .hash = is_real ? NULL : on_hash},
                                    .no_reboot = true};
    if (initrd.fd < 0 || source.kernel.fd < 0)
        die("the kernel or the initrd cannot be opened");
    fprintf(stderr, "seed %s\n", argv[4]);
    srand((unsigned)atoi(argv[4]));
    (is_real ? real : counted)(&config, &source);
    return 0;
}
