/* SPDX-License-Identifier: MIT */
/* The command line of `droste run`: every option's good and bad values, and what the lines of refusal say. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cmd/run_options.h"

#define ARGS_MAX 16

static struct run_config config;
static struct err err;

/* Parses words up to NULL, behind "--kernel k" unless they begin with one. */
static int parse(const char *const *words)
{
    const char *argv[ARGS_MAX] = {"--kernel", "k"};
    int argc = 2;
    while (*words)
        argv[argc++] = *words++;
    err = (struct err){0};
    return run_config_parse(&config, argc, (char *const *)argv, &err);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})
#define GOOD(...)  assert_int_equal(PARSE(__VA_ARGS__), 0)

static int forget(void **state)
{
    run_config_free(&config);
    return 0;
}

static void defaults_are_those_of_the_contract(void **state)
{
    GOOD("--no-reboot");
    assert_string_equal(config.kernel, "k");
    assert_int_equal(config.memory, GIB);
    assert_int_equal(config.cpus, 1);
    assert_int_equal(config.engine, RUN_ENGINE_AUTO);
    assert_int_equal(config.vendor, RUN_VENDOR_HOST);
    assert_int_equal(config.serial, RUN_SERIAL_STDIO);
    assert_int_equal(config.net_count + config.disk_count + config.module_count, 0);
    assert_true(config.no_reboot);
    assert_false(config.test_devices || config.icount || config.timeout_ms);
}

static void both_spellings_of_a_value_are_taken(void **state)
{
    GOOD("--memory=512M", "--cpus", "4", "--append=console=ttyS0 a=b");
    assert_int_equal(config.memory, 512 * MIB);
    assert_int_equal(config.cpus, 4);
    assert_string_equal(config.append, "console=ttyS0 a=b");
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        u64 bytes; /* 0: refused */
    } rows[] = {
        {"512M", 512 * MIB},
        {"1G", GIB},
        {"2GB", 2 * GIB},
        {"3gib", 3 * GIB},
        {"1024k", MIB},
        {"1T", 1024 * GIB},
        {"1048576", MIB},
        {"512", 0},
        {"1.5G", 0},
        {"", 0},
        {"G", 0},
        {"-1G", 0},
        {"1X", 0},
        {"1GG", 0},
        {"1GiBs", 0},
        {"1500K", 0},
        {"99999999999G", 0},
        {"16777216T", 0},
        {"2T", 0},
        {"0", 0},
        {"18446744073709551617", 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        int r = PARSE("--memory", rows[i].text);
        assert_int_equal(r, rows[i].bytes ? 0 : -1);
        if (rows[i].bytes)
            assert_int_equal(config.memory, rows[i].bytes);
        else
            assert_non_null(strstr(err.text, "--memory"));
        run_config_free(&config);
    }
}

static void modules_have_arguments_and_literal_commas(void **state)
{
    GOOD("--initrd", "a.flat x=1,,2 y,dir,,name/b,c  two");
    assert_int_equal(config.module_count, 3);
    assert_string_equal(config.modules[0].file, "a.flat");
    assert_string_equal(config.modules[0].args, "x=1,2 y");
    assert_string_equal(config.modules[1].file, "dir,name/b");
    assert_string_equal(config.modules[1].args, "");
    assert_string_equal(config.modules[2].args, " two");
}

static void disks_and_adapters_repeat(void **state)
{
    GOOD("--disk", "a,,b,snapshot=on", "--disk", "c,readonly=on,snapshot=off", "--net", "user", "--net",
         "user,forward=2222:22,mac=52:54:00:AB:cd:01,forward=8080:80");
    assert_int_equal(config.disk_count, 2);
    assert_string_equal(config.disks[0].file, "a,b");
    assert_true(config.disks[0].snapshot && !config.disks[0].readonly);
    assert_true(!config.disks[1].snapshot && config.disks[1].readonly);
    assert_int_equal(config.net_count, 2);
    assert_int_equal(config.nets[1].forward_count, 2);
    assert_int_equal(config.nets[1].forwards[1].host, 8080);
    assert_int_equal(config.nets[1].forwards[1].guest, 80);
    assert_true(config.nets[1].has_mac);
    assert_int_equal(config.nets[1].mac[4], 0xcd);
}

static void more_than_the_limits_is_refused(void **state)
{
    char list[400] = "x";
    for (int i = 0; i < 100; i++)
        strcat(list, ",x");
    assert_int_equal(PARSE("--initrd", list), -1);
    run_config_free(&config);
    char forwards[1200] = "user";
    for (int i = 0; i < 60; i++)
        strcat(forwards, ",forward=1:1");
    assert_int_equal(PARSE("--net", forwards), -1);
}

static void timeouts_may_have_fractions(void **state)
{
    GOOD("--timeout", "60");
    assert_int_equal(config.timeout_ms, 60000);
    GOOD("--timeout", "0.25");
    assert_int_equal(config.timeout_ms, 250);
}

static void engines(void **state)
{
    GOOD("--engine", "soft");
    assert_int_equal(config.engine, RUN_ENGINE_SOFT);
    assert_int_equal(config.jit, RUN_JIT_DEFAULT);
    GOOD("--engine", "soft,jit=off");
    assert_int_equal(config.jit, RUN_JIT_OFF);
}

/* Status and a piece of the one line that names option and remedy. */
static const struct {
    const char *words[8];
    int status;
    const char *says;
} refused[] = {
    {{"--memroy", "1G"}, 2, "did you mean --memory?"},
    {{"-kernel", "x"}, 2, "did you mean --kernel?"},
    {{"--kernal=x"}, 2, "did you mean --kernel?"},
    {{"--mem=1G"}, 2, "did you mean --memory?"},
    {{"--frobnicate"}, 2, "see droste run --help"},
    {{"image"}, 2, "--kernel FILE"},
    {{"--memory"}, 2, "--memory needs a value"},
    {{"--expect", "--timeout", "3"}, 2, "--expect needs a value"},
    {{"--no-reboot=yes"}, 2, "--no-reboot takes no value"},
    {{"--memory", "1G", "--memory", "2G"}, 2, "given twice"},
    {{"--cpus", "0"}, 2, "--cpus '0'"},
    {{"--cpus", "two"}, 2, "--cpus 'two'"},
    {{"--cpus", "513"}, 2, "1 to 512"},
    {{"--engine", "fast"}, 2, "auto|kvm|soft"},
    {{"--engine", "soft,jit=maybe"}, 2, "jit=on|off"},
    {{"--engine", "auto,jit=on"}, 2, "soft engine"},
    {{"--engine", "kvm", "--icount"}, 2, "--engine soft"},
    {{"--nested", "perhaps"}, 2, "on|off"},
    {{"--gdb", ""}, 2, "--gdb PORT|PATH"},
    {{"--gdb", "0"}, 2, "1 to 65535"},
    {{"--gdb", "65536"}, 2, "1 to 65535"},
    {{"--gdb", "1234", "--engine", "kvm"}, 2, "--engine soft"},
    {{"--net", "switch="}, 2, "switch=NAME"},
    {{"--net", "switch=lab,forward=1:2"}, 2, "after switch=NAME"},
    {{"--trace", "exits"}, 2, "add --nested on"},
    {{"--trace", "nested=f"}, 2, "add --nested on"},
    {{"--nested", "on", "--engine", "kvm", "--trace", "exits"}, 2, "use --engine soft"},
    {{"--nested", "on", "--engine", "kvm", "--trace", "nested"}, 2, "host's KVM serves"},
    {{"--nested", "on", "--trace", "nested", "--trace", "nested=f"}, 2, "given twice"},
    {{"--engine", "kvm", "--trace", "jit"}, 2, "use --engine soft"},
    {{"--engine", "soft,jit=off", "--trace", "perf=f"}, 2, "leave jit=off away"},
    {{"--trace", "jit", "--trace", "jit=f"}, 2, "given twice"},
    {{"--engine", "soft,jit=chaos:0"}, 2, "auto|kvm|soft"},
    {{"--engine", "soft,jit=chaos:x"}, 2, "auto|kvm|soft"},
    {{"--trace", "perf="}, 2, "perf[=FILE]"},
    {{"--engine", "kvm", "--trace", "gdbjit"}, 2, "--trace gdbjit shows"},
    {{"--trace", "gdbjit", "--trace", "gdbjit"}, 2, "given twice"},
    {{"--trace", "gdbjit=f"}, 2, "|gdbjit|"},
    {{"--trace", "exits="}, 2, "exits[=FILE]"},
    {{"--trace", "nestedly"}, 2, "nested[=FILE]"},
    {{"--net", "bridge"}, 2, "none|user"},
    {{"--net", "user,forward=22"}, 2, "forward=2222:22"},
    {{"--net", "user,forward=0:22"}, 2, "HOSTPORT:GUESTPORT"},
    {{"--net", "user,forward=70000:22"}, 2, "HOSTPORT:GUESTPORT"},
    {{"--net", "user,mac=01:00:00:00:00:00"}, 2, "mac=52"},
    {{"--net", "user,mac=52:54:00:00:00"}, 2, "mac=52"},
    {{"--net", "user,hostfwd=1"}, 2, "after user come"},
    {{"--net", "user", "--net", "none"}, 2, "contradict"},
    {{"--disk", ""}, 2, "FILE"},
    {{"--disk", "a,cache=none"}, 2, "readonly=on and snapshot=on"},
    {{"--disk", "a,readonly=yes"}, 2, "readonly=on"},
    {{"--initrd", "a,"}, 2, "empty"},
    {{"--serial", "file:"}, 2, "stdio|none|file:PATH"},
    {{"--serial", "pty"}, 2, "stdio|none|file:PATH"},
    {{"--serial", "none", "--expect", "x"}, 2, "--serial none"},
    {{"--expect", "("}, 2, "regular expression"},
    {{"--expect", ""}, 2, "--expect is empty"},
    {{"--timeout", "0"}, 2, "above 0"},
    {{"--timeout", "soon"}, 2, "seconds"},
    {{"--timeout", "5m"}, 2, "seconds"},
    {{"--icount", "--cpus", "2"}, 2, "--cpus 1"},
    {{"--trace", "hash"}, 2, "stats[=FILE]"},
    {{"--trace", "hash="}, 2, "stats[=FILE]"},
    {{"--trace", "stats="}, 2, "stats[=FILE]"},
    {{"--trace", "statistics"}, 2, "stats[=FILE]"},
    {{"--trace", "hash=f"}, 2, "add --icount"},
    {{"--icount", "--trace", "hash=f", "--trace", "hash=g"}, 2, "given twice"},
    {{"--trace", "stats", "--trace", "stats"}, 2, "given twice"},
    {{"--cpu-features", "+avx,,-aes"}, 2, "empty"},
    {{"--cpu-vendor", "via"}, 2, "intel|amd"},
    {{"--name", ""}, 2, "--name is empty"},
    {{"--kernel", "again"}, 2, "given twice"},
};

static void bad_usage_is_one_line_with_the_remedy(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        if (parse(refused[i].words) != -1 || err.status != refused[i].status ||
            !strstr(err.text, refused[i].says))
            fail_msg("%s %s: status %d, '%s' should say '%s'", refused[i].words[0],
                     refused[i].words[1] ? refused[i].words[1] : "", err.status, err.text, refused[i].says);
        assert_null(strchr(err.text, '\n'));
        run_config_free(&config);
    }
}

static void a_kernel_is_needed(void **state)
{
    char *argv[] = {"--memory", "1G"};
    err = (struct err){0};
    assert_int_equal(run_config_parse(&config, 2, argv, &err), -1);
    assert_non_null(strstr(err.text, "--kernel FILE"));
}

static void help_and_version_need_no_kernel(void **state)
{
    char *help[] = {"-h", "--nonsense"}, *version[] = {"--version"};
    assert_int_equal(run_config_parse(&config, 2, help, NULL), 0);
    assert_int_equal(config.action, RUN_HELP);
    assert_int_equal(run_config_parse(&config, 1, version, NULL), 0);
    assert_int_equal(config.action, RUN_VERSION);
}

static void help_names_every_option(void **state)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    run_options_help(f);
    fclose(f);
#define RUN_OPTION(id, name, ...) assert_non_null(strstr(text, "  --" name));
#include "config/run_options.def"
#undef RUN_OPTION
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(defaults_are_those_of_the_contract, forget),
        cmocka_unit_test_teardown(both_spellings_of_a_value_are_taken, forget),
        cmocka_unit_test_teardown(sizes, forget),
        cmocka_unit_test_teardown(modules_have_arguments_and_literal_commas, forget),
        cmocka_unit_test_teardown(disks_and_adapters_repeat, forget),
        cmocka_unit_test_teardown(more_than_the_limits_is_refused, forget),
        cmocka_unit_test_teardown(timeouts_may_have_fractions, forget),
        cmocka_unit_test_teardown(engines, forget),
        cmocka_unit_test_teardown(bad_usage_is_one_line_with_the_remedy, forget),
        cmocka_unit_test_teardown(a_kernel_is_needed, forget),
        cmocka_unit_test_teardown(help_and_version_need_no_kernel, forget),
        cmocka_unit_test(help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
