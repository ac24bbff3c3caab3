/* SPDX-License-Identifier: MIT */
/* Which host register holds which guest register: see frame.h. H_NONE: it lies in frame.home. */
#ifndef JIT_HOSTMAP_H
#define JIT_HOSTMAP_H

#include "cpu/tlb.h"
#include "jit/emit.h"
#include "jit/frame.h"

static const enum host_reg host_reg_of[16] = {H_RAX,  H_RCX,  H_RDX,  H_RBX,  H_R8,  H_RBP, H_RSI, H_RDI,
                                              H_NONE, H_NONE, H_NONE, H_NONE, H_R12, H_R13, H_R14, H_R15};

#endif
