/* SPDX-License-Identifier: MIT */
/* Each rule broken and kept, the table of actions and states, and what the sentences name. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mgmt/rules.h"

static struct vm_config before, after;
static struct host_facts host;
static struct findings found;
static bool active;

static int begin(void **state)
{
    vm_config_init(&before);
    strcpy(before.name, "x");
    strcpy(before.kernel, "/k");
    after = before;
    active = false;
    host = (struct host_facts){.kvm = true, .kvm_nests = {true, true}};
    return 0;
}

static bool check(enum rule_occasion occasion, enum vm_state state)
{
    struct rule_case c = {occasion, &before, &after, state, active, &host};
    return rules_check(&c, &found);
}

/* Refused by this rule, in a sentence that has `says`. */
static void refused(enum rule_occasion occasion, enum vm_state state, enum rule_id rule, const char *says)
{
    assert_false(check(occasion, state));
    assert_int_equal(found.refusal.rule, rule);
    if (!strstr(found.refusal.text, says))
        fail_msg("'%s' does not say '%s'", found.refusal.text, says);
    assert_null(strstr(found.refusal.text, "%s"));
}

static void identity_never_changes(void **state)
{
    strcpy(after.id, "0f1e2d3c-4b5a-4789-8abc-def012345678");
    refused(ON_CHANGE, VM_OFF, RULE_never_changes, "id never changes");
}

static void extensions_change_only_while_off(void **state)
{
    after.expose = true;
    assert_true(check(ON_CHANGE, VM_OFF));
    refused(ON_CHANGE, VM_SAVED, RULE_expose_needs_off, "it is Saved. ");
    for (enum vm_state s = VM_STARTING; s < VM_STATE_COUNT; s++)
        refused(ON_CHANGE, s, RULE_expose_needs_off, vm_state_words[s]);
    before.expose = true;
    after.expose = false;
    assert_true(check(ON_CHANGE, VM_OFF));
    refused(ON_CHANGE, VM_RUNNING, RULE_expose_needs_off, "Off");
}

static void other_settings_follow_their_rows(void **state)
{
    after.processors = 2;
    refused(ON_CHANGE, VM_RUNNING, RULE_needs_off, "processorCount");
    refused(ON_CHANGE, VM_SAVED, RULE_needs_off, "Saved is not Off");
    after = before;
    strcpy(after.notes, "n");
    strcpy(after.name, "y");
    assert_true(check(ON_CHANGE, VM_RUNNING));
    after.disk_count = 1;
    refused(ON_CHANGE, VM_PAUSED, RULE_needs_off, "hard drives");
    after = before;
    after.adapter_count = before.adapter_count = 1;
    after.adapters[0].spoofing = true;
    assert_true(check(ON_CHANGE, VM_RUNNING));
    strcpy(after.adapters[0].mac, "00155D010203");
    refused(ON_CHANGE, VM_RUNNING, RULE_needs_off, "network adapters");
    assert_true(check(ON_CHANGE, VM_OFF));
    after = before;
    strcpy(after.adapters[0].name, "outer");
    strcpy(after.adapters[0].switch_name, "lab");
    after.adapters[0].vlan_mode = PORT_ACCESS;
    after.adapters[0].vlan = 7;
    assert_true(check(ON_CHANGE, VM_SAVED));
    after.adapter_count = 2;
    refused(ON_CHANGE, VM_SAVED, RULE_needs_off, "network adapters");
    after.adapter_count = 0;
    refused(ON_CHANGE, VM_RUNNING, RULE_needs_off, "network adapters");
}

static void versions_only_go_up(void **state)
{
    before.version = VERSION(8, 0);
    after.version = VERSION(9, 0);
    assert_true(check(ON_CHANGE, VM_OFF));
    refused(ON_CHANGE, VM_RUNNING, RULE_needs_off, "version");
    after.version = VERSION(7, 1);
    refused(ON_CHANGE, VM_OFF, RULE_version_down, "8.0");
}

static void each_vendor_needs_its_version(void **state)
{
    after.expose = true;
    before.version = after.version = VERSION(7, 1);
    refused(ON_CHANGE, VM_OFF, RULE_expose_version_intel, "8.0 or later; this one is 7.1");
    refused(ON_CREATE, VM_OFF, RULE_expose_version_intel, "Update-VMVersion");
    refused(ON_START, VM_OFF, RULE_expose_version_intel, "Intel");
    before.version = after.version = VERSION(8, 0);
    assert_true(check(ON_CHANGE, VM_OFF));
    before.version = after.version = VERSION(9, 3);
    after.vendor = VM_VENDOR_AMD;
    refused(ON_CHANGE, VM_OFF, RULE_expose_version_amd, "10.0 or later; this one is 9.3");
    before.version = after.version = VERSION(10, 0);
    assert_true(check(ON_CHANGE, VM_OFF));
}

static void changing_the_vendor_checks_again(void **state)
{
    before.version = after.version = VERSION(9, 0);
    before.expose = after.expose = true;
    after.vendor = VM_VENDOR_AMD;
    refused(ON_CHANGE, VM_OFF, RULE_expose_version_amd, "9.0");
    after.expose = false;
    assert_true(check(ON_CHANGE, VM_OFF));
}

static void the_engine_must_be_able_to_nest_when_it_is_set(void **state)
{
    host.kvm_nests[VM_VENDOR_AMD] = false;
    strcpy(host.kvm_no_nested[VM_VENDOR_AMD], "the host's processor is not AMD's");
    after.expose = true;
    after.vendor = VM_VENDOR_AMD;
    after.engine = VM_ENGINE_KVM;
    refused(ON_CHANGE, VM_OFF, RULE_kvm_cannot_nest, "the host's processor is not AMD's. Engine Soft");
    after.engine = VM_ENGINE_SOFT;
    assert_true(check(ON_CHANGE, VM_OFF));
    after.engine = VM_ENGINE_AUTO;
    assert_true(check(ON_CHANGE, VM_OFF));
    after.engine = VM_ENGINE_KVM;
    after.vendor = VM_VENDOR_INTEL;
    assert_true(check(ON_CHANGE, VM_OFF));
}

static void kvm_must_be_there(void **state)
{
    host.kvm = false;
    strcpy(host.kvm_why, "there is no /dev/kvm");
    after.engine = VM_ENGINE_KVM;
    assert_true(rules_need_host(&after));
    refused(ON_CHANGE, VM_OFF, RULE_kvm_absent, "there is no /dev/kvm");
    assert_false(rules_need_host(&before));
    before.engine = VM_ENGINE_KVM; /* from another host: what else it is may change, but start it cannot */
    strcpy(after.notes, "mine");
    assert_true(check(ON_CHANGE, VM_OFF));
    refused(ON_START, VM_OFF, RULE_kvm_absent, "there is no /dev/kvm");
}

static void settings_need_the_version_that_has_them(void **state)
{
    before.version = after.version = VERSION(5, 0);
    after.expose = true;
    struct rule_case c = {ON_CREATE, NULL, &after, VM_OFF, false, &host};
    assert_false(rules_check(&c, &found)); /* the more telling rule comes first */
    assert_int_equal(found.refusal.rule, RULE_expose_version_intel);
    for (unsigned i = 0; i < vm_schema.count; i++)
        assert_true(vm_schema.settings[i].since <= version_default());
}

static void above_225_processors_is_warned_of(void **state)
{
    before.processors = after.processors = 226;
    after.expose = true;
    assert_true(check(ON_CHANGE, VM_OFF));
    assert_int_equal(found.warning_count, 1);
    assert_int_equal(found.warnings[0].rule, RULE_processors_225);
    assert_non_null(strstr(found.warnings[0].text, "226"));
    before = after;
    strcpy(after.notes, "not asked again");
    assert_true(check(ON_CHANGE, VM_OFF));
    assert_int_equal(found.warning_count, 0);
    after.processors = 225;
    assert_true(check(ON_CHANGE, VM_OFF));
    assert_int_equal(found.warning_count, 0);
}

static void memory_stays_while_a_hypervisor_runs_in_the_guest(void **state)
{
    before.expose = after.expose = true;
    after.memory = GIB;
    active = true;
    refused(ON_CHANGE, VM_RUNNING, RULE_active_resize, "nested virtualization is active");
    active = false; /* exposed alone changes nothing */
    assert_true(check(ON_CHANGE, VM_RUNNING));
    refused(ON_CHANGE, VM_PAUSED, RULE_memory_state, "it is Paused");
    refused(ON_CHANGE, VM_SAVED, RULE_memory_state, "it is Saved");
    assert_true(check(ON_CHANGE, VM_OFF));
    assert_true(rules_memory_may_move(VM_RUNNING, false));
    assert_false(rules_memory_may_move(VM_RUNNING, true));
    assert_false(rules_memory_may_move(VM_PAUSED, false));
}

static void dynamic_memory_has_its_bounds(void **state)
{
    after.memory_buffer = 30;
    refused(ON_CHANGE, VM_OFF, RULE_dynamic_only, "memoryBuffer");
    after = before;
    after.dynamic = true;
    assert_true(check(ON_CHANGE, VM_OFF));
    refused(ON_CHANGE, VM_RUNNING, RULE_needs_off, "dynamicMemory");
    before.dynamic = true;
    after.memory_maximum = 2 * after.memory;
    assert_true(check(ON_CHANGE, VM_OFF));
    assert_true(check(ON_CHANGE, VM_RUNNING));
    after.memory_maximum = after.memory / 2;
    refused(ON_CHANGE, VM_OFF, RULE_dynamic_order, "512, 512 and 256 MB");
    after.memory_maximum = after.memory;
    after.memory_minimum = 64 * MIB;
    after.memory_buffer = 50;
    after.memory_priority = 80;
    assert_true(check(ON_CHANGE, VM_RUNNING));
    active = true; /* the bounds may change, what is there stays */
    assert_true(check(ON_CHANGE, VM_RUNNING));
    active = false;
    after.memory_minimum = 2 * after.memory;
    refused(ON_CHANGE, VM_OFF, RULE_dynamic_order, "1024, 512");
    after = before;
    after.memory = GIB;
    refused(ON_CHANGE, VM_RUNNING, RULE_startup_needs_off, "StartupBytes");
    assert_true(check(ON_CHANGE, VM_OFF));
}

static void a_start_needs_something_to_boot(void **state)
{
    assert_true(check(ON_START, VM_OFF));
    after.kernel[0] = 0;
    refused(ON_START, VM_OFF, RULE_no_boot_source, "Set-VMFirmware -KernelPath");
    assert_true(check(ON_CREATE, VM_OFF));
}

static void actions_have_their_states(void **state)
{
    static const struct {
        enum vm_action action;
        const char *states; /* O R P S: Off, Running, Paused, Saved */
    } rows[] = {
        {ACTION_start, "OS"}, {ACTION_shut_down, "R"}, {ACTION_turn_off, "RP"}, {ACTION_suspend, "R"},
        {ACTION_resume, "P"}, {ACTION_save, "RP"},     {ACTION_restart, "R"},   {ACTION_remove, "OS"},
        {ACTION_update, "O"}, {ACTION_copy, "O"},      {ACTION_attach, "RP"},   {ACTION_drop_state, "S"},
    };
    static const struct {
        enum vm_state state;
        char letter;
    } states[] = {{VM_OFF, 'O'}, {VM_RUNNING, 'R'}, {VM_PAUSED, 'P'}, {VM_SAVED, 'S'}};
    assert_int_equal(ARRAY_SIZE(rows), VM_ACTION_COUNT);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(states); k++) {
            struct finding f;
            bool may = rules_action(rows[i].action, states[k].state, &f);
            assert_int_equal(may, strchr(rows[i].states, states[k].letter) != NULL);
            if (!may)
                assert_non_null(strstr(f.text, vm_state_words[states[k].state]));
        }
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identity_never_changes),
        TEST(extensions_change_only_while_off),
        TEST(other_settings_follow_their_rows),
        TEST(versions_only_go_up),
        TEST(each_vendor_needs_its_version),
        TEST(changing_the_vendor_checks_again),
        TEST(the_engine_must_be_able_to_nest_when_it_is_set),
        TEST(kvm_must_be_there),
        TEST(settings_need_the_version_that_has_them),
        TEST(above_225_processors_is_warned_of),
        TEST(memory_stays_while_a_hypervisor_runs_in_the_guest),
        TEST(dynamic_memory_has_its_bounds),
        TEST(a_start_needs_something_to_boot),
        TEST(actions_have_their_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
