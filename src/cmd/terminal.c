/* SPDX-License-Identifier: MIT */
/* Raw mode and back. Output processing stays on, so that our own lines still begin at the left margin. */
#include "cmd/terminal.h"

#include <signal.h>
#include <unistd.h>

bool terminal_usable(void)
{
    return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void terminal_enter(struct terminal *t)
{
    if (!terminal_usable() || (!t->raw && tcgetattr(STDIN_FILENO, &t->saved) < 0))
        return;
    struct termios raw = t->saved;
    cfmakeraw(&raw);
    raw.c_oflag = t->saved.c_oflag;
    t->raw |= tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void terminal_leave(struct terminal *t)
{
    if (!t->raw)
        return;
    /* A job put into the background meanwhile must not be stopped here; the terminal is to be left sane even
     * so. */
    sigset_t ttou, old;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    sigprocmask(SIG_BLOCK, &ttou, &old);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
    sigprocmask(SIG_SETMASK, &old, NULL);
    t->raw = false;
}
