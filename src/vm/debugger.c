/* SPDX-License-Identifier: MIT */
/*
 * A machine under a debugger: see the header.
 *
 * A vCPU that met something notes it in its own struct, sets `stopping`, which keeps all of them from running
 * on, and posts to the event loop. There the machine is paused and one of the notes is told; the others wait
 * until the debugger goes on: data points are told then, for their accesses are done; breakpoints are met
 * again by themselves.
 */
#include "vm/debugger.h"

#include <stdio.h>

#include "vm/machine_parts.h"

static const struct accel_debug_ops *ops_of(const struct machine *m)
{
    return m->config.engine->debug;
}

/* ---- what vCPUs report ---- */

static void on_report(void *machine);

static void report(struct vcpu *v, const struct debug_stop *stop)
{
    struct machine *m = v->machine;
    pthread_mutex_lock(&m->lock);
    v->stop = *stop;
    v->stop.vcpu = v->index;
    v->has_stop = true;
    atomic_store(&m->debug.stopping, true);
    pthread_mutex_unlock(&m->lock);
    vcpu_kick_all(m);
    event_loop_post(m->loop, on_report, m);
}

void debugger_report(struct vcpu *v)
{
    struct debug_hit hit = ops_of(v->machine)->take_hit(v->accel);
    report(v, &(struct debug_stop){.reason = hit.kind ? DEBUG_POINT : DEBUG_STEPPED, .hit = hit});
}

bool debugger_takes_end(struct machine *m, enum machine_end end, const char *text)
{
    if (!atomic_load(&m->debug.attached) || atomic_load(&m->ending))
        return false;
    struct vcpu *v = pthread_getspecific(m->self);
    bool triple = end == MACHINE_TRIPLE_FAULT;
    struct debug_stop stop = {.reason = triple ? DEBUG_TRIPLE_FAULT : DEBUG_PANIC};
    snprintf(stop.text, sizeof(stop.text), "%s%s", triple ? "triple fault: " : "the guest reported a panic",
             text ? text : "");
    pthread_mutex_lock(&m->lock);
    if (m->debug.end == MACHINE_RUNNING) {
        m->debug.end = end;
        snprintf(m->debug.end_text, sizeof(m->debug.end_text), "%s", text ? text : "");
    }
    pthread_mutex_unlock(&m->lock);
    report(v ? v : &m->vcpus[0], &stop);
    return true;
}

/* ---- stopping ---- */

static void stand(struct machine *m)
{
    if (m->debug.stopped)
        return;
    machine_pause(m);
    m->debug.stopped = true;
    atomic_store(&m->debug.stopping, false);
    for (unsigned i = 0; i < m->config.cpus; i++) {
        atomic_store(&m->vcpus[i].held, false);
        ops_of(m)->step(m->vcpus[i].accel, false);
    }
}

/* A vCPU's note that is to be told now, or NULL. In turn, so that none waits for ever. */
static struct vcpu *next_note(struct machine *m)
{
    for (unsigned i = 1; i <= m->config.cpus; i++) {
        struct vcpu *v = &m->vcpus[(m->debug.told + i) % m->config.cpus];
        if (v->has_stop)
            return v;
    }
    return NULL;
}

static void tell(struct machine *m, const struct debug_stop *stop)
{
    m->debug.told = stop->vcpu;
    m->debug.sink(m->debug.opaque, stop);
}

/* Tells a vCPU's note; false: there is none. */
static bool tell_note(struct machine *m)
{
    struct vcpu *v = next_note(m);
    if (!v)
        return false;
    struct debug_stop stop = v->stop;
    v->has_stop = false;
    tell(m, &stop);
    return true;
}

static void on_report(void *machine)
{
    struct machine *m = machine;
    if (!atomic_load(&m->debug.stopping) || atomic_load(&m->ending))
        return;
    if (!atomic_load(&m->debug.attached)) { /* it went away meanwhile */
        atomic_store(&m->debug.stopping, false);
        vcpu_wake_rest(m);
        return;
    }
    stand(m);
    tell_note(m);
}

void debugger_stop(struct machine *m)
{
    if (m->debug.stopped)
        return;
    stand(m);
    if (!tell_note(m))
        tell(m, &(struct debug_stop){.reason = DEBUG_ASKED, .vcpu = m->debug.told});
}

bool debugger_takes_reset(struct machine *m)
{
    if (!atomic_load(&m->debug.attached))
        return false;
    m->debug.reset = DEBUG_RESET_DUE;
    if (m->debug.stopped)
        return true; /* told when it wants to go on */
    stand(m);
    m->debug.reset = DEBUG_RESET_TOLD;
    tell(m, &(struct debug_stop){
                .reason = DEBUG_RESET, .vcpu = m->debug.told, .text = "the guest asked for a reset"});
    return true;
}

/* ---- going on ---- */

static void forget_notes(struct machine *m)
{
    for (unsigned i = 0; i < m->config.cpus; i++)
        m->vcpus[i].has_stop = false;
}

/* What has to be told before anything runs. */
static bool tell_left(struct machine *m)
{
    for (unsigned i = 0; i < m->config.cpus; i++) {
        const struct debug_stop *s = &m->vcpus[i].stop;
        if (s->reason == DEBUG_STEPPED || (s->reason == DEBUG_POINT && s->hit.kind == DEBUG_EXECUTE))
            m->vcpus[i].has_stop = false;
    }
    if (tell_note(m))
        return true;
    if (m->debug.reset != DEBUG_RESET_DUE)
        return false;
    m->debug.reset = DEBUG_RESET_TOLD;
    tell(m, &(struct debug_stop){
                .reason = DEBUG_RESET, .vcpu = m->debug.told, .text = "the guest asked for a reset"});
    return true;
}

static void go_on(struct machine *m)
{
    m->debug.stopped = false;
    if (m->debug.end != MACHINE_RUNNING)
        machine_set_end(m, m->debug.end, 0, m->debug.end_text);
    else if (m->debug.reset != DEBUG_NO_RESET)
        machine_reset_now(m);
    m->debug.reset = DEBUG_NO_RESET;
    machine_resume(m);
}

void debugger_resume(struct machine *m, const enum debug_action *action)
{
    bug_on(!m->debug.stopped, "a debugger resumes a machine that runs");
    if (m->debug.end == MACHINE_RUNNING && tell_left(m))
        return;
    for (unsigned i = 0; i < m->config.cpus; i++) {
        atomic_store(&m->vcpus[i].held, action[i] == DEBUG_HOLD);
        ops_of(m)->step(m->vcpus[i].accel, action[i] == DEBUG_STEP);
    }
    go_on(m);
}

bool debugger_stopped(const struct machine *m)
{
    return m->debug.stopped;
}

/* ---- coming and going ---- */

int debugger_open(struct machine *m, void (*stopped)(void *opaque, const struct debug_stop *stop),
                  void *opaque, struct err *err)
{
    if (!ops_of(m))
        return err_set(err, EXIT_STATUS_NO_ENGINE, "engine %s cannot be debugged: use --engine soft",
                       m->config.engine->name);
    m->debug.sink = stopped;
    m->debug.opaque = opaque;
    stand(m);
    return 0;
}

void debugger_attach(struct machine *m)
{
    atomic_store(&m->debug.attached, true);
    if (m->debug.stopped)
        return;
    stand(m);
    forget_notes(m);
    tell(m, &(struct debug_stop){.reason = DEBUG_ASKED});
}

static void drop_points(struct machine *m)
{
    struct err err = {0};
    bug_on(ops_of(m)->set_points(m->vm, NULL, 0, &err), "%s", err.text);
}

void debugger_detach(struct machine *m)
{
    stand(m);
    drop_points(m);
    forget_notes(m);
    atomic_store(&m->debug.attached, false);
    go_on(m);
}

void debugger_lost(struct machine *m)
{
    bool ran = !m->debug.stopped;
    if (!atomic_load(&m->debug.attached))
        return;
    stand(m);
    drop_points(m);
    forget_notes(m);
    atomic_store(&m->debug.attached, false);
    if (ran)
        go_on(m);
}

/* ---- the guest ---- */

int debugger_set_points(struct machine *m, const struct debug_point *points, unsigned count, struct err *err)
{
    return ops_of(m)->set_points(m->vm, points, count, err);
}

void debugger_get(struct machine *m, unsigned vcpu, struct debug_regs *r)
{
    struct accel_status s;
    m->config.engine->get_regs(m->vcpus[vcpu].accel, &r->r);
    ops_of(m)->get_fpu(m->vcpus[vcpu].accel, &r->fpu);
    ops_of(m)->status(m->vcpus[vcpu].accel, &s);
    r->cr8 = s.cr8;
}

void debugger_set(struct machine *m, unsigned vcpu, const struct debug_regs *r)
{
    m->config.engine->set_regs(m->vcpus[vcpu].accel, &r->r);
    ops_of(m)->set_fpu(m->vcpus[vcpu].accel, &r->fpu);
}

void debugger_status(struct machine *m, unsigned vcpu, struct accel_status *s)
{
    ops_of(m)->status(m->vcpus[vcpu].accel, s);
}

/* The bytes of RAM that lie together at `at`: up to the page's end. 0: there are none. */
static size_t piece(struct machine *m, unsigned vcpu, bool physical, u64 at, size_t len, u64 *gpa)
{
    size_t room = PAGE_SIZE - (at & (PAGE_SIZE - 1));
    *gpa = at;
    if (!physical && !ops_of(m)->translate(m->vcpus[vcpu].accel, at, gpa))
        return 0;
    return !space_ram(m->memory, *gpa, NULL) ? 0 : len < room ? len : room;
}

size_t debugger_read(struct machine *m, unsigned vcpu, bool physical, u64 at, void *buf, size_t len)
{
    size_t done = 0;
    u64 gpa;
    for (size_t n; done < len && (n = piece(m, vcpu, physical, at + done, len - done, &gpa)); done += n)
        if (space_read(m->memory, gpa, (u8 *)buf + done, n))
            break;
    return done;
}

size_t debugger_write(struct machine *m, unsigned vcpu, bool physical, u64 at, const void *buf, size_t len)
{
    u64 gpa;
    size_t n, done;
    for (done = 0; done < len; done += n)
        if (!(n = piece(m, vcpu, physical, at + done, len - done, &gpa)))
            return 0;
    for (done = 0; done < len; done += n) {
        n = piece(m, vcpu, physical, at + done, len - done, &gpa);
        if (!n || space_write(m->memory, gpa, (const u8 *)buf + done, n))
            break;
    }
    return done;
}
