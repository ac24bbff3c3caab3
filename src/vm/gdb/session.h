/* SPDX-License-Identifier: MIT */
/*
 * One debugger's conversation, in gdb's remote serial protocol, about a machine whose vCPUs are the threads
 * 1, 2, ... of one process. All-stop: they stop and go together. GDB manual, appendix E.
 *
 * Bytes come in by gdb_session_receive() and leave by send(); everything on one thread. What comes in is
 * hostile: nothing in it can do more than a debugger may.
 */
#ifndef VM_GDB_SESSION_H
#define VM_GDB_SESSION_H

#include "vm/gdb/target.h"

struct gdb_session;

/* send: may be called inside any of the functions below. NULL without memory. */
struct gdb_session *gdb_session_new(const struct gdb_target *t,
                                    void (*send)(void *opaque, const void *bytes, size_t len), void *opaque);
void gdb_session_free(struct gdb_session *s);

/* A debugger has connected; the machine is stopped. Forgets everything of the one before. */
void gdb_session_begin(struct gdb_session *s);
void gdb_session_receive(struct gdb_session *s, const void *bytes, size_t len);
/* The machine has stopped, or stays so. */
void gdb_session_stopped(struct gdb_session *s, const struct debug_stop *stop);
/* The machine has ended with this exit status. */
void gdb_session_ended(struct gdb_session *s, int status);

#endif
