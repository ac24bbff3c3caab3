/* SPDX-License-Identifier: MIT */
/*
 * 8042 without keyboard and mouse. What is sent to a device times out at once, as the controller reports a
 * missing one (status bit 6, answer 0xfe), so a guest's probing is over quickly.
 */
#include "dev/chip/i8042.h"

#include <stdlib.h>

enum { ST_OUTPUT = 1, ST_SYSTEM = 4, ST_COMMAND = 8, ST_UNLOCKED = 16, ST_AUX = 32, ST_TIMEOUT = 64 };
enum { CFG_IRQ1 = 1, CFG_IRQ12 = 2, CFG_SYSTEM = 4, CFG_NO_KEYBOARD = 16, CFG_NO_AUX = 32 };
enum { OUT_NOT_RESET = 1, OUT_A20 = 2, PORT_A_RESET = 1, PORT_A_A20 = 2 };

struct i8042 {
    struct dev dev;
    struct irq_line irq1, irq12;
    u8 status, config, output_port, port_a;
    u8 command; /* whose parameter byte the next write to 0x60 is; 0: none */
    u8 data;    /* the output buffer */
    u8 ram[32];
};

static void request_reset(struct i8042 *c)
{
    c->dev.env->power.request(c->dev.env->power.opaque, POWER_RESET, 0);
}

static void update_irqs(struct i8042 *c)
{
    bool full = c->status & ST_OUTPUT, aux = c->status & ST_AUX;
    irq_set(&c->irq1, full && !aux && (c->config & CFG_IRQ1));
    irq_set(&c->irq12, full && aux && (c->config & CFG_IRQ12));
}

static void answer(struct i8042 *c, u8 byte, u8 flags)
{
    c->data = byte;
    c->status = (c->status & ~(ST_AUX | ST_TIMEOUT)) | ST_OUTPUT | flags;
    update_irqs(c);
}

static void write_config(struct i8042 *c, u8 v)
{
    c->config = v;
    c->status = (c->status & ~ST_SYSTEM) | (v & CFG_SYSTEM ? ST_SYSTEM : 0);
    update_irqs(c);
}

static void write_output_port(struct i8042 *c, u8 v)
{
    c->output_port = v | OUT_NOT_RESET | OUT_A20;
    if (!(v & OUT_NOT_RESET))
        request_reset(c);
}

static void write_command(struct i8042 *c, u8 v)
{
    c->status |= ST_COMMAND;
    c->command = 0;
    switch (v) {
    case 0x20 ... 0x3f:
        answer(c, v == 0x20 ? c->config : c->ram[v & 31], 0);
        break;
    case 0x60 ... 0x7f:
    case 0xd1 ... 0xd4:
        c->command = v;
        break;
    case 0xa7:
        write_config(c, c->config | CFG_NO_AUX);
        break;
    case 0xa8:
        write_config(c, c->config & ~CFG_NO_AUX);
        break;
    case 0xa9: /* test the auxiliary port: clock line stuck, for nothing is there */
        answer(c, 0x00, 0);
        break;
    case 0xaa:
        write_config(c, c->config | CFG_SYSTEM);
        answer(c, 0x55, 0);
        break;
    case 0xab:
        answer(c, 0x00, 0);
        break;
    case 0xad:
        write_config(c, c->config | CFG_NO_KEYBOARD);
        break;
    case 0xae:
        write_config(c, c->config & ~CFG_NO_KEYBOARD);
        break;
    case 0xc0:
        answer(c, 0x80, 0); /* keyboard not locked */
        break;
    case 0xd0:
        answer(c, c->output_port, 0);
        break;
    case 0xf0 ... 0xff: /* pulse the output port's bits that are zero here */
        if (!(v & 1))
            request_reset(c);
        break;
    }
}

static void write_data(struct i8042 *c, u8 v)
{
    u8 command = c->command;
    c->status &= ~ST_COMMAND;
    c->command = 0;
    switch (command) {
    case 0:
        answer(c, 0xfe, ST_TIMEOUT);
        break;
    case 0x60:
        write_config(c, v);
        break;
    case 0x61 ... 0x7f:
        c->ram[command & 31] = v;
        break;
    case 0xd1:
        write_output_port(c, v);
        break;
    case 0xd2: /* as if the keyboard had sent it */
        answer(c, v, 0);
        break;
    case 0xd3: /* as if the auxiliary device had */
        answer(c, v, ST_AUX);
        break;
    case 0xd4:
        answer(c, 0xfe, ST_AUX | ST_TIMEOUT);
        break;
    }
}

static u64 data_read(void *d, u64 off, unsigned size)
{
    struct i8042 *c = d;
    c->status &= ~(ST_OUTPUT | ST_AUX | ST_TIMEOUT);
    update_irqs(c);
    return c->data;
}

static void data_write(void *d, u64 off, unsigned size, u64 v)
{
    write_data(d, v);
}

static u64 status_read(void *d, u64 off, unsigned size)
{
    return ((struct i8042 *)d)->status;
}

static void command_write(void *d, u64 off, unsigned size, u64 v)
{
    write_command(d, v);
}

static u64 port_a_read(void *d, u64 off, unsigned size)
{
    return ((struct i8042 *)d)->port_a;
}

/* A rising bit 0 resets; it stays set, so software that keeps it set does not reset again. */
static void port_a_write(void *d, u64 off, unsigned size, u64 v)
{
    struct i8042 *c = d;
    bool rose = v & ~c->port_a & PORT_A_RESET;
    c->port_a = (v & 0xc3) | PORT_A_A20;
    if (rose)
        request_reset(c);
}

static const struct region_ops data_ops = {data_read, data_write, 1};
static const struct region_ops command_ops = {status_read, command_write, 1};
static const struct region_ops port_a_ops = {port_a_read, port_a_write, 1};

static void i8042_reset(struct dev *d)
{
    struct i8042 *c = (struct i8042 *)d;
    c->status = ST_UNLOCKED;
    c->config = CFG_IRQ1;
    c->output_port = OUT_NOT_RESET | OUT_A20 | 0xcc;
    c->port_a = PORT_A_A20;
    c->command = c->data = 0;
    memset(c->ram, 0, sizeof c->ram);
    update_irqs(c);
}

static const struct state_field fields[] = {
    STATE_FIELD(struct i8042, status),      STATE_FIELD(struct i8042, config),
    STATE_FIELD(struct i8042, output_port), STATE_FIELD(struct i8042, port_a),
    STATE_FIELD(struct i8042, command),     STATE_FIELD(struct i8042, data),
    STATE_ARRAY(struct i8042, ram),         STATE_END,
};

static const struct state_desc state = {.name = "i8042", .fields = fields};

static void i8042_destroy(struct dev *d)
{
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "i8042", .reset = i8042_reset, .destroy = i8042_destroy, .state = &state};

struct dev *i8042_new(const struct dev_env *env, struct irq_line irq1, struct irq_line irq12, struct err *err)
{
    struct i8042 *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(err, EXIT_STATUS_HOST, "no memory for the keyboard controller");
        return NULL;
    }
    c->irq1 = irq1;
    c->irq12 = irq12;
    dev_init(&c->dev, &class, env, 0);
    i8042_reset(&c->dev);
    if (dev_map(&c->dev, env->ports, 0x60, 1, &data_ops) ||
        dev_map(&c->dev, env->ports, 0x64, 1, &command_ops) ||
        dev_map(&c->dev, env->ports, 0x92, 1, &port_a_ops)) {
        err_set(err, EXIT_STATUS_HOST, "the keyboard controller's ports are taken");
        i8042_destroy(&c->dev);
        return NULL;
    }
    return &c->dev;
}
