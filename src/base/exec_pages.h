/* SPDX-License-Identifier: MIT */
/*
 * Memory for generated code, W^X: shared memory mapped twice, writable and executable, never both at one
 * address. Create it before the sandbox closes. Not thread-safe: the owner serialises.
 */
#ifndef BASE_EXEC_PAGES_H
#define BASE_EXEC_PAGES_H

#include "base/err.h"
#include "base/types.h"

struct exec_pages {
    u8 *rw; /* write here */
    u8 *rx; /* run here: same offset */
    size_t size, used;
};

int must_check exec_pages_create(struct exec_pages *x, size_t size, struct err *err);
void exec_pages_destroy(struct exec_pages *x);

/* Copies code in, 16-byte aligned; returns its executable address, or NULL when full. */
void *exec_pages_add(struct exec_pages *x, const void *code, size_t len);

#endif
