#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's cloud kernel to user space from an initramfs: both CPU models, one and two vCPUs, with and without the
# translator; and it warns of nothing that it would not warn of on silicon.
. "$(dirname "$0")/lib.bash"
initramfs "$work/img" -m virtio_pci -m virtio-rng <<'I'
echo "cpus=$(nproc) vendor=$(sed -n 's/^vendor_id.*: //p' /proc/cpuinfo | head -1)"
dmesg -r | sed -n 's/^<[0-4]>/warning: /p'
dd if=/dev/zero bs=1M count=16 2>/dev/null | sha256sum
echo "user space is up"
I
zeros=$(dd if=/dev/zero bs=1M count=16 2>/dev/null | sha256sum)
for jit in off on; do
    for vendor in intel amd; do
        for cpus in 1 2; do
            log=$work/$vendor-$cpus-$jit
            ENGINE=soft,jit=$jit boot "$log" --cpu-vendor $vendor --cpus $cpus --memory 512M --initrd "$work/img" --append "console=ttyS0"
            expect_status 0 "$log"
            expect_line "user space is up" "$log"
            case $vendor in intel) id=GenuineIntel ;; amd) id=AuthenticAMD ;; esac
            expect_line "cpus=$cpus vendor=$id" "$log"
            expect_line "^$zeros" "$log"
            refuse_line "BUG:|WARNING:|Oops|Call Trace|rcu_sched self-detected|soft lockup|firmware bug|Firmware Bug|unchecked MSR" "$log"
            echo "$vendor, $cpus vCPU, jit=$jit: $(grep -c '^warning: ' "$log") kernel messages of level warning or worse:"
            grep '^warning: ' "$log" || true
        done
    done
done
