/* SPDX-License-Identifier: MIT */
/* Maskable interrupts, NMI, HLT and what holds them back. Port F5H raises a vector, F6H an NMI. */
#include "guest.inc"

#define RAISE(vector) mov $vector, %al; out %al, $0xf5
#define RAISE_NMI out %al, $0xf6

main64:
    mov $exc_stubs + 31 * 16, %eax
    mov %ax, idt + 0x40 * 16
    movw $KCODE, idt + 0x40 * 16 + 2
    movw $0x8e00, idt + 0x40 * 16 + 4
    shr $16, %eax
    mov %ax, idt + 0x40 * 16 + 6
    /* IF 0 holds it, STI lets it in only behind the next instruction. */
    movq $0, exc_count
    RAISE(0x40)
    nop
    cmpq $0, exc_count
    CHECK(1, je)
    sti
    nop
1:  cli
    cmpq $1, exc_count
    CHECK(2, je)
    mov $1b, %rax
    cmp %rax, exc_rip
    CHECK(3, je)
    testq $0x200, exc_flags
    CHECK(4, jnz)
    /* STI; CLI: the shadow covers the window. */
    RAISE(0x40)
    sti
    cli
    nop
    cmpq $1, exc_count
    CHECK(5, je)
    /* STI; HLT wakes; RIP is behind HLT. */
    sti
    hlt
2:  cli
    cmpq $2, exc_count
    CHECK(6, je)
    mov $2b, %rax
    cmp %rax, exc_rip
    CHECK(7, je)
    /* MOV SS holds it for one instruction too. */
    sti
    RAISE(0x40) /* delivered behind OUT */
    cmpq $3, exc_count
    CHECK(8, je)
    /* CR8 holds lower priorities. */
    mov $4, %eax
    mov %rax, %cr8
    RAISE(0x40)
    nop
    cmpq $3, exc_count
    CHECK(9, je)
    mov %cr8, %rax
    cmp $4, %rax
    CHECK(10, je)
    xor %eax, %eax
    mov %rax, %cr8
    cmpq $4, exc_count
    CHECK(11, je)
    cli
    /* POPF and IRET open at once. */
    RAISE(0x40)
    pushq $0x202
    popfq
3:  nop
    cmpq $5, exc_count
    CHECK(12, je)
    mov $3b, %rax
    cmp %rax, exc_rip
    CHECK(13, je)
    cli
    /* NMI: whatever IF says; blocked until IRET. */
    RAISE_NMI
    cmpq $6, exc_count
    CHECK(14, je)
    cmpq $2, exc_vector
    CHECK(15, je)
    mov $nmi_once, %eax
    mov %ax, idt + 2 * 16
    movq $0, nmi_count
    RAISE_NMI
    cmpq $2, nmi_count
    CHECK(16, je)
    cmpq $0, nmi_nested
    CHECK(17, je)
    /* HLT with IF 0 and an NMI. */
    mov $nmi_count_one, %eax
    mov %ax, idt + 2 * 16
    mov $nmi_wait, %eax
    RAISE_NMI
    PASS

nmi_once:
    push %rax
    incq nmi_count
    cmpq $1, nmi_count
    jne 1f
    RAISE_NMI /* pending until our IRET */
    nop
    cmpq $1, nmi_count
    je 1f
    incq nmi_nested
1:  pop %rax
    iretq
nmi_count_one:
    incq nmi_count
    iretq
    .balign 8
nmi_count: .quad 0
nmi_nested: .quad 0
nmi_wait: .quad 0
