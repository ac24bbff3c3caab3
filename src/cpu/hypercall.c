/* SPDX-License-Identifier: MIT */
/*
 * VMMCALL outside nested operation: the KVM hypercall interface with no hypercall in it. Linux
 * Documentation/virt/kvm/x86/hypercalls.rst
 */
#include "cpu/meanings.h"
#include "cpu/system.h"

enum { KVM_EPERM = 1, KVM_ENOSYS = 1000 };

static enum outcome hypercall(struct cpu *c, const struct insn *in)
{
    i64 r = c->cpl ? -KVM_EPERM : -KVM_ENOSYS;
    c->regs[RAX] = c->mode == MODE_64 ? (u64)r : (u32)r;
    return DONE;
}
DEFINE_MEANING_ONE(vmmcall, hypercall);
