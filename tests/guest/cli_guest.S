/* SPDX-License-Identifier: MIT */
/*
 * A multiboot 1 kernel for tests of the command line: does what the letter behind "do=" on its command line says.
 *   o power off   r reset   t triple fault   d debug exit 10H (status 33)   p panic   l loop for ever   h halt for ever
 *   e echo the console's input until 'q', then power off       s print its modules' strings, then power off
 *   n print a great deal without end
 * It prints "hello" first. Power off: PM1a control, SLP_TYP 5 (ACPI 6.5 4.8.3.2.1).
 */
#define COM1 0x3f8

    .text
    .globl _start
    .align 4
header:
    .long 0x1badb002, 0, -0x1badb002

_start:
    mov $stack, %esp
    mov %ebx, %ebp
    mov $COM1 + 2, %dx /* FIFO on */
    mov $1, %al
    out %al, %dx
    mov $COM1 + 4, %dx /* DTR and RTS: we listen */
    mov $3, %al
    out %al, %dx
    mov $hello, %esi
    call print
    mov 16(%ebp), %esi /* command line; flags say it is there */
find:
    mov (%esi), %eax
    test %al, %al
    jz power_off
    inc %esi
    and $0xffffff, %eax
    cmp $0x3d6f64, %eax /* "do=" */
    jne find
    mov 2(%esi), %al
    cmp $'o', %al
    je power_off
    cmp $'r', %al
    je reset
    cmp $'t', %al
    je triple
    cmp $'d', %al
    je debug_exit
    cmp $'p', %al
    je panic
    cmp $'l', %al
    je .
    cmp $'h', %al
    je halt
    cmp $'e', %al
    je echo
    cmp $'s', %al
    je modules
    cmp $'n', %al
    je noise
    ud2

power_off:
    mov $0x604, %dx
    mov $0x3400, %ax
    out %ax, %dx
halt:
    cli
    hlt
    jmp halt

reset:
    mov $0xcf9, %dx
    mov $6, %al
    out %al, %dx
    jmp halt

triple:
    lidt no_idt
    ud2

debug_exit:
    mov $0x10, %al
    out %al, $0xf4
    jmp halt

panic:
    mov $0x505, %dx /* pvpanic */
    mov $1, %al
    out %al, %dx
    jmp halt

echo:
    mov $COM1 + 5, %dx
    in %dx, %al
    test $1, %al
    jz echo
    mov $COM1, %dx
    in %dx, %al
    cmp $'q', %al
    je power_off
    call put
    jmp echo

modules:
    mov 20(%ebp), %ecx
    mov 24(%ebp), %edi
1:  jecxz power_off
    mov 8(%edi), %esi
    call print
    mov $newline, %esi
    call print
    add $16, %edi
    dec %ecx
    jmp 1b

noise:
    mov $hello, %esi
    call print
    jmp noise

print:
    lodsb
    test %al, %al
    jz 1f
    call put
    jmp print
1:  ret

put:
    mov %al, %ah
    mov $COM1 + 5, %dx
1:  in %dx, %al
    test $0x20, %al
    jz 1b
    mov $COM1, %dx
    mov %ah, %al
    out %al, %dx
    ret

hello:
    .asciz "hello\r\n"
newline:
    .asciz "\r\n"
no_idt:
    .word 0
    .long 0
    .bss
    .space 4096
stack:
