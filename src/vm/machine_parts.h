/* SPDX-License-Identifier: MIT */
/* The inside of a machine, for the files of vm/ that make it up: machine.c, vcpu.c, save.c. Nobody else
 * includes it. */
#ifndef VM_MACHINE_PARTS_H
#define VM_MACHINE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "vm/board.h"
#include "vm/machine.h"

struct vcpu {
    struct machine *machine;
    unsigned index;
    struct accel_vcpu *accel; /* NULL while the machine is being built */
    pthread_t thread;
    bool started;
    bool at_rest;      /* under machine.lock: not in run(), and will not enter it while paused */
    atomic_uint wakes; /* a futex: changes whenever there may be a reason to wake */
    atomic_bool asleep;
    struct machine_times times; /* whole once the thread has ended */
};

struct machine {
    struct machine_config config;
    struct cpu_model model;
    struct memory_map map;
    struct clock *clock;
    struct event_loop *loop;
    struct space *memory, *ports;
    struct dev_env env;
    struct board board;
    struct accel_vm *vm;
    struct vcpu *vcpus; /* config.cpus of them */
    pthread_key_t self; /* the thread's struct vcpu */
    bool has_self;
    u64 rsdp;
    const struct boot_source *boot; /* NULL: restored, or not booted */
    struct boot_source boot_copy;

    pthread_mutex_t lock;
    pthread_cond_t rested;        /* some vCPU came to rest, or may leave it */
    unsigned pauses;              /* under lock */
    atomic_bool ending;           /* the machine's end is decided: no vCPU runs any more */
    atomic_bool resetting;        /* a reset was asked for and not yet done: no vCPU runs */
    struct machine_result result; /* under lock until the end, the first one counts */
};

/* vcpu.c */
int must_check vcpus_start(struct machine *m, struct err *err);
void vcpus_join(struct machine *m);
void vcpu_signal(void *vcpu, unsigned what); /* lapic_cpu.signal */
void vcpu_kick_all(struct machine *m);  /* out of run() and out of sleep, to look at the machine's wishes */
void vcpu_wait_rest(struct machine *m); /* after kicking, with lock held: until all are at rest */

/* machine.c: decides the end. text may be NULL. */
void machine_set_end(struct machine *m, enum machine_end end, int code, const char *text);

#endif
