/* SPDX-License-Identifier: MIT */
/*
 * systemd-resolved serves a machine whose resolv.conf is a link into its folder, or names its address
 * (systemd-resolved(8)); it is spoken to by its own command.
 */
#include "main/host_resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER   "/etc"
#define FILE_    "resolv.conf"
#define DRAFT    FILE_ ".droste-new"
#define BEFORE   FILE_ ".droste-before"
#define FILE_MAX (64 * KIB)
/* What the C library's resolver looks at (resolv.conf(5), MAXNS). */
#define SERVERS_USED 3

/* The address of a line "nameserver ADDRESS"; false: it is another line. */
static bool server_of(const char *line, struct ip_addr *out)
{
    char text[IP_TEXT_MAX];
    return sscanf(line, " nameserver %45s", text) == 1 && ip_parse(text, out);
}

char *host_resolver_edit(const char *text, const struct ip_addr *server, bool *added)
{
    char *out = NULL, address[IP_TEXT_MAX];
    size_t len, servers = 0;
    struct ip_addr a;
    *added = true;
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p != 0)
        if (server_of(p, &a)) {
            servers++;
            *added &= !ip_equal(&a, server);
        }
    FILE *f = open_memstream(&out, &len);
    if (!f)
        return NULL;
    ip_print(server, address);
    if (*added && servers >= SERVERS_USED) /* behind these nobody would look at it */
        fprintf(f, "nameserver %s\n", address);
    fputs(text, f);
    if (*text && text[strlen(text) - 1] != '\n')
        fputc('\n', f);
    if (*added && servers < SERVERS_USED)
        fprintf(f, "nameserver %s\n", address);
    if (fclose(f)) {
        free(out);
        return NULL;
    }
    return out;
}

/* Those of a text that are no loopback's. */
static unsigned servers_of(const char *text, struct ip_addr *list, unsigned most)
{
    unsigned count = 0;
    struct ip_addr a;
    for (const char *p = text; *p && count < most; p += strcspn(p, "\n"), p += *p != 0)
        if (server_of(p, &a) && !a.v6 && ip_is_host(&a))
            list[count++] = a;
    return count;
}

/* ---- systemd-resolved ---- */

static bool resolved_serves(const char *text)
{
    char target[PATH_MAX];
    struct stat st;
    ssize_t n = readlink(FOLDER "/" FILE_, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = 0;
    return stat("/run/systemd/resolve/io.systemd.Resolve", &st) == 0 &&
           (strstr(target, "/systemd/resolve/") || strstr(text, "127.0.0.53"));
}

/* out: what it printed, cut where it is full. Its exit status, or -1. */
static int run(char *const *words, char *out, size_t size)
{
    int status, pipes[2];
    size_t got = 0;
    ssize_t n = 0;
    if (pipe2(pipes, O_CLOEXEC))
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
        dup2(pipes[1], STDOUT_FILENO);
        execvp(words[0], words);
        _exit(127);
    }
    close(pipes[1]);
    while (pid > 0 && got < size - 1 && (n = read(pipes[0], out + got, size - 1 - got)) > 0)
        got += (size_t)n;
    out[got] = 0;
    close(pipes[0]);
    return pid < 0 || waitpid(pid, &status, 0) < 0 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Sets all of a link's servers at once: those it has ("Link 2 (eth0): 192.0.2.1 192.0.2.2") and one more. */
static int add_to_resolved(unsigned index, const char *server, struct err *err)
{
    char name[IF_NAMESIZE], has[1000], *words[4 + 32] = {"resolvectl", "dns", name};
    struct ip_addr a, added;
    unsigned n = 3;
    if (!if_indextoname(index, name))
        return err_set(err, EXIT_STATUS_HOST, "the network interface is not there any more");
    int status = run(words, has, sizeof(has));
    char *list = strstr(has, "): ");
    bool there = false;
    ip_parse(server, &added);
    for (char *w = status == 0 && list ? strtok(list + 3, " \n") : NULL; w && n < 3 + 31;
         w = strtok(NULL, " \n")) {
        there |= ip_parse(w, &a) && ip_equal(&a, &added);
        words[n++] = w;
    }
    words[n++] = (char *)server;
    if (there)
        return 0;
    char said[1];
    status = status ? status : run(words, said, sizeof(said));
    if (status == 0)
        return 0;
    return err_set(err, status == 127 ? EXIT_STATUS_HOST : EXIT_STATUS_USAGE,
                   "systemd-resolved did not take the name server %s for %s: %s", server, name,
                   status == 127 ? "there is no resolvectl" : "be root; 'resolvectl dns' says more");
}

/* ---- resolv.conf ---- */

static int fail(const char *what, struct err *err)
{
    bool denied = errno == EACCES || errno == EPERM;
    return err_set(err, denied ? EXIT_STATUS_USAGE : EXIT_STATUS_HOST, "cannot %s " FOLDER "/%s: %s%s", what,
                   FILE_, strerror(errno), denied ? "; be root" : "");
}

static int read_file(const char *path, char text[FILE_MAX], struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    text[0] = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : fail("read", err);
    ssize_t n = read(fd, text, FILE_MAX - 1);
    close(fd);
    if (n < 0)
        return fail("read", err);
    if (n == FILE_MAX - 1)
        return err_set(err, EXIT_STATUS_USAGE, FOLDER "/" FILE_ " is longer than any resolver's");
    text[n] = 0;
    return 0;
}

static bool write_whole(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len) {
        ssize_t n = write(fd, text, len);
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* A file that is mounted over, as containers have it, cannot be replaced: it is written in place. */
static int write_in_place(const char *text, struct err *err)
{
    int fd = open(FOLDER "/" FILE_, O_WRONLY | O_TRUNC | O_CLOEXEC);
    bool written = fd >= 0 && write_whole(fd, text);
    int r = written ? 0 : fail("write", err);
    if (fd >= 0)
        close(fd);
    return r;
}

static int replace(const char *text, struct err *err)
{
    int fd = open(FOLDER "/" DRAFT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool written = fd >= 0 && fchmod(fd, 0644) == 0 && write_whole(fd, text);
    if (fd >= 0)
        close(fd);
    if (!written)
        return fail("write", err);
    if (linkat(AT_FDCWD, FOLDER "/" FILE_, AT_FDCWD, FOLDER "/" BEFORE, 0) && errno != EEXIST &&
        errno != ENOENT) {
        int why = errno;
        unlink(FOLDER "/" DRAFT);
        errno = why;
        return why == EXDEV || why == EBUSY ? write_in_place(text, err) : fail("keep a copy of", err);
    }
    if (rename(FOLDER "/" DRAFT, FOLDER "/" FILE_) == 0)
        return 0;
    int why = errno;
    unlink(FOLDER "/" DRAFT);
    errno = why;
    return why == EBUSY ? write_in_place(text, err) : fail("write", err);
}

int host_resolver_add(unsigned index, const struct ip_addr *server, struct err *err)
{
    char text[FILE_MAX], address[IP_TEXT_MAX];
    bool added;
    if (read_file(FOLDER "/" FILE_, text, err))
        return -1;
    if (resolved_serves(text))
        return add_to_resolved(index, ip_print(server, address), err);
    char *now = host_resolver_edit(text, server, &added);
    if (!now)
        return err_set(err, EXIT_STATUS_HOST, "out of memory for " FILE_);
    int r = added ? replace(now, err) : 0;
    free(now);
    return r;
}

/* systemd-resolved's own answers at a loopback address stand for the servers in its other file. */
unsigned host_resolver_list(struct ip_addr *list, unsigned most)
{
    static const char *const paths[] = {FOLDER "/" FILE_, "/run/systemd/resolve/" FILE_};
    char text[FILE_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(paths) && !count; i++) {
        struct err ignored = {0};
        if (read_file(paths[i], text, &ignored) == 0)
            count = servers_of(text, list, most);
    }
    return count;
}
