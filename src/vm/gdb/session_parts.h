/* SPDX-License-Identifier: MIT */
/* The inside of a session, for the files of vm/gdb/. Nobody else includes it. */
#ifndef VM_GDB_SESSION_PARTS_H
#define VM_GDB_SESSION_PARTS_H

#include "vm/gdb/packet.h"
#include "vm/gdb/session.h"

enum { POINTS_MAX = 256, WATCH_MAX = 4096, DESCRIPTION_MAX = 16384 };

struct gdb_session {
    struct gdb_target target;
    void (*send)(void *opaque, const void *bytes, size_t len);
    void *opaque;
    struct gdb_input in;
    struct gdb_output out;
    bool quiet;    /* no acknowledgements */
    bool reasons;  /* the debugger knows swbreak and hwbreak */
    bool running;  /* a stop answers what let it run */
    bool physical; /* monitor physical */
    unsigned general;
    int resumed; /* of Hc: a vCPU, or -1 */
    struct debug_stop stop;
    struct debug_point points[POINTS_MAX];
    u8 types[POINTS_MAX]; /* of the Z packet */
    unsigned count;
    enum debug_action *action; /* scratch, one a vCPU */
    u8 buf[GDB_PACKET_MAX];    /* scratch */
    char description[DESCRIPTION_MAX];
    size_t description_len;
};

/* What an error packet says: GDB manual, appendix E.3. */
#define GDB_BAD    "E16" /* EINVAL */
#define GDB_FAULTS "E0e" /* EFAULT */
#define GDB_FULL   "E1c" /* ENOSPC */

/* session.c. One answer a packet: a whole text, or what was put into out since gdb_output_begin(). */
void gdb_answer(struct gdb_session *s, const char *text);
void gdb_answer_ok_or(struct gdb_session *s, bool ok, const char *error);
void gdb_finish(struct gdb_session *s);

/* session_data.c: packets about registers, memory and points; p is behind the letter. */
void gdb_read_all(struct gdb_session *s);
void gdb_write_all(struct gdb_session *s, const char *p);
void gdb_read_one(struct gdb_session *s, const char *p);
void gdb_write_one(struct gdb_session *s, const char *p);
void gdb_read_memory(struct gdb_session *s, const char *p);
void gdb_write_hex(struct gdb_session *s, const char *p);
void gdb_write_binary(struct gdb_session *s, const char *p);
void gdb_point(struct gdb_session *s, bool insert, const char *p);

/* session_run.c: those that let the machine go on. */
void gdb_resume_old(struct gdb_session *s, const char *p); /* p at c, s, C or S */
void gdb_resume_each(struct gdb_session *s, const char *p);
/* A thread's number: *vcpu, or -1 for all of them and for any. */
bool gdb_take_thread(const struct gdb_session *s, const char **p, int *vcpu);

#endif
