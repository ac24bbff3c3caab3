#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The memory of a running VM moves, with Debian's kernels 6.1 and 6.12: dynamic memory follows what the guest uses, beyond
# what it was started with and down again, and the host has what the guest gave; on a host that is short a low priority gets
# less than a high one; a static VM is resized as it runs, beyond its beginning, saved, gone on with, and resized back.
. "$(dirname "$0")/lib.bash"
droste=$(realpath "$droste")
cat >"$work/init" <<'I'
mount -t tmpfs -o size=900m none /tmp
fill() { dd if=/dev/zero bs=1M count=$1 2>/dev/null | tr '\0' x >/tmp/big$2; }
echo "ready"
read -r go; fill 60 0; echo "filled some"
read -r go; for i in 1 2 3 4 5 6 7 8; do fill 50 $i; sleep 1; done; echo "filled all"
read -r go; rm /tmp/big*; echo "freed"
while read -r line; do echo "alive $line"; done
I
d() { "$droste" "$@"; }
get() { d -Command "(Get-VM $1).$2"; }
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(get "$1" ProcessId)/status"; }
console() { cat "$DROSTE_HOME/vm/$(get "$1" Id | tr A-F a-f)/console.log" | tr -d '\r'; }
shown() { # VM LINE
    for _ in $(seq 300); do
        ! console "$1" | grep -q "^$2" || return 0
        sleep 0.2
    done
    console "$1" | tail -n 20
    fail "the console of $1 never showed: $2"
}
say() { # VM LINE EXPECTED: a line typed at its console, and what it then shows
    echo "$2" | timeout 3 "$droste" Connect-VM "$1" >/dev/null 2>&1 || true
    shown "$1" "$3"
}
until_memory() { # VM WHAT -lt|-gt MIB
    local mib
    for _ in $(seq 160); do
        mib=$(($(get "$1" "$2") / 1048576))
        [ "$mib" "$3" "$4" ] && { echo "ok: $1 $2 is $mib MiB ($3 $4)"; return; }
        sleep 0.25
    done
    d Get-VM "$1" '|' Format-List Memory*
    fail "$1: $2 is $mib MiB, not $3 $4"
}
make() { # NAME MEMORY
    d New-VM "$1" -MemoryStartupBytes "$2" -Engine Soft >/dev/null
    d Set-VMFirmware "$1" -KernelPath "$kernel/vmlinuz" -InitialRamDiskPath "$DROSTE_HOME.img" -KernelCommandLine "console=ttyS0 quiet $append"
}
host_has() { printf 'MemTotal: %d kB\nMemFree: 1 kB\nMemAvailable: %d kB\n' $((32 << 20)) $(($1 << 20)) >"$DROSTE_MEMINFO"; } # GIB

dynamic() {
    local full
    host_has 16
    d Set-VMMemory dyn -DynamicMemoryEnabled true -MinimumBytes 128MB -MaximumBytes 1GB -Buffer 60 -Priority 0
    d Start-VM dyn
    until_memory dyn MemoryDemand -gt 0
    shown dyn ready
    [ "$(get dyn MemoryStatus)" = OK ] || fail "MemoryStatus is $(get dyn MemoryStatus)"
    host_has 2 # less than the reserve of priority 0, more than that of 100
    until_memory dyn MemoryAssigned -lt 135
    say dyn go "filled some"
    until_memory dyn MemoryDemand -gt 100
    sleep 2
    until_memory dyn MemoryAssigned -lt 160
    [ "$(get dyn MemoryStatus)" != OK ] || fail "MemoryStatus of a VM that gets less than it needs is OK"
    d Set-VMMemory dyn -Priority 100
    until_memory dyn MemoryAssigned -gt 175
    host_has 16
    say dyn go "filled all"
    until_memory dyn MemoryAssigned -gt 700
    full=$(resident dyn)
    say dyn go freed
    until_memory dyn MemoryAssigned -lt 600
    for _ in $(seq 60); do [ $((full - $(resident dyn))) -lt 350000 ] || break; sleep 0.25; done
    echo "resident when filled: $full kB, then: $(resident dyn) kB"
    [ $((full - $(resident dyn))) -ge 350000 ] || fail "the host did not get the memory back"
    d Set-VMMemory dyn -MaximumBytes 400MB
    until_memory dyn MemoryAssigned -lt 401
    d Set-VMMemory dyn -MinimumBytes 256MB
    until_memory dyn MemoryAssigned -lt 257
    sleep 2
    until_memory dyn MemoryAssigned -gt 255
    ! d Set-VMMemory dyn -StartupBytes 512MB 2>/dev/null || fail "Startup of a dynamic VM changed as it ran"
    ! d Remove-VM dyn -Force 2>/dev/null || fail "a running VM was removed"
    d Stop-VM dyn -TurnOff
}
static() {
    d Start-VM static
    shown static ready
    d Set-VMMemory static -StartupBytes 256MB
    until_memory static MemoryAssigned -lt 257
    d Set-VMMemory static -StartupBytes 770MB
    until_memory static MemoryAssigned -gt 769
    until_memory static MemoryAssigned -lt 771
    [ "$(get static MemoryStartup)" = $((770 << 20)) ] || fail "the definition does not say 770 MB"
    d Save-VM static
    d Start-VM static
    until_memory static MemoryAssigned -gt 769
    say static go "filled some"
    say static go "filled all" # more than it was started with
    ! d Set-VMMemory static -StartupBytes 4TB 2>"$DROSTE_HOME.err" || fail "4 TB were taken"
    grep -q 'that it can grow to' "$DROSTE_HOME.err" || { cat "$DROSTE_HOME.err"; fail "the refusal does not name the reason"; }
    say static go freed
    d Set-VMMemory static -StartupBytes 320MB
    until_memory static MemoryAssigned -lt 321
    say static hello "alive hello"
    d Stop-VM static -TurnOff
}
both() { # NAME KERNEL APPEND
    export DROSTE_HOME=$work/$1 DROSTE_MEMINFO=$work/$1.meminfo
    trap - EXIT
    kernel=$2 append=$3
    tools/mkinitramfs -o "$DROSTE_HOME.img" -k "$kernel/modules" -m virtio_pci -m virtio_balloon -m virtio_mem -i "$work/init"
    make dyn 256MB
    make static 384MB
    dynamic &
    local one=$!
    static &
    local other=$! status=0
    wait $one || status=1
    wait $other || status=1
    return $status
}
later=$guest-6.12
[ -f "$later/vmlinuz" ] || skip "no kernel in $later: run tools/get-kernel $later linux-image-6.12-cloud-amd64"
trap 'end_stored "$work/6.1" "$work/6.12"; remove_work' EXIT
# Debian's 6.1 leaves memory that comes to user space, which is none here; its 6.12 takes it by itself.
both 6.1 "$guest" memhp_default_state=online_movable >"$work/6.1.log" 2>&1 &
first=$!
both 6.12 "$later" "" >"$work/6.12.log" 2>&1 &
second=$!
failed=0
wait $first || failed=1
wait $second || failed=1
for n in 6.1 6.12; do sed "s/^/$n: /" "$work/$n.log"; done
exit $failed
