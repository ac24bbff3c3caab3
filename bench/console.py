# SPDX-License-Identifier: MIT
"""A process whose output comes as lines with the host's time, and what memory it holds."""
import os
import re
import signal
import subprocess
import time


class Console:
    def __init__(self, command, timeout=600):
        self.deadline = time.monotonic() + timeout
        self.start = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, start_new_session=True)
        os.set_blocking(self.process.stderr.fileno(), False)

    def lines(self):
        """(time, text) as they come."""
        rest = b""
        while chunk := self.process.stdout.read(65536):
            now = time.monotonic()
            if now > self.deadline:
                raise SystemExit("bench: the guest does not end; its last line: " + rest.decode(errors="replace"))
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield now, line.decode(errors="replace").strip()

    def errors(self):
        return (self.process.stderr.read() or b"").decode(errors="replace").strip()

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def _family(self):
        parents = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    parents[int(pid)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                pass
        family = [self.process.pid]
        for member in family:
            family += [pid for pid, parent in parents.items() if parent == member]
        return family

    def memory_beside(self, guest):
        """MiB that its processes hold, without mappings of at least half of the guest's size in bytes: RAM."""
        kib = 0
        for pid in self._family():
            with open(f"/proc/{pid}/smaps") as f:
                for line in f:
                    if m := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
                        ram = int(m[2], 16) - int(m[1], 16) >= guest // 2
                    elif line.startswith("Pss:") and not ram:
                        kib += int(line.split()[1])
        return kib / 1024
