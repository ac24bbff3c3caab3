#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The walkthrough of the page on nested virtualization with stored VMs: create, expose, start; Debian's KVM in them runs L2.
# AMD with kernel 6.1 and static memory, Intel with 6.12, whose KVM executes VMXON as it loads, and dynamic memory: exposed
# alone holds nothing; while L2 runs nested virtualization is active and memory stays whatever L1 does, free pages that it
# reports included; saved and gone on with as L2 runs; memory moves again when the inner hypervisor rests; then hidden again.
. "$(dirname "$0")/lib.bash"
droste=$(realpath "$droste")
echo 'i=0; while :; do i=$((i + 1)); echo "L2 counts $i"; sleep 1; done' >"$work/l2.sh"
tools/mkinitramfs -o "$work/l2.img" -i "$work/l2.sh"
cat >"$work/l1.sh" <<'I'
grep -qwE 'vmx|svm' /proc/cpuinfo && echo "L1 sees extensions" || { echo "L1 sees none"; poweroff -f; }
mount -t tmpfs -o size=300m none /tmp
echo "L1 is ready"
read -r go
droste run --engine kvm --memory 96M --kernel /vmlinuz --initrd /l2.img --append "console=ttyS0 quiet" --no-reboot </dev/null &
l2=$!
read -r go; dd if=/dev/zero bs=1M count=150 2>/dev/null | tr '\0' x >/tmp/big; echo "L1 filled"
read -r go; rm /tmp/big; echo "L1 freed"
read -r go; kill $l2; wait $l2; echo "L2 ended"
while read -r line; do echo "alive $line"; done
I

d() { "$droste" "$@"; }
get() { d -Command "(Get-VM L1).$1"; }
log() { cat "$DROSTE_HOME"/vm/*/console.log 2>/dev/null || true; }
wait_line() { # SECONDS PATTERN
    local n=$(($1 * 4))
    until log | grep -qE "$2"; do
        sleep 0.25
        n=$((n - 1))
        [ $n -gt 0 ] || { log | tail -30; fail "the console never showed: $2"; }
    done
}
wait_value() { # SECONDS WHAT VALUE
    for _ in $(seq $(($1 * 4))); do
        [ "$(get "$2")" != "$3" ] || return 0
        sleep 0.25
    done
    fail "$2 is $(get "$2"), not $3"
}
say() { # EXPECTED: a line typed, and what the console then shows
    echo go | timeout 3 "$droste" Connect-VM L1 >/dev/null 2>&1 || true
    wait_line 60 "$1"
}
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(get ProcessId)/status"; }
stays() { [ "$(get MemoryAssigned)" = "$1" ] || fail "memory moved while L2 ran: $(get MemoryAssigned), not $1"; }
make() { # VENDOR KERNEL MODULE
    d New-VM L1 -MemoryStartupBytes 512MB -Vendor "$1" -Engine Soft >/dev/null
    tools/mkinitramfs -o "$DROSTE_HOME.img" -k "$2/modules" -m "$3" -m virtio_pci -m virtio-rng -m virtio_balloon -m virtio_mem \
        -l "$droste:/bin/droste" -f "$2/vmlinuz:/vmlinuz" -f "$work/l2.img:/l2.img" -i "$work/l1.sh"
    d Set-VMFirmware L1 -KernelPath "$2/vmlinuz" -InitialRamDiskPath "$DROSTE_HOME.img" -KernelCommandLine "console=ttyS0 quiet"
    d -Command 'Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $true'
}
# L2 starts; L1 fills memory and frees it; neither its need nor what it reports as free moves anything.
frozen() {
    local at full seen
    say "L2 counts 1"
    [ "$(get NestedVirtualizationActive)" = True ] || fail "L2 runs, and nested virtualization is not active"
    at=$(get MemoryAssigned)
    say "L1 filled"
    full=$(resident)
    say "L1 freed"
    sleep 5 # Linux reports free pages two seconds late
    stays "$at"
    echo "resident when filled: $full kB, freed: $(resident) kB"
    [ $((full - $(resident))) -lt 30000 ] || fail "free pages were discarded while L2 ran"
    ! d Set-VMMemory L1 -StartupBytes 640MB 2>"$DROSTE_HOME.err" || fail "memory changed while a hypervisor ran"
    grep -q 'nested virtualization is active' "$DROSTE_HOME.err" || { cat "$DROSTE_HOME.err"; fail "the refusal does not name the rule"; }
    stays "$at"
    echo "ok: active, and memory stays"
    d Save-VM L1
    [ "$(get State)" = Saved ] || fail "not Saved"
    seen=$(log | grep -c 'L2 counts')
    d Start-VM L1
    wait_line 60 "L2 counts $((seen + 2))"
    stays "$at"
    echo "ok: saved and gone on with while L2 ran"
    say "L2 ended"
}
hidden() {
    d Stop-VM L1 -TurnOff
    d -Command 'Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $false'
    d Start-VM L1
    wait_line 120 "L1 sees none"
    d Wait-VM L1 -State Off -Timeout 60 || fail "it does not end"
    echo "ok: hidden again"
    d Remove-VM L1 -Force
}

amd() {
    make AMD "$guest" kvm-amd
    d Start-VM L1
    wait_line 120 "L1 is ready"
    [ "$(get NestedVirtualizationActive)" = False ] || fail "active before any guest ran"
    d Set-VMMemory L1 -StartupBytes 448MB || fail "exposed alone holds memory where it is"
    wait_value 20 MemoryAssigned $((448 << 20))
    frozen
    wait_value 70 NestedVirtualizationActive False # at once, if KVM clears EFER.SVME with its last guest
    d Set-VMMemory L1 -StartupBytes 400MB || fail "memory does not move again"
    wait_value 20 MemoryAssigned $((400 << 20))
    echo "ok: moves again"
    hidden
}
intel() {
    make Intel "$guest-6.12" kvm-intel
    d Set-VMMemory L1 -DynamicMemoryEnabled true -MinimumBytes 400MB -MaximumBytes 1GB -Buffer 2000
    d Start-VM L1
    wait_line 120 "L1 is ready"
    [ "$(get NestedVirtualizationActive)" = False ] || fail "active before any guest ran: the VMXON as KVM loads alone"
    wait_value 30 MemoryAssigned $((1 << 30)) # it needs little, but its buffer is twenty times that
    d Set-VMMemory L1 -Buffer 5
    wait_value 60 MemoryAssigned $((400 << 20))
    echo "ok: exposed, it grows and shrinks"
    frozen
    d Set-VMMemory L1 -Buffer 2000
    sleep 3
    stays $((400 << 20))
    wait_value 70 NestedVirtualizationActive False # a minute after L2's last entry
    wait_value 30 MemoryAssigned $((1 << 30))
    echo "ok: grows again"
    hidden
}
both() { # NAME
    export DROSTE_HOME=$work/$1
    trap - EXIT
    "$1"
}
[ -f "$guest-6.12/vmlinuz" ] || skip "no kernel in $guest-6.12: run tools/get-kernel $guest-6.12 linux-image-6.12-cloud-amd64"
trap 'end_stored "$work/amd" "$work/intel"; remove_work' EXIT
both amd >"$work/amd.log" 2>&1 &
first=$!
both intel >"$work/intel.log" 2>&1 &
second=$!
failed=0
wait $first || failed=1
wait $second || failed=1
for n in amd intel; do sed "s/^/$n: /" "$work/$n.log"; done
exit $failed
