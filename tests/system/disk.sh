#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Debian root file system on a virtio disk: made with mmdebstrap, booted read-write, shut down, and clean after;
# snapshot=on leaves the image untouched, readonly=on refuses writes.
. "$(dirname "$0")/lib.bash"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is not installed"
cache=$guest/root.ext4
if [ ! -f "$cache" ]; then
    mmdebstrap --variant=essential --include=mount bookworm "$work/root.tar" >"$work/log" 2>&1 || { tail -5 "$work/log"; fail "mmdebstrap failed"; }
    mkdir "$work/root"
    tar -C "$work/root" --exclude='./dev/*' -xf "$work/root.tar"
    cat >"$work/root/sbin/droste-init" <<'I'
#!/bin/sh
mount -t proc proc /proc
mount -o remount,rw / || exit 1
echo "root is $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release)"
echo "boots: $(($(cat /boots 2>/dev/null || echo 0) + 1))"
echo $(($(cat /boots 2>/dev/null || echo 0) + 1)) >/boots
cp -a /usr/lib/x86_64-linux-gnu /copy && rm -rf /copy
sync
mount -o remount,ro / && echo "remounted read-only"
echo o >/proc/sysrq-trigger
sleep 60
I
    chmod +x "$work/root/sbin/droste-init"
    mke2fs -q -t ext4 -d "$work/root" "$cache.tmp" 600M
    mv "$cache.tmp" "$cache"
fi
cp --sparse=always "$cache" "$work/disk"
initramfs "$work/img" -m virtio_pci -m virtio_blk -m ext4 <<'I'
mount -t ext4 -o ro /dev/vda /root || exit 1
umount /proc /sys
exec switch_root /root /sbin/droste-init
I
run() { boot "$@" --memory 512M --initrd "$work/img" --append "console=ttyS0 quiet panic=-1"; }
run "$work/1" --disk "$work/disk"
expect_status 0 "$work/1"
expect_line "^boots: 1" "$work/1"
expect_line "remounted read-only" "$work/1"
e2fsck -fn "$work/disk" || fail "the file system is not clean"
run "$work/2" --disk "$work/disk,snapshot=on" --cpu-vendor amd --cpus 2
expect_line "^boots: 2" "$work/2"
run "$work/3" --disk "$work/disk"
expect_line "^boots: 2" "$work/3"
e2fsck -fn "$work/disk" || fail "the file system is not clean after a snapshot run and another boot"
before=$(sha256sum <"$work/disk")
run "$work/4" --disk "$work/disk,readonly=on"
[ "$before" = "$(sha256sum <"$work/disk")" ] || fail "a read-only disk changed"
