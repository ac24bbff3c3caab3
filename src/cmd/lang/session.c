/* SPDX-License-Identifier: MIT */
/* A session: texts to statements, each with an arena of its own, its output through a formatter. */
#include "cmd/lang/session.h"

#include <signal.h>
#include <stdlib.h>

#include "cmd/lang/run.h"

struct session *session_new(const struct command_set *commands, struct session_io io)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s) {
        log_line("out of memory: end other programs and try again");
        exit(EXIT_STATUS_HOST);
    }
    s->commands = commands;
    s->io = io;
    return s;
}

static void free_retired(struct session *s)
{
    for (unsigned i = 0; i < s->retired_count; i++)
        arena_free(s->retired[i]);
    s->retired_count = 0;
    s->retired_bytes = 0;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->variable_count; i++) {
        arena_free(s->variables[i].arena);
        free(s->variables[i].name);
    }
    free_retired(s);
    free(s->variables);
    free(s->retired);
    free(s);
}

int run_check(struct session *s, const struct node *place)
{
    sigset_t pending;
    if (arena_used(s->arena) + s->retired_bytes > ARENA_LIMIT)
        return run_fail(s, place, ERROR_TOO_LARGE, "The command needs more than %d MiB: divide it.",
                        ARENA_LIMIT >> 20);
    if (s->io.steps && s->steps > s->io.steps)
        return run_fail(s, place, ERROR_TOO_LARGE, "The command takes more than %lu steps.", s->io.steps);
    if (s->steps++ % 64 == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGINT)) {
        s->status = s->status ? s->status : STATUS_INTERRUPTED;
        return -1;
    }
    return 0;
}

struct display {
    struct sink sink;
    struct formatter *formatter;
};

static int display_put(struct sink *sink, struct value v)
{
    struct display *d = container_of(sink, struct display, sink);
    return formatter_put(d->formatter, v);
}

/* One statement at top level. -1: a script does not go on (-ErrorAction Stop, an interrupt). */
static void run_top(struct session *s, const struct node *statement)
{
    struct arena *outer = s->arena;
    s->arena = arena_new();
    s->underscore = NULL_VALUE;
    struct display d = {{display_put}, formatter_new(s)};
    struct node one = {
        .kind = NODE_STATEMENTS, .items = &((struct node *){(struct node *)statement}), .count = 1};
    if (run_statements(s, &one, &d.sink) < 0)
        s->last_failed = true;
    formatter_end(d.formatter);
    arena_free(s->arena);
    s->arena = outer;
    free_retired(s);
}

/* With ErrorActionPreference Stop a script ends at its first error. */
static bool goes_on(struct session *s)
{
    const char *action = variable_text(s, "ErrorActionPreference");
    return s->status != STATUS_INTERRUPTED &&
           !(s->last_failed && s->status && action && text_equal(action, "Stop"));
}

static int run_script(struct session *s, const struct script *script)
{
    const struct script *outer = s->script;
    s->script = script;
    for (unsigned i = 0; i < script->statements->count; i++) {
        run_top(s, script->statements->items[i]);
        if (!goes_on(s))
            break;
    }
    s->script = outer;
    if (fflush(s->io.out) != 0 && !s->status) {
        report_line(s, "ERROR", "the output could not be written");
        s->status = 1;
    }
    return s->status;
}

int session_run(struct session *s, const char *text, const char *name)
{
    struct script script;
    struct err err = {0};
    const char *where;
    bool more;
    s->arena = arena_new();
    s->status = 0;
    if (parse_script(s->arena, text, &script, &err, &where, &more) < 0) {
        script.name = name;
        report_parse_error(s, &script, where, err.text);
    } else {
        script.name = name;
        run_script(s, &script);
    }
    arena_free(s->arena);
    s->arena = NULL;
    return s->status;
}

int session_run_words(struct session *s, int argc, char *const *argv)
{
    struct script script;
    struct err err = {0};
    s->arena = arena_new();
    s->status = 0;
    if (parse_words(s->arena, argc, argv, &script, &err) < 0)
        report_parse_error(s, &script, NULL, err.text);
    else
        run_script(s, &script);
    arena_free(s->arena);
    s->arena = NULL;
    return s->status;
}

bool session_wants_more(const char *text)
{
    struct arena *a = arena_new();
    struct script script;
    struct err err = {0};
    const char *where;
    bool more;
    bool broken = parse_script(a, text, &script, &err, &where, &more) < 0;
    arena_free(a);
    return broken && more;
}
