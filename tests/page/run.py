#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the printed commands of tests/page/page.txt as printed, and makes docs/page.md from it.

usage: run.py DROSTE   run every command; docs/page.md must be what --doc prints
       run.py --doc    print docs/page.md
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEYS = {"statement", "command", "fill", "before", "status", "error", "shows", "place", "state", "test"}


def statements():
    """The paragraphs behind the introduction, each a dict."""
    for paragraph in (HERE / "page.txt").read_text().split("\n\n"):
        if not paragraph.startswith("statement"):
            continue
        record = {}
        for line in paragraph.strip("\n").split("\n"):
            key, value = line.split(None, 1)
            if key not in KEYS or key in record:
                sys.exit("page.txt: '%s' is no key, or stands twice: %s" % (key, line))
            record[key] = value
        yield record


def filled(record):
    """The command with its hole filled; the hole must be there."""
    command = record["command"]
    if "fill" in record:
        hole, value = record["fill"].split(" => ")
        if hole not in command:
            sys.exit("page.txt: no '%s' in: %s" % (hole, command))
        command = command.replace(hole, value)
    return command


def enter():
    """Goes on in namespaces of its own, with a resolv.conf of its own. Why not, or None."""
    world = ["unshare"] + ([] if os.getuid() == 0 else ["-Ur"]) + ["-nmpf", "--kill-child", "--mount-proc"]
    if "PAGE_INSIDE" not in os.environ:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if not shutil.which("unshare") or subprocess.run(world + ["true"], **quiet).returncode:
            return "this user may not make namespaces here"
        os.environ["PAGE_INSIDE"] = "1"
        os.execvp("unshare", world + [sys.executable] + sys.argv)
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    if os.path.exists("/etc/resolv.conf"):
        own = tempfile.mkstemp()[1]
        subprocess.run(["mount", "--bind", own, "/etc/resolv.conf"], stderr=subprocess.DEVNULL)
        mounted = os.path.samefile(own, "/etc/resolv.conf")
        os.unlink(own)
        if not mounted:
            return "a resolv.conf of its own cannot be mounted here"
    return None


def run(droste, home, command):
    env = {"PATH": "/usr/bin:/bin", "HOME": home, "DROSTE_HOME": home, "LC_ALL": "C.UTF-8"}
    done = subprocess.run([droste, "-Command", command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    return done.returncode, done.stdout.decode()


def check(droste, record):
    """What is wrong with it, or None."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:  # a switch may be ending in there
        try:
            return check_in(droste, home, record)
        finally:
            run(droste, home, "Get-NetNat | Remove-NetNat; Get-VMSwitch | Remove-VMSwitch -Force")


def check_in(droste, home, record):
    if "before" in record:
        status, out = run(droste, home, record["before"])
        if status:
            return "before: " + out
    if "command" in record:
        status, out = run(droste, home, filled(record))
        if status != int(record.get("status", 0)):
            return "status %d: %s" % (status, out)
        if "error" in record and "FullyQualifiedErrorId : " + record["error"] not in out:
            return "another error: " + out
        if "fill" in record and status == 0:
            status, out = run(droste, home, record["command"])
            if status == 0 or record["fill"].split(" => ")[0] not in out:
                return "the hole is not named: " + out
    if "shows" in record:
        command, want = record["shows"].split(" => ")
        status, out = run(droste, home, command)
        if status or not re.match(want, out.strip()):
            return "%s shows: %s" % (command, out)
    return None


def document():
    lines = ["# Microsoft's page, statement by statement", "",
             "What the page \"Run Hyper-V in a Virtual Machine with Nested Virtualization\" says, the command it prints, and",
             "where Droste stands. Made from `tests/page/page.txt`, whose commands `./test` runs as printed.", "",
             "| the page says | its command | here | tests |", "|---|---|---|---|"]
    for r in statements():
        command = "`%s`" % r["command"].replace("|", "\\|") if "command" in r else ""
        if "fill" in r:
            command += " with `%s` as `%s`" % tuple(r["fill"].split(" => "))
        tests = ", ".join("`%s`" % t for t in r.get("test", "tests/page/run.py").split(", "))
        lines.append("| %s | %s | %s | %s |" % (r["statement"], command, r["state"], tests))
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:] == ["--doc"]:
        sys.stdout.write(document())
        return 0
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    droste, bad, ran = os.path.realpath(sys.argv[1]), 0, 0
    why_not = enter()
    for record in statements():
        if "place" in record and why_not:
            print("skipped: %s: %s" % (record["statement"], why_not))
            continue
        wrong = check(droste, record)
        ran += "command" in record or "shows" in record
        if wrong:
            bad += 1
            print("FAIL: %s: %s" % (record["statement"], wrong))
    if (ROOT / "docs/page.md").read_text() != document():
        bad += 1
        print("FAIL: docs/page.md is stale: tests/page/run.py --doc >docs/page.md")
    print("%d statements with commands, %d failed" % (ran, bad))
    return 1 if bad or not ran else 0


sys.exit(main())
