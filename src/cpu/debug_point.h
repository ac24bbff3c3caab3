/* SPDX-License-Identifier: MIT */
/* What a debugger outside the machine waits for, and what it met: plain data, shared by all layers. */
#ifndef CPU_DEBUG_POINT_H
#define CPU_DEBUG_POINT_H

#include "base/types.h"

enum debug_kind { DEBUG_NONE, DEBUG_EXECUTE, DEBUG_WRITE, DEBUG_READ, DEBUG_ACCESS };

/* By linear address, in every address space, at every level of virtualization. */
struct debug_point {
    enum debug_kind kind;
    u64 linear, len; /* len: of the watched bytes, at least 1; an EXECUTE point is one address */
};

struct debug_hit {
    enum debug_kind kind; /* DEBUG_NONE: nothing was met */
    u64 linear;           /* of the point */
};

#endif
