#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Root's switches: used by the members of the group, and by nobody else; who is told that another store holds more. In a mount
# namespace of its own. usage: switch_group.sh [DROSTE GUEST]. GUEST is tests/guest/cli_guest.S. Needs root.
set -euo pipefail
build=$(dirname "$0")/../../build
droste=$(realpath "${1:-$build/droste}") guest=$(realpath "${2:-$build/tests/cli_guest.elf}")
[ "$(id -u)" = 0 ] || { echo "needs root, for a mount namespace and other users"; exit 77; }
if [ "${SWITCH_GROUP:-}" != inside ]; then
    unshare --mount --pid --fork --mount-proc true 2>/dev/null || { echo "mount and process namespaces cannot be had here"; exit 77; }
    exec env -u DROSTE_HOME -u XDG_RUNTIME_DIR -u XDG_DATA_HOME -u SUDO_UID SWITCH_GROUP=inside unshare --mount --pid --fork --mount-proc bash "$0" "$droste" "$guest"
fi
fail() { echo "FAIL: $*"; exit 1; }
ok() { echo "ok: $*"; }
work=/run/switch_group
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=755 none /var/lib
mkdir -p "$work/bin" "$work/member" "$work/other"
cp "$droste" "$work/bin/droste"
cp "$guest" "$work/bin/cli_guest.elf"
cp /etc/group "$work/group"
sed -i '/^droste:/d' "$work/group"
echo "droste:x:64999:" >>"$work/group"
mount --bind "$work/group" /etc/group
cp /etc/passwd "$work/passwd"
echo "other:x:64002:64002::$work/other:/bin/sh" >>"$work/passwd"
mount --bind "$work/passwd" /etc/passwd
chown 64001 "$work/member"
chown 64002 "$work/other"
chmod 755 "$work" "$work/bin"
cd /
root() { "$work/bin/droste" "$@"; }
member() { HOME=$work/member setpriv --reuid 64001 --regid 64001 --groups 64999 "$work/bin/droste" "$@"; }
other() { HOME=$work/other setpriv --reuid 64002 --regid 64002 --clear-groups "$work/bin/droste" "$@"; }

root New-VMSwitch shared -SwitchType Private >/dev/null
root New-VM of-root -MemoryStartupBytes 64MB >/dev/null
[ "$(root -Command '(Get-VMSwitch shared).Running')" = True ] || fail "a shared switch does not run"
[ "$(member -Command '(Get-VMSwitch shared).Store')" = System ] || fail "a member does not see it"
member New-VM mine -MemoryStartupBytes 64MB -Engine Soft -SwitchName SHARED >/dev/null
member Set-VMFirmware mine -KernelPath "$work/bin/cli_guest.elf" -KernelCommandLine do=h
member Start-VM mine
[ "$(member -Command '(Get-VMNetworkAdapter mine).Status')" = Ok ] || fail "a member's adapter is not connected"
[ "$(root -Command '(Get-VMSwitch shared).Ports')" = 1 ] || fail "root does not see the port"
member Set-VMNetworkAdapter mine -MacAddressSpoofing On
member Set-VMNetworkAdapterVlan mine -Access -VlanId 7
ok "a member connects, and sets the rules of the own port"

! member Remove-VMSwitch shared -Force 2>"$work/said" && grep -q AccessDenied "$work/said" || fail "a member removes it: $(cat "$work/said")"
! member Set-VMSwitch shared -Notes x 2>"$work/said" && grep -q AccessDenied "$work/said" || fail "a member changes it: $(cat "$work/said")"
! member Start-VMSwitchCapture mine -Path "$work/member/x" 2>"$work/said" && grep -q AccessDenied "$work/said" || fail "a member captures: $(cat "$work/said")"
[ ! -e "$work/member/x" ] || fail "a file of a refused capture stays"
ok "a member cannot change it, nor capture"

! other New-VM theirs -SwitchName shared 2>"$work/said" && grep -q ObjectNotFound "$work/said" || fail "others use it: $(cat "$work/said")"
other Get-VM >"$work/said" 2>&1
grep -q "Root's store holds virtual machines too" "$work/said" || fail "Get-VM does not tell of root's store"
other Get-VMSwitch >"$work/said" 2>&1
grep -q "Root's store" "$work/said" && fail "Get-VMSwitch tells what cannot be known"
member Get-VMSwitch >"$work/said" 2>&1
grep -q "Root's store" "$work/said" && fail "a member is told of what was listed"
ok "others do not see it, and are told of root's virtual machines"
other New-VM theirs -MemoryStartupBytes 64MB >/dev/null
SUDO_UID=64002 root Get-VM >"$work/said" 2>&1
grep -q "The store of other holds virtual machines too" "$work/said" || fail "root is not told of the caller's store"
ok "root is told of the store of who called sudo"

# A member's port survives the child
pid=$(root -Command '(Get-VMSwitch shared).ProcessId')
kill -9 "$(pgrep -P "$pid")"
sleep 0.5
[ "$(member -Command '(Get-VMNetworkAdapter mine).Status')" = Ok ] || fail "the port is not back"
# Another user's request for it is refused
python3 - /run/droste/switches/*.sock <<'P'
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(json.dumps({"type": "PORTS"}).encode())
port = json.loads(s.recv(20000))
os.setgroups([64999]); os.setresuid(64002, 64002, 64002)
t = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
t.connect(sys.argv[1])
for kind in ("RULE", "UNPLUG", "STOP", "HOST", "CAPTURE_END"):
    t.send(json.dumps({"type": kind, "vm": port["vm"], "adapterId": port["adapterId"]}).encode())
    answer = json.loads(t.recv(20000))
    assert answer["type"] == "ERROR" and "user" in answer["text"], (kind, answer)
P
ok "another member cannot touch the port"
member Stop-VM mine -TurnOff
root Remove-VMSwitch shared -Force
[ -z "$(find /run/droste ! -type d)" ] || fail "left: $(find /run/droste)"
ok "removed"
