#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Another hypervisor than KVM, on both vendors: Debian's Xen as L1's hypervisor, Debian's kernel as dom0, and in it
# `xl create` of a PVH guest, Debian's cloud kernel, as L2, which greets.
# usage: xen.sh [VENDOR...] (default: intel amd). Downloads what it needs to build/guest-xen.
. "$(dirname "$0")/lib.bash"
xen=build/guest-xen
tools/get-xen "$xen" || skip "no Xen: tools/get-xen failed"

cat >"$work/l2.sh" <<'I'
echo "L2: under $(cat /sys/hypervisor/type), $(dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum | cut -c1-16)"
grep -qwE 'vmx|svm' /proc/cpuinfo && echo "L2 sees extensions"
echo "greetings from L2"
I
tools/mkinitramfs -o "$work/l2.img" -i "$work/l2.sh"
cat >"$work/l2.cfg" <<'C'
name = "l2"
type = "pvh"
memory = 256
vcpus = 2
kernel = "/l2/vmlinuz"
ramdisk = "/l2/initrd"
extra = "console=hvc0 quiet"
on_crash = "destroy"
C

# xl finds its helper by its absolute path; the libraries lie where mkinitramfs found them.
bin=$(echo "$xen"/tools/usr/lib/xen-*/bin)
library_path=$(realpath "$xen/tools/usr/lib/x86_64-linux-gnu")
programs=()
for p in xl xenstored xenconsoled xen-init-dom0 libxl-save-helper; do
    programs+=(-l "$bin/$p:${bin#"$xen/tools"}/$p")
done
{
    echo "export LD_LIBRARY_PATH=$library_path PATH=\$PATH:${bin#"$xen/tools"}"
    cat <<'I'
mkdir -p /dev/pts /run/xen /run/xenstored /run/lock /var /var/lib/xen /var/lib/xenstored /var/log/xen/console
ln -s /run /var/run
ln -s /run/lock /var/lock
mount -t devpts pts /dev/pts
mount -t xenfs xenfs /proc/xen
xenstored
xen-init-dom0
xenconsoled --log=guest --log-dir=/var/log/xen/console
xl info | grep virt_caps
xl create /l2.cfg || echo "xl create failed: $?"
for i in $(seq 300); do xl list l2 >/dev/null 2>&1 || break; sleep 1; done
cat /var/log/xen/console/guest-l2.log
xl list l2 >/dev/null 2>&1 && { echo "L2 does not end"; xl dmesg; }
echo "dom0 is done"
I
} >"$work/dom0.sh"
: >"$work/xl.conf"
gcc_s=$(gcc -print-file-name=libgcc_s.so.1)
LD_LIBRARY_PATH=$library_path tools/mkinitramfs -o "$work/dom0.img" -k "$xen/dom0/modules" -m xen-evtchn -m xen-gntdev \
    -m xen-gntalloc -m xenfs -m xen-privcmd "${programs[@]}" -f "$gcc_s:/usr/lib/x86_64-linux-gnu/libgcc_s.so.1" \
    -f "$work/xl.conf:/etc/xen/xl.conf" -f "$guest/vmlinuz:/l2/vmlinuz" -f "$work/l2.img:/l2/initrd" \
    -f "$work/l2.cfg:/l2.cfg" -i "$work/dom0.sh"

zeros=$(dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum | cut -c1-16)
for vendor in ${*:-intel amd}; do
    log=$work/$vendor status=0 start=$(date +%s)
    "$droste" run --engine soft --cpu-vendor "$vendor" --nested on --memory 1536M --kernel "$xen/xen" --no-reboot --timeout 900 \
        --append "console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all dom0_mem=768M" \
        --initrd "$xen/dom0/vmlinux console=hvc0 quiet,$work/dom0.img" >"$log" 2>"$log.err" </dev/null || status=$?
    expect_line "HVM: (VMX|SVM) enabled" "$log"
    expect_line "virt_caps.* hvm" "$log"
    expect_line "L2: under xen, $zeros" "$log"
    expect_line "greetings from L2" "$log"
    expect_line "dom0 is done" "$log"
    expect_status 0 "$log"
    refuse_line "BUG:|^[^(]*WARNING:|Oops|Call Trace|\(XEN\).*(BUG|FATAL|Panic)|L2 does not end|L2 sees extensions" "$log"
    echo "ok: Xen on $vendor, $(($(date +%s) - start)) s: $(tr -d '\r' <"$log" | sed -n '/advanced features/,/enabled/s/^(XEN)  - //p' | paste -sd, | sed 's/,/, /g')"
done
