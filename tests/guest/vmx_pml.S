/* SPDX-License-Identifier: MIT */
/* Page-modification logging and EPTP switching. SDM 3C 28.3.6, 25.5.6 */
#include "guest.inc"
#include "vmx.inc"

#define LOG       0x323000
#define EPTP_LIST 0x324000
#define OTHER     0x325000 /* PML4, PDPT, PD, PT of the second EPT */
#define EPTP      EPT_PML4 + 0x5e

main64:
    call vmx_setup
    call vmx_map
    VMW(0x201a, EPTP)
    VMW(0x200e, LOG)
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 0x20002)

    /* The first write to a page is logged, its table's A and D bits on the way too; the second write is not. */
    VMW(0x0812, 511)
    RUN(1, 18)
    VMR(0x0812)
    mov %eax, %r12d
    cmp $511, %eax
    CHECK(2, jb)
    movzwl %r12w, %ecx
1:  inc %ecx
    cmp $512, %ecx
    je none
    cmpq $0x140000, LOG(, %rcx, 8)
    jne 1b
    ADVANCE
    RUN(3, 18)
    VMR(0x0812)
    cmp %r12d, %eax
    CHECK(4, je)
    ADVANCE

    /* The last entry is used; then the log is full, before anything is written. */
    VMW(0x0812, 0)
    RUN(5, 62)
    WANT(6, 0x0812, 0xffff)
    WANT(7, QUAL, 0)
    WANT(8, RIP, second)
    cmpq $0x141000, LOG
    CHECK(9, je)
    testb $2, EPTE(0x142) + 1
    CHECK(10, jz)
    cmpl $0, 0x142000
    CHECK(11, je)
    VMW(0x0812, 511)
    RUN(12, 18)
    cmpl $3, 0x142000
    CHECK(13, je)
    cmpq $0x142000, LOG + 511 * 8
    CHECK(14, je)

    /* EPTP switching: another EPT has another page at 140000H. */
    mov $OTHER, %edi
    mov $EPT_PML4, %esi
    mov $4096, %ecx
    rep movsl
    movq $OTHER + 0x1007, OTHER
    movq $OTHER + 0x2007, OTHER + 0x1000
    movq $OTHER + 0x3007, OTHER + 0x2000
    movq $0x141037, OTHER + 0x3000 + 8 * 0x140
    movq $EPTP, EPTP_LIST
    movq $OTHER + 0x5e, EPTP_LIST + 8
    movq $0, EPTP_LIST + 16
    movl $0x1111, 0x140000
    movl $0x2222, 0x141000
    VMW(0x2024, EPTP_LIST)
    VMW(0x2018, 1)
    CTL(PROC2, 0x48b, 0x2002)
    AT(switch)
    RUN(15, 18)
    cmp $0x1111, %esi
    CHECK(16, je)
    cmp $0x2222, %edi
    CHECK(17, je)
    WANT(18, 0x201a, OTHER + 0x5e)
    ADVANCE
    RUN(19, 59) /* not a valid EPTP */
    WANT(20, LENGTH, 3)
    ADVANCE
    RUN(21, 59) /* beyond the list */
    ADVANCE
    RUN(22, 59) /* function 1 */
    ADVANCE
    VMW(0x4004, 0x40)
    RUN(23, 0) /* function 64 */
    WANT(24, INTR_INFO, 0x80000306)
    CTL(PROC2, 0x48b, 2)
    AT(switch)
    RUN(25, 0) /* VM functions are off */
    WANT(26, INTR_INFO, 0x80000306)
    PASS
none:
    FAIL(100)

guest_code:
    movl $1, 0x140000
    vmcall
    movl $2, 0x140004
    vmcall
    movl $2, 0x141000
second:
    movl $3, 0x142000
    vmcall
switch:
    mov 0x140000, %esi
    xor %eax, %eax
    mov $1, %ecx
    vmfunc
    mov 0x140000, %edi
    vmcall
    xor %eax, %eax
    mov $2, %ecx
    vmfunc
    xor %eax, %eax
    mov $512, %ecx
    vmfunc
    mov $1, %eax
    vmfunc
    mov $64, %eax
    vmfunc
