#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# --net user: DHCP, DNS and TCP in both directions through the user-mode network, checked by content.
. "$(dirname "$0")/lib.bash"
command -v python3 >/dev/null || skip "python3 is not installed"
head -c 3000000 /dev/urandom >"$work/blob"
sum=$(sha256sum <"$work/blob" | cut -d' ' -f1)
python3 - "$work" <<'P' &
import http.server, functools, sys
h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), h)
open(sys.argv[1] + "/port", "w").write(str(s.server_port))
s.serve_forever()
P
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 50); do [ -s "$work/port" ] && break; sleep 0.1; done
port=$(cat "$work/port")
forward=$((20000 + RANDOM % 20000))
initramfs "$work/img" -m virtio_pci -m virtio_net -m af_packet <<I
cat >/tmp/lease <<'S'
#!/bin/sh
[ "\$1" = bound ] || exit 0
ip addr add "\$ip/\$mask" dev "\$interface"
ip route add default via "\$router"
echo "nameserver \$dns" >/etc/resolv.conf
echo "lease: \$ip router \$router dns \$dns"
S
chmod +x /tmp/lease
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -q -n -s /tmp/lease
wget -q -O /tmp/blob http://10.0.2.2:$port/blob && sha256sum /tmp/blob
nslookup localhost 10.0.2.3 | tail -3
echo "guest is listening"
echo "hello from the guest" | nc -l -p 7777
echo "served"
I
boot "$work/log" --memory 512M --net user,forward=$forward:7777 --initrd "$work/img" --append "console=ttyS0 quiet" &
runner=$!
for _ in $(seq 200); do grep -q "guest is listening" "$work/log" 2>/dev/null && break; sleep 0.5; done
sleep 1
python3 -c "
import socket
s = socket.create_connection(('127.0.0.1', $forward), 20)
print(s.makefile().readline().strip())" >"$work/answer" || fail "no connection through the forwarded port"
wait $runner
grep -q "hello from the guest" "$work/answer" || fail "the forwarded port answered: $(cat "$work/answer")"
expect_line "lease: 10\.0\.2\.15" "$work/log"
expect_line "$sum" "$work/log"
expect_line "served" "$work/log"
