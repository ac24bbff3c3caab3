#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Guests of 2, 8 and 64 processors on engine soft, whose vCPUs share one code cache: all come up, each computes,
# while under the 2 and the 8 the kernel patches its own code (static keys), and what the guest costs beside its RAM stays in
# bounds. The 2 run under chaos, where the cache is tiny.
. "$(dirname "$0")/lib.bash"
initramfs "$work/img" <<'I'
toggles=$(sed -n 's/.*toggles=\([0-9]*\).*/\1/p' /proc/cmdline)
echo "cpus=$(nproc) apics=$(sed -n 's/^apicid.*: //p' /proc/cpuinfo | sort -u | wc -l)"
n=0
while taskset -c $n true 2>/dev/null; do
    (dd if=/dev/zero bs=64k count=1 2>/dev/null | taskset -c $n sha256sum >/sum$n) &
    n=$((n + 1))
done
for n in $(seq ${toggles:-0}); do
    echo $((n & 1)) >/proc/sys/kernel/sched_schedstats || echo "warning: toggle $n failed"
done
wait
echo "sums: $(cat /sum* | sort | uniq -c | sed 's/^ *//')"
dmesg -r | sed -n 's/^<[0-4]>/warning: /p'
echo "user space is up"
I
sum=$(dd if=/dev/zero bs=64k count=1 2>/dev/null | sha256sum)
run() { # CPUS JIT VENDOR MEMORY [TOGGLES]
    local log=$work/$1-$2
    ENGINE=soft,jit=$2 boot "$log" --cpus "$1" --cpu-vendor "$3" --memory "$4" --initrd "$work/img" \
        --trace "stats=$log.json" --append "console=ttyS0 quiet toggles=${5:-0}"
    expect_status 0 "$log"
    expect_line "user space is up" "$log"
    expect_line "^cpus=$1 apics=$1" "$log"
    expect_line "^sums: $1 $sum" "$log"
    refuse_line "^warning: .*(BUG|WARNING|Call Trace|stall|soft lockup|failed)" "$log"
    echo "$1 vCPUs, $3, jit=$2: $(grep -oE '"(wall_ns|translated|evictions|own_resident)": [0-9]*' "$log.json" | tr '\n' ' ')"
}
run 8 on amd 256M 20 &
eight=$!
run 2 chaos intel 256M 20
wait $eight || fail "the run of 8 vCPUs failed"
expect_line '"evictions": [1-9]' "$work/2-chaos.json"
run 64 on intel 1G
# A vCPU's own tables, the soft TLB above all, take up to 10 MiB once it has run several programs.
own=$(sed -n 's/.*"own_resident": \([0-9]*\).*/\1/p' "$work/64-on.json")
[ "$own" -lt $((800 << 20)) ] || fail "64 vCPUs take $own bytes beside the guest's RAM"
