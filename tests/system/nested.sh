#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Without --nested on, L1 sees no virtualization extensions, on either model. What it does with them: nested_intel.sh,
# nested_amd.sh.
. "$(dirname "$0")/lib.bash"
initramfs "$work/plain.img" <<'I'
grep -wE 'vmx|svm' /proc/cpuinfo && echo "extensions are not hidden"
echo "looked"
I
for vendor in intel amd; do
    boot "$work/plain" --cpu-vendor $vendor --memory 256M --initrd "$work/plain.img" --append "console=ttyS0 quiet"
    expect_line "looked" "$work/plain"
    refuse_line "extensions are not hidden" "$work/plain"
done
