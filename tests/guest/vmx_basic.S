/* SPDX-License-Identifier: MIT */
/* VMXON's rules, VMfail numbers, VMREAD and VMWRITE, and the first round trip. SDM 3C chapter 30 */
#include "guest.inc"
#include "vmx.inc"

#define FAILS(id, error, ...) __VA_ARGS__; jz 771f; FAIL(id); 771: WANT(id, ERROR, error)

main64:
    /* Outside VMX operation. */
    EXPECT(1, 6, NO_ERROR, vmxon vmx_pointer)
    EXPECT(2, 6, NO_ERROR, vmlaunch)
    mov $0x3a, %ecx
    rdmsr
    cmp $5, %eax
    CHECK(3, je)
    EXPECT(4, 13, 0, mov $0x3a, %ecx; xor %edx, %edx; mov $1, %eax; wrmsr)
    mov %cr4, %rax
    or $0x2000, %eax
    mov %rax, %cr4
    EXPECT(5, 6, NO_ERROR, vmread %rax, %rdx)
    mov %cr0, %rax
    and $~0x20, %eax
    mov %rax, %cr0
    EXPECT(6, 13, 0, vmxon vmx_pointer) /* CR0.NE is fixed */
    mov %cr0, %rax
    or $0x20, %eax
    mov %rax, %cr0
    movq $VMXON_REGION + 8, vmx_pointer
    vmxon vmx_pointer
    CHECK(7, jc)
    movq $VMXON_REGION, vmx_pointer
    movl $1, VMXON_REGION
    vmxon vmx_pointer
    CHECK(8, jc)
    call vmx_on

    /* In it: fixed bits hold. */
    EXPECT(9, 13, 0, mov %cr4, %rax; and $~0x2000, %eax; mov %rax, %cr4)
    EXPECT(10, 13, 0, mov %cr0, %rax; and $~0x20, %eax; mov %rax, %cr0)
    movq $-1, vmx_pointer
    vmptrst vmx_pointer
    CHECK(11, ja)
    cmpq $-1, vmx_pointer
    CHECK(12, je)
    mov $0x6800, %edx
    vmread %rdx, %rax
    CHECK(13, jc)
    vmlaunch
    CHECK(14, jc)
    movq $VMCS_REGION, vmx_pointer
    vmclear vmx_pointer
    CHECK(15, ja)
    vmptrld vmx_pointer
    CHECK(16, ja)
    movq $VMXON_REGION, vmx_pointer
    FAILS(17, 15, vmxon vmx_pointer)
    FAILS(18, 3, vmclear vmx_pointer)
    FAILS(19, 10, vmptrld vmx_pointer)
    movq $VMXON_REGION + 4, vmx_pointer
    FAILS(20, 2, vmclear vmx_pointer)
    FAILS(21, 9, vmptrld vmx_pointer)
    movl $0x1234, VMCS_SPARE
    movq $VMCS_SPARE, vmx_pointer
    FAILS(22, 11, vmptrld vmx_pointer)
    mov $0x1fffe, %edx
    FAILS(23, 12, vmread %rdx, %rax)
    FAILS(24, 12, vmwrite %rax, %rdx)
    FAILS(25, 1, vmcall)
    FAILS(26, 5, vmresume)

    /* Widths and halves. */
    VMW(0x0800, 0x12345678)
    WANT(27, 0x0800, 0x5678)
    VMW(0x4800, 0x1122334455667788)
    WANT(28, 0x4800, 0x55667788)
    VMW(0x2800, 0x1122334455667788)
    WANT(29, 0x2801, 0x11223344)
    VMW(0x2801, 0xaabbccdd)
    WANT(30, 0x2800, 0xaabbccdd55667788)
    mov $0x6801, %edx
    FAILS(31, 12, vmread %rdx, %rax)

    /* INVEPT and INVVPID operands. */
    mov $3, %eax
    FAILS(32, 28, invept vmx_descriptor, %rax)
    mov $1, %eax
    FAILS(33, 28, invept vmx_descriptor, %rax)
    mov $2, %eax
    invept vmx_descriptor, %rax
    CHECK(34, ja)
    mov $1, %eax
    FAILS(35, 28, invvpid vmx_descriptor, %rax)
    mov $2, %eax
    invvpid vmx_descriptor, %rax
    CHECK(36, ja)

    /* There and back. */
    call vmx_fill
    FAILS(37, 5, vmresume)
    RUN(38, 10)
    WANT(39, LENGTH, 2)
    cmp $0x77, %rcx
    CHECK(40, je)
    FAILS(41, 4, vmlaunch)
    ADVANCE
    RUN(42, 18)
    cmp $0x78, %rcx
    CHECK(43, je)

    /* One refusal each. */
    VMW(0x6c00, 0x80000001)
    FAILS(44, 8, vmresume)
    mov %cr0, %rax
    VMWR(0x6c00, %rax)
    VMW(PIN, 0)
    FAILS(45, 7, vmresume)
    CTL(PIN, 0x48d, 0)
    VMW(0x6820, 0)
    RUN(46, 0x80000021)
    WANT(47, QUAL, 0)
    VMW(0x6820, 2)
    VMW(0x2800, VMCS_SPARE)
    RUN(48, 0x80000021)
    WANT(49, QUAL, 4)
    VMW(0x2800, -1)
    mov %ss, %eax
    mov %eax, %ss
    vmresume
    jz 1f
    FAIL(50)
1:  WANT(51, ERROR, 26)
    vmxoff
    CHECK(52, ja)
    EXPECT(53, 6, NO_ERROR, vmxoff)
    PASS

guest_code:
    mov $0x77, %ecx
    cpuid
    mov $0x78, %ecx
    vmcall
    FAIL(119)

    .balign 16
vmx_descriptor: .quad 0, 0
