# SPDX-License-Identifier: MIT
# One boot of L1, with Debian's kernel and its KVM on engine soft, and in it every case of a guest inside a guest:
# L2 by this very program and by Debian's QEMU, with disk and network, with one and two vCPUs; L3s, a guest of one page
# and Linux; and the tests of engine kvm. L1 prints a verdict a case. Sourced by nested_intel.sh and nested_amd.sh, which set $vendor.
# CASES in the environment: only these.
. "$(dirname "${BASH_SOURCE[0]}")/lib.bash"
all="droste-1 droste-2 qemu-1 qemu-2 depth-3 machine-kvm nested-active-kvm"
[ "$vendor" = intel ] || all="$all memory-kvm" # of engine kvm, whatever the vendor: once will do
cases=${CASES:-$all}
units=$(dirname "$droste")/tests
[ -x "$units/nested_active_kvm_test" ] || fail "$units/nested_active_kvm_test is not built"
tools/get-packages "$guest/qemu.ext4" 300M qemu-system-x86

# What L2 does, the same for every client. The disk's first MiB is known, the second is L2's to write.
cat >"$work/l2.sh" <<'I'
echo "L2 processors: $(grep -c ^processor /proc/cpuinfo)"
echo "L2 disk: $(dd if=/dev/vda bs=1M count=1 2>/dev/null | sha256sum)"
dd if=/dev/vda bs=1M count=1 2>/dev/null | tr a-z A-Z | dd of=/dev/vda bs=1M seek=1 conv=fsync 2>/dev/null
ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0
ping -c 2 10.0.2.2 >/dev/null && echo "L2 pings"
echo "L2 tcp: $(wget -q -O - http://10.0.2.2:8000/blob | sha256sum)"
grep -qwE 'vmx|svm' /proc/cpuinfo && echo "L2 sees extensions"
echo "L2 ends"
I
tools/mkinitramfs -o "$work/l2.img" -k "$guest/modules" -m virtio_pci -m virtio_blk -m virtio_net -m virtio-rng \
    -i "$work/l2.sh"

# L2 as a stored VM whose memory grows.
cat >"$work/grow.sh" <<'I'
mount -t tmpfs -o size=300m none /tmp
text() { yes memory | head -c 150000000; }
while read -r line; do
    echo "L2 has $(sed -n "s/^MemTotal: *//p" /proc/meminfo)"
    [ "$line" != fill ] || { text >/tmp/f; text | cmp - /tmp/f && echo "L2 uses it"; rm /tmp/f; }
done
I
tools/mkinitramfs -o "$work/grow.img" -k "$guest/modules" -m virtio_pci -m virtio_balloon -m virtio_mem -i "$work/grow.sh"

# L2 as a hypervisor.
cat >"$work/l3.sh" <<'I'
echo "Linux in L3: $(dd if=/dev/zero bs=1M count=1 2>/dev/null | sha256sum)"
I
cat >"$work/deep.sh" <<'I'
droste run --engine kvm --memory 16M --kernel /cli_guest.elf --append do=o --timeout 120
echo "L3 ended with status $?"
droste run --engine kvm --memory 192M --kernel /vmlinuz --initrd /l3.img --append "console=ttyS0 quiet" --no-reboot \
    --timeout 300
echo "Linux in L3 ended with status $?"
I
tools/mkinitramfs -o "$work/l3.img" -i "$work/l3.sh"
tools/mkinitramfs -o "$work/deep.img" -k "$guest/modules" -m virtio-rng -m "kvm-$vendor" -l "$droste:/bin/droste" \
    -f "$units/cli_guest.elf:/cli_guest.elf" -f "$guest/vmlinuz:/vmlinuz" -f "$work/l3.img:/l3.img" -i "$work/deep.sh"

cat >"$work/l1.sh" <<'I'
now() { cut -d. -f1 /proc/uptime; }

# verdict NAME START PATTERN...: every pattern matches a line of the case's log, and no kernel complains in it.
verdict() {
    local name=$1 log=/tmp/$1 start=$2 bad=
    shift 2
    grep -qE 'BUG:|WARNING:|Oops|Call Trace' "$log" && bad="a kernel complains"
    for pattern in "$@"; do grep -qE "$pattern" "$log" || bad="no line matches: $pattern"; done
    [ -z "$bad" ] || sed 's/^/    /' "$log"
    echo "case $name: ${bad:-ok} ($(($(now) - start)) s)"
}

droste_l2() { # CPUS
    droste run --engine kvm --cpus "$1" --memory 256M --kernel /vmlinuz --initrd /l2.img --append "console=ttyS0 quiet" \
        --disk /disk --net user --no-reboot --timeout 200 2>&1
}
qemu_l2() { # CPUS
    timeout 200 chroot /q qemu-system-x86_64 -accel kvm -cpu host -smp "$1" -m 256 -nodefaults -no-user-config \
        -display none -serial stdio -no-reboot -kernel /l1/vmlinuz -initrd /l1/l2.img -append "console=ttyS0 quiet" \
        -drive file=/l1/disk,format=raw,if=virtio -netdev user,id=n -device virtio-net-pci,netdev=n 2>&1
}
l2() { # NAME CLIENT CPUS
    local start=$(now)
    dd if=/dev/zero of=/disk bs=1M count=2 2>/dev/null
    dd if=/www/blob of=/disk conv=notrunc 2>/dev/null
    $2 "$3" </dev/null >"/tmp/$1"
    echo "status $?" >>"/tmp/$1"
    echo "written $(dd if=/disk bs=1M skip=1 2>/dev/null | sha256sum)" >>"/tmp/$1"
    verdict "$1" "$start" "^status 0" "^L2 processors: $3" "^L2 disk: $sum" "^L2 pings" "^L2 tcp: $sum" "^L2 ends" \
        "^written $(tr a-z A-Z </www/blob | sha256sum)"
}
deep() {
    local start=$(now)
    droste run --engine kvm --nested on --memory 768M --kernel /vmlinuz --initrd /deep.img \
        --append "console=ttyS0 quiet" --no-reboot --timeout 400 </dev/null >/tmp/depth-3 2>&1
    echo "status $?" >>/tmp/depth-3
    verdict depth-3 "$start" "^status 0" "^hello" "^L3 ended with status 0" \
        "^Linux in L3: $(dd if=/dev/zero bs=1M count=1 2>/dev/null | sha256sum)" "^Linux in L3 ended with status 0"
}
# Engine kvm's memory slots come and go: each step is seen by the guest, and survives a save.
within() { for _ in $(seq 90); do "$@" && return; sleep 1; done; }
has() { [ "$(droste -Command "(Get-VM m).MemoryAssigned")" = $(($1 << 20)) ] && echo "assigned $1"; }
printed() { grep -q "^$1" /tmp/vms/vm/*/console.log; }
say() { # LINE EXPECTED: what is typed, and what is then printed
    { echo "$1"; sleep 1; } | timeout 2 droste Connect-VM m >/dev/null
    within printed "$2"
}
memory() {
    local start=$(now) vm='droste -Command'
    {
        export DROSTE_HOME=/tmp/vms
        $vm "New-VM m -MemoryStartupBytes 192MB -Engine KVM"
        $vm "Set-VMFirmware m -KernelPath /vmlinuz -InitialRamDiskPath /grow.img -KernelCommandLine 'console=ttyS0 quiet memhp_default_state=online_movable'"
        $vm "Start-VM m"
        within $vm "Set-VMMemory m -StartupBytes 576MB"
        within has 576
        say fill "L2 uses it"
        $vm "Save-VM m; Start-VM m"
        within has 576
        $vm "Set-VMMemory m -StartupBytes 192MB"
        within has 192
        say tell "L2 has 1"
        $vm "Stop-VM m -TurnOff; Get-VM m | Select-Object State | Format-List"
        cat /tmp/vms/vm/*/console.log
    } >/tmp/memory-kvm 2>&1 </dev/null
    verdict memory-kvm "$start" "^assigned 576" "^L2 has 5[0-9]{5} kB" "^L2 uses it" \
        "^assigned 192" "^L2 has 1[0-9]{5} kB" "^State : Off"
}
unit() { # NAME PROGRAM [ARGUMENT]...; a skip inside is a failure
    local name=$1 start=$(now)
    shift
    "$@" >"/tmp/$name" 2>&1
    echo "status $?, skipped: $(grep -ciw skipped "/tmp/$name")" >>"/tmp/$name"
    verdict "$name" "$start" "^status 0, skipped: 0" "^\[  PASSED  \] [0-9]+ test"
}

grep -qwE 'vmx|svm' /proc/cpuinfo && [ -c /dev/kvm ] && echo "L1 sees extensions"
ip link set lo up
mkdir -p /www /q
yes "the quick brown fox" | head -c 1048576 >/www/blob
sum=$(sha256sum </www/blob)
httpd -p 127.0.0.1:8000 -h /www
mount -t ext4 /dev/vda /q && mkdir -p /q/dev /q/tmp /q/l1 && mount --bind /dev /q/dev && mount --bind / /q/l1
for c in $(sed -n 's/.*cases=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' '); do
    case $c in
    depth-3) deep ;;
    memory-kvm) memory ;;
    *-kvm) unit "$c" "$(echo "$c" | tr - _)_test" ;;
    *) l2 "$c" "${c%-*}_l2" "${c#*-}" ;;
    esac
done
I
tools/mkinitramfs -o "$work/l1.img" -k "$guest/modules" -m "kvm-$vendor" -m virtio_pci -m virtio_blk -m virtio-rng -m ext4 \
    -l "$droste:/bin/droste" -l "$units/machine_kvm_test:/bin/machine_kvm_test" \
    -l "$units/nested_active_kvm_test:/bin/nested_active_kvm_test" -f "$guest/vmlinuz:/vmlinuz" \
    -f "$work/l2.img:/l2.img" -f "$work/grow.img:/grow.img" -f "$work/deep.img:/deep.img" -i "$work/l1.sh"
log=$work/log
BOOT_TIMEOUT=900
boot "$log" --cpu-vendor "$vendor" --nested on --cpus 2 --memory 2G --initrd "$work/l1.img" \
    --disk "$guest/qemu.ext4,snapshot=on" --append "console=ttyS0 quiet cases=$(echo $cases | tr ' ' ,)"
grep "^case " "$log" || true
expect_status 0 "$log"
expect_line "L1 sees extensions" "$log"
for c in $cases; do expect_line "^case $c: ok" "$log"; done
refuse_line "^\[.*(BUG:|WARNING:|Oops|Call Trace)" "$log"
