/* SPDX-License-Identifier: MIT */
/* Write-Output, Write-Host, Write-Warning, Out-Null, Start-Sleep. */
#include "cmd/lang/format.h"
#include "cmd/lang/run.h"

extern const struct cmdlet_ops cmdlet_out_null, cmdlet_write_output, cmdlet_write_host, cmdlet_write_warning,
    cmdlet_start_sleep;

const struct cmdlet_ops cmdlet_out_null = {0};

static int write_output(struct cmdlet_call *c)
{
    for (unsigned i = 0; i < arg_count(c, "InputObject"); i++)
        if (emit(c, arg_at(c, "InputObject", i)) < 0)
            return -1;
    return 0;
}
const struct cmdlet_ops cmdlet_write_output = {.process = write_output};

/* The words of core.def stand in the order of the terminal's colours: 30 to 37, then 90 to 97; 10 more
 * behind. */
static void set_color(struct cmdlet_call *c, const char *param, int first)
{
    int color = c->session->io.width ? arg_word(c, param) : -1;
    if (color >= 0)
        print(c->session,
              arena_printf(call_arena(c), "\033[%dm", first + (color < 8 ? color : 60 + color - 8)));
}

static int write_host(struct cmdlet_call *c)
{
    const char *between = arg_given(c, "Separator") ? arg_string(c, "Separator") : " ";
    set_color(c, "ForegroundColor", 30);
    set_color(c, "BackgroundColor", 40);
    for (unsigned i = 0; i < arg_count(c, "Object"); i++) {
        print(c->session, i ? between : "");
        print(c->session, value_to_string(call_arena(c), arg_at(c, "Object", i)));
    }
    if (c->session->io.width && (arg_given(c, "ForegroundColor") || arg_given(c, "BackgroundColor")))
        print(c->session, "\033[m");
    print(c->session, arg_switch(c, "NoNewline") ? "" : "\n");
    return 0;
}
const struct cmdlet_ops cmdlet_write_host = {.process = write_host};

static int write_warning(struct cmdlet_call *c)
{
    call_warning(c, "%s", arg_string(c, "Message"));
    return 0;
}
const struct cmdlet_ops cmdlet_write_warning = {.process = write_warning};

static int start_sleep(struct cmdlet_call *c)
{
    double seconds = value_to_real(arg_value(c, "Seconds"));
    i64 ms = arg_given(c, "Milliseconds") ? arg_int(c, "Milliseconds", 0) : (i64)(seconds * 1000);
    return call_sleep(c, ms) ? 0 : -1;
}
const struct cmdlet_ops cmdlet_start_sleep = {.process = start_sleep};
