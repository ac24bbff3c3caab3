/* SPDX-License-Identifier: MIT */
/*
 * libedit reads a line; lines that only begin a statement are joined until it is whole. SIGINT ends the line
 * that is typed; while a command runs it is blocked, and the interpreter looks for it (run_check(),
 * call_sleep()).
 */
#include "cmd/lang/shell.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/lang/run.h"

enum { HISTORY_LINES = 1000 };

struct shell {
    struct session *session;
    EditLine *el;
    History *history;
    bool continues;
};

static char *prompt(EditLine *el)
{
    static char first[] = "droste> ", more[] = ">> ";
    struct shell *sh = NULL;
    el_get(el, EL_CLIENTDATA, &sh);
    return sh && sh->continues ? more : first;
}

/* ---- completion ---- */

struct candidates {
    struct values words;
};

static void keep(void *arg, const char *word)
{
    struct candidates *c = arg;
    values_add(&c->words, value_string(c->words.arena, word));
}

/* How many bytes all candidates begin with. */
static size_t common(const struct candidates *c)
{
    size_t n = strlen(c->words.items[0].string);
    for (unsigned i = 1; i < c->words.count; i++) {
        char *start = arena_copy(c->words.arena, c->words.items[0].string, n);
        while (n && !text_begins(c->words.items[i].string, start))
            start[--n] = 0;
    }
    return n;
}

static void list(const struct candidates *c)
{
    putchar('\n');
    for (unsigned i = 0; i < c->words.count; i++)
        printf("%s%s", c->words.items[i].string, i + 1 < c->words.count ? "  " : "\n");
    fflush(stdout);
}

static unsigned char complete(EditLine *el, int key)
{
    struct shell *sh = NULL;
    const LineInfo *line = el_line(el);
    struct candidates c = {{.arena = arena_new()}};
    unsigned char result = CC_ERROR;
    size_t replace;
    el_get(el, EL_CLIENTDATA, &sh);
    session_complete(sh->session, line->buffer, (size_t)(line->cursor - line->buffer), &replace, keep, &c);
    if (c.words.count) {
        size_t n = common(&c);
        bool only = c.words.count == 1;
        if (n > replace || only) {
            el_deletestr(el, (int)replace);
            el_insertstr(
                el, arena_printf(c.words.arena, "%.*s%s", (int)n, c.words.items[0].string, only ? " " : ""));
            result = CC_REFRESH;
        } else {
            list(&c);
            result = CC_REDISPLAY;
        }
    }
    arena_free(c.words.arena);
    return result;
}

/* ---- lines ---- */

static void on_interrupt(int number)
{
    /* Only there so that read(2) ends. */
}

static void block_interrupt(bool block)
{
    sigset_t set;
    struct timespec now = {0};
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    if (!block)
        while (sigtimedwait(&set, NULL, &now) > 0)
            ;
    sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static unsigned terminal_width(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

static bool is_exit(const char *text)
{
    char word[16] = "";
    size_t n = strcspn(text, " \t\r\n;");
    if (n >= sizeof(word) || text[n + strspn(text + n, " \t\r\n;")])
        return false;
    memcpy(word, text, n);
    return text_equal(word, "exit") || text_equal(word, "quit");
}

/* One statement, perhaps of several lines, into t. False at the end of input. */
static bool read_statement(struct shell *sh, struct text *t)
{
    for (;;) {
        int count = 0;
        const char *line = el_gets(sh->el, &count);
        if (!line && count == -1 && errno == EINTR) {
            puts("^C");
            *t = (struct text){.arena = t->arena};
            sh->continues = false;
            continue;
        }
        if (!line || count <= 0)
            return false;
        text_puts(t, line);
        if (t->len > SCRIPT_BYTES_MAX || !session_wants_more(t->bytes))
            return true;
        sh->continues = true;
    }
}

static void run_one(struct shell *sh, const char *text)
{
    HistEvent event;
    if (text[strspn(text, " \t\r\n")])
        history(sh->history, &event, H_ENTER, text);
    sh->session->io.width = terminal_width();
    block_interrupt(true);
    if (session_run(sh->session, text, NULL) == STATUS_INTERRUPTED)
        putchar('\n');
    block_interrupt(false);
}

static void loop(struct shell *sh)
{
    for (;;) {
        struct arena *a = arena_new();
        struct text t = {.arena = a};
        sh->continues = false;
        bool more = read_statement(sh, &t) && !is_exit(text_string(&t));
        if (more)
            run_one(sh, t.bytes);
        arena_free(a);
        if (!more)
            return;
    }
}

static void set_up(struct shell *sh, const char *file)
{
    HistEvent event;
    history(sh->history, &event, H_SETSIZE, HISTORY_LINES);
    history(sh->history, &event, H_SETUNIQUE, 1);
    if (file)
        history(sh->history, &event, H_LOAD, file);
    el_set(sh->el, EL_CLIENTDATA, sh);
    el_set(sh->el, EL_PROMPT, prompt);
    el_set(sh->el, EL_EDITOR, "emacs");
    el_set(sh->el, EL_HIST, history, sh->history);
    el_set(sh->el, EL_ADDFN, "droste-complete", "Complete cmdlets, parameters and values", complete);
    el_set(sh->el, EL_BIND, "^I", "droste-complete", NULL);
    el_source(sh->el, NULL);
}

int shell_run(struct session *s, const char *file)
{
    struct shell sh = {
        .session = s, .el = el_init("droste", stdin, stdout, stderr), .history = history_init()};
    struct sigaction interrupt = {.sa_handler = on_interrupt}, before;
    HistEvent event;
    if (!sh.el || !sh.history) {
        log_line("the terminal cannot be used: give commands with -Command or -File");
        return EXIT_STATUS_HOST;
    }
    sigaction(SIGINT, &interrupt, &before);
    set_up(&sh, file);
    puts("Get-Help lists the cmdlets; exit ends.");
    loop(&sh);
    if (file)
        history(sh.history, &event, H_SAVE, file);
    history_end(sh.history);
    el_end(sh.el);
    sigaction(SIGINT, &before, NULL);
    return EXIT_STATUS_OK;
}
