/* SPDX-License-Identifier: MIT */
/*
 * The decoder's tables, as gen/insn_gen.c writes them: per map and opcode a run of rows, of which the first
 * whose `allow` covers the facts of the instruction at hand is it. A fact is one bit out of each group below;
 * a row allows a set of them, so that one mask test decides prefix, mode, REX.W, VEX.L, ModRM form and digit
 * at once.
 */
#ifndef X86_DECODE_TABLE_H
#define X86_DECODE_TABLE_H

#include "base/types.h"

/* Bit numbers of the groups in decode_row.allow. */
enum {
    FACT_PREFIX = 0, /* 4: none, 66, F3, F2: mandatory prefix as VEX.pp counts */
    FACT_MODE = 4,   /* 3: enum decode_mode */
    FACT_W = 7,      /* 2 */
    FACT_L = 9,      /* 2 */
    FACT_MOD = 11,   /* 2: memory, register */
    FACT_B = 13,     /* 2: REX.B */
    FACT_LOCK = 15,  /* 2 */
    FACT_REG = 17,   /* 8: ModRM.reg */
    FACT_RM = 25,    /* 8: ModRM.rm */
    FACT_END = 33,
};

/* Legacy 0..3 as insn_info.map has them, then VEX 0F, 0F38, 0F3A. */
enum { DECODE_MAPS = 8 };

enum size_class {
    SIZE_V,
    SIZE_BYTE,
    SIZE_WORD,
    SIZE_Y,
    SIZE_NATIVE,
    SIZE_MAX32,
    SIZE_D64,
    SIZE_F64,
    SIZE_MMX,
    SIZE_VECTOR
};

enum imm_kind {
    IMM_NONE,
    IMM_IB,
    IMM_UB,
    IMM_IW,
    IMM_IZ,
    IMM_IV,
    IMM_CB,
    IMM_CZ,
    IMM_AP,
    IMM_MOFFS,
    IMM_ONE,
    IMM_ENTER,
    IMM_IS4
};

/* decode_row.bits */
enum {
    ROW_MODX = 1,      /* ModRM.mod is ignored: a register */
    ROW_G8 = 2,        /* ModRM.reg names an 8-bit register */
    ROW_E8 = 4,        /* ModRM.rm, or the opcode's register, does */
    ROW_OPREG = 8,     /* the opcode's low bits are a register */
    ROW_REG7 = 16,     /* REX.R does not extend reg */
    ROW_RM7 = 32,      /* REX.B does not extend rm */
    ROW_LOCKABLE = 64, /* LOCK needs a memory operand */
    ROW_OWN66 = 128,   /* 66 is part of the opcode */
    ROW_OWNREP = 256,  /* so is F2 or F3 */
    ROW_VVVV = 512,    /* VEX.vvvv is an operand */
    ROW_VSIB = 1024,   /* a vector as index */
    ROW_Y = 2048,      /* has an operand of 4 or 8 bytes: W counts in 64-bit mode only */
    ROW_CR = 4096,     /* reg is a control register */
    ROW_DR = 8192,     /* reg is a debug register */
    ROW_SEG = 16384,   /* without ModRM, the opcode names a segment register */
    ROW_CR8 = 32768,   /* LOCK adds 8 to the control register (APM 3 MOV CRn) */
};

enum implied { IMPLIED_NONE, IMPLIED_X, IMPLIED_Y, IMPLIED_RAX, IMPLIED_RBX, IMPLIED_RDI };

struct decode_row {
    u64 allow;
    u16 id;
    u16 bits;
    u8 size;    /* enum size_class */
    u8 imm;     /* enum imm_kind */
    u8 mem;     /* enum operand_size of the memory operand */
    u8 implied; /* enum implied */
};

struct decode_entry {
    u16 first;
    u8 count;
    u8 modrm; /* a ModRM byte follows */
};

extern const struct decode_row decode_rows[];
extern const struct decode_entry decode_index[DECODE_MAPS][256];

#endif
