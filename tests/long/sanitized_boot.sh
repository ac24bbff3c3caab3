#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debian's cloud kernel to user space with the whole of Droste under ASan and UBSan (build/asan, which ./test makes):
# both models, two vCPUs, with and without the translator.
export DROSTE=build/asan/droste BOOT_TIMEOUT=3000
. "$(dirname "$0")/../system/lib.bash"
initramfs "$work/img" -m virtio_pci -m virtio-rng -m virtio_net <<'I'
dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum
echo "user space is up"
I
for jit in off on; do
    for vendor in intel amd; do
        log=$work/$vendor-$jit
        ENGINE=soft,jit=$jit boot "$log" --cpu-vendor $vendor --cpus 2 --memory 512M --net user --initrd "$work/img" --append "console=ttyS0"
        expect_status 0 "$log"
        expect_line "user space is up" "$log"
        refuse_line "runtime error|AddressSanitizer" "$log.err"
    done
done
