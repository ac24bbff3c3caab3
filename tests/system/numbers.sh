#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The figures droste run promises, from a boot's own statistics: 80 million instructions a CPU second in the
# interpreter, the first one within 20 ms of start, 60 MB beside the guest's touched pages at 1 GiB, with either engine
# part; an idle guest below 3 % of a core; and 20 idle VMs of 128 MB at once. The best of up to six runs counts: the machine may be busy.
. "$(dirname "$0")/lib.bash"
initramfs "$work/img" <<'I'
echo "idle from here"
sleep 12
I
field() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$work/stats" | head -1; }
below() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'; }
measure() { # JIT
    local best_start=1e12 best_mips=0
    for _ in 1 2 3 4 5 6; do
        rm -f "$work/stats"
        ENGINE=soft,jit=$1 boot "$work/log" --memory 1G --initrd "$work/short.img" --append "console=ttyS0 quiet" --trace "stats=$work/stats"
        expect_status 0 "$work/log"
        below "$best_start" "$(field first_instruction_ns)" || best_start=$(field first_instruction_ns)
        below "$(field mips)" "$best_mips" || best_mips=$(field mips)
        below 80 "$best_mips" && below "$best_start" 20000000 && break
    done
    echo "jit=$1: $best_mips million instructions a CPU second, first after $best_start ns, $(field own_resident) bytes beside the guest"
    below 80 "$best_mips" || fail "fewer than 80 million instructions a second"
    below "$best_start" 20000000 || fail "the first instruction came later than 20 ms"
    below "$(field own_resident)" 60000000 || fail "more than 60 MB beside the guest"
}
initramfs "$work/short.img" <<'I'
echo "up"
I
measure off
measure on

# CPU time of the whole program over ten idle seconds.
ticks() { for p in $1 $(pgrep -P "$1"); do cut -d' ' -f14,15 "/proc/$p/stat"; done | awk '{ t += $1 + $2 } END { print t }'; }
"$droste" run --engine soft --kernel "$guest/vmlinuz" --initrd "$work/img" --append "console=ttyS0 quiet" --no-reboot \
    --timeout 200 >"$work/idle" 2>&1 </dev/null &
pid=$!
for _ in $(seq 400); do grep -q "idle from here" "$work/idle" && break; sleep 0.2; done
sleep 1
before=$(ticks $pid)
sleep 10
used=$(($(ticks $pid) - before))
wait $pid || fail "the idle guest ended with status $?"
echo "idle: $used of $((10 * $(getconf CLK_TCK))) ticks"
below "$used" $((10 * $(getconf CLK_TCK) * 3 / 100)) || fail "an idle guest used more than 3 % of a core"

# Twenty stored VMs, each a Linux with nothing to do.
export DROSTE_HOME=$work/home
droste=$(realpath "$droste")
trap 'end_stored "$DROSTE_HOME"; remove_work' EXIT
initramfs "$work/twenty.img" <<'I'
echo "idle from here"
sleep 1000
I
"$droste" -Command "1..20 | ForEach-Object { New-VM \"idle \$_\" -MemoryStartupBytes 128MB -Engine Soft } | Out-Null;
    Set-VMFirmware * -KernelPath $guest/vmlinuz -InitialRamDiskPath $work/twenty.img -KernelCommandLine 'console=ttyS0 quiet'"
"$droste" Start-VM 'idle *'
idle() { cat "$DROSTE_HOME"/vm/*/console.log | grep -c "idle from here"; }
for _ in $(seq 600); do [ "$(idle)" != 20 ] || break; sleep 0.2; done
[ "$(idle)" = 20 ] || fail "of 20 VMs $(idle) have booted"
sleep 1
pids=$("$droste" -Command 'Get-VM | Where-Object State -eq Running | Select-Object -ExpandProperty ProcessId')
all_ticks() { for p in $pids; do cut -d' ' -f14,15 "/proc/$p/stat"; done | awk '{ t += $1 + $2 } END { print t }'; }
before=$(all_ticks)
sleep 5
used=$(($(all_ticks) - before))
echo "20 idle VMs: $used of $((5 * $(getconf CLK_TCK))) ticks, $(for p in $pids; do sed -n 's/^VmRSS:[^0-9]*//p' "/proc/$p/status"; done | awk '{ s += $1 } END { print s / 1024 }') MB resident"
[ "$(echo "$pids" | wc -l)" = 20 ] || fail "of 20 VMs $(echo "$pids" | wc -l) run"
below "$used" $((5 * $(getconf CLK_TCK) * 20 * 3 / 100)) || fail "20 idle VMs used more than 3 % of a core each"
