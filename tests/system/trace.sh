#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --trace exits and --trace nested against what the guests themselves count (tests/guest/trace_vmx.S, trace_svm.S), and
# the last events after a crash of the guest or of Droste. usage: trace.sh [DROSTE VMX-GUEST SVM-GUEST]
set -uo pipefail
build=$(dirname "$0")/../../build
droste=$(realpath "${1:-$build/droste}")
vmx=$(realpath "${2:-$build/tests/guest/trace_vmx.bin}") svm=$(realpath "${3:-$build/tests/guest/trace_svm.bin}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
work=$(mktemp -d)
trap '[ $BASHPID = $$ ] && rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
complain() { echo "FAIL: $*"; failed=1; }

# go NAME WANTED-STATUS VENDOR END ARGUMENTS...: a run; END: the guest's last letter
go() {
    local name=$1 want=$2 vendor=$3 end=$4 status=0 guest=$vmx
    shift 4
    [ "$vendor" = amd ] && guest=$svm
    timeout 60 "$droste" run --engine "${engine:-soft}" --nested on --cpu-vendor "$vendor" --memory 64M --kernel "$guest" --test-devices \
        --timeout 20 --append "$end" "$@" >out 2>err </dev/null || status=$?
    [ $status = "$want" ] && grep -q "^cpuid exits: 7" out && echo "ok: $name" || { complain "$name: status $status, wanted $want"; head -5 out err; }
}
want() { grep -qE -- "$1" err || { complain "stderr has no line $1"; head -40 err; }; }
want_not() { ! grep -E -- "$1" err || complain "stderr has a line $1"; }

go "exits, VMX" 1 intel x --trace exits
want '^VMCS 301000, vCPU 0: 10 exits$'
want '^  CPUID +7 +70\.0 % +[1-9][0-9.]+ +[0-9.]+$'
want '^  EPT_VIOLATION +1 +10\.0 %'
want '^  GUEST_STATE +1 +10\.0 % +- +-$'
engine=soft,jit=off go "exits, SVM, interpreted" 1 amd x --trace exits
want '^VMCB 300000, vCPU 0: 10 exits$'
want '^  CPUID +7 +70\.0 %'
want '^  NPF +1 '
want '^  INVALID +1 '

for vendor in intel amd; do
    go "JSON, $vendor" 1 $vendor x --trace exits=exits --trace nested=nested
    want_not '^nested|^VMC'
    python3 - $vendor "$(sed -n 's/^cpuid exits: //p' out)" <<'P' || complain "JSON, $vendor"
import json, sys
vendor, counted = sys.argv[1], int(sys.argv[2])
exits = json.load(open("exits"))
assert exits["not_counted"] == 0
rows = {r["name"]: r for r in exits["exits"]}
assert rows["CPUID"]["count"] == rows["CPUID"]["resumed"] == counted
assert rows["CPUID"]["mean_instructions"] > 3 and rows["CPUID"]["mean_ns"] > 0
assert abs(sum(r["share"] for r in rows.values()) - 1) < 1e-4
events = [json.loads(l) for l in open("nested")]
kinds = [(e["event"], e.get("name")) for e in events]
walk = "EPT_VIOLATION" if vendor == "intel" else "NPF"
call = "VMCALL" if vendor == "intel" else "VMMCALL"
refused = "GUEST_STATE" if vendor == "intel" else "INVALID"
last = ("VMfail", None) if vendor == "intel" else ("fault", None)
entry = ("entry", None)
expected = [x for _ in range(counted) for x in (entry, ("exit", "CPUID"))]
expected += [entry, ("walk", walk), ("exit", walk), entry, ("exit", call), ("refused", refused), last]
assert kinds == expected, kinds
assert all(a["ns"] <= b["ns"] for a, b in zip(events, events[1:]))
w = next(e for e in events if e["event"] == "walk")
assert w["guest_physical"] == "400008" and len(w["entries"]) == 3 and w["entries"][2] == "0", w
r = next(e for e in events if e["event"] == "refused")
assert r["check"]
assert r["fields"]["RFLAGS"] == "0" if vendor == "intel" else not int(r["fields"]["EFER"], 16) & 0x1000, r
assert len(r["fields"]) > 50 and not any("fields" in e for e in events if e is not r)
if vendor == "intel":
    assert events[-1]["error"] == 4 and events[-1]["instruction"] == "VMLAUNCH"
    x = next(e for e in events if e.get("name") == walk and e["event"] == "exit")
    assert x["qualification"] == "181" and x["guest_linear"] == "40200008", x
else:
    assert events[-1]["vector"] == 13 and not events[-1]["in_guest"]
P
done

go "nested as lines" 1 intel x --trace nested
want '^nested: [0-9.]+ vCPU 0 walk EPT_VIOLATION VMCS 301000 .* gpa 400008 qualification 181 entries 309007 30a007 0$'
want '^nested: .* RFLAGS=0 '
want '^nested: [0-9.]+ vCPU 0 VMfail 4 of VMLAUNCH VMCS 301000 .*: the VMCS was launched before'

# A crash of the guest: what was kept, the newest last.
go "kept for a triple fault" 8 intel t
want '^droste: the last 21 events'
tail -1 err | grep -q '^droste: nested: .* VMfail 4' || complain "the newest event is not the last line"
go "kept for a panic" 6 amd p
want '^droste: the last 21 events'
want '^droste: nested: .* exit CPUID VMCB 300000'
want '^droste: nested: VMCB 300000 as it was refused:'
want '^droste: nested: .* N_CR3=310000 '
status=0
"$droste" run --engine soft --nested on --cpu-vendor intel --memory 64M --kernel "$vmx" --append a --timeout 20 >out 2>err </dev/null || status=$?
[ $status = 8 ] && echo "ok: kept for a VMX abort" || complain "a VMX abort is status $status, not 8"
tail -1 err | grep -q '^droste: nested: .* abort 4 VMCS 301000 .*MSR-load area' || complain "no abort in the last line"
go "not twice" 8 intel t --trace nested
want_not 'the last'
go "nothing kept where nothing was done" 1 intel x
want_not 'the last'

# A crash of Droste: its worker is made to end as by one.
: >out # what the run before left would be taken for this one's
timeout 60 "$droste" run --engine soft --nested on --cpu-vendor intel --memory 64M --kernel "$vmx" --append l >out 2>err </dev/null &
pid=$!
for _ in $(seq 200); do grep -q "exits: 7" out && break; sleep 0.05; done
run=$(pgrep -P $pid) worker=
for child in $(pgrep -P "$run"); do grep -q droste-vm "/proc/$child/comm" && worker=$child; done
kill -ABRT "$worker"
status=0
wait $pid || status=$?
[ $status = 10 ] || complain "a crash of the worker is status $status, not 10"
want 'signal 6'
want '^droste: the last 21 events'

# What is translated: guest beside host code, counts of calls, a map for perf(1). The loops of the guests are 64-bit code.
go "translated blocks" 1 amd x --trace jit=jit --trace perf=perf
want_not '^vCPU|calls of'
grep -qE '^vCPU 0, block [0-9a-f]+, mode [0-9a-f]+, [0-9]+ instructions \([0-9]+ native\), [0-9]+ bytes to [0-9]+ at 0x' jit || complain "no block is shown"
grep -qE '^[0-9a-f]{6}  [0-9a-f]+ +[a-z]+ .*\| +[0-9a-f]+  [0-9a-f]+ +[a-z]+' jit || complain "no guest instruction stands beside host code"
grep -qE '^calls of meanings: [1-9][0-9]* of [1-9][0-9]* instructions' jit || complain "no count of calls"
grep -qE '^  OUT_ALDX +[1-9]' jit || complain "no count of a row"
[ "$(grep -c '^vCPU' jit)" = "$(wc -l <perf)" ] && grep -qE '^[0-9a-f]+ [0-9a-f]+ guest0:[0-9a-f]+$' perf || complain "the map does not hold every block"
touch began
go "a map where perf looks" 1 amd x --trace perf
map=$(find /tmp -maxdepth 1 -name 'perf-*.map' -newer began -exec grep -l '^[0-9a-f]* [0-9a-f]* guest0:routines$' {} + | head -1)
[ -n "$map" ] && rm "$map" || complain "no map where perf looks"
go "translated blocks, to stderr" 1 amd x --trace jit
want '^vCPU 0, routines'
want '^calls of meanings: '

"$droste" run --engine kvm --nested on --trace exits --kernel "$vmx" >out 2>err </dev/null
[ $? = 2 ] && grep -qE "host's KVM serves .* use --engine soft" err || complain "kvm does not say what it cannot trace"
"$droste" run --engine soft --trace nested --kernel "$vmx" >out 2>err </dev/null
[ $? = 2 ] && grep -q "add --nested on" err || complain "--trace nested without --nested on"
timeout 60 "$droste" run --engine auto --nested on --cpu-vendor intel --memory 64M --test-devices --trace exits --kernel "$vmx" >out 2>err </dev/null
grep -q "^droste: engine soft (--trace" err || complain "auto does not say why it took soft"
exit $failed
