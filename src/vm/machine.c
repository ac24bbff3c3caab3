/* SPDX-License-Identifier: MIT */
/*
 * A machine's life: construction, boot, the event loop, reset, end.
 *
 * What the guest asks of the machine as a whole (power off, reset, panic) arrives on a vCPU's thread inside a
 * device, with locks held. It is only noted there, and all vCPUs are kicked so that the guest executes
 * nothing more; the event loop's thread, which holds no lock, acts.
 */
#include "vm/machine.h"

#include <stdio.h>
#include <stdlib.h>

#include "dev/chip/acpi_pm.h"
#include "dev/chip/i8259.h"
#include "dev/chip/ioapic.h"
#include "vm/acpi.h"
#include "vm/cpu_model.h"
#include "vm/machine_parts.h"

#define DEFAULT_TSC_HZ 1000000000ull

/* ---- the end ---- */

void machine_set_end(struct machine *m, enum machine_end end, int code, const char *text)
{
    pthread_mutex_lock(&m->lock);
    if (m->result.end == MACHINE_RUNNING) {
        m->result.end = end;
        m->result.code = code;
        snprintf(m->result.text, sizeof(m->result.text), "%s", text ? text : "");
    }
    atomic_store(&m->ending, true);
    pthread_cond_broadcast(&m->rested);
    pthread_mutex_unlock(&m->lock);
    vcpu_kick_all(m);
    event_loop_stop(m->loop);
}

void machine_stop(struct machine *m)
{
    machine_set_end(m, MACHINE_STOPPED, 0, NULL);
}

static int load_guest(struct machine *m, struct err *err)
{
    struct boot_target t = {m->memory, &m->map, m->rsdp};
    struct accel_regs regs;
    if (boot_load(m->boot, &t, &regs, err))
        return -1;
    m->config.engine->set_regs(m->vcpus[0].accel, &regs);
    return 0;
}

/* The tables stand where firmware would have left them. */
static int write_acpi(struct machine *m, struct err *err)
{
    size_t size = ACPI_AREA_END - ACPI_AREA_BASE;
    u8 *area = calloc(1, size);
    struct acpi_config cfg = {m->config.cpus, m->map.mmio64, MMIO64_SIZE};
    if (!area)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for ACPI tables");
    m->rsdp = acpi_build(&cfg, area, ACPI_AREA_BASE, size, err);
    while (size && !area[size - 1])
        size--;
    int r = m->rsdp ? space_write(m->memory, ACPI_AREA_BASE, area, size) : -1;
    free(area);
    return r ? err_set(err, EXIT_STATUS_HOST, "the ACPI tables cannot be written to RAM") : 0;
}

static int power_on(struct machine *m, struct err *err)
{
    if (board_reset(&m->board, err))
        return -1;
    for (unsigned i = 0; i < m->config.cpus; i++)
        m->config.engine->vcpu_reset(m->vcpus[i].accel, i == 0);
    return write_acpi(m, err);
}

/* RAM starts afresh: loaders rely on zeroes, and the host gets its pages back. */
void machine_reset_now(struct machine *m)
{
    struct err err = {0};
    if (m->config.no_reboot || !m->boot) {
        machine_set_end(m, MACHINE_RESET, 0, NULL);
        return;
    }
    machine_pause(m);
    space_discard(m->memory, 0, LEGACY_VGA_BASE);
    space_discard(m->memory, LEGACY_ROM_BASE, m->map.low_end - LEGACY_ROM_BASE);
    if (m->map.high_end > HIGH_RAM_BASE)
        space_discard(m->memory, HIGH_RAM_BASE, m->map.high_end - HIGH_RAM_BASE);
    if (power_on(m, &err) || load_guest(m, &err))
        machine_set_end(m, MACHINE_HOST_ERROR, 0, err.text);
    atomic_store(&m->resetting, false);
    machine_resume(m);
}

/* On the loop's thread. */
static void do_reset(void *opaque)
{
    struct machine *m = opaque;
    if (!atomic_load(&m->ending) && !debugger_takes_reset(m))
        machine_reset_now(m);
}

static void power_request(void *opaque, enum power_request what, int code)
{
    struct machine *m = opaque;
    switch (what) {
    case POWER_OFF:
        machine_set_end(m, MACHINE_POWERED_OFF, 0, NULL);
        break;
    case POWER_PANIC:
        if (!debugger_takes_end(m, MACHINE_PANIC, NULL))
            machine_set_end(m, MACHINE_PANIC, 0, NULL);
        break;
    case POWER_DEBUG_EXIT:
        machine_set_end(m, MACHINE_DEBUG_EXIT, code, NULL);
        break;
    case POWER_RESET:
        if (!atomic_exchange(&m->resetting, true)) {
            vcpu_kick_all(m);
            event_loop_post(m->loop, do_reset, m);
        }
        break;
    }
}

/* ---- construction ---- */

static int check_config(const struct machine_config *c, struct err *err)
{
    if (c->memory < MIB || c->memory % MIB)
        return err_set(err, EXIT_STATUS_USAGE, "memory is given in whole MiB, at least 1 MiB");
    if (c->cpus < 1 || c->cpus > MACHINE_CPUS_MAX)
        return err_set(err, EXIT_STATUS_USAGE, "%u CPUs; a machine has 1 to %d", c->cpus, MACHINE_CPUS_MAX);
    if (c->options.icount && c->engine != &accel_soft)
        return err_set(err, EXIT_STATUS_USAGE,
                       "a counted clock (icount) needs engine soft: engine %s counts no instructions",
                       c->engine->name);
    if (c->options.icount && c->cpus > 1)
        return err_set(err, EXIT_STATUS_USAGE, "a counted clock (icount) needs a machine of one CPU");
    return 0;
}

static struct dev *current_lapic(void *opaque)
{
    struct machine *m = opaque;
    struct vcpu *v = pthread_getspecific(m->self);
    return v ? m->board.lapic[v->index] : NULL;
}

static int build_base(struct machine *m, struct err *err)
{
    struct machine_config *c = &m->config;
    m->vcpus = calloc(c->cpus, sizeof(*m->vcpus));
    m->clock = clock_new(c->options.icount ? CLOCK_MODE_ICOUNT : CLOCK_MODE_REAL, c->wall_ns);
    m->memory = space_new(1ull << m->model.phys_bits);
    m->ports = space_new(0x10000);
    m->has_self = pthread_key_create(&m->self, NULL) == 0;
    if (!m->vcpus || !m->clock || !m->memory || !m->ports || !m->has_self)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for the machine");
    clock_by_tsc(m->clock);
    m->loop = event_loop_new(m->clock, err);
    if (!m->loop)
        return -1;
    clock_pause(m->clock); /* until machine_run(); a second pause of a counted clock is harmless */
    return ram_build(m, err);
}

/* Of engines with local APICs of their own. The board is built, and could send, before there is a VM. */
static void engine_msi(void *opaque, u64 address, u32 data)
{
    struct machine *m = opaque;
    if (m->vm)
        m->config.engine->msi(m->vm, address, data);
}

static int engine_bind(void *opaque, struct msi_source *s, u64 address, u32 data)
{
    struct machine *m = opaque;
    return m->vm ? m->config.engine->msi_bind(m->vm, &s->id, s->fd, address, data) : -1;
}

static int engine_hang(void *opaque, u64 gpa, int fd)
{
    struct machine *m = opaque;
    return m->vm ? m->config.engine->doorbell(m->vm, gpa, fd, true) : -1;
}

static void engine_take_down(void *opaque, u64 gpa, int fd)
{
    struct machine *m = opaque;
    m->config.engine->doorbell(m->vm, gpa, fd, false);
}

static void engine_extint(void *opaque, int pin, int level)
{
    vcpu_signal(opaque, ACCEL_SIGNAL_INTR);
}

static int build_board(struct machine *m, struct err *err)
{
    struct machine_config *c = &m->config;
    m->env = (struct dev_env){.memory = m->memory,
                              .ports = m->ports,
                              .clock = m->clock,
                              .loop = m->loop,
                              .power = {power_request, m}};
    if (c->engine->doorbell)
        m->env.doorbell = (struct doorbell_port){engine_hang, engine_take_down, m};
    struct lapic_cpu *cpu = calloc(c->cpus, sizeof(*cpu));
    if (!cpu)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for the machine");
    for (unsigned i = 0; i < c->cpus; i++) {
        m->vcpus[i].machine = m;
        m->vcpus[i].index = i;
        m->vcpus[i].at_rest = true;
        cpu[i] = (struct lapic_cpu){vcpu_signal, &m->vcpus[i]};
    }
    struct board_config bc = {
        .cpus = c->cpus,
        .model = &m->model,
        .map = &m->map,
        .memory = c->memory,
        .serial = {c->serial.tx, c->serial.rx_ready, c->serial.opaque},
        .test_devices = c->test_devices,
        .repeatable = c->options.icount,
        .balloon = ram_balloon_port(m),
        .blocks = ram_blocks_port(m),
        .current_lapic = current_lapic,
        .current_opaque = m,
        .cpu = cpu,
    };
    if (c->engine->own_lapics) {
        bc.msi = (struct msi_sink){engine_msi, m, c->engine->msi_bind ? engine_bind : NULL};
        bc.extint = (struct irq_line){engine_extint, &m->vcpus[0], 0};
    }
    int r = board_build(&m->board, &m->env, &bc, err);
    free(cpu);
    return r;
}

_Static_assert((int)ACCEL_SIGNAL_INTR == (int)LAPIC_INTR && (int)ACCEL_SIGNAL_NMI == (int)LAPIC_NMI &&
                   (int)ACCEL_SIGNAL_INIT == (int)LAPIC_INIT && (int)ACCEL_SIGNAL_SIPI == (int)LAPIC_SIPI &&
                   (int)ACCEL_SIGNAL_SMI == (int)LAPIC_SMI,
               "what a local APIC signals, an engine takes unchanged");

static struct apic_port apic_port(struct machine *m, unsigned i)
{
    if (!m->config.engine->own_lapics)
        return (struct apic_port){m->board.lapic[i], lapic_pending,  lapic_acknowledge, lapic_get_tpr,
                                  lapic_set_tpr,     lapic_msr_read, lapic_msr_write,   lapic_take_sipi,
                                  lapic_init,        lapic_eoi};
    if (i == 0)
        return (struct apic_port){
            .opaque = m->board.pic, .pending = i8259_pending, .acknowledge = i8259_acknowledge};
    return (struct apic_port){0};
}

static void wake(void *opaque, unsigned index)
{
    struct machine *m = opaque;
    vcpu_signal(&m->vcpus[index], 0);
}

static int build_vcpus(struct machine *m, struct err *err)
{
    const struct accel_ops *ops = m->config.engine;
    struct accel_vm_init init = {m->memory,         m->ports,        m->clock, &m->model, m->config.options,
                                 ioapic_eoi,        m->board.ioapic, wake,     m,         m->map.blocks_base,
                                 m->map.blocks_size};
    m->vm = ops->vm_new(&init, err);
    if (!m->vm)
        return -1;
    for (unsigned i = 0; i < m->config.cpus; i++) {
        struct apic_port port = apic_port(m, i);
        m->vcpus[i].accel = ops->vcpu_new(m->vm, i, &port, err);
        if (!m->vcpus[i].accel)
            return -1;
    }
    return 0;
}

static int build_model(struct machine *m, struct err *err)
{
    struct machine_config *c = &m->config;
    struct accel_limits limits = {0};
    bool limited = c->engine->limits;
    if (limited && c->engine->limits(&c->options, &limits, err))
        return -1;
    if (limits.tsc_hz)
        c->tsc_hz = limits.tsc_hz;
    if (!c->tsc_hz)
        c->tsc_hz = DEFAULT_TSC_HZ;
    return cpu_model_build_within(&m->model, c->vendor, c->cpu_features, c->nested, c->cpus, c->tsc_hz,
                                  limited ? &limits : NULL, err);
}

struct machine *machine_new(const struct machine_config *cfg, struct err *err)
{
    struct machine *m = NULL;
    if (check_config(cfg, err))
        return NULL;
    if (!(m = calloc(1, sizeof(*m)))) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for the machine");
        return NULL;
    }
    m->config = *cfg;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->rested, NULL);
    if (build_model(m, err) || cfg->engine->probe(&m->model, err) || build_base(m, err) ||
        build_board(m, err) || build_vcpus(m, err) || power_on(m, err)) {
        machine_free(m);
        return NULL;
    }
    ram_begin(m);
    return m;
}

void machine_free(struct machine *m)
{
    if (!m)
        return;
    ram_end(m);
    board_free(&m->board); /* first: until their threads are gone, devices may interrupt and write memory */
    for (unsigned i = 0; m->vcpus && i < m->config.cpus; i++)
        if (m->vcpus[i].accel)
            m->config.engine->vcpu_free(m->vcpus[i].accel);
    if (m->vm)
        m->config.engine->vm_free(m->vm);
    event_loop_free(m->loop);
    if (m->ports)
        space_free(m->ports);
    if (m->memory)
        space_free(m->memory);
    if (m->clock)
        clock_free(m->clock);
    if (m->has_self)
        pthread_key_delete(m->self);
    pthread_cond_destroy(&m->rested);
    pthread_mutex_destroy(&m->lock);
    free(m->vcpus);
    free(m);
}

struct event_loop *machine_loop(struct machine *m)
{
    return m->loop;
}

struct clock *machine_clock(struct machine *m)
{
    return m->clock;
}

struct space *machine_memory(struct machine *m)
{
    return m->memory;
}

int machine_add_disk(struct machine *m, struct block *b, struct err *err)
{
    return board_add_disk(&m->board, b, err);
}

int machine_add_net(struct machine *m, struct net_port *port, const u8 mac[6], struct err *err)
{
    return board_add_net(&m->board, port, mac, err);
}

int machine_boot(struct machine *m, const struct boot_source *src, struct err *err)
{
    m->boot_copy = *src;
    m->boot = &m->boot_copy;
    /* Again, because devices were added since: BARs. */
    return board_reset(&m->board, err) || load_guest(m, err) ? -1 : 0;
}

/* ---- running ---- */

struct machine_result machine_run(struct machine *m)
{
    struct err err = {0};
    clock_resume(m->clock);
    if (vcpus_start(m, &err))
        machine_set_end(m, MACHINE_HOST_ERROR, 0, err.text);
    while (!atomic_load(&m->ending))
        event_loop_run(m->loop);
    vcpus_join(m);
    clock_pause(m->clock);
    return m->result;
}

void machine_pause(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
    __atomic_add_fetch(&m->pauses, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&m->lock);
    vcpu_kick_all(m);
    pthread_mutex_lock(&m->lock);
    vcpu_wait_rest(m);
    pthread_mutex_unlock(&m->lock);
    clock_pause(m->clock);
}

void machine_resume(struct machine *m)
{
    clock_resume(m->clock);
    pthread_mutex_lock(&m->lock);
    bug_on(m->pauses == 0, "machine resumed more often than paused");
    __atomic_sub_fetch(&m->pauses, 1, __ATOMIC_SEQ_CST);
    pthread_cond_broadcast(&m->rested);
    pthread_mutex_unlock(&m->lock);
}

size_t machine_serial_receive(struct machine *m, const void *data, size_t len)
{
    return console_receive(&m->board.console, data, len);
}

bool machine_power_button(struct machine *m)
{
    return acpi_pm_power_button(m->board.pm);
}

void machine_reset(struct machine *m)
{
    power_request(m, POWER_RESET, 0);
}

bool machine_nested_active(struct machine *m)
{
    const struct accel_ops *ops = m->config.engine;
    bool active = false;
    if (!m->config.nested)
        return false;
    if (ops->nested_at_rest)
        machine_pause(m);
    for (unsigned i = 0; i < m->config.cpus && !active; i++)
        active = ops->nested_active(m->vcpus[i].accel);
    if (ops->nested_at_rest)
        machine_resume(m);
    return active;
}

void machine_nmi(struct machine *m)
{
    for (unsigned i = 0; i < m->config.cpus; i++) {
        if (m->config.engine->own_lapics)
            vcpu_signal(&m->vcpus[i], ACCEL_SIGNAL_NMI);
        else
            lapic_nmi(m->board.lapic[i]);
    }
}

void machine_stats(struct machine *m, unsigned cpu, struct accel_stats *out)
{
    bug_on(cpu >= m->config.cpus, "no vCPU %u", cpu);
    *out = (struct accel_stats){0};
    m->config.engine->stats(m->vcpus[cpu].accel, out);
}

void machine_times(struct machine *m, unsigned cpu, struct machine_times *out)
{
    bug_on(cpu >= m->config.cpus, "no vCPU %u", cpu);
    *out = m->vcpus[cpu].times;
}
