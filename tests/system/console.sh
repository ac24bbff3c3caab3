#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# COM1 and the virtio console share the terminal: both print, and input goes to the one the guest printed to last.
. "$(dirname "$0")/lib.bash"
initramfs "$work/img" -m virtio_pci -m virtio_console <<'I'
echo "hello on hvc0" >/dev/hvc0
read -r x </dev/hvc0; echo "hvc0 got $x"
echo "now on ttyS0"
read -r y; echo "ttyS0 got $y"
I
log=$work/log
: >"$log"
when() { # LINE TEXT: types TEXT once LINE is there
    for _ in $(seq 600); do grep -q "$1" "$log" && break; sleep 0.2; done
    sleep 0.5
    echo "$2"
}
(when "hello on hvc0" one; when "now on ttyS0" two; sleep 2) |
    "$droste" run --engine soft --kernel "$guest/vmlinuz" --initrd "$work/img" --memory 256M --no-reboot --timeout 200 \
        --append "console=ttyS0 quiet" >"$log" 2>"$log.err" || fail "status $?"
expect_line "hvc0 got one" "$log"
expect_line "ttyS0 got two" "$log"
