/* SPDX-License-Identifier: MIT */
/*
 * Loops whose operands go to the same pages again and again, while these are remapped: what translated code keeps of a
 * page (slots, windows) must end with INVLPG and MOV CR3, between runs of a loop and in the middle of one.
 *
 * Linear page n of TEST_PAGES shows frame n of TEST_PHYS unless SHOW says otherwise; every dword of frame n is n + 1.
 */
#include "guest.inc"

#define ROUNDS     60
#define DWORDS     600
#define PAGE(n)    TEST_PAGES + (n) * 0x1000
#define OTHER_TABLE 0x2f0000
#define FRAME(n)   TEST_PHYS + (n) * 0x1000
/* EAX: the frame */
#define SHOW(n, more) shl $12, %eax; add $TEST_PHYS + (more), %eax; mov %eax, PT_TEST + 8 * (n)

main64:
    mov $FRAME(0), %edi
    mov $1, %eax
1:  mov $0x400, %ecx
    rep stosl
    inc %eax
    cmp $9, %eax
    jb 1b

    /* Sums over the end of page 0; pages 0 and 1 show other frames in each round. */
    xor %r15d, %r15d
round:
    mov %r15d, %eax
    and $3, %eax
    lea 1(%rax), %r12d
    SHOW(0, 7)
    lea 1(%r15), %eax
    and $3, %eax
    lea 1(%rax), %r13d
    SHOW(1, 7)
    test $4, %r15b
    jz 2f
    mov %cr3, %rax
    mov %rax, %cr3
    jmp 3f
2:  invlpg PAGE(0)
    invlpg PAGE(1)
3:  mov $PAGE(1) - DWORDS / 2 * 4, %esi
    mov $DWORDS / 2, %ecx
    xor %edx, %edx
4:  add (%rsi), %edx
    add 4(%rsi), %edx
    add $8, %rsi
    dec %ecx
    jnz 4b
    lea (%r12, %r13), %eax
    imul $DWORDS / 2, %eax
    cmp %eax, %edx
    CHECK(1, je)

    /* The same by a word that lies on both pages. */
    mov $PAGE(1) - 2, %esi
    mov $300, %ecx
    xor %edx, %edx
5:  add (%rsi), %edx
    add %ecx, 0x802(%rsi)
    sub %ecx, 0x802(%rsi)
    dec %ecx
    jnz 5b
    mov %r13d, %eax
    shl $16, %eax
    imul $300, %eax
    cmp %eax, %edx
    CHECK(2, je)

    /* Stores go to the frame that is shown now. */
    mov %r15d, %eax
    and $1, %eax
    lea 6(%rax), %eax
    mov %eax, %r14d
    SHOW(2, 7)
    invlpg PAGE(2)
    mov $PAGE(2), %edi
    call store_some
    shl $12, %r14d
    cmp %r15d, TEST_PHYS(%r14)
    CHECK(3, je)
    cmp %r15d, TEST_PHYS + 299 * 8(%r14)
    CHECK(4, je)
    cmpl $1, TEST_PHYS + 299 * 8 + 4(%r14)
    CHECK(5, je)
    xor $0x1000, %r14d
    cmp %r15d, TEST_PHYS(%r14)
    CHECK(6, jne)

    /* Where the page is read-only now, the same loop's first store faults. */
    btrl $1, PT_TEST + 8 * 2
    invlpg PAGE(2)
    EXPECT(7, 14, 3, mov $PAGE(2), %edi; call store_some)
    cmp $300, %ecx
    CHECK(8, je)
    btsl $1, PT_TEST + 8 * 2
    invlpg PAGE(2)
    inc %r15d
    cmp $ROUNDS, %r15d
    jb round

    /* In the middle of a loop. */
    mov $3000, %ecx
    xor %edx, %edx
7:  mov %ecx, %eax
    and $3, %eax
    lea 1(%rax), %ebx
    SHOW(3, 7)
    invlpg PAGE(3)
    mov PAGE(3), %eax
    cmp %ebx, %eax
    jne 8f
    add PAGE(3) + 4, %edx
    sub %ebx, %edx
    jnz 8f
    dec %ecx
    jnz 7b
8:  test %ecx, %ecx
    CHECK(9, jz)

    /* A page of 2 MiB: INVLPG of an address that nobody used ends what is kept of the others. */
    mov $50, %r15d
9:  mov %r15d, %eax
    and $1, %eax
    add $3, %eax
    shl $21, %eax
    mov %eax, %ebx /* 6 or 8 MiB */
    add $0x5000, %ebx
    mov %r15d, (%rbx)
    or $0x87, %eax
    mov %eax, PD_USER + 8 * 2
    invlpg USER + 0x523000
    mov $200, %ecx
    xor %edx, %edx
10: add USER + 0x405000, %edx
    dec %ecx
    jnz 10b
    imul $200, %r15d, %eax
    cmp %eax, %edx
    CHECK(10, je)
    dec %r15d
    jnz 9b

    /* Another page table for the same 2 MiB: INVLPG, of whatever address, ends what is known of tables. SDM 3A
     * 4.10.4.1 */
    xor %ecx, %ecx
11: mov %ecx, %edx
    shl $12, %edx
    mov %ecx, TEST_PHYS(%rdx)
    lea TEST_PHYS + 0x27(%rdx), %eax
    mov %eax, PT_TEST(, %rcx, 8)
    xor $0x40000, %eax
    mov %eax, OTHER_TABLE(, %rcx, 8)
    movl $0, OTHER_TABLE + 4(, %rcx, 8)
    inc %ecx
    cmp $512, %ecx
    jb 11b
    mov %cr3, %rax
    mov %rax, %cr3
    xor %r15d, %r15d
12: mov %r15d, %ebx
    shl $13, %ebx
    mov PAGE(64)(%rbx), %eax /* its table is known */
    mov $PT_TEST + 0x27, %eax
    mov $OTHER_TABLE + 0x27, %edx
    test $1, %r15b
    cmovz %edx, %eax
    mov %eax, PD_USER + 8
    invlpg PAGE(500)
    mov PAGE(65)(%rbx), %eax /* nobody used it */
    lea 65(, %r15, 2), %edx
    mov %edx, %ecx
    xor $0x40, %ecx
    test $1, %r15b
    cmovz %ecx, %edx
    cmp %edx, %eax
    CHECK(11, je)
    inc %r15d
    cmp $60, %r15d
    jb 12b
    PASS

store_some:
    mov $300, %ecx
6:  mov %r15d, (%rdi)
    mov %ecx, 4(%rdi)
    add $8, %rdi
    dec %ecx
    jnz 6b
    ret
