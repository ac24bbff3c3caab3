/* SPDX-License-Identifier: MIT */
/*
 * Exits of one vCPU counted by VMCS or VMCB and reason, and what they cost its hypervisor: from an exit to
 * the next VM entry of that vCPU, in instructions and in time of the machine's clock. What the hypervisor did
 * meanwhile for other reasons, such as sleeping, is in it. Fed with events in their order.
 */
#ifndef CPU_NESTED_EXIT_COUNTS_H
#define CPU_NESTED_EXIT_COUNTS_H

#include "x86/nested_event.h"

enum { EXIT_COUNTS_SLOTS = 4096, EXIT_COUNTS_MAX = EXIT_COUNTS_SLOTS / 4 * 3 };

struct exit_count {
    u64 where, code; /* of struct nested_event */
    u64 count;       /* 0: the slot is free */
    u64 closed;      /* of them followed by an entry; the sums are theirs */
    u64 retired, ns;
};

struct exit_counts { /* zeroed, then fed */
    u64 lost;        /* exits that found the table full */
    unsigned used;
    u8 vendor;
    struct exit_count *open; /* of the exit whose entry has not come yet, or NULL */
    u64 open_retired, open_time;
    struct exit_count slot[EXIT_COUNTS_SLOTS];
};

/* NESTED_EXIT, NESTED_REFUSED and NESTED_ENTRY count; other kinds are passed over. */
void exit_counts_feed(struct exit_counts *t, const struct nested_event *e);

/* The used slots by VMCS or VMCB, of each the most frequent first. out: EXIT_COUNTS_MAX pointers. Returns how
 * many. */
unsigned exit_counts_sort(const struct exit_counts *t, const struct exit_count **out);

#endif
