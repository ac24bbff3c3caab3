#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Stored VMs: commands and workers killed at random moments, many VMs, the promised figures, the sandbox, the console.
# usage: vms.sh [DROSTE GUEST [ROUNDS]]. GUEST is tests/guest/cli_guest.S. Needs no root and no kernel.
set -uo pipefail
build=$(dirname "$0")/../../build
droste=$(realpath "${1:-$build/droste}") guest=$(realpath "${2:-$build/tests/cli_guest.elf}") rounds=${3:-20}
work=$(mktemp -d)
export DROSTE_HOME=$work/home
mark=vms$$ # in each VM's name, and so in its worker's arguments
workers() { pgrep -f "^droste worker $mark" || true; }
finish() {
    for pid in $(workers); do kill -9 "$pid"; done
    rm -rf "$work"
}
trap '[ $BASHPID = $$ ] && finish' EXIT
cd "$work" || exit 1
failed=0
fail() { echo "FAIL: $*"; failed=1; }
ok() { echo "ok: $*"; }
d() { "$droste" "$@"; }
state() { d -Command "(Get-VM '$1').State"; }
wait_for() { # SECONDS COMMAND...
    local n=$(($1 * 20))
    shift
    while [ $n -gt 0 ]; do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; n=$((n - 1)); done
    return 1
}
make() { # NAME WHAT: a VM whose guest does that
    d New-VM "$1" -MemoryStartupBytes 32MB -Engine Soft >/dev/null && d Set-VMFirmware "$1" -KernelPath "$guest" -KernelCommandLine "do=$2"
}
gone() { [ -z "$(workers)" ]; }

# Life
make "$mark one" a || fail "New-VM"
d Start-VM "$mark one" || fail "Start-VM"
[ "$(state "$mark one")" = Running ] && ok "it runs" || fail "not Running: $(state "$mark one")"
pid=$(d -Command "(Get-VM '$mark one').ProcessId")
grep -q '^Seccomp:.*2' "/proc/$pid/status" && grep -q '^NoNewPrivs:.*1' "/proc/$pid/status" && ok "its worker is in the sandbox" ||
    fail "no sandbox"
[ "$(ps -o sid= -p "$pid" | tr -d ' ')" != "$(ps -o sid= -p $$ | tr -d ' ')" ] && ok "in a session of its own" || fail "session"
wait_for 10 grep -q hello "$DROSTE_HOME"/vm/*/console.log && ok "its console is logged" || fail "no hello in the log"
wait_for 10 d Stop-VM "$mark one" && [ "$(state "$mark one")" = Off ] && ok "the power button shuts it down" || fail "Stop-VM"
wait_for 5 gone && [ -z "$(find "$DROSTE_HOME/run" ! -type d)" ] && ok "nothing is left of it" || fail "left: $(workers) $(ls "$DROSTE_HOME/run")"

# A socket that is elsewhere, as after a change of XDG_RUNTIME_DIR: never a second worker
d Start-VM "$mark one"
mv "$DROSTE_HOME/run" "$DROSTE_HOME/elsewhere"
[ "$(state "$mark one")" = Running ] && ! d Start-VM "$mark one" 2>/dev/null && [ "$(workers | wc -l)" = 1 ] && ok "a worker out of reach is seen" ||
    fail "out of reach: $(state "$mark one"), $(workers | wc -l) workers"
rm -rf "$DROSTE_HOME/run" && mv "$DROSTE_HOME/elsewhere" "$DROSTE_HOME/run"
d Stop-VM "$mark one" -TurnOff || fail "it does not come back"

# Console: two viewers, one of them types
make "$mark echo" e
d Start-VM "$mark echo"
timeout 20 "$droste" Connect-VM "$mark echo" >seen1 </dev/null &
viewer=$!
wait_for 5 grep -q hello seen1 || fail "a viewer does not see what was printed before"
{ printf 'typed'; sleep 1; printf q; sleep 3; } | timeout 20 "$droste" Connect-VM "$mark echo" >seen2
wait $viewer
grep -q typed seen1 && grep -q typed seen2 && ok "viewers see one console" || fail "console: $(cat seen1 seen2)"
[ "$(state "$mark echo")" = Off ] && ok "what is typed reaches the guest" || fail "q did not end it"

d Start-VM "$mark echo"
(sleep 1; printf 'ab\035\035c'; sleep 0.5; printf '\035'; sleep 2) |
    timeout 30 script -qec "$droste Connect-VM '$mark echo'; echo status \$?; stty -a" /dev/null >out
grep -aq 'Ctrl-\]' out && grep -aq 'status 0' out && grep -aq $'ab\035c' out && grep -aqE '[^-]icanon' out &&
    [ "$(state "$mark echo")" = Running ] && ok "the escape key leaves, doubled it goes to the guest" || fail "terminal: $(cat -v out)"
d Stop-VM "$mark echo" -TurnOff

# Save and restore; two commands at once
make "$mark kept" h
d Start-VM "$mark kept" && d Save-VM "$mark kept" && [ "$(state "$mark kept")" = Saved ] && ok "saved" || fail "Save-VM"
d Set-VMProcessor "$mark kept" -ExposeVirtualizationExtensions true 2>err && fail "exposed while Saved"
grep -q 'it is Saved' err && ok "Saved is not Off" || fail "$(cat err)"
d Start-VM "$mark kept" && [ "$(state "$mark kept")" = Running ] && [ -z "$(find "$DROSTE_HOME/vm" -name state)" ] && ok "restored, the state used up" ||
    fail "restore"
for n in 1 2 3 4; do d Stop-VM "$mark kept" -TurnOff 2>errs$n & done
wait $(jobs -p)
cat errs? >errs
[ "$(state "$mark kept")" = Off ] && ! grep -qvE 'nother command works|did not get|current state|Failed to stop|failed to stop|does not run any more|Category|Qualified' errs &&
    ok "commands at once: one wins" || fail "at once: $(cat errs)"

# With the host: what ran is saved, and goes on; what was off stays off unless it says Start
make "$mark off" h
make "$mark always" h
make "$mark asked" a
d Set-VM "$mark always" -AutomaticStartAction Start
d Set-VM "$mark asked" -AutomaticStopAction ShutDown -AutomaticStartAction Nothing
d Start-VM "$mark kept" && d Start-VM "$mark asked"
id=$(d -Command "(Get-VM '$mark asked').Id")
wait_for 10 grep -q hello "$DROSTE_HOME/vm/$id/console.log"
sleep 0.2
d Stop-VM -Automatic || fail "Stop-VM -Automatic"
[ "$(state "$mark kept") $(state "$mark asked")" = "Saved Off" ] && ok "the host's stop saves and shuts down" || fail "after the host's stop: $(state "$mark*")"
d Start-VM -Automatic || fail "Start-VM -Automatic"
now="$(state "$mark kept") $(state "$mark asked") $(state "$mark off") $(state "$mark always")"
[ "$now" = "Running Off Off Running" ] && ok "the host's start" || fail "after the host's start: $now"
d Stop-VM "$mark kept" -TurnOff
d Start-VM -Automatic
[ "$(state "$mark kept")" = Off ] && ok "what was turned off stays off" || fail "a mark outlived its start"
sed -i 's/"boot":"[^"]*"/"boot":"another"/' "$DROSTE_HOME"/vm/*/outcome # as if the host had gone down with it
for pid in $(workers); do kill -9 "$pid"; done
d -Command "(Get-VM '$mark always').Status" | grep -q 'host was restarted' && ok "a host's end is told" || fail "status after a host's end"
d Remove-VM "$mark off" -Force; d Remove-VM "$mark always" -Force; d Remove-VM "$mark asked" -Force

# Damage
id=$(d -Command "(Get-VM '$mark kept').Id")
cp "$DROSTE_HOME/vm/$id/definition.json" good
head -c 100 good >"$DROSTE_HOME/vm/$id/definition.json"
d Get-VM >out 2>err
grep -q "$id cannot be used" err && [ "$(stat -c %s "$DROSTE_HOME/vm/$id/definition.json")" = 100 ] && ok "a cut definition is told and left alone" ||
    fail "cut definition: $(cat err)"
cp good "$DROSTE_HOME/vm/$id/definition.json"

# kill -9: whatever dies, every VM is whole, in a state that Get-VM knows, and can be started and removed
RANDOM=1
make "$mark kill" h
for i in $(seq "$rounds"); do
    [ "$(state "$mark kill")" = Off ] && d Start-VM "$mark kill" 2>/dev/null
    case $((RANDOM % 6)) in
    0) d Save-VM "$mark kill" >/dev/null 2>&1 & ;;
    1) d Stop-VM "$mark kill" -TurnOff >/dev/null 2>&1 & ;;
    2) d Set-VM "$mark kill" -Notes "round $i" >/dev/null 2>&1 & ;;
    3) d -Command "Suspend-VM '$mark kill'; Resume-VM '$mark kill'" >/dev/null 2>&1 & ;;
    4) d Rename-VM "$mark kill" -NewName "$mark kill" >/dev/null 2>&1 & ;;
    5) d -Command "Stop-VM '$mark kill' -TurnOff; Start-VM '$mark kill'" >/dev/null 2>&1 & ;;
    esac
    command=$!
    sleep "0.0$((RANDOM % 60 + 10))"
    if [ $((RANDOM % 2)) = 0 ]; then kill -9 $command 2>/dev/null; else for pid in $(pgrep -f "^droste worker $mark kill"); do kill -9 "$pid"; done; fi
    wait $command 2>/dev/null
    sleep 0.1
    now=$(state "$mark kill" 2>err)
    for _ in $(seq 100); do # a save that was given up is noticed in a moment
        [ "$now" = Saving ] || break
        sleep 0.05
        now=$(state "$mark kill" 2>err)
    done
    case $now in
    Off | Running | Paused | Saved) ;;
    *) fail "round $i: state '$now' $(cat err)" ;;
    esac
    [ "$(pgrep -fc "^droste worker $mark kill")" -le 1 ] || fail "round $i: two workers"
    [ "$now" = Paused ] && d Resume-VM "$mark kill"
    [ "$now" = Saved ] && { d Start-VM "$mark kill" || fail "round $i: a saved state does not start"; }
done
[ "$(state "$mark kill")" = Off ] || d Stop-VM "$mark kill" -TurnOff || fail "the end of the rounds"
wait_for 5 gone && ok "$rounds rounds of kill -9" || fail "workers left: $(workers)"
d Get-VM >/dev/null 2>err
[ -s err ] && fail "after the rounds: $(cat err)"
! grep -hE 'Sanitizer|runtime error|sandbox|bug' "$DROSTE_HOME"/vm/*/worker.log || fail "a worker complained"
d Remove-VM "$mark*" -Force && [ -z "$(find "$DROSTE_HOME/vm" "$DROSTE_HOME/run" ! -type d)" ] && ok "removed, nothing left" ||
    fail "left: $(ls -A "$DROSTE_HOME/vm" "$DROSTE_HOME/run")"

# Many, and the figures; the best of some tries, because others may use the machine
best() { # COMMAND...: milliseconds; a failure takes for ever
    local least=999999 t0 t1
    for _ in 1 2 3 4 5; do
        t0=$(date +%s%N)
        "$@" >/dev/null || { echo 999999; return; }
        t1=$(date +%s%N)
        [ $(((t1 - t0) / 1000000)) -lt $least ] && least=$(((t1 - t0) / 1000000))
    done
    echo $least
}
d -Command "1..200 | ForEach-Object { New-VM \"$mark \$_\" -MemoryStartupBytes 128MB -Engine Soft }" >/dev/null || fail "200 VMs"
[ "$(d Get-VM | grep -c "^$mark ")" = 200 ] || fail "Get-VM does not show 200 definitions"
ms=$(best d Get-VM)
[ "$ms" -lt 50 ] && ok "Get-VM with 200 definitions: $ms ms" || fail "Get-VM with 200 definitions: $ms ms"
d Set-VMFirmware "$mark 1*" -KernelPath "$guest" -KernelCommandLine do=h
for n in 1 10 11 12 13 14 15 16 17 18 19 100 101 102 103 104 105 106 107 108; do d Start-VM "$mark $n" || fail "Start-VM $n"; done
[ "$(workers | wc -l)" = 20 ] && ok "20 idle VMs at once" || fail "$(workers | wc -l) of 20 VMs run"
start_stop() { d Stop-VM "$mark 1" -TurnOff && s0=$(date +%s%N) && d Start-VM "$mark 1" && s1=$(date +%s%N); }
least=999999
for _ in 1 2 3 4 5; do start_stop || { fail "stopping and starting"; break; }; [ $(((s1 - s0) / 1000000)) -lt $least ] && least=$(((s1 - s0) / 1000000)); done
[ $least -lt 300 ] && ok "Start-VM: $least ms" || fail "Start-VM: $least ms"
d -Command "Get-VM '$mark*' | Where-Object State -eq Running | Stop-VM -TurnOff" || fail "stopping all"
wait_for 10 gone && ok "all ended" || fail "left: $(workers | wc -l)"
exit $failed
