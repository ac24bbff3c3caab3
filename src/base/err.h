/* SPDX-License-Identifier: MIT */
/*
 * The three kinds of trouble.
 *
 * A guest fault is a value of the CPU's and never comes here. A host or user error fills a `struct err`,
 * which ends as one line naming cause and remedy. Our own bug ends the process through bug_on(), which stays
 * in release builds and must never be reachable from guest input.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/types.h"

/* Exit statuses of `droste run` (docs/reference). The guest's debug exit is any odd value. */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_USAGE = 2,
    EXIT_STATUS_NO_ENGINE = 4,
    EXIT_STATUS_GUEST_PANIC = 6,
    EXIT_STATUS_TRIPLE_FAULT = 8,
    EXIT_STATUS_HOST = 10,
    EXIT_STATUS_NOT_EXPECTED = 12,
    EXIT_STATUS_TIMEOUT = 124,
};

struct err {
    int status; /* an exit_status; 0 while nothing went wrong */
    int id;     /* an error_id of config/errors.h, for commands; 0: none */
    char text[600];
};

/* Records the first error (later ones are ignored: the first is the cause). Always returns -1. e may be NULL.
 */
int err_set(struct err *e, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with an id. */
int err_set_id(struct err *e, int status, int id, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Droste's own words, one line on stderr, prefixed "droste: ". Thread-safe. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void bug_report(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define bug_on(cond, ...)                                                                                    \
    do {                                                                                                     \
        if (unlikely(cond))                                                                                  \
            bug_report(__FILE__, __LINE__, #cond, __VA_ARGS__);                                              \
    } while (0)

#endif
