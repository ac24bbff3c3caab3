#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --icount: Linux to user space, a disk and random numbers, three times, with and without the translator: the same
# console and, about every million instructions, the same state of the processor; at the end of the whole machine.
. "$(dirname "$0")/lib.bash"
initramfs "$work/img" -m virtio_pci -m virtio_blk -m virtio-rng <<'I'
dd if=/dev/zero bs=1M count=2 2>/dev/null | sha256sum
dd if=/dev/hwrng bs=64 count=1 2>/dev/null | sha256sum
dd if=/dev/urandom of=/dev/vda bs=64k count=8 2>/dev/null; sync
dd if=/dev/vda bs=64k count=8 2>/dev/null | sha256sum
cut -d' ' -f1 /proc/uptime; date
(sleep 1; echo "slept") & wait
awk 'BEGIN { for (x = 1; x < 2000; x++) s += sqrt(x) * sin(x); print s }'
echo "user space is up"
I
truncate -s 4M "$work/disk"

# run NAME JIT: the console to $work/NAME, hashes to $work/NAME.hash
run() {
    ENGINE=soft,jit=$2 boot "$work/$1" --icount --trace "hash=$work/$1.hash" --memory 256M --initrd "$work/img" \
        --disk "$work/disk,snapshot=on" --append "console=ttyS0 quiet"
    expect_status 0 "$work/$1"
    expect_line "user space is up" "$work/$1"
}
same() {
    cmp "$work/$1.hash" "$work/$2.hash" >"$work/cmp" || {
        diff "$work/$1.hash" "$work/$2.hash" | sed -n '/^[<>]/p' | head -2
        fail "$1 and $2 differ from the instruction above on (vCPU, instructions retired, state)"
    }
    diff "$work/$1" "$work/$2" || fail "the consoles of $1 and $2 differ"
}
run interpreted off &
first=$!
run translated on
wait $first || fail "the interpreted run failed"
run again on
same interpreted translated
same translated again
[ "$(wc -l <"$work/again.hash")" -gt 100 ] || fail "the hashes are missing"
echo "$(wc -l <"$work/again.hash") states are equal; $(tail -n 1 "$work/again.hash")"
