/* SPDX-License-Identifier: MIT */
/*
 * A hostile debugger: bytes as they come from the socket, or whole packets with right sums. The target is
 * tests/unit/gdb_target.h, which stops in every way a machine can. What is sent must be whole packets, and no
 * register that belongs to the processor's mode may change.
 */
#include <stdlib.h>

#include "../tests/unit/gdb_target.h"
#include "vm/gdb/packet.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct rig {
    struct fake fake;
    struct gdb_session *session;
    struct gdb_input check; /* reads what the session says */
    unsigned resumed;       /* of fake.resumed, how many were answered by a stop */
};

static void on_send(void *opaque, const void *bytes, size_t len)
{
    struct rig *r = opaque;
    for (size_t i = 0; i < len; i++)
        bug_on(gdb_input_byte(&r->check, ((const u8 *)bytes)[i]) == GDB_DAMAGED, "a damaged packet was sent");
}

static struct rig *rig_get(void)
{
    static struct rig *r;
    if (r)
        return r;
    r = calloc(1, sizeof(*r));
    bug_on(!r, "no memory");
    struct gdb_target t = fake_target(&r->fake);
    r->session = gdb_session_new(&t, on_send, r);
    bug_on(!r->session, "no memory");
    return r;
}

static void reset(struct rig *r)
{
    r->fake = (struct fake){0};
    r->resumed = 0;
    for (unsigned i = 0; i < FAKE_VCPUS; i++) {
        r->fake.regs[i].r.cr0 = 0x80000011;
        r->fake.regs[i].r.efer = 0xd00;
        r->fake.status[i].nesting = i % 3;
        r->fake.status[i].operation = r->fake.status[i].in_guest = i == 2;
    }
    memset(&r->check, 0, sizeof(r->check));
    gdb_session_begin(r->session);
    gdb_session_stopped(r->session, &(struct debug_stop){.reason = DEBUG_ASKED});
}

/* Whatever let it run is answered, by something that `how` chooses. */
static void stop(struct rig *r, u8 how)
{
    struct debug_stop s = {.reason = how % (DEBUG_PANIC + 1), .vcpu = how / 8 % FAKE_VCPUS, .text = "text"};
    if (s.reason == DEBUG_POINT)
        s.hit = (struct debug_hit){1 + how / 32 % DEBUG_ACCESS, r->fake.points[how % 4].linear};
    if (r->resumed == r->fake.resumed)
        return;
    r->resumed = r->fake.resumed;
    gdb_session_stopped(r->session, &s);
}

static void check(const struct rig *r)
{
    for (unsigned i = 0; i < FAKE_VCPUS; i++)
        bug_on(r->fake.regs[i].r.cr0 != 0x80000011 || r->fake.regs[i].r.efer != 0xd00,
               "a control register was written");
    bug_on(r->fake.count > 256, "%u points", r->fake.count);
}

/* Packets that end with a zero byte and one that says how a run stops. */
static void framed(struct rig *r, const u8 *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    while (size) {
        const u8 *end = memchr(data, 0, size);
        size_t len = end ? (size_t)(end - data) : size;
        u8 sum = 0;
        for (size_t i = 0; i < len; i++)
            sum = (u8)(sum + data[i]);
        const char tail[3] = {'#', digits[sum >> 4], digits[sum & 15]};
        gdb_session_receive(r->session, "$", 1);
        gdb_session_receive(r->session, data, len);
        gdb_session_receive(r->session, tail, 3);
        size -= len;
        data += len;
        if (size)
            stop(r, size > 1 ? data[1] : 0);
        data += size > 1 ? 2 : size;
        size -= size > 1 ? 2 : size;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct rig *r = rig_get();
    if (!size)
        return 0;
    reset(r);
    if (data[0] & 1) {
        framed(r, data + 1, size - 1);
    } else {
        gdb_session_receive(r->session, data + 1, size - 1);
        stop(r, data[0]);
    }
    check(r);
    gdb_session_ended(r->session, data[0]);
    return 0;
}
