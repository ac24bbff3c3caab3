/* SPDX-License-Identifier: MIT */
/* Text of a manual page, to standard output. */
#ifndef GEN_ROFF_H
#define GEN_ROFF_H

#include <stdio.h>

/* roff takes '-' for a hyphen, '\' for its own, and a line's first '.' or ''' for a request. */
static void roff(const char *s)
{
    if (*s == '.' || *s == '\'')
        fputs("\\&", stdout);
    for (; *s; s++) {
        if (*s == '-')
            fputs("\\-", stdout);
        else if (*s == '\\')
            fputs("\\e", stdout);
        else
            putchar(*s);
    }
}

#endif
