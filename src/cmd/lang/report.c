/* SPDX-License-Identifier: MIT */
/*
 * Errors, warnings and verbose lines in the form that PowerShell prints them:
 *
 *     Start-VM : 'lab' failed to start.
 *     At lab.ps1:3 char:1
 *     + Start-VM lab
 *     + ~~~~~~~~~~~~
 *         + CategoryInfo          : InvalidOperation: (lab:String) [Start-VM], VirtualizationException
 *         + FullyQualifiedErrorId : InvalidState,Microsoft.HyperV.PowerShell.Commands.StartVM
 */
#include "cmd/lang/format.h"
#include "cmd/lang/run.h"

static const struct error_row {
    const char *id, *category, *exception;
} error_rows[ERROR_COUNT] = {
    [ERROR_NONE] = {"Unknown", "NotSpecified", "RuntimeException"},
#define ERROR(name, id, category, exception) [ERROR_##name] = {id, category, exception},
#include "config/errors.def"
#undef ERROR
};

enum { LINE_SHOWN_MAX = 400 };

/* What others have written (names of VMs, files) must not steer the terminal. */
static void put_clean(FILE *out, const char *s)
{
    for (; *s; s++)
        fputc((u8)*s >= 0x20 && *s != 0x7f ? *s : *s == '\n' || *s == '\t' ? *s : '?', out);
}

void print(struct session *s, const char *text)
{
    fputs(text, s->io.out);
}

void report_line(struct session *s, const char *kind, const char *text)
{
    fflush(s->io.out);
    fprintf(s->io.err, "%s: ", kind);
    put_clean(s->io.err, text);
    fputc('\n', s->io.err);
}

/* "At lab.ps1:3 char:1" and the line with the part underlined. */
static void put_place(struct session *s, const struct script *script, const char *at, size_t len)
{
    FILE *out = s->io.err;
    unsigned line = 1;
    const char *start = script->text;
    for (const char *p = script->text; p < at; p++) {
        if (*p == '\n') {
            line++;
            start = p + 1;
        }
    }
    size_t width = strcspn(start, "\r\n"), before = (size_t)(at - start);
    len = len > width - before ? width - before : len;
    unsigned column = text_width(arena_copy(s->arena, start, before));
    unsigned columns = text_width(arena_copy(s->arena, at, len));
    fprintf(out, "At %s%s:%u char:%u\n", script->name ? "" : "line", script->name ? script->name : "", line,
            column + 1);
    if (width > LINE_SHOWN_MAX)
        return; /* the place says more than the line would */
    fputs("+ ", out);
    put_clean(out, arena_copy(s->arena, start, width));
    fprintf(out, "\n+ %*s", (int)column, "");
    for (unsigned i = 0; i < (columns ? columns : 1); i++)
        fputc('~', out);
    fputc('\n', out);
}

/* Is the place part of the text that runs? What was split by a Unix shell has none. */
static bool has_place(const struct session *s, const struct node *n)
{
    if (!n || !s->script || !s->script->text)
        return false;
    const char *text = s->script->text;
    return n->source >= text && n->source <= text + strlen(text);
}

static const char *without_dash(struct arena *a, const char *name)
{
    struct text t = {.arena = a};
    for (; *name; name++)
        if (*name != '-')
            text_putc(&t, *name);
    return text_string(&t);
}

static void put_id(struct session *s, const struct error_report *r)
{
    const struct row *module = r->cmdlet ? row_module(s->commands, r->cmdlet->cmdlet.module) : NULL;
    fprintf(s->io.err, "    + FullyQualifiedErrorId : %s", error_rows[r->id].id);
    const char *suffix = module ? module->module.error_suffix : "";
    const char *hole = strstr(suffix, "%s");
    if (hole)
        fprintf(s->io.err, ",%.*s%s%s", (int)(hole - suffix), suffix,
                without_dash(s->arena, r->cmdlet->cmdlet.name), hole + 2);
    fputc('\n', s->io.err);
}

void report(struct session *s, const struct error_report *r)
{
    const struct error_row *row = &error_rows[r->id];
    FILE *out = s->io.err;
    fflush(s->io.out);
    if (r->command) {
        put_clean(out, r->command);
        fputs(" : ", out);
    }
    put_clean(out, r->text);
    fputc('\n', out);
    if (has_place(s, r->place))
        put_place(s, s->script, r->place->source, r->place->source_len);
    fprintf(out, "    + CategoryInfo          : %s: (", row->category);
    put_clean(out, r->target ? r->target : "");
    fprintf(out, ":%s) [%s], %s\n", r->target ? "String" : "", r->command ? r->command : "", row->exception);
    put_id(s, r);
    if (!s->status)
        s->status = r->usage ? EXIT_STATUS_USAGE : 1;
    s->last_failed = true;
}

int run_fail(struct session *s, const struct node *place, enum error_id id, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(s, &(struct error_report){.id = id, .place = place, .text = arena_vprintf(s->arena, fmt, ap)});
    va_end(ap);
    return -1;
}

void report_parse_error(struct session *s, const struct script *script, const char *where, const char *text)
{
    fflush(s->io.out);
    if (script->text && where)
        put_place(s, script, where, 1);
    put_clean(s->io.err, text);
    fputs("\n    + CategoryInfo          : ParserError: (:) [], ParentContainsErrorRecordException\n"
          "    + FullyQualifiedErrorId : ParserError\n",
          s->io.err);
    s->status = EXIT_STATUS_USAGE;
    s->last_failed = true;
}
