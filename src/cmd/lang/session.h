/* SPDX-License-Identifier: MIT */
/*
 * A session of the command language: variables and streams that outlive a command. Two sessions in one
 * process do not know of each other.
 */
#ifndef CMD_LANG_SESSION_H
#define CMD_LANG_SESSION_H

#include <stdio.h>

#include "cmd/lang/rows.h"

struct session;

enum { STATUS_INTERRUPTED = 130 }; /* by SIGINT, as shells say it */

struct session_io {
    FILE *out, *err, *in; /* in: for -Confirm's questions; NULL: nobody is there to ask */
    unsigned width;       /* columns of the terminal that out is; 0: none, so nothing is cut off */
    unsigned long steps;  /* of evaluation that the session may take in all; 0: no bound */
};

struct session *session_new(const struct command_set *, struct session_io);
void session_free(struct session *);

/* Runs a text; name: of its file, or NULL. Returns the exit status: 0, 1 after an error, 2 after one of
 * usage. */
int session_run(struct session *, const char *text, const char *name);
/* The words of a Unix command line. argc > 0. */
int session_run_words(struct session *, int argc, char *const *argv);
/* Is the text only the beginning of a statement? A shell reads on then. */
bool session_wants_more(const char *text);

/* What can stand at the end of text[0..len): each whole word to put in place of the last `*replace` bytes. */
void session_complete(struct session *, const char *text, size_t len, size_t *replace,
                      void (*each)(void *arg, const char *word), void *arg);

#endif
