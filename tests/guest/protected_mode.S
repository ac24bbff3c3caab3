/* SPDX-License-Identifier: MIT */
/* 32-bit protected mode: limits, types, gates, rings, virtual-8086 mode, refusal of task switches. */
#define PROTECTED_FIRST
#include "guest.inc"

    .code32
#define GDT32(n) (0x08 * (n))
#define P_EXPECT(id, vector, error, ...)                                                                               \
    movl $771f, p_resume; mov %esp, p_esp; movl $-1, p_vector; movl $-1, p_error; __VA_ARGS__; 771:                     \
    cmpl $vector, p_vector; jne 772f; cmpl $error, p_error; je 773f; 772: FAIL(id); 773:
#define P_CHECK(id, jump_if_good) jump_if_good 773f; FAIL(id); 773:

#define S_CODE   0x08
#define S_DATA   0x10
#define S_UCODE  0x1b
#define S_UDATA  0x23
#define S_SMALL  0x28 /* data, limit FF */
#define S_DOWN   0x30 /* expand-down, 32-bit, limit FFF */
#define S_RO     0x38 /* read-only */
#define S_XO     0x40 /* execute-only */
#define S_TSS    0x48
#define S_TASK   0x50 /* task gate */
#define S_GATE   0x5b /* call gate, DPL 3, 2 parameters */
#define S_LDT    0x60
#define S_INLDT  0x04 /* first of the LDT: data */

protected_first:
    lgdtl p_gdt_pointer
    lidtl p_idt_pointer
    ljmp $S_CODE, $1f
1:  mov $S_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    /* IDT: 32 interrupt gates of 16-byte stubs */
    mov $p_stubs, %eax
    mov $p_idt, %edi
    mov $32, %ecx
1:  mov %ax, (%edi)
    movw $S_CODE, 2(%edi)
    movw $0x8e00, 4(%edi)
    mov %eax, %edx
    shr $16, %edx
    mov %dx, 6(%edi)
    add $8, %edi
    add $16, %eax
    loop 1b
    mov $p_tss, %eax
    mov %eax, p_gdt + S_TSS + 2
    movb $0x89, p_gdt + S_TSS + 5
    mov $S_TSS, %eax
    ltr %ax
    P_CHECK(1, nop; jmp)
    cmpb $0x8b, p_gdt + S_TSS + 5 /* busy */
    P_CHECK(2, je)
    P_EXPECT(3, 13, S_TSS, mov $S_TSS, %eax; ltr %ax)
    mov $p_ldt, %eax
    mov %eax, p_gdt + S_LDT + 2
    movb $0x82, p_gdt + S_LDT + 5
    mov $S_LDT, %eax
    lldt %ax

    /* Limits and types. */
    mov $S_SMALL, %eax
    mov %eax, %es
    mov %es:0xfc, %eax
    P_EXPECT(4, 13, 0, mov %es:0xfd, %eax)
    P_EXPECT(5, 13, 0, movb $0, %es:0x100)
    mov $S_DOWN, %eax
    mov %eax, %es
    mov %es:0x1000, %eax
    P_EXPECT(6, 13, 0, mov %es:0xffe, %eax)
    P_EXPECT(7, 13, 0, movb $0, %es:0xfff)
    mov $S_RO, %eax
    mov %eax, %es
    mov %es:0, %eax
    P_EXPECT(8, 13, 0, mov %eax, %es:0)
    P_EXPECT(9, 13, S_XO, mov $S_XO, %eax; mov %eax, %es)
    P_EXPECT(10, 13, 0, mov %eax, %cs:p_word)
    P_EXPECT(11, 13, 0, xor %eax, %eax; mov %eax, %es; mov %es:0, %eax)
    P_EXPECT(12, 13, 0, xor %eax, %eax; mov %eax, %ss)
    P_EXPECT(13, 13, S_RO, mov $S_RO, %eax; mov %eax, %ss)
    mov $S_INLDT, %eax
    mov %eax, %es
    mov %es:0, %eax
    P_EXPECT(14, 13, 0x0c, mov $0x0c, %eax; mov %eax, %es)
    /* Stack limit: #SS(0). */
    P_EXPECT(15, 12, 0, mov $S_SMALL, %eax; mov %eax, %ss; mov $0xf0, %esp; mov %ss:0x104, %ecx)
    mov $S_DATA, %eax
    mov %eax, %es
    /* Far jump past a limit; to data; through a task gate and a TSS that are no good: the TSS is busy, no TSS, none. */
    P_EXPECT(16, 13, S_DATA, ljmp $S_DATA, $0)
    P_EXPECT(17, 13, S_TSS, ljmp $S_TASK, $0)
    P_EXPECT(18, 13, S_TSS, lcall $S_TSS, $0)
    movw $0x8500, p_idt + 31 * 8 + 4
    P_EXPECT(19, 13, S_CODE, int $31)
    P_EXPECT(20, 10, 0, orl $0x4000, p_flags; pushl p_flags; popf; iret) /* NT: a task return */
    pushl $2
    popf

    /* Ring 3 by IRET; faults there come in on the TSS's stack. */
#define RING3(eip) pushl $S_UDATA; pushl $0x6c000; pushl $2; pushl $S_UCODE; pushl $eip; iret
    P_EXPECT(21, 6, -1, RING3(p_user_ud))
    cmpl $S_UCODE, p_cs
    P_CHECK(22, je)
    mov p_frame, %eax
    cmp $0x78000 - 32, %eax /* SS ESP EFLAGS CS EIP -1 vector, EAX */
    P_CHECK(23, je)
    P_EXPECT(24, 13, 0, RING3(p_user_cli))
    P_EXPECT(25, 13, S_DATA, RING3(p_user_ds))
    /* Call gate from ring 3: two parameters are copied. */
    mov $p_gate_target, %eax
    mov %ax, p_gdt + S_GATE - 3
    P_EXPECT(26, 6, -1, RING3(p_user_gate))
    cmpl $S_UCODE, p_cs /* UD behind the return, in ring 3 again */
    P_CHECK(27, je)
    cmpl $0x1111, p_param1
    P_CHECK(28, je)
    cmpl $0x2222, p_param2
    P_CHECK(29, je)
    mov p_frame, %eax
    mov 24(%eax), %eax
    cmp $0x6c000, %eax /* RET 8 took the parameters from both stacks */
    P_CHECK(30, je)

    /* Virtual-8086 mode: HLT and INT (IOPL 0) fault; the frame has the segments. */
#define V86(ip) pushl $0x9000; pushl $0x8000; pushl $0x7000; pushl $0x6000; pushl $0x5000; pushl $0x800;              \
    pushl $0x20002; pushl $0; pushl $ip; iret
    P_EXPECT(31, 13, 0, V86(p_v86_hlt))
    testl $0x20000, p_eflags
    P_CHECK(32, jnz)
    mov p_frame, %eax
    cmpl $0x5000, 28(%eax) /* SS */
    P_CHECK(33, je)
    cmpl $0x6000, 32(%eax) /* ES */
    P_CHECK(34, je)
    cmpl $0x9000, 44(%eax) /* GS */
    P_CHECK(35, je)
    P_EXPECT(36, 13, 0, V86(p_v86_int))
    P_EXPECT(37, 6, -1, V86(p_v86_ud))
    cmpw $0x77, 0x70000 + 0x10 /* written through DS 7000 */
    P_CHECK(38, je)
    mov %ds, %eax
    cmp $S_DATA, %eax
    P_CHECK(39, je)
    /* ARPL */
    mov $0x10, %ax
    mov $3, %cx
    arpl %cx, %ax
    P_CHECK(40, jz)
    cmp $0x13, %ax
    P_CHECK(41, je)
    /* BOUND */
    mov $5, %eax
    bound %eax, p_bounds
    P_EXPECT(42, 5, -1, mov $11, %ecx; bound %ecx, p_bounds)

    lgdtl gdt_pointer
    ljmp $KCODE32, $1f
1:  mov $KDATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    ret

p_user_ud: ud2
p_user_cli: cli
p_user_ds: mov $S_DATA, %eax
    mov %eax, %ds
p_user_gate:
    mov $S_UDATA, %eax
    mov %eax, %ds
    pushl $0x2222
    pushl $0x1111
    lcall $S_GATE, $0
    ud2
p_gate_target:
    mov 8(%esp), %eax
    mov %eax, p_param1
    mov 12(%esp), %eax
    mov %eax, p_param2
    lret $8
    .code16
p_v86_hlt: hlt
p_v86_int: int $0x10
p_v86_ud: movw $0x77, 0x10
    ud2
    .code32

    .balign 16
p_stubs:
    .set vec, 0
    .rept 32
    .balign 16
    .if vec != 8 && (vec < 10 || vec > 14) && vec != 17
    push $-1
    .endif
    push $vec
    jmp p_common
    .set vec, vec + 1
    .endr
p_common:
    push %eax
    mov $S_DATA, %eax
    mov %eax, %ds
    mov 4(%esp), %eax
    mov %eax, p_vector
    mov 8(%esp), %eax
    mov %eax, p_error
    mov 16(%esp), %eax
    mov %eax, p_cs
    mov 20(%esp), %eax
    mov %eax, p_eflags
    mov %esp, p_frame
    mov $S_DATA, %eax
    mov %eax, %ss
    mov p_esp, %esp
    pushl $2
    popf
    jmp *p_resume

p_vector: .long 0
p_error: .long 0
p_cs: .long 0
p_eflags: .long 0
p_frame: .long 0
p_esp: .long 0
p_resume: .long 0
p_param1: .long 0
p_param2: .long 0
p_flags: .long 2
p_word: .long 0
p_bounds: .long 1, 10

    .balign 8
p_gdt:
    .quad 0
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
    .quad 0x00cffa000000ffff
    .quad 0x00cff2000000ffff
    .quad 0x00409200000000ff
    .quad 0x0040960000000fff
    .quad 0x00cf90000000ffff
    .quad 0x00cf98000000ffff
    .quad 0x0000890000000067
    .quad 0x0000e50000000000 + S_TSS * 65536
    .quad 0x0000ec0200080000
    .quad 0x000082000000000b
p_gdt_end:
p_ldt:
    .quad 0x00cf92000000ffff
    .long 0
p_gdt_pointer: .word p_gdt_end - p_gdt - 1
    .long p_gdt
p_idt_pointer: .word 0xff
    .long p_idt
    .balign 16
p_tss: .long 0, 0x78000, S_DATA
    .fill 0x5c, 1, 0
p_idt: .fill 256, 1, 0
    .code64

main64:
    PASS
