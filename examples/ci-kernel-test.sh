#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A CI job: boots a kernel and runs a shell script in it; exit status 0 means the script ended with "ALL TESTS PASSED".
# Needs neither /dev/kvm nor root. The console goes to standard output and to console.log.
# usage: examples/ci-kernel-test.sh KERNEL SCRIPT [droste run options]
set -euo pipefail
[ $# -ge 2 ] || { sed -n '3,5s/^# //p' "$0"; exit 2; }
kernel=$1 script=$2
shift 2
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/tools/mkinitramfs" -o "$work/initrd.img" -i "$script"
status=0
"${DROSTE:-$here/build/droste}" run --engine soft --kernel "$kernel" --initrd "$work/initrd.img" --memory 512M \
    --append "console=ttyS0 quiet panic=-1" --no-reboot --timeout 300 --expect '^ALL TESTS PASSED$' "$@" |
    tee console.log || status=${PIPESTATUS[0]}
case $status in
0) echo "passed" ;;
6) echo "FAILED: the kernel panicked" ;;
8) echo "FAILED: triple fault" ;;
12) echo "FAILED: the script did not say that its tests passed" ;;
124) echo "FAILED: no end within the time limit" ;;
*) echo "FAILED: status $status" ;;
esac
exit "$status"
