/* SPDX-License-Identifier: MIT */
/*
 * Nested paging: error codes and addresses, guest tables as user writes, accessed and dirty bits, page sizes, TLB
 * control. APM 2 15.16, 15.25
 */
#include "svm.inc"

#define FINAL 0x100000000
#define TABLE 0x200000000
#define PTE(addr) NPT1 + (addr) / 4096 * 8
#define PAGE  0x180000 /* an identity page of the guest's PT_LOW, nothing else there */

/* The page's nested entry is `pte`; then the code exits with `info` and the address, and goes well with it put right. */
#define FAULTS(id, pte, info, address, ...)                                                                            \
    movabs $(pte), %rax; mov %rax, PTE(PAGE); movb $1, CTL_TLB; RUN(id, 0x400, __VA_ARGS__); INFO1(id, info);          \
    INFO2(id, address); movq $PAGE + 7, PTE(PAGE); GO(id, VMMCALL)

main64:
    call svm_start
    call npt_start
    RUN(1, VMMCALL, mov $0x4d, %ebx)
    movb $0xc3, PAGE /* RET */

    FAULTS(2, 0, FINAL + 4, PAGE + 8, mov PAGE + 8, %ebx)
    FAULTS(3, 0, FINAL + 6, PAGE + 8, mov %ebx, PAGE + 8)
    FAULTS(4, PAGE + 5, FINAL + 7, PAGE, mov %bl, PAGE + 0; movb $0xc3, PAGE)
    FAULTS(5, PAGE + 3, FINAL + 5, PAGE, mov PAGE, %ebx) /* supervisor */
    FAULTS(6, 0, FINAL + 20, PAGE, call PAGE)
    FAULTS(7, 0x8000000000000007 + PAGE, FINAL + 21, PAGE, call PAGE)
    FAULTS(8, 0x0008000000000007 + PAGE, FINAL + 13, PAGE, mov PAGE, %ebx)

    /* Reserved bits of upper levels: P and RSVD. */
    .macro reserved id, entry, bits, error=0xf
    mov \entry, %r12
    movabs $\bits, %rax
    or %r12, %rax
    mov %rax, \entry
    movb $1, CTL_TLB
    RUN(\id, 0x400, nop)
    mov CTL_INFO1, %rax
    and $0xf, %eax
    cmp $\error, %eax
    CHECK(\id, je)
    mov %r12, \entry
    .endm
    reserved 9, NPT4, 0x80
    reserved 10, NPT4, 0x100
    reserved 11, NPT3, 0x100
    reserved 12, NPT3, 0x0001000000000000
    reserved 13, NPT2, 0x0001000000000000, 0xd /* not a table walk: the fetch itself */
    reserved 14, NPT2 + 8, 0x2000 /* 2M page: the guest's own tables lie there */

    /* The guest's tables lie at 2M: read only they stop the walk, as a user write. */
    andl $~2, NPT2 + 8
    movb $1, CTL_TLB
    RUN(15, 0x400, nop)
    INFO1(16, TABLE + 7)
    INFO2(17, PML4)
    orl $2, NPT2 + 8
    andl $~4, NPT2 + 8
    RUN(18, 0x400, nop)
    INFO1(19, TABLE + 7)
    orl $4, NPT2 + 8

    /* Accessed by reading, dirty by writing. */
    movq $PAGE + 7, PTE(PAGE)
    movb $1, CTL_TLB
    RUN(20, VMMCALL, mov PAGE, %ebx)
    mov PTE(PAGE), %eax
    and $0x60, %eax
    cmp $0x20, %eax
    CHECK(21, je)
    movb $0, CTL_TLB
    RUN(22, VMMCALL, mov %ebx, PAGE)
    testb $0x40, PTE(PAGE)
    CHECK(23, jnz)

    /* A nested mapping that moves: the old one may stay until TLB_CONTROL says otherwise, of this ASID alone. */
    movl $0x1111, PAGE + 0x10
    movl $0x2222, PAGE + 0x1010
    movq $PAGE + 0x1007, PTE(PAGE)
    movb $3, CTL_TLB
    RUN(24, VMMCALL, mov PAGE + 0x10, %ebx)
    cmp $0x2222, %ebx
    CHECK(25, je)
    movq $PAGE + 7, PTE(PAGE)
    movb $7, CTL_TLB
    RUN(26, VMMCALL, mov PAGE + 0x10, %ebx)
    cmp $0x1111, %ebx
    CHECK(27, je)
    movq $PAGE + 0x1007, PTE(PAGE)
    movb $0, CTL_TLB
    movl $2, CTL_ASID /* an ASID never used knows nothing */
    RUN(28, VMMCALL, mov PAGE + 0x10, %ebx)
    cmp $0x2222, %ebx
    CHECK(29, je)
    cmpl $0x1111, PAGE + 0x10 /* the host's own mapping is another matter */
    CHECK(30, je)
    movq $PAGE + 7, PTE(PAGE)
    movb $1, CTL_TLB

    /* 1G pages */
    movq $0x87, NPT3
    RUN(31, VMMCALL, mov PAGE + 0x10, %ebx)
    cmp $0x1111, %ebx
    CHECK(32, je)
    movq $0x10087, NPT3 /* misaligned: reserved */
    RUN(33, 0x400, nop)
    movq $NPT2 + 7, NPT3

    /* The instruction's bytes come with a data access, none with a fetch. */
    movq $0, PTE(PAGE)
    RUN(34, 0x400, mov PAGE, %ebx)
    cmpb $15, CTL_LEN
    CHECK(35, je)
    cmpb $0x8b, CTL_BYTES
    CHECK(36, je)
    RUN(37, 0x400, call PAGE)
    cmpb $0, CTL_LEN
    CHECK(38, je)

    /* An access that the guest's own tables refuse is the guest's #PF. */
    orl $1 << 14, CTL_EXC
    RUN(39, 0x4e, mov 0x50000000, %ebx)
    INFO2(40, 0x50000000)
    movl $0, CTL_EXC
    /* VMLOAD and VMSAVE of a guest: through the nested tables. */
    movq $2, CTL_EXT
    movq $PAGE + 0x2007, PTE(PAGE)
    RUN(41, VMMCALL, mov $PAGE, %eax; vmsave)
    cmpw $TSS_SEL, PAGE + 0x2490
    CHECK(42, je)
    movq $0, PTE(PAGE)
    RUN(43, 0x400, mov $PAGE, %eax; vmload)
    INFO2(44, PAGE)
    /* G_PAT is the guest's PAT. */
    movabs $0x0606060606060606, %rax
    mov %rax, SAVE_PAT
    RUN(45, VMMCALL, mov $0x277, %ecx; rdmsr)
    cmpl $0x06060606, SAVE_RAX
    CHECK(46, je)
    mov $0x277, %ecx
    rdmsr
    cmp $0x00070406, %eax
    CHECK(47, je)
    PASS
