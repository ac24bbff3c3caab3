/* SPDX-License-Identifier: MIT */
/* The VMCB as it lies in guest memory. APM 2 appendix B. Control and save area are copied whole before they
 * are looked at: another vCPU may write them meanwhile. */
#ifndef CPU_NESTED_SVM_VMCB_H
#define CPU_NESTED_SVM_VMCB_H

#include "base/types.h"

enum { VMCB_WORDS = 6 }; /* of intercepts: codes 00H to BFH */

/* int_ctl */
enum {
    VINTR_TPR = 0xf,
    VINTR_IRQ = 1 << 8,
    VINTR_GIF = 1 << 9,
    VINTR_NMI = 1 << 11,
    VINTR_NMI_MASK = 1 << 12,
    VINTR_PRIO_SHIFT = 16,
    VINTR_IGN_TPR = 1 << 20,
    VINTR_MASKING = 1 << 24,
    VINTR_GIF_ENABLE = 1 << 25,
    VINTR_NMI_ENABLE = 1 << 26,
};

enum { TLB_CONTROL_NONE = 0, TLB_CONTROL_ALL = 1, TLB_CONTROL_ASID = 3, TLB_CONTROL_ASID_LOCAL = 7 };
enum { VIRT_EXT_LBR = 1, VIRT_EXT_VMLOAD_VMSAVE = 2 };

/* EVENTINJ, EXITINTINFO. APM 2 15.20, 15.7.2 */
enum { EVENT_TYPE_INTR = 0, EVENT_TYPE_NMI = 2, EVENT_TYPE_EXCEPTION = 3, EVENT_TYPE_SOFT = 4 };
#define EVENT_ERROR_VALID BIT(11)
#define EVENT_VALID       BIT(31)

struct vmcb_control {
    u32 intercept[VMCB_WORDS];
    u8 reserved1[0x3c - 4 * VMCB_WORDS];
    u16 pause_threshold, pause_count;
    u64 iopm, msrpm, tsc_offset;
    u32 asid;
    u8 tlb_control, reserved2[3];
    u32 int_ctl, int_vector;
    u64 int_state;
    u64 exit_code, exit_info1, exit_info2, exit_int_info;
    u64 np_enable;
    u8 reserved3[0xa8 - 0x98];
    u64 event_inj, nested_cr3, virt_ext;
    u64 clean;
    u64 next_rip;
    u8 insn_len, insn_bytes[15];
    u8 reserved4[0x400 - 0xe0];
};

enum { VMCB_SEG_L = 1 << 9, VMCB_SEG_D = 1 << 10 }; /* of attr */

struct vmcb_segment {
    u16 sel, attr;
    u32 limit;
    u64 base;
};

struct vmcb_save {
    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 reserved1[0xcb - 0xa0];
    u8 cpl;
    u8 reserved2[4];
    u64 efer;
    u8 reserved3[0x148 - 0xd8];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 reserved4[0x1d8 - 0x180];
    u64 rsp;
    u8 reserved5[0x1f8 - 0x1e0];
    u64 rax, star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    u8 reserved6[0x268 - 0x248];
    u64 pat, debugctl, br_from, br_to, last_excp_from, last_excp_to;
    u8 reserved7[0xc00 - 0x298];
};

struct vmcb {
    struct vmcb_control control;
    struct vmcb_save save;
};

_Static_assert(offsetof(struct vmcb_control, iopm) == 0x40, "APM 2 table B-1");
_Static_assert(offsetof(struct vmcb_control, int_ctl) == 0x60, "APM 2 table B-1");
_Static_assert(offsetof(struct vmcb_control, event_inj) == 0xa8, "APM 2 table B-1");
_Static_assert(offsetof(struct vmcb_control, next_rip) == 0xc8, "APM 2 table B-1");
_Static_assert(offsetof(struct vmcb, save.cpl) == 0x4cb, "APM 2 table B-2");
_Static_assert(offsetof(struct vmcb, save.cr4) == 0x548, "APM 2 table B-2");
_Static_assert(offsetof(struct vmcb, save.rsp) == 0x5d8, "APM 2 table B-2");
_Static_assert(offsetof(struct vmcb, save.rax) == 0x5f8, "APM 2 table B-2");
_Static_assert(offsetof(struct vmcb, save.pat) == 0x668, "APM 2 table B-2");
_Static_assert(sizeof(struct vmcb) == 0x1000, "a VMCB is a page");

#endif
