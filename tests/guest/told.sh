#!/bin/sh
# SPDX-License-Identifier: MIT
# told.sh TEXT RUNNER ARGUMENT...: the guest passes, and stderr is the one line that ends with TEXT: what a vCPU's
# hypervisor is refused is told once.
text=$1
shift
log=$(mktemp)
"$@" 2> "$log" || exit 1
said=$(cat "$log")
rm -f "$log"
[ "$said" = "droste: vCPU 0: $text" ] || { echo "told: $said"; exit 1; }
