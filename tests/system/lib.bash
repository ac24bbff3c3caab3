# SPDX-License-Identifier: MIT
# Shared by tests/system/*.sh: a guest kernel, images, and assertions on what a run printed. Sourced, never run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
droste=${DROSTE:-build/droste}
guest=build/guest
work=$(mktemp -d)
# What ends may still write there, so again a little later; that files stay is said, and is not the test's status.
remove_work() { rm -rf "$work" 2>/dev/null || { sleep 1 && rm -rf "$work"; } || true; }
trap remove_work EXIT
end_stored() { # DROSTE_HOME...: no VM and no switch of these stores goes on
    local h
    for h in "$@"; do
        DROSTE_HOME=$h "$droste" Stop-VM '*' -TurnOff >/dev/null 2>&1 || true
        DROSTE_HOME=$h "$droste" Remove-VMSwitch '*' -Force >/dev/null 2>&1 || true
    done
}

fail() { echo "FAIL: $*"; exit 1; }
skip() { echo "$*"; exit 77; }
[ -x "$droste" ] || fail "$droste is not built"
[ -f "$guest/vmlinuz" ] || skip "no guest kernel in $guest: run tools/get-kernel $guest"

# initramfs OUT [mkinitramfs options], the init script on standard input
initramfs() {
    local out=$1
    shift
    cat >"$out.sh"
    tools/mkinitramfs -o "$out" -k "$guest/modules" -i "$out.sh" "$@"
}

# boot LOG [droste run options]: console and messages to LOG; sets $status
boot() {
    local log=$1
    shift
    status=0
    "$droste" run --engine "${ENGINE:-soft}" --kernel "$guest/vmlinuz" --timeout "${BOOT_TIMEOUT:-240}" --no-reboot "$@" >"$log" 2>"$log.err" </dev/null ||
        status=$?
}

expect_status() { [ "$status" = "$1" ] || { tail -n 30 "$2" "$2.err"; fail "exit status $status, not $1"; }; }
expect_line() { grep -qE "$1" "$2" || { tail -n 40 "$2" "$2.err"; fail "no line matches: $1"; }; }
refuse_line() { ! grep -E "$1" "$2" || fail "unwanted line in $2"; }
