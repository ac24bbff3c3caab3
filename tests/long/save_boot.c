/* SPDX-License-Identifier: MIT */
/*
 * save_boot KERNEL INITRD [SAVES [SEED [CPUS]]]: boots a guest and, at SAVES random moments, saves it, throws
 * the machine away and goes on in a fresh one. Passes when the guest has powered off and printed BOOTED. The
 * console is copied to stdout.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm/machine.h"

#define APART_NS 400000000ull /* at most, between saves */

struct ride {
    struct machine_config config;
    struct machine *machine;
    struct timer timer;
    struct state_image image;
    unsigned saves_left;
    bool saved;
    char tail[8]; /* last bytes of console */
    bool booted;
};

static void serial_tx(void *opaque, u8 byte)
{
    struct ride *r = opaque;
    putchar(byte);
    memmove(r->tail, r->tail + 1, 5);
    r->tail[5] = (char)byte;
    r->booted |= memcmp(r->tail, "BOOTED", 6) == 0;
}

static void die(const struct err *err)
{
    fprintf(stderr, "save_boot: %s\n", err->text);
    exit(1);
}

static void save(void *opaque)
{
    struct ride *r = opaque;
    struct err err = {0};
    machine_pause(r->machine);
    if (machine_save(r->machine, &r->image, &err))
        die(&err);
    r->saved = true;
    machine_stop(r->machine);
    machine_resume(r->machine);
}

static void fresh_machine(struct ride *r)
{
    struct err err = {0};
    r->machine = machine_new(&r->config, &err);
    if (!r->machine)
        die(&err);
    timer_init(&r->timer, machine_clock(r->machine), save, r);
}

/* One leg of the ride: to the next save or the end. */
static enum machine_end leg(struct ride *r)
{
    r->saved = false;
    if (r->saves_left)
        timer_arm(&r->timer, clock_now(machine_clock(r->machine)) + 1 + (u64)rand() % APART_NS);
    struct machine_result res = machine_run(r->machine);
    timer_cancel(&r->timer);
    if (res.text[0])
        fprintf(stderr, "save_boot: %s\n", res.text);
    return res.end;
}

static void change_horses(struct ride *r)
{
    struct err err = {0};
    u64 at = clock_now(machine_clock(r->machine));
    machine_free(r->machine);
    fresh_machine(r);
    if (machine_restore(r->machine, &r->image, &err))
        die(&err);
    printf("\n[saved %zu KiB at %llu ms]\n", r->image.len / 1024, (unsigned long long)at / 1000000);
    state_free(&r->image);
    r->saves_left--;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc < 3)
        return 2;
    struct boot_file initrd = {open(argv[2], O_RDONLY | O_CLOEXEC), argv[2], NULL};
    struct boot_source src = {
        {open(argv[1], O_RDONLY | O_CLOEXEC), argv[1], NULL}, &initrd, 1, "console=ttyS0 panic=-1 nokaslr"};
    struct ride r = {.saves_left = argc > 3 ? (unsigned)atoi(argv[3]) : 10};
    srand(argc > 4 ? (unsigned)atoi(argv[4]) : 1);
    r.config = (struct machine_config){.memory = 256 * MIB,
                                       .cpus = argc > 5 ? (unsigned)atoi(argv[5]) : 1,
                                       .engine = &accel_soft,
                                       .serial = {serial_tx, NULL, &r},
                                       .no_reboot = true};
    fresh_machine(&r);
    if (machine_boot(r.machine, &src, &err))
        die(&err);
    enum machine_end end = leg(&r);
    while (end == MACHINE_STOPPED && r.saved) {
        change_horses(&r);
        end = leg(&r);
    }
    machine_free(r.machine);
    bool good = end == MACHINE_POWERED_OFF && r.booted && r.saves_left == 0;
    printf("save_boot: %s (end %d, %u saves left)\n", good ? "passed" : "FAILED", end, r.saves_left);
    return !good;
}
