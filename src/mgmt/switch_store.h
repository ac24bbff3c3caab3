/* SPDX-License-Identifier: MIT */
/*
 * Where virtual switches are kept (store.h has the folders):
 *
 *   DATA/switches/ID.json    the definition
 *   DATA/switches/ID.lock    held by the command that works on the switch; says which
 *   RUN/switches/ID.sock     its control socket
 *   RUN/switches/ID.lock     held by its process
 *
 * The system's store (root's: /var/lib/droste and /run/droste) can be read, and its sockets be used, by the
 * members of the group "droste", if the host has one. A name is looked up in the own store first, then in the
 * system's; names compare without regard to case, and no two switches of a store share one.
 */
#ifndef MGMT_SWITCH_STORE_H
#define MGMT_SWITCH_STORE_H

#include <sys/types.h>

#include "config/switch_config.h"
#include "mgmt/store.h"

struct switch_entry {
    char id[VM_ID_SIZE];
    bool system;                 /* of the system's store, which is not the caller's own */
    struct switch_config config; /* when usable */
    struct err fault;            /* status 0: usable */
};

/* The folders of switches; made when they are missing. */
struct switch_store {
    char data_path[STORE_PATH_SIZE], run_path[STORE_PATH_SIZE];
    int data, run;
    bool system;
};
int must_check switch_store_open(struct switch_store *s, struct err *err);
/* The system's, of a user that is not root; false: there is none, or this user may not. */
bool switch_store_open_system(struct switch_store *s);
void switch_store_close(struct switch_store *s);
/* Whose members may use the switches of the store that is open to this process; false: nobody's. */
bool switch_store_group(gid_t *out);

/* All of one store, by name, damaged ones at the end; free() it. */
int must_check switch_store_list(const struct switch_store *s, struct switch_entry **list, unsigned *count,
                                 struct err *err);
/* One, as it is now; false: there is none. */
bool switch_store_load(const struct switch_store *s, const char *id, struct switch_entry *e);
/* By name; -1 and err when there is none or it cannot be used. */
int must_check switch_store_find(const struct switch_store *s, const char *name, struct switch_entry *e,
                                 struct err *err);

/* c is given an id, a creation time and, when it has a host's adapter, an address. Refused when the name is
 * taken. */
int must_check switch_store_create(const struct switch_store *s, struct switch_config *c, struct err *err);

/* One switch, for changing: at most one command at a time has it. */
struct switch_folder {
    char id[VM_ID_SIZE];
    int lock;
    struct switch_config config; /* as it is now */
};
int must_check switch_store_take(const struct switch_store *s, const char *id, const char *command,
                                 struct switch_folder *f, struct err *err);
/* Stores f->config. Refused when another switch has the name. */
int must_check switch_store_put(const struct switch_store *s, const struct switch_folder *f, struct err *err);
void switch_store_release(struct switch_folder *f);
/* Gone; f still has to be released. */
int must_check switch_store_remove(const struct switch_store *s, const struct switch_folder *f,
                                   struct err *err);

#endif
