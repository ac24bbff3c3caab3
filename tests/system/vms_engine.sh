#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An engine that cannot nest is refused when it is set, with reason and remedy, whichever of the two settings comes last; and
# at the start of a VM that came from elsewhere. Host KVMs never nest with the other vendor's extensions, and without
# /dev/kvm, hidden here by a mount, there is no engine KVM at all.
# usage: vms_engine.sh [DROSTE]. Needs no root and no kernel.
set -euo pipefail
droste=$(realpath "${1:-${DROSTE:-$(dirname "$0")/../../build/droste}}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DROSTE_HOME=$work/home
fail() { echo "FAIL: $*"; exit 1; }
d() { "$droste" "$@"; }
engine() { # VENDOR PROPERTY: of engine KVM here
    d -Command "(Get-VMHost).Engines | Where-Object Engine -eq KVM | Where-Object Vendor -eq $1 | Select-Object -ExpandProperty $2"
}
refused() { # WHAT-IT-MUST-SAY... -- COMMAND...
    local says=() status=0
    while [ "$1" != -- ]; do says+=("$1"); shift; done
    shift
    "$@" >"$work/out" 2>&1 || status=$?
    [ $status = 1 ] || { cat "$work/out"; fail "status $status: $*"; }
    for s in "${says[@]}"; do [ -n "$s" ] && grep -qF -- "$s" "$work/out" || { cat "$work/out"; fail "it does not say: $s"; }; done
    echo "ok: refused: ${*:2}"
}
is() { [ "$(d -Command "(Get-VMProcessor $1).$2")" = "$3" ] || fail "$2 of $1 is not $3"; }

for vendor in Intel AMD; do
    d New-VM $vendor -MemoryStartupBytes 64MB -Vendor $vendor -Engine Soft >/dev/null
    can_run=$(engine $vendor CanRun) can_nest=$(engine $vendor CanNest)
    [ "$can_run" != False ] || { echo "engine KVM runs nothing here: $(engine $vendor Reason)"; continue; }
    [ "$can_nest" != True ] || { echo "engine KVM nests here as $vendor"; continue; }
    reason=$(engine $vendor Reason)
    d Set-VMProcessor $vendor -Engine KVM
    refused "$reason" "Engine Soft can, on every host" -- d Set-VMProcessor $vendor -ExposeVirtualizationExtensions true
    is $vendor ExposeVirtualizationExtensions False
    d Set-VMProcessor $vendor -Engine Soft -ExposeVirtualizationExtensions true
    refused "$reason" "Engine Soft can, on every host" -- d Set-VMProcessor $vendor -Engine KVM
    is $vendor Engine Soft
done

file=$(echo "$DROSTE_HOME"/vm/*/definition.json)
for f in $file; do sed -i 's/"engine": *"[^"]*"/"engine": "KVM"/; s/"exposeVirtualizationExtensions": *false/"exposeVirtualizationExtensions": true/' "$f"; done
none() { # COMMAND...: where there is no /dev/kvm
    # shellcheck disable=SC2016
    unshare -rm sh -c '[ ! -e /dev/kvm ] || mount --bind /dev/null /dev/kvm; exec "$@"' sh "$droste" "$@"
}
if unshare -rm true 2>/dev/null; then
    none -Command 'New-VM plain -MemoryStartupBytes 64MB -Engine Soft' >/dev/null
    refused "Engine KVM cannot run guests on this host" "Engine Soft works on every host" -- none Set-VMProcessor plain -Engine KVM
    is plain Engine Soft
    none Set-VMProcessor plain -ExposeVirtualizationExtensions true
    is plain ExposeVirtualizationExtensions True
    for vendor in Intel AMD; do
        none Set-VM $vendor -Notes "from elsewhere"
        refused "Engine KVM cannot run guests on this host" -- none Start-VM $vendor
        [ "$(d -Command "(Get-VM $vendor).State")" = Off ] || fail "it runs"
    done
else
    echo "/dev/kvm cannot be hidden: this host lets the user make no namespaces"
fi
for vendor in Intel AMD; do
    [ "$(engine $vendor CanNest)" = True ] || refused "$(engine $vendor Reason)" -- d Start-VM $vendor
done
