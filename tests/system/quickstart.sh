#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ./quickstart's walkthrough, to L2's page from a web server on the host: where the kernel carries the switch's adapter (in
# a network namespace of its own), and where the user has no right to that.
. "$(dirname "$0")/lib.bash"
walk() { # NAME NETWORK VENDOR COMMAND...
    local name=$1 network=$2 vendor=$3
    shift 3
    "$@" ./quickstart --vendor "$vendor" >"$work/log" 2>"$work/log.err" </dev/null || { tail -n 40 "$work/log" "$work/log.err"; fail "$name"; }
    expect_line "^Outer +Internal +$network" "$work/log"
    expect_line "fetched through the NAT of L1" "$work/log"
    expect_line "What ran, in" "$work/log"
    echo "ok: $name"
}
if [ "$(id -u)" = 0 ]; then
    walk "Intel, as root" Kernel intel unshare -n sh -c 'ip link set lo up && exec "$@"' sh
    walk "AMD, without the right to configure networks" User amd setpriv --bounding-set=-net_admin --inh-caps=-net_admin
else
    walk "Intel, as a user" User intel env
    walk "AMD, as a user" User amd env
fi
