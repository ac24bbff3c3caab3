/* SPDX-License-Identifier: MIT */
/*
 * A command's side of running VMs. No daemon: a worker is started here, lives in a session of its own, and is
 * found again by its control socket, RUN/ID.sock. In a VM's folder stand, beside the definition:
 *
 *   outcome      STARTED while it runs, ENDED with the reason after it; STARTED without a worker: it died
 *   worker.log   what the last worker said
 *   console.log  what the guest's serial console printed, of all its runs; the oldest is dropped. Locked by a
 * living worker (worker_claim()), so that one is known of even when its socket is out of reach was-running it
 * ran when Stop-VM -Automatic ended it state        of a Saved VM; there and not empty: it is Saved
 */
#ifndef MGMT_WORKER_H
#define MGMT_WORKER_H

#include "mgmt/message.h"
#include "mgmt/store.h"

#define WORKER_STATE_FILE   "state"
#define WORKER_OUTCOME_FILE "outcome"
#define WORKER_LOG_FILE     "worker.log"
#define WORKER_CONSOLE_FILE "console.log"
#define WORKER_RAN_FILE     "was-running"

/* Descriptors that a new worker finds: its start socket, the VM's folder, its control socket, bound: it has
 * to listen. */
enum { WORKER_FD_START = 3, WORKER_FD_FOLDER, WORKER_FD_LISTEN, WORKER_FD_END };

/* For a worker, of its open console log: 0 while no other process has claimed it. Held until the descriptor
 * closes. */
int must_check worker_claim(int console_log, struct err *err);

struct vm_status {
    enum vm_state state;
    bool responds;         /* of a VM with a worker: it answered */
    bool failed;           /* Off, and the last run ended as it should not */
    char reason[600];      /* why it ended; "" */
    struct message report; /* the worker's STATUS; zeroes without one */
};

/* Never fails: what cannot be known is Off with a reason, or a worker that does not respond. */
void worker_status(struct store *s, const char *id, struct vm_status *out);

/* f: taken, and by the rules it may start. 0 when the guest runs; on failure nothing is left running. */
int must_check worker_start(struct store *s, struct vm_folder *f, struct err *err);

/* A connection to a running worker; -1 and err. A worker that does not answer within `seconds` is an error.
 */
int must_check worker_connect(struct store *s, const char *id, unsigned seconds, struct err *err);
/* One request and its answer. -1 also when the answer is ERROR. answer may be NULL. */
int must_check worker_call(int fd, enum message_type type, int pass, struct message *answer, struct err *err);
/* Tells a running VM what its definition is about to say of memory; -1: it cannot be, for a reason. */
int must_check worker_set_memory(struct store *s, const struct vm_config *c, struct err *err);
/* An adapter's cable to its switch (message.h); -1: the one that is there is pulled out. */
int must_check worker_give_cable(struct store *s, const char *id, unsigned adapter, int cable,
                                 struct err *err);
/* Whether a worker listens. */
bool worker_lives(const struct store *s, const char *id);
/* Connects, calls, hangs up. */
int must_check worker_ask(struct store *s, const char *id, enum message_type type, struct message *answer,
                          struct err *err);

/* Writes the state of f's VM to its folder and ends the worker. On failure, or when this process dies: it
 * goes on. */
int must_check worker_save(struct store *s, struct vm_folder *f, struct err *err);

/* Ends the worker whatever it does: asks, and kills one that does not listen. */
int must_check worker_turn_off(struct store *s, const char *id, struct err *err);

/* Whether the worker is gone within so long; clears its socket. */
bool worker_wait_end(struct store *s, const char *id, unsigned milliseconds);

/* Metering: processor time in milliseconds since it began. The time of a run that died by a signal is lost.
 */
u64 worker_metered_cpu(struct store *s, const char *id, const struct vm_config *c);
/* Sets c's fields so that it begins now. */
void worker_meter_from_now(struct store *s, const char *id, struct vm_config *c);

/* The mark that a VM ran as the host stopped; its next start takes it away. A VM that was ended by the host's
 * end, in an earlier boot, counts as marked. */
int must_check worker_mark_running(struct vm_folder *f, struct err *err);
bool worker_ran_before(struct store *s, const char *id);

/* Drops a saved state. */
int must_check worker_drop_state(struct vm_folder *f, struct err *err);

#endif
