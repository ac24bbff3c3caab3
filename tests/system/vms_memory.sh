#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The memory of a running VM moves: dynamic memory follows what the guest uses, down and up, and the host has what the
# guest gave; a static VM is resized as it runs, saved, gone on with, and resized back.
. "$(dirname "$0")/lib.bash"
droste=$(realpath "$droste")
export DROSTE_HOME=$work/home
cleanup() { "$droste" Stop-VM '*' -TurnOff >/dev/null 2>&1 || true; rm -rf "$work"; }
trap cleanup EXIT
cat >"$work/init" <<'I'
mount -t tmpfs -o size=600m none /tmp
echo "ready"
read -r go; dd if=/dev/zero bs=1M count=400 2>/dev/null | tr '\0' x >/tmp/big; echo "filled"
read -r go; rm /tmp/big; echo "freed"
while read -r line; do echo "alive $line"; done
I
initramfs "$work/img" -m virtio_pci -m virtio_balloon <"$work/init"
d() { "$droste" "$@"; }
get() { d -Command "(Get-VM $1).$2"; }
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(get "$1" ProcessId)/status"; }
say() { # VM LINE EXPECTED: a line typed at its console, and what it then shows
    echo "$2" | timeout 3 "$droste" Connect-VM "$1" >/dev/null 2>&1 || true
    for _ in $(seq 200); do
        ! cat "$DROSTE_HOME"/vm/*/console.log | tr -d '\r' | grep -q "^$3" || return 0
        sleep 0.2
    done
    cat "$DROSTE_HOME"/vm/*/console.log | tail -n 20
    fail "the console of $1 never showed: $3"
}
until_memory() { # VM WHAT -lt|-gt MIB
    local mib
    for _ in $(seq 120); do
        mib=$(($(get "$1" "$2") / 1048576))
        [ "$mib" "$3" "$4" ] && { echo "ok: $1 $2 is $mib MiB ($3 $4)"; return; }
        sleep 0.25
    done
    d Get-VM "$1" '|' Format-List Memory*
    fail "$1: $2 is $mib MiB, not $3 $4"
}
make() { # NAME
    d New-VM "$1" -MemoryStartupBytes 768MB -Engine Soft >/dev/null
    d Set-VMFirmware "$1" -KernelPath "$guest/vmlinuz" -InitialRamDiskPath "$work/img" -KernelCommandLine "console=ttyS0 quiet"
}

make dyn
d Set-VMMemory dyn -DynamicMemoryEnabled true -MinimumBytes 128MB -MaximumBytes 768MB -Buffer 30
! d Set-VMMemory dyn -MaximumBytes 2GB 2>"$work/err" || fail "growth that is not there was taken"
grep -q 'does not grow beyond StartupBytes' "$work/err" || { cat "$work/err"; fail "the refusal does not name the reason"; }
d Start-VM dyn
until_memory dyn MemoryAssigned -lt 400
until_memory dyn MemoryDemand -gt 0
[ "$(get dyn MemoryStatus)" = OK ] || fail "MemoryStatus is $(get dyn MemoryStatus)"
say dyn go filled
until_memory dyn MemoryAssigned -gt 550
full=$(resident dyn)
say dyn go freed
until_memory dyn MemoryAssigned -lt 400
for _ in $(seq 60); do [ $((full - $(resident dyn))) -lt 250000 ] || break; sleep 0.25; done
echo "resident when filled: $full kB, then: $(resident dyn) kB"
[ $((full - $(resident dyn))) -ge 250000 ] || fail "the host did not get the memory back"
d Set-VMMemory dyn -MinimumBytes 512MB
until_memory dyn MemoryAssigned -gt 511
! d Set-VMMemory dyn -StartupBytes 512MB 2>"$work/err" || fail "Startup of a dynamic VM changed as it ran"
d Remove-VM dyn -Force 2>/dev/null && fail "a running VM was removed" || d Stop-VM dyn -TurnOff

make static
d Start-VM static
for _ in $(seq 100); do d Set-VMMemory static -StartupBytes 384MB 2>"$work/err" && break || sleep 0.2; done
until_memory static MemoryAssigned -lt 385
! d Set-VMMemory static -StartupBytes 1GB 2>"$work/err" || fail "a machine grew beyond its beginning"
grep -q 'does not grow beyond' "$work/err" || { cat "$work/err"; fail "the refusal does not name the reason"; }
[ "$(get static MemoryStartup)" = $((384 << 20)) ] || fail "the definition does not say 384 MB"
d Save-VM static
d Start-VM static
until_memory static MemoryAssigned -lt 385
d Set-VMMemory static -StartupBytes 768MB
until_memory static MemoryAssigned -gt 767
d Stop-VM static -TurnOff
