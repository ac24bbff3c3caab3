#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The interactive shell as a user at a terminal meets it, on a pseudo-terminal: completion, history, Ctrl-C, the end of
# input, and Connect-VM's escape key. What a key did is seen by what then runs, not by how the line is drawn.
# usage: shell.sh [DROSTE GUEST]. GUEST is tests/guest/cli_guest.S. Needs no root and no kernel.
set -uo pipefail
build=$(dirname "$0")/../../build
droste=$(realpath "${1:-$build/droste}") guest=$(realpath "${2:-$build/tests/cli_guest.elf}")
command -v python3 >/dev/null || { echo "python3 is not installed"; exit 77; }
work=$(mktemp -d)
export DROSTE_HOME=$work/home TERM=xterm HOME=$work DROSTE=$droste GUEST=$guest
trap '"$droste" Stop-VM "*" -TurnOff >"$work/out" 2>&1; rm -rf "$work"' EXIT
python3 - <<'P'
import os, pty, re, select, signal, sys, termios, time

TAB, UP, CTRL_A, CTRL_C, CTRL_D, CTRL_K, ESCAPE = "\t", "\x1b[A", "\x01", "\x03", "\x04", "\x0b", "\x1d"
PROMPT = "droste> "
failed = 0

def check(what, good, seen=""):
    global failed
    print(("ok: " if good else "FAIL: ") + what + ("" if good else "; seen: " + repr(seen[-600:])), flush=True)
    failed |= not good

class Terminal:
    def __init__(self, *arguments):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(os.environ["DROSTE"], ["droste", *arguments])

    def type(self, keys):
        os.write(self.fd, keys.encode())

    # What came since the last call, up to a match of `pattern`; None when it does not come.
    def until(self, pattern, seconds=20):
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.seen)
            if found:
                text, self.seen = self.seen[:found.end()], self.seen[found.end():]
                return text
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return None
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                return None
            self.seen += data.decode(errors="replace")

    # A command, and what it printed before the next prompt.
    def run(self, keys, seconds=20):
        self.type(keys + "; 'do' + 'ne'\n")
        text = self.until(r"done\r?\n(?s:.*?)" + PROMPT, seconds)
        return text if text is not None else "(no prompt) " + self.seen

    # The line editor's settings, which it makes behind its prompt.
    def settings(self):
        for _ in range(40):
            now = termios.tcgetattr(self.fd)[:4]
            if not now[3] & termios.ICANON:
                break
            time.sleep(0.05)
        return now

    def status(self, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None

t = Terminal()
check("it greets and prompts", t.until("exit ends(?s:.*)" + PROMPT) is not None, t.seen)

# Completion
check("a cmdlet is completed", "10.0" in t.run("Get-VMHostSup" + TAB), t.seen)
t.run("New-VM lab1 -Mem" + TAB + "48MB -Engine Soft")
check("a parameter is completed", "50331648" in t.run("(Get-VM lab1).MemoryStartup"), t.seen)
t.run("New-VM lab2 -MemoryStartupBytes 32MB -Engine S" + TAB)
check("a value is completed", "Soft" in t.run("(Get-VMProcessor lab2).Engine"), t.seen)
t.run("New-VM 'two words' -MemoryStartupBytes 32MB -Engine Soft")
check("a VM's name is completed, in quotes where it needs them",
      ": two words" in t.run("Get-VM tw" + TAB + "| Format-List Name"), t.seen)
t.type("(Get-VM l" + TAB)
t.until("ab")
t.type(TAB)
check("several names are listed", t.until(r"lab1 +lab2") is not None, t.seen)
t.type("2).Name + '!'\n")
check("and what all begin with is there", t.until("lab2!") is not None, t.seen)
t.until(PROMPT)

# History
t.run("'first' + '-line'")
t.run("'second' + '-line'")
t.type(UP + UP + "\n")
check("the arrow key brings older lines back", t.until("first-line") is not None, t.seen)
t.until(PROMPT)

# A statement of several lines, and Ctrl-C
t.type("1..2 | ForEach-Object {\n")
check("an unfinished statement goes on", t.until(">> ") is not None, t.seen)
t.type("'number ' + $_ }\n")
check("and runs when it is whole", t.until("number 1\r?\nnumber 2") is not None, t.seen)
t.until(PROMPT)
t.type("if ($true) {\n")
t.until(">> ")
t.type("'never run'" + CTRL_C)
check("Ctrl-C forgets the statement", t.until(r"\^C(?s:.*)" + PROMPT) is not None, t.seen)
check("and the next one runs", "still 3" in t.run("\"still $(1 + 2)\""), t.seen)
t.type("'begun'; Start-Sleep 60; 'not this'\n")
t.until(r"begun\r?\n")
time.sleep(0.3)
began = time.monotonic()
t.type(CTRL_C)
text = t.until(PROMPT)
check("Ctrl-C ends a running command", text is not None and "not this\r" not in text and time.monotonic() - began < 5, str(text))

# A VM's console, from inside of the shell
t.run("Set-VMFirmware lab1 -KernelPath '%s' -KernelCommandLine do=e; Start-VM lab1" % os.environ["GUEST"])
before = t.settings()
t.type("Connect-VM lab1\n")
check("Connect-VM names its escape key", t.until(r"Press Ctrl-\] to leave") is not None and t.until("hello") is not None, t.seen)
t.type("ab" + ESCAPE + ESCAPE + CTRL_C + "c")
check("doubled it goes to the guest, as Ctrl-C does", t.until("ab\x1d\x03c") is not None, t.seen)
t.type(ESCAPE)
check("alone it leaves", t.until("Disconnected(?s:.*)" + PROMPT) is not None, t.seen)
check("the terminal is what it was", t.settings() == before)
check("and the VM runs on", "Running" in t.run("(Get-VM lab1).State"), t.seen)
t.type("Connect-VM lab1\n")
t.until("hello")
t.type("q")
check("the VM's end leaves too", t.until("Disconnected(?s:.*)" + PROMPT) is not None, t.seen)

# Ends
t.run("'kept for' + ' the next'")
t.type("not a cmdlet" + CTRL_A + CTRL_K + CTRL_D)
check("Ctrl-D on an empty line ends it with status 0", t.status() == 0)
t = Terminal()
t.until(PROMPT)
t.type(UP + "\n")
check("the next shell has the lines of the last", t.until("kept for the next") is not None, t.seen)
t.until(PROMPT)
t.type("exit\n")
check("exit ends it with status 0", t.status() == 0)
t = Terminal()
t.until(PROMPT)
os.close(t.fd)
check("a terminal that goes away ends it", t.status() is not None)
sys.exit(failed)
P
