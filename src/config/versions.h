/* SPDX-License-Identifier: MIT */
/* Configuration versions: an unsigned, major * 256 + minor, so that versions compare as numbers. Pure. */
#ifndef CONFIG_VERSIONS_H
#define CONFIG_VERSIONS_H

#include "base/types.h"

#define VERSION(major, minor) ((major)*256u + (minor))
#define VERSION_TEXT_MAX      16

struct vm_version {
    unsigned version;
    const char *name;
    bool is_default;
};

static inline unsigned version_major(unsigned v)
{
    return v / 256;
}

static inline unsigned version_minor(unsigned v)
{
    return v % 256;
}

/* All of versions.def, oldest first. */
const struct vm_version *version_list(unsigned *count);
bool version_known(unsigned version);
unsigned version_default(void);
unsigned version_newest(void);
/* "10.0"; whether such a version could be, known or not. */
bool version_parse(const char *text, unsigned *version);
const char *version_print(unsigned version, char text[VERSION_TEXT_MAX]); /* returns text */

#endif
