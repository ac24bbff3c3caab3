/* SPDX-License-Identifier: MIT */
/*
 * The supervisor of a virtual switch, in its parts: process (start, end, the child's life), ports (the list
 * of what is plugged in), clients (requests). One thread, one event loop. It runs no frames and never reads
 * what a worker sends.
 */
#ifndef MAIN_SWITCH_PARTS_H
#define MAIN_SWITCH_PARTS_H

#include <sys/types.h>

#include "base/event_loop.h"
#include "main/switch_uplink.h"
#include "mgmt/message.h"
#include "mgmt/switch.h"

struct switch_process;
struct client;

enum { SWITCH_PORTS_MAX = 256, SWITCH_UPLINK_PORT = 1000 /* the number of the first way out */ };

struct switch_port {
    struct switch_process *process;
    unsigned number;
    int cable; /* to the worker */
    struct event_watch *watch;
    uid_t owner;
    bool linked;  /* the child has its link, as far as it is known */
    bool noticed; /* the worker was told of spoofing */
    int capture;  /* a file, or -1 */
    char capture_path[sizeof(((struct message *)0)->text)];
    struct message is; /* as its PLUG, with the rule of now */
};

struct switch_process {
    struct switch_store store;
    char id[VM_ID_SIZE];
    struct switch_config config;
    struct clock *clock;
    struct event_loop *loop;
    struct switch_uplinks uplinks;
    int uplink_capture, host_file; /* or -1 */
    char uplink_capture_path[sizeof(((struct message *)0)->text)];
    bool user_host; /* the child is the host's network */
    struct switch_port *ports[SWITCH_PORTS_MAX];
    unsigned port_count;
    struct client *clients;
    struct {
        pid_t pid; /* 0: there is none */
        int process, calls, events;
        struct event_watch *life, *told;
        u64 started;
    } child;
    u64 restarts;
    unsigned failures; /* in a row */
    struct timer repair, idle, look;
    bool ends;
};

/* ---- the child ---- */

/* One request to it; -1 and err also when there is none. pass: stays the caller's. */
int must_check switch_child_call(struct switch_process *s, const struct message *m, int pass,
                                 struct message *answer, struct err *err);
/* The body of the child; returns its exit status. */
int switch_child_run(const struct switch_process *s, int calls, int events);
/* Soon: a child if there is none, links for ports without. */
void switch_repair_soon(struct switch_process *s);
/* Ends after a while if nothing is plugged in. */
void switch_look_for_idleness(struct switch_process *s);

/* ---- ports ---- */

/* Plugs the cable in, in place of the one that this adapter has. Owns cable from success on. */
int must_check switch_port_plug(struct switch_process *s, const struct message *plug, int cable, uid_t owner,
                                struct err *err);
void switch_port_unplug(struct switch_process *s, struct switch_port *p);
/* NULL: it is not there. */
struct switch_port *switch_port_find(struct switch_process *s, const char *vm, const char *adapter);
struct switch_port *switch_port_numbered(struct switch_process *s, u64 number);
int must_check switch_port_rule(struct switch_process *s, struct switch_port *p, const struct message *rule,
                                struct err *err);
/* The child's port is gone, or all are, with the child. */
void switch_port_down(struct switch_process *s, struct switch_port *p);
void switch_ports_link(struct switch_process *s);
void switch_port_spoofed(struct switch_process *s, struct switch_port *p);
/* Every running VM of the store whose definition names this switch. */
void switch_ports_find(struct switch_process *s);

/* ---- clients ---- */

int must_check switch_clients_begin(struct switch_process *s, struct err *err);

#endif
