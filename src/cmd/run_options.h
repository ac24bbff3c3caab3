/* SPDX-License-Identifier: MIT */
/*
 * The command line of `droste run` as a struct. Parsing opens no file and has no effect; every error is one
 * line naming the option and the remedy, with status EXIT_STATUS_USAGE.
 */
#ifndef CMD_RUN_OPTIONS_H
#define CMD_RUN_OPTIONS_H

#include <stdio.h>

#include "base/err.h"
#include "base/types.h"

enum run_engine { RUN_ENGINE_AUTO, RUN_ENGINE_KVM, RUN_ENGINE_SOFT };
enum run_vendor { RUN_VENDOR_HOST, RUN_VENDOR_INTEL, RUN_VENDOR_AMD };
enum run_jit { RUN_JIT_DEFAULT, RUN_JIT_ON, RUN_JIT_OFF, RUN_JIT_CHAOS };
enum run_serial { RUN_SERIAL_STDIO, RUN_SERIAL_NONE, RUN_SERIAL_FILE };
enum run_action { RUN_GUEST, RUN_HELP, RUN_VERSION };

enum {
    RUN_MODULES_MAX = 64,
    RUN_DISKS_MAX = 16,
    RUN_NETS_MAX = 8,
    RUN_SWITCH_NAME_MAX = 100,
    RUN_FORWARDS_MAX = 32,
    RUN_CPUS_MAX = 512,
};

struct run_module {
    const char *file, *args; /* args: "" when there are none */
};
struct run_disk {
    const char *file;
    bool readonly, snapshot;
};
struct run_forward {
    u16 host, guest;
};
struct run_net {
    const char *switch_name; /* NULL: the user-mode network; "": connected to nothing */
    struct run_forward forwards[RUN_FORWARDS_MAX];
    unsigned forward_count;
    bool has_mac;
    u8 mac[6];
};
struct run_config {
    enum run_action action;
    const char *name; /* NULL when none was given, as with all strings here */
    enum run_engine engine;
    enum run_jit jit;
    u64 chaos; /* RUN_JIT_CHAOS: its seed */
    enum run_vendor vendor;
    struct run_module modules[RUN_MODULES_MAX];
    struct run_disk disks[RUN_DISKS_MAX];
    struct run_net nets[RUN_NETS_MAX];
    unsigned module_count, disk_count, net_count;
    const char *cpu_features; /* "+name,-name": which names there are, the CPU model knows */
    u64 memory;
    u64 memory_most; /* what it may grow to; only of stored VMs */
    unsigned cpus;
    const char *kernel, *append;
    enum run_serial serial;
    const char *serial_path;
    bool nested, no_reboot, test_devices, icount;
    bool trace_stats, trace_exits, trace_nested, trace_jit, trace_perf, trace_gdbjit;
    const char *stats_path, *exits_path, *nested_path, *jit_path; /* NULL: to stderr */
    const char *perf_path;                                        /* NULL: where perf looks */
    const char *hash_path;
    const char *expect;
    const char *gdb_path; /* with neither: no debugger */
    u16 gdb_port;
    u64 timeout_ms;   /* 0: none */
    char *store[512]; /* strings this config owns */
    unsigned store_count;
};

/* argv: what follows `droste run`. *c is filled anew; run_config_free() it in any case. 0 or -1. */
int must_check run_config_parse(struct run_config *c, int argc, char *const *argv, struct err *err);
void run_config_free(struct run_config *c);
void run_options_help(FILE *out);

#endif
