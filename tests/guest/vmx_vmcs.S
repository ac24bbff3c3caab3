/* SPDX-License-Identifier: MIT */
/*
 * VMREAD and VMWRITE of all widths, often enough to be translated, in every way they end. SDM 3C 30.3
 *
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

#define TIMES 40
/* Six flags are set before, and none is behind it. */
#define ONES mov $0xff, %ah; sahf; mov $0x7f, %al; inc %al; stc
#define CLEAR(id) pushf; pop %rax; test $0x8d5, %eax; CHECK(id, jz)
#define FLAGS(id, value) pushf; pop %rax; and $0x8d5, %eax; cmp $value, %eax; CHECK(id, je)

main64:
    call vmx_setup
    mov $TIMES, %r12d
1:  call fields
    dec %r12d
    jnz 1b
    call vmx_fill
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

/* By a constant of the block, by a register that is none, by a field that is none, with and without a VMCS. */
fields:
    movabs $0x123456789abcdef0, %rbx
    ONES
    mov $RSP_FIELD, %edx
    vmwrite %rbx, %rdx
    CLEAR(50)
    ONES
    mov $RSP_FIELD, %edx
    vmread %rdx, %rcx
    CLEAR(51)
    cmp %rbx, %rcx
    CHECK(52, je)
    mov $0x4012, %edx /* 32 bits, from a register in the frame to another */
    vmread %rdx, %r13
    mov %rbx, %r10
    mov $0x4012, %r8d
    vmwrite %r10, %r8
    mov $0x4012, %r8d
    vmread %r8, %r11
    mov %ebx, %ecx
    cmp %rcx, %r11
    CHECK(53, je)
    vmwrite %r13, %r8
    mov $0x0802, %edx
    vmread %rdx, %r13
    vmwrite %rbx, %rdx
    vmread %rdx, %rax
    cmp $0xdef0, %rax
    CHECK(54, je)
    vmwrite %r13, %rdx
    mov $0x2010, %esi /* and its upper half */
    vmwrite %rbx, %rsi
    mov $0x2011, %esi
    vmread %rsi, %rax
    cmp $0x12345678, %rax
    CHECK(55, je)
    push $0x681c
    pop %rdi
    ONES
    vmread %rdi, %r9
    CLEAR(56)
    cmp %rbx, %r9
    CHECK(57, je)
    movq $0x4321, vmx_word
    vmwrite vmx_word, %rdi
    movq $0, vmx_word
    vmread %rdi, vmx_word
    cmpq $0x4321, vmx_word
    CHECK(58, je)
    mov $0x681d, %edi /* no upper half: 12, in ZF */
    ONES
    vmread %rdi, %rax
    FLAGS(59, 0x40)
    mov $0x685a, %esi
    ONES
    vmwrite %rax, %rsi
    FLAGS(60, 0x40)
    bts $32, %rdi
    ONES
    vmread %rdi, %rax
    FLAGS(61, 0x40)
    WANT(62, ERROR, 12)
    POINTER(vmclear, VMCS_REGION) /* none: CF */
    ONES
    mov $RSP_FIELD, %edx
    vmread %rdx, %rcx
    FLAGS(63, 1)
    mov $RSP_FIELD, %edx
    vmwrite %rcx, %rdx
    FLAGS(64, 1)
    POINTER(vmptrld, VMCS_REGION)
    ret

guest_code:
    vmcall
    ud2

    .balign 4096
vmx_word: .quad 0
