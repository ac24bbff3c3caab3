/* SPDX-License-Identifier: MIT */
/* Checks of a task switch's target, and who gets it. See the header. */
#include "cpu/task.h"

#include "cpu/nested/nested.h"
#include "cpu/system.h"

enum { LIMIT_16 = 0x2b, LIMIT_32 = 0x67 };

static bool is_tss(unsigned type, bool busy)
{
    return busy ? type == SYS_TSS_BUSY || type == SYS_TSS16_BUSY : type == SYS_TSS || type == SYS_TSS16;
}

static enum outcome refused(struct cpu *c, const struct task_switch *t, u32 error)
{
    return fault_error(c, t->source == TASK_IRET ? VEC_TS : VEC_GP, error);
}

/* SDM 3A table 7-1 */
static enum outcome check(struct cpu *c, const struct task_switch *t, u32 ext)
{
    u32 error = (t->tss & ~3u) | ext;
    u64 d;
    bool ok;
    if (!(t->tss & ~7) || (t->tss & 4))
        return refused(c, t, error);
    if (descriptor_read(c, t->tss, &d, &ok) != DONE)
        return FAULT;
    if (!ok || desc_s(d) || !is_tss(desc_type(d), t->source == TASK_IRET))
        return refused(c, t, error);
    if (!desc_present(d))
        return fault_error(c, VEC_NP, error);
    u32 least = desc_type(d) & 8 ? LIMIT_32 : LIMIT_16;
    return descriptor_decode(t->tss, d).limit < least ? fault_error(c, VEC_TS, error) : DONE;
}

enum outcome task_switch(struct cpu *c, const struct task_switch *t, u32 ext)
{
    if (check(c, t, ext) != DONE)
        return FAULT;
    if (nested_guest(c) && c->nested->ops->task_switch && c->nested->ops->task_switch(c, t))
        return END;
    return fault_error(c, VEC_GP, (t->tss & ~3u) | ext);
}

enum outcome task_return(struct cpu *c)
{
    u16 link;
    if (system_read(c, c->seg[SEG_TR].base, &link, sizeof(link)) != DONE)
        return FAULT;
    return task_switch(c, &(struct task_switch){.tss = link, .source = TASK_IRET}, 0);
}
