/* SPDX-License-Identifier: MIT */
/*
 * VM-entry checks: fields are made wrong, the entry must fail in its way and for that reason, and only then. Between
 * any two of them one succeeds. SDM 3C 26.2, 26.3. Every row of x86/vmx_checks.def is named here; the runner (`checks`)
 * compares it with the row that failed, and wants all of them.
 */
#include "guest.inc"
#include "vmx.inc"

.set row, 1
#define VMX_CHECK(name, text, qualification, more) .set ROW_##name, row; .set QUAL_##name, qualification; .set row, row + 1;
#include "x86/vmx_checks.def"

/* Field, value, field, value, ... */
#define BAD(name, ...) .quad ROW_##name, QUAL_##name, (882f - 881f) / 16; 881: .quad __VA_ARGS__; 882:

#define PROC_BASE  0x84006172 /* with the secondary controls */
#define PROC_TPR   0x84206172
#define EXIT_BASE  0x00036ffb
#define EXIT_32    0x00036dfb
#define ENTRY_BASE 0x000013ff
#define ENTRY_32   0x000011ff
#define CR0_FIELD  0x6800
#define CR4_FIELD  0x6804
#define RFLAGS     0x6820
#define ACTIVITY   0x4826
#define BLOCKING   0x4824
#define TABLE32    0x310000
#define V86_BASES  0x6806, 0x100, 0x6808, 0x80, 0x680a, 0x100, 0x680c, 0x100, 0x680e, 0x100, 0x6810, 0x100
#define V86_REST                                                                                                       \
    0x4800, 0xffff, 0x4802, 0xffff, 0x4804, 0xffff, 0x4806, 0xffff, 0x4808, 0xffff, 0x480a, 0xffff, 0x4814, 0xf3,       \
        0x4816, 0xf3, 0x4818, 0xf3, 0x481a, 0xf3, 0x481c, 0xf3, 0x481e, 0xf3

main64:
    call vmx_setup
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 0)
    CTL(ENTRYC, 0x490, 0x204)
    WANT(1, PROC, PROC_BASE)
    WANT(2, EXITC, EXIT_BASE)
    WANT(3, ENTRYC, ENTRY_BASE)
    RUN(4, 18)
    mov $rows, %r12d
next:
    mov 16(%r12), %r14 /* pairs */
    lea 24(%r12), %r15
    xor %ecx, %ecx
1:  mov (%r15), %rdx /* old values to the stack */
    vmread %rdx, %r13
    jbe bad
    push %r13
    mov 8(%r15), %rax
    vmwrite %rax, %rdx
    jbe bad
    add $16, %r15
    inc %ecx
    cmp %ecx, %r14d
    jne 1b
    mov $8, %ebx
    cmpq $ROW_guest_cr0, (%r12)
    jae 2f
    cmpq $ROW_host_cr0, (%r12)
    jae 1f
    mov $7, %ebx
1:  vmresume
    jnz bad
    VMR(ERROR)
    cmp %rax, %rbx
    jne bad
    jmp 3f
2:  push %rcx
    call vmx_run
    pop %rcx
    cmp $0x80000021, %eax
    jne bad
    VMR(QUAL)
    cmp 8(%r12), %rax
    jne bad
3:  mov (%r12), %al
    out %al, $0xf7
    mov %r15, %rbx
4:  sub $16, %rbx
    mov (%rbx), %rdx
    pop %r13
    vmwrite %r13, %rdx
    dec %r14d
    jnz 4b
    call vmx_run /* all is well again, so the next entry looks at what is written from here on */
    cmp $18, %eax
    jne bad
    mov %r15, %r12
    cmp $rows_end, %r12d
    jb next
    jmp host32
bad:
    mov (%r12), %al
    or $0x80, %al
    out %al, $0xf4
    hlt

guest_code:
    vmcall

/* From a 32-bit host, whose RIP the VMCS holds with a 33rd bit. Paging cannot be left in VMX operation. */
host32:
    VMW(EXITC, EXIT_32)
    VMW(ENTRYC, ENTRY_32)
    VMW(0x6c16, 0x100000000)
    vmxoff
    mov $0x83, %eax
    mov $TABLE32, %edi
    mov $1024, %ecx
1:  mov %eax, (%rdi) /* 4M pages */
    add $0x400000, %eax
    add $4, %edi
    dec %ecx
    jnz 1b
    pushq $KCODE32
    pushq $1f
    lretq
    .code32
1:  mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0
    mov $0xc0000080, %ecx
    rdmsr
    and $~0x100, %eax
    wrmsr
    mov $0x2010, %eax /* VMXE, PSE */
    mov %eax, %cr4
    mov $TABLE32, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    movl $VMXON_REGION, vmx_pointer
    vmxon vmx_pointer
    jbe 2f
    movl $VMCS_REGION, vmx_pointer
    vmptrld vmx_pointer
    jbe 2f
    vmresume
    jnz 2f
    mov $ERROR, %edx
    vmread %edx, %eax
    cmp $8, %eax
    jne 2f
    mov $ROW_host_32, %al
    out %al, $0xf7
    mov $0, %al
    out %al, $0xf4
2:  FAIL(6)
    .code64

    .balign 8
rows:
    BAD(pin, PIN, 0)
    BAD(pin, PIN, 0xffffffff)
    BAD(proc, PROC, 0)
    BAD(proc2, PROC2, 0x40000000)
    BAD(cr3_targets, 0x400a, 5)
    BAD(io_bitmaps, PROC, 0x86006172, 0x2000, 1)
    BAD(io_bitmaps, PROC, 0x86006172, 0x2002, 0x8000000000000000)
    BAD(msr_bitmap, PROC, 0x94006172, 0x2004, 0x800)
    BAD(virtual_apic, PROC, PROC_TPR, 0x2012, 1)
    BAD(threshold, PROC, PROC_TPR, 0x2012, VAPIC, 0x401c, 0x10)
    BAD(threshold_met, PROC, PROC_TPR, 0x2012, VAPIC, 0x401c, 1)
    BAD(apic_without_tpr, PROC2, 0x10)
    BAD(apic_without_tpr, PROC2, 0x100)
    BAD(apic_without_tpr, PIN, 0x17, PROC2, 0x200)
    BAD(virtual_nmi, PIN, 0x36)
    BAD(nmi_window, PROC, 0x84406172)
    BAD(apic_page, PROC2, 1, 0x2014, 1)
    BAD(x2apic, PROC, PROC_TPR, 0x2012, VAPIC, PROC2, 0x11)
    BAD(virtual_interrupts, PROC, PROC_TPR, 0x2012, VAPIC, PROC2, 0x200)
    BAD(posted, PIN, 0x97)
    BAD(posted, PIN, 0x97, PROC, PROC_TPR, 0x2012, VAPIC, PROC2, 0x200)
    BAD(posted_vector, PIN, 0x97, PROC, PROC_TPR, 0x2012, VAPIC, PROC2, 0x200, EXITC, EXIT_BASE + 0x8000, 2, 0x100)
    BAD(posted_descriptor, PIN, 0x97, PROC, PROC_TPR, 0x2012, VAPIC, PROC2, 0x200, EXITC, EXIT_BASE + 0x8000, 0x2016, 32)
    BAD(vpid, PROC2, 0x20)
    BAD(eptp, PROC2, 2)
    BAD(eptp, PROC2, 2, 0x201a, EPT_PML4 + 0x19)
    BAD(pml, PROC2, 0x20000)
    BAD(pml, PROC2, 0x20002, 0x201a, EPT_PML4 + 0x5e, 0x200e, 8)
    BAD(unrestricted, PROC2, 0x80)
    BAD(vm_functions, PROC2, 0x2000, 0x2018, 2)
    BAD(eptp_switching, PROC2, 0x2000, 0x2018, 1)
    BAD(eptp_switching, PROC2, 0x2002, 0x201a, EPT_PML4 + 0x5e, 0x2018, 1, 0x2024, 8)
    BAD(shadowing, PROC2, 0x4000, 0x2026, 1)
    BAD(shadowing, PROC2, 0x4000, 0x2028, 1)
    BAD(exit_controls, EXITC, 0)
    BAD(save_timer, EXITC, EXIT_BASE + 0x400000)
    BAD(exit_store, 0x400e, 1, 0x2006, 1)
    BAD(exit_load, 0x4010, 1, 0x2008, 1)
    BAD(exit_load, 0x4010, 1, 0x2008, 0x8000000000000000)
    BAD(entry_controls, ENTRYC, 0)
    BAD(inject_type, INJECT, 0x80000100)
    BAD(inject_type, INJECT, 0x80000203) /* NMI with vector 3 */
    BAD(inject_type, INJECT, 0x80000320) /* exception 32 */
    BAD(inject_type, INJECT, 0x80001306) /* reserved bit */
    BAD(inject_type, INJECT, 0x80000701) /* MTF with a vector */
    BAD(inject_error, INJECT, 0x8000030d) /* #GP without error code */
    BAD(inject_error, INJECT, 0x80000b06) /* #UD with one */
    BAD(inject_error, INJECT, 0x80000b0d, 0x4018, 0x10000)
    BAD(inject_length, INJECT, 0x80000480, 0x401a, 16)
    BAD(entry_load, 0x4014, 1, 0x200a, 1)
    BAD(host_cr0, 0x6c00, 0x80000001)
    BAD(host_cr0, 0x6c00, 0x180000031)
    BAD(host_cr4, 0x6c04, 0x620)
    BAD(host_cr3, 0x6c02, 0x8000000000000000)
    BAD(host_sysenter, 0x6c10, 0x800000000000)
    BAD(host_sysenter, 0x6c12, 0x800000000000)
    BAD(host_pat, EXITC, EXIT_BASE + 0x80000, 0x2c00, 2)
    BAD(host_efer, EXITC, EXIT_BASE + 0x200000, 0x2c02, 0)
    BAD(host_efer, EXITC, EXIT_BASE + 0x200000, 0x2c02, 0x400)
    BAD(host_selectors, 0x0c00, 0x11)
    BAD(host_selectors, 0x0c06, 0x14)
    BAD(host_cs_tr, 0x0c02, 0)
    BAD(host_cs_tr, 0x0c0c, 0)
    BAD(host_ss, EXITC, EXIT_32, 0x0c04, 0)
    BAD(host_bases, 0x6c06, 0x800000000000)
    BAD(host_bases, 0x6c0a, 0x800000000000)
    BAD(host_bases, 0x6c0e, 0x800000000000)
    BAD(host_size, EXITC, EXIT_32)
    BAD(host_64, 0x6c16, 0x800000000000)
    BAD(host_64, 0x6c04, 0x2600)
    BAD(guest_cr0, CR0_FIELD, 0x80000001)
    BAD(guest_cr0, CR0_FIELD, 0x20)
    BAD(guest_pg, PROC2, 0x82, 0x201a, EPT_PML4 + 0x5e, CR0_FIELD, 0x80000020)
    BAD(guest_cr4, CR4_FIELD, 0x620)
    BAD(guest_debugctl, 0x2802, 0x8000)
    BAD(guest_64, CR4_FIELD, 0x2000)
    BAD(guest_pcide, ENTRYC, ENTRY_32, CR4_FIELD, 0x22620)
    BAD(guest_cr3, 0x6802, 0x8000000000000000)
    BAD(guest_dr7, 0x681a, 0x100000400)
    BAD(guest_sysenter, 0x6824, 0x800000000000)
    BAD(guest_pat, ENTRYC, ENTRY_BASE + 0x4000, 0x2804, 2)
    BAD(guest_efer, ENTRYC, ENTRY_BASE + 0x8000, 0x2806, 0)
    BAD(guest_efer, ENTRYC, ENTRY_BASE + 0x8000, 0x2806, 0x400)
    BAD(tr_sel, 0x080e, 0x44)
    BAD(ldtr_sel, 0x080c, 4, 0x4820, 0x82)
    BAD(ss_sel, 0x0804, 0x13)
    BAD(v86_bases, ENTRYC, ENTRY_32, RFLAGS, 0x20002)
    BAD(seg_bases, 0x6808, 0x100000000)
    BAD(seg_bases, 0x680e, 0x800000000000)
    BAD(v86_limits, ENTRYC, ENTRY_32, RFLAGS, 0x20002, V86_BASES)
    BAD(cs_usable, 0x4816, 0x1a09b)
    BAD(cs_type, 0x4816, 0xa093)
    BAD(ss_type, 0x4818, 0xc091)
    BAD(data_types, 0x481a, 0xc092)
    BAD(seg_s, 0x481a, 0xc083)
    BAD(cs_dpl, 0x4816, 0xa0fb)
    BAD(cs_dpl, 0x4818, 0xc0f3)
    BAD(ss_dpl, 0x4816, 0xa09f, 0x4818, 0xc0f3)
    BAD(data_dpls, 0x0806, 0x13)
    BAD(seg_rest, 0x4816, 0xa01b) /* not present */
    BAD(seg_rest, 0x481a, 0x4093) /* limit without G */
    BAD(cs_db, 0x4816, 0xe09b)
    BAD(tr_ar, 0x4822, 0x89)
    BAD(tr_ar, 0x4822, 0x1008b)
    BAD(ldtr_ar, 0x4820, 0x83)
    BAD(tables, 0x6816, 0x800000000000)
    BAD(tables, 0x4810, 0x10000)
    BAD(rip, RIP, 0x800000000000)
    BAD(rflags, RFLAGS, 0)
    BAD(rflags, RFLAGS, 0x8002)
    BAD(rflags_vm, RFLAGS, 0x20002, V86_BASES, V86_REST)
    BAD(rflags_if, INJECT, 0x80000040)
    BAD(activity, ACTIVITY, 4)
    BAD(activity_dpl, 0x0802, 0x0b, 0x0804, 0x13, 0x4816, 0xa0fb, 0x4818, 0xc0f3, 0x481a, 0xc0f3, 0x4814, 0xc0f3, \
        0x481c, 0xc0f3, 0x481e, 0xc0f3, ACTIVITY, 1)
    BAD(activity_block, ACTIVITY, 1, BLOCKING, 1)
    BAD(activity_inject, ACTIVITY, 1, INJECT, 0x80000306)
    BAD(activity_inject, ACTIVITY, 2, INJECT, 0x80000301)
    BAD(activity_inject, ACTIVITY, 3, INJECT, 0x80000202)
    BAD(block_reserved, BLOCKING, 0x20)
    BAD(block_both, BLOCKING, 3)
    BAD(block_sti, BLOCKING, 1)
    BAD(block_external, RFLAGS, 0x202, INJECT, 0x80000040, BLOCKING, 1)
    BAD(block_nmi, INJECT, 0x80000202, BLOCKING, 2)
    BAD(block_smi, BLOCKING, 4)
    BAD(block_virtual_nmi, PIN, 0x3e, INJECT, 0x80000202, BLOCKING, 8)
    BAD(pending_reserved, 0x6822, 0x10)
    BAD(pending_bs, BLOCKING, 2, 0x6822, 0x4000)
    BAD(pending_bs, BLOCKING, 2, RFLAGS, 0x102)
    BAD(link, 0x2800, 0x1001)
    BAD(link, 0x2800, VMCS_REGION)
    BAD(link, PROC2, 0x4000, 0x2800, VMCS_SPARE) /* not a shadow VMCS */
    BAD(pdptes, ENTRYC, ENTRY_32)
rows_end:
