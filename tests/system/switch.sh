#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A Private switch with real guests: they reach each other; spoofing, VLANs, cables pulled out and in, captures, at once while
# they run; then its processes, a worker and commands are killed, and its socket gets nonsense. usage: switch.sh [ROUNDS]
. "$(dirname "$0")/lib.bash"
command -v python3 >/dev/null || skip "python3 is not installed"
rounds=${1:-10}
export DROSTE_HOME=$work/home
mark=switch$$ runner=
ids() { ls "$DROSTE_HOME/switches" 2>/dev/null | sed -n 's/\.json$//p'; }
processes() { for id in $(ids); do pgrep -f "^droste switch $id" || true; done; pgrep -f "^droste worker $mark" || true; }
finish() {
    for pid in $(processes) $runner; do kill -9 "$pid" 2>/dev/null || true; done
    remove_work
}
trap '[ $BASHPID = $$ ] && finish' EXIT
droste=$(realpath "$droste")
d() { "$droste" "$@"; }
say() { echo "ok: $*"; }

initramfs "$work/img" -m virtio_pci -m virtio_net -m af_packet <<'I'
for word in $(cat /proc/cmdline); do
    case $word in
    me=* | peer=* | mac=* | last=*) eval "$word" ;;
    esac
done
[ -n "$mac" ] && ip link set eth0 address "$mac"
ip link set eth0 up
ip addr add "$me/24" dev eth0
old=
while :; do
    now=$(cat /sys/class/net/eth0/carrier 2>/dev/null)
    [ "$now" = "$old" ] || echo "carrier $now"
    old=$now
    if ping -c 1 -W 1 "$peer" >/dev/null 2>&1; then
        echo reply
        [ -n "$last" ] && break
    else
        echo silence
    fi
    sleep 0.1
done
I
make() { # LETTER ARGUMENTS: a VM on the switch
    d New-VM "$mark$1" -MemoryStartupBytes 128MB -Engine Soft -SwitchName lab >/dev/null
    d Set-VMFirmware "$mark$1" -KernelPath "$PWD/$guest/vmlinuz" -InitialRamDiskPath "$work/img" -KernelCommandLine "console=ttyS0 quiet $2"
}
folder() { d -Command "(Get-VM $mark$1).Path"; }
lines() { wc -l <"${log[$1]}"; }
declare -A since
before() { since[$1]=$(lines "$1"); } # LETTER: the next await() of it counts from here
# await LETTER SECONDS LINE: such a line comes from now on
await() {
    local from n=$(($2 * 10))
    from=${since[$1]:-$(lines "$1")}
    since[$1]=
    while [ $n -gt 0 ]; do
        tail -n +$((from + 1)) "${log[$1]}" | tr -d '\r' | grep -qx "$3" && return
        sleep 0.1
        n=$((n - 1))
    done
    tail -n 5 "${log[$1]}"
    cat "$DROSTE_HOME"/run/switches/*.log
    fail "$1 does not say '$3' within $2 seconds"
}
adapter() { d -Command "(Get-VMNetworkAdapter $mark$1).$2"; }
switch() { d -Command "(Get-VMSwitch lab).$1"; }

d New-VMSwitch lab -SwitchType Private >/dev/null
for _ in 1 2 3 4 5 6; do d Start-VMSwitch lab & done
wait
[ "$(pgrep -fc "^droste switch $(ids)")" = 2 ] || fail "$(pgrep -fa "^droste switch $(ids)"): not one supervisor and its child"
say "six commands that start it make one"
make a "me=10.9.0.1 peer=10.9.0.2"
make b "me=10.9.0.2 peer=10.9.0.1"
make c "me=10.9.0.3 peer=10.9.0.1 mac=02:00:00:00:00:0c"
declare -A log
for x in a b c; do
    d Start-VM "$mark$x"
    log[$x]=$(folder $x)/console.log
done
await a 90 reply
await b 90 reply
say "two guests reach each other"
[ "$(switch Ports)" = 3 ] || fail "$(switch Ports) ports, not 3"
child=$(pgrep -P "$(switch ProcessId)" droste-switch || true)
[ -n "$child" ] || fail "no child"
grep -q '^Seccomp:.*2' "/proc/$child/status" && grep -q '^NoNewPrivs:.*1' "/proc/$child/status" || fail "no sandbox"
say "frames move in a sandbox"

# Spoofing; the remedy names the machine as it is called then
d Rename-VM "${mark}c" "${mark}x"
await c 60 silence
d Rename-VM "${mark}x" "${mark}c"
d Set-VMNetworkAdapter "${mark}c" -MacAddressSpoofing On
d Set-VMNetworkAdapter "${mark}c" -MacAddressSpoofing Off
await c 20 silence
[ "$(adapter c SpoofedFramesDropped)" -gt 0 ] || fail "nothing was counted"
status=$(d -Command "(Get-VM ${mark}c).Status")
remedy=$(echo "$status" | sed -n "s/.*: \(Set-VMNetworkAdapter .* On\) lets them pass.*/\1/p")
[ -n "$remedy" ] || fail "Get-VM's Status names no remedy: $status"
grep -qF -- "$remedy" "$(folder c)/worker.log" || fail "the log does not name it"
adapter c StatusDescription | grep -qF -- "-MacAddressSpoofing On" || fail "Get-VMNetworkAdapter does not name it"
d -Command "$remedy"
await c 20 reply
[ "$(d -Command "(Get-VM ${mark}c).Status")" = "Operating normally" ] || fail "the status stays"
say "a foreign address: dropped, counted, told; the remedy as told works at once"
d Set-VMNetworkAdapter "${mark}c" -MacAddressSpoofing Off
await c 20 silence
say "and back"

# VLANs
d Set-VMNetworkAdapterVlan "${mark}a" -Access -VlanId 10
await a 20 silence
d Set-VMNetworkAdapterVlan "${mark}b" -Access -VlanId 10
await a 20 reply
d Set-VMNetworkAdapterVlan "${mark}b" -Access -VlanId 11
await a 20 silence
d Set-VMNetworkAdapterVlan "$mark?" -Untagged
await a 20 reply
say "VLANs separate, at once"

# Cables
before b
d Disconnect-VMNetworkAdapter "${mark}b"
await b 20 "carrier 0"
before b
d Connect-VMNetworkAdapter "${mark}b" -SwitchName LAB
await b 20 "carrier 1"
await b 20 reply
say "a guest sees the cable out and in"

# A reset, and a saved state
before b
d Restart-VM "${mark}b" -Force
await b 60 "carrier 1"
await b 30 reply
d Save-VM "${mark}b"
await a 30 silence
d Start-VM "${mark}b"
await a 30 reply
say "a machine that was reset, or saved, is on the switch again"

# Captures
d Start-VMSwitchCapture "${mark}a" -Path "$work/a.pcapng" >/dev/null
await a 20 reply
await a 20 reply
d Stop-VMSwitchCapture "${mark}a"
python3 - "$work/a.pcapng" <<'P' || fail "the capture is none"
import struct, sys
data = open(sys.argv[1], "rb").read()
at, echoes = 0, 0
while at < len(data):
    kind, size = struct.unpack_from("<II", data, at)
    assert size >= 12 and size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size
    if kind == 6:
        length = struct.unpack_from("<I", data, at + 20)[0]
        frame = data[at + 28:at + 28 + length]
        echoes += frame[12:14] == b"\x08\x00" and frame[23] == 1
    at += size
assert echoes >= 4, echoes
P
say "a capture has the guests' frames"

# The child
pid=$(d -Command "(Get-VM ${mark}a).ProcessId")
kill -9 "$child"
await a 20 reply
[ "$(switch Restarts)" = 1 ] || fail "not started again: $(switch Restarts)"
[ "$(d -Command "(Get-VM ${mark}a).ProcessId")" = "$pid" ] || fail "a VM was started again"
say "the child is killed: started again, the ping goes on"
pid=$(switch ProcessId)
[ "$pid" -gt 1 ] || fail "the switch does not run"
kill -9 "$pid"
await a 20 silence
d Set-VMNetworkAdapter "${mark}a" -DhcpGuard On || fail "a rule cannot change without a supervisor"
d Start-VMSwitch lab
await a 20 reply
[ "$(switch Ports)" = 3 ] || fail "$(switch Ports) ports after the supervisor's death"
say "the supervisor is killed: the next command brings all ports back"

# droste run on the same switch
boot "$work/run" --memory 128M --net switch=Lab --initrd "$work/img" --append "console=ttyS0 quiet me=10.9.0.9 peer=10.9.0.1 last=1"
expect_status 0 "$work/run"
expect_line '^reply' "$work/run"
status=0
"$droste" run --kernel "$guest/vmlinuz" --net switch=none >"$work/none" 2>&1 || status=$?
[ $status = 2 ] && grep -q "no virtual switch 'none'" "$work/none" || fail "switch=none: status $status, $(cat "$work/none")"
say "droste run joins"

: >"$work/long" # is read before the run below may have made it
"$droste" run --engine soft --kernel "$guest/vmlinuz" --memory 128M --net switch=lab --initrd "$work/img" --append "console=ttyS0 quiet me=10.9.0.8 peer=10.9.0.1" >"$work/long" 2>"$work/long.err" </dev/null &
runner=$!
log[run]=$work/long
await run 60 reply
before run
pid=$(switch ProcessId)
[ "$pid" -gt 1 ] || fail "the switch does not run"
kill -9 "$pid"
await run 20 "carrier 1"
await run 20 reply
await a 20 reply
kill $runner
wait $runner || true
runner=
say "a run brings a switch back whose supervisor was killed"

# A worker that dies
pid=$(d -Command "(Get-VM ${mark}c).ProcessId")
[ "$pid" -gt 1 ] || fail "c does not run"
kill -9 "$pid"
sleep 0.3
[ "$(switch Ports)" = 2 ] || fail "the port of a dead worker is there"
say "a dead worker's port is gone"

# Nonsense
python3 - "$DROSTE_HOME/run/switches/$(ids).sock" <<'P'
import array, json, os, random, socket, sys
random.seed(1)
os.chdir(os.path.dirname(sys.argv[1]))
name = os.path.basename(sys.argv[1])
types = ["PLUG", "UNPLUG", "RULE", "PORTS", "CAPTURE", "CAPTURE_END", "HOST", "LINK", "CABLE", "UPLINK", "QUERY", "nothing", 7, None]
ids = ["", "00000000-0000-4000-8000-000000000001", "../x", "ZZ"]
values = [0, 1, -1, 2**62, 2**64, "x", "x" * 5000, True, None, [], {}, "1-4094", "Access", "Source", "00155D000001"]
keys = ["port", "adapter", "macAddress", "vlanMode", "accessVlanId", "allowedVlanIdList", "portMirroring", "maximumBandwidth", "text", "colour"]
def packet():
    kind = random.randrange(5)
    if kind == 0:
        return os.urandom(random.randrange(1, 9000))
    m = {"type": random.choice(types), "vm": random.choice(ids), "adapterId": random.choice(ids)}
    for _ in range(random.randrange(4)):
        m[random.choice(keys)] = random.choice(values)
    text = json.dumps(m).encode()
    return text[:random.randrange(1, len(text))] if kind == 1 else text
for _ in range(400):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    s.connect(name)
    pair = socket.socketpair(socket.AF_UNIX, random.choice([socket.SOCK_SEQPACKET, socket.SOCK_STREAM]))
    fds = [pair[0].fileno()] * random.randrange(4)
    try:
        s.sendmsg([packet()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        if random.randrange(2):
            pair[1].send(os.urandom(100))
        if random.randrange(4):
            s.recv(9000)
    except (ConnectionResetError, BrokenPipeError):
        pass
    for x in (s, *pair):
        x.close()
P
await a 20 reply
[ "$(switch Ports)" = 2 ] || fail "$(switch Ports) ports after nonsense"
say "nonsense at its socket changes nothing"

# One adapter's link ends once; another's is plugged in and ended all the time
python3 - "$DROSTE_HOME/run/switches/$(ids).sock" <<'P' || fail "a port keeps another's down"
import json, os, socket, sys, time, uuid
os.chdir(os.path.dirname(sys.argv[1]))
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
control.connect(os.path.basename(sys.argv[1]))
def plug(number):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    plug = {"type": "PLUG", "vm": str(uuid.UUID(int=1)), "adapterId": str(uuid.UUID(int=number))}
    socket.send_fds(control, [json.dumps(plug).encode()], [theirs.fileno()])
    assert json.loads(control.recv(20000))["type"] == "OK"
    return ours
def end_link(cable, seconds):
    cable.settimeout(seconds)
    os.close(socket.recv_fds(cable, 20000, 1)[1][0])
quiet = plug(1)
end_link(quiet, 5)
for _ in range(20):
    loud = plug(2)
    end_link(loud, 5)
    try:
        end_link(quiet, 0.3)
        sys.exit(0)
    except TimeoutError:
        pass
sys.exit(1)
P
say "a port that goes down again and again keeps no other down"

# Two commands at once
for x in one two three; do d Set-VMSwitch lab -Notes $x 2>"$work/said.$x" & done
wait
for x in one two three; do
    [ ! -s "$work/said.$x" ] || grep -q "ObjectInUse" "$work/said.$x" || fail "$(cat "$work/said.$x")"
done
case $(switch Notes) in one | two | three) ;; *) fail "notes: $(switch Notes)" ;; esac

# Killed at random
for i in $(seq "$rounds"); do
    case $((i % 5)) in
    0) d Set-VMNetworkAdapterVlan "${mark}a" -Untagged 2>/dev/null & ;;
    1) d Disconnect-VMNetworkAdapter "${mark}b" 2>/dev/null & ;;
    2) d Connect-VMNetworkAdapter "${mark}b" -SwitchName lab 2>/dev/null & ;;
    3) d New-VMSwitch "x$i" -SwitchType Private >/dev/null 2>&1 & ;;
    4) d Remove-VMSwitch "x$((i - 1))" -Force 2>/dev/null & ;;
    esac
    command=$!
    sleep "0.0$((RANDOM % 10))"
    pid=$(switch ProcessId)
    victim=$command
    if [ "$pid" -gt 1 ]; then # it runs
        case $((RANDOM % 3)) in
        1) victim=$(pgrep -P "$pid" | head -1 || true) ;;
        2) victim=$pid ;;
        esac
    fi
    kill -9 "${victim:-$command}" 2>/dev/null || true
    wait $command 2>/dev/null || true
done
d Get-VMSwitch >/dev/null 2>"$work/warnings"
[ ! -s "$work/warnings" ] || fail "a definition was harmed: $(cat "$work/warnings")"
d Disconnect-VMNetworkAdapter "${mark}b"
d Connect-VMNetworkAdapter "${mark}b" -SwitchName lab
await b 20 reply
say "$rounds rounds of killing: nothing is lost"

# The end
d Get-VM "$mark?" '|' Where-Object State -ne Off '|' Stop-VM -TurnOff
list=$(ids)
d Remove-VMSwitch "*" -Force
d Get-VM >/dev/null # which clears the sockets of dead workers
sleep 0.3
[ -z "$(find "$DROSTE_HOME/run" "$DROSTE_HOME/switches" ! -type d ! -name lock)" ] || fail "left: $(find "$DROSTE_HOME/run" "$DROSTE_HOME/switches")"
for id in $list; do ! pgrep -f "^droste switch $id" || fail "a process is left"; done
[ "$(adapter a SwitchName)" = "" ] || fail "an adapter names a switch that is gone"
say "removed: nothing is left"
