/* SPDX-License-Identifier: MIT */
/* The words behind `droste` that are not `run`: options of the program itself, else a cmdlet and its
 * arguments. */
#include "cmd/command_line.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "cmd/commands.h"
#include "cmd/lang/parse.h"
#include "cmd/lang/session.h"
#include "cmd/lang/shell.h"

void command_line_help(FILE *out)
{
    fputs("usage: droste CMDLET [ARGUMENT]...    one command, such as droste Get-Help\n"
          "       droste -Command TEXT          commands in PowerShell's form\n"
          "       droste -File SCRIPT           a file of them\n"
          "       droste                        a shell with history and completion\n",
          out);
}

/* ---- streams and files ---- */

static struct session_io standard_io(void)
{
    struct winsize w;
    bool terminal = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;
    return (struct session_io){stdout, stderr, isatty(STDIN_FILENO) ? stdin : NULL, terminal ? w.ws_col : 0,
                               0};
}

/* A whole file with its end, malloced. NULL: told why. */
static char *read_file(FILE *f, const char *name)
{
    char *text = malloc(SCRIPT_BYTES_MAX + 2);
    size_t n = text ? fread(text, 1, SCRIPT_BYTES_MAX + 1, f) : 0;
    const char *wrong = !text                  ? "out of memory"
                        : ferror(f)            ? strerror(errno)
                        : n > SCRIPT_BYTES_MAX ? "longer than 1 MiB: divide it"
                        : memchr(text, 0, n)   ? "holds a NUL byte: it is no text"
                                               : NULL;
    if (!wrong) {
        text[n] = 0;
        return text;
    }
    log_line("%s: %s", name, wrong);
    free(text);
    return NULL;
}

static int run_stream(struct session *s, FILE *f, const char *name)
{
    char *text = read_file(f, name ? name : "standard input");
    int status = text ? session_run(s, text, name) : EXIT_STATUS_USAGE;
    free(text);
    return status;
}

static int run_file(struct session *s, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        log_line("%s: %s: -File takes a script that can be read", path, strerror(errno));
        return EXIT_STATUS_USAGE;
    }
    int status = run_stream(s, f, path);
    fclose(f);
    return status;
}

/* ---- the shell's history ---- */

static void make_folders(char *path)
{
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = 0;
        mkdir(path, 0700); /* what is there already is no error; what fails shows when the file is written */
        *p = '/';
    }
}

/* Beside the VMs' definitions. NULL: there is no place for it. */
static const char *history_file(char *buf, size_t size)
{
    const char *home = getenv("DROSTE_HOME"), *data = getenv("XDG_DATA_HOME"), *user = getenv("HOME");
    int n = home && *home          ? snprintf(buf, size, "%s/history", home)
            : getuid() == 0        ? snprintf(buf, size, "/var/lib/droste/history")
            : data && *data == '/' ? snprintf(buf, size, "%s/droste/history", data)
            : user && *user == '/' ? snprintf(buf, size, "%s/.local/share/droste/history", user)
                                   : -1;
    if (n < 0 || (size_t)n >= size)
        return NULL;
    make_folders(buf);
    return buf;
}

/* ---- options ---- */

static void print_candidate(void *arg, const char *word)
{
    puts(word);
}

/* For completion in other shells: the line without the program's name. */
static int complete_line(struct session *s, const char *line)
{
    size_t replace;
    session_complete(s, line, strlen(line), &replace, print_candidate, NULL);
    return EXIT_STATUS_OK;
}

static int run_words(struct session *s, int argc, char **argv)
{
    size_t len = 1;
    for (int i = 0; i < argc; i++)
        len += strlen(argv[i]) + 1;
    char *text = calloc(1, len);
    for (int i = 0; text && i < argc; i++)
        strcat(strcat(text, i ? " " : ""), argv[i]);
    int status = text ? session_run(s, text, NULL) : EXIT_STATUS_HOST;
    free(text);
    return status;
}

enum option { OPTION_NONE, OPTION_COMMAND, OPTION_FILE, OPTION_COMPLETE };

static enum option option_of(const char *word)
{
    static const struct {
        const char *name;
        enum option option;
    } options[] = {{"Command", OPTION_COMMAND},
                   {"c", OPTION_COMMAND},
                   {"File", OPTION_FILE},
                   {"f", OPTION_FILE},
                   {"CompleteLine", OPTION_COMPLETE}};
    const char *name = word + (word[0] == '-') + (word[0] == '-' && word[1] == '-');
    for (unsigned i = 0; word[0] == '-' && i < ARRAY_SIZE(options); i++)
        if (strcasecmp(name, options[i].name) == 0)
            return options[i].option;
    return OPTION_NONE;
}

static int run_option(struct session *s, enum option option, int argc, char **argv)
{
    if (argc < 2 || (option != OPTION_COMMAND && argc > 2)) {
        log_line("%s takes %s behind it: see droste --help", argv[0],
                 option == OPTION_COMMAND ? "commands" : "one word");
        return EXIT_STATUS_USAGE;
    }
    return option == OPTION_COMMAND ? run_words(s, argc - 1, argv + 1)
           : option == OPTION_FILE  ? run_file(s, argv[1])
                                    : complete_line(s, argv[1]);
}

static int run_any(struct session *s, int argc, char **argv)
{
    char history[512];
    enum option option = argc ? option_of(argv[0]) : OPTION_NONE;
    if (!argc)
        return isatty(STDIN_FILENO) ? shell_run(s, history_file(history, sizeof(history)))
                                    : run_stream(s, stdin, NULL);
    if (option)
        return run_option(s, option, argc, argv);
    if (argv[0][0] == '-') {
        log_line("'%.60s' is no option of droste: see droste --help", argv[0]);
        return EXIT_STATUS_USAGE;
    }
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
        char *const help[] = {"Get-Help", argv[0]};
        return session_run_words(s, 2, help);
    }
    return session_run_words(s, argc, argv);
}

int command_line_main(int argc, char **argv, const struct host_probe *host)
{
    struct command_set commands = droste_commands;
    commands.context = host;
    struct session *s = session_new(&commands, standard_io());
    int status = run_any(s, argc, argv);
    session_free(s);
    if (fflush(stdout) != 0 && !status)
        status = 1;
    return status;
}
