/* SPDX-License-Identifier: MIT */
/*
 * Code whose pages are remapped and changed between calls, often enough to be cached by whoever caches code: an
 * instruction across two pages, jumps, calls and returns from one page into another. Each round runs all cases.
 *
 * Linear page n of TEST_PAGES shows frame n of TEST_PHYS unless SHOW says otherwise; the frames can be written at
 * their own addresses, too.
 */
#include "guest.inc"

#define ROUNDS     60
#define PAGE(n)    TEST_PAGES + (n) * 0x1000
#define FRAME(n)   TEST_PHYS + (n) * 0x1000
#define SHOW(n, f) movl $FRAME(f) + 7, PT_TEST + 8 * (n); invlpg PAGE(n)
#define GIVES(id, n, at, value)                                                                                        \
    mov $PAGE(n) + (at), %eax; call *%rax; cmp $(value), %eax; CHECK(id, je)

main64:
    mov $ROUNDS, %r15d
round:
    /* B8 and four bytes: MOV EAX of which the last three lie on page 2, and RET behind it. */
    movw $0x11b8, FRAME(1) + 0xffe
    movl $0xc3010101, FRAME(2)
    movl $0xc3020202, FRAME(3)
    SHOW(1, 1)
    SHOW(2, 2)
    GIVES(1, 1, 0xffe, 0x01010111)
    SHOW(2, 3)
    GIVES(2, 1, 0xffe, 0x02020211)
    movb $0x33, FRAME(3) + 1
    GIVES(3, 1, 0xffe, 0x02330211)
    movb $0x44, PAGE(1) + 0xfff
    GIVES(4, 1, 0xffe, 0x02330244)
    SHOW(2, 2)
    GIVES(5, 1, 0xffe, 0x01010144)

    /* The second page goes: a fault at its first byte, with nothing done. */
    movl $0, PT_TEST + 16
    invlpg PAGE(2)
    mov $PAGE(1) + 0xffe, %ebx
    EXPECT(6, 14, 0x10 /* a fetch */, mov $0x77, %eax; jmp *%rbx)
    cmpq $PAGE(2), exc_cr2
    CHECK(7, je)
    mov $PAGE(1) + 0xffe, %ebx
    cmp %rbx, exc_rip
    CHECK(8, je)

    /* Page 4 jumps to page 5, calls it, and returns to where a changed page 6 called from. */
    movb $0xe9, FRAME(4)
    movl $0x1000 - 5, FRAME(4) + 1
    movb $0xe8, FRAME(4) + 0x10
    movl $0x1000 - 0x15, FRAME(4) + 0x11
    movl $0x9001c083, FRAME(4) + 0x15 /* add $1, %eax; nop */
    movb $0xc3, FRAME(4) + 0x19
    movb $0xb8, FRAME(5)
    movl $1000, FRAME(5) + 1
    movb $0xc3, FRAME(5) + 5
    movb $0xb8, FRAME(6)
    movl $2000, FRAME(6) + 1
    movb $0xc3, FRAME(6) + 5
    SHOW(4, 4)
    SHOW(5, 5)
    GIVES(9, 4, 0, 1000)
    GIVES(10, 4, 0x10, 1001)
    SHOW(5, 6)
    GIVES(11, 4, 0, 2000)
    GIVES(12, 4, 0x10, 2001)
    movl $3000, FRAME(6) + 1
    GIVES(13, 4, 0, 3000)
    movb $2, FRAME(4) + 0x17
    GIVES(14, 4, 0x10, 3002)
    SHOW(4, 7) /* the same code in another frame */
    mov $FRAME(4), %esi
    mov $FRAME(7), %edi
    mov $0x20, %ecx
    rep movsb
    movb $7, FRAME(7) + 0x17
    GIVES(15, 4, 0x10, 3007)
    mov %cr3, %rax
    SHOW(5, 5)
    mov %rax, %cr3
    GIVES(16, 4, 0x10, 1007)

    /* A loop that changes its own constant: 5 times add of 1, 2, 3, 4, 5. */
    mov $self, %esi
    mov $FRAME(8), %edi
    mov $self_end - self, %ecx
    rep movsb
    movb $1, FRAME(8) + self_constant - self
    GIVES(17, 8, 0, 15)

    dec %r15d
    jnz round
    PASS

self:
    xor %eax, %eax
    mov $5, %ecx
1:  .byte 0x83, 0xc0 /* add $1, %eax */
self_constant:
    .byte 1
    incb self_constant(%rip)
    dec %ecx
    jnz 1b
    ret
self_end:
