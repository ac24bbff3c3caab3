/* SPDX-License-Identifier: MIT */
/* What leaves a guest, and with what information. SDM 3C 25.1, 27.2 */
#include "guest.inc"
#include "vmx.inc"

/* One guest instruction that must leave (with its length), stepped over. */
#define NEXT(id, reason, length) RUN(id, reason); WANT(id, LENGTH, length); ADVANCE

/* `often` leaves at a label, with what RCX was. */
#define OFTEN(id, controls, reason, label)                                                                             \
    CTL(PROC, 0x48e, controls); mov $3, %ebp; AT(often); RUN(id, reason); VMR(RIP); cmp $label, %rax; CHECK(id + 1, je);\
    movabs $0x123456789a, %rax; cmp %rax, %rcx; CHECK(id + 1, je)

main64:
    call vmx_setup
    /* CPUID needs no control; HLT, RDTSC, INVLPG, MOV DR, PAUSE, RDPMC do. */
    CTL(PROC, 0x48e, 0xc0801a80 | 0x80000000)
    CTL(PROC2, 0x48b, 0xc)
    NEXT(1, 10, 2)
    NEXT(2, 12, 1)
    NEXT(3, 16, 2)
    NEXT(4, 51, 3)
    NEXT(5, 15, 2)
    RUN(6, 14)
    WANT(7, QUAL, 0x1234)
    ADVANCE
    RUN(8, 29)
    WANT(9, QUAL, 0x316) /* DR6 from RBX */
    ADVANCE
    NEXT(10, 40, 2)
    RUN(11, 46)
    WANT(12, INFO, 0x418900) /* DS:[RAX] */
    ADVANCE

    /* MSRs: the bitmap lets one through. */
    mov $MSR_BITMAP, %edi
    xor %eax, %eax
    mov $1024, %ecx
    rep stosl
    orb $1 << 4, MSR_BITMAP + 0x174 / 8 /* RDMSR of SYSENTER_CS */
    orb $1 << 1, MSR_BITMAP + 3072 + 0x81 / 8 /* WRMSR of STAR */
    VMW(0x2004, MSR_BITMAP)
    CTL(PROC, 0x48e, 0x10000000)
    NEXT(13, 31, 2)
    NEXT(14, 32, 2)
    CTL(PROC, 0x48e, 0)
    NEXT(15, 31, 2)

    /* Ports. */
    CTL(PROC, 0x48e, 0x01000000)
    RUN(16, 30)
    WANT(17, QUAL, 0x00e90040) /* OUT imm8 */
    ADVANCE
    RUN(18, 30)
    WANT(19, QUAL, 0x0123000b) /* IN DX, 4 bytes */
    ADVANCE
    RUN(20, 30)
    WANT(21, QUAL, 0x01230030) /* REP OUTSB */
    WANT(22, LINEAR, 0x4000)
    ADVANCE
    mov $IO_BITMAP_A, %edi
    xor %eax, %eax
    mov $2048, %ecx
    rep stosl
    orb $2, IO_BITMAP_A + 0x120 / 8
    VMW(0x2000, IO_BITMAP_A)
    VMW(0x2002, IO_BITMAP_B)
    CTL(PROC, 0x48e, 0x02000000)
    RUN(23, 30)
    WANT(24, QUAL, 0x01210000 + 0x8)
    ADVANCE

    /* Control registers: masks and shadows. */
    CTL(PROC, 0x48e, 0x18000)
    VMW(0x6000, 0x8) /* TS is the host's */
    VMW(0x6004, 0x8) /* and reads as set */
    RUN(25, 28)
    WANT(26, QUAL, 0x20) /* CLTS */
    ADVANCE
    RUN(27, 28)
    WANT(28, QUAL, 0x10030) /* LMSW 1 */
    ADVANCE
    RUN(29, 18)
    bt $3, %ecx
    CHECK(30, jc) /* the shadow */
    ADVANCE
    RUN(31, 28)
    WANT(32, QUAL, 0x303) /* MOV to CR3 from RBX */
    ADVANCE
    mov %cr3, %rax
    VMWR(0x6008, %rax)
    VMW(0x400a, 1)
    RUN(33, 28)
    WANT(34, QUAL, 0x213) /* MOV from CR3 to RDX; the load before hit a target */
    ADVANCE
    VMW(0x6002, 0x2000)
    VMW(0x6006, 0)
    RUN(35, 18)
    bt $13, %ecx
    CHECK(36, jnc)
    ADVANCE
    RUN(37, 28)
    WANT(38, QUAL, 0x104) /* MOV to CR4 from RCX with VMXE */
    ADVANCE

    /* Exceptions. */
    VMW(0x4004, 0x4009 + 0x2000 + 0x40)
    RUN(39, 0)
    WANT(40, INTR_INFO, 0x80000306)
    ADVANCE
    VMR(RIP)
    add $2, %rax
    VMWR(RIP, %rax)
    RUN(41, 0)
    WANT(42, INTR_INFO, 0x80000603) /* INT3 */
    WANT(43, LENGTH, 1)
    ADVANCE
    RUN(44, 0)
    WANT(45, INTR_INFO, 0x80000b0e)
    WANT(46, INTR_ERROR, 2)
    WANT(47, QUAL, 0x40000000000)
    VMR(RIP)
    add $2, %rax
    VMWR(RIP, %rax)
    VMW(0x4006, 2) /* now only reads */
    VMW(0x4008, 0)
    RUN(48, 0)
    WANT(49, INTR_ERROR, 0)
    VMR(RIP)
    add $2, %rax
    VMWR(RIP, %rax)
    /* The same, often before it leaves; then it has done nothing. Without its control RDTSCP is #UD. */
    CTL(PROC2, 0x48b, 8)
    CTL(PROC, 0x48e, 0x80000008)
    VMW(0x2010, 1 << 33) /* TSC offset */
    mov $200, %ebp
    AT(often)
    RUN(54, 18)
    OFTEN(55, 0x80001008, 16, often_rdtsc)
    mov $3, %ebp
    AT(often_rdtscp)
    RUN(57, 51)
    OFTEN(58, 0x80010008, 28, often_cr3)
    VMW(0x4004, 0x40)
    OFTEN(60, 8, 0, often_rdtscp)
    VMW(0x4004, 0)
    CTL(PROC, 0x48e, 0)
    AT(guest_faults)
    /* A fault while a fault is delivered: IDT-vectoring information. */
    VMW(0x4812, 0)
    VMW(0x4004, 0x2000)
    RUN(50, 0)
    WANT(51, INTR_INFO, 0x80000b0d)
    WANT(52, IDT_INFO, 0x80000306)
    VMW(0x4004, 0)
    RUN(53, 2) /* nobody to take it: triple fault */
    PASS

guest_code:
    cpuid
    hlt
    rdtsc
    rdtscp
    rdpmc
    invlpg 0x1234
    mov %dr6, %rbx
    pause
    sgdt (%rax)
    mov $0x174, %ecx
    rdmsr
    mov $0x175, %ecx
    rdmsr
    mov $0xc0000081, %ecx
    rdmsr
    wrmsr
    rdmsr
    out %al, $0xe9
    mov $0x123, %edx
    in %dx, %eax
    mov $0x123, %edx
    mov $0x4000, %esi
    mov $3, %ecx
    rep outsb
    mov $0x100, %edx
    in %dx, %al
    mov $0x121, %edx
    in %dx, %al
    clts
    mov $1, %eax
    lmsw %ax
    mov %cr0, %rcx
    vmcall
    mov $PML4, %ebx
    mov %rbx, %cr3
    mov $PML4, %ebx
    mov %rbx, %cr3
    mov %cr3, %rdx
    mov %cr4, %rcx
    vmcall
    or $0x2000, %ecx
    mov %rcx, %cr4
    ud2
    int3
    movabs $0x40000000000, %rbx
    mov %al, (%rbx)
    mov (%rbx), %al
guest_faults:
    ud2
    FAIL(118)

often:
    movabs $0x123456789a, %rax
    mov %rax, %rdx
    mov %rax, %rcx
    stc
often_rdtsc: rdtsc
    CHECK(110, jc)
    shr $1, %edx
    CHECK(111, jnz)
often_rdtscp: rdtscp
    shr $1, %edx
    CHECK(112, jnz)
    movabs $0x123456789a, %rcx
    pushf
    pop %r8
    mov %cr2, %r8
often_cr3: mov %cr3, %r8
    cmp $PML4, %r8
    CHECK(113, je)
    dec %ebp
    jnz often
    vmcall
