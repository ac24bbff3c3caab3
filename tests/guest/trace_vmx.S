/* SPDX-License-Identifier: MIT */
/*
 * For tests/system/trace.sh: 7 CPUID exits, an EPT violation at 400008H (the entry of the third level is 0), VMCALL, an
 * entry refused for the guest's RFLAGS, and VMLAUNCH of a VMCS that is launched. Last letter a: a VMX abort instead.
 */
#define MULTIBOOT
#include "guest.inc"
#include "vmx.inc"
#include "trace.inc"

main64:
    call vmx_setup
    mov $EPT_PML4, %edi
    xor %eax, %eax
    mov $0x3000 / 8, %ecx
    rep stosq
    movq $EPT_PDPT + 7, EPT_PML4
    movq $EPT_PD + 7, EPT_PDPT
    mov $0xb7, %eax
    xor %ecx, %ecx
1:  mov %rax, EPT_PD(, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $512, %ecx
    jb 1b
    movq $0, EPT_PD + 16
    VMW(0x201a, EPT_PML4 + 0x1e)
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 2)

    mov $7, %r12d
    xor %r13d, %r13d
next:
    call vmx_run
    cmp $10, %eax
    jne 1f
    inc %r13d
    ADVANCE
    jmp next
1:  cmp $48, %eax
    CHECK(1, je)
    movq $0x4000b7, EPT_PD + 16
    RUN(2, 18)
    VMW(0x6820, 0)
    RUN(3, 0x80000021)
    VMW(0x6820, 2)
    call trace_letter
    cmp $'a', %bl
    je abort
    vmlaunch
    CHECK(4, jz)
    vmxoff
    jmp trace_end

abort: /* an MSR that does not exist: VMCALL once more, and the host's state cannot be loaded */
    movl $-1, VMXON_REGION + 16
    VMW(0x2008, VMXON_REGION + 16)
    VMW(0x4010, 1)
    call vmx_run
    FAIL(5)

guest_code:
    cpuid
    dec %r12d
    jnz guest_code
    mov TEST_PAGES + 8, %eax
    vmcall
    FAIL(119)
