/* SPDX-License-Identifier: MIT */
/*
 * vCPU threads: run, sleep, rest.
 *
 * A thread is in run() (inside the engine), asleep (the guest executed HLT: on a futex, until an interrupt's
 * signal or a kick), or at rest (paused, resetting, ended). Signals come from any thread, with chips' locks
 * held, so waking takes no lock: it changes `wakes` and, if somebody sleeps, calls futex. The sleeper reads
 * `wakes` before it asks whether there is a reason to run, so none is missed.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vm/machine_parts.h"

static void wake(struct vcpu *v)
{
    atomic_fetch_add(&v->wakes, 1);
    if (atomic_load(&v->asleep))
        syscall(SYS_futex, &v->wakes, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void vcpu_signal(void *opaque, unsigned what)
{
    struct vcpu *v = opaque;
    if (!v->accel)
        return;
    v->machine->config.engine->signal(v->accel, what);
    wake(v);
}

void vcpu_kick_all(struct machine *m)
{
    for (unsigned i = 0; i < m->config.cpus; i++) {
        struct vcpu *v = &m->vcpus[i];
        if (v->accel)
            m->config.engine->kick(v->accel);
        wake(v);
    }
}

static bool must_rest(struct vcpu *v)
{
    struct machine *m = v->machine;
    return atomic_load(&m->ending) || atomic_load(&m->resetting) || atomic_load(&m->debug.stopping) ||
           __atomic_load_n(&m->pauses, __ATOMIC_SEQ_CST) || atomic_load(&v->held);
}

/* A counted clock stands while everybody sleeps: it goes straight on to the next timer. False: no timer is
 * armed. */
static bool skip_to_next_timer(struct machine *m)
{
    u64 next = clock_next(m->clock), now = clock_now(m->clock);
    if (next == CLOCK_NEVER)
        return false;
    if (next > now)
        clock_advance(m->clock, next - now);
    clock_run_due(m->clock);
    return true;
}

static void sleep_until_woken(struct vcpu *v)
{
    struct machine *m = v->machine;
    atomic_store(&v->asleep, true);
    for (;;) {
        unsigned seen = atomic_load(&v->wakes);
        if (must_rest(v) || m->config.engine->wants_run(v->accel))
            break;
        if (clock_mode(m->clock) == CLOCK_MODE_ICOUNT && skip_to_next_timer(m))
            continue;
        syscall(SYS_futex, &v->wakes, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
    atomic_store(&v->asleep, false);
}

/* Waits out pauses and resets. False: the machine ends. */
static bool rest(struct vcpu *v)
{
    struct machine *m = v->machine;
    pthread_mutex_lock(&m->lock);
    v->at_rest = true;
    pthread_cond_broadcast(&m->rested);
    while (must_rest(v) && !atomic_load(&m->ending))
        pthread_cond_wait(&m->rested, &m->lock);
    bool go_on = !atomic_load(&m->ending);
    v->at_rest = !go_on;
    pthread_mutex_unlock(&m->lock);
    return go_on;
}

static void triple_fault(struct vcpu *v)
{
    char what[300];
    v->machine->config.engine->describe(v->accel, what, sizeof(what));
    if (!debugger_takes_end(v->machine, MACHINE_TRIPLE_FAULT, what))
        machine_set_end(v->machine, MACHINE_TRIPLE_FAULT, 0, what);
}

static void run_once(struct vcpu *v)
{
    struct err err = {0};
    switch (v->machine->config.engine->run(v->accel, &err)) {
    case ACCEL_EXIT_HALTED:
        sleep_until_woken(v);
        break;
    case ACCEL_EXIT_KICKED:
        break;
    case ACCEL_EXIT_SHUTDOWN:
        triple_fault(v);
        break;
    case ACCEL_EXIT_ERROR:
        machine_set_end(v->machine, MACHINE_HOST_ERROR, 0, err.text);
        break;
    case ACCEL_EXIT_DEBUG:
        debugger_report(v);
        break;
    }
}

static u64 time_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

static void *thread_main(void *opaque)
{
    struct vcpu *v = opaque;
    char name[16];
    snprintf(name, sizeof(name), "vcpu%u", (unsigned)(v - v->machine->vcpus));
    pthread_setname_np(pthread_self(), name); /* by the thread itself: another's name is a file in /proc */
    pthread_setspecific(v->machine->self, v);
    v->times.started_ns = time_of(CLOCK_MONOTONIC);
    while (!must_rest(v) || rest(v))
        run_once(v);
    v->times.cpu_ns = time_of(CLOCK_THREAD_CPUTIME_ID);
    v->times.ended_ns = time_of(CLOCK_MONOTONIC);
    return NULL;
}

int vcpus_start(struct machine *m, struct err *err)
{
    for (unsigned i = 0; i < m->config.cpus; i++) {
        struct vcpu *v = &m->vcpus[i];
        v->at_rest = false;
        int r = pthread_create(&v->thread, NULL, thread_main, v);
        if (r) {
            v->at_rest = true;
            return err_set(err, EXIT_STATUS_HOST, "cannot start the thread of vCPU %u: %s", i, strerror(r));
        }
        v->started = true;
    }
    return 0;
}

void vcpus_join(struct machine *m)
{
    vcpu_kick_all(m);
    for (unsigned i = 0; i < m->config.cpus; i++) {
        struct vcpu *v = &m->vcpus[i];
        if (v->started)
            pthread_join(v->thread, NULL);
        v->started = false;
        v->at_rest = true;
    }
}

static bool all_rest(const struct machine *m)
{
    for (unsigned i = 0; i < m->config.cpus; i++)
        if (!m->vcpus[i].at_rest)
            return false;
    return true;
}

void vcpu_wait_rest(struct machine *m)
{
    while (!all_rest(m))
        pthread_cond_wait(&m->rested, &m->lock);
}

void vcpu_wake_rest(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
    pthread_cond_broadcast(&m->rested);
    pthread_mutex_unlock(&m->lock);
}
