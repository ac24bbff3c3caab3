#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What README.md, HACKING.md and docs/ say: every link leads somewhere, every file named is there, every option of a
# droste command exists; and the examples run. usage: docs.sh [DROSTE]
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
droste=$(realpath "${1:-${DROSTE:-build/droste}}")
build=$(dirname "$droste")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() { echo "FAIL: $*"; failed=1; }
documents=(README.md HACKING.md docs/*.md)
[ -x "$droste" ] || { echo "FAIL: $droste is not built"; exit 1; }

# Headings as the anchors that links name.
anchors() { sed -n 's/^#\+ //p' "$1" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9\n_-'; }

check_link() { # DOCUMENT TARGET
    local file=${2%%#*} anchor=
    case $2 in *'#'*) anchor=${2#*#} ;; esac
    file=${file:+$(dirname "$1")/$file}
    [ -e "${file:-$1}" ] || { complain "$1: link to $2, which is not there"; return; }
    [ -z "$anchor" ] || anchors "${file:-$1}" | grep -qx -- "$anchor" || complain "$1: link to $2: no such heading"
}

# Is it in the repository, not merely in this folder?
there() { # GLOB
    if git rev-parse --git-dir >/dev/null 2>&1; then
        [ -n "$(git ls-files -- "$1")" ]
    else # an archive, or no git: a star stands for slashes too, as it does for git
        [ -n "$(find . -path ./build -prune -o -path "./${1%/}" -print -quit)" ]
    fi
}

# A name in backquotes is a file when it has a folder of ours in front or ends as our files do. NAME, TOPIC: any file.
check_name() { # DOCUMENT NAME
    local name=${2#./}
    case $name in
    */NAME.* | */NAME_* | NAME.* | */TOPIC*) [ "${name%/*}" = "$name" ] || there "${name%/*}" || complain "$1: $2: no such folder" ;;
    build/guest | build/guest/*) ;; # downloaded
    build/*) [ -e "$build/${name#build/}" ] || complain "$1: $2 is not built" ;;
    src/* | tests/* | docs/* | tools/* | gen/* | fuzz/* | examples/* | bench/* | man/* | completion/*)
        there "$name" || complain "$1: $2 is not there" ;;
    bench | man | completion | fuzz | gen | tests | tools | docs | examples | quickstart | test)
        there "$name" || complain "$1: $2 is not there" ;;
    *'()') grep -rqw -- "${name%()}" src gen tests || complain "$1: no function $2" ;;
    *[!A-Za-z0-9_./*-]*) ;; # not a name
    *.c | *.h | *.def | *.S) there "src/$name" || there "*/${name##*/}" || complain "$1: no file $2" ;;
    */) there "src/$name" || there "$name" || complain "$1: no folder $2" ;;
    esac
}

for d in "${documents[@]}"; do
    sed 's/`[^`]*`//g' "$d" | grep -oE '\]\([^)]+\)' | sed 's/^](//; s/)$//' | grep -v '^https\?:' >"$work/links"
    while read -r target; do check_link "$d" "$target"; done <"$work/links"
    grep -oE '`[^` ]+`' "$d" | tr -d '`' | sort -u >"$work/names"
    while read -r name; do check_name "$d" "$name"; done <"$work/names"
    # tools and examples that code blocks call
    awk '/^```/{in_code=!in_code} in_code' "$d" | grep -oE '(^|[ ;(])(\./)?(tools|examples|tests)/[A-Za-z0-9_./-]+' | sed 's/^[ ;(]*//' | sort -u >"$work/names"
    while read -r name; do check_name "$d" "$name"; done <"$work/names"
done
checked=$(cat "${documents[@]}" | grep -oE '`[^` ]+`' | sort -u | wc -l)
[ "$checked" -gt 100 ] || complain "only $checked names found: the search is broken"

"$droste" run --help | grep -oE '^  --[a-z-]+' | tr -d ' ' | sort -u >"$work/options"
sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' "${documents[@]}" | grep -oE '(^|/)droste run .*' |
    sed 's/--append "[^"]*"//; s/#.*//' |
    grep -oE -- ' --[a-z-]+' | tr -d ' ' | sort -u >"$work/used"
[ "$(wc -l <"$work/used")" -gt 8 ] || complain "too few options found in the documents' commands"
unknown=$(comm -13 "$work/options" "$work/used")
[ -z "$unknown" ] || complain "the documents use options that do not exist: $unknown"

# Examples: built by the line in each file.
built() { # NAME
    (cd "$work" && eval "$(sed -n 's/^ \*   \(gcc .*\) [a-z]*\.S$/\1/p' "$OLDPWD/examples/$1.S") $OLDPWD/examples/$1.S" 2>"$work/ld") ||
        { complain "examples/$1.S: its build line fails"; cat "$work/ld"; }
}
ends() { # NAME STATUS PATTERN droste-arguments...
    local name=$1 want=$2 pattern=$3 status=0
    shift 3
    timeout 60 "$droste" run --engine soft "$@" >"$work/out" 2>&1 </dev/null || status=$?
    [ $status = "$want" ] && grep -qE "$pattern" "$work/out" && echo "ok: $name" || { complain "$name: status $status, not $want"; tail -5 "$work/out"; }
}
built multiboot
ends "examples/multiboot.S" 33 'hello from a multiboot kernel' --kernel "$work/multiboot.elf" --test-devices --no-reboot --timeout 10
built pvh
ends "examples/pvh.S" 0 'it boots' --kernel "$work/pvh.elf" --append "it boots" --expect "it boots" --timeout 10
ends "examples/pvh.S, not expected" 12 'never showed' --kernel "$work/pvh.elf" --append "it boots" --expect "it sinks" --timeout 10

ci() { # STATUS LAST-LINE, the script on standard input
    local status=0
    cat >"$work/script"
    (cd "$work" && DROSTE=$droste "$OLDPWD/examples/ci-kernel-test.sh" "$OLDPWD/build/guest/vmlinuz" script) >"$work/out" 2>&1 || status=$?
    [ $status = "$1" ] && tail -1 "$work/out" | grep -qE "$2" && echo "ok: examples/ci-kernel-test.sh: $2" ||
        { complain "examples/ci-kernel-test.sh: status $status, not $1"; tail -5 "$work/out"; }
}
if [ -f build/guest/vmlinuz ]; then
    ci 0 '^passed' <<<'echo "ALL TESTS PASSED"'
    ci 12 '^FAILED: the script' <<<'echo "1 of 2 TESTS PASSED"'
    ci 12 '^FAILED: the script' <<<'echo c >/proc/sysrq-trigger'
else
    echo "examples/ci-kernel-test.sh was not run: no guest kernel (tools/get-kernel build/guest)"
fi
[ $failed = 0 ] && echo "$checked names, $(wc -l <"$work/used") options"
exit $failed
