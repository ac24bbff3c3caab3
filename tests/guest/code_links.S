/* SPDX-License-Identifier: MIT */
/*
 * Ways from one page of code into another, while what they lead to changes: the same call, jump and end of a page
 * before and after its target is remapped or written, the same code at two addresses, a function that remaps its
 * caller, two address spaces, global pages. Each round runs all cases, first with pages of one space's own, then with
 * all code global.
 *
 * Linear page n of TEST_PAGES shows frame n of TEST_PHYS unless SHOW says otherwise. The second space (PML4_B) has the
 * same, but what SHOW_B says.
 */
#include "guest.inc"

#define ROUNDS     40
#define PML4_B     0x207000
#define PDPT_B     0x208000
#define PD_B       0x209000
#define PT_TEST_B  0x20a000
#define PAGE(n)    TEST_PAGES + (n) * 0x1000
#define FRAME(n)   TEST_PHYS + (n) * 0x1000
#define ENTRY(f)   FRAME(f) + 7
#define SHOW(n, f) mov $ENTRY(f), %eax; or %r14d, %eax; mov %eax, PT_TEST + 8 * (n); invlpg PAGE(n)
#define SHOW_B(n, f) mov $ENTRY(f), %eax; or %r14d, %eax; mov %eax, PT_TEST_B + 8 * (n); invlpg PAGE(n)
#define SPACE(pml4) mov $pml4, %eax; mov %rax, %cr3
/* Three times: what leads there may change with each. */
#define GIVES(id, n, at, value)                                                                                        \
    mov $3, %ebx; 774: mov $PAGE(n) + (at), %eax; call *%rax; cmp $(value), %eax; CHECK(id, je); dec %ebx; jnz 774b

main64:
    /* The second space: the first gigabyte is the same. */
    mov $PML4_B, %edi
    xor %eax, %eax
    mov $0x4000 / 8, %ecx
    rep stosq
    movl $PDPT_B + 7, PML4_B
    movl $PD_LOW + 7, PDPT_B
    movl $PD_B + 7, PDPT_B + 8
    movl $PT_TEST_B + 7, PD_B + 8
    mov $PT_TEST, %esi
    mov $PT_TEST_B, %edi
    mov $512, %ecx
    rep movsq

    /* Frame 0: a call, a jump and a conditional jump to the next page; the page's end. */
    movb $0xe8, FRAME(0)
    movl $0x1000 - 5, FRAME(0) + 1
    movb $0xc3, FRAME(0) + 5
    movb $0xe9, FRAME(0) + 0x10
    movl $0x1000 - 0x15, FRAME(0) + 0x11
    movl $0x840fc031, FRAME(0) + 0x20 /* xor %eax, %eax; jz */
    movl $0x1000 - 0x28, FRAME(0) + 0x24
    movw $0x9090, FRAME(0) + 0xffe
    /* Frames 1 and 2: functions. */
    movb $0xb8, FRAME(1)
    movl $1, FRAME(1) + 1
    movb $0xc3, FRAME(1) + 5
    movb $0xb8, FRAME(2)
    movb $0xc3, FRAME(2) + 5
    /* Frames 12 and 14 call frame 13, which puts the second in the first one's place. */
    movb $0xe8, FRAME(12)
    movl $0x1000 - 5, FRAME(12) + 1
    movb $0xb8, FRAME(12) + 5
    movl $5, FRAME(12) + 6
    movb $0xc3, FRAME(12) + 10
    movb $0xb8, FRAME(14) + 5
    movl $6, FRAME(14) + 6
    movb $0xc3, FRAME(14) + 10
    mov $remap, %esi
    mov $FRAME(13), %edi
    mov $remap_end - remap, %ecx
    rep movsb
    mov %cr4, %rax
    bts $21, %rax /* SMAP */
    mov %rax, %cr4
    /* Linear 0: a function, too. */
    movb $0xb8, 0
    movl $9, 1
    movb $0xc3, 5

    xor %r14d, %r14d /* what page-table entries have besides */
    mov $ROUNDS, %r15d
round:
    call cases
    call spaces
    dec %r15d
    jnz round

    /* Once more with all code global. */
    mov $512, %ecx
    mov $PT_LOW, %edi
1:  orl $0x100, (%rdi)
    add $8, %edi
    dec %ecx
    jnz 1b
    mov %cr4, %rax
    or $0x80, %eax
    mov %rax, %cr4
    mov $0x100, %r14d
    mov $ROUNDS, %r15d
global_round:
    call cases
    call globals
    dec %r15d
    jnz global_round
    PASS

cases:
    movl $2, FRAME(2) + 1
    SHOW(0, 0)
    SHOW(1, 1)
    GIVES(1, 0, 0, 1)
    GIVES(2, 0, 0x10, 1)
    GIVES(3, 0, 0x20, 1)
    GIVES(4, 0, 0xffe, 1)
    SHOW(1, 2)
    GIVES(5, 0, 0, 2)
    GIVES(6, 0, 0x10, 2)
    GIVES(7, 0, 0x20, 2)
    GIVES(8, 0, 0xffe, 2)
    movl $3, FRAME(2) + 1
    GIVES(9, 0, 0, 3)
    GIVES(10, 0, 0x10, 3)
    GIVES(11, 0, 0x20, 3)
    GIVES(12, 0, 0xffe, 3)

    /* The same code at two addresses. */
    SHOW(4, 0)
    SHOW(5, 1)
    SHOW(8, 0)
    SHOW(9, 2)
    mov $4, %r13d
1:  mov $PAGE(4), %eax
    call *%rax
    cmp $1, %eax
    CHECK(13, je)
    mov $PAGE(8), %eax
    call *%rax
    cmp $3, %eax
    CHECK(14, je)
    dec %r13d
    jnz 1b

    /* STAC and CLAC, behind which code goes on. */
    SHOW(1, 1)
    stac
    GIVES(15, 0, 0, 1)
    clac
    SHOW(1, 2)
    stac
    GIVES(16, 0, 0, 3)
    clac

    /* A function that changes what it returns to. */
    SHOW(12, 12)
    mov $PAGE(12), %eax
    call *%rax
    cmp $6, %eax
    CHECK(17, je)

    /* Addresses that might stand for nothing. */
    xor %eax, %eax
    call *%rax
    cmp $9, %eax
    CHECK(18, je)
    ret

/* One address, two spaces. */
spaces:
    SHOW(1, 1)
    SHOW_B(1, 2)
    SPACE(PML4_B)
    GIVES(19, 0, 0, 3)
    SPACE(PML4)
    GIVES(20, 0, 0, 1)
    SPACE(PML4_B)
    GIVES(21, 0, 0, 3)
    SPACE(PML4)
    SHOW_B(1, 1)
    ret

/* The page is the same in both until it is invalidated in one, which does it for the other. */
globals:
    SHOW(1, 1)
    SHOW_B(1, 1)
    GIVES(22, 0, 0, 1)
    SPACE(PML4_B)
    GIVES(23, 0, 0, 1)
    SHOW(1, 2)
    SHOW_B(1, 2)
    GIVES(24, 0, 0, 3)
    SPACE(PML4)
    GIVES(25, 0, 0, 3)
    /* One that is not. */
    movl $FRAME(1) + 7, PT_TEST + 8
    movl $FRAME(2) + 7, PT_TEST_B + 8
    invlpg PAGE(1)
    GIVES(26, 0, 0, 1)
    SPACE(PML4_B)
    GIVES(27, 0, 0, 3)
    SPACE(PML4)
    GIVES(28, 0, 0, 1)
    ret

remap:
    mov $ENTRY(14), %eax
    or %r14d, %eax
    mov %eax, PT_TEST + 8 * 12
    invlpg PAGE(12)
    ret
remap_end:
