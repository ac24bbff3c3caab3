/* SPDX-License-Identifier: MIT */
/*
 * What the files of the processor's system side share: system-structure accesses, descriptors, stack frames,
 * event delivery and debug hooks. Instruction meanings of other files need event.h, debug.h and msr.h only.
 */
#ifndef CPU_SYSTEM_H
#define CPU_SYSTEM_H

#include "cpu/event.h"
#include "cpu/mmu.h"
#include "cpu/portio.h"

static inline bool real_mode(const struct cpu *c)
{
    return !(c->cr0 & CR0_PE);
}

static inline bool v86_mode(const struct cpu *c)
{
    return c->rflags & FLAG_VM;
}

static inline bool protected_mode(const struct cpu *c)
{
    return !real_mode(c) && !v86_mode(c);
}

static inline bool long_mode(const struct cpu *c)
{
    return c->efer & EFER_LMA;
}

static inline unsigned iopl(const struct cpu *c)
{
    return bits(c->rflags, 13, 12);
}

/* Descriptor fields. */
static inline unsigned desc_type(u64 d)
{
    return bits(d, 43, 40);
}
static inline bool desc_s(u64 d)
{
    return d >> 44 & 1;
}
static inline unsigned desc_dpl(u64 d)
{
    return bits(d, 46, 45);
}
static inline bool desc_present(u64 d)
{
    return d >> 47 & 1;
}
static inline bool desc_code(u64 d)
{
    return desc_s(d) && (desc_type(d) & 8);
}
static inline bool desc_conforming(u64 d)
{
    return desc_code(d) && (desc_type(d) & 4);
}
static inline bool desc_l(u64 d)
{
    return d >> 53 & 1;
}
static inline bool desc_d(u64 d)
{
    return d >> 54 & 1;
}
static inline bool desc_writable(u64 d)
{
    return desc_s(d) && (desc_type(d) & 0xa) == 2;
}
static inline bool desc_readable(u64 d)
{
    return desc_s(d) && (desc_type(d) & 0xa) != 8;
}

/* System segment and gate types (SDM 3A table 3-2). */
enum {
    SYS_TSS16 = 1,
    SYS_LDT = 2,
    SYS_TSS16_BUSY = 3,
    SYS_CALL16 = 4,
    SYS_TASK = 5,
    SYS_INT16 = 6,
    SYS_TRAP16 = 7,
    SYS_TSS = 9,
    SYS_TSS_BUSY = 11,
    SYS_CALL = 12,
    SYS_INT = 14,
    SYS_TRAP = 15,
};

/* Supervisor accesses to GDT, LDT, IDT, TSS and to a more privileged stack, whatever the CPL. */
enum outcome system_read(struct cpu *c, u64 lin, void *buf, unsigned size);
enum outcome system_write(struct cpu *c, u64 lin, const void *buf, unsigned size);

/* The second half of a 16-byte system descriptor (IA-32e mode). */
enum outcome descriptor_read_high(struct cpu *c, u16 sel, u64 *high, bool *ok);
/* Rewrites the type byte: accessed and busy bits. */
enum outcome descriptor_set_type(struct cpu *c, u16 sel, u64 desc, unsigned bit);
static inline enum outcome descriptor_set_accessed(struct cpu *c, u16 sel, u64 desc)
{
    return desc_type(desc) & 1 ? DONE : descriptor_set_type(c, sel, desc, 1);
}

/* An unusable segment that remembers a selector and a privilege level. */
struct segment segment_null(u16 sel, unsigned dpl);
/* [off, off+size) lies inside the segment, expand-down considered. */
bool segment_contains(const struct segment *s, u64 off, unsigned size);

/* A stack frame being built or taken down: the stack need not be the current one. */
struct stack_frame {
    struct segment ss;
    u64 sp;         /* top before pushing, or the next item to pop */
    u64 mask;       /* stack address size */
    bool flat;      /* 64-bit: no base, no limit */
    bool super;     /* accessed at supervisor privilege rather than the current one */
    u32 ss_error;   /* error code of #SS for a limit violation */
    unsigned size;  /* bytes an item */
    unsigned count; /* items to push */
    u64 item[16];
};
/* A frame on the current stack, without items. */
void frame_current(const struct cpu *c, unsigned size, struct stack_frame *f);
static inline void frame_add(struct stack_frame *f, u64 v)
{
    f->item[f->count++] = v;
}
enum outcome frame_push(struct cpu *c, struct stack_frame *f); /* all items or none; sp moves on DONE */
enum outcome frame_pop(struct cpu *c, struct stack_frame *f, u64 *v);
/* RSP from a frame, as wide as its stack-address size. */
void frame_commit_sp(struct cpu *c, const struct stack_frame *f);

/* A more privileged stack from the TSS, checked. ext: 0 or 1, the EXT bit. */
enum outcome tss_stack(struct cpu *c, unsigned cpl, u32 ext, struct stack_frame *f, u64 *ss_desc);
enum outcome tss_stack64(struct cpu *c, unsigned cpl, unsigned ist, u32 ext, u64 *rsp);

/* CS for a code segment taken as the new one. */
void load_cs(struct cpu *c, u16 sel, u64 desc, unsigned cpl);
/* SS.DPL always equals CPL: cpu_mode_changed() derives the one from the other. */
void load_ss(struct cpu *c, u16 sel, u64 desc);
void load_ss_null(struct cpu *c, unsigned cpl);

/* Like cpu_mode_changed() when neither paging nor the address space can have changed: mode, CPL, TLB class.
 */
void cpu_privilege_changed(struct cpu *c);

/* A far return's target: RET and IRET. Checked in the order of the SDM, then committed, stack before code. */
struct far_return {
    u16 cs_sel, ss_sel;
    u64 cs, ss; /* descriptors */
    u64 rip;
    unsigned cpl;
    bool wide; /* to 64-bit code */
    bool ss_null;
};
enum outcome return_code(struct cpu *c, u16 sel, u64 rip, struct far_return *r);
enum outcome return_stack(struct cpu *c, u16 sel, struct far_return *r);
void return_commit_stack(struct cpu *c, const struct far_return *r, u64 rsp);
enum outcome return_commit_code(struct cpu *c, const struct far_return *r);

/* Delivers one event through IDT or IVT: END, or FAULT (in c->fault) with nothing changed but
 * c->failed_event. */
enum outcome event_deliver(struct cpu *c, const struct event *e);

#endif
