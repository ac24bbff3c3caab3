/* SPDX-License-Identifier: MIT */
/* Monitor commands, by a table. */
#include "vm/gdb/monitor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 3))) static void print(const struct gdb_monitor *m, const char *fmt, ...)
{
    char line[500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    m->print(m->opaque, line);
}

static const char *activity(const struct accel_status *s)
{
    static const char *const names[] = {
        [ACCEL_RUNNING] = "running",
        [ACCEL_HALTED] = "halted",
        [ACCEL_SHUT_DOWN] = "shut down",
        [ACCEL_WAITS_FOR_SIPI] = "waits for a start-up IPI",
    };
    return names[s->activity];
}

void gdb_describe_vcpu(const struct gdb_target *t, unsigned vcpu, char *buf, size_t size)
{
    struct accel_status s;
    t->status(t->opaque, vcpu, &s);
    int n = snprintf(buf, size, "vCPU %u, %s", vcpu, activity(&s));
    if (s.in_guest && n > 0 && (size_t)n < size)
        snprintf(buf + n, size - (size_t)n, ", in L2 (%s %#" PRIx64 ")",
                 s.nesting == ACCEL_SVM ? "VMCB" : "VMCS", s.control);
}

static void registers(const struct gdb_monitor *m, const char *rest)
{
    static const char *const names[SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};
    struct debug_regs r;
    struct accel_status s;
    m->target->get(m->target->opaque, m->vcpu, &r);
    m->target->status(m->target->opaque, m->vcpu, &s);
    print(m, "vCPU %u, %s, %u-bit code\n", m->vcpu, activity(&s), s.code_bits);
    print(m, "rip %016" PRIx64 "  rflags %08" PRIx64 "\n", r.r.rip, r.r.rflags);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        print(m, "%-4s %04x  base %016" PRIx64 "  limit %08x  attributes %05x\n", names[i], r.r.seg[i].sel,
              r.r.seg[i].base, r.r.seg[i].limit, r.r.seg[i].attr);
    print(m, "gdt  base %016" PRIx64 "  limit %04x\n", r.r.gdt_base, r.r.gdt_limit);
    print(m, "idt  base %016" PRIx64 "  limit %04x\n", r.r.idt_base, r.r.idt_limit);
    print(m,
          "cr0 %08" PRIx64 "  cr2 %016" PRIx64 "  cr3 %016" PRIx64 "  cr4 %08" PRIx64 "  cr8 %" PRIx64
          "  efer %04" PRIx64 "\n",
          r.r.cr0, r.r.cr2, r.r.cr3, r.r.cr4, r.cr8, r.r.efer);
}

static void nested_one(const struct gdb_monitor *m, unsigned vcpu)
{
    struct accel_status s;
    m->target->status(m->target->opaque, vcpu, &s);
    bool svm = s.nesting == ACCEL_SVM;
    if (s.nesting == ACCEL_NO_NESTING) {
        print(m, "vCPU %u: no virtualization extensions (--nested on)\n", vcpu);
        return;
    }
    if (!s.operation) {
        print(m, "vCPU %u: %s, not in use\n", vcpu, svm ? "SVM" : "VMX");
        return;
    }
    print(
        m, "vCPU %u: %s, %s, %s %#" PRIx64 ", nested %s, %" PRIu64 " VM entries\n", vcpu, svm ? "SVM" : "VMX",
        s.in_guest ? svm ? "guest mode (L2)" : "non-root operation (L2)"
        : svm      ? "host mode (L1)"
                   : "root operation (L1)",
        svm ? "VM_HSAVE_PA" : "VMXON region", s.region, s.nested_active ? "active" : "not active", s.entries);
    if (s.control != ~0ull)
        print(m, "vCPU %u: %s %#" PRIx64 "\n", vcpu, svm ? "VMCB" : "current VMCS", s.control);
}

static void nested(const struct gdb_monitor *m, const char *rest)
{
    for (unsigned i = 0; i < m->target->vcpus; i++)
        nested_one(m, i);
}

static void why(const struct gdb_monitor *m, const char *rest)
{
    static const char *const reasons[] = {
        [DEBUG_ASKED] = "stopped by the debugger",
        [DEBUG_POINT] = "met a breakpoint or watchpoint",
        [DEBUG_STEPPED] = "stepped",
        [DEBUG_RESET] = "reset: going on lets it happen",
        [DEBUG_TRIPLE_FAULT] = "triple fault: going on ends the machine",
        [DEBUG_PANIC] = "panic: going on ends the machine",
    };
    print(m, "vCPU %u: %s%s%s\n", m->why->vcpu, reasons[m->why->reason], *m->why->text ? "; " : "",
          m->why->text);
}

static void physical(const struct gdb_monitor *m, const char *rest)
{
    if (strcmp(rest, "on") == 0 || strcmp(rest, "off") == 0)
        *m->physical = strcmp(rest, "on") == 0;
    else if (*rest)
        print(m, "write monitor physical on or monitor physical off\n");
    print(m, "memory is read and written by %s addresses\n", *m->physical ? "physical" : "linear");
}

static void help(const struct gdb_monitor *m, const char *rest);

static const struct command {
    const char *name, *text;
    void (*run)(const struct gdb_monitor *m, const char *rest);
} commands[] = {
    {"help", "these commands", help},
    {"info registers", "the current vCPU's system state", registers},
    {"nested", "who is a hypervisor, and whether L1 or L2 runs", nested},
    {"physical", "[on|off]: whether memory is addressed by physical addresses", physical},
    {"why", "why the machine stopped", why},
};

static void help(const struct gdb_monitor *m, const char *rest)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
        print(m, "monitor %-16s %s\n", commands[i].name, commands[i].text);
}

void gdb_monitor_run(const struct gdb_monitor *m, const char *command)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        size_t n = strlen(commands[i].name);
        if (strncmp(command, commands[i].name, n) == 0 && (!command[n] || command[n] == ' ')) {
            commands[i].run(m, command + n + (command[n] == ' '));
            return;
        }
    }
    print(m, "there is no such command: monitor help lists them\n");
}
