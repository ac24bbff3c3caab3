/* SPDX-License-Identifier: MIT */
/* The inside of a machine, for the files of vm/ that make it up: machine.c, vcpu.c, ram.c, save.c,
 * debugger.c.
 * Nobody else includes it. */
#ifndef VM_MACHINE_PARTS_H
#define VM_MACHINE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "vm/board.h"
#include "vm/debugger.h"
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
    atomic_bool held;           /* a debugger keeps it at rest */
    bool has_stop; /* stop is to be told to the debugger; both under machine.lock while it runs */
    struct debug_stop stop;
};

/* Of vm/debugger.c. What is not atomic is the event loop's thread's alone. */
struct machine_debug {
    void (*sink)(void *opaque, const struct debug_stop *stop);
    void *opaque;
    atomic_bool attached;
    atomic_bool stopping; /* a vCPU met something: none runs until that was told */
    bool stopped;         /* holds a pause */
    unsigned told;        /* the vCPU told of last */
    enum { DEBUG_NO_RESET, DEBUG_RESET_DUE, DEBUG_RESET_TOLD } reset;
    enum machine_end end; /* what happens when it goes on; RUNNING: nothing. Under machine.lock */
    char end_text[400];
};

/* Of vm/ram.c. But for nested_then the event loop's thread's alone. */
struct ram_control {
    struct timer timer;
    atomic_bool nested_then; /* of engines that say it at rest only: what they said last */
    u64 wanted;              /* bytes: what the machine should have */
    u64 overhead;            /* bytes that the guest's own total leaves out; of use once known */
    u32 overhead_known;
    u64 plugged_then;  /* at the last look */
    unsigned patience; /* looks at which too much was plugged and none of it went */
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
    struct machine_debug debug;
    struct ram_control ram;
};

/* vcpu.c */
int must_check vcpus_start(struct machine *m, struct err *err);
void vcpus_join(struct machine *m);
void vcpu_signal(void *vcpu, unsigned what); /* lapic_cpu.signal */
void vcpu_kick_all(struct machine *m);  /* out of run() and out of sleep, to look at the machine's wishes */
void vcpu_wait_rest(struct machine *m); /* after kicking, with lock held: until all are at rest */
void vcpu_wake_rest(struct machine *m); /* those at rest look at the machine's wishes again */

/* machine.c: decides the end. text may be NULL. */
void machine_set_end(struct machine *m, enum machine_end end, int code, const char *text);
void machine_reset_now(struct machine *m); /* on the event loop's thread: the reset that was asked for */

/* ram.c */
int must_check ram_build(struct machine *m, struct err *err); /* the map, and the RAM behind it */
struct balloon_port ram_balloon_port(struct machine *m);
struct memory_port ram_blocks_port(struct machine *m);
int must_check ram_plug(struct machine *m, u64 gpa, u64 size); /* blocks, as of a saved machine */
void ram_restored(struct machine *m, u64 wanted, u64 overhead, bool overhead_known);
void ram_begin(struct machine *m); /* the machine is built */
void ram_end(struct machine *m);   /* fine also when it never was */

/* debugger.c. On the vCPU's thread: the engine's run() came back with ACCEL_EXIT_DEBUG. */
void debugger_report(struct vcpu *v);
/* True: a debugger is there, the machine stops first. takes_reset is for the event loop's thread. */
bool debugger_takes_end(struct machine *m, enum machine_end end, const char *text);
bool debugger_takes_reset(struct machine *m);

#endif
