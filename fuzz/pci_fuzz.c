/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary configuration accesses, by ports and by ECAM, against a bus with bridges and two devices; after
 * each, the BARs are touched wherever they landed. The bus must keep its regions in order and never crash.
 */
#include "../tests/unit/virtio_rig.h"

#include "dev/virtio/virtio_rng.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct access {
    u8 how, devfn, off, size;
    u32 value;
};

static void touch_bars(struct rig *r)
{
    for (unsigned n = 0; n < 6; n++) {
        u64 at = rig_bar(r, n);
        rig_in(r->env.memory, at, 4);
        rig_out(r->env.memory, at + 12, 4, 0);
    }
}

static void one(struct rig *r, const struct access *a)
{
    static const unsigned sizes[4] = {1, 2, 4, 8};
    static const u8 devfns[4] = {0, RIG_SLOT << 3, 5 << 3, 0x1f << 3};
    unsigned n = sizes[a->size & 3], devfn = a->devfn & 0x80 ? a->devfn : devfns[a->devfn & 3];
    u64 ecam = (rig_config(r, 0, 0x60, 4) & ~1u) + (devfn << 12) + a->off;
    switch (a->how & 7) {
    case 0:
    case 1:
        rig_config_write(r, devfn, a->off, n > 4 ? 4 : n, a->value);
        break;
    case 2:
        rig_config(r, devfn, a->off, n > 4 ? 4 : n);
        break;
    case 3:
        rig_out(r->env.memory, ecam, n, a->value);
        break;
    case 4:
        rig_in(r->env.memory, ecam + (a->value & 0xfff), n);
        break;
    case 5:
        rig_out(r->env.ports, 0xcf8 + (a->off & 7), n, a->value);
        break;
    case 6:
        rig_in(r->env.ports, 0xcf8 + (a->off & 7), n);
        break;
    default:
        r->dev->class->reset(r->dev);
        break;
    }
    touch_bars(r);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct rig r;
    struct access a;
    rig_open(&r, CLOCK_MODE_ICOUNT);
    struct dev *lpc = pci_lpc_new(&r.env, r.bus, 0x600, &r.err);
    struct dev *other = virtio_rng_new(&r.env, r.bus, 5, NULL, &r.err);
    r.dev = virtio_rng_new(&r.env, r.bus, RIG_SLOT, NULL, &r.err);
    if (!lpc || !other || !r.dev)
        abort();
    rig_assign(&r);
    for (unsigned steps = 0; size >= sizeof(a) && steps < 500;
         data += sizeof(a), size -= sizeof(a), steps++) {
        memcpy(&a, data, sizeof(a));
        one(&r, &a);
    }
    other->class->destroy(other);
    lpc->class->destroy(lpc);
    rig_close(&r);
    return 0;
}
