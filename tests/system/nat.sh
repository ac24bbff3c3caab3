#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# NAT and External switches, in network namespaces of its own: a machine on a switch (tests/system/switch_tap.c) reaches the world
# and is reached by static mappings, over IPv4 and IPv6, through the kernel's NAT and through a host in user mode; when all is
# removed nothing is left. usage: nat.sh [DROSTE [PART...]]; parts: kernel user external page
set -euo pipefail
cd "$(dirname "$0")/../.."
skip() { echo "$*"; exit 77; }
for command in ip unshare nsenter python3 busybox nft; do
    command -v $command >/dev/null || [ -x /usr/sbin/$command ] || skip "$command is not installed"
done
export PATH=$PATH:/usr/sbin:/sbin
if [ -z "${NAT_INSIDE:-}" ]; then
    droste=$(realpath "${1:-build/droste}")
    [ -x "$droste" ] || { echo "FAIL: $droste is not built"; exit 1; }
    [ $# = 0 ] || shift
    user=-Ur
    [ "$(id -u)" != 0 ] || user=
    # shellcheck disable=SC2086
    unshare $user -nm true 2>/dev/null || skip "this user may not make namespaces here"
    NAT_INSIDE=1 exec unshare $user -nmpf --kill-child --mount-proc bash "tests/system/nat.sh" "$droste" "$@"
fi
droste=$1
tap=$(dirname "$droste")/tests/switch_tap
shift
work=$(mktemp -d)
trap 'rm -rf "$work" || true' EXIT # the switches' processes end with this one, and may still write
export DROSTE_HOME=$work/home
fail() { # where d's output goes nowhere too
    echo "FAIL: $*" >&2
    cat "$DROSTE_HOME"/run/switches/*.log 2>/dev/null >&2 || true
    exit 1
}
say() { echo "ok: $*"; }
d() { "$droste" -Command "$1" || fail "droste: $1"; }
refused() { ! "$droste" -Command "$1" >"$work/refused" 2>&1 && grep -q "$2" "$work/refused" || { cat "$work/refused"; fail "not refused with '$2': $1"; }; }

# ---- machines that speak: the world, and a machine on a switch, each a network namespace ----

cat >"$work/peer.py" <<'P'
import hashlib, os, socket, sys, threading
PATIENCE = float(os.environ.get("PATIENCE", "8"))
BLOB = bytes(range(256)) * 16384  # 4 MiB
def family(a): return socket.AF_INET6 if ":" in a else socket.AF_INET
def stream(sock, me):
    while True:
        c, who = sock.accept()
        threading.Thread(target=talk, args=(c, who, me), daemon=True).start()
def talk(c, who, me):  # takes a blob, gives its hash, who asked, and the blob back
    h, left = hashlib.sha256(), len(BLOB)
    while left:
        got = c.recv(min(left, 65536))
        if not got: return
        h.update(got); left -= len(got)
    c.sendall(("%s %s %s\n" % (h.hexdigest(), who[0], me)).encode() + BLOB)
    c.close()
def datagrams(sock, me):
    while True:
        data, who = sock.recvfrom(2000)
        sock.sendto(b"%s %s " % (who[0].encode(), me.encode()) + data, who)
def names(sock):  # RFC 1035: every name is 203.0.113.99
    while True:
        q, who = sock.recvfrom(2000)
        end = q.index(b"\0", 12) + 5
        sock.sendto(q[:2] + b"\x81\x80" + q[4:6] + b"\0\1\0\0\0\0" + q[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xcb\0\x71\x63", who)
def serve(me, port, dns):
    for a in ("0.0.0.0", "::"):
        t, u = socket.socket(family(a), socket.SOCK_STREAM), socket.socket(family(a), socket.SOCK_DGRAM)
        for s in (t, u):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ":" in a: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.bind((a, port))
        t.listen(16)
        threading.Thread(target=stream, args=(t, me), daemon=True).start()
        threading.Thread(target=datagrams, args=(u, me), daemon=True).start()
    if dns:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 53))
        threading.Thread(target=names, args=(s,), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()
def tcp(a, port):
    c = socket.create_connection((a, port), timeout=PATIENCE)
    threading.Thread(target=c.sendall, args=(BLOB,), daemon=True).start()
    got = b""
    while True:
        part = c.recv(65536)
        if not part: break
        got += part
    line, blob = got.split(b"\n", 1)
    digest, who, me = line.decode().split()
    ok = digest == hashlib.sha256(BLOB).hexdigest() and blob == BLOB
    print("whole" if ok else "damaged", who, me)
def udp(a, port):
    s = socket.socket(family(a), socket.SOCK_DGRAM); s.settimeout(PATIENCE)
    s.sendto(b"hello", (a, port))
    print(s.recv(2000).decode())
def dns(a):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(PATIENCE)
    s.sendto(b"\x12\x34\1\0\0\1\0\0\0\0\0\0\4test\0\0\1\0\1", (a, 53))
    print(socket.inet_ntoa(s.recv(2000)[-4:]))
what, args = sys.argv[1], sys.argv[2:]
try:
    if what == "serve": serve(args[0], int(args[1]), len(args) > 2)
    elif what == "dns": dns(args[0])
    else: {"tcp": tcp, "udp": udp}[what](args[0], int(args[1]))
except OSError as e:
    print("no answer:", e)
P
namespace() { # VARIABLE: a new one, held by a process whose id it gets
    unshare -n sleep 600 &
    printf -v "$1" %s $!
    for _ in $(seq 100); do [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/$$/ns/net)" ] || break; sleep 0.02; done
    nsenter -t $! -n ip link set lo up
}
in_() { local n=$1; shift; nsenter -t "$n" -n "$@"; }
ready() { for _ in $(seq 250); do grep -q ready "$1" 2>/dev/null && return; sleep 0.02; done; cat "$1"; fail "not ready: $1"; }
serve() { # NAMESPACE NAME PORT [dns]
    local n=$1
    shift
    in_ "$n" python3 "$work/peer.py" serve "$@" >"$work/$1.ready" 2>&1 &
    ready "$work/$1.ready"
}
ask() { local n=$1; shift; in_ "$n" python3 "$work/peer.py" "$@"; }
silent() { # NAMESPACE KIND ADDRESS PORT WHAT: nobody answers there, or WHAT is told
    case $(PATIENCE=1 ask "$1" "$2" "$3" "$4") in "no answer"*) ;; *) fail "$5" ;; esac
}
is() { [ "$1" = "$2" ] || fail "$3: '$1', not '$2'"; }
machine() { # NAMESPACE SWITCH TAP ADDRESS...: a machine on the switch
    local n=$1 switch=$2 name=$3
    shift 3
    "$tap" "$switch" "$name" >"$work/$name.ready" 2>&1 &
    ready "$work/$name.ready"
    ip link set "$name" netns "$n"
    in_ "$n" ip link set "$name" up
    for a in "$@"; do in_ "$n" ip addr add "$a" dev "$name" $(case $a in *:*) echo nodad ;; esac); done
}
residue() { # what may not change: rules, interfaces, and who passes packets on
    nft list ruleset
    ip -o link | sed 's/^[0-9]*: //; s/ .*//'
    grep -H . /proc/sys/net/ipv[46]/conf/*/forwarding
}

ip link set lo up
namespace world
ip link add eth0 type veth peer name w0 || skip "this kernel has no veth"
ip link set w0 netns "$world"
ip addr add 203.0.113.2/24 dev eth0
ip addr add 2001:db8::2/64 dev eth0 nodad
ip link set eth0 up
in_ "$world" ip link set w0 up
in_ "$world" ip addr add 203.0.113.1/24 dev w0
in_ "$world" ip addr add 2001:db8::1/64 dev w0 nodad
serve "$world" world 7000 dns
echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range 2>/dev/null || echo "0 0" >/proc/sys/net/ipv4/ping_group_range
echo "nameserver 203.0.113.1" >"$work/resolv.conf"
[ ! -e /etc/resolv.conf ] || mount --bind "$work/resolv.conf" /etc/resolv.conf 2>/dev/null || true
[ ! -e /etc/resolv.conf ] || [ "$work/resolv.conf" -ef /etc/resolv.conf ] || skip "a resolv.conf of its own cannot be mounted here"

# ---- the parts ----

nat() { # MODE: Kernel or User
    local mode=$1 client network=192.168.100
    residue >"$work/before"
    namespace client
    d "New-VMSwitch nat$mode -SwitchType Internal -HostNetwork $mode" >/dev/null
    d "New-NetNat net$mode -InternalIPInterfaceAddressPrefix $network.0/24; New-NetNat six$mode -InternalIPInterfaceAddressPrefix fd00:100::/64" >/dev/null
    d "New-NetIPAddress $network.1 -InterfaceAlias 'vEthernet (NAT$mode)' -PrefixLength 24; New-NetIPAddress fd00:100::1 -InterfaceAlias 'vEthernet (nat$mode)' -PrefixLength 64" >/dev/null
    is "$(d "(Get-NetAdapter 'vethernet (nat$mode)').Status")" Up "the host's adapter"
    kill -9 "$(d "(Get-VMSwitch nat$mode).ProcessId")" # as if the host had been off
    sleep 0.3
    d "Start-VM -Automatic"
    is "$(d "(Get-NetIPAddress $network.1).AddressState")" Preferred "the host's address after a start"
    machine "$client" "nat$mode" c$mode $network.2/24 fd00:100::2/64
    in_ "$client" ip route add default via $network.1
    in_ "$client" ip route add default via fd00:100::1
    serve "$client" machine 80
    is "$(ask "$client" tcp 203.0.113.1 7000)" "whole 203.0.113.2 world" "TCP outward ($mode)"
    is "$(ask "$client" udp 203.0.113.1 7000)" "203.0.113.2 world hello" "UDP outward ($mode)"
    is "$(ask "$client" tcp 2001:db8::1 7000)" "whole 2001:db8::2 world" "TCP over IPv6 ($mode)"
    is "$(ask "$client" udp 2001:db8::1 7000)" "2001:db8::2 world hello" "UDP over IPv6 ($mode)"
    is "$(ask "$client" dns 203.0.113.1)" 203.0.113.99 "DNS ($mode)"
    in_ "$client" busybox ping -c 1 -W 5 203.0.113.1 >/dev/null || fail "no ICMP echo ($mode)"
    if [ "$mode" = Kernel ]; then
        in_ "$client" busybox ping -c 1 -W 5 2001:db8::1 >/dev/null || fail "no ICMPv6 echo"
        in_ "$world" ip route add $network.0/24 via 203.0.113.2
        silent "$world" tcp $network.2 80 "the world reaches the machine though nothing is mapped"
        in_ "$world" ip route del $network.0/24
    else
        is "$(ask "$client" dns $network.1)" 203.0.113.99 "DNS at the gateway"
    fi
    say "$mode: outward by TCP, UDP, DNS and ICMP, over IPv4 and IPv6"
    d "Add-NetNatStaticMapping net$mode -Protocol TCP -ExternalIPAddress 0.0.0.0 -ExternalPort 8080 -InternalIPAddress $network.2 -InternalPort 80
       Add-NetNatStaticMapping net$mode -Protocol UDP -ExternalIPAddress 203.0.113.2 -ExternalPort 8081 -InternalIPAddress $network.2 -InternalPort 80
       Add-NetNatStaticMapping six$mode -Protocol TCP -ExternalIPAddress '::' -ExternalPort 8080 -InternalIPAddress fd00:100::2 -InternalPort 80" >/dev/null
    case $(ask "$world" tcp 203.0.113.2 8080) in "whole "*" machine") ;; *) fail "TCP inward ($mode)" ;; esac
    case $(ask "$world" udp 203.0.113.2 8081) in *" machine hello") ;; *) fail "UDP inward ($mode)" ;; esac
    case $(ask "$world" tcp 2001:db8::2 8080) in "whole "*" machine") ;; *) fail "TCP inward over IPv6 ($mode)" ;; esac
    case $(python3 "$work/peer.py" tcp 203.0.113.2 8080) in "whole "*" machine") ;; *) fail "the host's own connection to a mapped port ($mode)" ;; esac
    case $(ask "$client" tcp 203.0.113.2 8080) in "whole "*" machine") ;; *) fail "the machine's connection to its own mapped port ($mode)" ;; esac
    refused "Add-NetNatStaticMapping net$mode -Protocol TCP -ExternalIPAddress 203.0.113.2 -ExternalPort 8080 -InternalIPAddress $network.3" "mapped to $network.2"
    refused "New-NetNat more -InternalIPInterfaceAddressPrefix 192.168.0.0/16" "overlaps $network.0/24"
    refused "New-NetNat more -InternalIPInterfaceAddressPrefix 203.0.113.128/25" "a network that this host is in"
    d "New-NetNat dhcp$mode -InternalIPInterfaceAddressPrefix 192.168.102.0/24 -Dhcp" >/dev/null
    d "New-NetIPAddress 192.168.102.1 -InterfaceAlias 'vEthernet (nat$mode)' -PrefixLength 24" >/dev/null
    namespace guest
    machine "$guest" "nat$mode" g$mode
    printf '#!/bin/sh\n[ "$1" != bound ] || echo "$ip/$mask $router $dns"\n' >"$work/lease"
    chmod +x "$work/lease"
    is "$(in_ "$guest" busybox udhcpc -i g$mode -q -n -t 5 -T 1 -s "$work/lease" 2>/dev/null | tail -1)" "192.168.102.128/24 192.168.102.1 $([ $mode = Kernel ] && echo 203.0.113.1 || echo 192.168.102.1)" "DHCP ($mode)"
    kill "$guest"
    d "Remove-NetNat dhcp$mode; Remove-NetIPAddress 192.168.102.1"
    say "$mode: DHCP where it was asked for"
    d "Remove-NetNatStaticMapping -StaticMappingID 0"
    silent "$world" tcp 203.0.113.2 8080 "a removed mapping still leads in ($mode)"
    say "$mode: inward by static mappings, until they are removed"
    d "Remove-NetNat net$mode"
    silent "$client" udp 203.0.113.1 7000 "without its NAT the machine reaches the world ($mode)"
    in_ "$client" busybox ping -c 1 -W 5 $network.1 >/dev/null || fail "without its NAT the machine does not reach the host ($mode)"
    d "Remove-NetNat six$mode; Remove-NetIPAddress $network.1; Remove-NetIPAddress fd00:100::1; Remove-VMSwitch nat$mode -Force"
    residue >"$work/after"
    diff "$work/before" "$work/after" || fail "$mode: something is left"
    say "$mode: nothing is left"
    kill "$client"
}

ovs() { # a bridge of Open vSwitch's with a datapath of its own process, so that no module is needed
    export OVS_RUNDIR=$work/ovs OVS_LOGDIR=$work/ovs OVS_DBDIR=$work/ovs OVS_SYSCONFDIR=$work/ovs
    mkdir "$work/ovs"
    ovsdb-tool create "$work/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    ovsdb-server "$work/ovs/conf.db" --remote=punix:"$work/ovs/db.sock" --pidfile --detach 2>"$work/ovs/log"
    ovs-vsctl --no-wait init
    ovs-vswitchd unix:"$work/ovs/db.sock" --pidfile --detach 2>>"$work/ovs/log"
    ovs-vsctl --timeout=20 add-br ovs0 -- set bridge ovs0 datapath_type=netdev -- add-port ovs0 e0
    d 'New-VMSwitch ext -NetAdapterName ovs0 -AllowManagementOS $false' >/dev/null
    namespace near
    machine "$near" ext e0tap 198.51.100.2/24
    in_ "$near" busybox ping -c 1 -W 5 198.51.100.1 >/dev/null || fail "no ICMP echo through Open vSwitch"
    d "Remove-VMSwitch ext -Force"
    is "$(ovs-vsctl --timeout=20 list-ports ovs0)" e0 "the ports of the Open vSwitch bridge at the end"
    ovs-vsctl --timeout=20 del-br ovs0
    kill "$near" "$(cat "$work/ovs/ovs-vswitchd.pid")" "$(cat "$work/ovs/ovsdb-server.pid")"
    sleep 0.2
    say "External on an Open vSwitch bridge"
}

crossed() { # SWITCH WHAT: a machine on the External switch reaches the far one
    namespace near
    machine "$near" "$1" e0tap 198.51.100.2/24
    is "$(ask "$near" tcp 198.51.100.1 7001)" "whole 198.51.100.2 far" "$2"
    d "Remove-VMSwitch $1 -Force"
    kill "$near"
    say "External on $2"
}

external() {
    namespace far
    ip link add e0 type veth peer name f0
    ip link set f0 netns "$far"
    ip link set e0 up
    in_ "$far" ip link set f0 up
    in_ "$far" ip addr add 198.51.100.1/24 dev f0
    serve "$far" far 7001
    residue >"$work/before"
    d 'New-VMSwitch ext -NetAdapterName e0 -AllowManagementOS $false' >/dev/null
    crossed ext "a network device"
    if ip link add br0 type bridge 2>/dev/null; then
        ip link set e0 master br0
        ip link set br0 up
        d 'New-VMSwitch ext -NetAdapterName br0 -AllowManagementOS $false' >/dev/null
        crossed ext "a bridge"
        ip link del br0
    else
        echo "no External on a bridge: this kernel has none"
    fi
    if ip link add vx0 type vxlan id 7 dstport 4789 local 203.0.113.2 remote 203.0.113.1 2>/dev/null; then
        in_ "$world" ip link add vx1 type vxlan id 7 dstport 4789 local 203.0.113.1 remote 203.0.113.2
        in_ "$world" ip addr add 198.51.100.1/24 dev vx1
        in_ "$world" ip link set vx1 mtu 1450 up
        serve "$world" far 7001
        ip link set vx0 mtu 1450 up
        d 'New-VMSwitch ext -NetAdapterName vx0 -AllowManagementOS $false' >/dev/null
        namespace near
        machine "$near" ext e0tap 198.51.100.2/24
        in_ "$near" ip link set e0tap mtu 1450
        is "$(ask "$near" tcp 198.51.100.1 7001)" "whole 198.51.100.2 far" "a VXLAN device"
        d "Remove-VMSwitch ext -Force"
        kill "$near"
        ip link del vx0
        say "External on a VXLAN device"
    else
        echo "no External on VXLAN: this kernel has none"
    fi
    if command -v ovs-vswitchd >/dev/null; then
        ovs
    else
        echo "no External on Open vSwitch: openvswitch-switch is not installed"
    fi
    d "New-VMSwitch ext -NetAdapterName e0" >/dev/null
    d "New-NetIPAddress 198.51.100.3 -InterfaceAlias 'vEthernet (ext)' -PrefixLength 24" >/dev/null
    is "$(python3 "$work/peer.py" tcp 198.51.100.1 7001)" "whole 198.51.100.3 far" "the host through its External switch"
    d "Remove-NetIPAddress 198.51.100.3; Remove-VMSwitch ext -Force"
    residue >"$work/after"
    diff "$work/before" "$work/after" || fail "External: something is left"
    say "External with the host on it, and nothing is left"
}

page() { # as the page prints it, in the middle machine and in the nested one, both of which this host plays
    echo "nameserver 192.0.2.1" >"$work/resolv.conf"
    ip link add l2eth0 type dummy 2>/dev/null || ip link add l2eth0 type veth peer name l2eth1
    ip link set l2eth0 up
    d 'New-VMSwitch -Name VmNAT -SwitchType Internal' >/dev/null
    d 'New-NetNat –Name LocalNAT –InternalIPInterfaceAddressPrefix “192.168.100.0/24”' >/dev/null
    d 'Get-NetAdapter "vEthernet (VmNat)" | New-NetIPAddress -IPAddress 192.168.100.1 -AddressFamily IPv4 -PrefixLength 24' >/dev/null
    refused 'Get-NetAdapter l2eth0 | New-NetIPAddress -IPAddress 192.168.101.2 -DefaultGateway 192.168.101.1 -AddressFamily IPv4 -PrefixLength 24' "[-]Force"
    d 'Get-NetAdapter l2eth0 | New-NetIPAddress -IPAddress 192.168.101.2 -DefaultGateway 192.168.101.1 -AddressFamily IPv4 -PrefixLength 24 -Force' >/dev/null
    case $(ip route) in *"default via 192.168.101.1 dev l2eth0"*) ;; *) fail "no default gateway: $(ip route)" ;; esac
    d 'Netsh interface ip add dnsserver “vEthernet (VmNat)” address=192.0.2.53'
    d 'Netsh interface ip add dnsserver "l2eth0" address=192.0.2.53'
    is "$(tr '\n' ' ' <"$work/resolv.conf")" "nameserver 192.0.2.1 nameserver 192.0.2.53 " "the resolver"
    ip address add 192.0.2.9/32 dev lo
    ip address add 192.0.2.9/32 dev l2eth0
    d 'Get-NetIPAddress 192.0.2.9 -InterfaceAlias l2eth0 | Remove-NetIPAddress -Force'
    is "$(ip -o address show to 192.0.2.9 | awk '{print $2}')" "lo" "who has the address of another adapter's"
    ip address del 192.0.2.9/32 dev lo
    d 'Remove-NetIPAddress 192.168.101.2 -Force; Remove-NetIPAddress 192.168.100.1; Remove-NetNat LocalNAT; Remove-VMSwitch VmNAT -Force'
    case $(ip route) in *192.168.101.1*) fail "the default gateway is left" ;; esac
    say "the page's lines"
}

devices=$({ ip tuntap add dev probe mode tap && ip link del probe && nft add table inet probe && nft delete table inet probe; } 2>&1) || devices="no TAP or no nftables: $devices"
for part in ${*:-kernel user external page}; do
    if [ "$part" = user ]; then
        [ -r /dev/net/tun ] && [ -w /dev/net/tun ] || skip "no machine can be put on a switch: /dev/net/tun cannot be opened"
    elif [ -n "$devices" ]; then
        echo "skipped part $part: $devices"
        skipped=1
        continue
    fi
    case $part in
    kernel) nat Kernel ;;
    user) nat User ;;
    external) external ;;
    page) page ;;
    esac
done
[ -z "${skipped:-}" ] || skip "not all parts could run: this user or kernel has no TAP"
echo "all parts passed"
