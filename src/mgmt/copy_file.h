/* SPDX-License-Identifier: MIT */
/* Copies of large sparse files. */
#ifndef MGMT_COPY_FILE_H
#define MGMT_COPY_FILE_H

#include "base/err.h"

/* A plain file to a new one: holes stay holes, and where the file system can, blocks are shared. Synced when
 * it returns 0; an existing file is an error; on failure nothing is left. */
int must_check copy_file(const char *from, const char *to, struct err *err);

#endif
