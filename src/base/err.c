/* SPDX-License-Identifier: MIT */
/* Errors as values, one-line messages, and the end of a process that found its own bug. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void record(struct err *e, int status, int id, const char *fmt, va_list ap)
{
    if (!e || e->status)
        return;
    e->status = status;
    e->id = id;
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
}

int err_set(struct err *e, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(e, status, 0, fmt, ap);
    va_end(ap);
    return -1;
}

int err_set_id(struct err *e, int status, int id, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(e, status, id, fmt, ap);
    va_end(ap);
    return -1;
}

/* One write(2) a line, so that lines of several threads and processes do not mix. */
static void write_line(const char *prefix, const char *fmt, va_list ap)
{
    char line[1024];
    int n = snprintf(line, sizeof(line), "%s", prefix);
    int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    n = m < 0 ? n : n + m;
    if (n > (int)sizeof(line) - 2)
        n = (int)sizeof(line) - 2;
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)n) < 0)
        return; /* nowhere is left to complain to */
}

void log_line(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_line("droste: ", fmt, ap);
    va_end(ap);
}

void bug_report(const char *file, int line, const char *cond, const char *fmt, ...)
{
    log_line("bug: %s:%d: %s", file, line, cond);
    va_list ap;
    va_start(ap, fmt);
    write_line("droste: bug: ", fmt, ap);
    va_end(ap);
    abort();
}
