/* SPDX-License-Identifier: MIT */
/*
 * One decoded instruction, and the facts of the instruction list.
 *
 * A `struct insn` is position-independent: it depends on the bytes and on the decoding mode only, so it can
 * be cached by physical page. Register operands are given as numbers and as byte offsets into a file of
 * 8-byte registers (register n at 8n, AH CH DH BH at 1, 9, 17, 25), so that an 8-bit operand needs no case
 * distinction.
 */
#ifndef X86_INSN_H
#define X86_INSN_H

#include "base/types.h"

/* General register file: 16 registers, then two that only addressing uses. */
enum gpr {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    REG_RIP,  /* RIP of the next instruction */
    REG_ZERO, /* always 0: no base, no index */
    REG_COUNT
};

enum seg { ES, CS, SS, DS, FS, GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* Decoding mode: what CS.L, CS.D and EFER.LMA make of it. */
enum decode_mode { MODE_16, MODE_32, MODE_64 };

/* struct insn.flags */
enum {
    INSN_MEM = 1,    /* the ModRM (or implied) operand is memory: base, index, scale, disp, seg are valid */
    INSN_LOCK = 2,   /* F0 given and allowed */
    INSN_REP = 4,    /* F3 given (REP/REPE), not consumed as a mandatory prefix */
    INSN_REPNE = 8,  /* F2 given, not consumed as a mandatory prefix */
    INSN_REX = 16,   /* a REX prefix (decides AH..BH against SPL..DIL) */
    INSN_VEX = 32,   /* VEX-encoded */
    INSN_VEX_L = 64, /* VEX.L: 256 bits */
    INSN_W = 128,    /* REX.W or VEX.W */
};

struct insn {
    u16 id;     /* enum insn_id */
    u8 len;     /* bytes, 1..15 */
    u8 size;    /* effective operand size in bytes: 1, 2, 4, 8; 16 or 32 for vectors */
    u8 adsize;  /* effective address size in bytes: 2, 4, 8 */
    u8 flags;   /* INSN_* */
    u8 seg;     /* enum seg of the memory operand, overrides applied */
    u8 modrm;   /* raw byte, 0 when there is none */
    u8 reg;     /* ModRM.reg with REX/VEX.R */
    u8 rm;      /* ModRM.rm with REX/VEX.B; the opcode's register for +r forms; 0 for AL/eAX forms */
    u8 vreg;    /* VEX.vvvv, uninverted */
    u8 reg_off; /* byte offset of GPR `reg` at operand size (for the list's G operands) */
    u8 rm_off;  /* byte offset of GPR `rm` at operand size (for register E and Z operands) */
    u8 base, index, scale; /* registers (REG_RIP, REG_ZERO included) and shift 0..3 */
    u8 opcode;             /* the opcode byte */
    u8 mem_size; /* bytes the memory operand covers; 0: none, or decided when it runs (XSAVE, FXSAVE, strings)
                  */
    i32 disp;
    u64 imm;  /* immediate, sign-extended to 64 bits unless the form says zero-extended; moffs address; branch
                 displacement; far offset */
    u16 imm2; /* far selector; ENTER's level */
};

/* Row attributes (insn_info.attr). */
enum {
    ATTR_BRANCH = 1 << 0, /* may set RIP: ends a block */
    ATTR_END =
        1 << 1, /* changes what decoding or translation depends on (mode, paging, interrupts): ends a block */
    ATTR_FAULT = 1 << 2,    /* may fault other than by its memory operand */
    ATTR_EXIT = 1 << 3,     /* may cause a VM exit in non-root operation */
    ATTR_LOCKABLE = 1 << 4, /* LOCK allowed with a memory destination */
    ATTR_HOST = 1 << 5,     /* meaning: the host's own instruction (cpu/host_insn.c) */
    ATTR_PRIV = 1 << 6,     /* CPL 0 only */
    ATTR_STORE = 1 << 7,    /* writes its memory operand */
    ATTR_LOAD = 1 << 8,     /* reads its memory operand */
    ATTR_X87 = 1 << 9,      /* x87: CR0.EM/TS, #MF rules */
    ATTR_MMX = 1 << 10,     /* MMX registers: x87 rules, tag word changes */
    ATTR_SSE = 1 << 11,     /* legacy SSE: CR0.EM/TS, CR4.OSFXSR */
    ATTR_AVX = 1 << 12,     /* VEX vector: CR4.OSXSAVE, XCR0 */
    ATTR_ALIGN = 1 << 13,   /* memory operand must be aligned to its size (#GP) */
    ATTR_FPEXC = 1 << 14,   /* may raise SIMD floating-point exceptions (MXCSR) */
    ATTR_STRING = 1 << 15,  /* takes REP */
};

/* Operand kinds, in the SDM's letters (2A Appendix A.2). */
enum operand {
    OP_NONE,
    OP_E,
    OP_G,
    OP_M,
    OP_R,
    OP_Z,
    OP_I,
    OP_J,
    OP_A,
    OP_O,
    OP_S,
    OP_C,
    OP_D,
    OP_V,
    OP_W,
    OP_H,
    OP_U,
    OP_L,
    OP_P,
    OP_Q,
    OP_N,
    OP_B,
    OP_ST,
    OP_X,
    OP_Y,
    OP_REG,
    OP_ONE,
    OP_VSIB
};

/* How wide an operand is. SZ_V: operand size 2/4/8; SZ_Z: 2/4/4; SZ_Y: 4/8; SZ_X: 16/32 by VEX.L. */
enum operand_size {
    SZ_NONE,
    SZ_B,
    SZ_W,
    SZ_D,
    SZ_Q,
    SZ_V,
    SZ_Z,
    SZ_Y,
    SZ_DQ,
    SZ_QQ,
    SZ_X,
    SZ_SS,
    SZ_SD,
    SZ_P,
    SZ_T,
    SZ_HALF,
    SZ_QUARTER,
    SZ_EIGHTH,
    SZ_STATE,
    SZ_S, /* GDTR or IDTR image: 6 or 10 */
    SZ_A, /* BOUND's pair: twice the operand size */
    SZ_COUNT
};

enum { ACC_READ = 1, ACC_WRITE = 2 };

struct operand_info {
    u8 kind;   /* enum operand */
    u8 size;   /* enum operand_size */
    u8 access; /* ACC_* */
    u8 arg;    /* OP_REG: the register's number (XMM when size is SZ_DQ); OP_ST: its number, 0xff: ModRM.rm */
};

/* One row of insn.def. */
struct insn_info {
    const char *mnemonic;
    u32 attr; /* ATTR_* */
    u16 gate; /* enum feature; 0: always there */
    u8 map;   /* 0 legacy, 1 0F, 2 0F38, 3 0F3A; +4 for VEX */
    u8 opcode;
    struct operand_info
        op[6]; /* explicit ones in the SDM's order, then implied ones that are not the obvious */
    u32 flags_read, flags_written, flags_undefined; /* RFLAGS bits */
    u8 prefix; /* mandatory prefix: 0, 0x66, 0xf3 or 0xf2 (VEX.pp's meaning for VEX rows) */
};

extern const struct insn_info insn_infos[]; /* by enum insn_id */
extern const unsigned insn_count;

enum decode_result {
    DECODE_OK,
    DECODE_SHORT,   /* more bytes are needed (len < 15) */
    DECODE_UD,      /* no such instruction, or not in this mode: #UD */
    DECODE_TOO_LONG /* over 15 bytes: #GP(0) */
};

/* Pure and total: any bytes, any length. in->len is valid for OK and UD. */
enum decode_result insn_decode(enum decode_mode mode, const u8 *bytes, unsigned len, struct insn *in);

#endif
