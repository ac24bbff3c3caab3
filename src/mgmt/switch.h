/* SPDX-License-Identifier: MIT */
/*
 * A command's side of running virtual switches. A switch is started by whoever needs it first and found again
 * by its control socket. Its process is a supervisor, which owns the socket, the ports' list and the way out
 * (main/switch_process.c), and a sandboxed child, which moves the frames; the supervisor starts a child that
 * died again and plugs everything in anew.
 *
 * Between a worker and the switch lies a *cable*: a SOCK_SEQPACKET pair of which the worker has one end
 * (message CABLE) and the supervisor the other (message PLUG). Through it the supervisor hands the worker the
 * end of a net/link.h, and a new one whenever the child was started anew. Either side's end is seen by the
 * other at once, as a hang-up.
 *
 * SWITCH_RIGHTS: root and the owner of the switch's store may send everything; others, whom the socket's
 * permissions let in, PLUG, PORTS, and UNPLUG and RULE of what they have plugged in themselves.
 */
#ifndef MGMT_SWITCH_H
#define MGMT_SWITCH_H

#include "mgmt/message.h"
#include "mgmt/switch_store.h"

/* Descriptors that a new supervisor finds: its start socket, which takes OK or ERROR; its control socket,
 * bound: it has to listen; the open ID.lock of RUN, which it holds while it lives. */
enum { SWITCH_FD_START = 3, SWITCH_FD_LISTEN, SWITCH_FD_LOCK };

/* A connection to the switch's supervisor, which is started if it does not run. A switch of the system's
 * store that does not run is an error that names the remedy. */
int must_check switch_ensure(const struct switch_store *s, const char *id, struct err *err);
/* The same without starting: -1 without an error: it does not run. */
int switch_connect(const struct switch_store *s, const char *id);
/* One request and its answer over a connection; answer may be NULL. -1 also when the answer is ERROR;
 * SWITCH_GONE: it ended without an answer, and did nothing that lasts: one that nobody used may end at any
 * moment. */
enum { SWITCH_GONE = -2 };
int must_check switch_call(int fd, const struct message *request, int pass, struct message *answer,
                           struct err *err);

/* Calls each() for every PORT, and gives the STATUS. each may be NULL. */
int must_check switch_ports(int fd, void (*each)(void *opaque, const struct message *port), void *opaque,
                            struct message *status, struct err *err);

/* Tells a running switch of its host network (a file as main/switch_host.h reads it); 0 too when it does not
 * run, because it asks for the present one when it starts. */
int must_check switch_set_host(const struct switch_store *s, const char *id, int file, struct err *err);

/* Ends the switch; 0 when it does not run any more. */
int must_check switch_stop(const struct switch_store *s, const char *id, struct err *err);

/* Both of who holds its ID.lock. Nobody connects to it any more: who wants it waits for the lock. */
void switch_clear_socket(const struct switch_store *s, const char *id);
/* Nothing of it stays in RUN, the lock included: the last thing its process does. */
void switch_clear_files(const struct switch_store *s, const char *id);

/* ---- by name, in the own store and then the system's ---- */

/* store: takes the one it is in, open, and has to be closed when 0 is returned. */
int must_check switch_of_name(const char *name, struct switch_store *store, struct switch_entry *e,
                              struct err *err);
/* switch_ensure() and switch_connect(). */
int must_check switch_ensure_name(const char *name, struct err *err);
int switch_connect_name(const char *name);
/* A new cable between the switch of this name and a worker: the worker's end. plug: who it is for, and its
 * rule. */
int must_check switch_plug(const char *name, const struct message *plug, struct err *err);

#endif
