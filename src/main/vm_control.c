/* SPDX-License-Identifier: MIT */
/*
 * One client a connection, one request at a time, answered at once. Only a save spans two messages: its
 * client is `saver` until it says END or hangs up, and meanwhile the machine stands.
 *
 * A client is the user's own process (the socket's folder is theirs alone), but its packets are checked like
 * any others.
 */
#include "main/vm_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "main/vm_state.h"

enum { CLIENTS_MAX = 32, SAMPLE_MS = 1000 };

struct client {
    struct vm_control *control;
    int fd; /* -1: free */
    int state_file;
    struct event_watch *watch;
};

struct vm_control {
    struct machine *machine;
    struct vm_console *console;
    struct cables *cables;
    const char *engine;
    struct vm_memory *memory;
    unsigned cpus;
    u64 run;
    int listening;
    bool paused, turned_off, saved;
    struct client *saver;
    u64 sample_wall_ms, sample_cpu_ms, cpu_percent;
    struct client clients[CLIENTS_MAX];
};

static u64 clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

/* ---- answers ---- */

static void hang_up(struct client *c)
{
    struct vm_control *v = c->control;
    event_loop_remove(machine_loop(v->machine), c->watch);
    close(c->fd);
    c->fd = -1;
    if (v->saver != c)
        return;
    v->saver = NULL;
    if (ftruncate(c->state_file, 0)) /* the state of a machine that goes on is worth nothing */
        log_line("a state that nobody wants cannot be emptied: %s", strerror(errno));
    close(c->state_file);
    machine_resume(v->machine);
}

static void answer(struct client *c, const struct message *m)
{
    if (message_send(c->fd, m, -1, NULL))
        hang_up(c);
}

static void answer_ok(struct client *c)
{
    answer(c, &(struct message){.type = MESSAGE_OK});
}

static void answer_err(struct client *c, const struct err *e)
{
    struct message m = message_of_err(e);
    answer(c, &m);
}

static void refuse(struct client *c, int id, const char *text)
{
    struct err e = {0};
    err_set_id(&e, EXIT_STATUS_USAGE, id, "%s", text);
    answer_err(c, &e);
}

/* ---- requests ---- */

static enum vm_state state_of(const struct vm_control *v)
{
    return v->saver ? VM_SAVING : v->paused ? VM_PAUSED : VM_RUNNING;
}

/* Over at least SAMPLE_MS, so that two queries in a row do not measure each other. */
static u64 cpu_percent(struct vm_control *v, u64 cpu_ms)
{
    u64 now = clock_ms(CLOCK_MONOTONIC), wall = now - v->sample_wall_ms;
    if (wall >= SAMPLE_MS) {
        u64 percent = (cpu_ms - v->sample_cpu_ms) * 100 / (wall * v->cpus);
        v->cpu_percent = percent > 100 ? 100 : percent;
        v->sample_wall_ms = now;
        v->sample_cpu_ms = cpu_ms;
    }
    return v->cpu_percent;
}

static void on_query(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    u64 cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    struct message m = {.type = MESSAGE_STATUS,
                        .state = state_of(v),
                        .pid = (u64)getpid(),
                        .uptime_ms = clock_now(machine_clock(v->machine)) / 1000000,
                        .cpu_ms = cpu,
                        .cpu_percent = cpu_percent(v, cpu),
                        .run = v->run};
    vm_memory_report(v->memory, &m);
    snprintf(m.engine, sizeof(m.engine), "%s", v->engine);
    snprintf(m.notice, sizeof(m.notice), "%s", cables_notice(v->cables));
    answer(c, &m);
}

static void on_shut_down(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    if (v->paused)
        refuse(c, ERROR_INVALID_STATE, "The guest is paused and cannot shut down.");
    else if (machine_power_button(v->machine))
        answer_ok(c);
    else
        refuse(c, ERROR_OPERATION_FAILED,
               "The guest does not listen to the power button: its ACPI button driver is not loaded, or not "
               "yet. Stop-VM -TurnOff ends it.");
}

static void on_turn_off(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    v->turned_off = true;
    answer_ok(c);
    machine_stop(v->machine);
}

static void on_reset(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    machine_reset(v->machine);
    answer_ok(c);
}

static void on_pause(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    if (!v->paused)
        machine_pause(v->machine);
    v->paused = true;
    answer_ok(c);
}

static void on_resume(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    if (v->paused)
        machine_resume(v->machine);
    v->paused = false;
    answer_ok(c);
}

static void on_memory(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    struct err err = {0};
    if (vm_memory_change(v->memory, q, &err))
        answer_err(c, &err);
    else
        answer_ok(c);
}

static void on_cable(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    struct err err = {0};
    if (cables_give(v->cables, (unsigned)q->adapter, passed, &err) == 0) {
        answer_ok(c);
        return;
    }
    if (passed >= 0)
        close(passed);
    answer_err(c, &err);
}

static void on_save(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    struct err err = {0};
    if (passed < 0) {
        refuse(c, ERROR_INVALID_PARAMETER, "A save needs a file.");
        return;
    }
    machine_pause(v->machine);
    if (vm_state_store(passed, v->machine, v->engine, &err)) {
        machine_resume(v->machine);
        close(passed);
        answer_err(c, &err);
        return;
    }
    v->saver = c;
    c->state_file = passed;
    answer_ok(c);
}

static void on_end(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    if (v->saver != c) {
        refuse(c, ERROR_INVALID_STATE, "Nothing was saved.");
        return;
    }
    v->saved = true;
    machine_stop(v->machine);
}

static void on_attach(struct vm_control *v, struct client *c, const struct message *q, int passed)
{
    answer_ok(c);
    if (c->fd < 0)
        return;
    event_loop_remove(machine_loop(v->machine), c->watch);
    if (!vm_console_attach(v->console, c->fd))
        close(c->fd);
    c->fd = -1;
}

static const struct request {
    void (*serve)(struct vm_control *v, struct client *c, const struct message *q, int passed);
    bool takes_file, while_saving;
} requests[MESSAGE_TYPE_COUNT] = {
    [MESSAGE_QUERY] = {.serve = on_query, .while_saving = true},
    [MESSAGE_SHUT_DOWN] = {.serve = on_shut_down},
    [MESSAGE_TURN_OFF] = {.serve = on_turn_off},
    [MESSAGE_RESET] = {.serve = on_reset},
    [MESSAGE_PAUSE] = {.serve = on_pause},
    [MESSAGE_RESUME] = {.serve = on_resume},
    [MESSAGE_SAVE] = {.serve = on_save, .takes_file = true},
    [MESSAGE_END] = {.serve = on_end, .while_saving = true},
    [MESSAGE_ATTACH] = {.serve = on_attach},
    [MESSAGE_MEMORY] = {.serve = on_memory},
    [MESSAGE_CABLE] = {.serve = on_cable, .takes_file = true},
};

/* ---- clients ---- */

static void serve(struct vm_control *v, struct client *c, const struct message *m, int passed)
{
    const struct request *r = &requests[m->type];
    if (passed >= 0 && !(r->serve && r->takes_file && !v->saver)) {
        close(passed);
        passed = -1;
    }
    if (!r->serve)
        refuse(c, ERROR_NOT_SUPPORTED, "A worker does not take such messages.");
    else if (v->saver && !r->while_saving)
        refuse(c, ERROR_INVALID_STATE, "The virtual machine is being saved.");
    else
        r->serve(v, c, m, passed);
}

static void on_client(void *opaque, int events)
{
    struct client *c = opaque;
    struct message m;
    struct err err = {0};
    int passed, r = message_receive(c->fd, &m, &passed, &err);
    if (r > 0)
        serve(c->control, c, &m, passed);
    else if (err.id != ERROR_TIMED_OUT || (events & EVENT_HANGUP)) /* which says that nothing was there */
        hang_up(c);
}

static void on_connection(void *opaque, int events)
{
    struct vm_control *v = opaque;
    int fd = accept4(v->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct client *c = v->clients;
    while (c < v->clients + CLIENTS_MAX && c->fd >= 0)
        c++;
    if (fd < 0)
        return;
    if (c < v->clients + CLIENTS_MAX) {
        c->fd = fd;
        c->watch = event_loop_add(machine_loop(v->machine), fd, EVENT_READ, on_client, c);
        if (c->watch)
            return;
        c->fd = -1;
    }
    close(fd);
}

struct vm_control *vm_control_new(int listening, struct machine *m, struct vm_console *console,
                                  struct cables *cables, const char *engine, struct vm_memory *memory,
                                  unsigned cpus, u64 run, struct err *err)
{
    struct vm_control *v = calloc(1, sizeof(*v));
    if (!v) {
        err_set(err, EXIT_STATUS_HOST, "out of memory for the control socket");
        return NULL;
    }
    *v = (struct vm_control){.machine = m,
                             .console = console,
                             .cables = cables,
                             .engine = engine,
                             .memory = memory,
                             .cpus = cpus,
                             .run = run,
                             .listening = listening,
                             .sample_wall_ms = clock_ms(CLOCK_MONOTONIC),
                             .sample_cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID)};
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        v->clients[i] = (struct client){.control = v, .fd = -1};
    if (event_loop_add(machine_loop(m), listening, EVENT_READ, on_connection, v))
        return v;
    err_set(err, EXIT_STATUS_HOST, "out of memory for the control socket");
    free(v);
    return NULL;
}

struct message vm_control_outcome(const struct vm_control *c, const struct machine_result *r)
{
    static const char *const texts[] = {
        [MACHINE_POWERED_OFF] = "The guest powered off", [MACHINE_RESET] = "The guest was reset",
        [MACHINE_PANIC] = "The guest reported a panic",  [MACHINE_TRIPLE_FAULT] = "Triple fault",
        [MACHINE_HOST_ERROR] = "The host failed",
    };
    struct message m = {.type = MESSAGE_ENDED, .run = c->run, .cpu_ms = clock_ms(CLOCK_PROCESS_CPUTIME_ID)};
    m.failed = r->end == MACHINE_PANIC || r->end == MACHINE_TRIPLE_FAULT || r->end == MACHINE_HOST_ERROR;
    const char *text = c->saved ? "Saved" : c->turned_off ? "Turned off" : NULL;
    if (!text && (unsigned)r->end < ARRAY_SIZE(texts))
        text = texts[r->end];
    snprintf(m.text, sizeof(m.text), "%s%s%s", text ? text : "Ended", r->text[0] ? ": " : "", r->text);
    return m;
}
