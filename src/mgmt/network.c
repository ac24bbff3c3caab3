/* SPDX-License-Identifier: MIT */
#include "mgmt/network.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/whole_file.h"
#include "mgmt/host_network.h"

#define LOCK     "network.lock"
#define FILE_MAX (4 * MIB)

static int read_into(const struct store *s, struct network_config *c, struct err *err)
{
    char *text;
    size_t len;
    if (faccessat(s->data, NETWORK_DEFINITION, F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
        return 0;
    if (whole_file_read(s->data, NETWORK_DEFINITION, FILE_MAX, &text, &len, err))
        return -1;
    struct err why = {0};
    int r = network_parse(c, text, len, &why);
    free(text);
    return r ? err_set(err, why.status, "%.200s/%s cannot be used, and was left as it is: %.300s",
                       s->data_path, NETWORK_DEFINITION, why.text)
             : 0;
}

struct network_config *network_read(const struct store *s, struct err *err)
{
    struct network_config *c = calloc(1, sizeof(*c));
    if (!c)
        err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    else if (read_into(s, c, err) == 0)
        return c;
    free(c);
    return NULL;
}

int network_take(const struct store *s, struct network *n, struct err *err)
{
    *n = (struct network){.lock = openat(s->data, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (n->lock < 0 || flock(n->lock, LOCK_EX))
        err_set(err, EXIT_STATUS_HOST, "cannot lock %.200s/%s: %s", s->data_path, LOCK, strerror(errno));
    else if ((n->config = network_read(s, err)))
        return 0;
    network_release(n);
    return -1;
}

int network_put(const struct store *s, const struct network *n, struct err *err)
{
    char *text = network_print(n->config, err);
    int r = text ? whole_file_write(s->data, NETWORK_DEFINITION, text, strlen(text), err) : -1;
    free(text);
    return r;
}

void network_release(struct network *n)
{
    free(n->config);
    if (n->lock >= 0)
        close(n->lock);
    *n = (struct network){.lock = -1};
}

void host_adapter_name(const char *switch_name, char out[128])
{
    snprintf(out, 128, HOST_ADAPTER_PREFIX "%.100s)", switch_name);
}

static int forget(const struct store *s, struct network *n, const char *switch_name, struct err *err)
{
    char name[128];
    bool changed = false;
    host_adapter_name(switch_name, name);
    for (unsigned i = n->config->address_count; i--;)
        if (strcasecmp(n->config->addresses[i].adapter, name) == 0) {
            network_remove_address(n->config, &n->config->addresses[i]);
            changed = true;
        }
    return changed ? network_put(s, n, err) : 0;
}

int network_forget_switch(const char *switch_name, struct err *err)
{
    struct store s;
    struct network n;
    if (store_open(&s, err))
        return -1;
    int r = network_take(&s, &n, err);
    if (r == 0) {
        r = forget(&s, &n, switch_name, err);
        network_release(&n);
    }
    store_close(&s);
    return r;
}
