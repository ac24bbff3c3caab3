/* SPDX-License-Identifier: MIT */
/* Opening the files of a run: each refusal is one line with the file's name and the reason. */
#include "cmd/run_files.h"

#include "cmd/run_gdb.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const char *what, const char *path, const char *why, struct err *err)
{
    return err_set(err, EXIT_STATUS_USAGE, "%s %.200s: %s", what, path, why);
}

/* An open descriptor or -1. A disk may be a block device too. */
static int open_file(const char *what, const char *path, int flags, bool disk, struct err *err)
{
    /* O_NONBLOCK: a FIFO without a writer would hold us here */
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0)
        return refuse(what, path, errno == EISDIR ? "is a folder, a file is needed" : strerror(errno), err);
    if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || (disk && S_ISBLK(st.st_mode))))
        return fd;
    close(fd);
    return refuse(what, path, S_ISDIR(st.st_mode) ? "is a folder, a file is needed" : "is not a plain file",
                  err);
}

static int lock_image(int fd, const char *path, bool written, struct err *err)
{
    struct flock lock = {.l_type = written ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
        return 0; /* file systems without locks leave the care to the user */
    return refuse("disk", path,
                  written ? "is in use by another machine; snapshot=on or readonly=on would only read it"
                          : "is being written by another machine",
                  err);
}

static int open_disk(const struct run_disk *d, struct err *err)
{
    bool written = !d->readonly && !d->snapshot;
    int fd = open_file("disk", d->file, written ? O_RDWR : O_RDONLY, true, err);
    if (fd >= 0 && lock_image(fd, d->file, written, err) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Made anew, but not before everything else was found good. */
static int open_output(const char *what, const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    return fd >= 0 ? fd : refuse(what, path, strerror(errno), err);
}

static int open_traces(struct run_files *f, const struct run_config *c, struct err *err)
{
    const struct {
        const char *path;
        int *fd;
    } traces[] = {{c->stats_path, &f->stats}, {c->exits_path, &f->exits}, {c->nested_path, &f->nested},
                  {c->jit_path, &f->jit},     {c->perf_path, &f->perf},   {c->hash_path, &f->hash}};
    for (unsigned i = 0; i < ARRAY_SIZE(traces); i++)
        if (traces[i].path && (*traces[i].fd = open_output("trace file", traces[i].path, err)) < 0)
            return -1;
    return 0;
}

static void close_all(struct run_files *f, const struct run_config *c)
{
    if (f->kernel >= 0)
        close(f->kernel);
    for (unsigned i = 0; i < c->module_count; i++)
        if (f->modules[i] >= 0)
            close(f->modules[i]);
    for (unsigned i = 0; i < c->disk_count; i++)
        if (f->disks[i] >= 0)
            close(f->disks[i]);
}

static int open_all(struct run_files *f, const struct run_config *c, struct err *err)
{
    f->kernel = open_file("kernel", c->kernel, O_RDONLY, false, err);
    if (f->kernel < 0)
        return -1;
    for (unsigned i = 0; i < c->module_count; i++)
        if ((f->modules[i] = open_file("initrd", c->modules[i].file, O_RDONLY, false, err)) < 0)
            return -1;
    for (unsigned i = 0; i < c->disk_count; i++)
        if ((f->disks[i] = open_disk(&c->disks[i], err)) < 0)
            return -1;
    if (c->serial == RUN_SERIAL_FILE && (f->serial = open_output("serial file", c->serial_path, err)) < 0)
        return -1;
    if (open_traces(f, c, err))
        return -1;
    if ((c->gdb_port || c->gdb_path) && (f->gdb = run_gdb_listen(c, err)) < 0)
        return -1;
    return 0;
}

int run_files_open(struct run_files *f, const struct run_config *c, struct err *err)
{
    memset(f, -1, sizeof(*f));
    if (open_all(f, c, err) == 0)
        return 0;
    close_all(f, c);
    return -1;
}
