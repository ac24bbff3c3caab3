#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --gdb with Debian's gdb: a freestanding guest of two processors with a guest of its own, the machine's ends, Linux.
. "$(dirname "$0")/lib.bash"
command -v gdb >/dev/null || skip "gdb is not installed"
small=build/tests/gdb_guest.elf
[ -f "$small" ] || fail "$small is not built"
log=$work/log

# start [droste run options]: the machine in the background, waiting at $work/gdb, or at what options say
start() {
    : >"$log"
    "$droste" run --engine soft --timeout 200 "$@" >"$log" 2>"$log.err" </dev/null &
    machine=$!
    for _ in $(seq 100); do grep -q "waits for gdb" "$log.err" && return; sleep 0.05; done
    fail "it does not wait for gdb: $(cat "$log.err")"
}
small() { start --kernel "$small" --memory 16M --cpus 2 --append "$1" "${@:2}"; }
# debug TARGET: gdb's commands on standard input, what it printed to $work/gdb.log
debug() {
    { printf 'set pagination off\nset confirm off\nset architecture i386:x86-64\ntarget remote %s\n' "$1"; cat; } >"$work/script"
    timeout 100 gdb -nx -batch -x "$work/script" ${2:+"$2"} >"$work/gdb.log" 2>&1 || true
}
ended() { # STATUS
    status=0
    wait "$machine" || status=$?
    [ "$status" = "$1" ] || { cat "$work/gdb.log" "$log" "$log.err"; fail "the machine's status is $status, not $1"; }
}
printed() { grep -qE -- "$1" "$work/gdb.log" || { cat "$work/gdb.log"; fail "gdb did not print: $1"; }; }

# Breakpoint, registers, memory, steps, watchpoint, threads, L2, the end.
small x --cpu-vendor amd --nested on --gdb "$work/gdb"
[ "$(stat -c %a "$work/gdb")" = 700 ] || fail "others may connect: mode $(stat -c %a "$work/gdb")"
debug "$work/gdb" "$small" <<'G'
echo first:
p $rip == (long)&pvh_start
break work
continue
echo rdi:
p $rdi
echo efer:
p/x $efer
info threads
stepi
echo counter:
p *(long*)&counter
echo after:
p $rip == (long)&after_work
set var *(long*)&counter = 100
set var $rax = 0x1122334455667788
set var $xmm3.v4_int32[1] = 0x55
set var $ymm3.v8_int32[7] = 0x77
set var $st0 = 1.5
echo values:
p/x $rax
p/x $ymm3.v8_int32
p $st0
delete
watch *(long*)&counter
continue
delete
hbreak in_l2
set scheduler-locking step
thread 2
stepi
echo ap:
p $rip >= (long)&ap_loop && $rip < (long)&ap_loop + 16
continue
info threads
monitor nested
monitor why
stepi
echo l2:
x/s &l2_says
delete
continue
G
printed '^first:\$1 = 1$'
printed '^rdi:.* = 5$'
printed '^efer:.* = 0xd01$'
printed '^  2 +Thread 2 \(vCPU 1, running\)'
printed '^counter:.* = 5$'
printed '^after:.* = 1$'
printed '^values:.* = 0x1122334455667788$'
printed '= \{0x0, 0x55, 0x0, 0x0, 0x0, 0x0, 0x0, 0x77\}$'
printed '= 1.5$'
printed '^Old value = 100$'
printed '^New value = 107$'
printed '^ap:.* = 1$'
printed 'Thread 1 hit .*Breakpoint .* in_l2'
printed 'Thread 1 \(vCPU 0, running, in L2 \(VMCB 0x300000\)\)'
printed '^vCPU 0: SVM, guest mode \(L2\), VM_HSAVE_PA 0x301000, nested active, 1 VM entries$'
printed '^vCPU 0: met a breakpoint'
printed '^l2:.*"L2"$'
printed 'exited normally'
ended 0
grep -q w2 "$log" || fail "the guest did not do its work"
[ -e "$work/gdb" ] && fail "the socket was left"

# Ends stop the machine first. Over TCP; the port is one nobody listens on.
port=$((20000 + $$ % 20000))
small t --gdb "$port"
debug "127.0.0.1:$port" <<'G'
continue
monitor why
continue
G
printed 'SIGSEGV'
printed 'vCPU 0: triple fault: going on ends the machine; triple fault: vCPU 0 at rip=0x9'
printed 'exited with code 010'
ended 8
small r --gdb "$work/gdb" --no-reboot
debug "$work/gdb" <<'G'
continue
monitor why
continue
G
printed 'SIGABRT'
printed 'reset: going on lets it happen'
ended 0

# Detached, it goes on alone; killed, it ends.
small x --gdb "$work/gdb"
debug "$work/gdb" "$small" <<'G'
break after_work
continue
set var $cr0 = 0
G
printed 'hit Breakpoint 1'
printed 'Could not write register "cr0"' # gdb gives up, which detaches
ended 0
small x --gdb "$work/gdb"
debug "$work/gdb" <<'G'
kill
G
ended 130
! grep -q w "$log" || fail "it ran all the same"

# Ctrl-C, and bytes that are no protocol: a guest that loops for ever is stopped all the same.
start --kernel build/tests/cli_guest.elf --memory 16M --append do=c --gdb "$port"
exec 3<>"/dev/tcp/127.0.0.1/$port"
head -c 100000 /dev/urandom >&3
exec 3>&-
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf '$vCont;c#a8' >&3
sleep 0.3
printf '\003' >&3
IFS= read -r -t 20 -d '#' answer <&3 || fail "no answer to Ctrl-C"
[ "$answer" = '+$T02thread:1;' ] || fail "Ctrl-C is answered by $answer"
printf '+$k#6b' >&3
exec 3>&-
ended 130

# A debugger that comes late and one that goes away.
initramfs "$work/img" <<'I'
grep -w __x64_sys_sethostname /proc/kallsyms | sed 's/^/at /'
until [ "$(hostname)" = gdb ]; do hostname tick; done
echo "the host is $(hostname)"
I
start --kernel "$guest/vmlinuz" --initrd "$work/img" --memory 256M --cpus 2 --no-reboot --gdb "$work/gdb" \
    --append "console=ttyS0 quiet nokaslr"
debug "$work/gdb" <<'G'
detach
G
for _ in $(seq 600); do grep -q "^at .*sethostname" "$log" && break; sleep 0.2; done
at=$(sed -n 's/^at \([0-9a-f]*\) .*/\1/p' "$log")
[ -n "$at" ] || { tail "$log"; fail "no address of a kernel function"; }
debug "$work/gdb" <<G
break *0x$at
continue
echo name:
x/4cb *(long*)(\$rdi + 0x70)
stepi
stepi
stepi
info threads
disconnect
G
printed 'hit Breakpoint 1'
printed "^name:.*116 't'"
printed 'Thread 2 \(vCPU 1, '
grep -q "stays stopped" "$log.err" || fail "it is not said that the machine stays stopped"
# sethostname(const char *name, int len): its arguments are in the user's pt_regs, which RDI points at
debug "$work/gdb" <<G
hbreak *0x$at
continue
set var {char[4]}(*(long*)(\$rdi + 0x70)) = "gdb"
set var *(long*)(\$rdi + 0x68) = 3
delete
continue
G
printed 'hit .*Breakpoint 1'
printed 'exited normally'
ended 0
expect_line '^the host is gdb' "$log"
