/* SPDX-License-Identifier: MIT */
/* The command line: words separated by zero bytes. Regular expressions are libc's and left out: they can be
 * slow. */
#include <stdlib.h>

#include "cmd/run_options.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    char *words = malloc(len + 1), *argv[64];
    struct run_config *config = malloc(sizeof(*config));
    struct err err = {0};
    int argc = 0;
    memcpy(words, data, len);
    words[len] = 0;
    for (size_t at = 0; at < len && argc < 64; at += strlen(words + at) + 1)
        argv[argc++] = words + at;
    bool regex = false;
    for (int i = 0; i < argc; i++)
        regex |= strncmp(argv[i], "--expect", 8) == 0;
    if (!regex) {
        int r = run_config_parse(config, argc, argv, &err);
        bug_on((r < 0) != (err.status != 0), "a refusal has a status");
        bug_on(strchr(err.text, '\n') && !memchr(data, '\n', len), "a refusal is one line");
        run_config_free(config);
    }
    free(config);
    free(words);
    return 0;
}
