/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers of whole processors share: two sides, one that interprets and one that translates, each
 * with memory and two processors of its own; a device behind memory and ports that answers with what was
 * asked of it so far and raises interrupts; and a watchdog, because a repeated string instruction may count
 * to 2^64 without one being finished.
 */
#ifndef FUZZ_PROCESSOR_RIG_H
#define FUZZ_PROCESSOR_RIG_H

#include <stdatomic.h>

#include "cpu/cpu.h"
#include "cpu/model.h"

struct side {
    struct space *memory, *ports;
    struct clock *clock;
    struct world *world;
    struct cpu *cpu[2];
    struct cpu *running;
    u64 asked;                            /* a hash of every access to the device */
    int vector;                           /* the interrupt that it raises, -1: none */
    void (*poked)(struct side *s, u64 v); /* writes to the device at offset 3 of 8 */
    u8 sipi_page;
    struct state_image state;
};

struct side_config {
    const struct cpu_model *model[2]; /* of each processor */
    u64 ram, device, device_size;
    void (*poked)(struct side *s, u64 v);
    u8 sipi_page; /* where a start-up interrupt leads */
    bool hears_eoi;
};

struct side_pair {
    struct side side[2];   /* interpreter, translator */
    atomic_uint run;       /* counts; odd while a processor runs */
    atomic_bool timed_out; /* the present run was told to leave: no run lasts much over 0.1 s */
};

/* Both sides, and the watchdog. For the life of the process. */
void side_pair_init(struct side_pair *p, const struct side_config *config);

/* Memory becomes image, the device forgets, and c is what it interrupts. */
void side_begin(struct side *s, struct cpu *c, const u8 *image, u64 ram);

/* c runs to the end of its budget. */
enum outcome side_run(struct side_pair *p, struct cpu *c);

#endif
