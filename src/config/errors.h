/* SPDX-License-Identifier: MIT */
/* The errors of errors.def, as numbers. */
#ifndef CONFIG_ERRORS_H
#define CONFIG_ERRORS_H

enum error_id {
    ERROR_NONE,
#define ERROR(name, id, category, exception) ERROR_##name,
#include "config/errors.def"
#undef ERROR
    ERROR_COUNT
};

#endif
