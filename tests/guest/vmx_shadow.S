/* SPDX-License-Identifier: MIT */
/* VMCS shadowing: VMREAD and VMWRITE of a guest, by the bitmaps' leave, on the shadow VMCS. SDM 3C 24.10, 30.3 */
#include "guest.inc"
#include "vmx.inc"

#define READ_BITMAP  0x321000
#define WRITE_BITMAP 0x322000
#define FIELD        0x681c /* RSP */
#define NO_FIELD     0x685a

main64:
    call vmx_setup
    mov $READ_BITMAP, %edi
    mov $-1, %eax
    mov $2048, %ecx
    rep stosl
    VMW(0x2026, READ_BITMAP)
    VMW(0x2028, WRITE_BITMAP)
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 0x4000)
    orl $0x80000000, VMCS_SPARE
    movq $VMCS_SPARE, vmx_pointer
    vmclear vmx_pointer
    jbe bad
    VMW(0x2800, VMCS_SPARE)

    /* Both leave; one at a time is let through; a field number above 7FFFH always leaves. */
    RUN(1, 25)
    WANT(2, LENGTH, 3)
    ADVANCE
    RUN(3, 23)
    andb $~(1 << 4), WRITE_BITMAP + FIELD / 8
    AT(guest_code)
    RUN(4, 23)
    andb $~(1 << 4), READ_BITMAP + FIELD / 8
    AT(guest_code)
    RUN(5, 18)
    cmp $0x1234, %ecx
    CHECK(6, je)
    WANT(7, FIELD, 0x6c000) /* its own is untouched */
    ADVANCE
    RUN(8, 23)

    /* A field that is none: VMfailValid, the number in the current VMCS. */
    andb $~(1 << (NO_FIELD % 8)), READ_BITMAP + NO_FIELD / 8
    AT(none)
    VMW(ERROR, 0)
    RUN(9, 18)
    cmp $0x40, %ecx
    CHECK(10, je)
    WANT(11, ERROR, 12)
    /* Without a shadow VMCS: VMfailInvalid. */
    VMW(0x2800, -1)
    AT(guest_code)
    RUN(12, 18)
    cmp $0x41, %esi
    CHECK(13, je)

    /* The shadow VMCS, seen from outside; nobody enters by it. */
    movq $VMCS_SPARE, vmx_pointer
    vmptrld vmx_pointer
    jbe bad
    WANT(14, FIELD, 0x1234)
    vmlaunch
    CHECK(15, jc)
    PASS
bad:
    FAIL(100)

guest_code:
    mov $FIELD, %edx
    mov $0x1234, %eax
    xor %esi, %esi
    vmwrite %rax, %rdx
    ja 1f
    mov $0x41, %esi
1:  vmread %rdx, %rcx
    vmcall
    bts $15, %edx
    vmread %rdx, %rcx
none:
    mov $NO_FIELD, %edx
    vmread %rdx, %rcx
    pushf
    pop %rcx
    and $0x41, %ecx
    vmcall
