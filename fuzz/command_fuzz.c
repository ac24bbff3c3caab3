/* SPDX-License-Identifier: MIT */
/*
 * The command language with its own cmdlets: the input is a script, or, when it begins with a zero byte,
 * words separated by zero bytes; the last line is completed too. What takes time by its nature is bounded or
 * left out: the steps of evaluation, and Start-Sleep.
 */
#include <stdlib.h>

#include "cmd/lang/cmdlet.h"
#include "cmd/lang/session.h"

#include "cmd/lang/rows_declare.h"
#include "cmd/core.def"
#include "cmd/lang/rows_data.h"

static const struct row rows[] = {
#include "cmd/core.def"
};
static const struct command_set commands = {.rows = rows, .count = ARRAY_SIZE(rows)};

enum { WORDS = 64, STEPS = 20000 };

static void ignore(void *arg, const char *word) {}

static bool sleeps(const char *text)
{
    return strcasestr(text, "sleep");
}

static int run_words(struct session *s, char *words, size_t len)
{
    char *argv[WORDS];
    int argc = 0;
    for (size_t at = 0; at < len && argc < WORDS; at += strlen(words + at) + 1) {
        if (sleeps(words + at))
            return 0;
        argv[argc++] = words + at;
    }
    return argc ? session_run_words(s, argc, argv) : 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    char *text = malloc(len + 1), *out = NULL;
    size_t out_len, replace;
    FILE *f = open_memstream(&out, &out_len);
    struct session *s = session_new(&commands, (struct session_io){f, f, NULL, len & 1 ? 80 : 0, STEPS});
    memcpy(text, data, len);
    text[len] = 0;
    int status = 0;
    if (len && !text[0])
        status = run_words(s, text + 1, len - 1);
    else if (!sleeps(text))
        status = session_run(s, text, NULL);
    bug_on(status < 0 || status > 2, "a status is 0, 1 or 2, not %d", status);
    session_complete(s, text, strlen(text), &replace, ignore, NULL);
    bug_on(replace > len, "completion replaces what is there");
    session_free(s);
    fclose(f);
    free(out);
    free(text);
    return 0;
}
