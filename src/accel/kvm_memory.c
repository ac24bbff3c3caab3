/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM as KVM's memory slots: one a bank. The range of blocks that come and go is cut into pieces of
 * equal size, a slot each, which exists while a block of it is plugged: a slot cannot grow while vCPUs use
 * it. So a guest that breaks virtio's rules reaches unplugged blocks beside plugged ones, which is its own
 * memory, discarded when it is plugged again.
 */
#include <linux/kvm.h>

#include "accel/kvm_parts.h"

#define PIECES_MAX 64
#define PIECE_MIN  (128 * MIB)

static int set_slot(struct accel_vm *vm, unsigned slot, u64 gpa, u64 size)
{
    struct kvm_userspace_memory_region r = {.slot = slot,
                                            .guest_phys_addr = gpa,
                                            .memory_size = size,
                                            .userspace_addr = (u64)space_backing(vm->init.memory, gpa, NULL)};
    return kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

static int add_bank(void *opaque, u64 gpa, u64 size, void *host)
{
    struct accel_vm *vm = opaque;
    return set_slot(vm, vm->slots++, gpa, size);
}

int kvm_add_ram(struct accel_vm *vm)
{
    vm->piece = PIECE_MIN;
    while (vm->piece * PIECES_MAX < vm->init.blocks_size)
        vm->piece *= 2;
    return space_each_ram(vm->init.memory, add_bank, vm);
}

int kvm_blocks_changed(struct accel_vm *vm, u64 gpa, u64 size)
{
    u64 base = vm->init.blocks_base, end = base + vm->init.blocks_size;
    for (u64 i = (gpa - base) / vm->piece; i <= (gpa + size - 1 - base) / vm->piece; i++) {
        u64 at = base + i * vm->piece, len = end - at < vm->piece ? end - at : vm->piece;
        bool wanted = space_plugged(vm->init.memory, at, len);
        if (wanted == (vm->pieces >> i & 1))
            continue;
        if (set_slot(vm, vm->slots + (unsigned)i, at, wanted ? len : 0))
            return -1;
        vm->pieces ^= BIT(i);
    }
    return 0;
}
