/* SPDX-License-Identifier: MIT */
/* cmdlet.h: what a cmdlet's C function can ask and tell. */
#include "cmd/lang/cmdlet.h"

#include <ctype.h>
#include <signal.h>
#include <time.h>

#include "cmd/lang/run.h"

/* ---- arguments ---- */

static const struct bound *argument(const struct cmdlet_call *c, const char *param)
{
    for (unsigned i = 0; i < c->arg_count; i++)
        if (strcmp(c->args[i].param->name, param) == 0)
            return &c->args[i];
    bug_on(true, "%s has no parameter %s", c->row->cmdlet.name, param);
    return NULL;
}

bool arg_given(const struct cmdlet_call *c, const char *param)
{
    return argument(c, param)->given;
}

struct value arg_value(const struct cmdlet_call *c, const char *param)
{
    const struct bound *b = argument(c, param);
    return b->given ? b->value : NULL_VALUE;
}

bool arg_switch(const struct cmdlet_call *c, const char *param)
{
    return value_truth(arg_value(c, param));
}

i64 arg_int(const struct cmdlet_call *c, const char *param, i64 otherwise)
{
    struct value v = arg_value(c, param);
    return v.kind == VALUE_INT || v.kind == VALUE_SPAN ? v.integer : otherwise;
}

const char *arg_string(const struct cmdlet_call *c, const char *param)
{
    struct value v = arg_value(c, param);
    return v.kind == VALUE_STRING ? v.string : NULL;
}

unsigned arg_count(const struct cmdlet_call *c, const char *param)
{
    struct value v = arg_value(c, param);
    return v.kind == VALUE_ARRAY ? v.array->count : arg_given(c, param);
}

struct value arg_at(const struct cmdlet_call *c, const char *param, unsigned i)
{
    struct value v = arg_value(c, param);
    if (v.kind == VALUE_ARRAY)
        return i < v.array->count ? v.array->items[i] : NULL_VALUE;
    return i == 0 ? v : NULL_VALUE;
}

const char *arg_string_at(const struct cmdlet_call *c, const char *param, unsigned i)
{
    struct value v = arg_at(c, param, i);
    return v.kind == VALUE_STRING ? v.string : NULL;
}

int arg_word(const struct cmdlet_call *c, const char *param)
{
    const char *word = arg_string(c, param);
    return word ? words_find(argument(c, param)->param->values, word) : -1;
}

const char *call_set(const struct cmdlet_call *c)
{
    return c->set;
}

struct arena *call_arena(const struct cmdlet_call *c)
{
    return c->session->arena;
}

void *call_state(const struct cmdlet_call *c)
{
    return c->state;
}

const char *call_name(const struct cmdlet_call *c)
{
    return c->row->cmdlet.name;
}

struct value call_input(const struct cmdlet_call *c)
{
    return c->input;
}

bool call_piped(const struct cmdlet_call *c)
{
    return c->piped;
}

const struct command_set *call_commands(const struct cmdlet_call *c)
{
    return c->session->commands;
}

const struct type_row *call_type(const struct cmdlet_call *c, const char *id)
{
    const struct type_row *t = row_type(c->session->commands, id);
    bug_on(!t, "there is no type %s", id);
    return t;
}

/* ---- results ---- */

int emit(struct cmdlet_call *c, struct value v)
{
    return pipeline_put(c->pipeline, c->index + 1, v);
}

static void tell(struct cmdlet_call *c, enum error_id id, const char *target, const char *text)
{
    report(c->session, &(struct error_report){.id = id,
                                              .cmdlet = c->row,
                                              .command = c->row->cmdlet.name,
                                              .target = target,
                                              .place = c->node,
                                              .text = text});
}

static int object_error(struct cmdlet_call *c, enum error_id id, const char *target, const char *text)
{
    if (c->action == ACTION_SILENT) {
        c->session->last_failed = true;
        return 0;
    }
    tell(c, id, target, text);
    return c->action == ACTION_STOP ? -1 : 0;
}

int call_error(struct cmdlet_call *c, enum error_id id, const char *target, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(c->session->arena, fmt, ap);
    va_end(ap);
    return object_error(c, id, target, text);
}

int call_error_from(struct cmdlet_call *c, const struct err *e, const char *target, const char *text)
{
    enum error_id id =
        e->id > ERROR_NONE && e->id < ERROR_COUNT ? (enum error_id)e->id : ERROR_OPERATION_FAILED;
    return object_error(c, id, target,
                        text ? arena_printf(c->session->arena, "%s\n%s", text, e->text) : e->text);
}

int call_fail(struct cmdlet_call *c, enum error_id id, const char *target, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell(c, id, target, arena_vprintf(c->session->arena, fmt, ap));
    va_end(ap);
    return -1;
}

void call_warning(struct cmdlet_call *c, const char *fmt, ...)
{
    if (c->quiet_warnings)
        return;
    va_list ap;
    va_start(ap, fmt);
    report_line(c->session, "WARNING", arena_vprintf(c->session->arena, fmt, ap));
    va_end(ap);
}

void call_verbose(struct cmdlet_call *c, const char *fmt, ...)
{
    if (!c->verbose)
        return;
    va_list ap;
    va_start(ap, fmt);
    report_line(c->session, "VERBOSE", arena_vprintf(c->session->arena, fmt, ap));
    va_end(ap);
}

void call_host(struct cmdlet_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print(c->session, arena_vprintf(c->session->arena, fmt, ap));
    va_end(ap);
    print(c->session, "\n");
}

/* ---- questions ---- */

/* A letter of y, a, n, l, or s for "suspend", which is no here; 0 at the end of input. */
static int read_answer(FILE *in)
{
    int first = 0, c;
    while ((c = fgetc(in)) != EOF && c != '\n')
        first = first ? first : tolower(c);
    return c == EOF && !first ? EOF : first ? first : 'y';
}

static bool ask(struct cmdlet_call *c, const char *question)
{
    struct session *s = c->session;
    if (c->yes_to_all || c->no_to_all)
        return c->yes_to_all;
    if (!s->io.in) {
        if (call_error(c, ERROR_NO_ANSWER, NULL, "%s\nNobody is there to answer: give %s-Confirm:$false.",
                       question, bind_exact(c, "Force") ? "-Force or " : "") < 0)
            c->session->last_failed = true;
        return false;
    }
    for (;;) {
        fprintf(
            s->io.out,
            "\nConfirm\n%s\n[Y] Yes  [A] Yes to All  [N] No  [L] No to All  (default is \"Y\"): ", question);
        fflush(s->io.out);
        int answer = read_answer(s->io.in);
        c->yes_to_all = answer == 'a';
        c->no_to_all = answer == 'l' || answer == EOF;
        if (answer == EOF || strchr("yanl", answer))
            return answer == 'y' || answer == 'a';
    }
}

bool call_should(struct cmdlet_call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *will = arena_printf(c->session->arena, "%s will %s", call_name(c),
                                    arena_vprintf(c->session->arena, fmt, ap));
    va_end(ap);
    if (c->what_if) {
        call_host(c, "What if: %s", will);
        return false;
    }
    call_verbose(c, "%s", will);
    return c->confirm != ASK_YES ||
           ask(c, arena_printf(c->session->arena, "Are you sure you want to perform this action?\n%s", will));
}

bool call_confirmed(struct cmdlet_call *c, const char *fmt, ...)
{
    if (c->what_if || c->confirm == ASK_NO)
        return !c->what_if;
    va_list ap;
    va_start(ap, fmt);
    const char *question = arena_vprintf(c->session->arena, fmt, ap);
    va_end(ap);
    return ask(c, question);
}

/* In a shell SIGINT is blocked while a command runs, so it waits to be seen here and in run_check(). */
bool call_sleep(struct cmdlet_call *c, i64 milliseconds)
{
    struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    sigset_t set, blocked;
    fflush(c->session->io.out);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    if (!sigismember(&blocked, SIGINT))
        return nanosleep(&t, NULL) == 0;
    for (;;) {
        sigset_t pending;
        struct timespec step = {t.tv_sec > 0 ? 1 : 0, t.tv_sec > 0 ? 0 : t.tv_nsec};
        sigemptyset(&set);
        sigpending(&pending);
        if (sigismember(&pending, SIGINT)) {
            c->session->status = STATUS_INTERRUPTED;
            return false;
        }
        nanosleep(&step, NULL);
        if (t.tv_sec-- <= 0)
            return true;
    }
}
