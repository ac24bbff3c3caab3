/* SPDX-License-Identifier: MIT */
/*
 * The files of a run, all opened before anything starts. Images are locked while the run lasts, so that two
 * machines never write one image. Everything is close-on-exec and goes to the worker by fork.
 */
#ifndef CMD_RUN_FILES_H
#define CMD_RUN_FILES_H

#include "cmd/run_options.h"

struct run_files {
    int kernel, serial, stats, exits, nested, jit, perf, hash; /* -1 when there is none */
    int gdb;                                                   /* a socket that listens, or -1 */
    int modules[RUN_MODULES_MAX], disks[RUN_DISKS_MAX];
};

/* 0, or -1 with one line naming file and reason and all closed again. */
int must_check run_files_open(struct run_files *f, const struct run_config *c, struct err *err);

#endif
