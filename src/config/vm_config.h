/* SPDX-License-Identifier: MIT */
/*
 * The definition of a VM as a struct: settings.def is its single source. Plain data, copied by assignment; it
 * is large (about 80 KiB), so it lives on the heap or in place, not on stacks.
 */
#ifndef CONFIG_VM_CONFIG_H
#define CONFIG_VM_CONFIG_H

#include "base/err.h"
#include "base/types.h"
#include "config/port_rule.h"
#include "config/schema.h"
#include "config/versions.h"

enum vm_vendor { VM_VENDOR_INTEL, VM_VENDOR_AMD };
enum vm_engine { VM_ENGINE_AUTO, VM_ENGINE_SOFT, VM_ENGINE_KVM };

enum vm_start_action { VM_START_NOTHING, VM_START_IF_RUNNING, VM_START_ALWAYS };
enum vm_stop_action { VM_STOP_TURN_OFF, VM_STOP_SAVE, VM_STOP_SHUT_DOWN };

enum { VM_DISKS_MAX = 16, VM_ADAPTERS_MAX = 8 };

#include "config/as_fields.h"

struct vm_disk {
#define SETTINGS_DISK
#include "config/settings.def"
#undef SETTINGS_DISK
};

struct vm_adapter {
#define SETTINGS_ADAPTER
#include "config/settings.def"
#undef SETTINGS_ADAPTER
    union {
        struct port_rule rule;
        struct {
#define SETTINGS_PORT
#include "config/settings.def"
#undef SETTINGS_PORT
        };
    };
};

struct vm_config {
#define SETTINGS_VM
#include "config/settings.def"
#undef SETTINGS_VM
    struct vm_disk disks[VM_DISKS_MAX]; /* sorted by controller and location */
    unsigned disk_count;
    struct vm_adapter adapters[VM_ADAPTERS_MAX];
    unsigned adapter_count;
};

extern const struct schema vm_schema, vm_disk_schema, vm_adapter_schema;
extern const char *const vm_vendor_words[2], *const vm_engine_words[3];
extern const char *const vm_start_action_words[3], *const vm_stop_action_words[3];

/* The row of vm_schema of a field's name; NULL: there is none. */
const struct setting *vm_setting(const char *field);

/* A new VM's: defaults, no identity. */
void vm_config_init(struct vm_config *c);
/* Ranges, and what two settings say together. */
int must_check vm_config_check(const struct vm_config *c, struct err *err);

/* The definition as JSON text, in the order of settings.def; free() it. NULL and err when it is not valid. */
char *vm_config_print(const struct vm_config *c, struct err *err);
/* text: hostile. A definition of a newer format, a truncated or damaged one is refused; *c is then undefined.
 */
int must_check vm_config_parse(struct vm_config *c, const char *text, size_t len, struct err *err);

/* The file `name` in the folder `dir`. Written whole, or the old one stays. */
int must_check vm_config_read(struct vm_config *c, int dir, const char *name, struct err *err);
int must_check vm_config_write(const struct vm_config *c, int dir, const char *name, struct err *err);

#endif
