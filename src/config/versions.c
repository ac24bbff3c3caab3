/* SPDX-License-Identifier: MIT */
/* The list of configuration versions, and their text. */
#include "config/versions.h"

#include <stdio.h>

static const struct vm_version list[] = {
#define VM_VERSION(major, minor, name, is_default) {VERSION(major, minor), name, is_default},
#include "config/versions.def"
#undef VM_VERSION
};

const struct vm_version *version_list(unsigned *count)
{
    *count = ARRAY_SIZE(list);
    return list;
}

bool version_known(unsigned version)
{
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (list[i].version == version)
            return true;
    return false;
}

unsigned version_default(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        if (list[i].is_default)
            return list[i].version;
    return version_newest();
}

unsigned version_newest(void)
{
    return list[ARRAY_SIZE(list) - 1].version;
}

/* One to three digits. */
static const char *part(const char *p, unsigned *value)
{
    const char *start = p;
    for (*value = 0; *p >= '0' && *p <= '9' && p - start < 3; p++)
        *value = *value * 10 + (unsigned)(*p - '0');
    return p == start ? NULL : p;
}

bool version_parse(const char *text, unsigned *version)
{
    unsigned major, minor;
    const char *p = part(text, &major);
    if (!p || *p != '.' || !(p = part(p + 1, &minor)) || *p || major > 255 || minor > 255)
        return false;
    *version = VERSION(major, minor);
    return true;
}

const char *version_print(unsigned version, char text[VERSION_TEXT_MAX])
{
    snprintf(text, VERSION_TEXT_MAX, "%u.%u", version_major(version), version_minor(version));
    return text;
}
