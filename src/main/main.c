/* SPDX-License-Identifier: MIT */
/* The program: its first word says which entry point runs. */
#include <locale.h>
#include <stdio.h>

#include "base/err.h"
#include "cmd/command_line.h"
#include "main/host.h"
#include "main/run.h"

static int show_help(void)
{
    command_line_help(stdout);
    fputs("       droste run --kernel FILE [OPTION]...   one virtual machine in the foreground\n"
          "       droste run --help                       its options\n"
          "       droste --version\n",
          stdout);
    return EXIT_STATUS_OK;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    setlocale(LC_CTYPE, ""); /* for the width of characters */
    if (strcmp(word, "run") == 0)
        return main_run(argc - 2, argv + 2);
    if (strcmp(word, "worker") == 0)
        return main_worker(argc - 2, argv + 2);
    if (strcmp(word, "switch") == 0)
        return main_switch(argc - 2, argv + 2);
    if (strcmp(word, "--version") == 0)
        return puts("droste " DROSTE_VERSION) < 0 ? EXIT_STATUS_HOST : EXIT_STATUS_OK;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return show_help();
    return command_line_main(argc > 1 ? argc - 1 : 0, argv + 1, &host_probe);
}
