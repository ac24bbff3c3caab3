/* SPDX-License-Identifier: MIT */
/*
 * Hardware task switches, as far as they go here: what asks for one is checked, a hypervisor that intercepts
 * it takes it from there, and nobody else gets it. SDM 3A 7.3; APM 2 12.4
 */
#ifndef CPU_TASK_H
#define CPU_TASK_H

#include "cpu/cpu.h"

enum task_source {
    TASK_CALL,
    TASK_IRET,
    TASK_JMP,
    TASK_GATE
}; /* GATE: of the IDT. ORDER: SDM 3C table 27-2 */

struct task_switch {
    u16 tss; /* selector */
    enum task_source source;
    const struct event *event; /* GATE: what led there; NULL otherwise */
};

/* ext: of error codes. END: the exit was taken. FAULT: a check failed, or #GP(tss): there are no task
 * switches. */
enum outcome task_switch(struct cpu *c, const struct task_switch *t, u32 ext);
/* IRET with NT, outside IA-32e mode. */
enum outcome task_return(struct cpu *c);

#endif
