/* SPDX-License-Identifier: MIT */
/*
 * --expect is matched line by line, carriage returns and zero bytes left out; of an endless line the last
 * LINE_MAX/2 bytes stay to be matched with what follows.
 */
#include "cmd/run_console.h"

#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/byte_queue.h"
#include "cmd/terminal.h"

#define IN_SIZE        4096
#define EXPECT_LINE    8192
#define ESCAPE_WAIT_NS 400000000 /* within this a second press means the key itself */

struct console {
    struct console_config cfg;
    struct console_guest guest;
    struct event_loop *loop;

    struct byte_queue *output;
    bool out_failed;

    struct event_watch *in_watch;
    u8 in[IN_SIZE];
    size_t in_at, in_len;
    bool hung_up;         /* no writer is left, but perhaps bytes of it */
    atomic_bool starving; /* the guest took less than there was */

    int escape_timer;
    struct event_watch *escape_watch;
    bool escape_pressed;

    regex_t regex;
    bool has_regex, seen;
    char line[EXPECT_LINE];
    size_t line_len;
};

/* ---- expect ---- */

static void match_line(struct console *c)
{
    c->line[c->line_len] = 0;
    if (!c->seen && regexec(&c->regex, c->line, 0, NULL, 0) == 0)
        c->seen = true;
}

static void match(struct console *c, const u8 *data, size_t len)
{
    if (!c->has_regex || c->seen)
        return;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            match_line(c);
            c->line_len = 0;
        } else if (data[i] != '\r' && data[i]) {
            c->line[c->line_len++] = (char)data[i];
        }
        if (c->line_len == EXPECT_LINE - 1) {
            match_line(c);
            memmove(c->line, c->line + c->line_len - EXPECT_LINE / 2, EXPECT_LINE / 2);
            c->line_len = EXPECT_LINE / 2;
        }
    }
}

/* ---- output ---- */

static void write_all(struct console *c, const u8 *p, size_t len)
{
    while (len && !c->out_failed) {
        ssize_t n = write(c->cfg.out, p, len);
        if (n >= 0) {
            p += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) { /* somebody who shares our stdout made it so */
            struct pollfd wait = {.fd = c->cfg.out, .events = POLLOUT};
            poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            log_line("the guest's console output is lost from here on: %s", strerror(errno));
            c->out_failed = true;
        }
    }
}

static void give_out(void *opaque, const u8 *data, size_t len)
{
    struct console *c = opaque;
    write_all(c, data, len);
    match(c, data, len);
}

void console_tx(void *console, u8 byte)
{
    struct console *c = console;
    if (c->cfg.out >= 0)
        byte_queue_give(c->output, byte);
}

bool console_finish(struct console *c)
{
    byte_queue_flush(c->output);
    if (!c->has_regex)
        return true;
    match_line(c);
    return c->seen;
}

/* ---- input ---- */

static void press_escape(struct console *c)
{
    struct itimerspec t = {.it_value.tv_nsec = ESCAPE_WAIT_NS};
    c->escape_pressed = true;
    timerfd_settime(c->escape_timer, 0, &t, NULL);
}

static void on_escape_timer(void *opaque, int events)
{
    struct console *c = opaque;
    u64 count;
    if (read(c->escape_timer, &count, sizeof(count)) == sizeof(count) && c->escape_pressed)
        c->guest.quit(c->guest.opaque);
}

/* Takes escape keys out of the bytes just read; false when the user wants to quit. */
static bool filter_escape(struct console *c)
{
    size_t out = 0;
    for (size_t i = 0; i < c->in_len; i++) {
        bool key = c->in[i] == TERMINAL_ESCAPE;
        if (c->escape_pressed && !key)
            return false;
        if (key && !c->escape_pressed) {
            press_escape(c);
            continue;
        }
        c->escape_pressed = false;
        c->in[out++] = c->in[i];
    }
    c->in_len = out;
    return true;
}

static void stop_watching(struct console *c)
{
    event_loop_remove(c->loop, c->in_watch);
    c->in_watch = NULL;
}

/* False when there is nothing more now. */
static bool read_more(struct console *c)
{
    ssize_t n = read(c->cfg.in, c->in, IN_SIZE);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (n <= 0) {
        stop_watching(c);
        c->hung_up = false;
        return false;
    }
    c->in_at = 0;
    c->in_len = (size_t)n;
    if (c->cfg.escape && !filter_escape(c)) {
        c->in_len = 0;
        c->guest.quit(c->guest.opaque);
    }
    return true;
}

/* What is here goes to the guest; false when it took only a part, and will call for the rest. */
static bool push(struct console *c)
{
    while (c->in_at < c->in_len) {
        c->starving = true; /* before the call: the guest may ask for more at once */
        size_t n = c->guest.receive(c->guest.opaque, c->in + c->in_at, c->in_len - c->in_at);
        c->in_at += n;
        if (!n)
            return false;
    }
    c->starving = false;
    return true;
}

static void deliver(void *opaque)
{
    struct console *c = opaque;
    bool done = push(c);
    while (done && c->hung_up &&
           read_more(c)) /* the writer went away, what it left in the pipe is still to come */
        done = push(c);
    if (c->in_watch)
        event_loop_change(c->loop, c->in_watch, done ? EVENT_READ : 0);
}

void console_rx_ready(void *console)
{
    struct console *c = console;
    if (atomic_exchange(&c->starving, false))
        event_loop_post(c->loop, deliver, c);
}

static void on_input(void *opaque, int events)
{
    struct console *c = opaque;
    if (c->in_at == c->in_len) {
        if (read_more(c))
            deliver(c);
    } else if (events & EVENT_HANGUP) { /* would be reported for ever */
        stop_watching(c);
        c->hung_up = true;
    }
}

/* ---- life ---- */

struct console *console_new(const struct console_config *cfg, struct err *err)
{
    struct console *c = calloc(1, sizeof(*c));
    if (c) {
        c->cfg = *cfg;
        c->escape_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        c->output = byte_queue_new(give_out, c);
        c->has_regex = cfg->expect && regcomp(&c->regex, cfg->expect, REG_EXTENDED | REG_NOSUB) == 0;
    }
    if (c && c->output && c->escape_timer >= 0 && c->has_regex == !!cfg->expect)
        return c;
    console_free(c);
    err_set(err, EXIT_STATUS_HOST, "no memory for the console");
    return NULL;
}

void console_free(struct console *c)
{
    if (!c)
        return;
    if (c->loop) {
        event_loop_remove(c->loop, c->in_watch);
        event_loop_remove(c->loop, c->escape_watch);
    }
    if (c->escape_timer >= 0)
        close(c->escape_timer);
    if (c->has_regex)
        regfree(&c->regex);
    byte_queue_free(c->output);
    free(c);
}

int console_attach(struct console *c, struct event_loop *loop, struct console_guest guest, struct err *err)
{
    c->loop = loop;
    c->guest = guest;
    if (c->cfg.in >= 0) {
        c->in_watch = event_loop_add(loop, c->cfg.in, EVENT_READ, on_input, c);
        c->escape_watch = event_loop_add(loop, c->escape_timer, EVENT_READ, on_escape_timer, c);
        if (!c->in_watch || !c->escape_watch)
            return err_set(err, EXIT_STATUS_HOST, "cannot read the console's input: %s", strerror(errno));
    }
    byte_queue_attach(c->output, loop);
    return 0;
}
