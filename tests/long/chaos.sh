#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --icount: L1 with KVM and an L2 in it, both models, interpreted, translated, and with all that the translator keeps
# falling away at random, by several seeds: the same consoles and hashes. usage: chaos.sh [SEEDS]
export BOOT_TIMEOUT=3000
. "$(dirname "$0")/../system/lib.bash"
seeds=${1:-4}
initramfs "$work/l2" <<'I'
dd if=/dev/zero bs=1M count=2 2>/dev/null | sha256sum
awk 'BEGIN { for (x = 1; x < 2000; x++) s += x / 3; print s }'
echo "L2 is up"
I
for vendor in intel amd; do
    initramfs "$work/l1" -m kvm-$vendor -m virtio-rng -l "$droste:/bin/droste" -f "$guest/vmlinuz:/vmlinuz" -f "$work/l2:/l2" <<'I'
droste run --engine kvm --memory 128M --kernel /vmlinuz --initrd /l2 --append "console=ttyS0 quiet" --no-reboot
echo "L2 ended with status $?"
I
    run() { # NAME JIT
        ENGINE=soft,jit=$2 boot "$work/$1" --icount --nested on --cpu-vendor $vendor --memory 512M --initrd "$work/l1" \
            --trace "hash=$work/$1.hash" --append "console=ttyS0 quiet"
        expect_status 0 "$work/$1"
        expect_line "L2 ended with status 0" "$work/$1"
    }
    same() {
        cmp "$work/$1.hash" "$work/interpreted.hash" || fail "$vendor: $1 and interpreted differ"
        diff "$work/$1" "$work/interpreted" || fail "$vendor: the consoles of $1 and interpreted differ"
    }
    run interpreted off
    [ "$(wc -l <"$work/interpreted.hash")" -gt 100 ] || fail "the hashes are missing"
    run translated on
    same translated
    for seed in $(seq "$seeds"); do
        run chaos "chaos:$seed"
        same chaos
        echo "$vendor, seed $seed: $(wc -l <"$work/chaos.hash") states are equal"
    done
done
