/* SPDX-License-Identifier: MIT */
/*
 * Commands in a row. Values are pushed: what a stage emits is bound and processed by the next at once, the
 * last one's go to the sink. A stage that has enough sets `stopped`; the -1 it returns unwinds to the driver,
 * which then ends the stages from there on as if the input were over.
 */
#include "cmd/lang/run.h"

/* ---- finding commands ---- */

static const struct row *elsewhere(struct session *s, const char *name)
{
    for (const struct row *r = NULL; (r = row_next_any(s->commands, r, ROW_ELSEWHERE));)
        if (text_equal(r->elsewhere.name, name))
            return r;
    return NULL;
}

static const char *unknown_command(struct session *s, const char *name)
{
    struct nearest near = nearest_begin(name);
    for (const struct row *r = NULL; (r = row_next_any(s->commands, r, ROW_CMDLET));)
        if (!r->cmdlet.not_in_shell)
            nearest_try(&near, r->cmdlet.name);
    if (near.best)
        return arena_printf(s->arena,
                            "The term '%.60s' is not recognized as the name of a cmdlet. Did you mean %s?",
                            name, near.best);
    return arena_printf(
        s->arena,
        "The term '%.60s' is not recognized as the name of a cmdlet. Get-Command lists those there are.",
        name);
}

static const struct row *find_command(struct session *s, const struct node *n)
{
    const struct row *row = row_cmdlet(s->commands, n->text), *known = elsewhere(s, n->text);
    if (row && !row->cmdlet.not_in_shell)
        return row;
    const char *text = known ? arena_printf(s->arena, "%s is not built: %s.", known->elsewhere.name,
                                            known->elsewhere.instead)
                             : unknown_command(s, n->text);
    report(s, &(struct error_report){.id = known ? ERROR_COMMAND_NOT_BUILT : ERROR_COMMAND_NOT_FOUND,
                                     .command = n->text,
                                     .target = n->text,
                                     .place = n,
                                     .text = text,
                                     .usage = true});
    return NULL;
}

/* ---- one stage ---- */

static int stage_begin(struct cmdlet_call *c)
{
    if (bind_line(c) < 0)
        return -1;
    c->state = arena_alloc(c->session->arena, c->row->cmdlet.ops->state_size);
    return 0;
}

static int call_begin_op(struct cmdlet_call *c)
{
    const struct cmdlet_ops *ops = c->row->cmdlet.ops;
    return ops->begin ? ops->begin(c) : 0;
}

static int stage_put(struct cmdlet_call *c, const struct value *input)
{
    c->input = input ? *input : NULL_VALUE;
    if (bind_object(c, input) < 0)
        return input && c->action != ACTION_STOP ? 0 : -1;
    const struct cmdlet_ops *ops = c->row->cmdlet.ops;
    return ops->process ? ops->process(c) : 0;
}

int call_enough(struct cmdlet_call *c)
{
    c->pipeline->stopped = true;
    c->pipeline->stopped_at = c->index;
    return -1;
}

int pipeline_put(struct pipeline *p, unsigned index, struct value v)
{
    if (run_check(p->session, index < p->count ? p->calls[index].node : NULL) < 0)
        return -1;
    return index < p->count ? stage_put(&p->calls[index], &v) : p->out->put(p->out, v);
}

/* ---- the whole ---- */

static int put_unrolled(struct pipeline *p, unsigned index, struct value v, bool keep_null)
{
    if (v.kind == VALUE_NULL && !keep_null)
        return 0;
    if (v.kind != VALUE_ARRAY)
        return pipeline_put(p, index, v);
    for (unsigned i = 0; i < v.array->count; i++)
        if (pipeline_put(p, index, v.array->items[i]) < 0)
            return -1;
    return 0;
}

/* An end that stops a later stage is an end all the same: go on behind the stage that has enough. */
static int end_from(struct pipeline *p, unsigned first)
{
    for (unsigned i = first; i < p->count; i++) {
        const struct cmdlet_ops *ops = p->calls[i].row->cmdlet.ops;
        if (!ops->end || ops->end(&p->calls[i]) == 0)
            continue;
        if (!p->stopped)
            return -1;
        p->stopped = false;
        i = p->stopped_at > i ? p->stopped_at - 1 : i;
    }
    return 0;
}

static int feed(struct pipeline *p, const struct node *expression)
{
    struct value v;
    if (!expression)
        return stage_put(&p->calls[0], NULL);
    if (eval(p->session, expression, &v) < 0)
        return -1;
    return put_unrolled(p, 0, v,
                        p->count > 0 && expression->kind != NODE_PAREN && expression->kind != NODE_SUB);
}

static int drive(struct pipeline *p, const struct node *expression)
{
    for (unsigned i = 0; i < p->count; i++)
        if (stage_begin(&p->calls[i]) < 0)
            return -1;
    for (unsigned i = 0; i < p->count; i++)
        if (call_begin_op(&p->calls[i]) < 0)
            return -1;
    int r = feed(p, expression);
    if (r < 0 && !p->stopped)
        return -1;
    unsigned first = p->stopped ? p->stopped_at : 0;
    p->stopped = false;
    return end_from(p, first);
}

static int prepare(struct pipeline *p, const struct node *n, unsigned skip)
{
    p->count = n->count - skip;
    p->calls = arena_alloc(p->session->arena, (p->count + 1) * sizeof(*p->calls));
    for (unsigned i = 0; i < p->count; i++) {
        const struct node *command = n->items[i + skip];
        p->calls[i] = (struct cmdlet_call){
            .session = p->session, .pipeline = p, .index = i, .node = command, .set = ""};
        p->calls[i].piped = i > 0 || skip;
        p->calls[i].row = find_command(p->session, command);
        if (!p->calls[i].row)
            return -1;
    }
    return 0;
}

static void release(struct pipeline *p)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->calls[i].state && p->calls[i].row->cmdlet.ops->release)
            p->calls[i].row->cmdlet.ops->release(&p->calls[i]);
}

int run_pipeline(struct session *s, const struct node *n, struct sink *out)
{
    struct pipeline p = {.session = s, .out = out};
    const struct node *expression = n->items[0]->kind == NODE_COMMAND ? NULL : n->items[0];
    if (s->depth >= CALL_DEPTH_MAX)
        return run_fail(s, n, ERROR_TOO_LARGE, "Commands call each other more than %d deep.", CALL_DEPTH_MAX);
    if (prepare(&p, n, expression != NULL) < 0)
        return -1;
    s->depth++;
    if (p.count)
        s->last_failed = false; /* an expression leaves $? as it is */
    int r = drive(&p, expression);
    s->depth--;
    release(&p);
    return r;
}
