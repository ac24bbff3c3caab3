/* SPDX-License-Identifier: MIT */
/*
 * VMX with a hostile L1 and L2 (nested_rig.h): every VMCS field, EPT and guest page tables, bitmaps, MSR
 * areas, the virtual-APIC page, before the entry and between exits. L1 enters, steps over what left, plays an
 * entry of its script, and enters again.
 */
#include "nested_rig.h"

#include "cpu/nested/vmx.h"

#define POINTER_AT   "0x710"
#define SCRIPT_AT_AT "0x708"

extern const u8 l1[], l1_exit[], l1_recover[], l1_end[];
__asm__(".pushsection .rodata\n.globl l1, l1_exit, l1_recover, l1_end\n.code64\n"
        "l1:\n"
        "    vmxon " POINTER_AT "\n"
        "    movq $0x20000, " POINTER_AT "\n"
        "    vmptrld " POINTER_AT "\n"
        "    vmlaunch\n"
        "l1_exit:\n"
        "    push %rax; push %rbx; push %rcx; push %rdx; push %rsi; push %rdi\n"
        "    mov $0x440c, %eax; vmread %rax, %rcx\n" /* the instruction's length, or 1 */
        "    cmp $1, %rcx; adc $0, %rcx\n"
        "    mov $0x681e, %eax; vmread %rax, %rdx; add %rcx, %rdx; vmwrite %rdx, %rax\n"
        "    mov " SCRIPT_AT_AT ", %rsi\n"
        "    mov (%rsi), %rax; mov 8(%rsi), %rbx\n"
        "    dec %rax; js 1f; vmwrite %rbx, %rax\n"
        "1:  mov 16(%rsi), %rdi; mov 24(%rsi), %rbx; mov %rbx, (%rdi)\n"
        "    add $32, %rsi; cmp $0x4000, %rsi; jb 2f; mov $0x3000, %esi\n"
        "2:  mov %rsi, " SCRIPT_AT_AT "\n"
        "    mov $0x7800, %eax; call *%rax\n"
        "    pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rbx; pop %rax\n"
        "    vmresume\n"
        "    vmlaunch\n"
        "    jmp l1_exit\n"
        "l1_recover:\n"
        "    mov $0x4800, %esp\n"
        "    jmp l1_exit\n"
        "l1_end:\n.popsection");
_Static_assert(POINTER == 0x710 && SCRIPT_AT == 0x708 && CONTROL == 0x20000 && SCRIPT == 0x3000 &&
                   STACK_L1 == 0x4800 && EXTRA_L1 == 0x7800 && SCRIPT_ENTRY == 32 && SCRIPT_ENTRIES == 128,
               "L1's code has the addresses by number");

static const u32 encodings[VMCS_FIELDS] = {
#define VMCS_FIELD(name, encoding, group) encoding,
#include "x86/vmcs.def"
#undef VMCS_FIELD
};

static struct vmcs *vmcs_of(u8 *ram)
{
    return (struct vmcs *)(ram + CONTROL);
}

static void put_segment(struct vmcs *v, int sel, int base, int limit, int ar, u16 s, u64 b, u32 l, u32 a)
{
    v->f[sel] = s;
    v->f[base] = b;
    v->f[limit] = l;
    v->f[ar] = a;
}
#define SEGMENT(v, name, ...)                                                                                \
    put_segment(v, VMCS_##name##_SEL, VMCS_##name##_BASE, VMCS_##name##_LIMIT, VMCS_##name##_AR, __VA_ARGS__)

static void put_guest(struct vmcs *v, const struct nested_start *s)
{
    u16 data = s->mode == NESTED_REAL ? 0 : KDATA;
    u32 limit = s->mode == NESTED_REAL ? 0xffff : 0xffffffff;
    SEGMENT(v, CS, s->cs, 0, limit, s->cs_attr);
    SEGMENT(v, DS, data, 0, limit, s->data_attr);
    SEGMENT(v, ES, data, 0, limit, s->data_attr);
    SEGMENT(v, SS, data, 0, limit, s->data_attr);
    SEGMENT(v, FS, data, 0, limit, s->data_attr);
    SEGMENT(v, GS, data, 0, limit, s->data_attr);
    SEGMENT(v, TR, TSS_SEL, TSS, 0x67, SEG_P | 11);
    v->f[VMCS_LDTR_AR] = SEG_UNUSABLE;
    v->f[VMCS_GDTR_BASE] = GDT;
    v->f[VMCS_GDTR_LIMIT] = 0x7ff;
    v->f[VMCS_IDTR_BASE] = s->idt;
    v->f[VMCS_IDTR_LIMIT] = s->idt_limit;
    v->f[VMCS_CR0] = v->f[VMCS_CR0_SHADOW] = s->cr0;
    v->f[VMCS_CR3] = s->cr3;
    v->f[VMCS_CR4] = s->cr4 | CR4_VMXE;
    v->f[VMCS_CR4_SHADOW] = s->cr4;
    v->f[VMCS_EFER] = s->efer;
    v->f[VMCS_PAT] = 0x0007040600070406;
    v->f[VMCS_DR7] = 0x400;
    v->f[VMCS_RFLAGS] = s->rflags;
    v->f[VMCS_RIP] = CODE_L2;
    v->f[VMCS_RSP] = STACK_L2;
    v->f[VMCS_LINK] = ~0ull;
    v->f[VMCS_PDPTE0] = v->f[VMCS_PDPTE3] = TABLES_L2 + 0x2001;
}

static void put_host(struct vmcs *v)
{
    v->f[VMCS_HOST_CS_SEL] = KCODE;
    for (int f = VMCS_HOST_SS_SEL; f <= VMCS_HOST_GS_SEL; f++)
        v->f[f] = KDATA;
    v->f[VMCS_HOST_ES_SEL] = KDATA;
    v->f[VMCS_HOST_TR_SEL] = TSS_SEL;
    v->f[VMCS_HOST_TR_BASE] = TSS;
    v->f[VMCS_HOST_GDTR_BASE] = GDT;
    v->f[VMCS_HOST_IDTR_BASE] = IDT_L1;
    v->f[VMCS_HOST_CR0] = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_WP;
    v->f[VMCS_HOST_CR3] = TABLES_L1;
    v->f[VMCS_HOST_CR4] = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | CR4_VMXE;
    v->f[VMCS_HOST_EFER] = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    v->f[VMCS_HOST_PAT] = 0x0007040600070406;
    v->f[VMCS_HOST_RSP] = STACK_L1;
    v->f[VMCS_HOST_RIP] = CODE_L1 + (u64)(l1_exit - l1);
}

static bool has(u32 controls, unsigned bit)
{
    return controls >> bit & 1;
}

/* Secondary controls of which each has what it needs. SDM 3C 26.2.1.1 */
static u32 secondary(const struct nested_start *s, u32 pin, u32 proc)
{
    const u32 apic =
        1u << PROC2_APIC_REGISTERS_BIT | 1u << PROC2_X2APIC_BIT | 1u << PROC2_VIRTUAL_INTERRUPTS_BIT;
    u32 c = (u32)load_le(s->header + 9, 2) | (u32)load_le(s->header + 10, 2) << 16;
    if (s->mode >= NESTED_PROTECTED)
        c |= 1u << PROC2_UNRESTRICTED_BIT;
    if (has(c, PROC2_UNRESTRICTED_BIT) || has(c, PROC2_PML_BIT) || has(c, PROC2_VM_FUNCTIONS_BIT))
        c |= 1u << PROC2_EPT_BIT;
    if (!has(proc, PROC_TPR_SHADOW_BIT))
        c &= ~apic;
    if (has(c, PROC2_X2APIC_BIT))
        c &= ~(1u << PROC2_APIC_ACCESSES_BIT);
    if (!has(pin, PIN_EXTERNAL_INTERRUPT_BIT))
        c &= ~(1u << PROC2_VIRTUAL_INTERRUPTS_BIT);
    return c;
}

/* Any combination of what is offered that is allowed. SDM 3C 26.2.1 */
static void put_controls(struct vmcs *v, const struct nested_start *s)
{
    const u8 *h = s->header;
    u32 pin = h[4], proc = (u32)load_le(h + 5, 4), entry = (u32)load_le(h + 12, 4), exit = entry >> 9;
    if (!has(pin, PIN_NMI_BIT))
        pin &= ~(1u << PIN_VIRTUAL_NMI_BIT);
    if (!has(pin, PIN_VIRTUAL_NMI_BIT))
        proc &= ~(1u << PROC_NMI_WINDOW_BIT);
    if (h[11] & 2) /* more often than not, L2 gets on */
        proc &= ~(1u << PROC_INTERRUPT_WINDOW_BIT | 1u << PROC_NMI_WINDOW_BIT | 1u << PROC_TRAP_FLAG_BIT);
    u32 proc2 = secondary(s, pin, proc);
    if (!has(proc2, PROC2_VIRTUAL_INTERRUPTS_BIT))
        pin &= ~(1u << PIN_POSTED_INTERRUPTS_BIT);
    entry = s->mode == NESTED_LONG ? entry | 1u << ENTRY_GUEST_64_BIT : entry & ~(1u << ENTRY_GUEST_64_BIT);
    if (!has(pin, PIN_TIMER_BIT))
        exit &= ~(1u << EXIT_SAVE_TIMER_BIT);
    if (has(pin, PIN_POSTED_INTERRUPTS_BIT))
        exit |= 1u << EXIT_ACKNOWLEDGE_BIT;
    v->f[VMCS_PIN] = (pin & vmx_may_be_1(VMCS_PIN)) | vmx_must_be_1(VMCS_PIN);
    v->f[VMCS_PROC] =
        ((proc | 1u << PROC_SECONDARY_BIT) & vmx_may_be_1(VMCS_PROC)) | vmx_must_be_1(VMCS_PROC);
    v->f[VMCS_PROC2] = proc2 & vmx_may_be_1(VMCS_PROC2);
    v->f[VMCS_ENTRY] = (entry & vmx_may_be_1(VMCS_ENTRY)) | vmx_must_be_1(VMCS_ENTRY);
    v->f[VMCS_EXIT] = ((exit | 1u << EXIT_HOST_64_BIT) & vmx_may_be_1(VMCS_EXIT)) | vmx_must_be_1(VMCS_EXIT);
}

static void put_addresses(u8 *ram, struct vmcs *v, const u8 *h)
{
    static const u32 msr[] = {0xc0000081, 0xc0000102, 0x277, 0xc0000084};
    v->f[VMCS_IO_BITMAP_A] = IO_MAP;
    v->f[VMCS_IO_BITMAP_B] = IO_MAP + 0x1000;
    v->f[VMCS_MSR_BITMAP] = MSR_MAP;
    v->f[VMCS_VIRTUAL_APIC] = VAPIC;
    v->f[VMCS_APIC_ACCESS] = APIC_PAGE;
    v->f[VMCS_EPTP] = SECOND | 6 | 3 << 3 | (h[11] & 4 ? 1 << 6 : 0);
    v->f[VMCS_VPID] = 1;
    v->f[VMCS_POSTED_VECTOR] = 40;
    v->f[VMCS_POSTED_DESCRIPTOR] = MORE;
    v->f[VMCS_VM_FUNCTIONS] = h[9] & 1;
    v->f[VMCS_EPTP_LIST] = MORE + 0x1000;
    store_le(ram + MORE + 0x1000, 8, v->f[VMCS_EPTP]);
    store_le(ram + MORE + 0x1008, 8, v->f[VMCS_EPTP] ^ 1 << 6);
    v->f[VMCS_VMREAD_BITMAP] = h[9] & 2 ? MSR_MAP : MORE + 0x2000;
    v->f[VMCS_VMWRITE_BITMAP] = h[9] & 4 ? MSR_MAP : MORE + 0x2000;
    v->f[VMCS_LINK] = ctl2(v, SHADOWING) ? CONTROL_2 : ~0ull;
    store_le(ram + CONTROL_2, 4, VMCS_REVISION | (ctl2(v, SHADOWING) ? 1u << 31 : 0));
    v->f[VMCS_PML_ADDRESS] = MORE + 0x3000;
    v->f[VMCS_PML_INDEX] = h[10] & 3;
    v->f[VMCS_TSC_MULTIPLIER] = 1ull << 48;
    v->f[VMCS_INTERRUPT_STATUS] = h[9] & 16 ? 0x31 : 0;
    v->f[VMCS_EXIT_MSR_STORE] = MSR_AREA;
    v->f[VMCS_EXIT_MSR_LOAD] = MSR_AREA + 0x400;
    v->f[VMCS_ENTRY_MSR_LOAD] = MSR_AREA + 0x800;
    v->f[VMCS_EXIT_MSR_STORE_COUNT] = h[11] >> 3 & 3;
    v->f[VMCS_EXIT_MSR_LOAD_COUNT] = h[11] >> 5 & 3;
    v->f[VMCS_ENTRY_MSR_LOAD_COUNT] = h[2] >> 6;
    for (unsigned area = 0; area < 3; area++)
        for (unsigned i = 0; i < 4; i++) {
            store_le(ram + MSR_AREA + 0x400 * area + 16 * i, 4, msr[i]);
            store_le(ram + MSR_AREA + 0x400 * area + 16 * i + 8, 8, msr[i] == 0x277 ? 0x0007040600070406 : 8);
        }
}

static void control(u8 *ram, const struct nested_start *s)
{
    struct vmcs *v = vmcs_of(ram);
    v->revision = VMCS_REVISION;
    store_le(ram + REGION, 4, VMCS_REVISION);
    store_le(ram + POINTER, 8, REGION);
    store_le(ram + POINTER + 8, 8, CONTROL_2);
    store_le(ram + POINTER + 16, 8, REGION);
    for (unsigned i = 0; i < 512; i++) /* read, write, execute; write-back */
        store_le(ram + SECOND + 0x3000 + 8 * i, 8, (i << 12 < RAM ? i << 12 : DEVICE) | 7 | 6 << 3);
    for (unsigned level = 0; level < 3; level++)
        store_le(ram + SECOND + 0x1000 * level, 8, (SECOND + 0x1000 * (level + 1)) | 7);
    if (s->header[3] & 0x20)
        memset(ram + IO_MAP, 0xff, 0x2000);
    if (s->header[3] & 0x40)
        memset(ram + MSR_MAP, 0xff, 0x1000);
    put_guest(v, s);
    put_host(v);
    put_controls(v, s);
    put_addresses(ram, v, s->header);
    v->f[VMCS_EXCEPTIONS] = s->header[3] & 0x80 ? load_le(s->header + 8, 4) : 0;
    v->f[VMCS_TIMER] = 20;
}

static u64 *field(u8 *ram, unsigned place)
{
    return &vmcs_of(ram)->f[place % VMCS_FIELDS];
}

/* VMWRITE of a field, sometimes of an encoding that is none. */
static void script(u8 *entry, unsigned place, u64 value)
{
    store_le(entry, 8, (place & 0xf000 ? encodings[place % VMCS_FIELDS] : place) + 1u);
    store_le(entry + 8, 8, value);
}

/* What L1 does in root operation: VMCLEAR, VMPTRLD, VMPTRST, VMXOFF, VMXON, VMCALL, INVEPT, INVVPID, ... */
static const char l1_snippets[] =
#include "vmx_l1_snippets.def"
    ;

static const char snippets[] =
#include "nested_snippets.def"
#include "vmx_snippets.def"
    ;

struct nested_vendor nested_vendor(void)
{
    return (struct nested_vendor){.vendor = VENDOR_INTEL,
                                  .control = control,
                                  .field = field,
                                  .script = script,
                                  .code = l1,
                                  .code_len = (size_t)(l1_end - l1),
                                  .recover = CODE_L1 + (u64)(l1_recover - l1),
                                  .cr4 = CR4_VMXE,
                                  .l1_snippets = l1_snippets,
                                  .snippets = snippets};
}
