/* SPDX-License-Identifier: MIT */
/*
 * A kernel of few lines for droste run: prints, then ends with exit status 2*v+1 through the debug exit port.
 *   gcc -m32 -static -nostdlib -no-pie -Wl,-N,-Ttext=0x100000,--build-id=none -o multiboot.elf multiboot.S
 *   droste run --kernel multiboot.elf --test-devices --no-reboot --timeout 10     # status 33
 */
    .text
    .globl _start
    .align 4
    .long 0x1badb002, 0, -0x1badb002 /* Multiboot 0.6.96 3.1.1: magic, flags, checksum */
_start:
    mov $text, %esi
    mov $0x3f8, %dx /* COM1; its transmitter is never busy here */
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  mov $0x10, %al /* v */
    out %al, $0xf4
text:
    .asciz "hello from a multiboot kernel\r\n"
    .section .note.GNU-stack, "", @progbits
