/* SPDX-License-Identifier: MIT */
/* ACPI tables: every pointer leads to a table, every table's length and checksum hold, and they say the
 * board. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/acpi.h"
#include "vm/layout.h"

#define SIZE (ACPI_AREA_END - ACPI_AREA_BASE)

static u8 area[SIZE];

static u8 sum(const u8 *p, size_t n)
{
    u8 s = 0;
    while (n--)
        s += *p++;
    return s;
}

static const u8 *at(u64 gpa)
{
    assert_in_range(gpa, ACPI_AREA_BASE, ACPI_AREA_END - 36);
    return area + (gpa - ACPI_AREA_BASE);
}

static const u8 *table(u64 gpa, const char *signature)
{
    const u8 *t = at(gpa);
    u64 len = load_le(t + 4, 4);
    assert_memory_equal(t, signature, 4);
    assert_in_range(len, 36, SIZE - (gpa - ACPI_AREA_BASE));
    assert_int_equal(sum(t, len), 0);
    return t;
}

static void build(unsigned cpus)
{
    struct acpi_config cfg = {cpus, 0x800000000, MMIO64_SIZE};
    struct err err = {0};
    memset(area, 0, sizeof(area));
    assert_int_equal(acpi_build(&cfg, area, ACPI_AREA_BASE, SIZE, &err), ACPI_AREA_BASE);
    assert_int_equal(err.status, 0);
}

static const u8 *find(const char *signature)
{
    const u8 *xsdt = table(load_le(at(ACPI_AREA_BASE) + 24, 8), "XSDT");
    u64 n = (load_le(xsdt + 4, 4) - 36) / 8;
    for (u64 i = 0; i < n; i++) {
        u64 gpa = load_le(xsdt + 36 + 8 * i, 8);
        if (memcmp(at(gpa), signature, 4) == 0)
            return table(gpa, signature);
    }
    fail_msg("no table %s", signature);
    return NULL;
}

static void pointers_and_checksums(void **state)
{
    build(4);
    const u8 *rsdp = at(ACPI_AREA_BASE);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
    const u8 *rsdt = table(load_le(rsdp + 16, 4), "RSDT"), *xsdt = table(load_le(rsdp + 24, 8), "XSDT");
    u64 n = (load_le(xsdt + 4, 4) - 36) / 8;
    assert_int_equal(n, 4);
    for (u64 i = 0; i < n; i++)
        assert_int_equal(load_le(rsdt + 36 + 4 * i, 4), load_le(xsdt + 36 + 8 * i, 8));
    find("MCFG");
    find("HPET");
}

static void fadt_is_the_board(void **state)
{
    build(1);
    const u8 *f = find("FACP");
    assert_int_equal(load_le(f + 4, 4), 276);
    assert_int_equal(f[8], 6);
    assert_int_equal(load_le(f + 46, 2), 9);
    assert_int_equal(load_le(f + 56, 4), 0x600);
    assert_int_equal(load_le(f + 64, 4), 0x604);
    assert_int_equal(load_le(f + 76, 4), 0x608);
    assert_int_equal(load_le(f + 120, 8), 0xcf9);
    assert_int_equal(f[128], 6);
    assert_int_equal(load_le(f + 152, 8), 0x600);
    assert_int_equal(load_le(f + 176, 8), 0x604);
    assert_int_equal(load_le(f + 212, 8), 0x608);
    assert_false(load_le(f + 112, 4) & 1u << 20); /* not hardware-reduced */
    assert_memory_equal(at(load_le(f + 36, 4)), "FACS", 4);
    assert_int_equal(load_le(f + 36, 4) % 64, 0);
    assert_int_equal(load_le(f + 40, 4), load_le(f + 140, 8));
    table(load_le(f + 140, 8), "DSDT");
}

/* Walks the MADT's entries; returns how many have this type. */
static unsigned madt_count(unsigned type)
{
    const u8 *m = find("APIC");
    unsigned n = 0;
    u64 len = load_le(m + 4, 4);
    for (u64 off = 44; off < len; off += m[off + 1]) {
        assert_true(m[off + 1] >= 4 && off + m[off + 1] <= len);
        n += m[off] == type;
    }
    return n;
}

static void madt_names_every_cpu(void **state)
{
    build(1);
    assert_int_equal(madt_count(0), 1);
    assert_int_equal(madt_count(1), 1);
    assert_int_equal(madt_count(2), 2);
    assert_int_equal(madt_count(9), 0);
    build(300);
    assert_int_equal(madt_count(0), 255);
    assert_int_equal(madt_count(9), 45);
}

static void too_small_is_an_error(void **state)
{
    struct acpi_config cfg = {64, 0x800000000, MMIO64_SIZE};
    static u8 small[512 * 10];
    for (size_t size = 0; size < sizeof(small); size += 61) {
        struct err err = {0};
        assert_int_equal(acpi_build(&cfg, small, ACPI_AREA_BASE, size, &err), 0);
        assert_int_equal(err.status, EXIT_STATUS_USAGE);
        memset(small, 0, sizeof(small));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointers_and_checksums),
        cmocka_unit_test(fadt_is_the_board),
        cmocka_unit_test(madt_names_every_cpu),
        cmocka_unit_test(too_small_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
