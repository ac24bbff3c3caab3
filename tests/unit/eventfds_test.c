/* SPDX-License-Identifier: MIT */
/*
 * Doorbells and bound messages, against a machine whose engine has both: it is played here. virtio-rng stands
 * for every virtio device.
 */
#include "dev/virtio/virtio_rng.h"
#include "virtio_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define BUFFER (RIG_DATA + 0x1000)
#define NOTIFY 0x3000

struct bed {
    struct rig rig;
    u64 bell_at; /* where it hangs; 0: nowhere */
    int bell_fd, message_fd;
    u32 bound; /* data of the message bound last */
    unsigned binds, hangs;
    bool refuse;
};

static int hang(void *opaque, u64 gpa, int fd)
{
    struct bed *b = opaque;
    if (b->refuse)
        return -1;
    assert_int_equal(b->bell_at, 0);
    b->bell_at = gpa;
    b->bell_fd = fd;
    b->hangs++;
    return 0;
}

static void take_down(void *opaque, u64 gpa, int fd)
{
    struct bed *b = opaque;
    assert_int_equal(b->bell_at, gpa);
    assert_int_equal(b->bell_fd, fd);
    b->bell_at = 0;
}

static int bind_message(void *opaque, struct msi_source *s, u64 address, u32 data)
{
    struct bed *b = opaque;
    if (b->refuse)
        return -1;
    assert_int_equal(address, RIG_MSI);
    b->binds++;
    b->bound = data;
    b->message_fd = s->fd;
    return 0;
}

static void count_up(void *opaque, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((u8 *)buf)[i] = (u8)(i + 1);
}

static int set_up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    struct random_source src = {count_up, NULL};
    rig_open(&b->rig, CLOCK_MODE_REAL);
    b->rig.env.doorbell = (struct doorbell_port){hang, take_down, b};
    b->rig.env.msi = (struct msi_sink){rig_msi, b, bind_message};
    b->rig.dev = virtio_rng_new(&b->rig.env, b->rig.bus, RIG_SLOT, &src, &b->rig.err);
    rig_assign(&b->rig);
    *state = b;
    return b->rig.dev ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    rig_close(&b->rig);
    assert_int_equal(b->bell_at, 0);
    free(b);
    return 0;
}

/* What was written to the eventfd since the last call. */
static u64 written(int fd)
{
    u64 n;
    return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void offer(struct rig *r)
{
    rig_put_desc(r, 0, 0, BUFFER, 64, VRING_DESC_F_WRITE, 0);
    rig_offer(r, 0, 0);
}

static void ring(struct bed *b)
{
    u64 one = 1;
    assert_int_equal(write(b->bell_fd, &one, sizeof(one)), sizeof(one));
    rig_loop(&b->rig);
}

static void a_ring_is_a_kick(void **state)
{
    struct bed *b = *state;
    u32 id, len;
    assert_int_equal(b->bell_at, 0);
    assert_int_equal(rig_start(&b->rig, 0, 1, true), 15);
    assert_int_equal(b->bell_at, rig_bar(&b->rig, 0) + NOTIFY);
    offer(&b->rig);
    ring(b);
    assert_true(rig_take(&b->rig, 0, &id, &len));
    assert_int_equal(len, 64);
    assert_int_equal(b->binds, 1);
    assert_int_equal(b->bound, 1);
    assert_int_equal(written(b->message_fd), 1);
    assert_int_equal(b->rig.msi_count, 0);
}

static void a_message_is_bound_when_it_changed(void **state)
{
    struct bed *b = *state;
    struct pci_function *f = (struct pci_function *)b->rig.dev;
    assert_int_equal(rig_start(&b->rig, 0, 1, true), 15);
    pci_msix_raise(f, 0);
    pci_msix_raise(f, 0);
    assert_int_equal(b->binds, 1);
    assert_int_equal(written(b->message_fd), 2);
    f->msix_table[2] = 77;
    pci_msix_raise(f, 0);
    assert_int_equal(b->binds, 2);
    assert_int_equal(b->bound, 77);
    f->msix_table[3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    (void)written(b->message_fd);
    pci_msix_raise(f, 0);
    assert_int_equal(written(b->message_fd), 0);
}

static void a_bell_follows_the_device(void **state)
{
    struct bed *b = *state;
    unsigned devfn = RIG_SLOT << 3;
    u32 id, len;
    assert_int_equal(rig_start(&b->rig, 0, 1, true), 15);
    rig_config_write(&b->rig, devfn, PCI_BASE_ADDRESS_0, 4, RIG_MEM + 128 * MIB);
    assert_int_equal(b->bell_at, RIG_MEM + 128 * MIB + NOTIFY);
    rig_config_write(&b->rig, devfn, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    assert_int_equal(b->bell_at, 0);
    rig_config_write(&b->rig, devfn, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    assert_int_equal(b->hangs, 3);
    offer(&b->rig);
    rig_reg_write(&b->rig, VIRTIO_PCI_COMMON_STATUS, 1, 0);
    assert_int_equal(b->bell_at, 0);
    ring(b); /* late */
    assert_false(rig_take(&b->rig, 0, &id, &len));
}

static void refused_they_go_the_plain_way(void **state)
{
    struct bed *b = *state;
    u32 id, len;
    b->refuse = true;
    assert_int_equal(rig_start(&b->rig, 0, 1, true), 15);
    offer(&b->rig);
    rig_kick(&b->rig, 0);
    rig_loop(&b->rig);
    assert_true(rig_take(&b->rig, 0, &id, &len));
    assert_int_equal(b->rig.msi_count, 1);
    assert_int_equal(b->rig.msi_last, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_ring_is_a_kick),
        CASE(a_message_is_bound_when_it_changed),
        CASE(a_bell_follows_the_device),
        CASE(refused_they_go_the_plain_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
