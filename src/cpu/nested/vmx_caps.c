/* SPDX-License-Identifier: MIT */
/* The VMX capability MSRs, made of the list of controls that are offered. SDM 3C appendix A */
#include "cpu/control.h"
#include "cpu/msr.h"
#include "cpu/nested/vmx.h"

struct controls {
    u32 offered, must, must_true;
};

#define VMX_DEFAULT1(group, basic, with_true) enum { group##_MUST = basic, group##_MUST_TRUE = with_true };
#define VMX_CONTROL(...)
#include "x86/vmx_controls.def"
#undef VMX_DEFAULT1
#undef VMX_CONTROL

static u32 offered(enum vmcs_field group)
{
    u32 v = 0;
#define VMX_DEFAULT1(...)
#define VMX_CONTROL(g, name, bit) v |= group == VMCS_##g ? 1u << (bit) : 0;
#include "x86/vmx_controls.def"
#undef VMX_DEFAULT1
#undef VMX_CONTROL
    return v;
}

static struct controls controls_of(enum vmcs_field group)
{
    u32 o = offered(group);
    switch (group) {
    case VMCS_PIN:
        return (struct controls){o, PIN_MUST, PIN_MUST_TRUE};
    case VMCS_PROC:
        return (struct controls){o, PROC_MUST, PROC_MUST_TRUE};
    case VMCS_EXIT:
        return (struct controls){o, EXIT_MUST, EXIT_MUST_TRUE};
    case VMCS_ENTRY:
        return (struct controls){o, ENTRY_MUST, ENTRY_MUST_TRUE};
    default:
        return (struct controls){o, PROC2_MUST, PROC2_MUST_TRUE};
    }
}

u32 vmx_must_be_1(enum vmcs_field group)
{
    return controls_of(group).must_true;
}

u32 vmx_may_be_1(enum vmcs_field group)
{
    struct controls k = controls_of(group);
    return k.offered | k.must;
}

static u64 pair(enum vmcs_field group, bool with_true)
{
    struct controls k = controls_of(group);
    return (u64)vmx_may_be_1(group) << 32 | (with_true ? k.must_true : k.must);
}

/* Region size, write-back, INS and OUTS information, TRUE MSRs. A.1 */
static u64 basic(void)
{
    return VMCS_REVISION | (u64)VMCS_SIZE << 32 | 6ull << 50 | BIT(54) | BIT(55);
}

/* Timer rate, EFER.LMA saved, activity states, CR3 targets, VMWRITE to any field, length 0 injected. A.6
 */
static u64 misc(void)
{
    return VMX_TIMER_SHIFT | BIT(5) | BIT(6) | BIT(7) | BIT(8) | VMX_CR3_TARGETS << 16 | BIT(29) | BIT(30);
}

/* Execute-only, 4 levels, UC, WB, 2M, 1G, INVEPT (one, all), A and D; INVVPID (all four types). A.10 */
static u64 ept_vpid(void)
{
    return BIT(0) | BIT(6) | BIT(8) | BIT(14) | BIT(16) | BIT(17) | BIT(20) | BIT(21) | BIT(25) | BIT(26) |
           BIT(32) | 15ull << 40;
}

bool msr_read_vmx_capability(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    u64 all[] = {basic(),
                 pair(VMCS_PIN, false),
                 pair(VMCS_PROC, false),
                 pair(VMCS_EXIT, false),
                 pair(VMCS_ENTRY, false),
                 misc(),
                 CR0_PE | CR0_NE | (u64)CR0_PG,
                 0xffffffff,
                 CR4_VMXE,
                 cr4_valid(c),
                 vmcs_highest_index() << 1,
                 pair(VMCS_PROC2, false),
                 ept_vpid(),
                 pair(VMCS_PIN, true),
                 pair(VMCS_PROC, true),
                 pair(VMCS_EXIT, true),
                 pair(VMCS_ENTRY, true),
                 VMX_FUNCTIONS};
    if (i >= ARRAY_SIZE(all))
        return false;
    *v = all[i];
    return true;
}

bool msr_write_vmx_capability(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    return false;
}
