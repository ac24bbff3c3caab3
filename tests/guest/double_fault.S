/* SPDX-License-Identifier: MIT */
/* SDM 3A table 6-5: which pairs of faults combine, and which are handled one after the other. */
#include "guest.inc"

#define IDT_TYPE(vector) idt + vector * 16 + 4

main64:
    /* Benign, then contributory: the second alone, EXT and IDT bits set. */
    movw $0x0e00, IDT_TYPE(6)
    EXPECT(1, 11, 6 * 8 + 3, ud2)
    /* Contributory twice: double fault, on its own stack, RIP of the first. */
    movw $0x0e00, IDT_TYPE(13)
    EXPECT(2, 8, 0, 1: mov $0x12345, %ecx; rdmsr)
    mov $1b + 5, %rax
    cmp %rax, exc_rip
    CHECK(3, je)
    mov exc_frame, %rax
    cmp $0x7c000 - 64, %rax
    CHECK(4, je)
    /* Page fault, then contributory: double fault; CR2 tells the address. */
    movw $0x0e00, IDT_TYPE(14)
    EXPECT(5, 8, 0, movabs $0x90000000, %rax; mov (%rax), %rax)
    mov $0x90000000, %eax
    cmp %rax, exc_cr2
    CHECK(6, je)
    movw $0x8e00, IDT_TYPE(14)
    movw $0x8e00, IDT_TYPE(13)
    movw $0x8e00, IDT_TYPE(6)
    /* Page fault whose frame hits an unmapped stack: double fault. */
    EXPECT(7, 8, 0, movabs $0x90000000, %rsp; push %rax)
    /* Contributory, then page fault on the stack: one after the other, so the second page fault of it doubles. */
    EXPECT(8, 8, 0, movabs $0x90000000, %rsp; mov $0x12345, %ecx; rdmsr)
    /* Software interrupt, then #NP: error code without EXT. */
    movw $0x0e00, idt + 0x30 * 16 + 4
    EXPECT(9, 11, 0x30 * 8 + 2, int $0x30)
    /* An IST pointer that is not canonical: #SS with EXT. */
    movb $2, idt + 6 * 16 + 4
    movabs $0x8000000000000000, %rax
    mov %rax, tss + 0x2c
    EXPECT(10, 12, 1, ud2)
    PASS
