#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The sandbox of a stored VM's worker, seen from inside: gdb makes a running worker ask for what a guest that took it over
# would want. Each time the worker ends, nothing was done, the VM shows Off with the reason, and starts again.
# usage: hostile_worker.sh [DROSTE GUEST]
set -uo pipefail
build=$(dirname "$0")/../../build
droste=$(realpath "${1:-$build/droste}") guest=$(realpath "${2:-$build/tests/cli_guest.elf}")
command -v gdb >/dev/null || { echo "no gdb: apt-get install gdb"; exit 77; }
work=$(mktemp -d)
export DROSTE_HOME=$work/home
trap '"$droste" Stop-VM victim -TurnOff >"$work/out" 2>&1; rm -rf "$work"' EXIT
failed=0
fail() { echo "FAIL: $*"; failed=1; }
"$droste" New-VM victim -MemoryStartupBytes 32MB -Engine Soft >"$work/out" 2>&1 &&
    "$droste" Set-VMFirmware victim -KernelPath "$guest" -KernelCommandLine do=h || { cat "$work/out"; exit 1; }

sleep 60 & # somebody else's process
bystander=$!

try() { # NAME NUMBER "C ARGUMENTS"
    local pid n
    "$droste" Start-VM victim || { fail "$1: Start-VM"; return; }
    pid=$("$droste" -Command '(Get-VM victim).ProcessId')
    gdb -batch -nx -p "$pid" -ex "call (long)syscall($2,$3)" >"$work/gdb" 2>&1
    for n in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    kill -0 "$pid" 2>/dev/null && { fail "$1: the worker lives on"; cat "$work/gdb"; return; }
    "$droste" -Command '(Get-VM victim).State; (Get-VM victim).StatusReason' >"$work/out" 2>&1
    grep -q '^Off' "$work/out" && grep -q "broke its sandbox: system call $2\b" "$work/out" || { fail "$1"; cat "$work/gdb" "$work/out"; return; }
    echo "ok: $1 ends the worker"
}
try "opening a file" 2 '"/etc/passwd",0,0'
try "making a file" 257 "-100,\"$work/made\",65,420"
try "a socket" 41 "2,1,0"
try "a program" 59 '"/bin/true",0,0'
try "another's process" 62 "$bystander,9"
try "tracing" 101 "16,$bystander,0,0"
try "mounting" 165 '"/","/mnt",0,4096,0'
kill -0 $bystander 2>/dev/null && [ ! -e "$work/made" ] || fail "something was done all the same"
kill $bystander
"$droste" Start-VM victim && [ "$("$droste" -Command '(Get-VM victim).State')" = Running ] && echo "ok: it starts again" || fail "it does not start again"
exit $failed
