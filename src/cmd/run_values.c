/* SPDX-License-Identifier: MIT */
/*
 * The values of `droste run`'s options. Comma lists are taken apart by next_item(): a doubled comma is one
 * literal comma. Strings that differ from argv's are kept in the config's store. Nothing here looks at a
 * file.
 */
#include "cmd/run_values.h"

#include <regex.h>
#include <stdlib.h>

static int bad(const struct run_value *v, struct err *err, const char *remedy)
{
    return err_set(err, EXIT_STATUS_USAGE, "--%s '%.80s': %s", v->option, v->text, remedy);
}

static int bad_form(const struct run_value *v, struct err *err)
{
    return err_set(err, EXIT_STATUS_USAGE, "--%s '%.80s' is not understood: write --%s %s", v->option,
                   v->text, v->option, v->form);
}

static int too_many(const struct run_value *v, struct err *err, unsigned max)
{
    return err_set(err, EXIT_STATUS_USAGE, "--%s: at most %u are possible", v->option, max);
}

/* ---- pieces ---- */

static char *keep(struct run_value *v, char *s)
{
    struct run_config *c = v->config;
    bug_on(!s, "no memory for an option's value");
    bug_on(c->store_count == ARRAY_SIZE(c->store), "more strings than the limits of the lists allow");
    return c->store[c->store_count++] = s;
}

/* The next item of a comma list, unescaped, kept; NULL at the end. *at: what is left, or NULL. */
static char *next_item(struct run_value *v, const char **at)
{
    if (!*at)
        return NULL;
    char *item = keep(v, malloc(strlen(*at) + 1)), *out = item;
    const char *p = *at;
    while (*p && !(p[0] == ',' && p[1] != ',')) {
        p += p[0] == ',';
        *out++ = *p++;
    }
    *out = 0;
    *at = *p ? p + 1 : NULL;
    return item;
}

/* How many items a list has, so that limits are checked before anything is kept. */
static unsigned count_items(const char *p)
{
    unsigned n = 1;
    for (; *p; p++) {
        if (p[0] == ',' && p[1] == ',')
            p++;
        else if (p[0] == ',')
            n++;
    }
    return n;
}

/* The decimal number text begins with; *end is behind it. False when there is none or it is above max. */
static bool number(const char *text, u64 max, u64 *out, const char **end)
{
    u64 n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (max - (u64)(*p - '0')) / 10)
            return false;
        n = n * 10 + (u64)(*p - '0');
    }
    *out = n;
    *end = p;
    return p != text;
}

static bool whole_number(const char *text, u64 max, u64 *out)
{
    const char *end;
    return number(text, max, out, &end) && !*end;
}

static bool on_off(const char *text, bool *out)
{
    *out = strcmp(text, "on") == 0;
    return *out || strcmp(text, "off") == 0;
}

/* What follows `key` in text, or NULL. */
static const char *after(const char *text, const char *key)
{
    size_t n = strlen(key);
    return strncmp(text, key, n) == 0 ? text + n : NULL;
}

static int take_text(const struct run_value *v, const char **out, struct err *err)
{
    if (!*v->text)
        return err_set(err, EXIT_STATUS_USAGE, "--%s is empty: write --%s %s", v->option, v->option, v->form);
    *out = v->text;
    return 0;
}

/* ---- the machine ---- */

int run_parse_name(struct run_value *v, struct err *err)
{
    return take_text(v, &v->config->name, err);
}

int run_parse_kernel(struct run_value *v, struct err *err)
{
    return take_text(v, &v->config->kernel, err);
}

int run_parse_append(struct run_value *v, struct err *err)
{
    v->config->append = v->text;
    return 0;
}

int run_parse_initrd(struct run_value *v, struct err *err)
{
    struct run_config *c = v->config;
    const char *at = v->text;
    if (count_items(at) > RUN_MODULES_MAX)
        return too_many(v, err, RUN_MODULES_MAX);
    for (char *item; (item = next_item(v, &at));) {
        char *space = strchr(item, ' ');
        struct run_module m = {item, ""};
        if (space) {
            *space = 0;
            m.args = space + 1;
        }
        if (!*item)
            return bad(v, err, "a file name is empty; write a comma that is part of a name twice");
        c->modules[c->module_count++] = m;
    }
    return 0;
}

/* Bits to shift by for "", "K", "MB", "GiB", ...; -1 for anything else. */
static int size_shift(const char *unit)
{
    static const char letters[] = "KMGT";
    if (!*unit)
        return 0;
    const char *letter = strchr(letters, unit[0] & ~0x20);
    const char *rest = unit + 1;
    if (!letter || !*letter || !(*rest == 0 || !strcasecmp(rest, "b") || !strcasecmp(rest, "ib")))
        return -1;
    return 10 * (int)(letter - letters + 1);
}

int run_parse_memory(struct run_value *v, struct err *err)
{
    u64 n;
    const char *unit;
    int shift;
    if (!number(v->text, ~0ull >> 1, &n, &unit) || (shift = size_shift(unit)) < 0)
        return bad(v, err, "not a size: write a whole number with M or G, such as 512M");
    if (n > (~0ull >> 1) >> shift || n << shift > 1024 * GIB)
        return bad(v, err, "more than a machine can have: at most 1024G");
    n <<= shift;
    if (n < MIB || n % MIB)
        return bad(v, err,
                   shift ? "machines have whole megabytes: at least 1M"
                         : "not a whole number of megabytes: did you leave out the M or G, as in 512M?");
    v->config->memory = n;
    return 0;
}

int run_parse_cpus(struct run_value *v, struct err *err)
{
    u64 n;
    if (!whole_number(v->text, ~0u, &n) || n < 1 || n > RUN_CPUS_MAX)
        return err_set(err, EXIT_STATUS_USAGE, "--cpus '%.80s': write a number from 1 to %u", v->text,
                       RUN_CPUS_MAX);
    v->config->cpus = (unsigned)n;
    return 0;
}

int run_parse_nested(struct run_value *v, struct err *err)
{
    return on_off(v->text, &v->config->nested) ? 0 : bad_form(v, err);
}

/* chaos or chaos:SEED, for our own tests: HACKING.md */
static bool take_chaos(const char *text, u64 *seed)
{
    const char *rest = after(text, "chaos:");
    *seed = strcmp(text, "chaos") == 0;
    return *seed || (rest && whole_number(rest, UINT32_MAX, seed) && *seed);
}

int run_parse_engine(struct run_value *v, struct err *err)
{
    static const char *const names[] = {"auto", "kvm", "soft"};
    struct run_config *c = v->config;
    const char *comma = strchr(v->text, ',');
    size_t len = comma ? (size_t)(comma - v->text) : strlen(v->text);
    bool found = false;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i]) == len && memcmp(names[i], v->text, len) == 0) {
            c->engine = (enum run_engine)i;
            found = true;
        }
    bool jit = true;
    const char *value = comma ? after(comma + 1, "jit=") : NULL;
    bool chaos = value && take_chaos(value, &c->chaos);
    if (!found || (comma && !chaos && (!value || !on_off(value, &jit))))
        return bad_form(v, err);
    if (comma && c->engine != RUN_ENGINE_SOFT)
        return bad(v, err, "jit= belongs to the soft engine: write --engine soft,jit=on|off");
    c->jit = !comma ? RUN_JIT_DEFAULT : chaos ? RUN_JIT_CHAOS : jit ? RUN_JIT_ON : RUN_JIT_OFF;
    return 0;
}

int run_parse_cpu_vendor(struct run_value *v, struct err *err)
{
    if (strcmp(v->text, "intel") == 0)
        v->config->vendor = RUN_VENDOR_INTEL;
    else if (strcmp(v->text, "amd") == 0)
        v->config->vendor = RUN_VENDOR_AMD;
    else
        return bad_form(v, err);
    return 0;
}

int run_parse_cpu_features(struct run_value *v, struct err *err)
{
    for (const char *p = v->text; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (!strcspn(p + (*p == '+' || *p == '-'), ",+-"))
            return bad(v, err, "a name is empty: write +NAME or -NAME, separated by commas");
    v->config->cpu_features = v->text;
    return 0;
}

/* ---- disks and networks ---- */

int run_parse_disk(struct run_value *v, struct err *err)
{
    struct run_config *c = v->config;
    const char *at = v->text;
    if (c->disk_count == RUN_DISKS_MAX)
        return too_many(v, err, RUN_DISKS_MAX);
    if (count_items(at) > 3)
        return bad_form(v, err);
    struct run_disk *d = &c->disks[c->disk_count++];
    d->file = next_item(v, &at);
    if (!*d->file)
        return bad_form(v, err);
    for (char *item; (item = next_item(v, &at));) {
        const char *readonly = after(item, "readonly="), *snapshot = after(item, "snapshot=");
        if (!(readonly && on_off(readonly, &d->readonly)) && !(snapshot && on_off(snapshot, &d->snapshot)))
            return bad(v, err,
                       "after the file come readonly=on and snapshot=on; a comma in a name is written twice");
    }
    return 0;
}

static bool parse_forward(struct run_net *n, const char *text)
{
    u64 host, guest;
    const char *colon;
    if (!number(text, 65535, &host, &colon) || *colon != ':' || !whole_number(colon + 1, 65535, &guest))
        return false;
    if (!host || !guest)
        return false;
    n->forwards[n->forward_count++] = (struct run_forward){(u16)host, (u16)guest};
    return true;
}

static bool parse_mac(struct run_net *n, const char *text)
{
    if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:-") != 17)
        return false;
    for (int i = 0; i < 6; i++) {
        char digits[3] = {text[3 * i], text[3 * i + 1], 0}, *end;
        n->mac[i] = (u8)strtoul(digits, &end, 16);
        if (*end || (i < 5 && text[3 * i + 2] != ':' && text[3 * i + 2] != '-'))
            return false;
    }
    n->has_mac = true;
    return !(n->mac[0] & 1); /* not a group's address (IEEE 802 8.2) */
}

static int parse_net_item(struct run_value *v, struct run_net *n, const char *item, struct err *err)
{
    const char *forward = after(item, "forward="), *mac = after(item, "mac=");
    if (forward && !n->switch_name) {
        if (n->forward_count == RUN_FORWARDS_MAX)
            return too_many(v, err, RUN_FORWARDS_MAX);
        return parse_forward(n, forward)
                   ? 0
                   : bad(v, err, "write forward=HOSTPORT:GUESTPORT, such as forward=2222:22");
    }
    if (mac)
        return parse_mac(n, mac)
                   ? 0
                   : bad(v, err, "write a single adapter's address, such as mac=52:54:00:12:34:56");
    return bad(v, err,
               n->switch_name ? "after switch=NAME comes mac=MAC; a comma in a name is written twice"
                              : "after user come forward=HOSTPORT:GUESTPORT and mac=MAC");
}

int run_parse_net(struct run_value *v, struct err *err)
{
    struct run_config *c = v->config;
    const char *at = v->text;
    if (strcmp(at, "none") == 0)
        return 0;
    if (c->net_count == RUN_NETS_MAX)
        return too_many(v, err, RUN_NETS_MAX);
    if (count_items(at) > 2 + RUN_FORWARDS_MAX)
        return too_many(v, err, RUN_FORWARDS_MAX);
    struct run_net *n = &c->nets[c->net_count++];
    const char *kind = next_item(v, &at);
    n->switch_name = after(kind, "switch=");
    if (n->switch_name ? !*n->switch_name || strlen(n->switch_name) > RUN_SWITCH_NAME_MAX
                       : strcmp(kind, "user") != 0)
        return bad_form(v, err);
    for (char *item; (item = next_item(v, &at));)
        if (parse_net_item(v, n, item, err) < 0)
            return -1;
    return 0;
}

/* ---- the run ---- */

int run_parse_serial(struct run_value *v, struct err *err)
{
    struct run_config *c = v->config;
    const char *path = after(v->text, "file:");
    if (path && *path) {
        c->serial = RUN_SERIAL_FILE;
        c->serial_path = path;
        return 0;
    }
    c->serial = strcmp(v->text, "none") == 0 ? RUN_SERIAL_NONE : RUN_SERIAL_STDIO;
    return c->serial == RUN_SERIAL_NONE || strcmp(v->text, "stdio") == 0 ? 0 : bad_form(v, err);
}

int run_parse_expect(struct run_value *v, struct err *err)
{
    regex_t re;
    char why[120];
    int r = regcomp(&re, v->text, REG_EXTENDED | REG_NOSUB);
    if (r == 0) {
        regfree(&re);
        return take_text(v, &v->config->expect, err);
    }
    regerror(r, NULL, why, sizeof(why));
    return err_set(err, EXIT_STATUS_USAGE, "--expect '%.80s' is not an extended regular expression: %s",
                   v->text, why);
}

int run_parse_timeout(struct run_value *v, struct err *err)
{
    u64 seconds, ms = 0;
    const char *end;
    if (!number(v->text, 1000000000, &seconds, &end))
        return bad(v, err, "write a number of seconds, such as 60");
    if (*end == '.') {
        unsigned scale = 100;
        for (end++; *end >= '0' && *end <= '9'; end++, scale /= 10)
            ms += (u64)(*end - '0') * scale;
    }
    ms += 1000 * seconds;
    if (*end || !ms)
        return bad(v, err, "write a number of seconds above 0, such as 60 or 0.5");
    v->config->timeout_ms = ms;
    return 0;
}

int run_parse_no_reboot(struct run_value *v, struct err *err)
{
    v->config->no_reboot = true;
    return 0;
}

int run_parse_test_devices(struct run_value *v, struct err *err)
{
    v->config->test_devices = true;
    return 0;
}

int run_parse_icount(struct run_value *v, struct err *err)
{
    v->config->icount = true;
    return 0;
}

/* WHAT or WHAT=FILE. */
static bool is_trace(const char *text, const char *what)
{
    const char *rest = after(text, what);
    return rest && (!*rest || (rest[0] == '=' && rest[1]));
}

int run_parse_trace(struct run_value *v, struct err *err)
{
    struct run_config *c = v->config;
    const struct {
        const char *name;
        bool *on;
        const char **path; /* NULL: it goes to no file */
    } kinds[] = {{"stats", &c->trace_stats, &c->stats_path},    {"exits", &c->trace_exits, &c->exits_path},
                 {"nested", &c->trace_nested, &c->nested_path}, {"jit", &c->trace_jit, &c->jit_path},
                 {"perf", &c->trace_perf, &c->perf_path},       {"gdbjit", &c->trace_gdbjit, NULL}};
    static const char twice[] = "is given twice: give it once";
    const char *hash = after(v->text, "hash="), *equals = strchr(v->text, '=');
    if (hash && *hash && c->hash_path)
        return bad(v, err, twice);
    if (hash && *hash) {
        c->hash_path = hash;
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!is_trace(v->text, kinds[i].name) || (equals && !kinds[i].path))
            continue;
        if (*kinds[i].on)
            return bad(v, err, twice);
        *kinds[i].on = true;
        if (kinds[i].path)
            *kinds[i].path = equals ? equals + 1 : NULL;
        return 0;
    }
    return bad_form(v, err);
}

int run_parse_gdb(struct run_value *v, struct err *err)
{
    u64 port;
    if (!*v->text || v->text[strspn(v->text, "0123456789")])
        return take_text(v, &v->config->gdb_path, err);
    if (!whole_number(v->text, 65535, &port) || !port)
        return bad(v, err, "a port is a number from 1 to 65535; a file of such a name is written ./NAME");
    v->config->gdb_port = (u16)port;
    return 0;
}

int run_parse_help(struct run_value *v, struct err *err)
{
    v->config->action = RUN_HELP;
    return 0;
}

int run_parse_version(struct run_value *v, struct err *err)
{
    v->config->action = RUN_VERSION;
    return 0;
}
