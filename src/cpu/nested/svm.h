/* SPDX-License-Identifier: MIT */
/*
 * SVM inside: the vCPU's state and the parts' promise to each other. APM 2 chapter 15.
 *
 * svm_entry.c is the only way into guest mode and svm_exit.c the only way out. While the guest runs, `ctl` is
 * the VMCB's control area as VMRUN found it (int_ctl kept up to date), and the host's registers are in
 * `host`: the host save area's contents are the processor's own matter (APM 2 15.30.4), so nothing is written
 * there.
 */
#ifndef CPU_NESTED_SVM_H
#define CPU_NESTED_SVM_H

#include "cpu/last_branch.h"
#include "cpu/nested/nested.h"
#include "cpu/nested/trace.h"
#include "cpu/nested/svm_vmcb.h"

enum svm_exit_code {
#define SVM_EXIT(code, name, text) SVM_EXIT_##name = (code),
#include "x86/svm_exits.def"
#undef SVM_EXIT
};
#define SVM_EXIT_INVALID (~0ull)

enum svm_check_row {
    SVM_CHECK_NONE,
#define SVM_CHECK(name, text) SVM_CHECK_##name,
#include "x86/svm_checks.def"
#undef SVM_CHECK
    SVM_CHECK_END
};

/* What VMRUN saves and #VMEXIT restores. APM 2 15.5.1 */
struct svm_host {
    struct segment seg[4]; /* ES CS SS DS */
    struct dtable gdtr, idtr;
    u64 efer, cr0, cr3, cr4, rflags, rip, rsp, rax, pat;
    struct last_branch branch; /* with LBR virtualization only */
    u8 nmi_blocked;            /* with virtual NMIs only: struct cpu's is the guest's then */
    u8 step;                   /* VMRUN was single-stepped: the trap comes after #VMEXIT */
};

struct svm {
    struct cpu *cpu;
    u8 guest; /* as nested_state.guest, for a saved state */
    u8 gif;
    u64 entries, last_entry; /* likewise */
    u64 vmcb;                /* physical address of the one that runs */
    u16 pause_left;          /* PAUSEs until the exit */
    u64 pause_last;          /* struct cpu's `retired` at the last one */
    struct svm_host host;
    struct vmcb_control ctl;
    u64 npf_info, npf_gpa; /* of the access translate() stopped */
    unsigned failed;       /* svm_check() of the last VMRUN */
};

/* What #VMEXIT reports. */
struct svm_exit {
    u64 code, info1, info2;
    u64 int_info; /* EXITINTINFO */
    u64 next_rip; /* 0: none to report */
    u8 insn_len;  /* decode assist */
    u8 insn[15];
};

static inline bool svm_intercepts(const struct svm *s, unsigned code)
{
    return s->ctl.intercept[code / 32] >> (code % 32) & 1;
}

static inline bool svm_virtual_nmi(const struct svm *s)
{
    return s->ctl.int_ctl & VINTR_NMI_ENABLE;
}

static inline bool svm_virtual_lbr(const struct svm *s)
{
    return s->ctl.virt_ext & VIRT_EXT_LBR;
}

static inline bool svm_nested_paging(const struct svm *s)
{
    return s->ctl.np_enable & 1;
}

/* The VMCB at a physical address an instruction gave, or NULL: misaligned, not RAM. */
struct vmcb *svm_vmcb(struct cpu *c, u64 pa);

static inline bool svm_long_paging(const struct vmcb_save *v)
{
    return (v->efer & EFER_LME) && (v->cr0 & CR0_PG);
}

/* svm_checks.c: the row of x86/svm_checks.def that refuses the entry, from 1 on, or 0. */
unsigned svm_check(struct cpu *c, const struct vmcb_control *ctl, const struct vmcb_save *save);
const char *svm_check_text(unsigned row);

/* svm_entry.c */
/* v: svm_vmcb() of pa. */
enum outcome svm_enter(struct cpu *c, u64 pa, struct vmcb *v);
void svm_load_segment(struct segment *to, const struct vmcb_segment *from);

/* svm_exit.c. c->rip is the guest's. Always END. */
enum outcome svm_leave(struct cpu *c, const struct svm_exit *x);
enum outcome svm_leave_simple(struct cpu *c, u64 code, u64 info1, u64 info2);
void svm_store_segment(struct vmcb_segment *to, const struct segment *from);
bool svm_task_switch(struct cpu *c, const struct task_switch *t);
bool svm_fault(struct cpu *c, const struct fault *f, const struct event *during);

/* svm_intercept.c */
enum outcome svm_insn(struct cpu *c, const struct insn *in);

/* svm_insn.c: #UD and #GP of the SVM instructions. APM 3 VMRUN etc. */
enum outcome svm_allowed(struct cpu *c);

/* npt.c: c->nested as the VMCB and the host's registers at VMRUN ask for it; also after a saved state. */
void svm_set_nested(struct cpu *c);
/* svm_intercept.c: NESTED_PLAIN_* by the VMCB. */
u32 svm_plain(const struct svm *s);
/* Forgets nested translations: of one ASID. */
void svm_forget_asid(struct cpu *c, u32 asid);

/* svm_event.c */
enum outcome svm_boundary(struct cpu *c, unsigned r, u8 shadow);
bool svm_due(struct cpu *c);
bool svm_triple_fault(struct cpu *c);
bool svm_init(struct cpu *c);
enum outcome svm_fpu_error(struct cpu *c);
/* A virtual interrupt or NMI waits: ask at every boundary. */
void svm_virtual_interrupt_changed(struct cpu *c);
/* One waits that neither RFLAGS.IF nor a shadow is asked about. */
bool svm_virtual_pending(const struct cpu *c);

/* npt.c */
enum outcome npt_translate(struct cpu *c, u64 gpa, const struct second_access *a, struct second_found *f);

extern const struct state_desc svm_state_desc;

#endif
