/* SPDX-License-Identifier: MIT */
/* Instruction intercepts: exit codes, what they report, exceptions that come first. APM 2 15.7-15.11, appendix C */
#include "svm.inc"

/* One bit of a word, one instruction: intercepted with its code, and with nRIP behind it. */
#define ONE(id, word, code, ...)                                                                                       \
    orl $1 << ((code) & 31), word; RUN(id, code, 776: __VA_ARGS__; 777:); movq $776b, %rax; cmp %rax, SAVE_RIP;        \
    CHECK(id, je); movq $777b, %rax; cmp %rax, CTL_NRIP; CHECK(id, je); andl $~(1 << ((code) & 31)), word

/* `often` leaves at a label, with what RAX, RCX and RDX were. */
#define OFTEN(id, word, code, label)                                                                                   \
    orl $1 << ((code) & 31), word; RUN(id, code, mov $3, %ebp; call often); cmpq $label, SAVE_RIP; CHECK(id, je);      \
    movabs $0x123456789a, %rax; cmp %rax, SAVE_RAX; CHECK(id, je); cmp %rax, %rdx; CHECK(id, je); cmp %rax, %rcx;       \
    CHECK(id, je); andl $~(1 << ((code) & 31)), word

main64:
    call svm_start
    ONE(1, CTL_I3, 0x72, cpuid)
    ONE(2, CTL_I3, 0x78, hlt)
    ONE(3, CTL_I3, 0x6e, rdtsc)
    ONE(4, CTL_I4, 0x87, rdtscp)
    ONE(5, CTL_I3, 0x70, pushf)
    ONE(6, CTL_I3, 0x71, popf)
    ONE(7, CTL_I3, 0x77, pause)
    ONE(8, CTL_I3, 0x76, invd)
    ONE(9, CTL_I4, 0x89, wbinvd)
    ONE(10, CTL_I3, 0x66, sidt svm_table)
    ONE(11, CTL_I3, 0x67, sgdt svm_table)
    ONE(12, CTL_I3, 0x68, sldt %bx)
    ONE(13, CTL_I3, 0x69, str %bx)
    ONE(14, CTL_I3, 0x6a, lidt svm_table)
    ONE(15, CTL_I3, 0x6b, lgdt svm_table)
    ONE(16, CTL_I3, 0x6c, lldt %bx)
    ONE(17, CTL_I3, 0x6d, ltr %bx)
    ONE(18, CTL_I3, 0x74, iretq)
    ONE(19, CTL_I3, 0x7a, invlpga)
    ONE(20, CTL_I4, 0x82, vmload)
    ONE(21, CTL_I4, 0x83, vmsave)
    ONE(22, CTL_I4, 0x84, stgi)
    ONE(23, CTL_I4, 0x85, clgi)
    orl $BIT4(0x86), CTL_I4 /* not offered: #UD */
    orl $1 << 6, CTL_EXC
    RUN(24, 0x46, skinit)
    movl $0, CTL_EXC
    ONE(25, CTL_I4, 0x80, vmrun)
    orl $3, CTL_I4
    ONE(26, CTL_I4, 0x88, .byte 0xf1)
    ONE(27, CTL_I3, 0x73, rsm)
    ONE(28, CTL_I3, 0x6f, rdpmc)
    ONE(29, CTL_EXC, 0x43, int3)
    ONE(30, CTL_EXC, 0x41, .byte 0xf1)
    ONE(31, CTL_I3, 0x75, int $0x31)
    INFO1(32, 0x31)
    ONE(33, CTL_I3, 0x79, mov $0x123456, %ebx; 776: invlpg 4(%rbx))
    INFO1(34, 0x12345a)
    mov $2, %ebx
    ONE(35, VMCB + 0x14, 0xa2, invpcid svm_table, %rbx)
    INFO1(95, svm_table)
    INFO2(96, 2)

    /* Control registers: the register's number; LMSW, SMSW, CLTS without it. */
    ONE(36, CTL_CR, 0x00, mov %cr0, %r9)
    INFO1(37, 0x8000000000000009)
    ONE(38, CTL_CR, 0x00, smsw %bx)
    INFO1(39, 0)
    ONE(40, CTL_CR, 0x03, mov %cr3, %rbx)
    ONE(41, CTL_CR, 0x08, mov %cr8, %rbx)
    orl $0x10000, CTL_CR
    RUN(42, 0x10, mov %rbx, %cr0)
    INFO1(43, 0x8000000000000003)
    RUN(44, 0x10, clts)
    INFO1(45, 0)
    RUN(46, 0x10, lmsw %bx)
    INFO1(47, 0)
    movl $0x180000, CTL_CR
    RUN(48, 0x13, mov %rbx, %cr3)
    RUN(49, 0x14, mov %rbx, %cr4)
    movl $0, CTL_CR
    /* Selective: TS and MP may change. */
    orl $0x20, CTL_I3
    RUN(50, VMMCALL, mov %cr0, %rbx; btc $3, %rbx; mov %rbx, %cr0)
    RUN(51, 0x65, mov %cr0, %rbx; btc $18, %rbx; mov %rbx, %cr0)
    INFO1(52, 0x8000000000000003)
    RUN(53, 0x65, smsw %bx; xor $2, %bx; lmsw %bx)
    RUN(54, 0x65, smsw %bx; xor $4, %bx; lmsw %bx)
    andl $~0x20, CTL_I3

    /* Debug registers */
    movl $0x00800040, CTL_DR
    RUN(55, 0x26, mov %dr6, %r10)
    INFO1(56, 10)
    RUN(57, 0x37, mov %r11, %dr7)
    INFO1(58, 11)
    RUN(59, VMMCALL, mov %dr0, %rbx)
    movl $0, CTL_DR

    /* Ports */
    orl $BIT3(0x7b), CTL_I3
    RUN(60, VMMCALL, in $0xe9, %al)
    movb $0x06, IOPM + 0xe8 / 8 /* E9H, EAH */
    RUN(61, 0x7b, mov $0xe9, %edx; 776: in %dx, %al; 777:)
    INFO1(62, 0x00e90011)
    INFO2(63, 777b)
    RUN(64, 0x7b, out %eax, $0xe8)
    INFO1(65, 0x00e80040)
    RUN(66, 0x7b, out %ax, $0xe8)
    INFO1(67, 0x00e80020)
    RUN(68, VMMCALL, out %al, $0xeb)
    RUN(69, 0x7b, mov $0xe9, %edx; mov $5, %ecx; mov $0x6000, %esi; rep outsb)
    INFO1(70, 0x00e90e1c) /* REP STR, one byte, A64, DS */
    RUN(71, VMMCALL, mov $0xe9, %edx; xor %ecx, %ecx; rep outsb)
    RUN(72, 0x7b, mov $0xe9, %edx; addr32 insw)
    INFO1(73, 0x00e90125)
    RUN(74, 0x7b, mov $0xe9, %edx; outsb %fs:(%rsi), %dx)
    INFO1(75, 0x00e91214)
    movb $0, IOPM + 0xe8 / 8
    movb $1, IOPM + 0x2000 /* the bit behind port FFFFH */
    RUN(76, 0x7b, mov $0xffff, %edx; in %dx, %ax)
    andl $~BIT3(0x7b), CTL_I3

    /* MSRs */
    orl $BIT3(0x7c), CTL_I3
    RUN(77, VMMCALL, mov $0x10, %ecx; rdmsr)
    movb $1, MSRPM + 0x10 / 4
    RUN(78, 0x7c, mov $0x10, %ecx; rdmsr)
    INFO1(79, 0)
    RUN(80, VMMCALL, mov $0xc0000102, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr)
    movb $0x20, MSRPM + 0x800 + 0x102 / 4
    RUN(81, 0x7c, mov $0xc0000102, %ecx; wrmsr)
    INFO1(82, 1)
    RUN(83, VMMCALL, mov $0xc0000102, %ecx; rdmsr)
    RUN(84, 0x7c, mov $0x4b564d00, %ecx; rdmsr) /* outside the map */
    andl $~BIT3(0x7c), CTL_I3

    /* PAUSE filter: three pass, the fourth leaves. */
    orl $BIT3(0x77), CTL_I3
    movw $3, CTL_PAUSE
    RUN(85, 0x77, xor %ebx, %ebx; 776: inc %ebx; pause; jmp 776b)
    cmp $4, %ebx
    CHECK(86, je)
    RUN(87, VMMCALL, pause; pause; pause)
    andl $~BIT3(0x77), CTL_I3

    /* The same, often before it is intercepted; then it has done nothing. */
    call svm_fill
    movl $2, CTL_TSC + 4 /* offset */
    RUN(95, VMMCALL, mov $200, %ebp; call often)
    OFTEN(96, CTL_I3, 0x6e, often_rdtsc)
    OFTEN(97, CTL_I4, 0x87, often_rdtscp)
    OFTEN(98, CTL_I3, 0x70, often_pushf)
    OFTEN(99, CTL_CR, 2, often_cr2)
    OFTEN(100, CTL_CR, 3, often_cr3)
    movq $0, CTL_TSC

    /* User mode: #GP comes before the intercept of HLT, not before that of CPUID. Linear USER maps 0. */
    orl $BIT3(0x78) | BIT3(0x72), CTL_I3
    orl $1 << 13, CTL_EXC
    movb $3, SAVE_CPL
    movl $0x0afb0000 + UCODE, VMCB + 0x410
    movl $0x0cf30000 + UDATA, VMCB + 0x420
    movq $USER + user_hlt, SAVE_RIP
    GO(88, 0x4d)
    INFO1(89, 0)
    movq $USER + user_cpuid, SAVE_RIP
    GO(90, 0x72)
    cmpb $3, SAVE_CPL
    CHECK(91, je)
    /* Nobody answers the guest's hypercall. */
    call svm_fill
    andl $~2, CTL_I4
    orl $1 << 6, CTL_EXC
    RUN(92, 0x46, vmmcall)
    orl $2, CTL_I4
    RUN(93, 0x46, .byte 0x0f, 0x01, 0xc1)
    /* Shutdown */
    movl $0, CTL_EXC
    orl $BIT3(0x7f), CTL_I3
    movl $0, VMCB + 0x484
    RUN(94, 0x7f, ud2)
    PASS

often:
    movabs $0x123456789a, %rax
    mov %rax, %rdx
    mov %rax, %rcx
    stc
often_rdtsc: rdtsc
    CHECK(101, jc)
    shr $1, %edx
    CHECK(102, jnz)
    movabs $0x123456789a, %rax
    mov %rax, %rdx
often_rdtscp: rdtscp
    shr $1, %edx
    CHECK(103, jnz)
    movabs $0x123456789a, %rax
    mov %rax, %rdx
    mov %rax, %rcx
often_pushf: pushf
    pop %r8
often_cr2: mov %cr2, %r8
often_cr3: mov %cr3, %r8
    cmp $PML4, %r8
    CHECK(104, je)
    dec %ebp
    jnz often
    ret

user_hlt: hlt
user_cpuid: cpuid
