/* SPDX-License-Identifier: MIT */
/*
 * VMCALL and VMMCALL outside nested operation: the KVM hypercall interface with no hypercall in it. And the
 * VMX and SVM instructions of a machine without virtualization extensions. Linux
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
DEFINE_MEANING_ONE(vmcall, hypercall);
DEFINE_MEANING_ONE(vmmcall, hypercall);

static enum outcome absent(struct cpu *c, const struct insn *in)
{
    return fault_ud(c);
}
DEFINE_MEANING_ONE(vmlaunch, absent);
DEFINE_MEANING_ONE(vmresume, absent);
DEFINE_MEANING_ONE(vmxoff, absent);
DEFINE_MEANING_ONE(vmfunc, absent);
DEFINE_MEANING_ONE(vmptrld, absent);
DEFINE_MEANING_ONE(vmclear, absent);
DEFINE_MEANING_ONE(vmxon, absent);
DEFINE_MEANING_ONE(vmptrst, absent);
DEFINE_MEANING_ONE(vmread, absent);
DEFINE_MEANING_ONE(vmwrite, absent);
DEFINE_MEANING_ONE(invept, absent);
DEFINE_MEANING_ONE(invvpid, absent);
DEFINE_MEANING_ONE(vmrun, absent);
DEFINE_MEANING_ONE(vmload, absent);
DEFINE_MEANING_ONE(vmsave, absent);
DEFINE_MEANING_ONE(stgi, absent);
DEFINE_MEANING_ONE(clgi, absent);
DEFINE_MEANING_ONE(skinit, absent);
DEFINE_MEANING_ONE(invlpga, absent);
