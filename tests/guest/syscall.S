/* SPDX-License-Identifier: MIT */
/* SYSCALL, SYSRET, SYSENTER, SYSEXIT; UMIP and privileged instructions from user mode. */
#include "guest.inc"

#define WRMSR(number, high, low) mov $number, %ecx; mov $low, %eax; mov $high, %edx; wrmsr
/* Runs user code, which ends in SYSCALL; comes back at `kernel_entry`, which jumps to %r15. */
#define IN_USER(label) mov $771f, %r15; mov $label + USER, %ecx; mov $0x202, %r11d; mov %rsp, %rbp; sysretq; 771:

main64:
    WRMSR(0xc0000081, 0x00180008, 0) /* SYSRET base 18, SYSCALL base 08 */
    WRMSR(0xc0000082, 0, kernel_entry)
    WRMSR(0xc0000084, 0, 0x300) /* IF, TF */
    mov $4, %eax
    IN_USER(user_plain)
    cmp $user_plain_next + USER, %rcx
    CHECK(1, je)
    mov %r11, %rax
    and $0x202, %eax
    cmp $0x202, %eax
    CHECK(2, je)
    pushfq
    testl $0x200, (%rsp)
    CHECK(3, jz)
    popfq
    mov %cs, %eax
    cmp $KCODE, %eax
    CHECK(4, je)
    mov %ss, %eax
    cmp $KDATA, %eax
    CHECK(5, je)
    cmp $UCODE, %r8d /* CS seen by user code */
    CHECK(6, je)
    cmp $UDATA, %r9d
    CHECK(7, je)

    /* All arithmetic flags and DF go to R11, and stay but for what SFMASK names; then none of them. */
    IN_USER(user_flags_set)
    pushfq
    pop %rbx
    mov %r11, %rax
    and $0xfd5, %eax
    cmp $0xed5, %eax
    CHECK(54, je)
    and $0xfd5, %ebx
    cmp $0xcd5, %ebx
    CHECK(55, je)
    cld
    IN_USER(user_flags_clear)
    pushfq
    pop %rbx
    mov %r11, %rax
    and $0xfd5, %eax
    cmp $0x200, %eax
    CHECK(56, je)
    test $0xfd5, %ebx
    CHECK(57, jz)
    /* SYSRET gives the flags of R11: user code pushes what it finds. */
    mov $771f, %r15
    mov $user_flags_found + USER, %ecx
    mov $0xad5 + 2, %r11d
    mov %rsp, %rbp
    sysretq
771:
    mov %r8, %rax
    and $0xfd5, %eax
    cmp $0xad5, %eax
    CHECK(58, je)

    /* From user mode. */
#define USER_EXPECT(id, vector, error, label)                                                                          \
    EXPECT(id, vector, error, mov $label + USER, %ecx; mov $2, %r11d; sysretq)
#define USER_TF(id, label)                                                                                             \
    EXPECT(id, 1, NO_ERROR, mov $label + USER, %ecx; mov $0x102, %r11d; sysretq)
    USER_EXPECT(8, 13, 0, user_hlt)
    cmpq $UCODE, exc_cs
    CHECK(9, je)
    mov exc_frame, %rax /* RSP0 */
    cmp $0x78000 - 64, %rax
    CHECK(10, je)
    USER_EXPECT(11, 13, 0, user_cr0)
    USER_EXPECT(12, 13, 0, user_cli)
    USER_EXPECT(13, 14, 5, user_kernel_read)
    USER_EXPECT(14, 14, 7, user_kernel_write)
    USER_EXPECT(15, 13, 3 * 8 + 2 + 13 * 8, user_int16)
    USER_EXPECT(16, 6, NO_ERROR, user_stac)
    USER_EXPECT(17, 13, 0, user_in)
    USER_EXPECT(18, 13, 0, user_rdmsr)
    USER_EXPECT(19, 13, 0, user_swapgs)
    USER_EXPECT(20, 13, KDATA, user_kdata)
    USER_EXPECT(21, 13, CALLGATE, user_call_gate)
    USER_EXPECT(22, 6, NO_ERROR, user_sgdt_ok)
    mov %cr4, %rax
    bts $11, %rax
    mov %rax, %cr4
    USER_EXPECT(23, 13, 0, user_sgdt_ok)
    USER_EXPECT(24, 13, 0, user_smsw)
    USER_EXPECT(25, 13, 0, user_sldt)
    mov %cr4, %rax
    bts $2, %rax /* TSD */
    mov %rax, %cr4
    USER_EXPECT(26, 13, 0, user_rdtsc)
    rdtsc

    /* INT3 from user mode: gate DPL 0 refuses, DPL 3 lets it through. */
    USER_EXPECT(27, 13, 3 * 8 + 2, user_int3)
    movb $0xee, idt + 3 * 16 + 5
    USER_EXPECT(28, 3, NO_ERROR, user_int3)

    /* A call gate of DPL 3 leads inward. */
    mov $gate_target, %eax
    mov %ax, gdt_user_call_gate
    USER_EXPECT(29, 0, NO_ERROR, user_user_call_gate)
    mov gate_cs, %eax
    cmp $UCODE, %eax
    CHECK(30, je)
    mov gate_rsp, %rax
    cmp $0x78000 - 32, %rax
    CHECK(31, je)

    /* Alignment checks in user mode: CR0.AM and AC. */
    mov %cr0, %rax
    bts $18, %rax
    mov %rax, %cr0
    USER_EXPECT(34, 6, NO_ERROR, user_misaligned)
    EXPECT(35, 17, 0, mov $user_misaligned + USER, %ecx; mov $0x40002, %r11d; sysretq)

    /* SYSRET that sets TF traps at once, in front of the first instruction. */
    USER_TF(36, user_hlt)
    cmpq $UCODE, exc_cs
    CHECK(37, je)
    mov $user_hlt + USER, %eax
    cmp %rax, exc_rip
    CHECK(38, je)

    /* SCE off. */
    mov $0xc0000080, %ecx
    rdmsr
    btr $0, %eax
    wrmsr
    EXPECT(32, 6, NO_ERROR, syscall)
    EXPECT(33, 6, NO_ERROR, sysretq)
    mov $0xc0000080, %ecx
    rdmsr
    bts $0, %eax
    wrmsr

    /* The vendors differ. */
    xor %eax, %eax
    cpuid
    cmp $0x756e6547, %ebx /* "Genu" */
    jne amd
    EXPECT(40, 13, 0, movabs $0x8000000000000000, %rcx; mov $2, %r11d; sysretq)
    cmpq $KCODE, exc_cs
    CHECK(41, je)
    EXPECT(42, 13, 0, sysenter) /* SYSENTER_CS 0 */
    WRMSR(0x174, 0, KCODE)
    WRMSR(0x175, 0, 0x6f000)
    WRMSR(0x176, 0, sysenter_entry)
    mov $user_sysenter + USER, %edx
    mov $0x1234000, %ecx
    mov $771f, %r15
    mov %rsp, %rbp
    sysexitq
771:
    cmp $0x6f000, %r14
    CHECK(43, je)
    cmp $0x1234000, %r13
    CHECK(44, je)
    PASS
amd:
    /* AMD returns and faults in user mode. */
    EXPECT(50, 13, 0, movabs $0x8000000000000000, %rcx; mov $2, %r11d; sysretq)
    cmpq $UCODE, exc_cs
    CHECK(51, je)
    EXPECT(52, 6, NO_ERROR, sysenter)
    EXPECT(53, 6, NO_ERROR, sysexitl)
    PASS

kernel_entry:
    mov %rbp, %rsp
    jmp *%r15
sysenter_entry:
    mov %rsp, %r14
    mov %rbp, %rsp
    jmp *%r15
gate_target:
    mov 8(%rsp), %rax
    mov %rax, gate_cs
    mov %rsp, gate_rsp
    xor %ecx, %ecx
    div %ecx

user_plain:
    mov %cs, %r8d
    mov %ss, %r9d
    syscall
user_plain_next:
user_flags_set:
    mov $TEST_PAGES + 0x800, %esp
    pushq $0xed5 + 2
    popfq
    syscall
user_flags_clear:
    mov $TEST_PAGES + 0x800, %esp
    pushq $0x202
    popfq
    syscall
user_flags_found:
    lea TEST_PAGES + 0x800, %rsp
    pushfq
    pop %r8
    syscall
user_hlt: hlt
user_cr0: mov %cr0, %rax
user_cli: cli
user_kernel_read: mov gate_cs, %rax
user_kernel_write: mov %rax, gate_cs
user_int16: int $16
user_stac: stac
user_in: in $0x10, %al
user_rdmsr: mov $0x10, %ecx
    rdmsr
user_swapgs: swapgs
user_kdata: mov $KDATA, %eax
    mov %ax, %ds
user_call_gate: lcall *gate_pointer + USER
user_user_call_gate: lcall *user_gate_pointer + USER
user_sgdt_ok: sgdt TEST_PAGES + 0x100
    ud2
user_smsw: smsw %eax
user_sldt: sldt %eax
user_rdtsc: rdtsc
user_misaligned:
    mov TEST_PAGES + 4, %eax
    mov TEST_PAGES + 5, %eax
    ud2
user_int3: int3
user_sysenter:
    mov %rsp, %r13
    sysenter

    .balign 16
gate_cs: .quad 0
gate_rsp: .quad 0
gate_pointer: .long 0
    .word CALLGATE
user_gate_pointer: .long 0
    .word UCALLGATE + 3
