#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --trace gdbjit with Debian's gdb, which debugs droste itself: names of translated blocks, the way from C through them
# to C again, and the end of what is evicted. usage: gdb_jit.sh [DROSTE SVM-GUEST GDB-GUEST]
set -uo pipefail
build=$(dirname "$0")/../../build
droste=$(realpath "${1:-$build/droste}")
svm=$(realpath "${2:-$build/tests/guest/trace_svm.bin}") resets=$(realpath "${3:-$build/tests/gdb_guest.elf}")
command -v gdb >/dev/null || { echo "gdb is not installed"; exit 77; }
gdb -nx -batch -ex run /bin/true 2>&1 | grep -q "exited normally" || { echo "gdb may not trace a process here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() { echo "FAIL: $*"; failed=1; }
printed() { grep -qE -- "$1" "$work/log" || { complain "gdb did not print: $1"; cat "$work/log"; }; }

# debug KERNEL OPTIONS...: gdb's commands on standard input
debug() {
    { printf 'set pagination off\nset confirm off\nset follow-fork-mode child\n'; cat; } >"$work/script"
    timeout 60 gdb -nx -batch -x "$work/script" --args "$droste" run --nested on --cpu-vendor amd --memory 64M \
        --trace gdbjit --trace stats --kernel "$@" >"$work/log" 2>&1 </dev/null
    ! grep -iE 'JITed|overlap' "$work/log" || complain "gdb is not content"
}

# A block calls for what the TLB's tables do not hold. The guest does as it always does.
debug "$svm" --engine soft --test-devices --append x --timeout 50 <<'G'
break mmu_refill
run
bt
frame 2
info symbol $pc
disassemble
delete
continue
G
printed '^#0 .*mmu_refill '
printed '^#1 .* routine_refill_(read|write) '
printed '^#2 .* (block|trace)_[0-9a-f]+ \(\)'
printed '^#3 .* (enter|run_from) \('
printed ' cpu_run \(' # and so on, to where the thread began in our code: libc's symbols may not be there
printed ' thread_main \('
printed '^(block|trace)_[0-9a-f]+ \+ [0-9]+ in section \.text of <in-memory'
printed '^=> 0x.*<\+[0-9]+>:.jmp ' # behind the call, inside of what is disassembled
printed '^cpuid exits: 7'
printed 'exited with code 01'

# A guest that resets again and again, translated anew each time. Of what is evicted gdb keeps nothing.
debug "$resets" --engine soft,jit=chaos:1 --cpus 2 --append r --timeout 2 <<'G'
run
G
printed 'a part of the cache emptied [1-9][0-9]'
printed 'exited normally'
exit $failed
