/* SPDX-License-Identifier: MIT */
/* Addresses as tests write them. Include it behind cmocka. */
#ifndef TEST_IP_TEXT_H
#define TEST_IP_TEXT_H

#include "base/ip.h"

static inline struct ip_addr addr(const char *text)
{
    struct ip_addr a;
    assert_true(ip_parse(text, &a));
    return a;
}

static inline struct ip_prefix prefix(const char *text)
{
    struct ip_prefix p;
    assert_true(ip_prefix_parse(text, &p));
    return p;
}

#endif
