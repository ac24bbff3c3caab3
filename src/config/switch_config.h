/* SPDX-License-Identifier: MIT */
/* The definition of a virtual switch as a struct: the rows of scope SWITCH in settings.def are its single
 * source. */
#ifndef CONFIG_SWITCH_CONFIG_H
#define CONFIG_SWITCH_CONFIG_H

#include "base/err.h"
#include "base/types.h"
#include "config/schema.h"

enum switch_type { SWITCH_PRIVATE, SWITCH_INTERNAL, SWITCH_EXTERNAL };
/* Auto: the kernel's where that can be had, else the process's. */
enum host_network { HOST_NETWORK_AUTO, HOST_NETWORK_KERNEL, HOST_NETWORK_USER };

extern const char *const switch_type_words[3], *const host_network_words[3];

#include "config/as_fields.h"
struct switch_config {
#define SETTINGS_SWITCH
#include "config/settings.def"
#undef SETTINGS_SWITCH
};

extern const struct schema switch_schema;

/* A new switch's: defaults, no identity. */
void switch_config_init(struct switch_config *c);
/* Ranges, and what two settings say together. */
int must_check switch_config_check(const struct switch_config *c, struct err *err);
/* Whether the host has an adapter on it, "vEthernet (NAME)". */
bool switch_config_has_host(const struct switch_config *c);

/* As vm_config_print() and its siblings do it for a VM. */
char *switch_config_print(const struct switch_config *c, struct err *err);
int must_check switch_config_parse(struct switch_config *c, const char *text, size_t len, struct err *err);
int must_check switch_config_read(struct switch_config *c, int dir, const char *name, struct err *err);
int must_check switch_config_write(const struct switch_config *c, int dir, const char *name, struct err *err);

#endif
