#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `meson install` puts in place, and droste.service under a real systemd: a guest with Debian's systemd has it
# enabled, is rebooted, loses its power, and is shut down; VMs in it are saved, go on, start and stay off as they say.
. "$(dirname "$0")/lib.bash"
tools/get-packages "$guest/systemd.ext4" 500M systemd systemd-sysv bash coreutils util-linux mount libc-bin base-files
tree=$work/tree
DESTDIR=$tree meson install -C "$(dirname "$droste")" --no-rebuild >"$work/install" 2>&1 || { cat "$work/install"; fail "meson install"; }
prefix=$tree$(meson introspect --buildoptions "$(dirname "$droste")" |
    python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
for f in bin/droste share/man/man1/droste.1 share/man/man1/droste-run.1 share/bash-completion/completions/droste \
    lib/systemd/system/droste.service lib/systemd/user/droste.service lib/systemd/system/session-.scope.d/droste.conf; do
    [ -s "$prefix/$f" ] || fail "meson install leaves no $f"
done
[ "$("$prefix/bin/droste" --version)" = "$("$droste" --version)" ] || fail "the installed program"
grep -qx "ExecStart=${prefix#"$tree"}/bin/droste Start-VM -Automatic" "$prefix/lib/systemd/system/droste.service" || fail "the unit starts another program"
bash -c ". '$prefix/share/bash-completion/completions/droste' && complete -p droste" >"$work/complete" || fail "the completion"
echo "ok: installed"

mkdir -p "$tree/test" "$tree/etc/systemd/system"
cp "$(dirname "$droste")/tests/cli_guest.elf" "$(command -v busybox)" "$tree/test/"
cat >"$tree/etc/systemd/system/test.service" <<'U'
[Unit]
After=droste.service
[Service]
Type=oneshot
ExecStart=/bin/bash /test/phase.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
U
# Each boot is a phase. A guest's "hello" is in its console's log once for each time that it started afresh.
cat >"$tree/test/phase.sh" <<I
export PATH=${prefix#"$tree"}/bin:/usr/bin:/bin:/usr/sbin:/sbin
cd /test
I
cat >>"$tree/test/phase.sh" <<'I'
phase=$(($(cat phase 2>/dev/null) + 1))
echo $phase >phase
tell() { # how it is with the VMs
    sleep 1
    for n in in-session in-unit off; do
        echo "phase $phase: $n $(droste -Command "(Get-VM $n).State"), started $(./busybox grep -c hello "$(folder $n)/console.log")"
    done
}
folder() { echo "/var/lib/droste/vm/$(droste -Command "(Get-VM $1).Id")"; }
case $phase in
1)
    for n in in-session in-unit off; do
        droste New-VM $n -MemoryStartupBytes 32MB -Engine Soft >/dev/null
        droste Set-VMFirmware $n -KernelPath /test/cli_guest.elf -KernelCommandLine do=h
        : >"$(folder $n)/console.log"
    done
    droste Set-VM in-unit -AutomaticStartAction Start
    systemctl enable --now droste
    systemd-run --scope --unit=session-1.scope droste Start-VM in-session # where a login's processes are
    tell
    systemctl reboot
    ;;
2)
    tell
    sync
    echo b >/proc/sysrq-trigger
    ;;
3)
    tell
    systemctl poweroff
    ;;
esac
I
initramfs "$work/img" -m virtio_pci -m virtio_blk -m ext4 -m virtio-rng -f "$tree:/tree" -l "$droste:/bin/droste" <<'I'
mkdir -p /host
mount -t ext4 /dev/vda /host
if [ ! -d /host/test ]; then
    cp -a /tree/. /host/
    for f in $(find /lib /lib64 -name "*.so*"); do # the program's libraries that the packages have not brought
        [ -e "/host$f" ] || { mkdir -p "/host${f%/*}" && cp -L "$f" "/host$f"; }
    done
    echo "root:x:0:0:root:/root:/bin/bash" >/host/etc/passwd
    echo "root:x:0:" >/host/etc/group
    echo 0123456789abcdef0123456789abcdef >/host/etc/machine-id
    mkdir -p /host/root /host/etc/systemd/system/multi-user.target.wants
    ln -s ../test.service /host/etc/systemd/system/multi-user.target.wants/
fi
for d in proc sys dev; do mount --move /$d /host/$d; done
exec switch_root /host /lib/systemd/systemd
I
log=$work/log
status=0
"$droste" run --engine soft --cpus 2 --memory 1G --kernel "$guest/vmlinuz" --initrd "$work/img" --disk "$guest/systemd.ext4,snapshot=on" \
    --timeout 240 --append "console=ttyS0 quiet systemd.unit=multi-user.target systemd.show_status=0 systemd.getty_auto=0 \
    systemd.mask=getty-static.service systemd.mask=systemd-sysusers.service" >"$log" 2>"$log.err" </dev/null || status=$?
grep "^phase " "$log" || true
expect_status 0 "$log"
expect_line "^phase 1: in-session Running, started 1" "$log"
expect_line "^phase 1: in-unit Running, started 1" "$log"
expect_line "^phase 2: in-session Running, started 1" "$log" # saved, and gone on with
expect_line "^phase 2: in-unit Running, started 1" "$log"
expect_line "^phase 3: in-session Running, started 2" "$log" # nothing had been saved
expect_line "^phase 3: in-unit Running, started 2" "$log"
for n in 1 2 3; do expect_line "^phase $n: off Off, started 0" "$log"; done
echo "ok: the unit saves, restores, starts anew after a power cut, and leaves alone what was off"
