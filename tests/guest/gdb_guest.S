/* SPDX-License-Identifier: MIT */
/*
 * A PVH kernel for tests/system/gdb.sh: two processors in 64-bit mode, two calls of `work`, which adds to `counter`,
 * and, on the AMD model with --nested on, a guest in the guest that calls `in_l2`. Then by the letter at the end of the
 * command line: t triple fault, r reset, else power off. It says what it did on COM1, one letter each.
 */
#include "svm.inc"

    .section .note.pvh, "a", @note
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_start

    .text
    .code32
pvh_start:
    mov 24(%ebx), %esi /* cmdline_paddr */
1:  mov (%esi), %al
    test %al, %al
    jz 2f
    mov %al, wish
    inc %esi
    jmp 1b
2:  lgdtl gdt_pointer
    ljmpl $KCODE32, $start32

    .code64
main64:
    call start_ap
1:  pause
    cmpq $0, ap_count
    je 1b
    mov $5, %edi
    call work
    mov $7, %edi
    call work
    mov $'w', %al
    call say
    mov $0x80000001, %eax
    cpuid
    test $4, %ecx
    jz finish
    call svm_start
    RUN(1, VMMCALL, call in_l2)
    stgi
    mov $'2', %al
    call say
finish:
    mov wish, %al
    cmp $'t', %al
    je triple
    cmp $'r', %al
    je reset
    mov $0x3400, %ax /* ACPI: SLP_TYP 5, SLP_EN */
    mov $0x604, %dx
    out %ax, %dx
    hlt
triple:
    lidt nothing
    ud2
reset:
    mov $6, %al
    mov $0xcf9, %dx
    out %al, %dx
    hlt

work:
    add %rdi, counter
after_work:
    ret

in_l2:
    movq $0x324c, l2_says
    ret

say:
    mov $0x3f8, %dx
    out %al, %dx
    ret

/* x2APIC; INIT and start-up IPI to all but ourselves. SDM 3A 10.6.1, 10.12.9 */
start_ap:
    mov $0x1b, %ecx
    rdmsr
    or $0xc00, %eax
    wrmsr
    mov $0x830, %ecx
    xor %edx, %edx
    mov $0xc4500, %eax
    wrmsr
    mov $0xc4600, %eax
    mov $ap_start, %ebx
    shr $12, %ebx
    or %ebx, %eax
    wrmsr
    ret

    .balign 4096
    .code16
ap_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl gdt_pointer
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $KCODE32, $ap32
    .code32
ap32:
    mov $KDATA, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x620, %eax
    mov %eax, %cr4
    mov $PML4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0
    ljmpl $KCODE, $ap_loop
    .code64
ap_loop:
    incq ap_count
    pause
    jmp ap_loop

    .balign 8
counter:  .quad 0
ap_count: .quad 0
l2_says:  .quad 0
nothing:  .word 0
          .quad 0
wish:     .byte 0
    .section .note.GNU-stack, "", @progbits
