/* SPDX-License-Identifier: MIT */
/* The guest is asked each second of the machine's own time, so a paused machine is left alone. */
#include "main/vm_memory.h"

#include <stdlib.h>

#include "main/host_memory.h"
#include "vm/ram_policy.h"

#define INTERVAL_NS 1000000000ull

struct vm_memory {
    struct machine *machine;
    bool dynamic;
    int host; /* of host_memory_open() */
    struct ram_policy policy;
    struct timer timer;
};

static u64 spare(const struct vm_memory *v)
{
    struct host_memory h;
    return host_memory_read(v->host, &h) ? ram_policy_spare(v->policy.priority, h.total, h.available)
                                         : RAM_SPARE_UNKNOWN;
}

static void follow(void *opaque)
{
    struct vm_memory *v = opaque;
    struct machine_ram now;
    struct err err = {0};
    machine_ram_state(v->machine, &now);
    u64 next = ram_policy_next(&v->policy, &now, spare(v));
    if (next != now.wanted && machine_ram_move(v->machine, next, &err))
        log_line("dynamic memory: %s", err.text); /* the policy asks only for what can be had */
    timer_arm(&v->timer, clock_now(machine_clock(v->machine)) + INTERVAL_NS);
}

struct vm_memory *vm_memory_new(struct machine *m, const struct vm_config *c, int host, struct err *err)
{
    struct vm_memory *v = calloc(1, sizeof(*v));
    if (!v) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for the control of memory");
        return NULL;
    }
    *v = (struct vm_memory){.machine = m,
                            .dynamic = c->dynamic,
                            .host = host,
                            .policy = {c->memory_minimum, c->memory_maximum, (unsigned)c->memory_buffer,
                                       (unsigned)c->memory_priority}};
    timer_init(&v->timer, machine_clock(m), follow, v);
    machine_ram_poll(m, INTERVAL_NS);
    if (v->dynamic)
        timer_arm(&v->timer, clock_now(machine_clock(m)) + INTERVAL_NS);
    return v;
}

int vm_memory_change(struct vm_memory *v, const struct message *m, struct err *err)
{
    struct err why = {0};
    if (!v->dynamic)
        return machine_ram_move(v->machine, m->memory, &why) == 0
                   ? 0
                   : err_set_id(err, why.status, ERROR_INVALID_STATE, "The memory cannot move: %s.",
                                why.text);
    v->policy = (struct ram_policy){m->memory_minimum, m->memory_maximum, (unsigned)m->memory_buffer,
                                    (unsigned)m->memory_priority};
    return 0;
}

void vm_memory_report(struct vm_memory *v, struct message *status)
{
    struct machine_ram now;
    machine_ram_state(v->machine, &now);
    status->memory = now.assigned;
    status->memory_demand = now.used;
    status->nested_active = now.frozen;
}
