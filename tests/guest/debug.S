/* SPDX-License-Identifier: MIT */
/* Single step, code and data breakpoints, general detect, INT1, MOV SS shadow. */
#include "guest.inc"

#define SET_DR6(v) mov $v, %eax; mov %rax, %dr6
#define SET_DR7(v) mov $v, %eax; mov %rax, %dr7

main64:
    /* TF traps after each instruction that began with it, POPF that clears it included. */
    movq $0, exc_count
    pushfq
    pushfq
    orl $0x100, (%rsp)
    popfq /* TF set here: no trap yet */
    nop
    nop
    popfq /* traps once more */
    nop
    cmpq $3, exc_count
    CHECK(1, je)
    cmpq $1, exc_vector
    CHECK(2, je)
    mov %dr6, %rax
    test $0x4000, %eax
    CHECK(3, jnz)
    /* The trap's RIP is the next instruction's, and its image has TF. */
    SET_DR6(0)
    movq $0, exc_count
    pushfq
    pushfq
    orl $0x100, (%rsp)
    popfq
    nop
1:  mov exc_rip, %rcx /* read before its own trap */
    mov exc_flags, %rdx
    popfq
    mov $1b, %rax
    cmp %rax, %rcx
    CHECK(4, je)
    test $0x100, %edx
    CHECK(5, jnz)

    /* INT clears TF for its handler: the handler itself is not stepped. */
    movq $0, exc_count
    pushfq
    pushfq
    orl $0x100, (%rsp)
    popfq
    int3
    popfq
    nop
    cmpq $2, exc_count /* #BP, then POPF's */
    CHECK(6, je)

    /* Code breakpoint: a fault, once; RF lets it pass. */
    mov $2f, %eax
    mov %rax, %dr0
    SET_DR6(0)
    SET_DR7(0x402)
    EXPECT(7, 1, NO_ERROR, 2: nop; nop)
    mov $2b, %eax
    mov %dr6, %rcx
    test $1, %cl
    CHECK(8, jnz)
    mov $3f, %eax
    mov %rax, %dr0
    movq $0, exc_count
    mov %rsp, %rcx
    pushq $KDATA
    push %rcx
    pushq $0x10002 /* RF */
    pushq $KCODE
    pushq $3f
    iretq
3:  nop
    cmpq $0, exc_count
    CHECK(9, je)
    SET_DR7(0x400)

    /* Data breakpoint: a trap behind the store; reads pass a write-only one. */
    mov $data, %eax
    mov %rax, %dr1
    SET_DR6(0)
    SET_DR7(0xd00408) /* G1, write, 4 bytes */
    movq $0, exc_count
    mov data, %eax
    cmpq $0, exc_count
    CHECK(10, je)
    movl $1, data
4:  cmpq $1, exc_count
    CHECK(11, je)
    mov $4b, %rax
    cmp %rax, exc_rip
    CHECK(12, je)
    mov %dr6, %rax
    test $2, %al
    CHECK(13, jnz)
    movb $1, data + 3
    cmpq $2, exc_count
    CHECK(14, je)
    movb $1, data + 4
    cmpq $2, exc_count
    CHECK(15, je)
    /* MOV SS holds the trap back for one instruction. */
    movw $KDATA, data
    SET_DR7(0xf00408) /* read or write */
    movq $0, exc_count
    mov data, %ss
    nop
5:  nop
    cmpq $1, exc_count
    CHECK(16, je)
    mov $5b, %rax
    cmp %rax, exc_rip
    CHECK(17, je)
    SET_DR7(0x400)

    /* General detect: MOV DR faults and clears it. */
    SET_DR6(0)
    SET_DR7(0x2400)
    EXPECT(18, 1, NO_ERROR, mov %dr0, %rax)
    mov %dr6, %rax
    test $0x2000, %eax
    CHECK(19, jnz)
    mov %dr7, %rax
    test $0x2000, %eax
    CHECK(20, jz)
    /* DR4 is DR6 until CR4.DE. */
    mov $0xffff0ff0, %eax
    mov %rax, %dr6
    .byte 0x0f, 0x21, 0xe0 /* mov %dr4, %rax */
    cmp $0xffff0ff0, %eax
    CHECK(21, je)
    mov %cr4, %rax
    or $8, %eax
    mov %rax, %cr4
    EXPECT(22, 6, NO_ERROR, .byte 0x0f, 0x21, 0xe0)
    EXPECT(23, 13, 0, mov $1, %eax; shl $32, %rax; mov %rax, %dr7)
    /* INT1 sets no bit. */
    SET_DR6(0)
    EXPECT(24, 1, NO_ERROR, .byte 0xf1)
    mov %dr6, %rax
    test $0xe00f, %eax
    CHECK(25, jz)

    /* I/O breakpoint, with CR4.DE. */
    mov $0x10, %eax
    mov %rax, %dr2
    SET_DR7(0x2000420) /* G2, I/O, 1 byte */
    movq $0, exc_count
    in $0x11, %al
    cmpq $0, exc_count
    CHECK(26, je)
    in $0x10, %al
1:  cmpq $1, exc_count
    CHECK(27, je)
    mov $1b, %rax
    cmp %rax, exc_rip
    CHECK(28, je)
    SET_DR7(0x400)
    /* A repeated instruction is stepped by its iterations. */
    mov $3, %ecx
    mov $data, %edi
    movq $0, exc_count
    pushfq
    pushfq
    orl $0x100, (%rsp)
    popfq
    rep stosb
    popfq
    cmpq $4, exc_count /* three iterations, POPF */
    CHECK(29, je)
    cmp $data + 3, %edi
    CHECK(30, je)
    /* BTF steps from branch to branch, and the trap ends it: from there on TF steps again. */
    SET_DR7(0x400)
    mov $0x1d9, %ecx
    mov $2, %eax
    xor %edx, %edx
    wrmsr
    movq $0, exc_count
    pushfq
    pushfq
    orl $0x100, (%rsp)
    popfq
    nop
    jz 8f /* ZF of the xor: taken, to where it would have gone anyway */
8:  popfq
    nop
    cmpq $2, exc_count
    CHECK(90, je)
    rdmsr
    test %eax, %eax
    CHECK(91, jz)

    /* STI holds no trap back. */
    cli
    movq $0, exc_count
    pushfq
    pushfq
    orl $0x100, (%rsp)
    popfq
    sti
6:  mov exc_rip, %rcx
    popfq /* IF is clear again */
    cmpq $3, exc_count
    CHECK(31, je)
    mov $6b, %rax
    cmp %rax, %rcx
    CHECK(32, je)
    /* MOV SS and a fault behind it: the fault alone. */
    movw $KDATA, data
    SET_DR6(0)
    SET_DR7(0xf00408)
    movq $0, exc_count
    EXPECT(33, 6, NO_ERROR, mov data, %ss; ud2)
    nop
    mov %dr6, %rax
    test $2, %al
    CHECK(34, jz)
    /* MOV SS and INT1: one #DB, without the breakpoint's bit. MOV SS and INT n: both. */
    movq $0, exc_count
    mov data, %ss
    .byte 0xf1
    nop
    cmpq $1, exc_count
    CHECK(35, je)
    mov %dr6, %rax
    test $2, %al
    CHECK(36, jz)
    movq $0, exc_count
    mov data, %ss
    int3
    nop
    cmpq $2, exc_count
    CHECK(37, je)
    SET_DR7(0x400)
    /* A code breakpoint behind MOV SS: missed by Intel, met by AMD. */
    mov $7f, %eax
    mov %rax, %dr0
    SET_DR7(0x402)
    mov $KDATA, %ecx
    movabs $8f, %rax
    mov %rax, exc_resume
    mov %rsp, exc_rsp
    movq $0, exc_count
    mov %ecx, %ss
7:  nop
8:  movq $0, exc_resume
    SET_DR7(0x400)
    xor %eax, %eax
    cpuid
    xor %eax, %eax
    cmp $0x756e6547, %ebx /* "Genu" */
    setne %al
    cmp %rax, exc_count
    CHECK(38, je)
    PASS

    .balign 8
data: .quad 0
