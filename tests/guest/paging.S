/* SPDX-License-Identifier: MIT */
/* Page permissions, accessed and dirty bits, invalidation, PCID. */
#include "guest.inc"

#define PTE0 PT_TEST
#define P0   TEST_PAGES

main64:
    movabs $P0, %rbx
    /* Accessed by a read, dirty by a write. */
    mov (%rbx), %rax
    mov PTE0, %eax
    and $0x60, %eax
    cmp $0x20, %eax
    CHECK(1, je)
    movl $1, (%rbx)
    mov PTE0, %eax
    and $0x60, %eax
    cmp $0x60, %eax
    CHECK(2, je)
    /* Cleared bits come again after INVLPG. */
    movl $TEST_PHYS + 7, PTE0
    invlpg (%rbx)
    movl $2, (%rbx)
    testl $0x40, PTE0
    CHECK(3, jnz)

    /* Read-only page and CR0.WP. */
    movl $TEST_PHYS + 5, PTE0
    invlpg (%rbx)
    EXPECT(4, 14, 3, movl $1, (%rbx))
    mov %cr0, %rax
    btr $16, %rax
    mov %rax, %cr0
    movl $0x1234, (%rbx)
    bts $16, %rax
    mov %rax, %cr0
    EXPECT(5, 14, 3, movl $1, (%rbx))

    /* NX. */
    movl $TEST_PHYS + 7, PTE0
    movb $0xc3, TEST_PHYS
    invlpg (%rbx)
    call *%rbx
    movl $0x80000000, PTE0 + 4
    invlpg (%rbx)
    EXPECT(6, 14, 0x11, call *%rbx)
    mov (%rbx), %rax
    movl $0, PTE0 + 4
    invlpg (%rbx)

    /* SMEP: user page, supervisor fetch. */
    mov %cr4, %rax
    bts $20, %rax
    mov %rax, %cr4
    EXPECT(7, 14, 0x11, call *%rbx)
    mov %cr4, %rax
    btr $20, %rax
    mov %rax, %cr4
    call *%rbx

    /* SMAP and AC. */
    mov %cr4, %rax
    bts $21, %rax
    mov %rax, %cr4
    EXPECT(8, 14, 1, mov (%rbx), %rcx)
    EXPECT(9, 14, 3, movl $1, (%rbx))
    stac
    mov (%rbx), %rcx
    clac
    EXPECT(10, 14, 1, mov (%rbx), %rcx)
    pushfq
    orl $0x40000, (%rsp)
    popfq
    mov (%rbx), %rcx
    pushfq
    andl $~0x40000, (%rsp)
    popfq
    EXPECT(11, 14, 1, mov (%rbx), %rcx)
    mov %cr4, %rax
    btr $21, %rax
    mov %rax, %cr4
    EXPECT(12, 6, NO_ERROR, pushq $3; pushq $2; popfq; .byte 0x0f, 0x0b)

    /* Reserved bit: beyond the physical width. */
    movl $0x00080000, PTE0 + 4
    invlpg (%rbx)
    EXPECT(13, 14, 9, mov (%rbx), %rcx)
    movl $0, PTE0 + 4
    invlpg (%rbx)

    /* INVLPG and MOV CR3 see a changed mapping. */
    movl $0x11111111, TEST_PHYS
    movl $0x22222222, TEST_PHYS + 0x1000
    cmpl $0x11111111, (%rbx)
    CHECK(14, je)
    movl $TEST_PHYS + 0x1007, PTE0
    invlpg (%rbx)
    cmpl $0x22222222, (%rbx)
    CHECK(15, je)
    movl $TEST_PHYS + 7, PTE0
    mov %cr3, %rax
    mov %rax, %cr3
    cmpl $0x11111111, (%rbx)
    CHECK(16, je)

    /* MOV CR3 also forgets what was seen while CR0.WP was another. */
    mov %cr0, %rdx
    btr $16, %rdx
    mov %rdx, %cr0
    cmpl $0x11111111, (%rbx)
    CHECK(64, je)
    bts $16, %rdx
    mov %rdx, %cr0
    movl $TEST_PHYS + 0x1007, PTE0
    mov %rax, %cr3
    btr $16, %rdx
    mov %rdx, %cr0
    cmpl $0x22222222, (%rbx)
    CHECK(65, je)
    movl $TEST_PHYS + 7, PTE0
    mov %rax, %cr3
    bts $16, %rdx
    mov %rdx, %cr0
    cmpl $0x11111111, (%rbx)
    CHECK(66, je)

    /* A page fault forgets what was known of the page. */
    movl $TEST_PHYS + 5, PTE0
    invlpg (%rbx)
    cmpl $0x11111111, (%rbx)
    CHECK(67, je)
    movl $TEST_PHYS + 0x1005, PTE0
    EXPECT(68, 14, 3, movl $1, (%rbx))
    cmpl $0x22222222, (%rbx)
    CHECK(69, je)
    movl $TEST_PHYS + 7, PTE0
    invlpg (%rbx)

    /* One INVLPG anywhere in a large page forgets all of it. */
#define LARGE (TEST_PAGES + 0x200000)
    movabs $LARGE, %rsi
    movl $0x33333333, TEST_PHYS + 0x201000
    movl $0x11111111, TEST_PHYS + 0x1000
    movl $TEST_PHYS + 0x87, PD_USER + 16
    cmpl $0x11111111, 0x1000(%rsi)
    CHECK(60, je)
    movb $0xc3, TEST_PHYS + 0x3000
    lea 0x3000(%rsi), %rdi
    call *%rdi
    movl $TEST_PHYS + 0x200087, PD_USER + 16
    movl $0xc3585858, TEST_PHYS + 0x203000 /* three POP RAX and RET */
    invlpg 0x1ff000(%rsi)
    cmpl $0x33333333, 0x1000(%rsi)
    CHECK(61, je)
    mov %rsp, %rbp
    lea 762f(%rip), %rax
    push %rax
    push %rax
    push %rax
    call *%rdi
762:
    cmp %rsp, %rbp
    CHECK(62, je)
    movl $0, PD_USER + 16
    invlpg (%rsi)
    EXPECT(63, 14, 0, mov 0x1000(%rsi), %rcx)
    movl $0x22222222, TEST_PHYS + 0x1000

    /* A page-crossing write whose second page refuses leaves the first alone. */
    movl $0, TEST_PHYS + 0xffc
    movl $0, PT_TEST + 8
    invlpg 0x1000(%rbx)
    movabs $0xffffffffffffffff, %rcx
    EXPECT(17, 14, 2, mov %rcx, 0xffc(%rbx))
    cmpl $0, TEST_PHYS + 0xffc
    CHECK(18, je)
    lea 0x1000(%rbx), %rax
    cmp %rax, exc_cr2
    CHECK(19, je)
    movl $TEST_PHYS + 0x1007, PT_TEST + 8
    invlpg 0x1000(%rbx)

    /* PCID: only from PCID 0 and in long mode; bit 63 keeps, INVPCID forgets. */
    mov %cr4, %rax
    bts $17, %rax
    mov %rax, %cr4
    mov $PML4 + 1, %eax
    mov %rax, %cr3
    cmpl $0x11111111, (%rbx)
    CHECK(20, je)
    movl $TEST_PHYS + 0x1007, PTE0
    mov $PML4 + 2, %eax
    mov %rax, %cr3
    cmpl $0x22222222, (%rbx)
    CHECK(21, je)
    mov $PML4 + 1, %eax
    mov %rax, %cr3 /* without bit 63: PCID 1 is flushed */
    cmpl $0x22222222, (%rbx)
    CHECK(22, je)
    movl $TEST_PHYS + 7, PTE0
    movq $2, invpcid_desc
    mov $1, %eax
    invpcid invpcid_desc, %rax
    mov $PML4 + 2, %eax
    bts $63, %rax
    mov %rax, %cr3
    cmpl $0x11111111, (%rbx)
    CHECK(23, je)
    mov %cr3, %rax
    cmp $PML4 + 2, %rax
    CHECK(24, je)
    EXPECT(25, 13, 0, mov $4, %eax; invpcid invpcid_desc, %rax)
    EXPECT(26, 13, 0, mov %cr4, %rax; btr $17, %rax; mov %rax, %cr4; bts $17, %rax; mov %rax, %cr4)
    PASS

    .balign 16
invpcid_desc: .quad 0, 0
