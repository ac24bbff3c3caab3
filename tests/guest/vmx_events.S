/* SPDX-License-Identifier: MIT */
/* Events: injection, windows, external interrupts and NMIs, HLT, the preemption timer. SDM 3C 25.2, 25.5.1, 26.5 */
#include "guest.inc"
#include "vmx.inc"

/* The guest leaves by itself before so many counts are over. Where the host did not let us run for longer than that
 * it is entered again. */
#define BEFORE_TIMER(id, counts) 774: VMW(0x482e, counts); AT(stop); call vmx_run; cmp $52, %eax; je 774b; \
    cmp $18, %eax; CHECK(id, je)
#define TIMER_LEFT_OVER BEFORE_TIMER(35, 0x400)
/* 10000H counts of 32 ticks, but for the first's beginning. */
#define TIMED(id, guest) VMW(0x482e, 0x10000); AT(guest); call now; mov %rax, %r14; RUN(id, 52); call now; \
    sub %r14, %rax; cmp $(0xffff * 32), %rax; CHECK(id, jae)

main64:
    /* A gate for vector 40H. */
    mov $handler, %eax
    mov %ax, idt + 0x400
    movw $KCODE, idt + 0x402
    movw $0x8e00, idt + 0x404
    shr $16, %eax
    mov %ax, idt + 0x406
    call vmx_setup

    /* Injection: an interrupt, a software interrupt, an exception with its error code. */
    VMW(0x6820, 0x202)
    VMW(INJECT, 0x80000040)
    RUN(1, 18)
    cmpq $1, handled
    CHECK(2, je)
    WANT(3, INJECT, 0x40)
    ADVANCE
    VMW(INJECT, 0x80000440)
    VMW(0x401a, 2)
    RUN(4, 18) /* it returned behind the UD2 */
    cmpq $2, handled
    CHECK(5, je)
    ADVANCE
    VMW(INJECT, 0x80000b0d)
    VMW(0x4018, 0x1234)
    movq $resumed, exc_resume
    mov $0x6b000, %eax
    mov %rax, exc_rsp
    RUN(9, 18)
    cmpq $13, exc_vector
    CHECK(10, je)
    cmpq $0x1234, exc_error
    CHECK(11, je)
    ADVANCE
    movq $0, exc_resume

    /* Interrupt window: open now, then after STI and its shadow. */
    CTL(PROC, 0x48e, 4)
    VMW(0x6820, 0x202)
    mov $window, %eax
    VMWR(RIP, %rax)
    RUN(12, 7)
    WANT(13, RIP, window)
    VMW(0x6820, 2)
    RUN(14, 7)
    WANT(15, RIP, window_open)
    CTL(PROC, 0x48e, 0)

    /* An external interrupt, acknowledged or not; then it is the host's. */
    CTL(PIN, 0x48d, 1)
    CTL(EXITC, 0x48f, 0x8200)
    mov $raise, %eax
    VMWR(RIP, %rax)
    VMW(0x6820, 2)
    RUN(16, 1)
    WANT(17, INTR_INFO, 0x80000040)
    CTL(EXITC, 0x48f, 0x200)
    mov $raise, %eax
    VMWR(RIP, %rax)
    RUN(18, 1)
    WANT(19, INTR_INFO, 0)
    movq $0, handled
    sti
    nop
    cli
    cmpq $1, handled
    CHECK(20, je)

    /* NMI: leaves, and blocks the next until IRET; virtual NMIs and their window. */
    CTL(PIN, 0x48d, 0x29)
    mov $raise_nmi, %eax
    VMWR(RIP, %rax)
    RUN(21, 0)
    WANT(22, INTR_INFO, 0x80000202)
    VMW(0x4824, 8) /* virtual NMI blocking */
    CTL(PROC, 0x48e, 0x400000)
    mov $unblock, %eax
    VMWR(RIP, %rax)
    RUN(23, 8)
    WANT(24, RIP, unblocked)
    WANT(25, 0x4824, 0)
    CTL(PROC, 0x48e, 0)

    /* The timer: at once, and after a while, in a guest that halts too. */
    CTL(PIN, 0x48d, 0x69)
    VMW(0x482e, 0)
    mov $forever, %eax
    VMWR(RIP, %rax)
    RUN(26, 52)
    WANT(27, RIP, forever)
    VMW(0x482e, 100)
    RUN(28, 52)
    CTL(EXITC, 0x48f, 0x400200)
    BEFORE_TIMER(29, 0x10000)
    VMR(0x482e)
    test %eax, %eax
    CHECK(30, jnz)
    cmp $0x10000, %eax
    CHECK(31, jb)
    CTL(EXITC, 0x48f, 0x200)

    /* One that had not run out when the guest left: it may not end the next one early, nor anything of ours. */
    TIMER_LEFT_OVER
    call pass
    TIMED(36, forever)
    TIMER_LEFT_OVER
    TIMED(41, forever)
    TIMER_LEFT_OVER
    VMW(0x4826, 1) /* HLT */
    TIMED(37, forever)
    VMW(0x4826, 0)
    BEFORE_TIMER(38, 0x10000) /* and a later one does not hold back an earlier one */
    VMW(0x482e, 1)
    AT(forever)
    RUN(39, 52)
    CTL(PIN, 0x48d, 0x29)
    AT(stop)
    RUN(40, 18)

    /* TPR shadow: CR8 is a byte in memory; below the threshold it leaves behind the instruction. */
    CTL(PIN, 0x48d, 0)
    CTL(EXITC, 0x48f, 0x200)
    movb $0x50, VAPIC + 0x80
    VMW(0x2012, VAPIC)
    VMW(0x401c, 3)
    CTL(PROC, 0x48e, 0x200000)
    mov $tpr, %eax
    VMWR(RIP, %rax)
    RUN(32, 43)
    WANT(33, RIP, tpr_low)
    cmp $5, %ecx
    CHECK(34, je)
    cmpb $0x20, VAPIC + 0x80
    CHECK(35, je)
    PASS

handler:
    incq handled
    iretq

now:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    ret
/* 40000H ticks, longer than what TIMER_LEFT_OVER leaves. */
pass:
    call now
    mov %rax, %r14
1:  call now
    sub %r14, %rax
    cmp $0x40000, %rax
    jb 1b
    ret

guest_code:
    vmcall
    ud2
    vmcall
resumed:
    vmcall
window:
    sti
    nop
window_open:
    FAIL(117)
raise:
    mov $0x40, %al
    out %al, $0xf5
    jmp .
raise_nmi:
    out %al, $0xf6
    jmp .
unblock:
    push $KDATA
    push $0x6c000
    push $2
    push $KCODE
    push $unblocked
    iretq
unblocked:
    FAIL(116)
forever:
    jmp forever
stop:
    nop
    vmcall
tpr:
    mov %cr8, %rcx
    mov $4, %eax
    mov %rax, %cr8
    mov $2, %eax
    mov %rax, %cr8
tpr_low:
    FAIL(115)

    .balign 8
handled: .quad 0
