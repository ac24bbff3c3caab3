/* SPDX-License-Identifier: MIT */
/* The program: its first word says which entry point runs. */
#include <stdio.h>

#include "base/err.h"
#include "main/run.h"

static int show_help(FILE *out)
{
    fputs("usage: droste run --kernel FILE [OPTION]...   run one virtual machine in the foreground\n"
          "       droste run --help                       its options\n"
          "       droste --version\n",
          out);
    return EXIT_STATUS_OK;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "run") == 0)
        return main_run(argc - 2, argv + 2);
    if (strcmp(word, "worker") == 0)
        return main_worker(argc - 2, argv + 2);
    if (strcmp(word, "--version") == 0)
        return puts("droste " DROSTE_VERSION) < 0 ? EXIT_STATUS_HOST : EXIT_STATUS_OK;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return show_help(stdout);
    if (!*word)
        log_line("nothing to do: this version has droste run --kernel FILE; see droste --help");
    else
        log_line("'%.60s' is no command of this version: it has droste run --kernel FILE; see droste --help",
                 word);
    return EXIT_STATUS_USAGE;
}
