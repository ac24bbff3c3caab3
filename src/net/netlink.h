/* SPDX-License-Identifier: MIT */
/*
 * One question to the kernel's rtnetlink (rtnetlink(7)), and its answer. A question has a socket of its own,
 * so nothing is kept and any thread may ask.
 */
#ifndef NET_NETLINK_H
#define NET_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/err.h"
#include "base/types.h"

struct netlink_question {
    union {
        struct nlmsghdr header;
        u8 bytes[1024];
    };
};

/* body: the struct that follows the header, such as struct ifinfomsg. flags: beside NLM_F_REQUEST. */
void netlink_begin(struct netlink_question *q, u16 type, u16 flags, const void *body, size_t len);
/* An attribute behind what is there; one that does not fit is our bug. */
void netlink_put(struct netlink_question *q, u16 type, const void *data, size_t len);
void netlink_put_text(struct netlink_question *q, u16 type, const char *text);
/* An attribute of attributes: what is put between the two belongs to it. */
struct rtattr *netlink_nest(struct netlink_question *q, u16 type);
void netlink_nest_end(struct netlink_question *q, struct rtattr *nest);

/* Asks and waits. each(): for every message of the answer to a NLM_F_DUMP. 0, or an errno. */
int must_check netlink_ask(struct netlink_question *q, void (*each)(void *arg, const struct nlmsghdr *h),
                           void *arg);

/* The attributes of one level, by type; types above `most` are left out. Pointers into the message. */
void netlink_attributes(const struct rtattr *first, size_t len, const struct rtattr **by_type, u16 most);
/* The value of an attribute of at least `size` bytes; false: it is not there, or shorter. */
bool netlink_get(const struct rtattr *a, void *out, size_t size);
/* A text that ends; "" when it is not there or does not fit. */
void netlink_get_text(const struct rtattr *a, char *out, size_t size);

/* What a failed change means to a user: doing says what, as in "give tap0 an address". Always -1. */
int netlink_fail(struct err *err, int why, const char *doing);

#endif
