/* SPDX-License-Identifier: MIT */
/* VM-entry checks: one field at a time is made wrong; the entry must fail in its way and only then. SDM 3C 26.2, 26.3 */
#include "guest.inc"
#include "vmx.inc"

/* 7 and 8: VMfail; 33: entry failure with the qualification. */
#define ROW(field, value, how, qualification) .quad field, value, how, qualification

main64:
    call vmx_setup
    CTL(PROC, 0x48e, 0x80000000)
    CTL(PROC2, 0x48b, 0)
    CTL(ENTRYC, 0x490, 0x204)
    RUN(1, 18)
    mov $rows, %r12d
1:  mov (%r12), %rdx
    vmread %rdx, %r13
    jbe bad
    mov 8(%r12), %rax
    vmwrite %rax, %rdx
    jbe bad
    cmpq $33, 16(%r12)
    je 2f
    vmresume
    jnz bad
    VMR(ERROR)
    cmp 16(%r12), %rax
    jne bad
    jmp 3f
2:  call vmx_run
    cmp $0x80000021, %eax
    jne bad
    VMR(QUAL)
    cmp 24(%r12), %rax
    jne bad
3:  mov (%r12), %rdx
    vmwrite %r13, %rdx
    add $32, %r12
    cmp $rows_end, %r12d
    jb 1b
    /* Undone, all is well again. */
    RUN(2, 18)
    PASS
bad:
    mov %r12, %rax
    sub $rows, %rax
    shr $5, %eax
    add $10, %eax
    out %al, $0xf4
    hlt

guest_code:
    vmcall

    .balign 8
rows:
    /* controls */
    ROW(PIN, 0, 7, 0)
    ROW(PIN, 0xffffffff, 7, 0)
    ROW(PIN, 0x36, 7, 0)        /* virtual NMIs alone */
    ROW(PROC, 0, 7, 0)
    ROW(PROC, 0x84406172, 7, 0) /* NMI window alone */
    ROW(PROC2, 0x40000000, 7, 0)
    ROW(PROC2, 0x20, 7, 0)      /* VPID 0 */
    ROW(PROC2, 0x80, 7, 0)      /* unrestricted without EPT */
    ROW(PROC2, 2, 7, 0)         /* EPTP 0 */
    ROW(0x400a, 5, 7, 0)
    ROW(EXITC, 0, 7, 0)
    ROW(EXITC, 0x436ffb, 7, 0)  /* timer saved, not active */
    ROW(ENTRYC, 0, 7, 0)
    ROW(INJECT, 0x80000100, 7, 0) /* type 1 */
    ROW(INJECT, 0x80000203, 7, 0) /* NMI with vector 3 */
    ROW(INJECT, 0x80000320, 7, 0) /* exception 32 */
    ROW(INJECT, 0x8000030d, 7, 0) /* #GP without error code */
    ROW(INJECT, 0x80000b06, 7, 0) /* #UD with one */
    ROW(INJECT, 0x80001306, 7, 0) /* reserved bit */
    /* host state */
    ROW(0x6c00, 0x80000001, 8, 0)
    ROW(0x6c04, 0x620, 8, 0)
    ROW(0x6c02, 0x8000000000000000, 8, 0)
    ROW(0x6c10, 0x800000000000, 8, 0)
    ROW(0x6c12, 0x800000000000, 8, 0)
    ROW(0x0c00, 0x11, 8, 0)
    ROW(0x0c02, 0, 8, 0)
    ROW(0x0c0c, 0, 8, 0)
    ROW(0x6c06, 0x800000000000, 8, 0)
    ROW(0x6c0a, 0x800000000000, 8, 0)
    ROW(0x6c0e, 0x800000000000, 8, 0)
    ROW(0x6c16, 0x800000000000, 8, 0)
    /* guest state */
    ROW(0x6800, 0x80000001, 33, 0)
    ROW(0x6800, 0x20, 33, 0)
    ROW(0x6804, 0x620, 33, 0)
    ROW(0x6804, 0x2000, 33, 0)  /* 64-bit without PAE */
    ROW(0x6802, 0x8000000000000000, 33, 0)
    ROW(0x681a, 0x100000400, 33, 0)
    ROW(0x2802, 0x8000, 33, 0)
    ROW(0x6824, 0x800000000000, 33, 0)
    ROW(0x080e, 0x44, 33, 0)
    ROW(0x0804, 0x13, 33, 0)
    ROW(0x6808, 0x100000000, 33, 0)
    ROW(0x680e, 0x800000000000, 33, 0)
    ROW(0x4816, 0x1a09b, 33, 0)
    ROW(0x4816, 0xa093, 33, 0)
    ROW(0x4816, 0xe09b, 33, 0)  /* L and D */
    ROW(0x4816, 0xa01b, 33, 0)  /* not present */
    ROW(0x4816, 0xa0fb, 33, 0)  /* DPL 3 */
    ROW(0x4818, 0xc091, 33, 0)
    ROW(0x4818, 0xc0f3, 33, 0)
    ROW(0x481a, 0xc092, 33, 0)
    ROW(0x481a, 0xc083, 33, 0)
    ROW(0x481a, 0x4093, 33, 0)  /* limit without G */
    ROW(0x4822, 0x89, 33, 0)
    ROW(0x4822, 0x1008b, 33, 0)
    ROW(0x4820, 0x83, 33, 0)
    ROW(0x6816, 0x800000000000, 33, 0)
    ROW(0x4810, 0x10000, 33, 0)
    ROW(RIP, 0x800000000000, 33, 0)
    ROW(0x6820, 0, 33, 0)
    ROW(0x6820, 0x8002, 33, 0)
    ROW(0x6820, 0x20002, 33, 0)
    ROW(INJECT, 0x80000040, 33, 0) /* with IF 0 */
    ROW(0x4826, 2, 33, 0)
    ROW(0x4824, 0x20, 33, 0)
    ROW(0x4824, 3, 33, 0)
    ROW(0x4824, 1, 33, 0)       /* STI with IF 0 */
    ROW(0x4824, 4, 33, 0)
    ROW(0x6822, 0x10, 33, 0)
    ROW(0x2800, 0x1001, 33, 4)
    ROW(0x2800, VMCS_REGION, 33, 4)
rows_end:
