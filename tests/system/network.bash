# SPDX-License-Identifier: MIT
# Shared by tests/system/network_*.sh: stored VMs on the virtual switch "Outer". Sourced, never run.
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
droste=$(realpath "$droste")
export DROSTE_HOME=$work/home
servers=()
cleanup() {
    end_stored "$DROSTE_HOME"
    [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
    remove_work
}
trap cleanup EXIT
d() { "$droste" "$@"; }

# The console of a VM, and a wait for a line of it.
console() { tr -d '\r' <"$DROSTE_HOME/vm/$(d -Command "(Get-VM '$1').Id")/console.log" 2>/dev/null || true; }
wait_line() { # VM SECONDS PATTERN
    local n=$(($2 * 4))
    until console "$1" | grep -qE "$3"; do
        sleep 0.25
        n=$((n - 1))
        [ $n -gt 0 ] || { console "$1" | tail -40; fail "the console of $1 never showed: $3"; }
    done
}

# For guests: udhcpc's script, which says WHO got what.
lease_script() { # WHO
    cat <<I
cat >/lease <<'S'
#!/bin/sh
[ "\$1" = bound ] || exit 0
ip addr flush dev "\$interface"
ip addr add "\$ip/\$mask" dev "\$interface"
[ -z "\$router" ] || ip route add default via "\$router"
echo "$1 has \$ip"
S
chmod +x /lease
I
}

new_vm() { # NAME VENDOR INITRD MEMORY
    d New-VM "$1" -MemoryStartupBytes "$4" -Vendor "$2" -Engine Soft -SwitchName Outer >/dev/null
    d Set-VMFirmware "$1" -KernelPath "$guest/vmlinuz" -InitialRamDiskPath "$3" -KernelCommandLine "console=ttyS0 quiet"
}
new_l1() { # the same: a host of virtual machines
    new_vm "$@"
    d Set-VMProcessor "$1" -Count 2 -ExposeVirtualizationExtensions true
}
