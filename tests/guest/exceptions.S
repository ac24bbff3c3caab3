/* SPDX-License-Identifier: MIT */
/* Which exception comes with which error code, in 64-bit mode. */
#include "guest.inc"

main64:
    EXPECT(1, 6, NO_ERROR, ud2)
    cmpq $0, exc_cs
    CHECK(2, jne)
    EXPECT(3, 0, NO_ERROR, xor %ecx, %ecx; div %ecx)
    EXPECT(4, 13, 0, movabs $0x8000000000000000, %rax; mov (%rax), %rax)
    EXPECT(5, 12, 0, movabs $0x8000000000000000, %rbp; mov (%rbp), %rax)
    /* The stack fault's frame cannot be pushed either: double fault, on IST1. */
    EXPECT(6, 8, 0, movabs $0x8000000000000000, %rsp; push %rax)
    EXPECT(7, 3, NO_ERROR, int3)
    /* A trap points behind its instruction, a fault at it. */
    EXPECT(8, 3, NO_ERROR, 1: int3)
    mov $1b + 1, %rax
    cmp %rax, exc_rip
    CHECK(9, je)
    EXPECT(10, 6, NO_ERROR, 1: ud2)
    mov $1b, %rax
    cmp %rax, exc_rip
    CHECK(11, je)
    testq $0x10000, exc_flags /* RF in a fault's image */
    CHECK(12, jnz)

    /* Selectors. */
    movabs $0x00af1a000000ffff, %rax /* not-present code */
    mov %rax, gdt_extra + 8
    EXPECT(13, 13, 0x1000, mov $0x1003, %ax; mov %ax, %ds)
    EXPECT(14, 11, ABSENT, mov $ABSENT, %ax; mov %ax, %ds)
    EXPECT(15, 12, ABSENT, mov $ABSENT, %ax; mov %ax, %ss)
    EXPECT(16, 13, KCODE, mov $KCODE, %ax; mov %ax, %ss)
    EXPECT(17, 13, 0, mov $3, %ax; mov %ax, %ss)
    EXPECT(18, 13, 0x14, mov $0x14, %ax; mov %ax, %es) /* no LDT */
    EXPECT(19, 13, TASKGATE, ljmpl *far_task)
    EXPECT(20, 13, TSS_SEL, ljmpl *far_tss)
    EXPECT(21, 13, 0, ljmpl *far_null)
    EXPECT(22, 11, 0x98, ljmpl *far_absent)
    xor %eax, %eax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss /* null SS at CPL 0 */

    /* INT n: beyond the table, absent, wrong kind. */
    EXPECT(23, 13, 0x80 * 8 + 2, int $0x80)
    movw $0x0e00, idt + 0x80 * 16 + 4
    EXPECT(52, 11, 0x80 * 8 + 2, int $0x80)
    movw $0x8500, idt + 0x21 * 16 + 4
    EXPECT(24, 13, 0x21 * 8 + 2, int $0x21)
    movw $31 * 16 + 15, idt_pointer
    lidt idt_pointer
    EXPECT(25, 13, 0x80 * 8 + 2, int $0x80)

    /* Registers with rules. */
    EXPECT(26, 13, 0, mov $0x12345, %ecx; rdmsr)
    EXPECT(27, 13, 0, mov $0x12345, %ecx; wrmsr)
    EXPECT(28, 13, 0, mov $0x20, %eax; mov %rax, %cr0)         /* PG off in 64-bit mode */
    EXPECT(29, 13, 0, mov %cr4, %rax; and $~0x20, %rax; mov %rax, %cr4)
    EXPECT(30, 13, 0, mov %cr4, %rax; bts $40, %rax; mov %rax, %cr4)
    EXPECT(31, 13, 0, mov %cr3, %rax; bts $60, %rax; mov %rax, %cr3)
    EXPECT(32, 6, NO_ERROR, .byte 0x0f, 0x20, 0xc8)            /* CR1 */
    EXPECT(33, 13, 0, mov $16, %eax; mov %rax, %cr8)
    EXPECT(34, 13, 0, mov $0xc0000080, %ecx; rdmsr; bts $20, %eax; wrmsr)
    EXPECT(35, 13, 0, mov $0xc0000080, %ecx; rdmsr; btr $8, %eax; wrmsr) /* LME with paging on */
    EXPECT(36, 13, 0, mov $0xc0000082, %ecx; mov $0x80000000, %edx; wrmsr)
    EXPECT(37, 13, 0, mov $0x277, %ecx; mov $2, %eax; xor %edx, %edx; wrmsr)
    EXPECT(38, 6, NO_ERROR, xor %ecx, %ecx; .byte 0x0f, 0x01, 0xc2) /* VMLAUNCH without VMX */

    /* Page faults: not present, write. */
    EXPECT(39, 14, 0, movabs $0x80000000, %rax; mov (%rax), %rax)
    movabs $0x80000000, %rax
    cmp %rax, exc_cr2
    CHECK(40, je)
    EXPECT(41, 14, 2, movabs $0x80000ff8, %rax; mov %rax, (%rax))
    EXPECT(42, 14, 0x10, movabs $0x80001000, %rax; jmp *%rax)
    EXPECT(43, 13, 0, movabs $0x0000800000000000, %rax; jmp *%rax)

    /* The stack in an interrupt frame is aligned; SS and RSP are there without a privilege change. */
    mov %rsp, %rbx
    sub $3, %rsp
    EXPECT(44, 6, NO_ERROR, ud2)
    mov %rbx, %rsp
    testq $15, exc_frame /* RIP CS FLAGS RSP SS, -1, vector, RAX: eight items */
    CHECK(45, jz)
    /* LAR, LSL, VERR, VERW */
    mov $KDATA, %cx
    lar %ecx, %eax
    CHECK(46, jz)
    cmp $0xc09300, %eax /* accessed by now */
    CHECK(47, je)
    lsl %ecx, %eax
    cmp $-1, %eax
    CHECK(48, je)
    mov $TASKGATE, %cx
    lar %ecx, %eax
    CHECK(49, jnz)
    mov $KCODE, %cx
    verw %cx
    CHECK(50, jnz)
    verr %cx
    CHECK(51, jz)
    /* Segment registers 6 and 7 do not exist, CS cannot be loaded by MOV. */
    EXPECT(53, 6, NO_ERROR, .byte 0x8e, 0xf0)
    EXPECT(54, 6, NO_ERROR, .byte 0x8c, 0xf8)
    EXPECT(55, 6, NO_ERROR, .byte 0x8e, 0xc8)
    PASS

    .balign 8
far_task: .long 0; .word TASKGATE
far_tss: .long 0; .word TSS_SEL
far_null: .long 0; .word 3
far_absent: .long 0; .word 0x98
