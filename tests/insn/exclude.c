/* SPDX-License-Identifier: MIT */
/* Everything the oracle does not compare, with the reason. One table; nothing is left out elsewhere. */
#include <cpuid.h>

#include "oracle.h"
#include "insn_ids.h"
#include "x86/features.h"

const char *row_name(unsigned id)
{
    static const char *const names[] = {
#define MEANING_OF(row, meaning) [ID_##row] = #row,
#include "insn_meaning_table.inc"
#undef MEANING_OF
    };
    return names[id];
}

static const struct {
    const char *row; /* a name in insn.def, or its part before an underscore; with "*": any that begins so */
    const char *reason;
} rows[] = {
    {"NONE", "no instruction"},
    {"SYSCALL", "enters the host's kernel"},
    {"SYSENTER", "enters the host's kernel"},
    {"INT", "enters the host's kernel"},
    {"INT1", "the host's kernel turns it into a signal of its own kind"},
    {"INT3", "ends the host's run"},
    {"IRET", "loads segments"},
    {"RETF", "loads segments"},
    {"CALL_Mp", "loads segments"},
    {"JMP_Mp", "loads segments"},
    {"MOV_SwEw", "loads segments; FS is the C library's"},
    {"POP_ES", "loads segments"},
    {"POP_SS", "loads segments"},
    {"POP_DS", "loads segments"},
    {"LES", "loads segments"},
    {"LDS", "loads segments"},
    {"CALL_Ap", "loads segments"},
    {"JMP_Ap", "loads segments"},
    {"INTO", "enters the host's kernel"},
    {"POP_FS", "loads segments; FS is the C library's"},
    {"POP_GS", "loads segments"},
    {"LSS", "loads segments"},
    {"LFS", "loads segments"},
    {"LGS", "loads segments"},
    {"LAR", "reads the host kernel's GDT"},
    {"LSL", "reads the host kernel's GDT"},
    {"VERR", "reads the host kernel's GDT"},
    {"VERW", "reads the host kernel's GDT"},
    {"RDFSBASE", "FS is the C library's"},
    {"WRFSBASE", "FS is the C library's"},
    {"WRGSBASE", "the harness needs GS's base"},
    {"SGDT", "UMIP: the host's kernel emulates it"},
    {"SIDT", "UMIP: the host's kernel emulates it"},
    {"SLDT", "UMIP: the host's kernel emulates it"},
    {"STR", "UMIP: the host's kernel emulates it"},
    {"SMSW", "UMIP: the host's kernel emulates it"},
    {"CPUID", "the model's answers, not the host's"},
    {"RDTSC", "time"},
    {"RDTSCP", "time"},
    {"RDPMC", "the host's counters"},
    {"RDPID", "the host CPU's number"},
    {"RDRAND", "random"},
    {"RDSEED", "random"},
    {"XGETBV", "the host's XCR0 has more bits"},
    {"XSAVE*", "the host's XCR0 has more bits"},
    {"XRSTOR*", "loads what XSAVE left; the host's XCR0 has more bits"},
    {"VMCALL", "leaves the host when that is a virtual machine"},
    {"VMMCALL", "leaves the host when that is a virtual machine"},
    {"VMLAUNCH", "virtualization of the host"},
    {"VMRESUME", "virtualization of the host"},
    {"VMXOFF", "virtualization of the host"},
    {"VMFUNC", "virtualization of the host"},
    {"VMPTRLD", "virtualization of the host"},
    {"VMCLEAR", "virtualization of the host"},
    {"VMXON", "virtualization of the host"},
    {"VMPTRST", "virtualization of the host"},
    {"VMREAD", "virtualization of the host"},
    {"VMWRITE", "virtualization of the host"},
    {"VMRUN", "virtualization of the host"},
    {"VMLOAD", "virtualization of the host"},
    {"VMSAVE", "virtualization of the host"},
    {"INVEPT", "virtualization of the host"},
    {"INVVPID", "virtualization of the host"},
    {"STGI", "virtualization of the host"},
    {"CLGI", "virtualization of the host"},
    {"SKINIT", "virtualization of the host"},
    {"INVLPGA", "virtualization of the host"},
    {"SYSEXIT", "#UD at AMD, #GP at Intel outside CPL 0"},
    {"MONITOR", "not offered"},
    {"MWAIT", "not offered"},
    {"RSM", "vendor's own outside SMM"},
    {"CLAC", "#UD or #GP by vendor outside CPL 0"},
    {"STAC", "#UD or #GP by vendor outside CPL 0"},
    {"FXSAVE", "writes the last x87 instruction's address, which differs"},
    {"FXSAVE64", "writes the last x87 instruction's address, which differs"},
    {"FNSTENV", "writes the last x87 instruction's address, which differs"},
    {"FNSAVE", "writes the last x87 instruction's address, which differs"},
    {"VLDMXCSR", "AMD's MXCSR has a bit 17 that our models do not offer"},
    {"LDMXCSR", "AMD's MXCSR has a bit 17 that our models do not offer"},
    {"MASKMOVQ", "AMD enters MMX state even when the store faults"},
};

static bool matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    if (pattern[n - 1] == '*')
        return !strncmp(pattern, name, n - 1);
    return !strncmp(pattern, name, n) && (name[n] == 0 || name[n] == '_');
}

bool host_has(unsigned feature)
{
    const struct feature_info *f = &feature_infos[feature];
    u32 r[4];
    if (feature == FEAT_NONE)
        return true;
    if (f->need == NEED_NESTED || !__get_cpuid_count(f->leaf, f->subleaf, &r[0], &r[1], &r[2], &r[3]))
        return false;
    return r[f->reg] >> f->bit & 1;
}

const char *excluded_row(unsigned id)
{
    const struct insn_info *info = &insn_infos[id];
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (matches(rows[i].row, row_name(id)))
            return rows[i].reason;
    }
    return host_has(info->gate) ? NULL : "the host does not have it";
}

/* VEX.W, which in->flags has only where it counts. */
static bool has_vex_w(const struct insn_case *t)
{
    const u8 *p = memchr(t->bytes, 0xc4, t->in.len < 2 ? 0 : t->in.len - 2u);
    return p && p[2] & 0x80;
}

static bool has_prefix(const struct insn_case *t, u8 byte)
{
    for (const u8 *p = t->bytes; p < t->bytes + t->in.len; p++) {
        if (*p == byte)
            return true;
        if (!strchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", *p) && (*p & 0xf0) != 0x40)
            return false;
    }
    return false;
}

const char *excluded_insn(const struct insn_case *t)
{
    const struct insn *in = &t->in;
    const struct insn_info *info = &insn_infos[in->id];
    if (t->mode == MODE_64 && info->attr & ATTR_BRANCH && has_prefix(t, 0x66))
        return "near branches with 66: AMD takes 16 bits, Intel (and we) 64";
    if (info->op[0].kind == OP_J && (has_prefix(t, 0xf2) || has_prefix(t, 0xf3)))
        return "LOOPE and LOOPNE with REP or REPNE: reserved, AMD's take the prefix for the condition";
    if (!strcmp(row_name(in->id), "MOVSXD") && in->size == 2 && in->flags & INSN_MEM)
        return "16-bit MOVSXD from memory: AMD reads four bytes, Intel two";
    if (t->mode == MODE_32 && has_vex_w(t) &&
        (!strcmp(row_name(in->id), "VPEXTRD") || !strcmp(row_name(in->id), "VPINSRD")))
        return "VEX.W1 outside 64-bit mode: #UD at AMD, ignored at Intel";
    if (!strcmp(row_name(in->id), "PREFETCHW") && !(in->flags & INSN_MEM))
        return "register form: #UD at AMD, NOP at Intel";
    if (t->mode != MODE_64 && (!strcmp(row_name(in->id), "VPEXTRD") || !strcmp(row_name(in->id), "VPINSRD")))
        return "VEX.W outside 64-bit mode: #UD at AMD, ignored at Intel (and here)";
    if (info->gate == FEAT_SHA && in->flags & INSN_MEM)
        return "AMD does not check the operand's alignment, the SDM (and we) do";
    if (in->seg == FS && (in->flags & INSN_MEM || info->attr & ATTR_STRING || !in->modrm))
        return "FS is the C library's";
    if (in->seg == GS && t->mode == MODE_32)
        return "GS is a null selector";
    return NULL;
}

u64 excluded_flags(const struct insn_case *t)
{
    return 0;
}

bool excluded_address(const struct insn_case *t)
{
    /* Which of two unmapped operands is reported is nobody's promise; AMD's REP CMPSB and CMPSD differ. */
    if (!strncmp(row_name(t->in.id), "CMPS_", 5))
        return true;
    /* Nor which byte of a large operand is tried first: AMD's loads of x87 state begin with the last. */
    static const char *const large[] = {"FLDENV", "FRSTOR", "FXRSTOR"};
    for (unsigned i = 0; i < ARRAY_SIZE(large); i++)
        if (matches(large[i], row_name(t->in.id)))
            return true;
    return false;
}
