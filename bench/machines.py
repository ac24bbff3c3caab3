# SPDX-License-Identifier: MIT
"""Guests under droste and QEMU, and the host itself; what one run of each yields, as {row: value}."""
import os
import re
import subprocess

from console import Console

GUEST = "build/guest"
TOOL = "build/bench/bench_guest"
MEMORY = 1 << 30

# L1 and L2 run the same script; `nested` is the name of the image that has something to start L2 with.
SCRIPT = r"""
arg() { sed -n "s/.*$1=\([^ ]*\).*/\1/p" /proc/cmdline | tr , ' '; }
echo "mark up"
bench_guest $(arg options) $(arg programs)
if [ -n "$(arg nested)" ]; then
    echo "mark start"
    droste run --engine kvm --memory 256M --kernel /vmlinuz --initrd /l2.img --no-reboot \
        --append "console=ttyS0 quiet options=$(arg options | tr ' ' ,) programs=$(arg nested | tr ' ' ,)" </dev/null
fi
"""


def images(vendor, folder):
    """(plain, nested): paths of the images of a guest and of one that starts another."""
    script, plain, nested = (os.path.join(folder, n) for n in ("init.sh", "plain.img", "nested.img"))
    with open(script, "w") as f:
        f.write(SCRIPT)
    make = ["tools/mkinitramfs", "-k", GUEST + "/modules", "-i", script, "-f", TOOL + ":/bin/bench_guest"]
    subprocess.run([*make, "-o", plain], check=True)
    subprocess.run([*make, "-o", nested, "-m", "kvm-" + vendor, "-l", "build/droste:/bin/droste",
                    "-f", GUEST + "/vmlinuz:/vmlinuz", "-f", plain + ":/l2.img"], check=True)
    return plain, nested


def believe(where, first, last):
    """Each is (the host's seconds, the guest's): a guest's clock counts when it went as the host's did."""
    host, guest = last[0] - first[0], last[1] - first[1]
    if abs(host - guest) > 0.02 * host + 0.05:
        raise SystemExit(f"bench: {where}: by its own clock {guest:.3f} s went by, on the host {host:.3f} s")


class Reader:
    """Collects a console's lines; `level` rises with each `mark start`."""

    def __init__(self, name, console):
        self.name, self.console = name, console
        self.level, self.since, self.found, self.open = 1, console.start, {}, None

    def take(self, now, line):
        if line == "mark up":
            self.found[f"boot-l{self.level}"] = now - self.since
            self.found[f"memory-l{self.level}"] = self.console.memory_beside(MEMORY)
        elif line == "mark start":
            self.level, self.since = 2, now
        elif m := re.fullmatch(r"clock (\d+)", line):
            at = (now, int(m[1]) / 1e9)
            if self.open:
                believe(f"{self.name}, level {self.level}", self.open, at)
            self.open = None if self.open else at
        elif m := re.fullmatch(r"bench (\S+) ([\d.]+|failed)", line):
            if m[2] == "failed":
                raise SystemExit(f"bench: {self.name}: {m[1]} failed")
            self.found[m[1] if m[1].startswith("kvm") else f"l{self.level}:{m[1]}"] = float(m[2]) / 1e9

    def all(self, want):
        last = ""
        for now, line in self.console.lines():
            self.take(now, line)
            last = line or last
        errors = self.console.errors()
        self.console.end()
        if missing := [w for w in want if w not in self.found]:
            raise SystemExit(f"bench: {self.name} did not say: {', '.join(missing)}; last: {last} {errors}")
        return self.found


def native(options, programs):
    console = Console([TOOL, *options, *programs])
    return Reader("native", console).all(["l1:" + p for p in programs])


def command(engine, vendor, kernel, initrd, append):
    if engine == "qemu":
        c = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "EPYC", "-m", "1024", "-nodefaults", "-no-user-config",
             "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel]
        return c + (["-initrd", initrd, "-append", append] if initrd else [])
    c = ["build/droste", "run", "--engine", "soft", "--cpu-vendor", vendor, "--nested", "on", "--memory", "1G",
         "--no-reboot", "--kernel", kernel]
    return c + (["--initrd", initrd, "--append", append] if initrd else [])


def linux(engine, vendor, image, options, programs, nested=()):
    append = f"console=ttyS0 quiet options={','.join(options)} programs={','.join(programs)}"
    if nested:
        append += " nested=" + ",".join(nested)
    console = Console(command(engine, vendor, GUEST + "/vmlinuz", image, append))
    want = [p if p.startswith("kvm") else "l1:" + p for p in programs]
    want += ["l2:" + p for p in nested if p != "none"] + (["boot-l2"] if nested else [])
    return Reader(engine, console).all(want)


def pairs(engine, vendor, passes):
    """The page-sized hypervisor: its first mark, and the best of some hundred thousand pairs."""
    image = f"build/bench/pairs_{'svm' if vendor == 'amd' else 'vmx'}.bin"
    console = Console(command(engine, vendor, image, None, None), timeout=120)
    first, begin, best, done = None, None, None, 0
    for now, line in console.lines():
        if line == "i":
            first = now - console.start
        elif line == "b":
            begin = now
        elif line == "e":
            best, done = min(best or 1e9, (now - begin) / 100000), done + 1
            if done == passes:
                break
    errors = console.errors()
    console.end()
    if best is None:
        raise SystemExit(f"bench: {engine}: no pairs: {errors}")
    return {"first": first, "pair": best}
