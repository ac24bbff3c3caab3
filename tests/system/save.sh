#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A boot of Linux, stopped at random points, saved and continued in a new machine: with a counted clock it must be as
# uninterrupted, instruction for instruction; with a real one, and two processors, the guest must not notice.
# usage: save.sh [SEED]
. "$(dirname "$0")/lib.bash"
points=$(dirname "$droste")/tests/save_points
[ -x "$points" ] || fail "$points is not built"
seed=${1:-$(date +%s)}
echo "seed $seed"
initramfs "$work/img" -m virtio_pci -m virtio_blk -m virtio-rng <<'I'
for i in 1 2 3 4 5 6; do
    dd if=/dev/zero bs=64k count=4 2>/dev/null | sha256sum
    dd if=/dev/hwrng of=/dev/vda bs=512 count=16 2>/dev/null; sync
    dd if=/dev/vda bs=512 count=16 2>/dev/null | sha256sum >/tmp/a; echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/vda bs=512 count=16 2>/dev/null | sha256sum | cmp - /tmp/a && echo "disk $i"
    (sleep 0.2; echo "slept $i") & wait
    awk 'BEGIN { for (x = 1; x < 900; x++) s += sqrt(x) * sin(x); print s }'
done
dmesg -r | sed -n 's/^<[0-3]>/error: /p'
echo "user space is up"
I
check() {
    expect_line "user space is up" "$1"
    expect_line "slept 6" "$1"
    expect_line "disk 6" "$1"
    refuse_line "BUG:|WARNING:|Oops|Call Trace|soft lockup|rcu_sched self-detected|^error: " "$1"
}
go() {
    "$points" "$1" "$guest/vmlinuz" "$work/img" "$seed" >"$work/$1" 2>"$work/$1.err" </dev/null || {
        tail -n 20 "$work/$1" "$work/$1.err"
        fail "$1, seed $seed"
    }
    tail -n 1 "$work/$1.err"
    check "$work/$1"
}
go icount-on &
first=$!
go real
wait $first
