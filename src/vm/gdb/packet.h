/* SPDX-License-Identifier: MIT */
/*
 * Packets of gdb's remote serial protocol: $DATA#SUM, acknowledged by + or -. Bytes in, bytes out; no socket.
 * GDB manual, appendix E.1.
 */
#ifndef VM_GDB_PACKET_H
#define VM_GDB_PACKET_H

#include "base/types.h"

enum { GDB_PACKET_MAX = 0x4000 }; /* bytes of DATA, either way */

enum gdb_event {
    GDB_MORE,      /* nothing is whole yet */
    GDB_PACKET,    /* data[0..len) is a packet, a zero byte behind it */
    GDB_DAMAGED,   /* the sum is wrong, or it was too long */
    GDB_ACK,       /* + */
    GDB_NACK,      /* - */
    GDB_INTERRUPT, /* byte 3, outside a packet */
};

struct gdb_input {
    u8 data[GDB_PACKET_MAX + 1];
    size_t len;
    u8 state, sum, digits; /* private */
    bool escaped, damaged;
};

/* Zeroed, it waits for a packet's beginning. */
enum gdb_event gdb_input_byte(struct gdb_input *in, u8 byte);

/* A packet being written. What does not fit is dropped and noted. */
struct gdb_output {
    u8 data[GDB_PACKET_MAX + 4]; /* with $ and #SUM */
    size_t len;
    bool overflow;
};

void gdb_output_begin(struct gdb_output *o);
void gdb_put_text(struct gdb_output *o, const char *text); /* none of #, $, }, * in it */
void gdb_put_number(struct gdb_output *o, u64 v);          /* hexadecimal, no leading zeroes */
void gdb_put_hex(struct gdb_output *o, const void *bytes, size_t len);
void gdb_put_binary(struct gdb_output *o, const void *bytes, size_t len); /* escaped */
size_t gdb_output_room(const struct gdb_output *o);
void gdb_output_end(struct gdb_output *o); /* data[0..len) is what to send; E01 after an overflow */

/* A hexadecimal number of 1 to 16 digits; false: there is none. *p moves behind it. */
bool gdb_take_number(const char **p, u64 *v);
/* *p moves behind c, if that is next. */
bool gdb_take_char(const char **p, char c);
/* ADDRESS,LENGTH */
bool gdb_take_range(const char **p, u64 *at, u64 *len);
/* Exactly len bytes as 2 * len hexadecimal digits. */
bool gdb_take_hex(const char **p, void *bytes, size_t len);
/* p behind `prefix`, or NULL. */
const char *gdb_after(const char *p, const char *prefix);

#endif
