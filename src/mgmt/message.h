/* SPDX-License-Identifier: MIT */
/*
 * Messages between commands, workers and switches: one JSON object in one packet of a SOCK_SEQPACKET socket,
 * of bounded length, every field checked on arrival (message.def). A request is answered by OK, ERROR or what
 * is named here. To a worker:
 *
 *   QUERY -> STATUS (state, pid, uptime, cpu, memory, memory_demand, nested_active, engine, run)
 *   SHUT_DOWN   presses the power button; ERROR when the guest does not listen
 *   TURN_OFF    answered before the end
 *   RESET, PAUSE, RESUME
 *   MEMORY (memory: of a static one; memory_minimum, memory_maximum, memory_buffer, memory_priority: of a
 *               dynamic one)  begins to move it
 *   SAVE        with a descriptor that takes the state; after OK the machine stands, and the same connection
 *               says END (it ends as Saved) or hangs up (the file is emptied and the machine goes on)
 *   ATTACH      after OK the connection carries the console's bytes, both ways
 *   CABLE (adapter: its place in the definition; a descriptor: one end of the cable)
 *               without a descriptor: the cable that is there is pulled out
 *
 * Through a cable, from the switch, without answers: LINK (a descriptor: one end of a net/link.h) is plugged
 * in in place of the one before; NOTICE (notice) is what the adapter has to tell, "" that it is over. The
 * cable hangs up when the switch is gone.
 *
 * To a switch (who may: SWITCH_RIGHTS in mgmt/switch.h):
 *
 *   PLUG (vm, vm_name, adapter_id, adapter_name, a rule; a descriptor: the cable's other end)
 *               replaces the port that this adapter has
 *   UNPLUG (vm, adapter_id)
 *   RULE (vm, adapter_id, vm_name, adapter_name, a rule)  at once
 *   PORTS (port: from which number on; or vm, adapter_id: that one)
 *               -> PORT (vm, vm_name, adapter_id, adapter_name, up, counters, capturing): the first there
 *               is; else STATUS (pid, child, ports, restarts, capturing, host_adapter)
 *   CAPTURE (vm and adapter_id, or none: the way out, or the host; a descriptor: the file)
 *   CAPTURE_END (likewise)
 *   HOST (a descriptor: a file with the host network, main/switch_host.h)
 *   STOP        answered before the end
 *
 * Between the two processes of a switch: PORT numbers stand in `port`, and UPLINK (text: its kind; a
 * descriptor), DOWN (port), SPOOFED (port).
 *
 * A worker's start is answered by OK or ERROR on its start socket; ENDED and STARTED are records in a VM's
 * folder.
 */
#ifndef MGMT_MESSAGE_H
#define MGMT_MESSAGE_H

#include "base/err.h"
#include "config/errors.h"
#include "config/port_rule.h"
#include "config/schema.h"
#include "mgmt/state.h"

#define MESSAGE_MAX 16384 /* bytes of a packet: every field at its longest, escaped */

#define MESSAGE_TYPES(X)                                                                                     \
    X(OK)                                                                                                    \
    X(ERROR)                                                                                                 \
    X(QUERY)                                                                                                 \
    X(STATUS)                                                                                                \
    X(SHUT_DOWN)                                                                                             \
    X(TURN_OFF)                                                                                              \
    X(RESET)                                                                                                 \
    X(PAUSE)                                                                                                 \
    X(RESUME)                                                                                                \
    X(SAVE)                                                                                                  \
    X(END)                                                                                                   \
    X(ATTACH)                                                                                                \
    X(MEMORY)                                                                                                \
    X(STARTED)                                                                                               \
    X(ENDED)                                                                                                 \
    X(CABLE)                                                                                                 \
    X(LINK)                                                                                                  \
    X(NOTICE)                                                                                                \
    X(PLUG)                                                                                                  \
    X(UNPLUG)                                                                                                \
    X(RULE)                                                                                                  \
    X(PORTS)                                                                                                 \
    X(PORT)                                                                                                  \
    X(CAPTURE)                                                                                               \
    X(CAPTURE_END)                                                                                           \
    X(HOST)                                                                                                  \
    X(STOP)                                                                                                  \
    X(UPLINK)                                                                                                \
    X(DOWN)                                                                                                  \
    X(SPOOFED)

enum message_type {
#define X(type) MESSAGE_##type,
    MESSAGE_TYPES(X)
#undef X
        MESSAGE_TYPE_COUNT
};

#include "config/as_fields.h"
struct message {
#include "mgmt/message.def"
    union {
        struct port_rule rule;
        struct {
#define SETTINGS_PORT
#include "config/settings.def"
#undef SETTINGS_PORT
        };
    };
};

/* *m: zeroes besides what the type uses. The text, free() it; NULL only when memory is gone or a field is out
 * of range. */
char *message_print(const struct message *m);
/* text: hostile. */
int must_check message_parse(struct message *m, const char *text, size_t len, struct err *err);

/* The longest that sending and receiving wait from now on. */
void message_set_patience(int fd, unsigned seconds);
/* One packet; never blocks beyond the socket's own timeouts. pass: a descriptor that goes with it, or -1. */
int must_check message_send(int fd, const struct message *m, int pass, struct err *err);
/* passed: takes a descriptor that came (else -1, and unasked ones are closed); NULL: none is wanted. 1: a
 * message; 0: the other side hung up; -1 and err: no message, for a reason. */
int must_check message_receive(int fd, struct message *m, int *passed, struct err *err);

/* ERROR from e, and back. */
struct message message_of_err(const struct err *e);
int message_to_err(const struct message *m, struct err *err); /* always -1 */

#endif
