/* SPDX-License-Identifier: MIT */
/* Nested events: names and numbers in words, rings merged by time, anything in a record, exits counted. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cpu/nested/exit_counts.h"
#include "cpu/nested/svm_vmcb.h"
#include "cpu/nested/vmcs.h"
#include "x86/nested_event.h"

static void expect_text(const struct nested_event *e, const char *want)
{
    char got[NESTED_TEXT_MAX];
    assert_int_equal(nested_event_text(e, got, sizeof(got)), strlen(want));
    assert_string_equal(got, want);
}

static void expect_json(const struct nested_event *e, const char *want)
{
    char got[NESTED_TEXT_MAX];
    assert_int_equal(nested_event_json(e, got, sizeof(got)), strlen(want));
    assert_string_equal(got, want);
}

static struct nested_event exit_event(u8 vendor, u64 code)
{
    struct nested_event e = {
        .kind = NESTED_EXIT, .vendor = vendor, .code = code, .where = 0x1000, .rip = 0xfff0, .vcpu = 1};
    memset(e.chain, 0xff, sizeof(e.chain));
    return e;
}

static void reasons_have_names(void **state)
{
    static const struct {
        u8 vendor;
        u64 code;
        const char *name;
    } rows[] = {
        {VENDOR_INTEL, 10, "CPUID"},
        {VENDOR_INTEL, 0x80000021, "GUEST_STATE"},
        {VENDOR_INTEL, 999, "reason 999"},
        {VENDOR_AMD, 0x72, "CPUID"},
        {VENDOR_AMD, 0x13, "CR_WRITE 3"},
        {VENDOR_AMD, 0x4e, "EXCEPTION 14"},
        {VENDOR_AMD, 0x5f, "EXCEPTION 31"},
        {VENDOR_AMD, 0x60, "INTR"},
        {VENDOR_AMD, 0x400, "NPF"},
        {VENDOR_AMD, 0x3ff, "code 3ff"},
        {VENDOR_AMD, ~0ull, "INVALID"},
        {VENDOR_AMD, 0x0, "CR_READ 0"},
        {VENDOR_AMD, 1ull << 40, "code 10000000000"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char name[40];
        nested_exit_name(rows[i].vendor, rows[i].code, name, sizeof(name));
        assert_string_equal(name, rows[i].name);
    }
    assert_string_equal(nested_error_words(12), "no such VMCS field");
    assert_non_null(nested_error_words(14));
}

static void vmx_exits_in_words(void **state)
{
    struct nested_event e = exit_event(VENDOR_INTEL, 48);
    e.time = 1000000002;
    e.retired = 77;
    e.info1 = 0x181;
    e.info2 = 0x400008;
    e.vectoring = 0x80000b0e | 4ull << 32;
    e.length = 3;
    expect_text(
        &e, "1.000000002 vCPU 1 exit EPT_VIOLATION VMCS 1000 rip fff0 qualification 181 gpa 400008 vectoring "
            "480000b0e length 3");
    expect_json(&e,
                "{\"ns\": 1000000002, \"retired\": 77, \"vcpu\": 1, \"event\": \"exit\", \"vmcs\": \"1000\", "
                "\"rip\": \"fff0\", \"reason\": 48, \"name\": \"EPT_VIOLATION\", \"qualification\": \"181\", "
                "\"guest_physical\": \"400008\", \"guest_linear\": \"0\", \"interruption\": \"0\", "
                "\"idt_vectoring\": \"480000b0e\", \"length\": 3, \"instruction_information\": \"0\"}");
}

static void svm_exits_in_words(void **state)
{
    struct nested_event e = exit_event(VENDOR_AMD, 0x7f);
    e.chain[0] = 8;
    e.chain[1] = 13;
    expect_text(&e,
                "0.000000000 vCPU 1 exit SHUTDOWN VMCB 1000 rip fff0 info1 0 vectors (newest first) 8 13");
    expect_json(&e, "{\"ns\": 0, \"retired\": 0, \"vcpu\": 1, \"event\": \"exit\", \"vmcb\": \"1000\", "
                    "\"rip\": \"fff0\", "
                    "\"reason\": 127, \"name\": \"SHUTDOWN\", \"exitinfo1\": \"0\", \"exitinfo2\": \"0\", "
                    "\"nrip\": \"0\", "
                    "\"exitintinfo\": \"0\", \"length\": 0, \"vectors\": [8, 13]}");
}

static void failures_in_words(void **state)
{
    struct nested_event e = {
        .kind = NESTED_VMFAIL, .code = 7, .where = ~0ull, .insn = "VMLAUNCH", .why = "pin \"controls\""};
    expect_text(&e, "0.000000000 vCPU 0 VMfail 7 of VMLAUNCH no current VMCS rip 0: not so: pin ?controls?");
    e = (struct nested_event){.kind = NESTED_VMFAIL, .code = 12, .where = 0x1000, .insn = "VMREAD"};
    expect_text(&e, "0.000000000 vCPU 0 VMfail 12 of VMREAD VMCS 1000 rip 0: no such VMCS field");
    expect_json(
        &e,
        "{\"ns\": 0, \"retired\": 0, \"vcpu\": 0, \"event\": \"VMfail\", \"vmcs\": \"1000\", \"rip\": \"0\", "
        "\"instruction\": \"VMREAD\", \"error\": 12, \"words\": \"no such VMCS field\", \"check\": \"\"}");
    e = (struct nested_event){.kind = NESTED_REFUSED, .code = 33, .info1 = 4, .why = "VMCS link pointer"};
    expect_text(
        &e, "0.000000000 vCPU 0 refused GUEST_STATE VMCS 0 rip 0 qualification 4: not so: VMCS link pointer");
    e = (struct nested_event){.kind = NESTED_REFUSED, .vendor = VENDOR_AMD, .code = ~0ull, .why = "ASID 0"};
    expect_text(&e, "0.000000000 vCPU 0 refused INVALID VMCB 0 rip 0: ASID 0");
    expect_json(
        &e,
        "{\"ns\": 0, \"retired\": 0, \"vcpu\": 0, \"event\": \"refused\", \"vmcb\": \"0\", \"rip\": \"0\", "
        "\"reason\": -1, \"name\": \"INVALID\", \"exitinfo1\": \"0\", \"check\": \"ASID 0\"}");
    e = (struct nested_event){
        .kind = NESTED_FAULT, .code = 14, .info1 = 2, .info2 = 0x5000, .more = 1, .guest = 1};
    expect_text(&e, "0.000000000 vCPU 0 fault #14 VMCS 0 rip 0 error 2 cr2 5000 in the guest");
    e = (struct nested_event){
        .kind = NESTED_WALK, .code = 49, .info2 = 0x123000, .depth = 2, .entry = {0x2007, 6}};
    expect_text(&e, "0.000000000 vCPU 0 walk EPT_MISCONFIGURATION VMCS 0 rip 0 gpa 123000 qualification 0 "
                    "entries 2007 6");
}

static void aborts_in_words(void **state)
{
    struct nested_event e = {.kind = NESTED_ABORT, .code = 4, .where = 0x1000};
    expect_text(&e, "0.000000000 vCPU 0 abort 4 VMCS 1000 rip 0: an MSR of the VM-exit MSR-load area could "
                    "not be loaded");
    expect_json(
        &e,
        "{\"ns\": 0, \"retired\": 0, \"vcpu\": 0, \"event\": \"abort\", \"vmcs\": \"1000\", \"rip\": \"0\", "
        "\"indicator\": 4, \"words\": \"an MSR of the VM-exit MSR-load area could not be loaded\"}");
}

/* From the memory of a process that crashed: never more than the buffer, always one printable line. */
static void records_may_hold_anything(void **state)
{
    srand(1);
    for (unsigned n = 0; n < 20000; n++) {
        struct nested_event e;
        char buf[NESTED_TEXT_MAX + 1];
        for (unsigned i = 0; i < sizeof(e); i++)
            ((u8 *)&e)[i] = n % 2 ? (u8)rand() : 0xff;
        if (n % 3)
            e.kind %= NESTED_EVENT_KINDS;
        size_t (*const print[])(const struct nested_event *, char *, size_t) = {nested_event_text,
                                                                                nested_event_json};
        for (unsigned p = 0; p < 2; p++) {
            memset(buf, '\n', sizeof(buf));
            size_t len = print[p](&e, buf, NESTED_TEXT_MAX);
            assert_int_equal(len, strlen(buf));
            assert_true(len < NESTED_TEXT_MAX - 1); /* nothing had to be cut */
            for (size_t i = 0; i < len; i++)
                assert_in_range(buf[i], ' ', '~');
            assert_int_equal(buf[NESTED_TEXT_MAX], '\n');
        }
    }
}

/* ---- refused entries ---- */

static const char *wanted_name;
static u64 found_value;
static unsigned found;

static void find(const char *name, u64 value, void *arg)
{
    if (strcmp(name, wanted_name))
        return;
    found_value = value;
    found++;
}

static void expect_field(const struct nested_failed *f, const char *name, u64 value)
{
    wanted_name = name;
    found = 0;
    nested_failed_each(f, find, NULL);
    assert_int_equal(found, 1);
    assert_int_equal(found_value, value);
}

static void a_refused_vmcb_by_name(void **state)
{
    struct vmcb v = {.control = {.intercept = {1, 2, 3, 4, 5, 6},
                                 .pause_threshold = 7,
                                 .pause_count = 8,
                                 .iopm = 9,
                                 .msrpm = 10,
                                 .tsc_offset = 11,
                                 .asid = 12,
                                 .tlb_control = 13,
                                 .int_ctl = 14,
                                 .int_vector = 15,
                                 .int_state = 16,
                                 .exit_int_info = 17,
                                 .np_enable = 18,
                                 .event_inj = 19,
                                 .nested_cr3 = 20,
                                 .virt_ext = 21,
                                 .clean = 22,
                                 .next_rip = 23},
                     .save = {.cs = {24, 25, 26, 27},
                              .idtr = {.limit = 28, .base = 29},
                              .cpl = 3,
                              .efer = 30,
                              .cr4 = 31,
                              .cr0 = 32,
                              .rflags = 33,
                              .rip = 34,
                              .rsp = 35,
                              .rax = 36,
                              .cr2 = 37,
                              .pat = 38,
                              .debugctl = 39}};
    struct nested_failed f = {.vendor = VENDOR_AMD};
    memcpy(f.page, &v, sizeof(f.page));
    static const struct {
        const char *name;
        u64 value;
    } rows[] = {
        {"INTERCEPT_CR", 1},
        {"INTERCEPT_5", 6},
        {"PAUSE_THRESHOLD", 7},
        {"PAUSE_COUNT", 8},
        {"IOPM_BASE_PA", 9},
        {"MSRPM_BASE_PA", 10},
        {"TSC_OFFSET", 11},
        {"ASID", 12},
        {"TLB_CONTROL", 13},
        {"V_INTR", 14},
        {"V_INTR_VECTOR", 15},
        {"INTERRUPT_SHADOW", 16},
        {"EXITINTINFO", 17},
        {"NP_ENABLE", 18},
        {"EVENTINJ", 19},
        {"N_CR3", 20},
        {"VIRT_EXT", 21},
        {"CLEAN", 22},
        {"NRIP", 23},
        {"CS_SEL", 24},
        {"CS_ATTR", 25},
        {"CS_LIMIT", 26},
        {"CS_BASE", 27},
        {"IDTR_LIMIT", 28},
        {"IDTR_BASE", 29},
        {"CPL", 3},
        {"EFER", 30},
        {"CR4", 31},
        {"CR0", 32},
        {"RFLAGS", 33},
        {"RIP", 34},
        {"RSP", 35},
        {"RAX", 36},
        {"CR2", 37},
        {"G_PAT", 38},
        {"DBGCTL", 39},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        expect_field(&f, rows[i].name, rows[i].value);
}

static void a_refused_vmcs_by_name(void **state)
{
    struct nested_failed f = {.vendor = VENDOR_INTEL};
    f.field[VMCS_RFLAGS] = 0x46;
    f.field[VMCS_HOST_RIP] = 0x1000;
    expect_field(&f, "RFLAGS", 0x46);
    expect_field(&f, "HOST_RIP", 0x1000);
}

static void the_last_refused_of_all_vcpus(void **state)
{
    struct nested_ring *r = calloc(3, sizeof(*r));
    assert_null(nested_failed_last(r, 3));
    r[0].failed.time = 5;
    r[2].failed.time = 7;
    assert_ptr_equal(nested_failed_last(r, 3), &r[2].failed);
    free(r);
}

/* ---- rings and counts ---- */

struct seen {
    unsigned n;
    u64 last_time, first_code, last_code;
    bool ordered;
};

static void see(const struct nested_event *e, void *arg)
{
    struct seen *s = arg;
    if (s->n == 0)
        s->first_code = e->code;
    s->ordered = s->ordered && e->time >= s->last_time;
    s->last_time = e->time;
    s->last_code = e->code;
    s->n++;
}

static void put(struct nested_ring *r, u64 time, u64 code)
{
    r->event[r->count++ % NESTED_RING_SIZE] = (struct nested_event){.time = time, .code = code};
}

static void the_last_thousand_of_all_vcpus(void **state)
{
    struct nested_ring *r = calloc(3, sizeof(*r));
    struct seen s = {.ordered = true};
    nested_rings_each(r, 3, see, &s);
    assert_int_equal(s.n, 0);
    for (u64 i = 0; i < 2500; i++)
        put(&r[i % 2 * 2], i, i); /* the middle one stays empty */
    nested_rings_each(r, 3, see, &s);
    assert_int_equal(s.n, NESTED_RING_SIZE);
    assert_true(s.ordered);
    assert_int_equal(s.first_code, 1500);
    assert_int_equal(s.last_code, 2499);
    /* Written by nobody good. */
    memset(r, 0xff, 3 * sizeof(*r));
    s = (struct seen){0};
    nested_rings_each(r, 3, see, &s);
    assert_int_equal(s.n, NESTED_RING_SIZE);
    free(r);
}

static void feed(struct exit_counts *t, u8 kind, u64 where, u64 code, u64 at)
{
    struct nested_event e = {.kind = kind, .where = where, .code = code, .retired = at, .time = 10 * at};
    exit_counts_feed(t, &e);
}

static void exits_are_counted_and_cost(void **state)
{
    struct exit_counts *t = calloc(1, sizeof(*t));
    const struct exit_count *s[EXIT_COUNTS_MAX];
    feed(t, NESTED_ENTRY, 0x2000, 0, 1);
    feed(t, NESTED_EXIT, 0x2000, 10, 5);
    feed(t, NESTED_ENTRY, 0x2000, 0, 25);
    feed(t, NESTED_EXIT, 0x2000, 10, 30);
    feed(t, NESTED_VMFAIL, 0x2000, 7, 31); /* no crossing: the cost goes on */
    feed(t, NESTED_ENTRY, 0x1000, 0, 70);
    feed(t, NESTED_EXIT, 0x1000, 12, 80);
    feed(t, NESTED_REFUSED, 0x1000, 33, 90);
    feed(t, NESTED_ENTRY, 0x1000, 0, 100);
    feed(t, NESTED_EXIT, 0x2000, 48, 101);
    assert_int_equal(exit_counts_sort(t, s), 4);
    assert_int_equal(s[0]->where, 0x1000);
    assert_int_equal(s[0]->code, 12);
    assert_int_equal(s[0]->closed, 0); /* the refused entry came in between, and is what went on */
    assert_int_equal(s[1]->code, 33);
    assert_int_equal(s[1]->closed, 1);
    assert_int_equal(s[2]->where, 0x2000);
    assert_int_equal(s[2]->count, 2);
    assert_int_equal(s[2]->closed, 2);
    assert_int_equal(s[2]->retired, 20 + 40);
    assert_int_equal(s[2]->ns, 600);
    assert_int_equal(s[3]->count, 1);
    assert_int_equal(s[3]->closed, 0);
    free(t);
}

static void a_full_table_says_so(void **state)
{
    struct exit_counts *t = calloc(1, sizeof(*t));
    const struct exit_count *s[EXIT_COUNTS_MAX];
    for (u64 i = 0; i < EXIT_COUNTS_MAX + 100; i++)
        feed(t, NESTED_EXIT, i << 12, 10, i);
    feed(t, NESTED_EXIT, 5 << 12, 10, 9999); /* known ones still count */
    assert_int_equal(t->lost, 100);
    assert_int_equal(exit_counts_sort(t, s), EXIT_COUNTS_MAX);
    assert_int_equal(s[5]->count, 2);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_have_names),
        cmocka_unit_test(vmx_exits_in_words),
        cmocka_unit_test(svm_exits_in_words),
        cmocka_unit_test(failures_in_words),
        cmocka_unit_test(aborts_in_words),
        cmocka_unit_test(records_may_hold_anything),
        cmocka_unit_test(a_refused_vmcb_by_name),
        cmocka_unit_test(a_refused_vmcs_by_name),
        cmocka_unit_test(the_last_refused_of_all_vcpus),
        cmocka_unit_test(the_last_thousand_of_all_vcpus),
        cmocka_unit_test(exits_are_counted_and_cost),
        cmocka_unit_test(a_full_table_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
