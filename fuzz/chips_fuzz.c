/* SPDX-License-Identifier: MIT */
/*
 * Every chip at once under arbitrary port and memory accesses, interrupts, time, resets, and saved state with
 * bytes changed on its way back in. Eight bytes make one event. Nothing may crash, hang or report.
 */
#include "../tests/unit/chip_steps.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* A device's state, damaged at one place, offered back to it. A refusal leaves the device as it is defined
 * to: reset. */
static void damage(struct rig *r, const u8 *b)
{
    struct dev *d = r->all[b[1] % r->devices];
    struct state_image img = {0};
    struct err err = {0};
    if (!d->class->state)
        return;
    state_save(&img, d->class->state, d->instance, d);
    if (img.len)
        img.data[load_le(b + 2, 2) % img.len] ^= b[4];
    dev_lock(d);
    if (state_load(&img, d->class->state, d->instance, d, &err))
        d->class->reset(d);
    dev_unlock(d);
    state_free(&img);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct rig *r = rig_new();
    if (size > 8 * 512)
        size = 8 * 512;
    for (; size >= 8; data += 8, size -= 8) {
        if (data[0] == 0xfe)
            damage(r, data);
        else if (data[0] == 0xff && data[1] == 0xff)
            rig_reset(r);
        else
            rig_step(r, data);
    }
    rig_free(r);
    return 0;
}
