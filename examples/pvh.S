/* SPDX-License-Identifier: MIT */
/*
 * The same by the PVH protocol: an ELF note names a 32-bit entry, EBX points at hvm_start_info. Prints the kernel's
 * command line, then powers off.
 *   gcc -m32 -static -nostdlib -no-pie -Wl,-N,-Ttext=0x100000,--build-id=none -o pvh.elf pvh.S
 *   droste run --kernel pvh.elf --append "it boots" --expect "it boots" --timeout 10     # status 0
 */
    .section .note.pvh, "a", @note
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long _start

    .text
    .globl _start
_start:
    mov 24(%ebx), %esi /* cmdline_paddr */
    mov $0x3f8, %dx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  mov $'\n', %al
    out %al, %dx
    mov $0x3400, %ax /* ACPI: SLP_TYP 5, SLP_EN */
    mov $0x604, %dx
    out %ax, %dx
    hlt
    .section .note.GNU-stack, "", @progbits
