/* SPDX-License-Identifier: MIT */
/* The network process of `droste run --net user`: ports taken, start reported, sandbox entered, frames
 * served. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "main/run.h"
#include "net/slirp_switch.h"

static int keep_descriptors(const struct run_job *job, int control, struct err *err)
{
    int keep[2 + RUN_NETS_MAX] = {STDERR_FILENO, control};
    for (unsigned i = 0; i < job->config.net_count; i++)
        keep[2 + i] = job->net_switch[i];
    return sandbox_fds(keep, 2 + job->config.net_count, err);
}

static int add(struct slirp_nets *nets, const struct run_net *n, int fd, struct err *err)
{
    struct slirp_net *net = slirp_nets_add(nets, fd, err);
    for (unsigned k = 0; net && k < n->forward_count; k++)
        if (slirp_net_forward(net, n->forwards[k].host, n->forwards[k].guest, err) < 0)
            return -1;
    return net ? 0 : -1;
}

static int start(struct run_job *job, struct slirp_nets *nets, struct err *err)
{
    for (unsigned i = 0; i < job->config.net_count; i++)
        if (job->net_switch[i] >= 0 && add(nets, &job->config.nets[i], job->net_switch[i], err) < 0)
            return -1;
    return slirp_sandbox(err);
}

int run_user_net(void *opaque, int control)
{
    struct run_job *job = opaque;
    struct err err = {0};
    int r = keep_descriptors(job, control, &err);
    struct slirp_nets *nets = r < 0 ? NULL : slirp_nets_new(&err);
    if (nets && start(job, nets, &err) == 0) {
        if (send(control, &err, sizeof(err), MSG_NOSIGNAL) == sizeof(err))
            slirp_nets_run(nets);
        return EXIT_STATUS_OK;
    }
    return send(control, &err, sizeof(err), MSG_NOSIGNAL) < 0 ? EXIT_STATUS_HOST : err.status;
}
