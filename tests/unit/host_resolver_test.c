/* SPDX-License-Identifier: MIT */
/* One more name server in a resolv.conf. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "main/host_resolver.h"

static void edited(const char *text, const char *server, const char *want)
{
    struct ip_addr a;
    bool added;
    assert_true(ip_parse(server, &a));
    char *now = host_resolver_edit(text, &a, &added);
    assert_string_equal(now, want);
    assert_int_equal(added, strlen(want) > strlen(text) + 1);
    free(now);
}

static void a_server_is_added_behind_the_others(void **state)
{
    edited("", "192.0.2.1", "nameserver 192.0.2.1\n");
    edited("search lab\nnameserver 10.0.0.1\noptions edns0", "fd00::1",
           "search lab\nnameserver 10.0.0.1\noptions edns0\nnameserver fd00::1\n");
}

static void one_that_is_there_stays_as_it_is(void **state)
{
    edited("# mine\nnameserver\t192.0.2.1\n", "192.0.2.1", "# mine\nnameserver\t192.0.2.1\n");
    edited("nameserver FD00:0::1\n", "fd00::1", "nameserver FD00:0::1\n");
}

static void behind_three_nobody_would_look_at_it(void **state)
{
    edited("nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n", "10.0.0.4",
           "nameserver 10.0.0.4\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n");
}

static void other_lines_are_no_servers(void **state)
{
    edited("# nameserver 192.0.2.1\nnameserver nobody\nnameserver 192.0.2.1.5\n", "192.0.2.1",
           "# nameserver 192.0.2.1\nnameserver nobody\nnameserver 192.0.2.1.5\nnameserver 192.0.2.1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_added_behind_the_others),
        cmocka_unit_test(one_that_is_there_stays_as_it_is),
        cmocka_unit_test(behind_three_nobody_would_look_at_it),
        cmocka_unit_test(other_lines_are_no_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
