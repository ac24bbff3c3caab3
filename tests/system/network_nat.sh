#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The page's NAT, on both vendors' models: in L1 this very program runs the page's lines; L2 has a static address and that
# gateway, takes the page's lines for its own address and DNS server, resolves a name and fetches from a server beyond L1;
# a static mapping lets the outside reach a server in L2. In L1 once as root (the kernel's NAT) and once as another user
# (by libslirp in the switch's process).
#
# All of it happens in a network namespace that the test makes, whose only network is "Outer", an Internal switch: the
# namespace itself, 10.77.0.1, is the outer world, with a web server and a DNS server.
[ "$(id -u)" = 0 ] || { echo "making network namespaces needs root"; exit 77; }
[ -n "${IN_NAMESPACE:-}" ] || IN_NAMESPACE=1 exec unshare -n bash "$0" "$@"
. "$(dirname "$0")/network.bash"
command -v python3 >/dev/null || skip "python3 is not installed"

# The outer network. Its server has /blob, whose sum is $sum.
outer_network() {
    ip link set lo up
    d New-VMSwitch -Name Outer -SwitchType Internal >/dev/null
    d -Command 'Get-NetAdapter "vEthernet (Outer)" | New-NetIPAddress -IPAddress 10.77.0.1 -PrefixLength 24 -AddressFamily IPv4' >/dev/null
    mkdir -p "$work/www"
    seq 1 150000 >"$work/www/blob"
    sum=$(sha256sum <"$work/www/blob" | cut -d' ' -f1)
    busybox httpd -f -p 10.77.0.1:80 -h "$work/www" &
    servers+=($!)
}
outer_dns() { # every name of outer.test is 10.77.0.1, others do not exist. RFC 1035 4.1
    python3 - <<'P' &
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.1", 53))
while True:
    q, peer = s.recvfrom(512)
    end = q.index(0, 12) + 5
    ours = q[12:end].lower().endswith(b"\5outer\4test\0" + q[end - 4:end])
    a = ours and q[end - 4:end - 2] == b"\0\1"
    answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([10, 77, 0, 1]) if a else b""
    s.sendto(q[:2] + (b"\x81\x80" if ours else b"\x81\x83") + b"\0\1\0" + bytes([a]) + b"\0\0\0\0" + q[12:end] + answer, peer)
P
    servers+=($!)
}

outer_network
outer_dns

cat >"$work/l2.sh" <<'I'
ip link set lo up
ip link set eth0 up
export DROSTE_HOME=/home
droste -Command 'Get-NetAdapter "eth0" | New-NetIPAddress -IPAddress 192.168.100.2 -DefaultGateway 192.168.100.1 -AddressFamily IPv4 -PrefixLength 24 -Force' >/tmp/out 2>&1 || cat /tmp/out
droste -Command 'Netsh interface ip add dnsserver "eth0" address=10.77.0.1' || cat /etc/resolv.conf
echo "L2 has $(ip -o -4 addr show eth0 | sed 's/.*inet //; s/ .*//')"
ping -c 2 192.168.100.1 >/dev/null && echo "L2 pings its gateway"
nslookup www.outer.test 2>&1 | grep -q 10.77.0.1 && echo "L2 resolves"
echo "L2 fetched $(wget -q -O - http://www.outer.test/blob | sha256sum)"
echo "hello from L2" | nc -l -p 80
echo "L2 served"
I
tools/mkinitramfs -o "$work/l2.img" -k "$guest/modules" -m virtio_pci -m virtio_net -m virtio-rng -l "$droste:/bin/droste" -i "$work/l2.sh"

# The page's lines as a user of L1 types them, then L2.
cat >"$work/nat.sh" <<'I'
cd /
droste -Command 'New-VMSwitch -Name VmNAT -SwitchType Internal' || exit
droste -Command 'New-NetNat –Name LocalNAT –InternalIPInterfaceAddressPrefix “192.168.100.0/24”' || exit
droste -Command 'Get-NetAdapter "vEthernet (VmNat)" | New-NetIPAddress -IPAddress 192.168.100.1 -AddressFamily IPv4 -PrefixLength 24' || exit
droste Add-NetNatStaticMapping -NatName LocalNAT -Protocol TCP -ExternalIPAddress 0.0.0.0 -ExternalPort 8080 -InternalIPAddress 192.168.100.2 -InternalPort 80 || exit
droste -Command 'Get-VMSwitch | Format-List Name, SwitchType, HostNetworkInUse, Running'
droste run --engine kvm --memory 192M --kernel /vmlinuz --initrd /l2.img --append "console=ttyS0 quiet" --net switch=VmNAT \
    --no-reboot --timeout 200 </dev/null
echo "L2 ended with status $?"
droste Remove-NetNat LocalNAT -Confirm:false
droste Remove-VMSwitch VmNAT -Force
I
cat >"$work/l1.sh" <<'I'
ip link set lo up
ip link set eth0 up
ip addr add 10.77.0.10/24 dev eth0
ip route add default via 10.77.0.1
echo "root:x:0:0::/root:/bin/sh
user:x:1000:1000::/home:/bin/sh" >/etc/passwd
mkdir -p /home /dev/net
chown 1000:1000 /home
chmod 666 /dev/kvm
chmod 777 /tmp
before=$(ip -o link | wc -l)
echo "L1 as root"
sh /nat.sh 2>&1
[ "$(ip -o link | wc -l)" = "$before" ] && echo "L1 has no adapter left"
droste New-VMSwitch -Name VmNAT -SwitchType Internal >/dev/null # a name is looked for among one's own first
droste Start-VMSwitch VmNAT
echo "L1 as a user"
su user -c 'DROSTE_HOME=/home/droste sh /nat.sh' 2>&1
I

page() { # what the outside gets at L1's mapped port
    python3 - <<'P'
import socket, time
end = time.monotonic() + 50
while time.monotonic() < end:
    try:
        s = socket.create_connection(("10.77.0.10", 8080), 2)
        line = s.makefile().readline().strip()
        if line:
            print(line)
            break
    except OSError:
        pass
    time.sleep(0.25)
P
}
for vendor in ${VENDORS:-Intel AMD}; do
    tools/mkinitramfs -o "$work/l1.img" -k "$guest/modules" -m "kvm-${vendor,,}" -m virtio_pci -m virtio_net -m virtio-rng \
        -m tun -m nf_tables -m nft_chain_nat -m nft_masq -m nft_ct -m nft_nat -m nft_fib_inet -l "$droste:/bin/droste" \
        -f "$guest/vmlinuz:/vmlinuz" -f "$work/l2.img:/l2.img" -f "$work/nat.sh:/nat.sh" -i "$work/l1.sh"
    new_l1 L1 "$vendor" "$work/l1.img" 768MB
    d Start-VM L1
    for who in "L1 as root" "L1 as a user"; do
        wait_line L1 120 "^$who"
        part() { console L1 | sed -n "/^$who/,/^L2 ended/p"; }
        [ "$(page)" = "hello from L2" ] || { part; fail "the outside does not reach L2"; }
        n=100
        until part | grep -q "^L2 ended"; do sleep 0.2; n=$((n - 1)); [ $n -gt 0 ] || { part; fail "L2 does not end"; }; done
        part >"$work/part"
        for line in "L2 has 192.168.100.2/24" "L2 pings its gateway" "L2 resolves" "L2 fetched $sum" "L2 served" "L2 ended with status 0"; do
            grep -q "^$line" "$work/part" || { cat "$work/part"; fail "$vendor, $who: no line '$line'"; }
        done
        echo "ok: $vendor, $who: out, names, and in by a mapping"
    done
    d Wait-VM L1 -State Off -Timeout 30 || fail "L1 does not end"
    console L1 | grep -q "^L1 has no adapter left" || { console L1; fail "something is left of the kernel's network"; }
    d Remove-VM L1 -Force
done
