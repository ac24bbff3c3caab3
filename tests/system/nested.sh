#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Droste inside Droste, on both vendors: L1, with virtualization extensions exposed, loads Debian's KVM and runs this
# very program with engine kvm, which boots L2. And without --nested on, L1 sees no extensions.
. "$(dirname "$0")/lib.bash"
cat >"$work/l2.sh" <<'I'
echo "L2: $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum | cut -c1-16)"
grep -qwE 'vmx|svm' /proc/cpuinfo && echo "L2 sees extensions"
echo "greetings from L2"
I
tools/mkinitramfs -o "$work/l2.img" -i "$work/l2.sh"
zeros=$(dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum | cut -c1-16)
for vendor in intel amd; do
    cat >"$work/l1.sh" <<'I'
ls -l /dev/kvm && grep -qwE 'vmx|svm' /proc/cpuinfo && echo "L1 sees extensions"
droste run --engine kvm --memory 256M --kernel /vmlinuz --initrd /l2.img --append "console=ttyS0 quiet" --no-reboot --timeout 200
echo "L2 ended with status $?"
I
    tools/mkinitramfs -o "$work/l1.img" -k "$guest/modules" -m kvm-$vendor -m virtio-rng -l "$droste:/bin/droste" \
        -f "$guest/vmlinuz:/vmlinuz" -f "$work/l2.img:/l2.img" -i "$work/l1.sh"
    log=$work/$vendor
    boot "$log" --cpu-vendor $vendor --nested on --memory 1G --initrd "$work/l1.img" --append "console=ttyS0 quiet"
    expect_line "L1 sees extensions" "$log"
    expect_line "L2: .*, $zeros" "$log"
    expect_line "greetings from L2" "$log"
    expect_line "L2 ended with status 0" "$log"
    expect_status 0 "$log"
    refuse_line "BUG:|WARNING:|Oops|Call Trace" "$log"
done
initramfs "$work/plain.img" <<'I'
grep -wE 'vmx|svm' /proc/cpuinfo && echo "extensions are not hidden"
echo "looked"
I
for vendor in intel amd; do
    boot "$work/plain" --cpu-vendor $vendor --memory 256M --initrd "$work/plain.img" --append "console=ttyS0 quiet"
    expect_line "looked" "$work/plain"
    refuse_line "extensions are not hidden" "$work/plain"
done
