/* SPDX-License-Identifier: MIT */
/*
 * Writes the manual page of `droste run` (run_docs man) and the bash completion (run_docs bash) from the same
 * list that its parser uses, so that neither can name an option that does not exist. For cmdlets the
 * completion asks the program, which knows the names of VMs besides.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "roff.h"

static const struct option {
    const char *id, *name, *form, *def, *complete;
    bool repeats;
    const char *help;
} options[] = {
#define RUN_OPTION(id, name, form, def, complete, repeats, help)                                             \
    {#id, name, form, def, complete, repeats, help},
#include "config/run_options.def"
#undef RUN_OPTION
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

static void man_option(const struct option *o)
{
    printf(".TP\n.BR \\-\\-");
    roff(o->name);
    if (o->form) {
        printf(" \\ \\fI");
        for (const char *p = o->form; *p; p++)
            *p == ' '   ? (void)fputs("\\ ", stdout)
            : *p == '-' ? (void)fputs("\\-", stdout)
                        : (void)putchar(*p);
        printf("\\fR");
    }
    putchar('\n');
    roff(o->help);
    putchar('.');
    putchar('\n');
    if (o->def) {
        printf("Default: ");
        roff(o->def);
        printf(".\n");
    }
    if (o->repeats)
        printf("May be given several times.\n");
}

static void man(const char *version)
{
    printf(".\\\" Made by gen/run_docs.c from src/config/*.def\n"
           ".TH DROSTE\\-RUN 1 \"\" \"droste %s\" \"Droste\"\n"
           ".SH NAME\ndroste\\-run \\- run one virtual machine in the foreground\n"
           ".SH SYNOPSIS\n.B droste run \\-\\-kernel\n.I FILE\n.RI [ OPTION ]...\n"
           ".SH DESCRIPTION\nRuns one virtual machine from the command line and stores nothing.\n"
           "The guest's console on COM1 goes to standard output and comes from standard input; what\n"
           ".B droste\nhas to say itself goes to standard error.\n"
           "On a terminal Ctrl\\-] ends the machine; pressed twice it is sent to the guest.\n"
           "SIGINT, SIGTERM, SIGHUP and SIGQUIT end the machine at once; what the guest has flushed is on "
           "its disks.\n"
           "A second signal kills what does not end.\n"
           ".SH OPTIONS\n",
           version);
    for (size_t i = 0; i < OPTIONS; i++)
        man_option(&options[i]);
    printf(".SH \"EXIT STATUS\"\n");
#define EXIT_STATUS(status, text)                                                                            \
    printf(".TP\n.B ");                                                                                      \
    roff(status);                                                                                            \
    putchar('\n');                                                                                           \
    roff(text);                                                                                              \
    printf(".\n");
#include "config/exit_status.def"
#undef EXIT_STATUS
    printf(".SH EXAMPLES\n.EX\n"
           "droste run \\-\\-kernel vmlinuz \\-\\-initrd initrd.img \\-\\-append \"console=ttyS0\"\n"
           "droste run \\-\\-kernel bzImage \\-\\-disk root.img,snapshot=on \\-\\-net user,forward=2222:22\n"
           "droste run \\-\\-kernel test.elf \\-\\-serial file:log \\-\\-expect PASS \\-\\-timeout 60 "
           "\\-\\-no\\-reboot\n.EE\n");
}

static void bash(void)
{
    printf("# bash completion for droste. Made by gen/run_docs.c from src/config/run_options.def\n"
           "_droste_cmdlet()\n{\n"
           "    local line=${COMP_LINE:0:COMP_POINT}\n"
           "    mapfile -t COMPREPLY < <(\"${COMP_WORDS[0]}\" -CompleteLine \"${line#*[[:blank:]]}\" "
           "2>/dev/null)\n"
           "}\n"
           "_droste()\n{\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    if [ \"${COMP_WORDS[1]}\" = -File ]; then\n"
           "        compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return\n    fi\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        _droste_cmdlet\n"
           "        COMPREPLY+=($(compgen -W 'run -Command -File --help --version' -- \"$cur\"))\n"
           "        return\n    fi\n"
           "    [ \"${COMP_WORDS[1]}\" = run ] || { _droste_cmdlet; return; }\n"
           "    case $prev in\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option *o = &options[i];
        if (!o->form)
            continue;
        printf("    --%s) ", o->name);
        if (strcmp(o->complete, "@file") == 0)
            printf("compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
        else
            printf("COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", o->complete);
    }
    printf("    esac\n    COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < OPTIONS; i++)
        printf("--%s ", options[i].name);
    printf("' -- \"$cur\"))\n}\ncomplete -F _droste droste\n");
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "man") == 0)
        man(argv[2]);
    else if (argc == 2 && strcmp(argv[1], "bash") == 0)
        bash();
    else
        return fprintf(stderr, "usage: run_docs man VERSION | bash\n") < 0 ? 1 : 2;
    return fflush(stdout) ? 1 : 0;
}
