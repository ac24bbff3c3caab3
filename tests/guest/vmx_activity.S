/* SPDX-License-Identifier: MIT */
/*
 * Activity states, INIT and start-up IPIs, and what IRET does to NMI blocking. SDM 3C 24.4.2, 25.2, 25.3, 27.2.2
 */
#include "guest.inc"
#include "vmx.inc"

#define ACTIVITY 0x4826
#define BLOCKING 0x4824

main64:
    call vmx_setup
    /* A guest that waits for a SIPI leaves with its vector, for nothing else. */
    CTL(PIN, 0x48d, 0x68)
    VMW(0x482e, 1)
    VMW(ACTIVITY, 3)
    mov $0x9a, %al
    out %al, $0xfc
    RUN(1, 4)
    WANT(2, QUAL, 0x9a)
    WANT(3, ACTIVITY, 3)
    /* One that is shut down: by the timer. */
    VMW(ACTIVITY, 2)
    VMW(0x482e, 1000)
    RUN(4, 52)
    WANT(5, ACTIVITY, 2)
    VMW(ACTIVITY, 0)
    CTL(PIN, 0x48d, 0)
    /* INIT leaves a guest; the host holds it back until it enters one. */
    RUN(6, 3)
    WANT(7, RIP, after_init)
    out %al, $0xf9
    nop
    RUN(8, 3)
    WANT(9, RIP, after_init)

    /* A faulting IRET has opened virtual NMIs, and says so if they were blocked. */
    VMW(0x4004, 0x2000)
    CTL(PIN, 0x48d, 0x28)
    VMW(BLOCKING, 8)
    AT(return)
    RUN(10, 0)
    WANT(11, INTR_INFO, 0x80001b0d)
    WANT(12, BLOCKING, 0)
    VMW(0x681c, 0x6c000)
    AT(return)
    RUN(13, 0)
    WANT(14, INTR_INFO, 0x80000b0d)
    /* NMIs that are the host's it leaves alone. */
    VMW(0x681c, 0x6c000)
    CTL(PIN, 0x48d, 8)
    VMW(BLOCKING, 8)
    AT(return)
    RUN(15, 0)
    WANT(16, INTR_INFO, 0x80000b0d)
    WANT(17, BLOCKING, 8)
    PASS

guest_code:
    out %al, $0xf9
after_init:
    FAIL(100)
return:
    push $KDATA
    push $0x6c000
    push $2
    push $TSS_SEL
    push $guest_code
    iretq
