#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/run-flat itself, with a small program of our own: every result, differences in both directions, JSON, bad tables.
# usage: flat.sh [DROSTE GUEST]; GUEST is tests/guest/flat_guest.S.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
droste=$(realpath "${1:-${DROSTE:-build/droste}}") guest=$(realpath "${2:-build/tests/flat_guest.elf}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/suite"
cp "$guest" "$work/suite/one.elf"
cp "$guest" "$work/suite/two.flat"
failed=0

# check NAME WANTED-STATUS PATTERN ARGUMENTS...: runs the tool with the table on standard input
check() {
    local name=$1 want=$2 pattern=$3 status=0
    shift 3
    cat >"$work/table"
    tests/run-flat "$work/suite" --droste "$droste" --table "$work/table" "$@" >"$work/out" 2>&1 || status=$?
    if [ $status = "$want" ] && grep -qE -- "$pattern" "$work/out"; then
        echo "ok: $name"
    else
        echo "FAIL: $name: status $status, wanted $want and /$pattern/"
        cat "$work/out"
        failed=1
    fi
}

check "all as expected" 0 '4 pass, 3 fail, 1 skip, 1 omit, 1 missing; 0 differ' <<'T'
# a comment
one | do=gp  | intel amd | memory=16M                       | pass
one | do=gp  | intel     | memory=16M cpus=2 features=-pcid | pass
one | do=p   | amd       | memory=16M nested=on             | pass
one | do=bbf | intel     | memory=16M                       | fail 2: two are bad
one | do=bp  | intel     | memory=16M                       | fail 1: passes in spite of one
two | do=x   | intel     | memory=16M                       | fail: a triple fault
two | do=s   | intel     | memory=16M                       | skip: it says so
two | do=l   | intel     | memory=16M                       | omit: it never ends
new |        | intel     | memory=16M                       | pass
T
check "a pass that is not" 1 'DIFFERS intel one do=gbf: fail 1' <<'T'
one | do=gbf | intel | | pass
two | do=p   | intel | | pass
T
check "a failure that is none" 1 'one do=gp: pass' <<'T'
one | do=gp | intel | | fail 1: once
two | do=p  | intel | | pass
T
check "one more failure than known" 1 'one do=bbf: fail 2' <<'T'
one | do=bbf | intel | | fail 1: once
two | do=p   | intel | | pass
T
check "any number of failures" 0 '0 differ' <<'T'
one | do=bbf | intel | | fail: by time
two | do=p   | intel | | pass
T
check "a skip that runs" 1 'one do=p: pass' <<'T'
one | do=p | intel | | skip: once
two | do=p | intel | | pass
T
check "a timeout" 1 'one do=l timeout=1: fail|timeout' <<'T'
one | do=l | intel | timeout=1 | pass
two | do=p | intel |           | pass
T
check "a program without a row" 1 'two has no row' <<'T'
one | do=p | intel | | pass
T
check "--only" 0 '1 pass, 0 fail.* 0 differ' --only do=p --only amd <<'T'
one | do=p  | intel amd | | pass
one | do=bf | intel amd | | pass
T
check "--json" 0 '"result": "fail 1"' --json - --jobs 1 <<'T'
one | do=bf | intel | | fail 1: bad
two | do=p  | amd   | | pass
T
python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))["rows"]
assert [r["result"] for r in rows] == ["fail 1", "pass"] and rows[0]["reason"] == "bad" and not rows[0]["differs"], rows
' <(sed -n '/^{/,/^}/p' "$work/out") || { echo "FAIL: the JSON"; failed=1; }
check "a result without a reason" 2 "table:1: the result is 'pass'" <<<'one | | intel | | fail'
check "a row of four fields" 2 'five fields' <<<'one | | intel | pass'
check "an unknown vendor" 2 'vendors are' <<<'one | | via | | pass'
check "an unknown machine word" 2 "'ram=1G' is not one of" <<<'one | | intel | ram=1G | pass'
check "nothing left to run" 2 'no row of' --only nothing <<<'one | | intel | | pass'
rm "$work"/suite/*
check "an empty folder" 2 'no NAME.flat' <<<'one | | intel | | pass'
cd "$work" && [ "$("$OLDPWD/tests/run-flat" no-such 2>&1)" = "run-flat: no-such: no such folder" ] || { echo "FAIL: no such folder"; failed=1; }
exit $failed
