/* SPDX-License-Identifier: MIT */
/* Small files that are there whole or not at all. Names are relative to an open folder; links are not
 * followed. */
#ifndef CONFIG_WHOLE_FILE_H
#define CONFIG_WHOLE_FILE_H

#include "base/err.h"
#include "base/types.h"

/* A plain file of at most `most` bytes; *text ends with a zero that *len does not count; free() it. */
int must_check whole_file_read(int dir, const char *name, size_t most, char **text, size_t *len,
                               struct err *err);
/* Replaces the file. When this returned 0 it survives a power cut; else, or when the process dies within, the
 * old file stands. One writer at a time: "NAME.part" is its draft. */
int must_check whole_file_write(int dir, const char *name, const void *data, size_t len, struct err *err);

#endif
