/* SPDX-License-Identifier: MIT */
/* The entry points behind main(), and what the first process of a run hands to the others. */
#ifndef MAIN_RUN_H
#define MAIN_RUN_H

#include <stdatomic.h>

#include "cmd/run_files.h"
#include "cmd/run_options.h"
#include "main/cable.h"

/* `droste run`: argv is what follows "run". Returns the exit status. */
int main_run(int argc, char *const *argv);

/* `droste switch`, internal: the supervisor of one virtual switch; argv is what follows, the switch's id. */
int main_switch(int argc, char *const *argv);

/* `droste worker`, internal: one stored VM; argv is what follows, the VM's name. Returns the exit status. */
int main_worker(int argc, char *const *argv);

struct accel_ops;
struct nested_ring;
struct worker_nested;
struct worker_jit;

struct run_job {
    struct run_config config;
    struct run_files files;
    /* Of each adapter: what the worker has, and the other end, for the network process; -1: none. */
    int net_worker[RUN_NETS_MAX], net_switch[RUN_NETS_MAX];
    struct cables cables;           /* of the worker */
    const struct accel_ops *engine; /* what --engine comes to */
    int device;                     /* /dev/kvm for engine kvm, else -1 */
    int smaps;                      /* of the worker, for --trace stats */
    atomic_bool trace_failed;       /* a trace could not be written, and it was said */
    struct nested_ring *rings;      /* one a vCPU, shared by all processes, or NULL */
    struct worker_nested *nested;   /* of the worker */
    struct worker_jit *jit;         /* of the worker, for --trace jit, perf, gdbjit */
    u64 start_ns;                   /* of the program, CLOCK_MONOTONIC */
    bool terminal;                  /* stdin is a terminal that is ours to use */
};

/* Bodies of the two children; control: their socket to the first process. Return the exit status. */
int run_worker(void *job, int control);
int run_user_net(void *job, int control);

#endif
