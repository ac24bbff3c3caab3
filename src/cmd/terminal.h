/* SPDX-License-Identifier: MIT */
/* The user's terminal as the guest's console: keys go in one by one and unread by the host's line discipline.
 */
#ifndef CMD_TERMINAL_H
#define CMD_TERMINAL_H

#include <termios.h>

#include "base/types.h"

#define TERMINAL_ESCAPE      0x1d
#define TERMINAL_ESCAPE_NAME "Ctrl-]"

struct terminal {
    bool raw;
    struct termios saved;
};

/* Stdin is a terminal and we are its foreground job; a background job that touched it would be stopped. */
bool terminal_usable(void);
void terminal_enter(struct terminal *t);
void terminal_leave(struct terminal *t); /* any number of times */

#endif
