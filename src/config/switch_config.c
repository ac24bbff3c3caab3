/* SPDX-License-Identifier: MIT */
/* The definition file of a switch: one JSON object with "format" and the settings under their keys, treated
 * as vm_config.c treats a VM's. */
#include "config/switch_config.h"

#include <stdlib.h>

#include "config/versions.h"
#include "config/whole_file.h"

#define FORMAT   1
#define FILE_MAX (64 * KIB)

const char *const switch_type_words[] = {"Private", "Internal", "External"};
const char *const host_network_words[] = {"Auto", "Kernel", "User"};

#include "config/as_rows.h"

#define OBJECT switch_config
static const struct setting rows[] = {
#define SETTINGS_SWITCH
#include "config/settings.def"
#undef SETTINGS_SWITCH
};
#undef OBJECT

const struct schema switch_schema = {"the definition of a switch", rows, ARRAY_SIZE(rows)};

void switch_config_init(struct switch_config *c)
{
    memset(c, 0, sizeof(*c));
    schema_defaults(&switch_schema, c);
}

int switch_config_check(const struct switch_config *c, struct err *err)
{
    if (schema_check(&switch_schema, c, err))
        return -1;
    if (!c->name[0])
        return err_set(err, EXIT_STATUS_USAGE, "the definition of a switch: name is empty");
    if ((c->type == SWITCH_EXTERNAL) != (c->uplink[0] != 0))
        return err_set(
            err, EXIT_STATUS_USAGE,
            "the definition of a switch: netAdapterName belongs to switchType External, and to no other");
    return 0;
}

bool switch_config_has_host(const struct switch_config *c)
{
    return c->type == SWITCH_INTERNAL || (c->type == SWITCH_EXTERNAL && c->management);
}

char *switch_config_print(const struct switch_config *c, struct err *err)
{
    if (switch_config_check(c, err))
        return NULL;
    json_t *o = json_pack("{s:i}", "format", FORMAT);
    char *text = o && schema_store(&switch_schema, c, o, err) == 0 ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    if (!text)
        err_set(err, EXIT_STATUS_HOST, "out of memory for a definition");
    return text;
}

static int load(struct switch_config *c, const json_t *o, struct err *err)
{
    static const char *const others[] = {"format", NULL};
    const json_t *format = json_object_get(o, "format");
    switch_config_init(c);
    if (!json_is_integer(format))
        return err_set(err, EXIT_STATUS_USAGE, "the definition of a switch: format is missing");
    if (json_integer_value(format) > FORMAT)
        return err_set(err, EXIT_STATUS_USAGE,
                       "the definition has format %lld, made by a newer program; this one knows up to %d",
                       (long long)json_integer_value(format), FORMAT);
    return schema_load(&switch_schema, c, o, others, err) || switch_config_check(c, err) ? -1 : 0;
}

int switch_config_parse(struct switch_config *c, const char *text, size_t len, struct err *err)
{
    json_error_t e;
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!o)
        return err_set(err, EXIT_STATUS_USAGE, "the definition is damaged: line %d: %.100s", e.line, e.text);
    int r = load(c, o, err);
    json_decref(o);
    return r;
}

int switch_config_read(struct switch_config *c, int dir, const char *name, struct err *err)
{
    char *text;
    size_t len;
    if (whole_file_read(dir, name, FILE_MAX, &text, &len, err))
        return -1;
    int r = switch_config_parse(c, text, len, err);
    free(text);
    return r;
}

int switch_config_write(const struct switch_config *c, int dir, const char *name, struct err *err)
{
    char *text = switch_config_print(c, err);
    int r = text ? whole_file_write(dir, name, text, strlen(text), err) : -1;
    free(text);
    return r;
}
