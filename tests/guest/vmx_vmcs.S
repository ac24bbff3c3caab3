/* SPDX-License-Identifier: MIT */
/*
 * The current VMCS is the processor's: its region is old until it is written back, by VMCLEAR or when another becomes
 * current; then it may be moved. Whatever a region holds, fields have no more than their widths. SDM 3C 24.11.1, 24.11.3
 */
#include "guest.inc"
#include "vmx.inc"

#define VMCS_COPY 0x310000
#define RSP_FIELD 0x681c
#define POINTER(instruction, region) movq $region, vmx_pointer; instruction vmx_pointer; jbe bad
/* Every byte behind the revision. */
#define SCRIBBLE(region) mov $region + 4, %edi; mov $4092, %ecx; mov $-1, %eax; rep stosb

main64:
    call vmx_setup
    VMW(RSP_FIELD, 0x1234)
    RUN(1, 18)

    /* Written behind its back. */
    SCRIBBLE(VMCS_REGION)
    WANT(2, RSP_FIELD, 0x1234)
    RUN(3, 18)

    /* Another in between, launched as well; neither loses what was written. */
    VMW(RSP_FIELD, 0x5678)
    POINTER(vmclear, VMCS_SPARE)
    POINTER(vmptrld, VMCS_SPARE)
    call vmx_fill
    movb $0, vmx_launched
    VMW(RSP_FIELD, 0x9abc)
    RUN(4, 18)
    POINTER(vmptrld, VMCS_REGION)
    WANT(5, RSP_FIELD, 0x5678)
    RUN(6, 18)
    POINTER(vmptrld, VMCS_SPARE)
    WANT(7, RSP_FIELD, 0x9abc)
    RUN(8, 18)

    /* A field that a check looks at, written while another was current: every VMCS is checked for itself. */
    VMW(0x4016, 0x80000100)
    POINTER(vmptrld, VMCS_REGION)
    RUN(9, 18)
    POINTER(vmptrld, VMCS_SPARE)
    vmresume
    CHECK(10, jz)
    WANT(11, ERROR, 7)
    VMW(0x4016, 0)
    RUN(12, 18)

    /* Moved. */
    POINTER(vmptrld, VMCS_REGION)
    VMW(RSP_FIELD, 0xdef0)
    POINTER(vmclear, VMCS_REGION)
    mov $VMCS_REGION, %esi
    mov $VMCS_COPY, %edi
    mov $4096, %ecx
    rep movsb
    SCRIBBLE(VMCS_REGION)
    POINTER(vmptrld, VMCS_COPY)
    WANT(13, RSP_FIELD, 0xdef0)
    movb $0, vmx_launched
    RUN(14, 18)
    POINTER(vmclear, VMCS_SPARE) /* of one that is not current nothing else is written */
    POINTER(vmptrld, VMCS_SPARE)
    WANT(15, RSP_FIELD, 0x9abc)

    /* Ones all over. */
    POINTER(vmptrld, VMCS_REGION)
    WANT(16, 0x0802, 0xffff)
    WANT(17, 0x4800, 0xffffffff)
    WANT(18, 0x2801, 0xffffffff)
    WANT(19, 0x2800, 0xffffffffffffffff)
    WANT(20, 0x6800, 0xffffffffffffffff)
    vmresume
    CHECK(21, jz)
    WANT(22, ERROR, 7)

    /* Off and on again. */
    POINTER(vmptrld, VMCS_COPY)
    VMW(RSP_FIELD, 0x4321)
    vmxoff
    movq $VMXON_REGION, vmx_pointer
    vmxon vmx_pointer
    jbe bad
    mov $RSP_FIELD, %edx
    vmread %rdx, %rax
    CHECK(23, jc)
    POINTER(vmptrld, VMCS_COPY)
    WANT(24, RSP_FIELD, 0x4321)
    PASS
bad:
    FAIL(100)

guest_code:
    vmcall
    ud2
