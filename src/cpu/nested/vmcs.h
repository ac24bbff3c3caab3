/* SPDX-License-Identifier: MIT */
/*
 * A VMCS: revision and abort indicator where the manual puts them, then ours: the launch state, then every
 * field of x86/vmcs.def as 8 bytes. SDM 3C 24.2
 *
 * The current one is held by the processor (struct vmx): what is in its page of guest memory is old until
 * VMCLEAR, VMXOFF or VMPTRLD of another writes it back. Nothing in it is an address of the host's, and a
 * guest may write to a page as it likes: vmcs_load() takes no more than each field's width.
 */
#ifndef CPU_NESTED_VMCS_H
#define CPU_NESTED_VMCS_H

#include "cpu/cpu.h"

enum { VMCS_REVISION = 0x64726f, VMCS_SIZE = 4096 };
#define VMCS_SHADOW (1u << 31) /* of a revision identifier: a shadow VMCS */
#define VMCS_NONE   (~0ull)    /* the current-VMCS pointer that is none */

enum vmcs_field {
#define VMCS_FIELD(name, encoding, group) VMCS_##name,
#include "x86/vmcs.def"
#undef VMCS_FIELD
    VMCS_FIELDS
};

/* Of a field (vmcs.def), and of what a check (vmx_checks.def) depends on besides. */
enum vmcs_group {
    GROUP_NONE = 0,
    GROUP_CONTROL = 1,
    GROUP_HOST = 2,
    GROUP_GUEST = 4,
    GROUP_FLOW = 8,
    GROUP_INJECT = 16,
    GROUP_ALWAYS = 32, /* of checks only */
    GROUP_ALL = 63
};

struct vmcs {
    u32 revision, abort;
    u32 launched;
    u32 dirty; /* where the processor holds it: GROUP_* written since all checks passed; on a page: nothing */
    u64 f[VMCS_FIELDS];
};
_Static_assert(sizeof(struct vmcs) <= VMCS_SIZE, "a VMCS is one page");

enum vmx_reason {
#define VMX_EXIT(number, name) EXIT_##name = number,
#include "x86/vmx_exits.def"
#undef VMX_EXIT
};

#define VMX_DEFAULT1(...)
enum vmx_control {
#define VMX_CONTROL(group, name, bit) group##_##name##_BIT = bit,
#include "x86/vmx_controls.def"
#undef VMX_CONTROL
#undef VMX_DEFAULT1
};

/* Whether a control is on: ctl(v, PIN, NMI). */
#define ctl(v, group, name) ((v)->f[VMCS_##group] >> group##_##name##_BIT & 1)
/* Of the secondary ones, which count only with PROC_SECONDARY. */
#define ctl2(v, name) (ctl(v, PROC, SECONDARY) && ctl(v, PROC2, name))

/* The field of an encoding whose access type is full or high; -1: none. */
int vmcs_find(u64 encoding);
/* By encoding / 2: 1 + its field, or 0. */
enum { VMCS_INDEX_SIZE = 0x4000 };
extern const u8 vmcs_index[VMCS_INDEX_SIZE];
/* Largest index of an encoding, for IA32_VMX_VMCS_ENUM. */
unsigned vmcs_highest_index(void);

/* By encoding, as VMREAD and VMWRITE see them: width and high half applied. */
u64 vmcs_get(const struct vmcs *v, int field, u64 encoding);
void vmcs_put(struct vmcs *v, int field, u64 encoding, u64 value);
unsigned vmcs_width(int field); /* in bytes: 2, 4 or 8 */

extern const u8 vmcs_groups[VMCS_FIELDS];

/* The processor's own write to the one it holds. */
static inline void vmcs_set(struct vmcs *v, enum vmcs_field field, u64 value)
{
    if (v->f[field] == value)
        return;
    v->f[field] = value;
    v->dirty |= vmcs_groups[field];
}

/* Between a page and what the processor holds. */
void vmcs_load(struct vmcs *to, const struct vmcs *page);
void vmcs_store(struct vmcs *page, const struct vmcs *from);
void vmcs_trim(struct vmcs *v); /* fields to their widths, all dirty: after they came from anywhere */

/* The VMCS page at gpa, or NULL when no RAM is there. Valid until the world may stop. */
struct vmcs *vmcs_at(struct cpu *c, u64 gpa);
/* Call after writing to it: the page may be watched. */
void vmcs_written(struct cpu *c, u64 gpa);

#endif
