/* SPDX-License-Identifier: MIT */
/*
 * Our lane: the switch in a process of its own, a link to the source and one to the sink, both adapters with
 * spoofing off. The source writes frames where the ring has room for them, the sink reads them where they
 * lie; the switch copies each once.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lane.h"
#include "net/link.h"
#include "net/vswitch.h"

struct ours {
    struct lane lane; /* first */
    struct link *in, *out;
    pid_t pid;
};

/* --- the switch's process --- */

static u64 monotonic(void *opaque)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void plug(struct vswitch *sw, struct event_loop *loop, int end, const u8 mac[6])
{
    struct err err = {0};
    struct port_policy policy = {.spoofing = false};
    memcpy(policy.mac, mac, 6);
    struct net_port *p = net_port_link(end, loop, &err);
    bug_on(!p || !vswitch_port_add(sw, p, &policy, NULL, &err), "%s", err.text);
}

static void run_switch(const struct sample *s, const int ends[2])
{
    struct err err = {0};
    const struct vswitch_config config = {.now = monotonic, .hash_seed = monotonic(NULL)};
    struct vswitch *sw = vswitch_new(&config, &err);
    struct event_loop *loop = event_loop_new(NULL, &err);
    bug_on(!sw || !loop, "%s", err.text);
    plug(sw, loop, ends[0], s->bytes + 6);
    plug(sw, loop, ends[1], s->bytes);
    event_loop_run(loop);
}

/* --- source and sink --- */

static bool ours_put(struct lane *l, u32 number)
{
    struct ours *o = (struct ours *)l;
    u8 *room = link_reserve(o->in, l->sample->len);
    if (!room)
        return false;
    lane_fill(l, room, number);
    link_commit(o->in, l->sample->len, &l->sample->offload);
    return true;
}

static void ours_push(struct lane *l)
{
    link_flush(((struct ours *)l)->in);
}

static bool ours_take(struct lane *l, u32 *number)
{
    struct ours *o = (struct ours *)l;
    struct frame f;
    if (link_peek(o->out, &f) <= 0)
        return false;
    *number = lane_number(f.head);
    lane_read(l, f.head, f.head_len);
    lane_read(l, f.body, f.body_len);
    link_release(o->out);
    return true;
}

static void ours_rest(struct lane *l)
{
    struct ours *o = (struct ours *)l;
    struct pollfd p = {.fd = link_fd(o->out), .events = POLLIN};
    if (link_sleep(o->out) && poll(&p, 1, 100) > 0)
        link_wake(o->out);
}

static void ours_close(struct lane *l)
{
    struct ours *o = (struct ours *)l;
    kill(o->pid, SIGKILL);
    waitpid(o->pid, NULL, 0);
    link_close(o->in);
    link_close(o->out);
    free(o);
}

static const struct lane_ops ours_ops = {ours_put, ours_push, ours_take, ours_rest, ours_close};

struct lane *switch_open(const struct sample *s, struct err *err)
{
    int a[2], b[2];
    struct ours *o = calloc(1, sizeof(*o));
    bug_on(!o, "no memory");
    o->lane = (struct lane){&ours_ops, s, 0};
    if (link_pair(a, err) < 0 || link_pair(b, err) < 0)
        return NULL;
    o->in = link_open(a[0], err);
    o->out = link_open(b[0], err);
    if (!o->in || !o->out)
        return NULL;
    link_set_accepts(o->out, FRAME_ACCEPTS_ALL);
    o->pid = fork();
    if (o->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_switch(s, (int[]){a[1], b[1]});
        _exit(0);
    }
    close(a[1]);
    close(b[1]);
    return &o->lane;
}
