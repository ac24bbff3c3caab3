#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The walkthrough of the page on nested virtualization with a stored VM: create, expose, start; Debian's KVM in it runs L2;
# meanwhile nested virtualization is active and the memory rule holds; saved and gone on with as L2 runs; then hidden again.
. "$(dirname "$0")/lib.bash"
droste=$(realpath "$droste")
export DROSTE_HOME=$work/home
cleanup() { "$droste" Stop-VM '*' -TurnOff >/dev/null 2>&1 || true; rm -rf "$work"; }
trap cleanup EXIT
echo 'i=0; while [ $i -lt 200 ]; do i=$((i + 1)); echo "L2 counts $i"; sleep 1; done' >"$work/l2.sh"
tools/mkinitramfs -o "$work/l2.img" -i "$work/l2.sh"
cat >"$work/l1.sh" <<'I'
grep -qwE 'vmx|svm' /proc/cpuinfo && echo "L1 sees extensions" || { echo "L1 sees none"; poweroff -f; }
echo "L1 is ready"; sleep 3
droste run --engine kvm --memory 128M --kernel /vmlinuz --initrd /l2.img --append "console=ttyS0 quiet" --no-reboot
I
tools/mkinitramfs -o "$work/l1.img" -k "$guest/modules" -m kvm-amd -m virtio_pci -m virtio-rng -m virtio_balloon -l "$droste:/bin/droste" \
    -f "$guest/vmlinuz:/vmlinuz" -f "$work/l2.img:/l2.img" -i "$work/l1.sh"

d() { "$droste" "$@"; }
log() { cat "$DROSTE_HOME"/vm/*/console.log 2>/dev/null || true; }
wait_line() { # SECONDS PATTERN
    local n=$(($1 * 4))
    until log | grep -qE "$2"; do
        sleep 0.25
        n=$((n - 1))
        [ $n -gt 0 ] || { log | tail -30; fail "the console never showed: $2"; }
    done
}
active() { d -Command "(Get-VM L1).NestedVirtualizationActive"; }

d New-VM L1 -MemoryStartupBytes 768MB -Vendor AMD -Engine Soft >/dev/null
d Set-VMFirmware L1 -KernelPath "$guest/vmlinuz" -InitialRamDiskPath "$work/l1.img" -KernelCommandLine "console=ttyS0 quiet"
d -Command 'Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $true'
d Start-VM L1
wait_line 120 "L1 is ready"
[ "$(active)" = False ] || fail "active before any guest ran"
d Set-VMMemory L1 -StartupBytes 704MB || fail "exposed alone holds memory where it is"
wait_line 120 "L2 counts 1"
[ "$(active)" = True ] || fail "L2 runs, and nested virtualization is not active"
! d Set-VMMemory L1 -StartupBytes 640MB 2>"$work/err" || fail "memory changed while a hypervisor ran"
grep -q 'nested virtualization is active' "$work/err" || { cat "$work/err"; fail "the refusal does not name the rule"; }
[ "$(d -Command '(Get-VM L1).MemoryAssigned')" = $((704 << 20)) ] || fail "memory is not where it was when L2 started"
echo "ok: active, and memory stays"

d Save-VM L1
[ "$(d -Command '(Get-VM L1).State')" = Saved ] || fail "not Saved"
seen=$(log | grep -c 'L2 counts')
d Start-VM L1
wait_line 60 "L2 counts $((seen + 2))"
echo "ok: saved and gone on with while L2 ran"

d Stop-VM L1 -TurnOff
d -Command 'Set-VMProcessor -VMName L1 -ExposeVirtualizationExtensions $false'
d Start-VM L1
wait_line 120 "L1 sees none"
d Wait-VM L1 -State Off -Timeout 60 || fail "it does not end"
echo "ok: hidden again"
d Remove-VM L1 -Force
