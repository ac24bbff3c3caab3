/* SPDX-License-Identifier: MIT */
/*
 * A whole machine: create, furnish, boot (or restore), run, free.
 *
 *   machine_new() -> machine_add_disk() / machine_add_net() -> machine_boot() or machine_restore() ->
 * machine_run()
 *
 * A library: it prints nothing, opens no file once built and never ends the process; several machines live in
 * one process. Network ports need the machine's event loop, hence machine_loop() and the separate
 * machine_add_*().
 *
 * Threads. machine_run() turns the calling thread into the machine's event loop. machine_stop(),
 * machine_serial_*(), machine_power_button(), machine_reset() and machine_nmi() may be called from any
 * thread. machine_pause(), machine_nested_active(), machine_save() and machine_restore() are for the event
 * loop's thread (event_loop_post()), or while the machine does not run.
 */
#ifndef VM_MACHINE_H
#define VM_MACHINE_H

#include "accel/accel.h"
#include "base/event_loop.h"
#include "base/state.h"
#include "disk/block.h"
#include "net/port.h"
#include "vm/boot/boot.h"

#define MACHINE_CPUS_MAX 512

struct serial_sink {
    void (*tx)(void *opaque, u8 byte); /* on a vCPU's thread; must not block for long */
    void (*rx_ready)(void *opaque);    /* there is room again for machine_serial_receive(); may be NULL */
    void *opaque;
};

struct machine_config {
    u64 memory;      /* bytes, a multiple of 1 MiB */
    u64 memory_most; /* bytes it may grow to while it runs; up to `memory`: it does not grow */
    unsigned cpus;
    enum cpu_vendor vendor;
    const char *cpu_features; /* "+name,-name"; NULL: the model as it is */
    bool nested;
    u64 tsc_hz;  /* 0: 1 GHz */
    u64 wall_ns; /* the RTC's time at start, nanoseconds since 1970 UTC */
    const struct accel_ops *engine;
    struct accel_options options; /* options.icount chooses the counted clock; one CPU only */
    struct serial_sink serial;    /* COM1 */
    bool test_devices, no_reboot;
};

enum machine_end {
    MACHINE_RUNNING,
    MACHINE_POWERED_OFF,
    MACHINE_RESET, /* under no_reboot */
    MACHINE_PANIC,
    MACHINE_DEBUG_EXIT,
    MACHINE_TRIPLE_FAULT,
    MACHINE_HOST_ERROR,
    MACHINE_STOPPED, /* machine_stop() */
};

struct machine_result {
    enum machine_end end;
    int code;       /* of MACHINE_DEBUG_EXIT: the exit status, odd */
    char text[400]; /* of TRIPLE_FAULT and HOST_ERROR: what happened, one line */
};

struct machine;

struct machine *machine_new(const struct machine_config *cfg, struct err *err);
void machine_free(struct machine *m); /* NULL is fine; not while it runs */

struct event_loop *machine_loop(struct machine *m);
struct clock *machine_clock(struct machine *m);
struct space *machine_memory(struct machine *m);
/* Own the block or port from success on. Before machine_boot(). */
int must_check machine_add_disk(struct machine *m, struct block *b, struct err *err);
int must_check machine_add_net(struct machine *m, struct net_port *port, const u8 mac[6], struct err *err);

/* Loads the guest. src's files stay open and src's strings alive until machine_free(): a reset loads it
 * again. */
int must_check machine_boot(struct machine *m, const struct boot_source *src, struct err *err);

/* Runs until the machine ends, then stops its threads. */
struct machine_result machine_run(struct machine *m);
void machine_stop(
    struct machine *m); /* async-signal-safe enough for a signalfd or timer callback, not for a handler */

size_t machine_serial_receive(struct machine *m, const void *data,
                              size_t len); /* how many bytes were taken */
/* Presses the power button. False: nothing in the guest listens to it, yet or at all. */
bool machine_power_button(struct machine *m);
void machine_reset(struct machine *m); /* as the guest's own reset: soon, on the event loop */
void machine_nmi(struct machine *m);

void machine_pause(
    struct machine *m); /* counts; returns with every vCPU at a boundary and the clock standing */
void machine_resume(struct machine *m);

/* Whether a hypervisor runs guests in the machine now: one of its processors is in VMX operation, or has SVM
 * on with a host save area, and entered a guest within the last minute. As machine_pause(). */
bool machine_nested_active(struct machine *m);

/* Memory that moves: the guest's balloon below what the machine was built with, virtio-mem above. On the
 * event loop's thread.
 *
 * While a hypervisor runs guests in the machine its memory stays: pages that the guest reports as free are
 * not taken, nor is more of an earlier wish fulfilled, which holds again after. */
struct machine_ram {
    u64 size;     /* bytes of RAM that the machine was built with */
    u64 most;     /* what it can have: as was asked for, and less where the host had no addresses for it */
    u64 assigned; /* what the guest has, of those and of what came since */
    u64 wanted;   /* what `assigned` was asked to become */
    u64 used;     /* of the assigned: what the guest cannot spare; 0: it has not said */
    u64 reported; /* free pages taken on the guest's own report, bytes in all: it may use them at any time */
    bool driver;  /* the guest has a driver for the balloon; without one nothing is given back */
    bool grows;   /* the guest has a driver for virtio-mem; without one nothing comes */
    bool frozen;
};
void machine_ram_state(struct machine *m, struct machine_ram *out);
/* Refused (USAGE): more than it can have, while frozen, without the driver that it takes. Else the guest
 * begins to move. */
int must_check machine_ram_move(struct machine *m, u64 bytes, struct err *err);
/* How often the guest is asked what it uses; 0: never, as at first. */
void machine_ram_poll(struct machine *m, u64 interval_ns);

/* Everything the guest can see, RAM included. A restored machine has the same configuration and devices; it
 * needs no machine_boot(), but without one it ends instead of rebooting. */
int must_check machine_save(struct machine *m, struct state_image *img, struct err *err);
int must_check machine_restore(struct machine *m, const struct state_image *img, struct err *err);

/* What became of one vCPU's instructions. While it does not run. */
void machine_stats(struct machine *m, unsigned cpu, struct accel_stats *out);

/* What one vCPU's thread cost the host in machine_run(), after it; started and ended are of CLOCK_MONOTONIC.
 */
struct machine_times {
    u64 started_ns, ended_ns, cpu_ns;
};
void machine_times(struct machine *m, unsigned cpu, struct machine_times *out);

/* Equal for machines in equal states: processors, devices, the clock, RAM. While no vCPU runs. */
int must_check machine_hash(struct machine *m, u64 *hash, struct err *err);

#endif
