/* SPDX-License-Identifier: MIT */
/*
 * VMRUN's consistency checks: exit code -1 as 64 bits, and the host goes on. APM 2 15.5.1. Every row of
 * x86/svm_checks.def is named here; the runner (`checks`) compares it with the row that refused, and wants all of them.
 */
#include "svm.inc"

.set row, 1
#define SVM_CHECK(name, text) .set ROW_##name, row; .set row, row + 1;
#include "x86/svm_checks.def"

#define INVALID -1

/* A 64-bit field of the VMCB gets a value, the entry is refused for that reason, the field gets its value back. */
#define BAD(id, field, value, row)                                                                                     \
    mov field, %rbx; movabs $(value), %rax; mov %rax, field; GO(id, INVALID); mov $ROW_##row, %al; out %al, $0xf7;     \
    mov %rbx, field
#define GOOD(id, field, value)                                                                                         \
    mov field, %rbx; movabs $(value), %rax; mov %rax, field; RUN(id, VMMCALL, nop); mov %rbx, field

main64:
    call svm_start
    movq $again, SAVE_RIP
    movq $L2STACK, SAVE_RSP
    GO(1, VMMCALL)
    movq $again, SAVE_RIP
    BAD(2, CTL_I4, 2, vmrun_intercept)
    BAD(3, CTL_ASID, 0, asid)
    BAD(4, SAVE_EFER, 0x500, svme)
    BAD(5, SAVE_EFER, 0x1d03, efer)
    BAD(6, SAVE_EFER, 0x11d01, efer)
    BAD(7, SAVE_CR0, 0xa0010011, cr0_cache)
    BAD(8, SAVE_CR0, 0x180010011, cr0_high)
    BAD(9, SAVE_CR3, 0x0001000000200000, cr3)
    BAD(10, SAVE_CR3, 0x8000000000200000, cr3)
    BAD(11, SAVE_CR4, 0x80000620, cr4)
    BAD(12, SAVE_CR4, 0x100000620, cr4)
    BAD(13, SAVE_DR6, 0x1ffff0ff0, dr6)
    BAD(14, SAVE_DR7, 0x100000400, dr7)
    BAD(15, SAVE_CR4, 0x600, long_pae)
    BAD(16, SAVE_CR0, 0x80010010, long_pe)
    BAD(17, VMCB + 0x410, 0xffffffff0e9b0008, long_cs)
    BAD(36, CTL_VINTR, VNMI_ENABLE, virtual_nmi)
    BAD(18, CTL_INJECT, 0x80000300 + 32, event)
    BAD(19, CTL_INJECT, 0x80000302, event)
    BAD(20, CTL_INJECT, 0x80000100 + 32, event)
    BAD(21, CTL_INJECT, 0x80000500, event)
    GOOD(22, CTL_INJECT, 0x00000500) /* not valid: ignored */
    orl $BIT3(0x7b) | BIT3(0x7c), CTL_I3
    BAD(23, CTL_IOPM, 0x0000ffffffffe000, iopm)
    BAD(24, CTL_MSRPM, 0x0000ffffffffe000, msrpm)
    GOOD(25, CTL_MSRPM, MSRPM + 0xfff)
    andl $~(BIT3(0x7b) | BIT3(0x7c)), CTL_I3
    movq $1, CTL_NP
    BAD(26, CTL_NCR3, 0x0001000000000000, nested_cr3)
    BAD(27, SAVE_PAT, 0x0007040600070402, nested_pat)
    movq $0, CTL_NP
    /* Nothing of a refused guest stays: GIF is clear, EXITINFO 0, the host's registers are its own. */
    mov $0x1111, %ebp
    mov %rsp, %r15
    BAD(28, CTL_ASID, 0, asid)
    cmp %rsp, %r15
    CHECK(29, je)
    cmpq $0, CTL_INFO1
    CHECK(30, je)
    cmp $0x1111, %ebp
    CHECK(31, je)
    /* Unchanged fields, a guest in real mode: CS 0, below 64K. */
    movq $0x10, SAVE_CR0
    movq $0x1000, SAVE_EFER
    movq $0, SAVE_CR4
    movl $0x009b0000, VMCB + 0x410
    movl $0xffff, VMCB + 0x414
    movq $real, SAVE_RIP
    GO(32, VMMCALL)
    cmpw $0x1234, SAVE_RAX
    CHECK(33, je)
    /* A host without paging has no tables of its own for nested paging to follow. */
    call svm_fill
    movq $1, CTL_NP
    pushq $KCODE32
    pushq $unpaged
    lretq

again: vmmcall
    .code16
real:
    mov $0x1234, %ax
    vmmcall
    .code64
    .code32
unpaged:
    mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0
    mov $VMCB, %eax
    vmrun
    cmpl $INVALID, CTL_CODE
    CHECK(34, je)
    cmpl $INVALID, CTL_CODE + 4
    CHECK(35, je)
    mov $ROW_nested_host, %al
    out %al, $0xf7
    PASS
    .code64
