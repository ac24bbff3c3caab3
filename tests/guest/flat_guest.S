/* SPDX-License-Identifier: MIT */
/*
 * A multiboot 1 program for tests of tests/run-flat: does what the letters behind "do=" on its command line say, in order.
 *   g print a good check's line   b a bad one's   p debug exit 0 (passed)   f 1 (failed)   s 38 (skipped)   l loop for ever
 */
#define COM1 0x3f8

    .text
    .globl _start
    .align 4
header:
    .long 0x1badb002, 0, -0x1badb002

_start:
    mov $stack, %esp
    cld
    mov 16(%ebx), %esi
1:  lodsl
    sub $3, %esi
    test %al, %al
    jz end
    cmp $0x3d6f64, %eax /* "do=" and its end */
    je end
    shl $8, %eax
    cmp $0x3d6f6400, %eax
    jne 1b
    add $2, %esi
next:
    lodsb
    cmp $'g', %al
    je good
    cmp $'b', %al
    je bad
    cmp $'l', %al
    je .
    mov $0xf4, %dx
    cmp $'p', %al
    mov $0, %ecx
    je leave
    cmp $'f', %al
    mov $1, %ecx
    je leave
    mov $38, %ecx
    cmp $'s', %al
    jne end
leave:
    mov %cl, %al
    out %al, %dx
end:
    ud2

good:
    mov $good_line, %edi
    jmp print
bad:
    mov $bad_line, %edi
print:
    mov (%edi), %al
    inc %edi
    test %al, %al
    jz next
    mov %al, %ah
    mov $COM1 + 5, %dx
1:  in %dx, %al
    test $0x20, %al
    jz 1b
    mov $COM1, %dx
    mov %ah, %al
    out %al, %dx
    jmp print

good_line: .asciz "PASS: good\r\n"
bad_line: .asciz "FAIL: bad\r\n"

    .bss
    .space 1024
stack:
