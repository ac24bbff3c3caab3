/* SPDX-License-Identifier: MIT */
/* The definition file of a switch: one JSON object with "format" and the settings under their keys, treated
 * as vm_config.c treats a VM's. */
#include "config/switch_config.h"

#include <stdlib.h>

#include "config/definition.h"
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
    json_t *o = definition_new(FORMAT);
    return definition_print(o, o ? schema_store(&switch_schema, c, o, err) : 0, err);
}

int switch_config_parse(struct switch_config *c, const char *text, size_t len, struct err *err)
{
    static const char *const others[] = {"format", NULL};
    switch_config_init(c);
    json_t *o = definition_parse(text, len, FORMAT, err);
    int r = o && schema_load(&switch_schema, c, o, others, err) == 0 ? switch_config_check(c, err) : -1;
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
