/* SPDX-License-Identifier: MIT */
/*
 * The definition file: one JSON object with "format", the settings under their keys, and two lists,
 * "hardDrives" and "networkAdapters". FORMAT grows when an older program could no longer understand a file;
 * such a program then refuses it and leaves it alone.
 */
#include "config/vm_config.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/definition.h"
#include "config/whole_file.h"

#define FORMAT   2 /* 2: network adapters with an id and rules */
#define FILE_MAX MIB

const char *const vm_vendor_words[] = {"Intel", "AMD"};
const char *const vm_engine_words[] = {"Auto", "Soft", "KVM"};
const char *const vm_start_action_words[] = {"Nothing", "StartIfRunning", "Start"};
const char *const vm_stop_action_words[] = {"TurnOff", "Save", "ShutDown"};

/* What settings.def calls them. */
#define vendor_words       vm_vendor_words
#define engine_words       vm_engine_words
#define start_action_words vm_start_action_words
#define stop_action_words  vm_stop_action_words

#include "config/as_rows.h"

#define OBJECT vm_config
static const struct setting vm_settings[] = {
#define SETTINGS_VM
#include "config/settings.def"
#undef SETTINGS_VM
};
#undef OBJECT
#define OBJECT vm_disk
static const struct setting disk_settings[] = {
#define SETTINGS_DISK
#include "config/settings.def"
#undef SETTINGS_DISK
};
#undef OBJECT
#define OBJECT vm_adapter
static const struct setting adapter_settings[] = {
#define SETTINGS_ADAPTER
#define SETTINGS_PORT
#include "config/settings.def"
#undef SETTINGS_PORT
#undef SETTINGS_ADAPTER
};
#undef OBJECT

const struct schema vm_schema = {"the definition", vm_settings, ARRAY_SIZE(vm_settings)};
const struct schema vm_disk_schema = {"a hard drive", disk_settings, ARRAY_SIZE(disk_settings)};
const struct schema vm_adapter_schema = {"a network adapter", adapter_settings, ARRAY_SIZE(adapter_settings)};

const struct setting *vm_setting(const char *field)
{
    for (unsigned i = 0; i < vm_schema.count; i++)
        if (strcmp(vm_settings[i].field, field) == 0)
            return &vm_settings[i];
    return NULL;
}

void vm_config_init(struct vm_config *c)
{
    memset(c, 0, offsetof(struct vm_config, disks)); /* the lists are large, and hold what their counts say */
    c->disk_count = c->adapter_count = 0;
    schema_defaults(&vm_schema, c);
    c->version = version_default();
}

/* ---- checks ---- */

static int check_disks(const struct vm_config *c, struct err *err)
{
    for (unsigned i = 0; i < c->disk_count; i++) {
        const struct vm_disk *d = &c->disks[i], *before = d - 1;
        if (schema_check(&vm_disk_schema, d, err))
            return -1;
        if (!d->path[0])
            return err_set(err, EXIT_STATUS_USAGE, "a hard drive: path is missing");
        if (i && (before->controller > d->controller ||
                  (before->controller == d->controller && before->location >= d->location)))
            return err_set(err, EXIT_STATUS_USAGE,
                           "hard drives: not in the order of their places, or two at one place");
    }
    return 0;
}

static int check_adapters(const struct vm_config *c, struct err *err)
{
    for (unsigned i = 0; i < c->adapter_count; i++) {
        const struct vm_adapter *a = &c->adapters[i];
        if (schema_check(&vm_adapter_schema, a, err) || port_rule_check(&a->rule, err))
            return -1;
        for (unsigned k = 0; k < i; k++)
            if (a->id[0] && strcmp(a->id, c->adapters[k].id) == 0)
                return err_set(err, EXIT_STATUS_USAGE, "network adapters: two with the id %s", a->id);
    }
    return 0;
}

int vm_config_check(const struct vm_config *c, struct err *err)
{
    if (schema_check(&vm_schema, c, err) || check_disks(c, err) || check_adapters(c, err))
        return -1;
    if (!c->name[0])
        return err_set(err, EXIT_STATUS_USAGE, "the definition: name is empty");
    if (c->memory % MIB || c->memory_minimum % MIB || c->memory_maximum % MIB)
        return err_set(err, EXIT_STATUS_USAGE, "the definition: memory is not in whole MiB");
    if (c->memory_minimum > c->memory_maximum)
        return err_set(err, EXIT_STATUS_USAGE, "the definition: memoryMinimum is above memoryMaximum");
    if (c->dynamic && (c->memory < c->memory_minimum || c->memory > c->memory_maximum))
        return err_set(err, EXIT_STATUS_USAGE,
                       "the definition: memoryStartup is not between memoryMinimum and memoryMaximum");
    return 0;
}

/* ---- text ---- */

static int store(const struct vm_config *c, json_t *o, struct err *err)
{
    if (schema_store(&vm_schema, c, o, err) ||
        definition_store_list(&vm_disk_schema, c->disks, sizeof(*c->disks), c->disk_count, o, "hardDrives",
                              err))
        return -1;
    return definition_store_list(&vm_adapter_schema, c->adapters, sizeof(*c->adapters), c->adapter_count, o,
                                 "networkAdapters", err);
}

char *vm_config_print(const struct vm_config *c, struct err *err)
{
    if (vm_config_check(c, err))
        return NULL;
    json_t *o = definition_new(FORMAT);
    return definition_print(o, o ? store(c, o, err) : 0, err);
}

static int load_list(const struct schema *s, void *objects, size_t size, unsigned most, unsigned *count,
                     const json_t *from, const char *key, struct err *err)
{
    const json_t *list = json_object_get(from, key);
    *count = 0;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > most)
        return err_set(err, EXIT_STATUS_USAGE, "the definition: %s is not a list of at most %u", key, most);
    for (; *count < json_array_size(list); ++*count) {
        void *o = (char *)objects + *count * size;
        schema_defaults(s, o);
        if (schema_load(s, o, json_array_get(list, *count), NULL, err))
            return -1;
    }
    return 0;
}

/* Of format 1, and of definitions without: the same each time they are read. */
static void name_adapters(struct vm_config *c)
{
    for (unsigned i = 0; i < c->adapter_count; i++)
        if (!c->adapters[i].id[0])
            snprintf(c->adapters[i].id, sizeof(c->adapters[i].id), "%08x%.28s", i, c->id + 8);
}

static int load(struct vm_config *c, const json_t *o, struct err *err)
{
    static const char *const others[] = {"format", "hardDrives", "networkAdapters", NULL};
    if (schema_load(&vm_schema, c, o, others, err) ||
        load_list(&vm_disk_schema, c->disks, sizeof(*c->disks), VM_DISKS_MAX, &c->disk_count, o, "hardDrives",
                  err) ||
        load_list(&vm_adapter_schema, c->adapters, sizeof(*c->adapters), VM_ADAPTERS_MAX, &c->adapter_count,
                  o, "networkAdapters", err))
        return -1;
    name_adapters(c);
    return vm_config_check(c, err);
}

int vm_config_parse(struct vm_config *c, const char *text, size_t len, struct err *err)
{
    vm_config_init(c);
    json_t *o = definition_parse(text, len, FORMAT, err);
    int r = o ? load(c, o, err) : -1;
    json_decref(o);
    return r;
}

int vm_config_read(struct vm_config *c, int dir, const char *name, struct err *err)
{
    char *text;
    size_t len;
    if (whole_file_read(dir, name, FILE_MAX, &text, &len, err))
        return -1;
    int r = vm_config_parse(c, text, len, err);
    free(text);
    return r;
}

int vm_config_write(const struct vm_config *c, int dir, const char *name, struct err *err)
{
    char *text = vm_config_print(c, err);
    int r = text ? whole_file_write(dir, name, text, strlen(text), err) : -1;
    free(text);
    return r;
}
