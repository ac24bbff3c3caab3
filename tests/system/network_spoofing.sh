#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# MAC address spoofing, on both vendors' models: L1, with Debian's KVM and QEMU, bridges L2 onto its adapter. Off: L1
# reaches the outer network and L2 does not get beyond L1, its frames are counted and the remedy appears. On, by the
# page's line while both run: L2 gets an address by DHCP from the outer network and exchanges TCP with a server there.
# The outer network is a Private switch with another VM on it, which serves addresses and web pages.
. "$(dirname "$0")/network.bash"
tools/get-packages "$guest/qemu.ext4" 300M qemu-system-x86

cat >"$work/server.sh" <<'I'
ip link set lo up
ip link set eth0 up
ip addr add 10.77.0.1/24 dev eth0
mkdir -p /www /var/lib/misc
seq 1 150000 >/www/blob
httpd -p 10.77.0.1:80 -h /www
echo "start 10.77.0.100
end 10.77.0.199
interface eth0
lease_file /leases
option subnet 255.255.255.0" >/udhcpd.conf
: >/leases
echo "the server is ready"
udhcpd -f /udhcpd.conf
I
sum=$(seq 1 150000 | sha256sum | cut -d' ' -f1)
initramfs "$work/server.img" -m virtio_pci -m virtio_net -m virtio-rng <"$work/server.sh"
d New-VMSwitch -Name Outer -SwitchType Private >/dev/null
new_vm server Intel "$work/server.img" 192MB
d Start-VM server

{
    lease_script L2
    cat <<'I'
ip link set eth0 up
until udhcpc -i eth0 -q -n -t 2 -T 1 -s /lease >/dev/null 2>&1 && ip addr show eth0 | grep -q 10.77; do echo "L2 gets no address"; done
echo "L2 has $(ip -o -4 addr show eth0 | sed 's/.*inet //; s/ .*//')"
echo "L2 fetched $(wget -q -O - http://10.77.0.1/blob | sha256sum)"
while :; do
    ping -c 1 -W 1 10.77.0.1 >/dev/null && echo "L2 pings" || echo "L2 is cut off"
    sleep 0.3
done
I
} >"$work/l2.sh"
tools/mkinitramfs -o "$work/l2.img" -k "$guest/modules" -m virtio_pci -m virtio_net -m virtio-rng -i "$work/l2.sh"
{
    lease_script L1
    cat <<'I'
mkdir -p /q
mount -t ext4 /dev/vda /q && mkdir -p /q/dev /q/tmp /q/l1 && mount --bind /dev /q/dev && mount --bind / /q/l1
brctl addbr br0
tunctl -t tap0 >/dev/null
brctl addif br0 eth0
brctl addif br0 tap0
ip link set br0 address "$(cat /sys/class/net/eth0/address)"
for i in lo eth0 tap0 br0; do ip link set $i up; done
udhcpc -i br0 -q -n -t 10 -s /lease 2>/dev/null
echo "L1 fetched $(wget -q -O - http://10.77.0.1/blob | sha256sum)"
chroot /q qemu-system-x86_64 -accel kvm -cpu host -m 192 -nodefaults -no-user-config -display none -serial stdio \
    -no-reboot -kernel /l1/vmlinuz -initrd /l1/l2.img -append "console=ttyS0 quiet" \
    -netdev tap,id=n,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=n,mac=52:54:00:12:34:56 2>&1
I
} >"$work/l1.sh"

for vendor in ${VENDORS:-Intel AMD}; do
    tools/mkinitramfs -o "$work/l1.img" -k "$guest/modules" -m "kvm-${vendor,,}" -m virtio_pci -m virtio_blk -m virtio_net \
        -m virtio-rng -m ext4 -m bridge -m tun -f "$guest/vmlinuz:/vmlinuz" -f "$work/l2.img:/l2.img" -i "$work/l1.sh"
    new_l1 L1 "$vendor" "$work/l1.img" 768MB
    cp --sparse=always "$guest/qemu.ext4" "$work/qemu.raw"
    d Add-VMHardDiskDrive L1 -Path "$work/qemu.raw"
    d Start-VM L1
    wait_line server 60 "^the server is ready"
    wait_line L1 120 "^L1 fetched $sum"
    wait_line L1 120 "^L2 gets no address"
    refuse_line "^L2 (has|pings)" <(console L1)
    [ "$(d -Command '(Get-VMNetworkAdapter -VMName L1).SpoofedFramesDropped -gt 0')" = True ] || fail "no dropped frame is counted"
    d -Command 'Get-VM L1 | Format-List' | grep -q 'MacAddressSpoofing On' || { d -Command 'Get-VM L1 | Format-List'; fail "Get-VM does not name the remedy"; }
    grep -q 'MacAddressSpoofing On' "$DROSTE_HOME"/vm/*/worker.log || fail "the VM's log does not name the remedy"
    echo "ok: $vendor, off: L2 does not get beyond L1, and the remedy is told"

    d -Command 'Get-VMNetworkAdapter -VMName L1 | Set-VMNetworkAdapter -MacAddressSpoofing On'
    wait_line L1 30 "^L2 has 10.77.0.1"
    wait_line L1 30 "^L2 fetched $sum"
    wait_line L1 30 "^L2 pings"
    echo "ok: $vendor, on: DHCP and TCP between L2 and the outer network"

    d -Command 'Get-VMNetworkAdapter -VMName L1 | Set-VMNetworkAdapter -MacAddressSpoofing Off'
    for _ in $(seq 120); do [ "$(console L1 | tail -n 3 | uniq)" != "L2 is cut off" ] || break; sleep 0.25; done
    [ "$(console L1 | tail -n 3 | uniq)" = "L2 is cut off" ] || { console L1 | tail; fail "L2 is not cut off"; }
    echo "ok: $vendor, off again: at once"
    d Stop-VM L1 -TurnOff
    d Remove-VM L1 -Force
done
