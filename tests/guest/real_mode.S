/* SPDX-License-Identifier: MIT */
/* Real mode: the IVT, far transfers, limits, unreal mode; then 64-bit mode and all the way back. */
#define REAL_FIRST
#include "guest.inc"

    .code16
#define RFAIL(id) mov $id, %al; out %al, $0xf4; hlt
#define RCHECK(id, jump_if_good) jump_if_good 773f; RFAIL(id); 773:
real_first:
    movw $rm_handler, 0x21 * 4
    movw $0, 0x21 * 4 + 2
    movw $rm_handler, 6 * 4
    movw $0, 6 * 4 + 2
    movw $rm_handler, 0
    movw $0, 2
    movw $rm_handler, 13 * 4
    movw $0, 13 * 4 + 2
    movw $rm_handler, 4 * 4
    movw $0, 4 * 4 + 2
    /* INT pushes FLAGS CS IP, clears IF. */
    sti
    nop
    mov %sp, %bp
    int $0x21
1:  cli
    cmp %sp, %bp
    RCHECK(1, je)
    cmpw $1b, rm_ip
    RCHECK(2, je)
    testw $0x200, rm_flags
    RCHECK(3, jnz)
    testw $0x200, rm_inside
    RCHECK(4, jz)
    mov rm_sp, %ax
    add $6, %ax
    cmp %ax, %sp
    RCHECK(5, je)
    /* Faults have no error code and point at the instruction. */
    movw $2, rm_skip
1:  ud2
    cmpw $1b, rm_ip
    RCHECK(6, je)
    movw $4, rm_skip
    mov $0xffff, %bx
1:  .byte 0x66, 0x8b, 0x47, 0x7f /* mov 0x7f(%bx), %eax: wraps, fine */
    mov $0xfffe, %bx
    movw $3, rm_skip
    movw $0, rm_ip
1:  .byte 0x66, 0x8b, 0x07 /* mov (%bx), %eax: beyond the limit */
    cmpw $1b, rm_ip
    RCHECK(7, je)
    cmp %sp, %bp
    RCHECK(8, je)
    /* INTO */
    movw $0, rm_skip
    movw $0, rm_ip
    xor %ax, %ax
    into
    cmpw $0, rm_ip
    RCHECK(9, je)
    mov $0x7f, %al
    add $1, %al
    into
1:  cmpw $1b, rm_ip
    RCHECK(10, je)
    /* Far call and return through another segment; far jump by pointer. */
    lcall $0x10, $rm_far - 0x100
    cmp $0x10, %cx
    RCHECK(11, je)
    cmp %sp, %bp
    RCHECK(12, je)
    ljmp *rm_pointer
    RFAIL(13)
rm_jumped:
    mov %cs, %ax
    cmp $0x20, %ax
    RCHECK(14, je)
    ljmp $0, $1f
1:  /* SS wraps at its end. */
    mov %sp, %bp
    mov $0x9000, %ax
    mov %ax, %ss
    xor %sp, %sp
    push $0x1234
    cmp $0xfffe, %sp
    RCHECK(15, je)
    pop %ax
    test %sp, %sp
    RCHECK(16, jz)
    xor %ax, %ax
    mov %ax, %ss
    mov %bp, %sp
    /* Protected mode off again: limits stay (unreal mode). */
    lgdtl gdt_pointer
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    mov $KDATA, %bx
    mov %bx, %es
    and $0xfe, %al
    mov %eax, %cr0
    mov $0x100000, %ebx
    movl $0xcafe, %es:(%ebx)
    cmpl $0xcafe, %es:(%ebx)
    RCHECK(17, je)
    xor %ax, %ax
    mov %ax, %es
    cmpl $0xcafe, %es:(%ebx) /* the selector changes the base only */
    RCHECK(18, je)
    /* A20-free wrap: FFFF:0010 is 100000 */
    mov $0xffff, %ax
    mov %ax, %fs
    cmpw $0xcafe, %fs:0x10
    RCHECK(19, je)
    /* SMSW, LMSW */
    smsw %ax
    test $1, %al
    RCHECK(20, jz)
    sgdtl rm_table
    mov rm_table, %ax
    cmp gdt_pointer, %ax
    RCHECK(21, je)
    ret
rm_far:
    mov %cs, %cx
    lret
rm_handler:
    mov %sp, rm_sp
    push %ax
    push %bp
    pushf
    pop %ax
    mov %ax, rm_inside
    mov %sp, %bp
    mov 4(%bp), %ax
    mov %ax, rm_ip
    mov 8(%bp), %ax
    mov %ax, rm_flags
    mov rm_skip, %ax
    add %ax, 4(%bp)
    pop %bp
    pop %ax
    iret
rm_ip: .word 0
rm_flags: .word 0
rm_inside: .word 0
rm_sp: .word 0
rm_skip: .word 0
rm_pointer: .word rm_jumped - 0x200, 0x20
    .balign 8
rm_table: .quad 0

    .code64
main64:
    /* 64-bit mode, compatibility mode, protected mode without paging, real mode. */
    ljmpl *to_compat
to_compat: .long compat
    .word KCODE32
    .code32
compat:
    mov $KDATA, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $0x70000, %esp
    mov %cr0, %eax
    btr $31, %eax
    mov %eax, %cr0
    mov $0xc0000080, %ecx
    rdmsr
    test $0x400, %eax /* LMA went with PG */
    jnz bad
    btr $8, %eax
    wrmsr
    lidtl rm_ivt
    ljmpl $KCODE16, $to_real
bad: mov $30, %al
    out %al, $0xf4
    hlt
    .code16
to_real:
    mov $KDATA16, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov %cr0, %eax
    and $0xfe, %al
    mov %eax, %cr0
    ljmp $0, $1f
1:  xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov $0x7c00, %sp
    movw $0, rm_ip
    movw $0, rm_skip
    int $0x21
1:  cmpw $1b, rm_ip
    RCHECK(31, je)
    xor %al, %al
    out %al, $0xf4
    hlt
rm_ivt: .word 0x3ff
    .long 0
