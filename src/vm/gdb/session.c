/* SPDX-License-Identifier: MIT */
/*
 * A debugging session: see the header. handle() chooses by a packet's beginning; each command parses its
 * arguments completely before it does anything, and answers with exactly one packet, except that those which
 * let the machine run are answered when it stops.
 */
#include "vm/gdb/session.h"

#include <stdlib.h>

#include "vm/gdb/monitor.h"
#include "vm/gdb/registers.h"
#include "vm/gdb/session_parts.h"

enum { SIG_INT = 2, SIG_TRAP = 5, SIG_ABRT = 6, SIG_SEGV = 11 };

struct gdb_session *gdb_session_new(const struct gdb_target *t,
                                    void (*send)(void *opaque, const void *bytes, size_t len), void *opaque)
{
    struct gdb_session *s = calloc(1, sizeof(*s));
    if (s)
        s->action = calloc(t->vcpus, sizeof(*s->action));
    if (!s || !s->action) {
        free(s);
        return NULL;
    }
    s->target = *t;
    s->send = send;
    s->opaque = opaque;
    s->description_len = gdb_registers_describe(s->description, sizeof(s->description));
    bug_on(s->description_len >= sizeof(s->description), "the description of the registers is too long");
    gdb_session_begin(s);
    return s;
}

void gdb_session_free(struct gdb_session *s)
{
    if (s)
        free(s->action);
    free(s);
}

void gdb_session_begin(struct gdb_session *s)
{
    memset(&s->in, 0, sizeof(s->in));
    s->quiet = s->reasons = s->running = s->physical = false;
    s->out.len = 0;
    s->general = 0;
    s->resumed = -1;
    s->count = 0;
}

/* ---- answers ---- */

void gdb_finish(struct gdb_session *s)
{
    gdb_output_end(&s->out);
    s->send(s->opaque, s->out.data, s->out.len);
}

void gdb_answer(struct gdb_session *s, const char *text)
{
    gdb_output_begin(&s->out);
    gdb_put_text(&s->out, text);
    gdb_finish(s);
}

void gdb_answer_ok_or(struct gdb_session *s, bool ok, const char *error)
{
    gdb_answer(s, ok ? "OK" : error);
}

static void print(void *opaque, const char *line)
{
    struct gdb_session *s = opaque;
    gdb_output_begin(&s->out);
    gdb_put_text(&s->out, "O");
    gdb_put_hex(&s->out, line, strlen(line));
    gdb_finish(s);
}

static const char *point_reason(const struct gdb_session *s)
{
    static const char *const names[] = {
        [DEBUG_WRITE] = "watch", [DEBUG_READ] = "rwatch", [DEBUG_ACCESS] = "awatch"};
    if (s->stop.hit.kind != DEBUG_EXECUTE)
        return names[s->stop.hit.kind];
    bool hard = false;
    for (unsigned i = 0; i < s->count; i++)
        hard |= s->types[i] == 1 && s->points[i].linear == s->stop.hit.linear;
    return hard ? "hwbreak" : "swbreak";
}

/* asked: by this debugger, a moment ago. */
static unsigned signal_of(const struct debug_stop *stop, bool asked)
{
    switch (stop->reason) {
    case DEBUG_ASKED:
        return asked ? SIG_INT : SIG_TRAP;
    case DEBUG_TRIPLE_FAULT:
        return SIG_SEGV;
    case DEBUG_RESET:
    case DEBUG_PANIC:
        return SIG_ABRT;
    default:
        return SIG_TRAP;
    }
}

static void answer_stop(struct gdb_session *s, bool asked)
{
    struct gdb_output *o = &s->out;
    u8 number = (u8)signal_of(&s->stop, asked);
    bool data = s->stop.reason == DEBUG_POINT && s->stop.hit.kind != DEBUG_EXECUTE;
    gdb_output_begin(o);
    gdb_put_text(o, "T");
    gdb_put_hex(o, &number, 1);
    gdb_put_text(o, "thread:");
    gdb_put_number(o, s->stop.vcpu + 1);
    gdb_put_text(o, ";");
    if (s->stop.reason == DEBUG_POINT && (data || s->reasons)) {
        gdb_put_text(o, point_reason(s));
        gdb_put_text(o, ":");
        if (data)
            gdb_put_number(o, s->stop.hit.linear);
        gdb_put_text(o, ";");
    }
    gdb_finish(s);
}

void gdb_session_stopped(struct gdb_session *s, const struct debug_stop *stop)
{
    bool awaited = s->running;
    s->running = false;
    s->stop = *stop;
    s->general = stop->vcpu;
    if (!awaited)
        return;
    if (*stop->text) {
        char line[sizeof(stop->text) + 16] = "droste: ";
        strcat(line, stop->text);
        print(s, strcat(line, "\n"));
    }
    answer_stop(s, true);
}

void gdb_session_ended(struct gdb_session *s, int status)
{
    u8 byte = (u8)status;
    gdb_output_begin(&s->out);
    gdb_put_text(&s->out, "W");
    gdb_put_hex(&s->out, &byte, 1);
    gdb_finish(s);
}

/* ---- threads ---- */

static void set_thread(struct gdb_session *s, const char *p)
{
    char what = *p ? *p++ : 0;
    int vcpu;
    if ((what != 'g' && what != 'c') || !gdb_take_thread(s, &p, &vcpu) || *p) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    if (what == 'c')
        s->resumed = vcpu;
    else if (vcpu >= 0)
        s->general = (unsigned)vcpu;
    gdb_answer(s, "OK");
}

static void thread_alive(struct gdb_session *s, const char *p)
{
    int vcpu;
    gdb_answer_ok_or(s, gdb_take_thread(s, &p, &vcpu) && vcpu >= 0 && !*p, GDB_BAD);
}

static void list_threads(struct gdb_session *s)
{
    gdb_output_begin(&s->out);
    for (unsigned i = 0; i < s->target.vcpus; i++) {
        gdb_put_text(&s->out, i ? "," : "m");
        gdb_put_number(&s->out, i + 1);
    }
    gdb_finish(s);
}

static void thread_info(struct gdb_session *s, const char *p)
{
    char text[200];
    int vcpu;
    if (!gdb_take_thread(s, &p, &vcpu) || vcpu < 0 || *p) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    gdb_describe_vcpu(&s->target, (unsigned)vcpu, text, sizeof(text));
    gdb_output_begin(&s->out);
    gdb_put_hex(&s->out, text, strlen(text));
    gdb_finish(s);
}

static void current_thread(struct gdb_session *s)
{
    gdb_output_begin(&s->out);
    gdb_put_text(&s->out, "QC");
    gdb_put_number(&s->out, s->general + 1);
    gdb_finish(s);
}

/* ---- queries ---- */

static void supported(struct gdb_session *s, const char *p)
{
    s->reasons = strstr(p, "swbreak+") && strstr(p, "hwbreak+");
    gdb_output_begin(&s->out);
    gdb_put_text(&s->out, "PacketSize=");
    gdb_put_number(&s->out, GDB_PACKET_MAX);
    gdb_put_text(&s->out, ";qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+");
    gdb_finish(s);
}

static void read_description(struct gdb_session *s, const char *p)
{
    u64 at, len;
    if (!(p = gdb_after(p, "target.xml:")) || !gdb_take_range(&p, &at, &len) || *p ||
        at > s->description_len) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    size_t left = s->description_len - at, room = GDB_PACKET_MAX / 2 - 1;
    size_t n = len < left ? len : left;
    if (n > room)
        n = room;
    gdb_output_begin(&s->out);
    gdb_put_text(&s->out, n < left ? "m" : "l");
    gdb_put_binary(&s->out, s->description + at, n);
    gdb_finish(s);
}

static void monitor(struct gdb_session *s, const char *p)
{
    char line[200];
    size_t len = strlen(p) / 2;
    if (len >= sizeof(line) || !gdb_take_hex(&p, line, len) || *p) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    line[len] = 0;
    struct gdb_monitor m = {&s->target, s->general, &s->stop, &s->physical, print, s};
    gdb_monitor_run(&m, line);
    gdb_answer(s, "OK");
}

static void query(struct gdb_session *s, const char *p)
{
    const char *rest;
    if ((rest = gdb_after(p, "qSupported")))
        supported(s, rest);
    else if ((rest = gdb_after(p, "qXfer:features:read:")))
        read_description(s, rest);
    else if (strcmp(p, "qfThreadInfo") == 0)
        list_threads(s);
    else if (strcmp(p, "qsThreadInfo") == 0)
        gdb_answer(s, "l");
    else if ((rest = gdb_after(p, "qThreadExtraInfo,")))
        thread_info(s, rest);
    else if (strcmp(p, "qC") == 0)
        current_thread(s);
    else if (gdb_after(p, "qAttached"))
        gdb_answer(s, "1");
    else if (gdb_after(p, "qSymbol"))
        gdb_answer(s, "OK");
    else if ((rest = gdb_after(p, "qRcmd,")))
        monitor(s, rest);
    else
        gdb_answer(s, "");
}

/* ---- the packet ---- */

static void end_machine(struct gdb_session *s)
{
    s->running = true; /* nothing more is answered but the end */
    s->target.kill(s->target.opaque);
}

static void detach(struct gdb_session *s)
{
    gdb_answer(s, "OK");
    s->count = 0;
    s->running = true;
    s->target.detach(s->target.opaque);
}

static void multi_letter(struct gdb_session *s, const char *p)
{
    const char *rest;
    if (strcmp(p, "vCont?") == 0) {
        gdb_answer(s, "vCont;c;C;s;S");
    } else if ((rest = gdb_after(p, "vCont"))) {
        gdb_resume_each(s, rest);
    } else if (gdb_after(p, "vKill")) {
        gdb_answer(s, "OK");
        end_machine(s);
    } else {
        gdb_answer(s, "");
    }
}

static void start_quiet(struct gdb_session *s)
{
    gdb_answer(s, "OK");
    s->quiet = true;
}

static void handle(struct gdb_session *s)
{
    const char *p = (const char *)s->in.data;
    switch (*p) {
    case '?':
        answer_stop(s, false);
        break;
    case 'g':
        gdb_read_all(s);
        break;
    case 'G':
        gdb_write_all(s, p + 1);
        break;
    case 'p':
        gdb_read_one(s, p + 1);
        break;
    case 'P':
        gdb_write_one(s, p + 1);
        break;
    case 'm':
        gdb_read_memory(s, p + 1);
        break;
    case 'M':
        gdb_write_hex(s, p + 1);
        break;
    case 'X':
        gdb_write_binary(s, p + 1);
        break;
    case 'c':
    case 's':
    case 'C':
    case 'S':
        gdb_resume_old(s, p);
        break;
    case 'v':
        multi_letter(s, p);
        break;
    case 'Z':
    case 'z':
        gdb_point(s, *p == 'Z', p + 1);
        break;
    case 'H':
        set_thread(s, p + 1);
        break;
    case 'T':
        thread_alive(s, p + 1);
        break;
    case 'q':
        query(s, p);
        break;
    case 'Q':
        if (strcmp(p, "QStartNoAckMode") == 0)
            start_quiet(s);
        else
            gdb_answer(s, "");
        break;
    case 'D':
        detach(s);
        break;
    case 'k':
        end_machine(s);
        break;
    default:
        gdb_answer(s, "");
    }
}

static void acknowledge(struct gdb_session *s, const char *sign)
{
    if (!s->quiet)
        s->send(s->opaque, sign, 1);
}

static void take_event(struct gdb_session *s, enum gdb_event e)
{
    switch (e) {
    case GDB_PACKET:
        acknowledge(s, "+");
        if (!s->running) /* while it runs, only an interrupt has a meaning */
            handle(s);
        break;
    case GDB_DAMAGED:
        acknowledge(s, "-");
        break;
    case GDB_NACK:
        if (!s->quiet && s->out.len)
            s->send(s->opaque, s->out.data, s->out.len);
        break;
    case GDB_INTERRUPT:
        if (s->running)
            s->target.stop(s->target.opaque);
        break;
    default:
        break;
    }
}

void gdb_session_receive(struct gdb_session *s, const void *bytes, size_t len)
{
    for (const u8 *p = bytes; len; len--, p++)
        take_event(s, gdb_input_byte(&s->in, *p));
}
