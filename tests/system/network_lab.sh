#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/lab.ps1, on both vendors' models: two L1 on a Private switch, an L2 in each on an External switch of L1's; the
# L2s fetch pages from each other.
. "$(dirname "$0")/network.bash"
for vendor in ${VENDORS:-intel amd}; do
    tools/nested-images "$vendor"
    status=0
    VENDOR=$vendor timeout 250 "$droste" -File examples/lab.ps1 >"$work/log" 2>"$work/log.err" </dev/null || status=$?
    expect_status 0 "$work/log"
    expect_line "^L2 on host1 heard: hello from L2 on host2" "$work/log"
    expect_line "^L2 on host2 heard: hello from L2 on host1" "$work/log"
    [ -z "$("$droste" Get-VM)$("$droste" Get-VMSwitch)" ] || fail "lab.ps1 leaves something"
    echo "ok: $vendor"
done
