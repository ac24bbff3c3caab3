/* SPDX-License-Identifier: MIT */
/* Where banks of RAM lie in host memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mem/space.h"

#define HUGE_PAGE (2 * MIB)

/* A page of 2 MiB of the guest's may be one of the host's, wherever the bank begins; and all of it is there.
 */
static void in_huge_pages(void **state)
{
    static const struct {
        u64 gpa, size;
    } row[] = {{0, 0xa0000}, {MIB, 5 * MIB}, {8 * MIB - PAGE_SIZE, PAGE_SIZE}, {BIT(32) + MIB / 2, 3 * MIB}};
    struct space *s = space_new(BIT(40));
    struct err err = {0};
    for (unsigned i = 0; i < ARRAY_SIZE(row); i++)
        assert_int_equal(space_add_ram(s, row[i].gpa, row[i].size, &err), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
        u64 len;
        u8 *host = space_backing(s, row[i].gpa, &len);
        assert_int_equal(len, row[i].size);
        assert_int_equal(((u64)host - row[i].gpa) % HUGE_PAGE, 0);
        memset(host, 0xa5, len);
    }
    space_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_huge_pages)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
