/* SPDX-License-Identifier: MIT */
#include "mgmt/mac_pool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "config/errors.h"
#include "mgmt/switch_store.h"

enum { PREFIX_DIGITS = 10 };

static u32 hash(u32 h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (u8)*text) * 16777619u; /* FNV-1a */
    return h;
}

static void prefix_of(const struct store *s, char out[13])
{
    char machine[64] = "";
    int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, machine, sizeof(machine) - 1);
        machine[n > 0 ? n : 0] = 0;
        close(fd);
    }
    u32 h = hash(hash(2166136261u, machine), s->data_path);
    snprintf(out, 13, "00155D%04X00", (h ^ h >> 16) & 0xffff);
}

static void mark(bool used[256], const char *prefix, const char *mac)
{
    if (strncasecmp(mac, prefix, PREFIX_DIGITS) == 0)
        used[strtoul(mac + PREFIX_DIGITS, NULL, 16) & 0xff] = true;
}

static void mark_vm(bool used[256], const char *prefix, const struct vm_config *c)
{
    for (unsigned i = 0; c && i < c->adapter_count; i++)
        mark(used, prefix, c->adapters[i].mac);
}

static int mark_vms(bool used[256], const char *prefix, struct store *s, struct err *err)
{
    struct vm_entry *list;
    unsigned count;
    if (store_list(s, &list, &count, err))
        return -1;
    for (unsigned i = 0; i < count; i++)
        mark_vm(used, prefix, list[i].config);
    store_list_free(list, count);
    return 0;
}

static int mark_switches(bool used[256], const char *prefix, struct err *err)
{
    struct switch_store s;
    struct switch_entry *list = NULL;
    unsigned count = 0;
    if (switch_store_open(&s, err))
        return -1;
    int r = switch_store_list(&s, &list, &count, err);
    for (unsigned i = 0; i < count; i++)
        mark(used, prefix, list[i].config.mac);
    free(list);
    switch_store_close(&s);
    return r;
}

/* DATA/mac-pool, locked, whose one byte is the number given last. */
static int open_last(const struct store *s, struct err *err)
{
    int fd = openat(s->data, "mac-pool", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    err_set(err, EXIT_STATUS_HOST, "%s/mac-pool cannot be had: %s", s->data_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The first unused number behind the last one given; 256: there is none. */
static unsigned next_number(int fd, const bool used[256])
{
    u8 last = 0xff;
    if (pread(fd, &last, 1, 0) != 1)
        last = 0xff; /* nothing was given yet */
    for (unsigned i = 1; i <= 256; i++) {
        u8 n = (u8)(last + i);
        if (!used[n])
            return pwrite(fd, &n, 1, 0) == 1 ? n : 256;
    }
    return 256;
}

static int take(struct store *s, const struct vm_config *with, char out[13], struct err *err)
{
    bool used[256] = {false};
    prefix_of(s, out);
    mark_vm(used, out, with);
    if (mark_vms(used, out, s, err) || mark_switches(used, out, err))
        return -1;
    int fd = open_last(s, err);
    if (fd < 0)
        return -1;
    unsigned n = next_number(fd, used);
    close(fd);
    if (n == 256)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OPERATION_FAILED,
                          "All 256 dynamic hardware addresses of this host are in use: give one with "
                          "-StaticMacAddress.");
    snprintf(out + PREFIX_DIGITS, 3, "%02X", n);
    return 0;
}

int mac_pool_take(const struct vm_config *with, char out[13], struct err *err)
{
    struct store s;
    if (store_open(&s, err))
        return -1;
    int r = take(&s, with, out, err);
    store_close(&s);
    return r;
}

int mac_pool_range(char first[13], char last[13], struct err *err)
{
    struct store s;
    if (store_open(&s, err))
        return -1;
    prefix_of(&s, first);
    memcpy(last, first, 13);
    memcpy(last + PREFIX_DIGITS, "FF", 2);
    store_close(&s);
    return 0;
}

bool mac_parse(const char *text, char out[13])
{
    unsigned n = 0;
    for (; *text; text++) {
        if ((*text == '-' || *text == ':') && n && n % 2 == 0 && n < 12)
            continue;
        if (n == 12 || !isxdigit((u8)*text))
            return false;
        out[n++] = (char)toupper((u8)*text);
    }
    out[n] = 0;
    return n == 12 && strcmp(out, "000000000000") && !(strtoul((char[]){out[0], out[1], 0}, NULL, 16) & 1);
}
