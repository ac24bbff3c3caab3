#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Memory goes back to the host: a guest with Debian's balloon driver fills 200 MiB and frees them, and the process that
# runs it shrinks by at least 150 MiB without being asked; what it then reads and writes is right.
. "$(dirname "$0")/lib.bash"
initramfs "$work/img" -m virtio_pci -m virtio_balloon <<'I'
mount -t tmpfs -o size=300m none /tmp
dd if=/dev/urandom of=/tmp/small bs=1M count=4 2>/dev/null
sum=$(md5sum </tmp/small)
dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\0' x >/tmp/big
echo "filled"; read -r go
rm /tmp/big; echo "freed"; read -r go
[ "$sum" = "$(md5sum </tmp/small)" ] && dd if=/tmp/small of=/tmp/again 2>/dev/null && cmp /tmp/small /tmp/again && echo "intact"
I
mkfifo "$work/in"
"$droste" run --engine soft --memory 512M --kernel "$guest/vmlinuz" --initrd "$work/img" --append "console=ttyS0 quiet" \
    --no-reboot --timeout 120 <"$work/in" >"$work/log" 2>"$work/log.err" &
run=$!
exec 3>"$work/in"
resident() { cat /proc/"$(pgrep -P $run | tail -1)"/status | sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p'; }
wait_for() { # PATTERN SECONDS
    local n=$(($2 * 5))
    until grep -q "$1" "$work/log"; do
        sleep 0.2
        n=$((n - 1))
        [ $n -gt 0 ] || { tail -n 20 "$work/log" "$work/log.err"; fail "the console never showed: $1"; }
    done
}
wait_for filled 60
full=$(resident)
echo >&3
wait_for freed 30
for _ in $(seq 100); do # Linux reports free pages two seconds late
    [ $((full - $(resident))) -lt 150000 ] || break
    sleep 0.2
done
left=$(resident)
echo "filled: $full kB, freed: $left kB"
[ $((full - left)) -ge 150000 ] || fail "the memory did not come back"
echo >&3
wait_for intact 30
wait $run || fail "the run ended with $?"
