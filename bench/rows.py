# SPDX-License-Identifier: MIT
"""What is measured and what it is to reach."""

# Title, programs of bench_guest, the slowdown against native that is allowed (None: not a row by itself).
SLOWDOWNS = [
    ("integer", ["mix", "sha256", "interpreter", "indirect", "recursive", "lz", "qsort", "copy8"], 2.2),
    ("nbody", ["nbody"], 1.5),
    ("saxpy", ["saxpy"], 5),
    ("memcpy 64 KiB", ["memcpy"], 2),
    ("rep movsb 64 KiB", ["movsb"], 2),
    ("chase 1 MiB", ["chase1"], 2),
    ("chase 64 MiB", ["chase64"], 1.5),
    ("getpid", ["getpid"], 1.5),
    ("pipe ping-pong", ["pipe"], 4),
    ("256 page faults", ["faults"], 3),
    ("fork+exec+wait", ["fork"], 4),
]

# Key, title, unit, most.
AMOUNTS = [
    ("kvm-cpuid", "L2 CPUID to L1's KVM and back", "us", 4),
    ("kvm-out", "L2 OUT to L1's user space and back", "us", 5),
    ("pair", "VMRUN or VMRESUME and exit", "us", 0.5),
    ("boot-l1", "start to L1's user space", "s", 1.2),
    ("boot-l2", "L1 to L2's user space", "s", 1.5),
    ("first", "start to the first instruction's trace", "ms", 10),
    ("memory-l1", "host memory beside the guest's, L1 up", "MiB", 60),
    ("memory-l2", "the same, L2 up", "MiB", 100),
]

PROGRAMS = [p for _, programs, _ in SLOWDOWNS for p in programs]
