/* SPDX-License-Identifier: MIT */
/* The definition of a VM: its rows, what a file may hold, and files that are whole at every moment. */
#include <stdarg.h>
#include <setjmp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/vm_config.h"
#include "config/whole_file.h"

#define ID "0f1e2d3c-4b5a-4789-8abc-def012345678"

static struct vm_config a, b;
static struct err err;

static void fill(struct vm_config *c)
{
    vm_config_init(c);
    strcpy(c->id, ID);
    strcpy(c->name, "Lab „1“ /../ \\ $(x)");
    c->processors = 4;
    c->expose = true;
    c->vendor = VM_VENDOR_AMD;
    c->engine = VM_ENGINE_SOFT;
    c->memory = 2 * GIB;
    strcpy(c->kernel, "/boot/vmlinuz");
    strcpy(c->cmdline, "console=ttyS0 a=\"b\"");
    c->disk_count = 2;
    c->adapter_count = 1;
    for (unsigned i = 0; i < 2; i++) {
        schema_defaults(&vm_disk_schema, &c->disks[i]);
        c->disks[i].location = i;
        snprintf(c->disks[i].path, sizeof(c->disks[i].path), "/images/%u.img", i);
    }
    schema_defaults(&vm_adapter_schema, &c->adapters[0]);
    strcpy(c->adapters[0].id, "00000000-0000-4000-8000-000000000001");
    c->adapters[0].spoofing = true;
}

static int parse(const char *text)
{
    err = (struct err){0};
    return vm_config_parse(&b, text, strlen(text), &err);
}

static void what_is_printed_is_parsed(void **state)
{
    fill(&a);
    char *text = vm_config_print(&a, &err);
    assert_non_null(text);
    assert_int_equal(parse(text), 0);
    for (unsigned i = 0; i < vm_schema.count; i++)
        assert_true(setting_equal(&vm_schema.settings[i], &a, &b));
    assert_int_equal(b.disk_count, 2);
    assert_string_equal(b.disks[1].path, "/images/1.img");
    assert_true(b.adapters[0].spoofing);
    char *again = vm_config_print(&b, &err);
    assert_string_equal(text, again);
    free(again);
    free(text);
}

/* The text of a good definition with `from` replaced by `to`. */
static const char *changed(const char *from, const char *to)
{
    static char out[20000];
    fill(&a);
    char *text = vm_config_print(&a, &err);
    char *at = strstr(text, from);
    assert_non_null(at);
    snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    free(text);
    return out;
}

static void a_bad_file_is_refused_and_the_line_says_why(void **state)
{
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"\"format\": 2", "\"format\": 3", "newer program"},
        {"\"format\": 2", "\"format\": \"1\"", "format is missing"},
        {"\"format\": 2,", "", "format is missing"},
        {"\"processorCount\": 4", "\"processorCount\": 0", "processorCount"},
        {"\"processorCount\": 4", "\"processorCount\": 256", "processorCount"},
        {"\"processorCount\": 4", "\"processorCount\": -1", "processorCount"},
        {"\"processorCount\": 4", "\"processorCount\": 4.0", "processorCount"},
        {"\"processorCount\": 4", "\"processorCount\": 99999999999999999999", "damaged"},
        {"\"processorCount\": 4", "\"processorCount\": 4, \"processorCount\": 4", "damaged"},
        {"\"processorCount\": 4", "\"colour\": 4", "colour"},
        {"\"vendor\": \"AMD\"", "\"vendor\": \"amd\"", "vendor"},
        {"\"version\": \"12.0\"", "\"version\": \"13.0\"", "13.0"},
        {"\"version\": \"12.0\"", "\"version\": 12", "version"},
        {"true", "1", "exposeVirtualizationExtensions"},
        {ID, "../../../etc/passwd", "id"},
        {ID, "0F1E2D3C-4b5a-4789-8abc-def012345678", "id"},
        {"\"/boot/vmlinuz\"", "\"boot/vmlinuz\"", "kernelPath"},
        {"\"/boot/vmlinuz\"", "\"/boot/\\u0000\"", "damaged"},
        {"Lab ", "Lab\\n", "name"},
        {"\"memoryStartup\": 2147483648", "\"memoryStartup\": 2147483649", "MiB"},
        {"\"memoryMinimum\": 536870912", "\"memoryMinimum\": 2199023255552", "memoryMinimum"},
        {"\"controllerLocation\": 1", "\"controllerLocation\": 0", "hard drives"},
        {"\"/images/1.img\"", "\"\"", "path is missing"},
        {"\"hardDrives\": [", "\"hardDrives\": [[],", "hard drive"},
        {"\"macAddress\": \"\"", "\"macAddress\": \"00155D\"", "macAddress"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(parse(changed(rows[i].from, rows[i].to)), -1);
        if (!strstr(err.text, rows[i].says))
            fail_msg("row %u: '%s' does not say '%s'", i, err.text, rows[i].says);
    }
}

static void every_truncation_is_refused(void **state)
{
    fill(&a);
    char *text = vm_config_print(&a, &err);
    for (size_t len = 0; len < strlen(text); len++) {
        err = (struct err){0};
        assert_int_equal(vm_config_parse(&b, text, len, &err), -1);
        assert_true(err.status);
    }
    free(text);
}

static void absent_keys_have_their_defaults(void **state)
{
    assert_int_equal(parse("{\"format\": 1, \"id\": \"" ID "\", \"name\": \"x\"}"), 0);
    assert_int_equal(b.processors, 1);
    assert_int_equal(b.memory, 512 * MIB);
    assert_int_equal(b.version, version_default());
    assert_false(b.expose);
}

static void an_invalid_config_is_not_written(void **state)
{
    fill(&a);
    a.processors = 0;
    err = (struct err){0};
    assert_null(vm_config_print(&a, &err));
    fill(&a);
    strcpy(a.notes, "\xff\xfe");
    err = (struct err){0};
    assert_null(vm_config_print(&a, &err));
    assert_non_null(strstr(err.text, "UTF-8"));
}

static void versions_are_read_and_compared(void **state)
{
    static const char *const bad[] = {"", "1", "1.", ".1", "1.2.3", "1.x", "-1.0", "1000.0", "300.1", "8.0 "};
    unsigned v;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(version_parse(bad[i], &v));
    assert_true(version_parse("10.0", &v));
    assert_true(v > VERSION(9, 3) && version_known(v) && !version_known(VERSION(254, 0)));
    unsigned count;
    const struct vm_version *list = version_list(&count);
    for (unsigned i = 1; i < count; i++)
        assert_true(list[i].version > list[i - 1].version);
}

static int temporary(char path[64])
{
    strcpy(path, "/tmp/droste-config-XXXXXX");
    assert_non_null(mkdtemp(path));
    return open(path, O_RDONLY | O_DIRECTORY);
}

static void a_refused_write_leaves_the_old_file(void **state)
{
    char path[64];
    int dir = temporary(path);
    fill(&a);
    assert_int_equal(vm_config_write(&a, dir, "d", &err), 0);
    a.processors = 0;
    assert_int_equal(vm_config_write(&a, dir, "d", &err), -1);
    err = (struct err){0};
    assert_int_equal(vm_config_read(&b, dir, "d", &err), 0);
    assert_int_equal(b.processors, 4);
    unlinkat(dir, "d", 0);
    assert_int_equal(symlinkat("/etc/passwd", dir, "d"), 0);
    assert_int_equal(vm_config_read(&b, dir, "d", &err), -1);
    unlinkat(dir, "d", 0);
    close(dir);
    rmdir(path);
}

/* A child writes without pause and is killed at random: the file is the old one or a new one, never a part.
 */
static void a_killed_writer_leaves_a_whole_file(void **state)
{
    char path[64];
    int dir = temporary(path);
    fill(&a);
    assert_int_equal(vm_config_write(&a, dir, "d", &err), 0);
    srand(1);
    for (unsigned round = 0; round < 20; round++) {
        pid_t child = fork();
        if (child == 0)
            for (;;) {
                a.processors = a.processors % 255 + 1;
                if (vm_config_write(&a, dir, "d", &err))
                    _exit(1);
            }
        usleep((unsigned)(rand() % 20000));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        err = (struct err){0};
        assert_int_equal(vm_config_read(&b, dir, "d", &err), 0);
    }
    unlinkat(dir, "d", 0);
    unlinkat(dir, "d.part", 0);
    close(dir);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_parsed),
        cmocka_unit_test(a_bad_file_is_refused_and_the_line_says_why),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(absent_keys_have_their_defaults),
        cmocka_unit_test(an_invalid_config_is_not_written),
        cmocka_unit_test(versions_are_read_and_compared),
        cmocka_unit_test(a_refused_write_leaves_the_old_file),
        cmocka_unit_test(a_killed_writer_leaves_a_whole_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
