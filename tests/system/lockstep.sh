#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --icount: Linux to user space, a disk and random numbers, four times, with and without the translator, and once with
# all that it keeps falling away at random (jit=chaos): the same console and, about every million instructions, the same
# state of the processor; at the end of the whole machine.
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
    ENGINE=soft,jit=$2 boot "$work/$1" --icount --trace "hash=$work/$1.hash" --trace "stats=$work/$1.json" \
        --memory 256M --initrd "$work/img" \
        --disk "$work/disk,snapshot=on" --append "console=ttyS0 quiet"
    expect_status 0 "$work/$1"
    expect_line "user space is up" "$work/$1"
}
same() {
    cmp "$work/$1.hash" "$work/$2.hash" >"$work/cmp" || {
        line=$(sed -n 's/.* line \([0-9]*\)$/\1/p' "$work/cmp")
        sed -sn "${line:-$}p" "$work/$1.hash" "$work/$2.hash"
        fail "$1 and $2 differ; above, the first difference: vCPU, instructions retired, hash"
    }
    diff "$work/$1" "$work/$2" || fail "the consoles of $1 and $2 differ"
}
run interpreted off &
first=$!
run translated on
wait $first || fail "the interpreted run failed"
run again on
run chaos chaos
same interpreted translated
same translated again
same translated chaos
retired=$(sed -n 's/^end \([0-9]*\) .*/\1/p' "$work/again.hash")
expect_line "\"retired\": $retired, \"cpu_ns\": [1-9]" "$work/again.json"
expect_line '"translated": [1-9].*"native": [1-9]' "$work/again.json"
expect_line '"translated": 0,' "$work/interpreted.json"
expect_line '"evictions": [1-9][0-9]' "$work/chaos.json"
[ "$(wc -l <"$work/again.hash")" -gt 100 ] || fail "the hashes are missing"
echo "$(wc -l <"$work/again.hash") states are equal; $(tail -n 1 "$work/again.hash")"
