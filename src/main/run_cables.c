/* SPDX-License-Identifier: MIT */
/*
 * The first process keeps the worker's end of each cable to a switch, without reading from it, to see it hang
 * up. A new cable goes to the worker through its control socket, as message CABLE.
 */
#include "main/run_cables.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mgmt/switch.h"

#define AGAIN_NS 1000000000ull

struct kept {
    struct run_job *job;
    struct supervisor *supervisor;
    unsigned index;
    struct event_watch *watch;
    struct timer again;
    bool told;
};

static int connect_user(struct run_job *job, unsigned i, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(err, EXIT_STATUS_HOST, "cannot make a network cable: %s", strerror(errno));
    job->net_worker[i] = pair[0];
    job->net_switch[i] = pair[1];
    return 0;
}

/* Locally administered and random: many runs may meet on a switch. */
static void give_address(struct run_net *n)
{
    if (n->has_mac)
        return;
    bug_on(getrandom(n->mac, sizeof(n->mac), 0) != sizeof(n->mac), "no random numbers");
    n->mac[0] = (u8)((n->mac[0] & ~1) | 2);
    n->has_mac = true;
}

/* The run is known to the switch by ids of its own; its adapters have no names. */
static int connect_switch(struct run_job *job, unsigned i, struct err *err)
{
    struct run_net *n = &job->config.nets[i];
    struct message plug = {.type = MESSAGE_PLUG};
    struct err why = {0};
    vm_id_new(plug.vm);
    vm_id_new(plug.adapter_id);
    give_address(n);
    snprintf(plug.mac, sizeof(plug.mac), "%02X%02X%02X%02X%02X%02X", n->mac[0], n->mac[1], n->mac[2],
             n->mac[3], n->mac[4], n->mac[5]);
    snprintf(plug.vm_name, sizeof(plug.vm_name), "%.100s",
             job->config.name ? job->config.name : "droste run");
    job->net_worker[i] = switch_plug(n->switch_name, &plug, &why);
    return job->net_worker[i] < 0
               ? err_set(err, why.status, "--net switch=%.100s: %.450s", n->switch_name, why.text)
               : 0;
}

int run_cables_connect(struct run_job *job, struct err *err)
{
    for (unsigned i = 0; i < job->config.net_count; i++) {
        job->net_switch[i] = -1;
        if (job->config.nets[i].switch_name ? connect_switch(job, i, err) : connect_user(job, i, err))
            return -1;
    }
    return 0;
}

/* ---- a switch that is gone ---- */

static void on_hung_up(void *opaque, int events);

static int hand_on(struct kept *k, struct err *err)
{
    const struct message m = {.type = MESSAGE_CABLE, .adapter = k->index};
    int fd = k->job->net_worker[k->index];
    if (message_send(k->supervisor->worker_control, &m, fd, err))
        return -1;
    k->watch = event_loop_add(k->supervisor->loop, fd, 0, on_hung_up, k);
    return 0;
}

static void plug_again(void *opaque)
{
    struct kept *k = opaque;
    struct err err = {0};
    if (connect_switch(k->job, k->index, &err) == 0) {
        k->told = hand_on(k, &err) != 0; /* a worker that does not listen ends */
        return;
    }
    if (!k->told)
        log_line("the switch is gone, and is tried again: %s", err.text);
    k->told = true;
    timer_arm(&k->again, clock_now(k->supervisor->clock) + AGAIN_NS);
}

static void on_hung_up(void *opaque, int events)
{
    struct kept *k = opaque;
    event_loop_remove(k->supervisor->loop, k->watch);
    close(k->job->net_worker[k->index]);
    if (k->supervisor->reason || !k->supervisor->worker)
        return; /* the run ends */
    timer_init(&k->again, k->supervisor->clock, plug_again, k);
    timer_arm(&k->again,
              clock_now(k->supervisor->clock) + AGAIN_NS / 10); /* a switch may be stopped to be changed */
}

static void begin_watching(void *opaque)
{
    struct kept *k = opaque;
    k->watch = event_loop_add(k->supervisor->loop, k->job->net_worker[k->index], 0, on_hung_up, k);
}

int run_cables_keep(struct run_job *job, struct supervisor *s)
{
    for (unsigned i = 0; i < job->config.net_count; i++) {
        struct kept *k = job->config.nets[i].switch_name ? calloc(1, sizeof(*k)) : NULL;
        if (!k) {
            close(job->net_worker[i]);
            continue;
        }
        *k = (struct kept){.job = job, .supervisor = s, .index = i}; /* as long as the process */
        supervisor_before_wait(s, begin_watching, k);
    }
    return 0;
}
