/* SPDX-License-Identifier: MIT */
#include "net/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MAX  (64 * KIB)
#define DUMPS_AGAIN 5 /* a dump that others' changes interrupted is asked for anew */

void netlink_begin(struct netlink_question *q, u16 type, u16 flags, const void *body, size_t len)
{
    memset(q, 0, sizeof(*q));
    q->header = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(len),
                                  .nlmsg_type = type,
                                  .nlmsg_flags = NLM_F_REQUEST | flags,
                                  .nlmsg_seq = 1};
    memcpy(NLMSG_DATA(&q->header), body, len);
}

void netlink_put(struct netlink_question *q, u16 type, const void *data, size_t len)
{
    size_t at = NLMSG_ALIGN(q->header.nlmsg_len);
    bug_on(at + RTA_LENGTH(len) > sizeof(q->bytes), "a netlink message of more than %zu bytes",
           sizeof(q->bytes));
    struct rtattr *a = (struct rtattr *)(q->bytes + at);
    a->rta_type = type;
    a->rta_len = (u16)RTA_LENGTH(len);
    if (len)
        memcpy(RTA_DATA(a), data, len);
    q->header.nlmsg_len = (u32)(at + RTA_LENGTH(len));
}

void netlink_put_text(struct netlink_question *q, u16 type, const char *text)
{
    netlink_put(q, type, text, strlen(text) + 1);
}

struct rtattr *netlink_nest(struct netlink_question *q, u16 type)
{
    size_t at = NLMSG_ALIGN(q->header.nlmsg_len);
    netlink_put(q, type | NLA_F_NESTED, NULL, 0);
    return (struct rtattr *)(q->bytes + at);
}

void netlink_nest_end(struct netlink_question *q, struct rtattr *nest)
{
    nest->rta_len = (u16)(q->bytes + q->header.nlmsg_len - (u8 *)nest);
}

enum turn { TURN_MORE, TURN_DONE, TURN_AGAIN };

/* One datagram of the answer. */
static enum turn read_answer(int fd, u8 *buffer, void (*each)(void *arg, const struct nlmsghdr *h), void *arg,
                             int *error)
{
    struct sockaddr_nl from = {0};
    socklen_t from_len = sizeof(from);
    ssize_t n = recvfrom(fd, buffer, ANSWER_MAX, 0, (struct sockaddr *)&from, &from_len);
    if (n < 0 && errno == EINTR)
        return TURN_MORE;
    if (n < 0) {
        *error = errno;
        return TURN_DONE;
    }
    if (from.nl_pid) /* not the kernel */
        return TURN_MORE;
    int left = (int)n;
    for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
            return TURN_AGAIN;
        if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
            int code = 0;
            if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(code)))
                memcpy(&code, NLMSG_DATA(h), sizeof(code));
            *error = -code;
            return TURN_DONE;
        }
        if (each)
            each(arg, h);
    }
    return TURN_MORE;
}

static int ask_once(struct netlink_question *q, u8 *buffer, void (*each)(void *arg, const struct nlmsghdr *h),
                    void *arg, bool *again)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int error = 0, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return errno;
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (sendto(fd, q, q->header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
        error = errno;
    enum turn t = error ? TURN_DONE : TURN_MORE;
    while (t == TURN_MORE)
        t = read_answer(fd, buffer, each, arg, &error);
    *again = t == TURN_AGAIN;
    close(fd);
    return error;
}

int netlink_ask(struct netlink_question *q, void (*each)(void *arg, const struct nlmsghdr *h), void *arg)
{
    u8 *buffer = malloc(ANSWER_MAX);
    int error = ENOMEM;
    bool again = buffer != NULL;
    /* Its two bits mean something else, each by itself, in a change. */
    if ((q->header.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
        q->header.nlmsg_flags |= NLM_F_ACK;
    for (unsigned i = 0; again && i < DUMPS_AGAIN; i++)
        error = ask_once(q, buffer, each, arg, &again);
    free(buffer);
    return again ? EAGAIN : error;
}

void netlink_attributes(const struct rtattr *first, size_t len, const struct rtattr **by_type, u16 most)
{
    int left = (int)len; /* RTA_NEXT() takes padding off that a cut message does not have */
    memset(by_type, 0, (most + 1u) * sizeof(*by_type));
    for (const struct rtattr *a = first; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        u16 type = a->rta_type & NLA_TYPE_MASK;
        if (type <= most && !by_type[type])
            by_type[type] = a;
    }
}

bool netlink_get(const struct rtattr *a, void *out, size_t size)
{
    if (!a || RTA_PAYLOAD(a) < size)
        return false;
    memcpy(out, RTA_DATA(a), size);
    return true;
}

void netlink_get_text(const struct rtattr *a, char *out, size_t size)
{
    size_t n = a ? strnlen(RTA_DATA(a), RTA_PAYLOAD(a)) : 0;
    if (n >= size)
        n = 0;
    if (n)
        memcpy(out, RTA_DATA(a), n);
    out[n] = 0;
}

int netlink_fail(struct err *err, int why, const char *doing)
{
    if (why == EPERM || why == EACCES)
        return err_set(err, EXIT_STATUS_USAGE,
                       "cannot %s: the right CAP_NET_ADMIN is missing. Be root; or without root an Internal "
                       "switch has a "
                       "host in user mode (New-VMSwitch -SwitchType Internal, New-NetNat)",
                       doing);
    return err_set(err, EXIT_STATUS_HOST, "cannot %s: %s", doing, strerror(why));
}
