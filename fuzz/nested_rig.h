/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers of VMX and SVM share: a minimal hypervisor (L1) in 192 KiB of RAM and a guest of it (L2),
 * both from a valid beginning that the input changes, a device, and what every run is checked for.
 *
 * An input is HEADER bytes, patches, and L2's code. Patches go to the control structure, to any place in
 * memory, and to the script by which L1 rewrites both, an entry after every exit.
 */
#ifndef FUZZ_NESTED_RIG_H
#define FUZZ_NESTED_RIG_H

#include "cpu/cpu.h"
#include "cpu/model.h"

/* Guest-physical memory. Everything a fuzzed address may point at lies in here. */
enum {
    TSS = 0x500,
    COUNTER = 0x700,
    SCRIPT_AT = 0x708,
    POINTER = 0x710, /* operands of VMXON and VMPTRLD */
    GDT = 0x1000,
    IDT_L2 = 0x1800,
    IDT_L1 = 0x2000,
    SCRIPT = 0x3000, /* entries of SCRIPT_ENTRY bytes, and round again */
    STACK_L1 = 0x4800,
    STACK_L2 = 0x5800,
    HANDLER_L2 = 0x6000,
    CODE_L1 = 0x7000,
    EXTRA_L1 = 0x7800, /* EXTRA_SLOTS of 16 bytes and RET: L1 calls it after every exit */
    CODE_L2 = 0x8000,
    TABLES_L2 = 0x10000, /* PML4, PDPT, PD, PT; then a PAE root and a 32-bit directory with its table */
    PAE_ROOT = 0x14000,
    PD32 = 0x15000,
    PT32 = 0x16000,
    TABLES_L1 = 0x18000,
    SECOND = 0x1c000,  /* EPT or nested page tables */
    CONTROL = 0x20000, /* VMCS or VMCB */
    REGION = 0x21000,  /* of VMXON, or the host save area */
    IO_MAP = 0x22000,
    MSR_MAP = 0x25000,
    VAPIC = 0x27000,
    APIC_PAGE = 0x28000,
    MSR_AREA = 0x29000,
    CONTROL_2 = 0x2a000,
    MORE = 0x2b000, /* four pages for what a vendor has besides */
    RAM = 0x30000,
    DEVICE = 0x200000,
    DEVICE_SIZE = 0x1000,
};
enum { HEADER = 16, PATCH = 12, CODE_MAX = 0x800, SCRIPT_ENTRY = 32, SCRIPT_ENTRIES = 128, EXTRA_SLOTS = 8 };
enum {
    KCODE = 0x08,
    KDATA = 0x10,
    UCODE = 0x2b,
    UDATA = 0x23,
    KCODE32 = 0x30,
    KCODE16 = 0x38,
    TSS_SEL = 0x40
};

/* What L2 begins in. */
enum nested_mode { NESTED_LONG, NESTED_PAE, NESTED_PAGED32, NESTED_PROTECTED, NESTED_REAL, NESTED_MODES };

/* How L2 begins: by the header. */
struct nested_start {
    enum nested_mode mode;
    const u8 *header;
    u64 cr0, cr3, cr4, efer, rflags;
    u16 cs;
    u32 cs_attr, data_attr; /* SEG_* */
    bool wide_idt;
    u64 idt, idt_limit;
};

struct nested_vendor {
    enum cpu_vendor vendor;
    /* Fills the control structure in the image, and what it points at. */
    void (*control)(u8 *ram, const struct nested_start *s);
    /* A patch of it: `place` chooses the field; writes it as u64 back. NULL: nothing there. */
    u64 *(*field)(u8 *ram, unsigned place);
    /* The script's first two words for a field and a value, as L1's code wants them. */
    void (*script)(u8 *entry, unsigned place, u64 value);
    /* Code of L1, loaded at CODE_L1, and where in it an exception of L1's goes on. */
    const u8 *code;
    size_t code_len;
    u64 recover;
    u64 cr4, efer;           /* L1's, beside the usual */
    u32 hsave_msr;           /* SVM: written before the start */
    const char *l1_snippets; /* like snippets, at most 16 bytes each: for EXTRA_L1 */
    const char *snippets;    /* instructions, each with its length in front; ends with 0 */
};

/* Each fuzzer's own; the entry functions of libFuzzer are the rig's. */
struct nested_vendor nested_vendor(void);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size);

#endif
