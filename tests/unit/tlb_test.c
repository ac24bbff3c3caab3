/* SPDX-License-Identifier: MIT */
/* What the soft TLB's two levels promise: a page is found until something takes it away, and not after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cpu/mmu.h"
#include "cpu/paging.h"

#define RIGHTS 0x7b

static struct cpu cpu;
static u8 ram[PAGE_SIZE]; /* stands for any memory: only its address counts */

static struct tlb_tag space(u64 root, u16 pcid, u32 asid)
{
    return (struct tlb_tag){.root = root, .pcid = pcid, .asid = asid, .level = asid != 0, .mode = 1};
}

static void go_to(u64 root, u16 pcid, u32 asid)
{
    struct tlb_tag tag = space(root, pcid, asid);
    tlb_select(&cpu, &tag);
}

static int begin(void **state)
{
    cpu = (struct cpu){.tlb = tlb_new()};
    go_to(0x1000, 1, 0);
    return cpu.tlb ? 0 : -1;
}

static int end(void **state)
{
    tlb_free(cpu.tlb);
    return 0;
}

static u8 *page_at(u64 off)
{
    return (u8 *)((u64)ram & ~(PAGE_SIZE - 1)) + off;
}

/* Both levels learn of a page of 1 << shift bytes at lin, of which 1 << span lie together. */
static void learn(u64 lin, u8 span, u8 shift)
{
    tlb_remember(cpu.tlb, lin, page_at(0), span, shift, RIGHTS);
    tlb_fill(&cpu, lin, page_at(lin & (BIT(span) - 1)), TLB_SUPER, true);
    tlb_fill_fetch(&cpu, lin, page_at(lin & (BIT(span) - 1)), false, false);
    if (span > PAGE_SHIFT)
        tlb_fill_wide(&cpu, lin, page_at(lin & (BIT(span) - 1)), TLB_SUPER);
}

static bool in_wide(u64 lin)
{
    return !((cpu.tlb->view->wide[tlb_wide_index(lin)].tag ^ lin) >> TLB_WIDE_SHIFT);
}

static bool in_first(u64 lin)
{
    const struct tlb_ctx *x = cpu.tlb->cur;
    bool r = tlb_hit(x->view[TLB_SUPER].read, lin, 1), w = tlb_hit(x->view[TLB_SUPER].write, lin, 1);
    assert_true(r == w && r == !!tlb_hit(x->fetch[0], lin, 1));
    return r;
}

static bool in_second(u64 lin, u64 off)
{
    unsigned rights = 0, size;
    u8 *host = tlb_recall(cpu.tlb, lin, &rights, &size);
    assert_true(!host || (host == page_at(off) && rights == RIGHTS));
    assert_true(!in_wide(lin) || (host && size)); /* goes with what it is of */
    return host;
}

static bool known(u64 lin)
{
    bool second = in_second(lin, lin & (PAGE_SIZE - 1));
    assert_true(in_first(lin) == second);
    return second;
}

static void test_sizes(void **state)
{
    u64 high = 0xffff888000000000;
    assert_false(known(0));
    learn(0x5000, 12, 12);
    assert_true(known(0x5123));
    assert_false(known(0x4000) || known(0x6000) || known(0x5000 | BIT(40)));
    learn(high + 0x345000, 21, 21);
    assert_true(in_second(high + 0x200000, 0) && in_second(high + 0x3fffff, 0x1fffff));
    assert_false(in_second(high + 0x1fffff, 0) || in_second(high + 0x400000, 0));
    learn(high + 0x52346000, 30, 30);
    assert_true(in_second(high + 0x40000000, 0) && in_second(high + 0x7fffffff, 0x3fffffff));
    assert_false(in_second(high + 0x80000000, 0) || in_second(0x40000000, 0));
    assert_true(in_first(high + 0x345fff) && in_first(high + 0x52346000));
    assert_true(in_wide(high + 0x200000) && in_wide(high + 0x52200000) && !in_wide(high + 0x52400000));
    assert_false(in_wide(0) || in_wide(high) || in_wide(high + 0x400000));
    assert_false(in_first(high + 0x344fff));
}

static void test_spaces(void **state)
{
    learn(0x5000, 12, 12);
    go_to(0x2000, 2, 0);
    assert_false(known(0x5000));
    go_to(0x1000, 1, 7);
    assert_false(known(0x5000));
    learn(0x5000, 12, 12);
    go_to(0x1000, 1, 0);
    assert_true(known(0x5000));
    /* More spaces than contexts: the oldest loses what it had, and its successor has nothing. */
    for (u16 i = 0; i < TLB_CONTEXTS; i++) {
        go_to(0x10000 + i * PAGE_SIZE, i, 0);
        assert_false(known(0x5000));
        learn(0x5000, 12, 12);
    }
    go_to(0x1000, 1, 0);
    assert_false(known(0x5000));
}

static bool of_asid(const struct tlb_tag *t, const void *arg)
{
    return t->asid == *(const u32 *)arg;
}

static void test_flushes(void **state)
{
    u32 asid = 7;
    for (unsigned kind = 0; kind < 4; kind++) {
        learn(0x5000, 12, 12);
        u64 id = tlb_fetch_id(cpu.tlb);
        go_to(0x1000, 1, 7);
        learn(0x5000, 12, 12);
        if (kind == 0)
            tlb_flush_current(&cpu);
        else if (kind == 1)
            tlb_flush_pcid(&cpu, 1);
        else if (kind == 2)
            tlb_flush_matching(&cpu, of_asid, &asid);
        else
            tlb_flush_all(&cpu);
        assert_false(known(0x5000));
        go_to(0x1000, 1, 0);
        assert_true(known(0x5000) == (kind != 3) && (tlb_fetch_id(cpu.tlb) == id) == (kind != 3));
    }
    learn(0x5000, 12, 12);
    tlb_flush_pcid(&cpu, 2);
    assert_true(known(0x5000));
}

static void test_page(void **state)
{
    static const struct {
        u8 span, shift;
    } row[] = {{12, 12}, {21, 21}, {30, 30}, {12, 21}, {21, 30}, {12, 30}, {12, 22}};
    for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
        u64 lin = 0x40000000, other = lin ^ (row[i].shift == 12 ? 0 : 0x1000);
        learn(lin, row[i].span, row[i].shift);
        learn(0x123456000, 12, 12);
        assert_true(in_wide(lin) == (row[i].span > 12));
        tlb_flush_page(&cpu, other); /* by any address of the guest's page */
        assert_false(in_first(lin) || in_second(lin, 0) || in_wide(lin));
        assert_true(row[i].shift > 21 || in_first(0x123456000));
        learn(lin, row[i].span, row[i].shift);
        go_to(0x1000, 1, 7);
        tlb_forget_page(&cpu, lin); /* another address space's fault */
        go_to(0x1000, 1, 0);
        assert_true(in_first(lin) && in_second(lin, 0));
        tlb_forget_page(&cpu, lin ^ BIT(40));
        assert_true(in_first(lin) && in_second(lin, 0));
        tlb_forget_page(&cpu, lin);
        assert_false(in_first(lin) || in_second(lin, 0));
        tlb_flush_all(&cpu);
    }
}

/* With PCIDs they name the space; without, there is one at a time. Another root is never taken for it. */
static void test_pcids(void **state)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        cpu.cr4 = kind & 1 ? CR4_PCIDE : 0;
        go_to(0x1000, 1, 0);
        learn(0x5000, 12, 12);
        go_to(0x2000, 1, 0);
        assert_false(known(0x5000));
        learn(0x5000, 12, 12);
        go_to(0x1000, 2, 0);
        learn(0x5000, 12, 12);
        go_to(0x2000, 1, 0);
        assert_true(known(0x5000));
        if (kind & 2)
            tlb_flush_current(&cpu);
        else
            tlb_forget_page(&cpu, 0x5000);
        assert_false(known(0x5000));
        go_to(0x1000, 2, 0);
        assert_true(known(0x5000));
        go_to(0x1000, 1, 0);
        assert_false(known(0x5000));
    }
}

/* Pages of the same places stay when one is forgotten, and code that was found stays found. */
static void test_neighbours(void **state)
{
    learn(0x5000, 12, 12);
    tlb_fill(&cpu, 0x6000, page_at(0), TLB_SUPER, true);
    u64 id = tlb_fetch_id(cpu.tlb);
    tlb_flush_page(&cpu, 0x5000 + ((u64)TLB_SIZE << PAGE_SHIFT));
    assert_true(known(0x5000));
    tlb_flush_page(&cpu, 0x6000);
    assert_int_equal(tlb_fetch_id(cpu.tlb), id);
    tlb_flush_page(&cpu, 0x5000);
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), id);
}

static u64 fetch_global(u64 lin, u8 shift)
{
    tlb_remember(cpu.tlb, lin, page_at(0), 12, shift, RIGHTS);
    tlb_fill_fetch(&cpu, lin, page_at(0), false, true);
    return tlb_fetch_id(cpu.tlb);
}

static u64 id_in(u64 root, u16 pcid, u32 asid)
{
    go_to(root, pcid, asid);
    return tlb_fetch_id(cpu.tlb);
}

/* What was fetched from global pages holds in all spaces, until one of the pages is invalidated in any. */
static void test_global(void **state)
{
    const u64 high = 0xffffffff81000000;
    u32 asid = 7;
    u64 id = fetch_global(high, 21);
    assert_int_equal(id_in(0x2000, 2, 0), id);
    assert_int_not_equal(id_in(0x1000, 1, asid), id);
    assert_int_equal(id_in(0x3000, 3, 0), id);
    tlb_flush_current(&cpu);
    tlb_flush_pcid(&cpu, 1);
    tlb_flush_matching(&cpu, of_asid, &asid);
    tlb_flush_page(&cpu, 0x5000);
    assert_int_equal(id_in(0x1000, 1, 0), id);
    /* A page of one space's own: what it fetches is its own affair, until it begins anew. */
    tlb_fill_fetch(&cpu, 0x5000, page_at(0), false, false);
    u64 own = tlb_fetch_id(cpu.tlb);
    assert_int_not_equal(own, id);
    assert_int_equal(fetch_global(high + 0x1000, 21), own);
    assert_int_equal(id_in(0x2000, 2, 0), id);
    tlb_flush_page(&cpu, high + 0x100000);
    u64 next = tlb_fetch_id(cpu.tlb);
    assert_int_not_equal(next, id);
    assert_int_not_equal(id_in(0x1000, 1, 0), own);
    assert_int_equal(id_in(0x3000, 3, 0), next);
    assert_int_equal(id_in(0x4000, 4, 0), next);
    go_to(0x1000, 1, 0);
    tlb_flush_current(&cpu);
    assert_int_equal(tlb_fetch_id(cpu.tlb), next);
    fetch_global(high, 21);
    tlb_drop_host(cpu.tlb, (u64)page_at(0), PAGE_SIZE, false);
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), next);
    u64 nested = id_in(0x1000, 1, asid);
    tlb_flush_matching(&cpu, of_asid, &asid);
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), nested);
    next = id_in(0x2000, 2, 0);
    tlb_flush_all(&cpu);
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), next);
}

/* Entries that outlive a change are fetched from under the new id as well: their own end changes it again. */
static void test_left(void **state)
{
    const u64 high = 0xffffffff81000000;
    u64 id = fetch_global(high, 12);
    assert_int_equal(fetch_global(high + 0x1000, 12), id);
    tlb_flush_page(&cpu, high);
    u64 next = tlb_fetch_id(cpu.tlb);
    assert_int_not_equal(next, id);
    assert_non_null(tlb_hit(cpu.tlb->cur->fetch[0], high + 0x1000, 1));
    tlb_flush_page(&cpu, high + 0x1000);
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), next);
    go_to(0x2000, 2, 0);
    learn(0x5000, 12, 12);
    learn(0x6000, 12, 12);
    tlb_flush_page(&cpu, 0x5000);
    id = tlb_fetch_id(cpu.tlb);
    assert_true(known(0x6000));
    tlb_forget_page(&cpu, 0x6000);
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), id);
}

/* The second level does not depend on the first. */
static void test_tables(void **state)
{
    learn(0x5000, 12, 12);
    u64 id = tlb_fetch_id(cpu.tlb);
    tlb_lose_tables(cpu.tlb);
    assert_true(in_second(0x5000, 0) && !in_first(0x5000) && tlb_fetch_id(cpu.tlb) == id);
    tlb_flush_page(&cpu, 0x5000);
    assert_false(known(0x5000));
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), id);
    /* Nor does a flush, when the second has lost all with a large page in pieces. */
    learn(0x5000, 12, 12);
    learn(0x40200000, 12, 21);
    tlb_flush_page(&cpu, 0x40200000);
    assert_non_null(tlb_hit(cpu.tlb->cur->fetch[0], 0x5000, 1));
    id = tlb_fetch_id(cpu.tlb);
    tlb_lose_tables(cpu.tlb);
    tlb_flush_current(&cpu);
    assert_int_not_equal(tlb_fetch_id(cpu.tlb), id);
}

/* A watch takes write pointers alone; removed memory takes all. */
static void test_host(void **state)
{
    learn(0x5000, 12, 12);
    tlb_drop_host(cpu.tlb, (u64)page_at(0) + PAGE_SIZE, PAGE_SIZE, false);
    assert_true(in_first(0x5000));
    learn(0x5000, 12, 12);
    tlb_drop_host(cpu.tlb, (u64)page_at(0), PAGE_SIZE, true);
    assert_null(tlb_hit(cpu.tlb->cur->view[TLB_SUPER].write, 0x5000, 1));
    assert_non_null(tlb_hit(cpu.tlb->cur->view[TLB_SUPER].read, 0x5000, 1));
    assert_true(in_second(0x5000, 0));
    tlb_drop_host(cpu.tlb, (u64)page_at(0), PAGE_SIZE, false);
    assert_false(in_second(0x5000, 0));
    assert_null(tlb_hit(cpu.tlb->cur->view[TLB_SUPER].read, 0x5000, 1));
    assert_null(tlb_hit(cpu.tlb->cur->fetch[0], 0x5000, 1));
}

/* When ids have run out nothing is found under one of before, whoever has it. */
static void test_ids(void **state)
{
    learn(0x5000, 12, 12);
    go_to(0x2000, 2, 0);
    learn(0x5000, 12, 12);
    cpu.tlb->second->ids = BIT(STLB_ID_BITS) - 1;
    tlb_flush_current(&cpu);
    assert_false(in_second(0x5000, 0));
    u32 id = cpu.tlb->cur->second_id;
    go_to(0x1000, 1, 0);
    assert_false(in_second(0x5000, 0));
    assert_int_not_equal(cpu.tlb->cur->second_id, id);
}

/* A set holds so many pages, and a full one takes another. */
static void test_full(void **state)
{
    unsigned found = 0;
    for (u64 lin = 0; lin < (1ull << STLB_BITS) * 4 * PAGE_SIZE; lin += PAGE_SIZE)
        tlb_remember(cpu.tlb, lin, page_at(0), 12, 12, RIGHTS);
    for (u64 lin = 0; lin < (1ull << STLB_BITS) * 4 * PAGE_SIZE; lin += PAGE_SIZE)
        found += in_second(lin, 0);
    assert_in_range(found, (1 << STLB_BITS) * 9 / 10, 1 << STLB_BITS);
    assert_true(in_second(((1ull << STLB_BITS) * 4 - 1) * PAGE_SIZE, 0));
}

/* What translated code asks when the tables miss. */
static void test_refill(void **state)
{
    struct space *s = space_new(BIT(32));
    struct err err;
    assert_int_equal(space_add_ram(s, 0, 4 * PAGE_SIZE, &err), 0);
    u8 *host = space_ram(s, 0, NULL);
    unsigned all = SECOND_ALL << RIGHT_SECOND | RIGHT_W | RIGHT_D;
    cpu.memory = s;
    tlb_set_class(&cpu, TLB_SUPER, false);
    for (unsigned i = 0; i < 4; i++)
        tlb_remember(cpu.tlb, i * PAGE_SIZE, host + i * PAGE_SIZE, 12, 12, i == 3 ? all & ~RIGHT_D : all);
    assert_null(mmu_refill(&cpu, 4 * PAGE_SIZE, 8, false));
    assert_null(mmu_refill(&cpu, BIT(48), 8, false));
    assert_null(mmu_refill(&cpu, PAGE_SIZE - 4, 8, false));
    assert_ptr_equal(mmu_refill(&cpu, PAGE_SIZE - 8, 8, false), host + PAGE_SIZE - 8);
    assert_ptr_equal(tlb_hit(cpu.tlb->view->write, 5, 1),
                     host + 5); /* a write of the same page needs no more */
    assert_ptr_equal(mmu_refill(&cpu, 3 * PAGE_SIZE, 8, false), host + 3 * PAGE_SIZE);
    assert_null(mmu_refill(&cpu, 3 * PAGE_SIZE, 8, true)); /* not dirty */
    space_watch_code(s, PAGE_SIZE, 16);
    assert_null(mmu_refill(&cpu, PAGE_SIZE, 8, true));
    assert_null(tlb_hit(cpu.tlb->view->write, PAGE_SIZE, 1));
    assert_ptr_equal(mmu_refill(&cpu, PAGE_SIZE, 8, false), host + PAGE_SIZE);
    assert_ptr_equal(mmu_refill(&cpu, 2 * PAGE_SIZE, 8, true), host + 2 * PAGE_SIZE);
    tlb_set_class(&cpu, TLB_USER, false);
    assert_null(mmu_refill(&cpu, 2 * PAGE_SIZE, 8, false));
    tlb_set_class(&cpu, TLB_SUPER, true);
    assert_null(mmu_refill(&cpu, 2 * PAGE_SIZE, 8, false)); /* one by one */
    space_free(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(sizes), TEST(spaces), TEST(flushes), TEST(page),   TEST(neighbours), TEST(global), TEST(host),
        TEST(ids),   TEST(full),   TEST(pcids),   TEST(refill), TEST(left),       TEST(tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
