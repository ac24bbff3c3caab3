#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The switch is at least as fast as a Linux bridge between two TAPs, at 1500 bytes and at 64 KiB, and loses nothing
# (bench/README.md). The best of up to four short runs counts: the machine may be busy.
set -uo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "a network namespace and TAPs need root"; exit 77; }
[ -c /dev/net/tun ] || { echo "there is no /dev/net/tun"; exit 77; }
# Beginnings of rows whose ratio, the last field, is below 1.
slow() { awk 'NR > 1 && NR < 4 && $NF + 0 < 1 { print $1, $2 }' <<<"$1"; }
for _ in 1 2 3 4; do
    table=$(build/bench/net 0.1 3 2>&1) || {
        echo "$table"
        grep -q "cannot be\|namespace" <<<"$table" && exit 77 # this kernel has no bridge, TAP or namespace for us
        echo "FAIL: frames were lost"
        exit 1
    }
    echo "$table"
    [ "$(wc -l <<<"$table")" = 5 ] || { echo "FAIL: not a table of four rows"; exit 1; }
    [ -n "$(slow "$table")" ] || exit 0
done
echo "FAIL: slower than a bridge: $(slow "$table")"
exit 1
