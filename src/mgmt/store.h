/* SPDX-License-Identifier: MIT */
/*
 * Where VMs are kept.
 *
 *   DATA/vm/ID/definition.json   the definition; all else in the folder belongs to that VM alone
 *   DATA/vm/ID/lock              held (flock) by the command that works on the VM; says which
 *   DATA/lock                    held while VMs are created and removed
 *   DATA/mac-pool                the number of the hardware address that was given last (mac_pool.h)
 *   RUN/ID.sock                  a running VM's control socket
 *
 * DATA is $XDG_DATA_HOME/droste (root: /var/lib/droste), RUN is $XDG_RUNTIME_DIR/droste (root: /run/droste;
 * without XDG_RUNTIME_DIR: DATA/run). With DROSTE_HOME set, DATA is that folder and RUN is its "run", and
 * nothing else is touched. Names of VMs never become names of files. A command that dies at any moment leaves
 * every VM whole, or not there.
 */
#ifndef MGMT_STORE_H
#define MGMT_STORE_H

#include "base/err.h"
#include "base/types.h"
#include "config/vm_config.h"

#define VM_ID_SIZE       37
#define STORE_PATH_SIZE  4096
#define STORE_DEFINITION "definition.json"

struct store {
    char data_path[STORE_PATH_SIZE], run_path[STORE_PATH_SIZE];
    int data, vms, run; /* the folders, open */
};

/* Makes the folders that are missing, for this user alone. */
int must_check store_open(struct store *s, struct err *err);
void store_close(struct store *s);

struct vm_entry {
    char id[VM_ID_SIZE];
    struct vm_config *config; /* NULL: cannot be used, for the reason in fault */
    struct err fault;
};

/* One VM as it is now. False: there is none. free() its config. */
bool store_load(const struct store *s, const char *id, struct vm_entry *e);

/* Every VM, by name; damaged ones at the end. store_list_free() it; -1 and err: the list is empty. */
int must_check store_list(struct store *s, struct vm_entry **list, unsigned *count, struct err *err);
void store_list_free(struct vm_entry *list, unsigned count);

/* Stores c; without an id it is given one, and a creation time. An id that is there already is refused. */
int must_check store_create(struct store *s, struct vm_config *c, struct err *err);

/* One VM, for changing: at most one command at a time has it. */
struct vm_folder {
    char id[VM_ID_SIZE];
    int dir, lock;
    struct vm_config *config; /* as it is now */
};

/* command: what this process does, told to whoever comes second. Refused while another command has it. */
int must_check store_take(struct store *s, const char *id, const char *command, struct vm_folder *f,
                          struct err *err);
/* Stores f->config. */
int must_check store_put(struct vm_folder *f, struct err *err);
void store_release(struct vm_folder *f);
/* The VM with all its files is gone; f still has to be released. */
int must_check store_remove(struct store *s, struct vm_folder *f, struct err *err);

/* The folder of a VM, for reading what lies beside the definition; -1: none. */
int store_folder(const struct store *s, const char *id);

void vm_id_new(char id[VM_ID_SIZE]);
/* Whether it is one as vm_id_new() makes them. */
bool vm_id_valid(const char *id);

/* Takes an open lock file and writes into it who has it. Refused at once while another command does; what:
 * names the thing that is locked. */
int must_check store_hold(int lock, const char *what, const char *command, struct err *err);

#endif
