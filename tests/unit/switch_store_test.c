/* SPDX-License-Identifier: MIT */
/* Where virtual switches are kept: names, damaged files, one command at a time; and addresses for adapters.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/errors.h"
#include "config/port_rule.h"
#include "mgmt/adapters.h"
#include "mgmt/mac_pool.h"
#include "mgmt/switch_store.h"

static char home[64];
static struct switch_store store;
static struct err err;

static int begin(void **state)
{
    strcpy(home, "/tmp/droste-switch-XXXXXX");
    err = (struct err){0};
    return !mkdtemp(home) || setenv("DROSTE_HOME", home, 1) || switch_store_open(&store, &err);
}

static int end(void **state)
{
    char command[100];
    switch_store_close(&store);
    snprintf(command, sizeof(command), "rm -rf %s", home);
    return system(command);
}

static struct switch_config config(const char *name, enum switch_type type)
{
    struct switch_config c;
    switch_config_init(&c);
    snprintf(c.name, sizeof(c.name), "%s", name);
    c.type = type;
    return c;
}

static struct switch_config create(const char *name, enum switch_type type)
{
    struct switch_config c = config(name, type);
    assert_int_equal(switch_store_create(&store, &c, &err), 0);
    return c;
}

static unsigned count(void)
{
    struct switch_entry *list;
    unsigned n;
    assert_int_equal(switch_store_list(&store, &list, &n, &err), 0);
    for (unsigned i = 1; i < n; i++)
        assert_true(list[i].fault.status || strcasecmp(list[i - 1].config.name, list[i].config.name) < 0);
    free(list);
    return n;
}

static void names_are_unique_without_regard_to_case(void **state)
{
    struct switch_entry e;
    create("../Lab „1“", SWITCH_PRIVATE);
    create("b", SWITCH_PRIVATE);
    struct switch_config again = config("../lab „1“", SWITCH_INTERNAL);
    assert_int_equal(switch_store_create(&store, &again, &err), -1);
    assert_int_equal(err.id, ERROR_OBJECT_EXISTS);
    assert_int_equal(count(), 2);
    assert_int_equal(switch_store_find(&store, "../LAB „1“", &e, &err), 0);
    assert_string_equal(e.config.name, "../Lab „1“");
    err = (struct err){0};
    assert_int_equal(switch_store_find(&store, "c", &e, &err), -1);
    assert_int_equal(err.id, ERROR_OBJECT_NOT_FOUND);
}

static void a_change_to_a_taken_name_is_refused(void **state)
{
    struct switch_folder f;
    struct switch_entry e;
    create("a", SWITCH_PRIVATE);
    struct switch_config b = create("b", SWITCH_PRIVATE);
    assert_int_equal(switch_store_take(&store, b.id, "test", &f, &err), 0);
    strcpy(f.config.name, "A");
    assert_int_equal(switch_store_put(&store, &f, &err), -1);
    strcpy(f.config.name, "B");
    assert_int_equal(switch_store_put(&store, &f, &err), 0);
    switch_store_release(&f);
    assert_true(switch_store_load(&store, b.id, &e));
    assert_string_equal(e.config.name, "B");
}

static void only_one_command_has_a_switch(void **state)
{
    struct switch_folder f, g;
    struct switch_config c = create("a", SWITCH_PRIVATE);
    assert_int_equal(switch_store_take(&store, c.id, "Set-VMSwitch", &f, &err), 0);
    assert_int_equal(switch_store_take(&store, c.id, "Remove-VMSwitch", &g, &err), -1);
    assert_int_equal(err.id, ERROR_OBJECT_BUSY);
    assert_non_null(strstr(err.text, "Set-VMSwitch (process"));
    assert_int_equal(switch_store_remove(&store, &f, &err), 0);
    switch_store_release(&f);
    err = (struct err){0};
    assert_int_equal(switch_store_take(&store, c.id, "Set-VMSwitch", &f, &err), -1);
    assert_int_equal(err.id, ERROR_OBJECT_NOT_FOUND);
    assert_int_equal(count(), 0);
}

static void put_file(const char *id, const char *text)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.json", id);
    int fd = openat(store.data, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void damaged_ones_are_told_and_left(void **state)
{
    static const char id[] = "00000000-0000-4000-8000-00000000000", text[] = "{\"format\": 9}";
    struct switch_entry e;
    struct switch_folder f;
    char name[40], now[40];
    create("good", SWITCH_PRIVATE);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%u", id, i);
        put_file(name, i == 0 ? text : i == 1 ? "{\"form" : "");
        assert_true(switch_store_load(&store, name, &e));
        assert_true(e.fault.status);
        err = (struct err){0};
        assert_int_equal(switch_store_take(&store, name, "test", &f, &err), -1);
    }
    assert_int_equal(count(), 4);
    create("other", SWITCH_PRIVATE);
    int fd = openat(store.data, "00000000-0000-4000-8000-000000000000.json", O_RDONLY);
    assert_int_equal(read(fd, now, sizeof(now)), strlen(text));
    assert_memory_equal(now, text, strlen(text));
    close(fd);
}

static void what_hostile_names_of_files_say_is_not_believed(void **state)
{
    struct switch_entry e;
    struct switch_config c = create("a", SWITCH_PRIVATE);
    char text[2000], file[64];
    snprintf(file, sizeof(file), "%s.json", c.id);
    int fd = openat(store.data, file, O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n] = 0;
    put_file("00000000-0000-4000-8000-000000000001", text); /* the definition of another switch */
    assert_true(switch_store_load(&store, "00000000-0000-4000-8000-000000000001", &e));
    assert_non_null(strstr(e.fault.text, "of another switch"));
    assert_false(switch_store_load(&store, "../vm", &e));
    assert_false(switch_store_load(&store, "", &e));
}

static void a_killed_command_leaves_whole_switches(void **state)
{
    unsigned before = 0;
    for (unsigned round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (unsigned i = 0;; i++) {
                struct switch_config c;
                struct switch_folder f;
                char name[40];
                snprintf(name, sizeof(name), "s%u-%u", round, i);
                c = config(name, SWITCH_PRIVATE);
                if (switch_store_create(&store, &c, NULL) ||
                    switch_store_take(&store, c.id, "test", &f, NULL))
                    _exit(1);
                if (i % 2 && switch_store_remove(&store, &f, NULL))
                    _exit(1);
                switch_store_release(&f);
            }
        }
        usleep(2000 + round * 531);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct switch_entry *list;
        unsigned n;
        assert_int_equal(switch_store_list(&store, &list, &n, &err), 0);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(list[i].fault.status, 0);
        free(list);
        assert_true(n >= before);
        before = n;
    }
}

static void addresses_are_of_the_pool_and_free(void **state)
{
    char first[13], last[13], mac[13];
    assert_int_equal(mac_pool_range(first, last, &err), 0);
    assert_memory_equal(first, "00155D", 6);
    assert_memory_equal(first, last, 10);
    assert_int_equal(mac_pool_take(NULL, mac, &err), 0);
    assert_string_equal(mac, first);
    struct switch_config c = create("a", SWITCH_INTERNAL);
    assert_memory_equal(c.mac, first, 10);
    assert_string_not_equal(c.mac, first); /* given, though nobody has it yet */
    for (unsigned i = 0; i < 256; i++) {   /* once round */
        assert_int_equal(mac_pool_take(NULL, mac, &err), 0);
        assert_string_not_equal(mac, c.mac);
    }
    assert_string_equal(create("b", SWITCH_PRIVATE).mac, "");
}

static void addresses_are_read_as_users_write_them(void **state)
{
    static const char *const bad[] = {"",
                                      "00155D01020",
                                      "00155D0102033",
                                      "01-15-5D-01-02-03",
                                      "00155D01020G",
                                      "0-0155D010203",
                                      "000000000000",
                                      "00-15-5D-01-02-03-"};
    char mac[13];
    assert_true(mac_parse("00-15-5d-01-02-03", mac));
    assert_string_equal(mac, "00155D010203");
    assert_true(mac_parse("00:15:5D:01:02:03", mac));
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(mac_parse(bad[i], mac));
}

static void a_remedy_is_ready_to_be_given(void **state)
{
    char text[sizeof(((struct message *)0)->notice)], longest[101];
    adapter_spoofing_notice(text, sizeof(text), "Bob's $(x) \"VM\"", "Network Adapter");
    assert_non_null(strstr(text, "Set-VMNetworkAdapter -VMName 'Bob''s $(x) \"VM\"' -Name 'Network Adapter' "
                                 "-MacAddressSpoofing On lets them pass"));
    memset(longest, '\'', 100);
    longest[100] = 0;
    adapter_spoofing_notice(text, sizeof(text), longest, longest);
    assert_non_null(strstr(text, "'' -MacAddressSpoofing On lets them pass"));
}

static void lists_of_vlans(void **state)
{
    static const char *const bad[] = {"1-",   "-1",    "4095", "5-4", "1,",         ",1",
                                      "1,,2", "1-2-3", "a",    "1 2", "99999999999"};
    struct vlan_set s;
    assert_int_equal(vlan_set_parse(&s, "1-3, 100,4094", &err), 0);
    for (unsigned v = 0; v <= 4095; v++)
        assert_int_equal(vlan_set_has(&s, v), (v >= 1 && v <= 3) || v == 100 || v == 4094);
    assert_int_equal(vlan_set_parse(&s, "", &err), 0);
    assert_false(vlan_set_has(&s, 0));
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(vlan_set_parse(&s, bad[i], &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_unique_without_regard_to_case, begin, end),
        cmocka_unit_test_setup_teardown(a_change_to_a_taken_name_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(only_one_command_has_a_switch, begin, end),
        cmocka_unit_test_setup_teardown(damaged_ones_are_told_and_left, begin, end),
        cmocka_unit_test_setup_teardown(what_hostile_names_of_files_say_is_not_believed, begin, end),
        cmocka_unit_test_setup_teardown(a_killed_command_leaves_whole_switches, begin, end),
        cmocka_unit_test_setup_teardown(addresses_are_of_the_pool_and_free, begin, end),
        cmocka_unit_test(addresses_are_read_as_users_write_them),
        cmocka_unit_test(a_remedy_is_ready_to_be_given),
        cmocka_unit_test(lists_of_vlans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
