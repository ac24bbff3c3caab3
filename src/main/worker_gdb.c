/* SPDX-License-Identifier: MIT */
/* --gdb: see the header. Everything runs on the event loop's thread. */
#include "main/worker_gdb.h"

#include <seccomp.h>
#include <stdlib.h>

#include "cmd/run_gdb.h"
#include "vm/gdb/session.h"

struct worker_gdb {
    struct machine *machine;
    struct gdb_link *link;
    struct gdb_session *session;
    void (*killed)(void *opaque);
    void *opaque;
};

const int worker_gdb_calls[] = {SCMP_SYS(accept4), -1};

/* ---- what the session asks of the machine ---- */

static void get(void *opaque, unsigned vcpu, struct debug_regs *r)
{
    debugger_get(((struct worker_gdb *)opaque)->machine, vcpu, r);
}

static void set(void *opaque, unsigned vcpu, const struct debug_regs *r)
{
    debugger_set(((struct worker_gdb *)opaque)->machine, vcpu, r);
}

static void status(void *opaque, unsigned vcpu, struct accel_status *s)
{
    debugger_status(((struct worker_gdb *)opaque)->machine, vcpu, s);
}

static size_t read_memory(void *opaque, unsigned vcpu, bool physical, u64 at, void *buf, size_t len)
{
    return debugger_read(((struct worker_gdb *)opaque)->machine, vcpu, physical, at, buf, len);
}

static size_t write_memory(void *opaque, unsigned vcpu, bool physical, u64 at, const void *buf, size_t len)
{
    return debugger_write(((struct worker_gdb *)opaque)->machine, vcpu, physical, at, buf, len);
}

static bool set_points(void *opaque, const struct debug_point *points, unsigned count)
{
    struct err err = {0};
    return debugger_set_points(((struct worker_gdb *)opaque)->machine, points, count, &err) == 0;
}

static void resume(void *opaque, const enum debug_action *action)
{
    debugger_resume(((struct worker_gdb *)opaque)->machine, action);
}

static void stop(void *opaque)
{
    debugger_stop(((struct worker_gdb *)opaque)->machine);
}

static void detach(void *opaque)
{
    debugger_detach(((struct worker_gdb *)opaque)->machine);
}

static void kill_machine(void *opaque)
{
    struct worker_gdb *g = opaque;
    g->killed(g->opaque);
}

/* ---- what the socket and the machine tell ---- */

static void on_stopped(void *opaque, const struct debug_stop *s)
{
    struct worker_gdb *g = opaque;
    gdb_session_stopped(g->session, s);
}

static void on_connected(void *opaque)
{
    struct worker_gdb *g = opaque;
    gdb_session_begin(g->session);
    debugger_attach(g->machine);
}

static void on_received(void *opaque, const void *bytes, size_t len)
{
    struct worker_gdb *g = opaque;
    gdb_session_receive(g->session, bytes, len);
}

static void on_gone(void *opaque)
{
    struct worker_gdb *g = opaque;
    debugger_lost(g->machine);
    if (debugger_stopped(g->machine))
        log_line("gdb went away without detaching: the machine stays stopped until it comes back");
}

/* ---- begin and end ---- */

static void say_where(const struct run_config *c)
{
    if (c->gdb_port)
        log_line("the machine waits for gdb: target remote 127.0.0.1:%u", c->gdb_port);
    else
        log_line("the machine waits for gdb: target remote %.300s", c->gdb_path);
}

struct worker_gdb *worker_gdb_begin(const struct run_job *job, struct machine *m,
                                    void (*killed)(void *opaque), void *opaque, struct err *err)
{
    struct worker_gdb *g = calloc(1, sizeof(*g));
    struct gdb_target t = {g,          job->config.cpus, get,  set,    status,      read_memory, write_memory,
                           set_points, resume,           stop, detach, kill_machine};
    struct gdb_link_user user = {on_connected, on_received, on_gone, g};
    if (g) {
        *g = (struct worker_gdb){.machine = m, .killed = killed, .opaque = opaque};
        g->link = gdb_link_new(job->files.gdb, machine_loop(m), user, err);
    }
    if (g && g->link)
        g->session = gdb_session_new(&t, gdb_link_send, g->link);
    if (!g || !g->session) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the gdb server");
        return NULL;
    }
    if (debugger_open(m, on_stopped, g, err))
        return NULL;
    say_where(&job->config);
    return g;
}

void worker_gdb_end(struct worker_gdb *g, int exit_status)
{
    gdb_session_ended(g->session, exit_status);
    gdb_link_finish(g->link);
}
