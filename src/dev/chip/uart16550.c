/* SPDX-License-Identifier: MIT */
/*
 * 16550A (National Semiconductor PC16550D). The transmitter is always empty: a byte is handed to the back end
 * while it is written. Bytes from outside wait on the "wire", a longer queue behind the 16-byte FIFO, and
 * enter the FIFO while the guest holds DTR or RTS; so input typed before the guest's driver is up is not lost
 * when it clears its FIFO.
 */
#include "dev/chip/uart16550.h"

#include <stdlib.h>

enum { FIFO = 16, WIRE = 4096 };
enum { IER_RX = 1, IER_TX = 2, IER_LINE = 4, IER_MODEM = 8 };
enum {
    IIR_MODEM = 0,
    IIR_NONE = 1,
    IIR_TX = 2,
    IIR_RX = 4,
    IIR_LINE = 6,
    IIR_TIMEOUT = 12,
    IIR_FIFOS = 0xc0
};
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum { LSR_DATA = 1, LSR_OVERRUN = 2, LSR_BREAK = 16, LSR_EMPTY = 0x60, LSR_ERRORS = 0x1e };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

struct uart {
    struct dev dev;
    struct irq_line irq;
    struct uart_backend backend;
    u16 divisor;
    u8 ier, fcr, lcr, mcr, lsr_errors, scratch;
    u8 msr;        /* lines and deltas */
    u8 tx_pending; /* the transmitter went empty and nobody was told */
    u8 fifo[FIFO], fifo_len;
    u8 wire[WIRE];
    u32 wire_head, wire_len;
};

static unsigned fifo_capacity(const struct uart *u)
{
    return u->fcr & 1 ? FIFO : 1;
}

static unsigned trigger(const struct uart *u)
{
    static const u8 levels[4] = {1, 4, 8, 14};
    return u->fcr & 1 ? levels[u->fcr >> 6] : 1;
}

/* The most urgent source (PC16550D table 4). */
static u8 identify(const struct uart *u)
{
    if ((u->ier & IER_LINE) && u->lsr_errors)
        return IIR_LINE;
    if ((u->ier & IER_RX) && u->fifo_len)
        return u->fifo_len >= trigger(u) ? IIR_RX : IIR_TIMEOUT;
    if ((u->ier & IER_TX) && u->tx_pending)
        return IIR_TX;
    if ((u->ier & IER_MODEM) && (u->msr & 15))
        return IIR_MODEM;
    return IIR_NONE;
}

/* On a PC, OUT2 connects the interrupt; loop-back disconnects it. */
static void update_irq(struct uart *u)
{
    bool connected = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    irq_set(&u->irq, connected && identify(u) != IIR_NONE);
}

static void push(struct uart *u, u8 byte)
{
    if (u->fifo_len < fifo_capacity(u))
        u->fifo[u->fifo_len++] = byte;
    else
        u->lsr_errors |= LSR_OVERRUN;
}

static void take_from_wire(struct uart *u)
{
    bool listening = (u->mcr & (MCR_DTR | MCR_RTS)) && !(u->mcr & MCR_LOOP);
    while (listening && u->wire_len && u->fifo_len < fifo_capacity(u)) {
        push(u, u->wire[u->wire_head]);
        u->wire_head = (u->wire_head + 1) % WIRE;
        u->wire_len--;
    }
}

size_t uart_receive(struct dev *d, const void *data, size_t len)
{
    struct uart *u = (struct uart *)d;
    const u8 *p = data;
    dev_lock(d);
    size_t taken = 0;
    for (; taken < len && u->wire_len < WIRE; taken++)
        u->wire[(u->wire_head + u->wire_len++) % WIRE] = p[taken];
    take_from_wire(u);
    update_irq(u);
    dev_unlock(d);
    return taken;
}

void uart_break(struct dev *d)
{
    struct uart *u = (struct uart *)d;
    dev_lock(d);
    push(u, 0);
    u->lsr_errors |= LSR_BREAK;
    update_irq(u);
    dev_unlock(d);
}

static u8 read_data(struct uart *u)
{
    if (!u->fifo_len)
        return 0;
    u8 byte = u->fifo[0];
    memmove(u->fifo, u->fifo + 1, --u->fifo_len);
    bool had = u->wire_len;
    take_from_wire(u);
    if (had && !u->wire_len && u->backend.rx_ready)
        u->backend.rx_ready(u->backend.opaque);
    return byte;
}

static void write_data(struct uart *u, u8 v)
{
    u->tx_pending = 1;
    if (u->mcr & MCR_LOOP)
        push(u, v);
    else if (u->backend.tx)
        u->backend.tx(u->backend.opaque, v);
}

static u8 read_iir(struct uart *u)
{
    u8 id = identify(u);
    if (id == IIR_TX)
        u->tx_pending = 0;
    return id | (u->fcr & 1 ? IIR_FIFOS : 0);
}

static u8 read_lsr(struct uart *u)
{
    u8 v = LSR_EMPTY | (u->fifo_len ? LSR_DATA : 0) | u->lsr_errors;
    u->lsr_errors = 0;
    return v;
}

/* Modem inputs change: in loop-back they are our own outputs, else a peer that is always there. */
static void set_modem_lines(struct uart *u)
{
    u8 lines = MSR_CTS | MSR_DSR | MSR_DCD;
    if (u->mcr & MCR_LOOP)
        lines = (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
    u8 changed = (u->msr ^ lines) >> 4;
    if (lines & MSR_RI)
        changed &= ~4; /* only the trailing edge of ring counts */
    u->msr = lines | (u->msr & 15) | changed;
}

static u8 read_msr(struct uart *u)
{
    u8 v = u->msr;
    u->msr &= 0xf0;
    return v;
}

static void write_fcr(struct uart *u, u8 v)
{
    if (((u->fcr ^ v) & 1) || (v & 2))
        u->fifo_len = 0;
    u->fcr = v & 1 ? v & 0xc9 : 0;
    take_from_wire(u);
}

static void write_ier(struct uart *u, u8 v)
{
    if (v & ~u->ier & IER_TX)
        u->tx_pending = 1; /* enabling it while empty interrupts */
    u->ier = v & 15;
}

static u8 read_register(struct uart *u, unsigned r)
{
    bool dlab = u->lcr & LCR_DLAB;
    switch (r) {
    case 0:
        return dlab ? u->divisor : read_data(u);
    case 1:
        return dlab ? u->divisor >> 8 : u->ier;
    case 2:
        return read_iir(u);
    case 3:
        return u->lcr;
    case 4:
        return u->mcr;
    case 5:
        return read_lsr(u);
    case 6:
        return read_msr(u);
    default:
        return u->scratch;
    }
}

static void write_register(struct uart *u, unsigned r, u8 v)
{
    bool dlab = u->lcr & LCR_DLAB;
    if (dlab && r < 2) {
        u->divisor = r ? (u->divisor & 0xff) | v << 8 : (u->divisor & 0xff00) | v;
        return;
    }
    switch (r) {
    case 0:
        write_data(u, v);
        break;
    case 1:
        write_ier(u, v);
        break;
    case 2:
        write_fcr(u, v);
        break;
    case 3:
        u->lcr = v;
        break;
    case 4:
        u->mcr = v & 0x1f;
        set_modem_lines(u);
        take_from_wire(u);
        break;
    case 7:
        u->scratch = v;
        break;
    }
}

static u64 uart_read(void *d, u64 off, unsigned size)
{
    u8 v = read_register(d, off);
    update_irq(d);
    return v;
}

static void uart_write(void *d, u64 off, unsigned size, u64 v)
{
    write_register(d, off, v);
    update_irq(d);
}

static const struct region_ops ops = {uart_read, uart_write, 1};

static void uart_reset(struct dev *d)
{
    struct uart *u = (struct uart *)d;
    u->divisor = 12; /* 9600 baud */
    u->ier = u->fcr = u->lcr = u->mcr = u->lsr_errors = u->scratch = u->tx_pending = u->fifo_len = 0;
    u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    update_irq(u);
}

static int uart_loaded(void *obj)
{
    struct uart *u = obj;
    if (u->fifo_len > FIFO || u->wire_head >= WIRE || u->wire_len > WIRE)
        return -1;
    u->lsr_errors &= LSR_ERRORS;
    return 0;
}

static const struct state_field fields[] = {
    STATE_FIELD(struct uart, divisor),
    STATE_FIELD(struct uart, ier),
    STATE_FIELD(struct uart, fcr),
    STATE_FIELD(struct uart, lcr),
    STATE_FIELD(struct uart, mcr),
    STATE_FIELD(struct uart, lsr_errors),
    STATE_FIELD(struct uart, scratch),
    STATE_FIELD(struct uart, msr),
    STATE_FIELD(struct uart, tx_pending),
    STATE_ARRAY(struct uart, fifo),
    STATE_FIELD(struct uart, fifo_len),
    STATE_ARRAY(struct uart, wire),
    STATE_FIELD(struct uart, wire_head),
    STATE_FIELD(struct uart, wire_len),
    STATE_END,
};

static const struct state_desc state = {.name = "uart16550", .fields = fields, .loaded = uart_loaded};

static void uart_destroy(struct dev *d)
{
    dev_fini(d);
    free(d);
}

static const struct dev_class class = {
    .name = "uart16550", .reset = uart_reset, .destroy = uart_destroy, .state = &state};

struct dev *uart_new(const struct dev_env *env, u16 port, unsigned instance, struct irq_line irq,
                     struct uart_backend backend, struct err *err)
{
    struct uart *u = calloc(1, sizeof *u);
    if (!u) {
        err_set(err, EXIT_STATUS_HOST, "no memory for a serial port");
        return NULL;
    }
    u->irq = irq;
    u->backend = backend;
    dev_init(&u->dev, &class, env, instance);
    uart_reset(&u->dev);
    if (dev_map(&u->dev, env->ports, port, 8, &ops)) {
        err_set(err, EXIT_STATUS_HOST, "the serial port's addresses are taken");
        uart_destroy(&u->dev);
        return NULL;
    }
    return &u->dev;
}
