/* SPDX-License-Identifier: MIT */
/*
 * A multiboot 1 kernel for tests of the command line: does what the letter behind "do=" on its command line says.
 *   o power off   r reset   t triple fault   d debug exit 10H (status 33)   p panic   l loop for ever   h halt for ever
 *   e echo the console's input until 'q', then power off       s print its modules' strings, then power off
 *   n print a great deal without end   c loop with interrupts off   i loop by single steps, each an exception
 *   a power off when the power button is pressed
 *   xN access ports and device memory at random for ever, seed N
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
    cmp $'c', %al
    je no_interrupts
    cmp $'i', %al
    je steps
    cmp $'x', %al
    je poke
    cmp $'a', %al
    je button
    ud2

power_off:
    mov $0x604, %dx
    mov $0x3400, %ax
    out %ax, %dx
halt:
    cli
    hlt
    jmp halt

/* PM1 enable and status, power button (ACPI 6.5 4.8.3.1). */
button:
    mov $0x602, %dx
    mov $0x100, %ax
    out %ax, %dx
    mov $0x600, %dx
1:  pause
    in %dx, %ax
    test $0x100, %ax
    jz 1b
    jmp power_off

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

no_interrupts:
    cli
    jmp .

/* #DB comes after each instruction; its handler returns. */
steps:
    lgdt gdt_pointer
    ljmp $8, $1f
1:  mov $16, %eax
    mov %eax, %ss
    mov $handler, %eax
    mov %ax, idt + 8
    movw $8, idt + 10
    movw $0x8e00, idt + 12
    shr $16, %eax
    mov %ax, idt + 14
    lidt idt_pointer
    pushf
    orl $0x100, (%esp)
    popf
    jmp .
handler:
    iret

/* EBX: the seed. Ports from a list of those that answer (power off, reset and panic left out) and the 15 behind; addresses from a list of windows. */
poke:
    movzbl 3(%esi), %ebx
    imul $2654435761, %ebx
1:  call random
    mov %ebx, %ecx
    shr $28, %ecx
    movzwl ports(, %ecx, 2), %edx
    mov %ebx, %eax
    shr $20, %eax
    and $15, %eax
    add %eax, %edx
    cmp $0xcf9, %edx /* a reset */
    je 1b
    call random
    mov %ebx, %eax
    test $0x10000, %ebx
    jz 2f
    test $0x20000, %ebx
    jz 3f
    in %dx, %al
    in %dx, %ax
    in %dx, %eax
    jmp 4f
2:  out %al, %dx
    jmp 4f
3:  out %eax, %dx
4:  call random
    mov %ebx, %ecx
    shr $29, %ecx
    mov windows(, %ecx, 8), %edi
    mov %ebx, %eax
    shr $3, %eax
    and windows + 4(, %ecx, 8), %eax
    add %eax, %edi
    call random
    test $0x10000, %ebx
    jz 5f
    mov (%edi), %eax
    jmp 1b
5:  mov %ebx, (%edi)
    test $0x60000, %ebx
    jnz 1b
    mov %bl, 1(%edi)
    mov %bx, 2(%edi)
    jmp 1b

random:
    mov %ebx, %eax
    shl $13, %eax
    xor %eax, %ebx
    mov %ebx, %eax
    shr $17, %eax
    xor %eax, %ebx
    mov %ebx, %eax
    shl $5, %eax
    xor %eax, %ebx
    ret

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
ports:
    .word 0x20, 0xa0, 0x40, 0x50, 0x70, 0x7f, 0x3f8, 0x606, 0x608, 0x4f0, 0xcf8, 0xcf8, 0xcf8, 0xc000, 0x4d0, 0xf0
windows: /* ECAM of the first functions, twice; where BARs are, twice; I/O APIC, HPET, local APIC, everything */
    .long 0xb0000000, 0x7ffff, 0xb0000000, 0x7ffff, 0xc0000000, 0x1ffff, 0xc0000000, 0xfffff
    .long 0xfec00000, 0x3f, 0xfed00000, 0x3ff, 0xfee00000, 0xfff, 0xc0000000, 0x1fffffff
    .align 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word 23
    .long gdt
idt_pointer:
    .word 255
    .long idt
    .bss
idt:
    .space 256
    .space 4096
stack:
