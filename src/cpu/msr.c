/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR by the rows of x86/msr.def. Rows are sorted by number (a test says so); a number may have a
 * row for each vendor. Unknown numbers are #GP(0): guests probe with that in mind.
 */
#include "cpu/msr.h"

#include "cpu/control.h"
#include "cpu/debug.h"
#include "cpu/meanings.h"
#include "cpu/nested/nested.h"
#include "cpu/system.h"
#include "cpu/world.h"

enum { ANY = 3, INTEL = 1, AMD = 2 };
enum msr_kind { MSR_STORE, MSR_READ_ONLY, MSR_IGNORE, MSR_FIELD, MSR_CANONICAL, MSR_CALL, MSR_APIC };

struct msr_row;
typedef bool (*msr_read_fn)(struct cpu *c, const struct msr_row *r, u32 i, u64 *v);
typedef bool (*msr_write_fn)(struct cpu *c, const struct msr_row *r, u32 i, u64 v);

struct msr_row {
    u32 number, count;
    const char *name;
    u64 reset, writable;
    u16 gate, slot;
    u8 vendor, kind;
    u32 field;
    msr_read_fn read;
    msr_write_fn write;
};

static u64 *word(struct cpu *c, const struct msr_row *r, u32 i)
{
    return &c->msr_store[r->slot + i];
}

static bool store_masked(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    if ((v ^ r->reset) & ~r->writable)
        return false;
    *word(c, r, i) = v;
    return true;
}

u64 tsc_host_at(const struct cpu *c, u64 ns)
{
    u64 hz = c->model->tsc_hz;
    if (likely(hz == 1000000000))
        return ns + c->tsc_offset;
    return ns / 1000000000 * hz + ns % 1000000000 * hz / 1000000000 + c->tsc_offset;
}

u64 tsc_host(const struct cpu *c)
{
    return tsc_host_at(c, clock_now(c->clock));
}

u64 tsc_now(const struct cpu *c)
{
    u64 t = tsc_host(c);
    if (unlikely(c->guest_tsc_ratio != TSC_RATIO_1))
        t = (u64)((unsigned __int128)t * c->guest_tsc_ratio >> 48);
    return t + c->guest_tsc_offset;
}

/* The local APIC compares with the machine's clock, which knows no TSC offset. 0 means: no deadline. */
static bool msr_read_tsc_deadline(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    if (!c->apic.msr_read || !c->apic.msr_read(c->apic.opaque, 0x6e0, v))
        return false;
    *v += *v ? c->tsc_offset : 0;
    return true;
}

static bool msr_write_tsc_deadline(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    u64 due = v - c->tsc_offset;
    if (v && (i64)due <= 0)
        due = 1; /* long past */
    return c->apic.msr_write && c->apic.msr_write(c->apic.opaque, 0x6e0, v ? due : 0);
}

static void tsc_move(struct cpu *c, u64 delta)
{
    u64 deadline = 0;
    bool armed = cpu_has(c, FEAT_TSC_DEADLINE) && msr_read_tsc_deadline(c, NULL, 0, &deadline) && deadline;
    c->tsc_offset += delta;
    c->tsc_adjust += delta;
    if (armed)
        (void)msr_write_tsc_deadline(c, NULL, 0, deadline);
    kvmclock_write_time(c, c->msr_store[MSR_SLOT_KVM_SYSTEM_TIME]);
}

static bool msr_read_tsc(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = tsc_now(c);
    return true;
}

/* Writing either moves both, and what non-root operation adds does not count. SDM 3B 17.17.3, 3C 25.3 */
static bool msr_write_tsc(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    tsc_move(c, v - tsc_host(c));
    return true;
}

static bool msr_read_tsc_adjust(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = c->tsc_adjust;
    return true;
}

static bool msr_write_tsc_adjust(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    tsc_move(c, v - c->tsc_adjust);
    return true;
}

static bool msr_read_arch_capabilities(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = c->model->arch_capabilities;
    return true;
}

static bool msr_write_arch_capabilities(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    return false;
}

/* Memory types 2, 3 and above 6 do not exist; 7 (UC-) in the PAT only. SDM 3A 11.11, 11.12 */
static bool memory_types_valid(u64 v, bool pat)
{
    for (unsigned i = 0; i < 8; i++) {
        u8 t = (u8)(v >> (8 * i));
        if (t == 2 || t == 3 || t > 7 || (t == 7 && !pat))
            return false;
    }
    return true;
}

static bool msr_read_mtrr_fixed(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

static bool msr_write_mtrr_fixed(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    return memory_types_valid(v, false) && store_masked(c, r, i, v);
}

static bool msr_read_mtrr_variable(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

/* Even: base and type; odd: mask and valid bit. SDM 3A 11.11.2.3 */
static bool msr_write_mtrr_variable(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    u64 low = i & 1 ? 0x7ff : 0xf00;
    if (v & (physical_reserved(c) | low))
        return false;
    if (!(i & 1) && !memory_types_valid(v & 0xff, false))
        return false;
    *word(c, r, i) = v;
    return true;
}

bool msr_pat_valid(u64 v)
{
    return memory_types_valid(v, true);
}

static bool msr_read_pat(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = c->pat;
    return true;
}

static bool msr_write_pat(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    if (!memory_types_valid(v, true))
        return false;
    c->pat = v;
    return true;
}

/* CTL, STATUS, ADDR, MISC of ten banks. No machine check is ever raised; CTL is all ones or all zeroes, the
 * others can be cleared only. SDM 3B 15.3.2 */
static bool msr_read_mc_bank(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

static bool msr_write_mc_bank(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    if (i % 4 != 0 && v)
        return false;
    *word(c, r, i) = v;
    return true;
}

static bool msr_read_kvm_wall_clock(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

static void put_wall_clock(struct cpu *c, void *address)
{
    c->msr_store[MSR_SLOT_KVM_WALL_CLOCK] = *(const u64 *)address;
}

/* One for all processors. Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_WALL_CLOCK_NEW */
static bool msr_write_kvm_wall_clock(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    if (c->world)
        world_each(c->world, put_wall_clock, &v);
    else
        put_wall_clock(c, &v);
    if (v)
        kvmclock_write_wall(c, v);
    return true;
}

static bool msr_read_kvm_system_time(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

static bool msr_write_kvm_system_time(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    *word(c, r, i) = v;
    kvmclock_write_time(c, v);
    return true;
}

static bool msr_read_efer(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = c->efer;
    return true;
}

u64 msr_efer_valid(const struct cpu *c)
{
    u64 valid = EFER_LMA;
    if (cpu_has(c, FEAT_SYSCALL))
        valid |= EFER_SCE;
    if (cpu_has(c, FEAT_LM))
        valid |= EFER_LME;
    if (cpu_has(c, FEAT_NX))
        valid |= EFER_NXE;
    if (cpu_has(c, FEAT_FXSR_OPT))
        valid |= EFER_FFXSR;
    if (c->nested && cpu_has(c, FEAT_SVM))
        valid |= EFER_SVME;
    return valid;
}

static bool svm_disabled(const struct cpu *c)
{
    return c->msr_store[MSR_SLOT_VM_CR] & VM_CR_SVMDIS;
}

/* LMA is not software's to set; LME cannot change while paging is on. SDM 3A 9.8.5 */
static bool msr_write_efer(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    u64 valid = msr_efer_valid(c) & ~(u64)(svm_disabled(c) ? EFER_SVME : 0);
    if ((v & ~valid) || (((v ^ c->efer) & EFER_LME) && (c->cr0 & CR0_PG)))
        return false;
    c->efer = (v & ~(u64)EFER_LMA) | (c->efer & EFER_LMA);
    cpu_mode_changed(c);
    return true;
}

static bool msr_read_debugctl(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

static bool msr_write_debugctl(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    if (!store_masked(c, r, i, v))
        return false;
    debug_registers_changed(c);
    return true;
}

/* The processor alone writes them. */
static bool msr_read_last_branch(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

static bool msr_write_last_branch(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    return false;
}

static bool msr_read_tsc_ratio(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

/* A guest that may write it sees the effect at once. APM 2 15.30.5 */
static bool msr_write_tsc_ratio(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    if (!store_masked(c, r, i, v))
        return false;
    if (c->nested->guest)
        c->guest_tsc_ratio = svm_tsc_ratio(c);
    return true;
}

static bool msr_read_vm_cr(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = *word(c, r, i);
    return true;
}

/* Once LOCK is set, writing LOCK and SVMDIS has no effect. DIS_A20M and DPD have none here: there is no A20
 * mask and no debug port. APM 2 15.30.1 */
static bool msr_write_vm_cr(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    u64 old = *word(c, r, i), locked = old & VM_CR_LOCK ? VM_CR_LOCK | VM_CR_SVMDIS : 0;
    if ((v & VM_CR_SVMDIS) && (c->efer & EFER_SVME))
        return false;
    return store_masked(c, r, i, (v & ~locked) | (old & locked));
}

static bool msr_read_svm_key(struct cpu *c, const struct msr_row *r, u32 i, u64 *v)
{
    *v = 0;
    return true;
}

/* Taken while VM_CR.LOCK is clear; the same one, but not 0, opens the lock again. APM 2 15.31 */
static bool msr_write_svm_key(struct cpu *c, const struct msr_row *r, u32 i, u64 v)
{
    u64 *key = word(c, r, i), *vm_cr = &c->msr_store[MSR_SLOT_VM_CR];
    if (!(*vm_cr & VM_CR_LOCK))
        *key = v;
    else if (*key && *key == v)
        *vm_cr &= ~(u64)VM_CR_LOCK;
    return true;
}

static const struct msr_row rows[] = {
#define STORE        .kind = MSR_STORE
#define READ_ONLY    .kind = MSR_READ_ONLY
#define IGNORE       .kind = MSR_IGNORE
#define APIC         .kind = MSR_APIC
#define FIELD(f)     .kind = MSR_FIELD, .field = offsetof(struct cpu, f)
#define CANONICAL(f) .kind = MSR_CANONICAL, .field = offsetof(struct cpu, f)
#define CALL(h)      .kind = MSR_CALL, .read = msr_read_##h, .write = msr_write_##h
#define MSR(number_, count_, name_, vendor_, reset_, writable_, gate_, ...)                                  \
    {.number = (number_),                                                                                    \
     .count = (count_),                                                                                      \
     .name = #name_,                                                                                         \
     .reset = (reset_),                                                                                      \
     .writable = (writable_),                                                                                \
     .gate = FEAT_##gate_,                                                                                   \
     .slot = MSR_SLOT_##name_,                                                                               \
     .vendor = (vendor_),                                                                                    \
     __VA_ARGS__},
#include "x86/msr.def"
#undef MSR
#undef STORE
#undef READ_ONLY
#undef IGNORE
#undef APIC
#undef FIELD
#undef CANONICAL
#undef CALL
};

static bool row_offered(const struct cpu *c, const struct msr_row *r)
{
    return (r->vendor & (c->model->vendor == VENDOR_INTEL ? INTEL : AMD)) && cpu_has(c, r->gate);
}

/* The row of a register this CPU has, or NULL. */
static const struct msr_row *find(const struct cpu *c, u32 number)
{
    unsigned low = 0, high = ARRAY_SIZE(rows);
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (rows[mid].number + rows[mid].count - 1 < number)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < ARRAY_SIZE(rows) && rows[low].number <= number; low++)
        if (row_offered(c, &rows[low]))
            return &rows[low];
    return NULL;
}

static u64 *field(struct cpu *c, const struct msr_row *r)
{
    return (u64 *)((u8 *)c + r->field);
}

bool msr_read(struct cpu *c, u32 number, u64 *v)
{
    const struct msr_row *r = find(c, number);
    if (!r)
        return false;
    switch (r->kind) {
    case MSR_STORE:
        *v = *word(c, r, number - r->number);
        return true;
    case MSR_FIELD:
    case MSR_CANONICAL:
        *v = *field(c, r);
        return true;
    case MSR_CALL:
        return r->read(c, r, number - r->number, v);
    case MSR_APIC:
        return c->apic.msr_read && c->apic.msr_read(c->apic.opaque, number, v);
    default:
        *v = r->reset;
        return true;
    }
}

static bool write_row(struct cpu *c, const struct msr_row *r, u32 number, u64 v)
{
    switch (r->kind) {
    case MSR_STORE:
        return store_masked(c, r, number - r->number, v);
    case MSR_IGNORE:
        return true;
    case MSR_CANONICAL:
        if (!canonical(v))
            return false;
        *field(c, r) = v;
        return true;
    case MSR_FIELD:
        if (v & ~r->writable)
            return false;
        *field(c, r) = v;
        return true;
    case MSR_CALL:
        return r->write(c, r, number - r->number, v);
    case MSR_APIC:
        return c->apic.msr_write && c->apic.msr_write(c->apic.opaque, number, v);
    default:
        return false;
    }
}

bool msr_write(struct cpu *c, u32 number, u64 v)
{
    const struct msr_row *r = find(c, number);
    if (!r || !write_row(c, r, number, v))
        return false;
    if (c->nested && (r->slot == MSR_SLOT_EFER || r->slot == MSR_SLOT_VM_HSAVE_PA))
        nested_operation_changed(c);
    return true;
}

void msr_reset(struct cpu *c)
{
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++)
        for (u32 i = 0; i < rows[n].count; i++)
            *word(c, &rows[n], i) = rows[n].reset;
    for (u32 i = 0; i < MSR_SLOT_END_MC_BANKS - MSR_SLOT_MC_BANKS + 1; i += 4)
        c->msr_store[MSR_SLOT_MC_BANKS + i] = ~0ull;
    c->pat = 0x0007040600070406;
}

void msr_each(const struct cpu *c, void (*fn)(u32 number, const char *name, void *arg), void *arg)
{
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++)
        for (u32 i = 0; row_offered(c, &rows[n]) && i < rows[n].count; i++)
            fn(rows[n].number + i, rows[n].name, arg);
}

static void return_pair(struct cpu *c, u64 v)
{
    c->regs[RAX] = (u32)v;
    c->regs[RDX] = v >> 32;
}

static enum outcome rdmsr(struct cpu *c, const struct insn *in)
{
    u64 v;
    if (c->cpl || !msr_read(c, (u32)c->regs[RCX], &v))
        return fault_gp0(c);
    return_pair(c, v);
    return DONE;
}
DEFINE_MEANING_ONE(rdmsr, rdmsr);

static enum outcome wrmsr(struct cpu *c, const struct insn *in)
{
    if (c->cpl || !msr_write(c, (u32)c->regs[RCX], c->regs[RDX] << 32 | (u32)c->regs[RAX]))
        return fault_gp0(c);
    return END;
}
DEFINE_MEANING_ONE(wrmsr, wrmsr);

static bool tsc_allowed(const struct cpu *c)
{
    return !c->cpl || !(c->cr4 & CR4_TSD);
}

/* For translated code's next ones. */
static void keep_time(struct cpu *c)
{
    if (likely(c->model->tsc_hz == 1000000000))
        (void)clock_now_line(c->clock, &c->time);
}

static enum outcome rdtsc(struct cpu *c, const struct insn *in)
{
    if (!tsc_allowed(c))
        return fault_gp0(c);
    keep_time(c);
    return_pair(c, tsc_now(c));
    return DONE;
}
DEFINE_MEANING_ONE(rdtsc, rdtsc);

static enum outcome rdtscp(struct cpu *c, const struct insn *in)
{
    if (!tsc_allowed(c))
        return fault_gp0(c);
    keep_time(c);
    return_pair(c, tsc_now(c));
    c->regs[RCX] = (u32)c->tsc_aux;
    return DONE;
}
DEFINE_MEANING_ONE(rdtscp, rdtscp);

static enum outcome rdpid(struct cpu *c, const struct insn *in)
{
    c->regs[in->rm] = c->mode == MODE_64 ? c->tsc_aux : (u32)c->tsc_aux;
    return DONE;
}
DEFINE_MEANING_ONE(rdpid, rdpid);

/* No counter exists: CPUID leaf 0AH is empty. */
static enum outcome rdpmc(struct cpu *c, const struct insn *in)
{
    return fault_gp0(c);
}
DEFINE_MEANING_ONE(rdpmc, rdpmc);
