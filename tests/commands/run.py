#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Transcripts: commands and exactly what they print. usage: run.py DROSTE [GUEST.elf] [--update] [FILE.txt ...]

A line that begins with "$ " is a Unix command line, lines with "> " behind it belong to it; what follows is its output,
standard output and standard error together, and "[status N]" when it does not end with 0. Lines before the first
command are remarks. $GUEST is tests/guest/cli_guest.S, a kernel that does what its command line says; without its name it is
looked for beside DROSTE, and it shows as <guest>. The commands of a file share one folder, which is the current one and
DROSTE_HOME; it shows as <home>, an id of a VM as <id>, an address
from the pool as <a-pool-mac>. VMs that still run at the end are turned off, switches
removed. --update writes what
was printed into the file, to be read before it is committed.
"""
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

MACS = re.compile(r"00155D(?!AABBCC)[0-9A-F]{6}")
IDS = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")


def parse(text):
    """The remarks, then pairs of a command's lines and its output's."""
    remarks, steps = [], []
    for line in text.split("\n")[:-1]:
        if line.startswith("$ "):
            steps.append(([line[2:]], []))
        elif line.startswith("> ") and steps and not steps[-1][1]:
            steps[-1][0].append(line[2:])
        elif steps:
            steps[-1][1].append(line)
        else:
            remarks.append(line)
    return remarks, steps


def execute(command, home, env):
    try:
        done = subprocess.run(["bash", "-c", "\n".join(command)], cwd=home, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    except subprocess.TimeoutExpired:
        return ["[not done within 60 seconds]"]
    out = done.stdout.decode("utf-8", "replace").replace(home, "<home>").replace(env["GUEST"], "<guest>")
    lines = MACS.sub("<a-pool-mac>", IDS.sub("<id>", out)).split("\n")
    if lines[-1] == "":
        lines.pop()
    if done.returncode:
        lines.append("[status %d]" % done.returncode)
    return lines


def run(path, droste, guest, update):
    remarks, steps = parse(path.read_text())
    written = list(remarks)
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.path.dirname(droste) + ":/usr/bin:/bin", "HOME": home, "DROSTE_HOME": home, "LC_ALL": "C.UTF-8",
               "GUEST": guest}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        for command, _ in steps:
            written += ["$ " + command[0]] + ["> " + more for more in command[1:]] + execute(command, home, env)
        execute(["droste -Command 'Get-VM | Where-Object State -ne Off | Stop-VM -TurnOff; Get-VMSwitch | Remove-VMSwitch -Force'"],
                home, env)
    text = "".join(line + "\n" for line in written)
    if text == path.read_text():
        return True
    if update:
        path.write_text(text)
        return True
    sys.stdout.writelines(difflib.unified_diff(path.read_text().splitlines(True), text.splitlines(True), str(path), "printed"))
    return False


def main():
    words = [w for w in sys.argv[1:] if w != "--update"]
    droste = os.path.realpath(words[0])
    beside = os.path.join(os.path.dirname(droste), "tests", "cli_guest.elf")
    guest = os.path.realpath(next((w for w in words if w.endswith(".elf")), beside))
    files = [pathlib.Path(w) for w in words[1:] if not w.endswith(".elf")] or sorted(pathlib.Path(__file__).parent.glob("*.txt"))
    bad = [f.name for f in files if not run(f, droste, guest, "--update" in sys.argv)]
    print("%d transcripts, %d differ%s" % (len(files), len(bad), ": " + " ".join(bad) if bad else ""))
    return 1 if bad or not files else 0


sys.exit(main())
