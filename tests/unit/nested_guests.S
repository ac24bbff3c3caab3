/* SPDX-License-Identifier: MIT */
/*
 * Two hypervisors of a page for nested_active_test.c: 32-bit code that runs at 100020H, entered as a multiboot kernel.
 * Each enters a guest of its own once and prints N when that has exited as expected; when the byte at 204000H is set
 * it switches the extension off, prints W and sleeps. Their tables lie from 2 MiB on, where RAM is zero.
 */
#define RUNS_AT(label, guest) $((label) - (guest) + 0x100020)
#define GDT    0x200000 /* code 8, data 10H, TSS 18H */
#define HOST   0x201000 /* VMXON region, host save area */
#define GUEST  0x202000 /* VMCS, VMCB */
#define TABLES 0x203000
#define GO_ON  0x204000
#define STACK  0x280000

    .section .rodata
    .code32

.macro say c
    mov $0x3f8, %dx
    mov $\c, %al
    out %al, %dx
.endm

.macro tables
    mov $STACK, %esp
    movl $0x0000ffff, GDT + 8
    movl $0x00cf9b00, GDT + 12
    movl $0x0000ffff, GDT + 16
    movl $0x00cf9300, GDT + 20
    movl $0x10000067, GDT + 24
    movl $0x00008920, GDT + 28
    movw $0x1f, GDT + 0x80
    movl $GDT, GDT + 0x82
    lgdt GDT + 0x80
.endm

/* Maps the first 4 MiB onto themselves: VMX asks for paging, and so does KVM for SVM. */
.macro paging cr4
    movl $0x83, TABLES
    mov $TABLES, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $\cr4 | 0x10, %eax /* PSE */
    mov %eax, %cr4
    mov %cr0, %eax
    or $0x80000020, %eax /* PG, NE */
    mov %eax, %cr0
.endm

/* SVM. The VMCB is APM 2 appendix B's; HLT and VMRUN are intercepted, and the guest is HLT. */
    .globl guest_svm, guest_svm_end
guest_svm:
    tables
    paging 0
    mov $0xc0000080, %ecx /* EFER.SVME */
    rdmsr
    or $0x1000, %eax
    wrmsr
    mov $0xc0010117, %ecx /* VM_HSAVE_PA */
    mov $HOST, %eax
    xor %edx, %edx
    wrmsr
    movl $1 << 24, GUEST + 0x0c
    movl $1, GUEST + 0x10
    movl $1, GUEST + 0x58 /* ASID */
    movl $0x0c930010, GUEST + 0x400
    movl $-1, GUEST + 0x404
    movl $0x0c9b0008, GUEST + 0x410
    movl $-1, GUEST + 0x414
    movl $0x0c930010, GUEST + 0x420
    movl $-1, GUEST + 0x424
    movl $0x0c930010, GUEST + 0x430
    movl $-1, GUEST + 0x434
    movl $0x1000, GUEST + 0x4d0 /* EFER */
    mov %cr4, %ebx
    mov %ebx, GUEST + 0x548
    mov %cr3, %ebx
    mov %ebx, GUEST + 0x550
    mov %cr0, %ebx
    mov %ebx, GUEST + 0x558
    movl $0x400, GUEST + 0x560
    movl $0xffff0ff0, GUEST + 0x568
    movl $2, GUEST + 0x570 /* RFLAGS */
    movl RUNS_AT(9f, guest_svm), GUEST + 0x578
    mov $GUEST, %eax
    vmrun
1:  cmpl $0x78, GUEST + 0x70 /* VMEXIT_HLT */
    jne 1b
    say 'N'
1:  cmpb $0, GO_ON
    je 1b
    mov $0xc0000080, %ecx
    rdmsr
    and $~0x1000, %eax
    wrmsr
    say 'W'
9:  hlt
    jmp 9b
guest_svm_end:

/* VMX. The guest is CPUID, which always exits. A VMCS field that is not
 * written is 0. SDM 3D appendix B */
.macro field encoding, value
    mov $\encoding, %edx
    mov \value, %eax
    vmwrite %eax, %edx
.endm

    .globl guest_vmx, guest_vmx_end
guest_vmx:
    tables
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov $0x18, %eax
    ltr %ax
    ljmp $8, RUNS_AT(1f, guest_vmx)
1:  paging 0x2000 /* VMXE */
    mov $0x3a, %ecx /* IA32_FEATURE_CONTROL: locked, VMXON */
    rdmsr
    test $1, %al
    jnz 1f
    or $5, %eax
    wrmsr
1:  mov $0x480, %ecx /* IA32_VMX_BASIC: the revision */
    rdmsr
    mov %eax, HOST
    mov %eax, GUEST
    movl $HOST, GDT + 0x90
    vmxon GDT + 0x90
    movl $GUEST, GDT + 0x90
    vmclear GDT + 0x90
    vmptrld GDT + 0x90
    mov RUNS_AT(fields, guest_vmx), %esi
1:  lodsl
    mov %eax, %edx
    test %edx, %edx
    jz 2f
    lodsl
    vmwrite %eax, %edx
    jmp 1b
2:  lodsl /* controls: what must be 1 and no more */
    mov %eax, %edi
    test %edi, %edi
    jz 3f
    lodsl
    mov %eax, %ecx
    rdmsr
    vmwrite %eax, %edi
    jmp 2b
3:  field 0x6800, %cr0
    field 0x6c00, %cr0
    field 0x6802, %cr3
    field 0x6c02, %cr3
    field 0x6804, %cr4
    field 0x6c04, %cr4
    field 0x681e, RUNS_AT(8f, guest_vmx)
    field 0x6c16, RUNS_AT(9f, guest_vmx)
    vmlaunch
1:  jmp 1b
8:  cpuid
9:  mov $0x4402, %edx
    vmread %edx, %eax
1:  cmp $10, %eax /* CPUID */
    jne 1b
    say 'N'
1:  cmpb $0, GO_ON
    je 1b
    vmxoff
    say 'W'
9:  hlt
    jmp 9b
fields:
    .long 0x0800, 0x10, 0x0802, 8, 0x0804, 0x10, 0x0806, 0x10, 0x0808, 0x10, 0x080a, 0x10, 0x080e, 0x18 /* guest selectors */
    .long 0x0c00, 0x10, 0x0c02, 8, 0x0c04, 0x10, 0x0c06, 0x10, 0x0c08, 0x10, 0x0c0a, 0x10, 0x0c0c, 0x18 /* host selectors */
    .long 0x2800, -1, 0x2801, -1                                                                     /* VMCS link pointer */
    .long 0x4800, -1, 0x4802, -1, 0x4804, -1, 0x4806, -1, 0x4808, -1, 0x480a, -1, 0x480e, 0x67, 0x4810, 0x1f /* limits */
    .long 0x4814, 0xc093, 0x4816, 0xc09b, 0x4818, 0xc093, 0x481a, 0xc093, 0x481c, 0xc093, 0x481e, 0xc093 /* access rights */
    .long 0x4820, 0x10000, 0x4822, 0x8b, 0x6814, HOST, 0x6816, GDT           /* LDTR unusable, TR, bases of TR and GDTR */
    .long 0x681a, 0x400, 0x681c, STACK, 0x6820, 2                            /* DR7, RSP, RFLAGS */
    .long 0x6c0a, HOST, 0x6c0c, GDT, 0x6c14, STACK, 0                        /* host: bases of TR and GDTR, RSP */
    .long 0x4000, 0x481, 0x4002, 0x482, 0x400c, 0x483, 0x4012, 0x484, 0      /* pin, processor, exit, entry: their MSRs */
guest_vmx_end:

    .section .note.GNU-stack, "", @progbits
