/* SPDX-License-Identifier: MIT */
/*
 * SVM with a hostile L1 and L2 (nested_rig.h): every byte of the VMCB, nested and guest page tables,
 * permission maps, before VMRUN and between exits. L1 runs the guest, steps over what left, plays an entry of
 * its script, and runs it again.
 */
#include "nested_rig.h"

#include "cpu/nested/svm.h"

enum { VM_HSAVE_PA = 0xc0010117, FIELDS = 0x700 / 8 };

extern const u8 l1[], l1_recover[], l1_end[];
__asm__(".pushsection .rodata\n.globl l1, l1_recover, l1_end\n.code64\n"
        "l1:\n"
        "    mov $0x20000, %eax; vmload; vmrun; vmsave\n"
        "    push %rbx; push %rcx; push %rsi; push %rdi\n"
        "    mov 0x200c8, %rcx; test %rcx, %rcx; jnz 1f\n" /* nRIP, or a byte further */
        "    mov 0x20578, %rcx; inc %rcx\n"
        "1:  mov %rcx, 0x20578\n"
        "    mov 0x708, %rsi; mov %rsi, %rcx; add $32, %rcx; cmp $0x4000, %rcx; jb 2f; mov $0x3000, %ecx\n"
        "2:  mov %rcx, 0x708\n"
        "    mov (%rsi), %rdi; mov 8(%rsi), %rbx; mov %rbx, (%rdi)\n"
        "    mov 16(%rsi), %rdi; mov 24(%rsi), %rbx; mov %rbx, (%rdi)\n"
        "    mov $0x7800, %eax; call *%rax\n"
        "    pop %rdi; pop %rsi; pop %rcx; pop %rbx\n"
        "    stgi; nop; clgi\n"
        "    jmp l1\n"
        "l1_recover:\n"
        "    mov $0x4800, %esp\n"
        "    jmp l1\n"
        "l1_end:\n.popsection");
_Static_assert(SCRIPT_AT == 0x708 && CONTROL == 0x20000 && SCRIPT == 0x3000 && STACK_L1 == 0x4800 &&
                   EXTRA_L1 == 0x7800 && SCRIPT_ENTRY == 32 && SCRIPT_ENTRIES == 128,
               "L1's code has the addresses by number");
_Static_assert(offsetof(struct vmcb, control.next_rip) == 0xc8 && offsetof(struct vmcb, save.rip) == 0x578,
               "and the VMCB's fields");

static struct vmcb_segment segment(u16 sel, u32 attr, u32 limit, u64 base)
{
    return (struct vmcb_segment){sel, (u16)((attr & 0xff) | (attr >> 12 & 15) << 8), limit, base};
}

static void put_save(struct vmcb_save *v, const struct nested_start *s)
{
    u16 data = s->mode == NESTED_REAL ? 0 : KDATA;
    u32 limit = s->mode == NESTED_REAL ? 0xffff : 0xffffffff;
    v->cs = segment(s->cs, s->cs_attr, limit, 0);
    v->ds = v->es = v->ss = v->fs = v->gs = segment(data, s->data_attr, limit, 0);
    v->tr = segment(TSS_SEL, SEG_P | 11, 0x67, TSS);
    v->ldtr = segment(0, 0, 0, 0);
    v->gdtr = segment(0, 0, 0x7ff, GDT);
    v->idtr = segment(0, 0, (u32)s->idt_limit, s->idt);
    v->efer = s->efer | EFER_SVME;
    v->cr0 = s->cr0;
    v->cr3 = s->cr3;
    v->cr4 = s->cr4;
    v->dr6 = 0xffff0ff0;
    v->dr7 = 0x400;
    v->rflags = s->rflags;
    v->rip = CODE_L2;
    v->rsp = STACK_L2;
    v->rax = DEVICE;
    v->pat = 0x0007040600070406;
}

static void put_intercepts(struct vmcb_control *c, const u8 *h)
{
    for (unsigned i = 0; i < 5; i++) /* each word whole, in part or not at all */
        if (h[4] >> i & 1)
            c->intercept[i] = (u32)load_le(h + 5 + i, 4) & (h[4] & 0x20 ? ~0u : (u32)load_le(h + 9, 4));
    c->intercept[4] |= 1; /* VMRUN: it must be */
    if (h[11] & 2)        /* more often than not, L2 gets on */
        c->intercept[3] &= ~1u;
    if ((h[12] & 0x30) == 0x30) /* virtual NMIs need the NMI intercept. APM 2 15.21.10 */
        c->intercept[3] |= 2;
}

static void control(u8 *ram, const struct nested_start *s)
{
    struct vmcb *v = (struct vmcb *)(ram + CONTROL);
    const u8 *h = s->header;
    for (unsigned i = 0; i < 512; i++)
        store_le(ram + SECOND + 0x3000 + 8 * i, 8, (i << 12 < RAM ? i << 12 : DEVICE) | 7);
    for (unsigned level = 0; level < 3; level++)
        store_le(ram + SECOND + 0x1000 * level, 8, (SECOND + 0x1000 * (level + 1)) | 7);
    if (h[3] & 0x20)
        memset(ram + IO_MAP, 0xff, 0x3000);
    if (h[3] & 0x40)
        memset(ram + MSR_MAP, 0xff, 0x2000);
    for (unsigned i = 0; i < SCRIPT_ENTRIES; i++)
        store_le(ram + SCRIPT + i * SCRIPT_ENTRY, 8, COUNTER + 0x40);
    put_intercepts(&v->control, h);
    v->control.iopm = IO_MAP;
    v->control.msrpm = MSR_MAP;
    v->control.asid = 1;
    v->control.int_ctl = (h[12] & 1 ? VINTR_MASKING : 0) | (h[12] & 2 ? VINTR_GIF_ENABLE | VINTR_GIF : 0) |
                         (h[12] & 4 ? VINTR_IRQ | 0xf << VINTR_PRIO_SHIFT : 0) |
                         (h[12] & 8 ? VINTR_IGN_TPR : 0) | ((h[12] & 0x30) == 0x30 ? VINTR_NMI_ENABLE : 0);
    v->control.int_vector = 0x21;
    v->control.np_enable = h[13] & 1;
    v->control.nested_cr3 = SECOND;
    v->control.virt_ext = h[13] >> 1 & 3;
    v->control.tlb_control = h[13] & 0x80 ? TLB_CONTROL_ALL : 0;
    put_save(&v->save, s);
}

static u64 *field(u8 *ram, unsigned place)
{
    return (u64 *)(ram + CONTROL) + place % FIELDS;
}

static void script(u8 *entry, unsigned place, u64 value)
{
    store_le(entry, 8, CONTROL + 8 * (place % FIELDS));
    store_le(entry + 8, 8, value);
}

/* What L1 does in host mode: VMRUN of another VMCB, VMLOAD, VMSAVE, INVLPGA, STGI, CLGI, SKINIT, ... */
static const char l1_snippets[] =
#include "svm_l1_snippets.def"
    ;

static const char snippets[] =
#include "nested_snippets.def"
#include "svm_snippets.def"
    ;

struct nested_vendor nested_vendor(void)
{
    return (struct nested_vendor){.vendor = VENDOR_AMD,
                                  .control = control,
                                  .field = field,
                                  .script = script,
                                  .code = l1,
                                  .code_len = (size_t)(l1_end - l1),
                                  .recover = CODE_L1 + (u64)(l1_recover - l1),
                                  .efer = EFER_SVME,
                                  .hsave_msr = VM_HSAVE_PA,
                                  .l1_snippets = l1_snippets,
                                  .snippets = snippets};
}
