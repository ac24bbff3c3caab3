/* SPDX-License-Identifier: MIT */
/* VMX: the vCPU's state and its place in the processor. */
#include "cpu/nested/vmx.h"

#include <stdlib.h>

static void set_held(struct cpu *c, bool held)
{
    vmx_of(c)->held = held;
    c->vmcs = held ? &vmx_of(c)->v : NULL;
}

struct vmcs *vmx_current(struct cpu *c)
{
    struct vmx *x = vmx_of(c);
    if (likely(x->held))
        return &x->v;
    const struct vmcs *page = x->current == VMCS_NONE ? NULL : vmcs_at(c, x->current);
    if (!page)
        return NULL;
    vmcs_load(&x->v, page);
    set_held(c, true);
    return &x->v;
}

void vmx_set_current(struct cpu *c, u64 pointer)
{
    struct vmx *x = vmx_of(c);
    struct vmcs *page = x->held ? vmcs_at(c, x->current) : NULL;
    if (pointer == x->current)
        return;
    if (page) {
        vmcs_store(page, &x->v);
        vmcs_written(c, x->current);
    }
    set_held(c, false);
    x->current = pointer;
}

static bool triple_fault(struct cpu *c)
{
    vmx_exit(c, &(struct vmx_exit){.reason = EXIT_TRIPLE_FAULT});
    return true;
}

static bool init(struct cpu *c)
{
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_INIT);
    vmx_exit(c, &(struct vmx_exit){.reason = EXIT_INIT});
    return true;
}

/* Ends wait-for-SIPI. 25.2 */
static bool sipi(struct cpu *c)
{
    vmx_exit(c, &(struct vmx_exit){.reason = EXIT_SIPI, .qualification = c->sipi_vector});
    return true;
}

static void saving(void *obj)
{
    struct vmx *x = obj;
    const struct nested_state *n = x->cpu->nested;
    x->saved_guest = n->guest;
    x->saved_stepping = x->cpu->stepping;
    x->saved_deadline = n->deadline;
    x->saved_entries = n->entries;
    x->saved_last_entry = n->last_entry;
}

/* Images of before the processor held the current VMCS have the copy that a guest runs by, and in root
 * operation nothing that is not on its page. */
static void take_old_image(struct vmx *x)
{
    if (x->held || !x->saved_guest)
        return;
    x->held = true;
    x->v.revision = VMCS_REVISION;
    x->v.launched = 1;
}

static int loaded(void *obj)
{
    struct vmx *x = obj;
    struct cpu *c = x->cpu;
    take_old_image(x);
    vmcs_trim(&x->v);
    if (!x->on) {
        x->current = VMCS_NONE;
        x->held = false;
    }
    set_held(c, x->held);
    if (x->saved_guest && (!x->on || !vmx_host_state_valid(c, x) || x->saved_stepping > STEP_TAKEN ||
                           x->apic_write > PAGE_SIZE + 1))
        return -1;
    x->second.reason &= 0xffff;
    c->nested->deadline = x->saved_deadline;
    c->nested->entries = x->saved_entries;
    c->nested->last_entry = x->saved_last_entry;
    if (!x->saved_guest)
        return 0;
    vmx_set_nested(c);
    c->stepping = x->saved_stepping;
    vmx_keep_timer(c);
    vmx_arm(c, vmx_timer_over(c));
    cpu_mode_changed(c);
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct vmx, on),
    STATE_FIELD(struct vmx, host_nmi_blocked),
    STATE_FIELD(struct vmx, vmxon),
    STATE_FIELD(struct vmx, current),
    STATE_FIELD(struct vmx, held),
    STATE_FIELD(struct vmx, v.revision),
    STATE_FIELD(struct vmx, v.launched),
#define VMCS_FIELD(name, encoding, group) {"vmcs." #name, offsetof(struct vmx, v.f[VMCS_##name]), 8, 1},
#include "x86/vmcs.def"
#undef VMCS_FIELD
    {"deadline", offsetof(struct vmx, saved_deadline), 8, 1},
    STATE_FIELD(struct vmx, trap_flag),
    STATE_FIELD(struct vmx, virtual_pending),
    STATE_FIELD(struct vmx, apic_write),
    STATE_FIELD(struct vmx, pause_seen),
    STATE_FIELD(struct vmx, pause_first),
    STATE_FIELD(struct vmx, pause_last),
    STATE_FIELD(struct vmx, saved_stepping),
    STATE_FIELD(struct vmx, saved_guest),
    STATE_FIELD(struct vmx, saved_entries),
    STATE_FIELD(struct vmx, saved_last_entry),
    STATE_END,
};

static const struct state_desc vmx_state_desc = {
    .name = "vmx", .fields = fields, .saving = saving, .loaded = loaded};

static const struct nested_ops vmx_ops = {
    .name = "vmx",
    .state = &vmx_state_desc,
    .insn = vmx_insn,
    .fault = vmx_fault,
    .boundary = vmx_boundary,
    .due = vmx_due,
    .triple_fault = triple_fault,
    .init = init,
    .sipi = sipi,
    .stepped = vmx_stepped,
    .translate = vmx_translate,
};

static void timer_fired(void *opaque)
{
    struct cpu *c = opaque;
    cpu_request(c, REQ_NESTED);
    if (c->wake)
        c->wake(c->wake_opaque);
}

int vmx_new(struct cpu *c)
{
    struct vmx *x = calloc(1, sizeof(*x));
    if (!x)
        return -1;
    x->cpu = c;
    c->nested->vmx = x;
    c->nested->ops = &vmx_ops;
    x->current = VMCS_NONE;
    if (c->clock)
        timer_init(&x->timer, c->clock, timer_fired, c);
    return 0;
}

void vmx_free(struct cpu *c)
{
    if (c->clock)
        timer_cancel(&vmx_of(c)->timer);
    free(c->nested->vmx);
}

void vmx_reset(struct cpu *c)
{
    struct vmx *x = vmx_of(c);
    x->on = x->host_nmi_blocked = x->trap_flag = x->virtual_pending = x->pause_seen = false;
    x->apic_write = 0;
    c->stepping = STEP_OFF;
    x->vmxon = 0;
    x->current = VMCS_NONE;
    set_held(c, false);
    c->nested->deadline = CLOCK_NEVER;
    if (c->clock)
        timer_cancel(&x->timer);
    atomic_fetch_and(&c->requests, ~(unsigned)REQ_NESTED);
}

bool vmx_operation(const struct cpu *c)
{
    return vmx_of(c)->on;
}

bool nested_blocks_init(const struct cpu *c)
{
    return c->nested && c->nested->vmx && vmx_of(c)->on &&
           (!c->nested->guest || c->activity == CPU_WAIT_SIPI);
}

void vmx_view(const struct cpu *c, struct nested_view *out)
{
    const struct vmx *x = vmx_of(c);
    out->vmx = true;
    out->operation = x->on;
    out->region = x->vmxon;
    out->control = x->current;
}

/* Fixed bits are those of VMX operation; an unrestricted guest may clear PE and PG. SDM 3C 23.8 */
bool nested_cr0_allowed(const struct cpu *c, u64 v)
{
    if (!c->nested || !c->nested->vmx || !vmx_of(c)->on)
        return true;
    bool free = c->nested->guest && ctl2(&vmx_of(c)->v, UNRESTRICTED);
    u64 need = CR0_NE | (free ? 0 : CR0_PE | (u64)CR0_PG);
    return (v & need) == need;
}

bool nested_cr4_allowed(const struct cpu *c, u64 v)
{
    return !c->nested || !c->nested->vmx || !vmx_of(c)->on || (v & CR4_VMXE);
}
