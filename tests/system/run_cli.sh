#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `droste run` line by line of its contract: exit statuses, console, signals, files. usage: run_cli.sh [DROSTE GUEST]
# GUEST is tests/guest/cli_guest.S. Needs no root and no kernel; util-linux script(1) for the terminal's part.
set -uo pipefail
build=$(dirname "$0")/../../build
droste=$(realpath "${1:-$build/droste}") guest=$(realpath "${2:-$build/tests/cli_guest.elf}")
work=$(mktemp -d)
trap '[ $BASHPID = $$ ] && rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

# shows PATTERN FILE: a line matches; ^$ alone: there is nothing in it
shows() { if [ "$1" = '^$' ]; then [ ! -s "$2" ]; else grep -qE -- "$1" <(cat "$2"; echo); fi; }

# check NAME WANTED-STATUS PATTERN-ON-STDOUT PATTERN-ON-STDERR ARGUMENTS...: runs droste, input from $input if there
check() {
    local name=$1 want=$2 out=$3 err=$4 status=0
    shift 4
    timeout 60 "$droste" "$@" >out 2>err <"${input:-/dev/null}" || status=$?
    if [ $status != "$want" ] || ! shows "$out" out || ! shows "$err" err; then
        echo "FAIL: $name: status $status, wanted $want; stdout /$out/, stderr /$err/"
        head -5 out err
        failed=1
    else
        echo "ok: $name"
    fi
}
quick=(run --engine soft --kernel "$guest" --memory 16M)
run=("${quick[@]}" --timeout 20)

# start ARGUMENTS...: runs droste in the background, its id in $pid, until the guest has said hello
start() {
    : >out # the last one's hello must not count
    "$droste" "$@" >out 2>err </dev/null &
    pid=$!
    for _ in $(seq 200); do grep -q hello out && return; sleep 0.05; done
    echo "FAIL: no hello from: $*"
    failed=1
}

# Ends
check "power off is 0" 0 '^hello' '^$' "${run[@]}" --append do=o
check "reset under --no-reboot is 0" 0 '^hello' '^$' "${run[@]}" --append do=r --no-reboot
check "debug exit is odd" 33 hello '' "${run[@]}" --append do=d --test-devices
check "without --test-devices there is no debug exit" 124 hello timeout "${quick[@]}" --append do=d --timeout 1
check "panic is 6" 6 hello 'droste: .*panic' "${run[@]}" --append do=p
# LIDT of nothing, then UD2: #UD is delivered, #GP, #DF; the chain has the newest first.
check "triple fault is 8" 8 hello 'droste: triple fault: .*rip=0x1[0-9a-f]{5} .*vectors \(newest first\) 8 13 6' "${run[@]}" --append do=t
check "triple fault is 8 under --test-devices" 8 hello 'droste: triple fault' "${run[@]}" --append do=t --test-devices
check "triple fault is 8 under --no-reboot" 8 hello 'droste: triple fault' "${run[@]}" --append do=t --no-reboot
check "timeout is 124" 124 hello 'within 0.500 seconds' "${quick[@]}" --append do=l --timeout 0.5
check "timeout of a loop without interrupts is 124" 124 hello 'within 0.500' "${quick[@]}" --append do=c --timeout 0.5
check "timeout of that loop, interpreted" 124 hello 'within 0.500' run --engine soft,jit=off --kernel "$guest" --append do=c --timeout 0.5
check "timeout of that loop, counted" 124 hello 'within 0.500' "${quick[@]}" --append do=c --timeout 0.5 --icount
check "timeout of a guest that steps itself, counted" 124 hello 'within 0.500' "${quick[@]}" --append do=i --timeout 0.5 --icount
check "timeout of a halted guest is 124" 124 hello 'within 0.500' "${quick[@]}" --append do=h --timeout 0.5
check "a guest that never stops printing can be stopped" 124 hello 'within 1.000' "${quick[@]}" --append do=n --timeout 1
check "icount" 0 hello '^$' "${run[@]}" --append do=o --icount
check "jit=off" 0 hello '^$' run --engine soft,jit=off --kernel "$guest" --append do=o

# A reset starts the guest again: it says hello more than once.
check "a reset without --no-reboot starts again" 124 hello timeout "${quick[@]}" --append do=r --timeout 1
[ "$(grep -c hello out)" -gt 1 ] || { echo "FAIL: no second hello after a reset"; failed=1; }

# Expect
check "expect seen" 0 hello '^$' "${run[@]}" --append do=o --expect '^hel+o$'
check "expect not seen is 12" 12 hello "droste: .*goodbye" "${run[@]}" --append do=o --expect goodbye
check "expect not seen does not hide another end" 8 hello 'triple' "${run[@]}" --append do=t --expect goodbye
check "expect with --serial file" 12 '^$' goodbye "${run[@]}" --append do=o --expect goodbye --serial file:log

# Console
check "serial none is silent" 0 '^$' '^$' "${run[@]}" --append do=o --serial none
rm -f log
check "serial file" 0 '^$' '^$' "${run[@]}" --append do=o --serial file:log
grep -q hello log || { echo "FAIL: --serial file has no hello"; failed=1; }
head -c 5000 /dev/zero | tr '\0' x >text
echo Xq >>text
input=text check "piped input reaches the guest whole" 0 'x{5000}X' '^$' "${run[@]}" --append do=e
unset input
(sleep 0.5; printf 'abcq') | timeout 20 "$droste" "${run[@]}" --append do=e >out 2>err
grep -q abc out || { echo "FAIL: typed input did not come back"; failed=1; }
status=0
timeout 30 "$droste" "${quick[@]}" --append do=n --timeout 5 2>err | head -c 100000 >out || status=${PIPESTATUS[0]}
[ "$(stat -c %s out)" = 100000 ] || { echo "FAIL: a reader that goes away"; failed=1; }

# Signals
truncate -s 1M disk
for sig in INT TERM HUP; do
    start "${run[@]}" --append do=l
    kill -$sig $pid
    status=0
    wait $pid || status=$?
    want=$((128 + $(kill -l $sig)))
    # a background job of a shell without job control starts with SIGINT ignored; a signalfd takes it all the same
    [ $status = $want ] && echo "ok: SIG$sig" || { echo "FAIL: SIG$sig: status $status, wanted $want"; failed=1; }
    sleep 0.2
    pgrep -P $pid >/dev/null && { echo "FAIL: SIG$sig left a process"; failed=1; }
done
for guest_does in c x; do
    start "${run[@]}" --append do=$guest_does --cpus 2
    kill -TERM $pid
    status=0
    wait $pid || status=$?
    [ $status = 143 ] && echo "ok: SIGTERM under do=$guest_does" || { echo "FAIL: SIGTERM under do=$guest_does: status $status"; failed=1; }
done

# A guest that pokes every device at random ends as it is told, or by what it hit; never by a signal or a host error.
for seed in 1 2 3; do
    status=0
    timeout 60 "$droste" "${quick[@]}" --append "do=x$seed" --timeout 2 --disk disk --net user --no-reboot >out 2>err </dev/null || status=$?
    case $status in
    124 | 0 | 6 | 8) echo "ok: random device accesses, seed $seed (status $status)" ;;
    *) echo "FAIL: random device accesses, seed $seed: status $status"; cat err; failed=1 ;;
    esac
done

start "${run[@]}" --append do=l
worker=$(pgrep -P $pid droste-vm)
kill -SEGV "$worker"
status=0
wait $pid || status=$?
[ $status = 10 ] && grep -q 'worker died of signal 11' err && echo "ok: a dead worker is 10" ||
    { echo "FAIL: dead worker: status $status"; cat err; failed=1; }
start "${run[@]}" --append do=l
worker=$(pgrep -P $pid droste-vm)
grep -q '^Seccomp:	2' "/proc/$worker/status" && grep -q '^NoNewPrivs:	1' "/proc/$worker/status" && echo "ok: the worker is in its sandbox" ||
    { echo "FAIL: the worker has no sandbox"; failed=1; }
kill -KILL $pid
wait $pid 2>/dev/null
sleep 0.3
grep -qs "^State:	[^Z]" "/proc/$worker/status" && { echo "FAIL: the worker outlives its supervisor"; failed=1; }

# Files and usage, before anything starts
: >empty
printf 'x%.0s' $(seq 512) >odd-disk
truncate -s 1M disk
mkdir folder
check "missing kernel" 2 '^$' 'droste: kernel .*no-such: No such file' run --kernel no-such
check "folder" 2 '^$' 'is a folder' run --kernel folder
check "not a kernel" 2 '^$' 'odd-disk' run --kernel odd-disk
check "empty kernel" 2 '^$' 'empty' run --kernel empty
check "missing initrd" 2 '^$' 'initrd no-such' run --kernel "$guest" --initrd no-such
check "missing disk" 2 '^$' 'disk no-such' "${run[@]}" --append do=o --disk no-such
check "empty disk" 2 '^$' 'disk empty' "${run[@]}" --append do=o --disk empty
check "serial file that cannot be made" 2 '^$' 'serial file' "${run[@]}" --append do=o --serial file:/no/such/log
check "disks" 0 hello '^$' "${run[@]}" --append do=o --disk disk --disk odd-disk,readonly=on
check "unknown feature" 2 '^$' 'frob' "${run[@]}" --append do=o --cpu-features +frob
check "unknown option" 2 '^$' 'did you mean --memory' run --kernel "$guest" --memry 1G
check "unknown command" 2 '^$' 'Frob-VM.*not recognized' Frob-VM
kvm=(run --engine kvm --kernel "$guest" --memory 16M --timeout 20)
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    check "kvm: power off is 0" 0 hello '' "${kvm[@]}" --append do=o
    check "kvm: debug exit is odd" 33 hello '' "${kvm[@]}" --append do=d --test-devices
    check "kvm: panic is 6" 6 hello panic "${kvm[@]}" --append do=p
    check "kvm: triple fault is 8" 8 hello 'triple fault' "${kvm[@]}" --append do=t
    check "kvm: timeout is 124" 124 hello within "${kvm[@]:0:7}" --append do=l --timeout 0.5
    check "kvm: timeout of a halted guest is 124" 124 hello within "${kvm[@]:0:7}" --append do=h --timeout 0.5
    check "kvm: reset under --no-reboot is 0" 0 hello '' "${kvm[@]}" --append do=r --no-reboot
    check "kvm: several processors" 0 hello '' "${kvm[@]}" --append do=o --cpus 4
else
    check "kvm without /dev/kvm is 4" 4 '^$' 'droste: .*/dev/kvm.*--engine soft' "${kvm[@]}"
fi
check "kvm does not count" 2 '^$' 'engine soft' "${kvm[@]}" --icount
check "help" 0 '--kernel FILE' '^$' run --help
check "version" 0 '^droste [0-9]' '^$' --version
check "engine auto says what it took" 0 hello 'droste: engine (soft|kvm) \(' run --kernel "$guest" --append do=o --timeout 20
check "vendors" 0 hello '^$' "${run[@]}" --append do=o --cpu-vendor amd
check "several processors" 0 hello '^$' "${run[@]}" --append do=o --cpus 4
echo m1 >'a,b'
echo m2 >m2
check "modules" 0 'a,b one, two' '^$' "${run[@]}" --append do=s --initrd 'a,,b one,, two,m2'
grep -q m2 out || { echo "FAIL: no second module"; failed=1; }
start "${run[@]}" --append do=l --disk disk
check "an image in use" 2 '^$' 'in use by another machine' "${run[@]}" --append do=o --disk disk
kill -TERM $pid
wait $pid

# Network
port=$((20000 + RANDOM % 20000))
check "net user" 0 hello '^$' "${run[@]}" --append do=o --net user,forward=$port:22 --net user
start "${run[@]}" --append do=l --net user,forward=$port:22
check "a port in use" 2 '^$' "forward=$port:80: cannot listen" "${run[@]}" --append do=o --net user,forward=$port:80
kill -TERM $pid
wait $pid

# Terminal
say() { printf '%s ' "$droste" "${run[@]}"; }
(sleep 1; printf 'ab\035\035c'; sleep 0.5; printf '\035'; sleep 3) |
    timeout 30 script -qec "$(say) --append do=e; echo status \$?; stty -a" /dev/null >out
grep -aq 'Ctrl-\]' out && grep -aq 'status 130' out && grep -aq $'ab\035c' out && grep -aqE '[^-]icanon' out &&
    echo "ok: terminal" || { echo "FAIL: terminal"; cat -v out; failed=1; }
[ $failed = 0 ] && echo "all good"
exit $failed
