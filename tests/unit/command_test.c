/* SPDX-License-Identifier: MIT */
/*
 * The command language with commands of its own: how parameters are bound from words, positions and the
 * pipeline, what -WhatIf, -Confirm, -Verbose and -ErrorAction do, what is refused, and that any text ends in
 * order.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cmd/lang/cmdlet.h"
#include "cmd/lang/lex.h"
#include "cmd/lang/run.h"

#include "cmd/lang/rows_declare.h"
#include "command_test.def"
#include "cmd/core.def"
#include "cmd/lang/rows_data.h"

static const struct row rows[] = {
#include "command_test.def"
#include "cmd/core.def"
};

static void offer_things(const char *kind, void (*each)(void *arg, const char *name), void *arg)
{
    if (strcmp(kind, "Thing") == 0) {
        each(arg, "lab");
        each(arg, "two words");
    }
}
static const struct command_set commands = {.rows = rows, .count = ARRAY_SIZE(rows), .names = offer_things};

/* ---- the commands ---- */

static const char *const names[] = {"web", "db", "lab"};

static int get_thing(struct cmdlet_call *c)
{
    for (unsigned i = 0; i < arg_count(c, "Name"); i++) {
        const char *wanted = arg_string_at(c, "Name", i);
        unsigned found = 0;
        for (unsigned j = 0; j < ARRAY_SIZE(names); j++) {
            if (!wildcard_match(wanted, names[j]))
                continue;
            found++;
            struct value o = object_new(call_arena(c), call_type(c, "Thing"));
            object_set(o, "Name", value_static(names[j]));
            object_set(o, "Size", value_int((j + 1) * 1048576));
            if (emit(c, o) < 0)
                return -1;
        }
        if (!found && call_error(c, ERROR_NOT_FOUND, wanted,
                                 "There is no thing \"%s\".\nNew-Thing makes one.", wanted) < 0)
            return -1;
    }
    return 0;
}
const struct cmdlet_ops cmdlet_get_thing = {.process = get_thing};

/* What was bound, as text: one line a call. */
static int set_thing(struct cmdlet_call *c)
{
    struct text t = {.arena = call_arena(c)};
    if (!call_should(c, "change %s.", call_set(c)))
        return 0;
    text_printf(&t, "%s:", call_set(c));
    for (unsigned i = 0; i < arg_count(c, "Name"); i++)
        text_printf(&t, " name=%s", arg_string_at(c, "Name", i));
    for (unsigned i = 0; i < arg_count(c, "Thing"); i++)
        text_printf(&t, " thing=%s", value_to_string(call_arena(c), arg_at(c, "Thing", i)));
    if (arg_given(c, "Enabled"))
        text_printf(&t, " enabled=%d", arg_switch(c, "Enabled"));
    if (arg_given(c, "Bytes"))
        text_printf(&t, " bytes=%lld", (long long)arg_int(c, "Bytes", -1));
    if (arg_given(c, "Mode"))
        text_printf(&t, " mode=%s/%d", arg_string(c, "Mode"), arg_word(c, "Mode"));
    if (arg_given(c, "Version"))
        text_printf(&t, " version=%s", arg_string(c, "Version"));
    return emit(c, value_static(text_string(&t)));
}
const struct cmdlet_ops cmdlet_set_thing = {.process = set_thing};

static int remove_thing(struct cmdlet_call *c)
{
    if (!arg_switch(c, "Force") &&
        !call_confirmed(c, "Are you sure you want to remove \"%s\"?", arg_string(c, "Name")))
        return 0;
    return emit(c, value_printf(call_arena(c), "removed %s", arg_string(c, "Name")));
}
const struct cmdlet_ops cmdlet_remove_thing = {.process = remove_thing};

/* Counts its calls, so that begin, end and release are seen. */
struct count_state {
    unsigned begun, calls;
};
static unsigned released;
static int count_begin(struct cmdlet_call *c)
{
    ((struct count_state *)call_state(c))->begun++;
    return 0;
}
static int count_process(struct cmdlet_call *c)
{
    ((struct count_state *)call_state(c))->calls++;
    return 0;
}
static int count_end(struct cmdlet_call *c)
{
    struct count_state *s = call_state(c);
    return emit(c, value_printf(call_arena(c), "begun %u, %u calls", s->begun, s->calls));
}
static void count_release(struct cmdlet_call *c)
{
    released++;
}
const struct cmdlet_ops cmdlet_count_thing = {count_begin, count_process, count_end, count_release,
                                              sizeof(struct count_state)};

/* ---- the rig ---- */

static char *out_text, *err_text;
static size_t out_len, err_len;
static int status;

static unsigned width; /* of the terminal */

static void run_with(const char *answers, const char *text, int argc, const char **argv)
{
    free(out_text);
    free(err_text);
    FILE *out = open_memstream(&out_text, &out_len), *err = open_memstream(&err_text, &err_len);
    FILE *in = answers ? fmemopen((void *)answers, strlen(answers), "r") : NULL;
    struct session *s = session_new(&commands, (struct session_io){out, err, in, width, 100000});
    status = text ? session_run(s, text, NULL) : session_run_words(s, argc, (char *const *)argv);
    session_free(s);
    fclose(out);
    fclose(err);
    if (in)
        fclose(in);
}

static void prints(const char *text, const char *want)
{
    run_with(NULL, text, 0, NULL);
    assert_string_equal(err_text, "");
    assert_string_equal(out_text, want);
    assert_int_equal(status, 0);
}

static void fails(const char *text, int want, const char *part)
{
    run_with(NULL, text, 0, NULL);
    if (!strstr(err_text, part))
        assert_string_equal(err_text, part);
    assert_int_equal(status, want);
}

#define WORDS(...)                                                                                           \
    run_with(NULL, NULL, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                             \
             (const char *[]){__VA_ARGS__})

/* ---- binding ---- */

static void positions_and_names(void **state)
{
    prints("Set-Thing lab $true 2GB", "Name: name=lab enabled=1 bytes=2147483648\n");
    prints("set-thing -bytes:0x10 LAB -Enabled $false", "Name: name=LAB enabled=0 bytes=16\n");
    prints("Set-Thing -VMName a, b -Ena $true", "Name: name=a name=b enabled=1\n");
    prints("Set-Thing x -Version 10.0", "Name: name=x version=10.0\n");
    prints("Set-Thing x -Mode sl", "Name: name=x mode=Slow/1\n");
    prints("Set-Thing (Get-Thing lab)", "Object: thing=lab\n");
    prints("$t = Get-Thing *b; Set-Thing $t -Enabled $true",
           "Object: thing=web thing=db thing=lab enabled=1\n");
    prints("Set-Thing 5", "Name: name=5\n");
}

static void the_pipeline_binds_by_value_and_by_name(void **state)
{
    prints("Get-Thing web, lab | Set-Thing -Enabled $true",
           "Object: thing=web enabled=1\nObject: thing=lab enabled=1\n");
    prints("'a', 'b' | Set-Thing", "Name: name=a\nName: name=b\n");
    prints("'{\"Bytes\": \"1KB\", \"Mode\": \"fast\", \"Other\": 1}' | ConvertFrom-Json | Set-Thing x",
           "Name: name=x bytes=1024 mode=Fast/0\n");
    prints("'{\"ModeName\": \"slow\"}' | ConvertFrom-Json | Set-Thing x -Bytes 1",
           "Name: name=x bytes=1 mode=Slow/1\n");
    fails("@{Other = 1} | Set-Thing x", 1, "InputObjectNotBound");
    fails("'{\"Mode\": \"odd\"}' | ConvertFrom-Json | Set-Thing x", 1, "InputObjectNotBound");
}

static void words_of_a_unix_shell(void **state)
{
    WORDS("Set-Thing", "--Name", "a,b", "--enabled", "on", "--bytes=2GB");
    assert_string_equal(out_text, "Name: name=a name=b enabled=1 bytes=2147483648\n");
    WORDS("Set-Thing", "a", "-Enabled", "false", "-Version", "1,2");
    assert_string_equal(out_text, "Name: name=a enabled=0 version=1,2\n");
    WORDS("Set-Thing", "a", "-Enabled", "$true");
    assert_string_equal(out_text, "Name: name=a enabled=1\n");
    WORDS("Set-Thing", "$(Get-Thing)", "-Version", "`a\"'");
    assert_string_equal(out_text, "Name: name=$(Get-Thing) version=`a\"'\n");
    WORDS("Get-Thing", "*", "|", "Where-Object", "{ $_.Name -like 'l*' }", "|", "Set-Thing");
    assert_string_equal(out_text, "Object: thing=lab\n");
    WORDS("Get-Thing", "*", "|", "Where-Object", "Size", "-ge", "2MB", "|", "select", "-ExpandProperty",
          "Name");
    assert_string_equal(out_text, "db\nlab\n");
}

static void a_boolean_that_the_shell_removed_is_refused(void **state)
{
    WORDS("Set-Thing", "a", "-Enabled");
    assert_non_null(strstr(err_text, "your shell removed $true or $false: -Enabled needs a value"));
    assert_non_null(strstr(err_text, "droste Set-Thing ... -Enabled true"));
    assert_non_null(strstr(err_text, "droste -Command 'Set-Thing ... -Enabled $true'"));
    assert_int_equal(status, 2);
    WORDS("Set-Thing", "a", "-Enabled", "");
    assert_non_null(strstr(err_text, "your shell removed"));
    WORDS("Set-Thing", "a", "-Enabled", "-Bytes", "1");
    assert_non_null(strstr(err_text, "your shell removed"));
    fails("Set-Thing a -Enabled", 2, "Missing an argument for parameter 'Enabled'");
    fails("Set-Thing a -Enabled on", 2, "Use $true or $false");
}

static void what_does_not_fit_is_usage(void **state)
{
    fails("Set-Thing a -Bytes -1", 2, "outside the range 0 to 1099511627776");
    fails("Set-Thing a -Bytes lots", 2, "Cannot convert value \"lots\" to type \"Int64\"");
    fails("Set-Thing a -Bytes 2G", 2, "Write 2GB.");
    fails("Set-Thing <Name>", 2, "<Name> stands for a value that is missing");
    fails("Set-Thing a -Version <the version> -Bytes 1", 2,
          "<the version> stands for a value that is missing");
    fails("Set-Thing a > b", 2, "redirection");
    fails("Set-Thing a -Version -Bytes 1", 2, "Missing an argument for parameter 'Version'");
    fails("Set-Thing a -Mode fats", 2, "is not one of: Fast, Slow, Off. Did you mean Fast?");
    fails("Set-Thing a -Mode Off", 2, "-Mode Off is not built: it has no brakes: use Slow");
    fails("Set-Thing a -Engine x", 2, "-Engine is not built: there is none");
    fails("Set-Thing -Name a -Thing (Get-Thing lab)", 2, "do not go together");
    fails("Set-Thing", 2, "missing mandatory parameters: Name");
    fails("Set-Thing ''", 2, "because it is an empty string");
    fails("Set-Thing a $true 1 extra", 2, "cannot be found that accepts argument 'extra'");
    fails("Set-Thing a -Nam b -Name c", 2, "specified more than once");
    fails("Set-Thing a -Enabeld $true", 2, "Did you mean -Enabled?");
    fails("Set-Thing a -W", 2, "ambiguous");
    fails("Move-Thing a", 2, "Move-Thing is not built: Set-Thing changes it");
    fails("Get-Thinf a", 2, "Did you mean Get-Thing?");
}

/* ---- what a call does ---- */

static void a_missing_object_is_told_and_the_rest_goes_on(void **state)
{
    run_with(NULL, "Get-Thing web, none, lab | Set-Thing", 0, NULL);
    assert_string_equal(out_text, "Object: thing=web\nObject: thing=lab\n");
    assert_string_equal(err_text,
                        "Get-Thing : There is no thing \"none\".\nNew-Thing makes one.\nAt line:1 char:1\n"
                        "+ Get-Thing web, none, lab | Set-Thing\n+ ~~~~~~~~~~~~~~~~~~~~~~~~\n"
                        "    + CategoryInfo          : InvalidArgument: (none:String) [Get-Thing], "
                        "VirtualizationException\n"
                        "    + FullyQualifiedErrorId : InvalidParameter,Test.Commands.GetThing\n");
    assert_int_equal(status, 1);
    run_with(NULL, "Get-Thing web, none, lab -ErrorAction Stop | Set-Thing", 0, NULL);
    assert_string_equal(out_text, "Object: thing=web\n");
    assert_int_equal(status, 1);
    prints("Get-Thing web, none, lab -ea SilentlyContinue | Set-Thing",
           "Object: thing=web\nObject: thing=lab\n");
}

static void what_if_does_nothing_and_verbose_says_it(void **state)
{
    prints("Set-Thing a -WhatIf", "What if: Set-Thing will change Name.\n");
    run_with(NULL, "Set-Thing a -Verbose", 0, NULL);
    assert_string_equal(out_text, "Name: name=a\n");
    assert_string_equal(err_text, "VERBOSE: Set-Thing will change Name.\n");
    fails("Get-Thing a -WhatIf", 2, "WhatIf");
}

static void questions(void **state)
{
    run_with("n\ny\n", "'a', 'b' | Set-Thing -Confirm", 0, NULL);
    assert_non_null(strstr(out_text, "Set-Thing will change Name.\n[Y] Yes"));
    assert_null(strstr(out_text, "name=a"));
    assert_non_null(strstr(out_text, "Name: name=b\n"));
    run_with("a\n", "'a', 'b' | Remove-Thing", 0, NULL);
    assert_non_null(strstr(out_text, "removed a\nremoved b\n"));
    run_with("", "Remove-Thing a", 0, NULL); /* the end of input is no yes */
    assert_null(strstr(out_text, "removed"));
    prints("Remove-Thing a -Force", "removed a\n");
    prints("Remove-Thing a -Confirm:$false", "removed a\n");
    prints("Remove-Thing a -WhatIf", "");
    fails("Remove-Thing a", 1, "give -Force or -Confirm:$false");
}

static void stages_begin_and_end_once(void **state)
{
    released = 0;
    prints("1, 2, 3 | Count-Thing", "begun 1, 3 calls\n");
    prints("@() | Count-Thing", "begun 1, 0 calls\n");
    prints("Count-Thing", "begun 1, 1 calls\n");
    prints("1, 2, 3 | Select-Object -First 2 | Count-Thing", "begun 1, 2 calls\n");
    prints("1, 2, 3 | Sort-Object | select -First 1 | Count-Thing | Count-Thing", "begun 1, 1 calls\n");
    assert_int_equal(released, 6);
    fails("1, 0 | ForEach-Object { 1 / $_ } | Count-Thing", 1,
          "divide by zero"); /* released, but not ended */
    assert_int_equal(released, 7);
    assert_string_equal(out_text, "");
}

static void columns_come_from_the_type(void **state)
{
    prints("Get-Thing *", "\nName Size(M)\n---- -------\nweb  1\ndb   2\nlab  3\n\n");
    prints("Get-Thing lab | Format-List", "\nName : lab\nSize : 3145728\n\n");
    prints("\"$(Get-Thing lab) $((Get-Thing lab).Size)\"", "lab 3145728\n");
}

static void only_a_terminal_cuts_off(void **state)
{
    static const char wide[] =
        "'[{\"Name\":\"a long name that is\",\"Text\":\"and some more\",\"N\":1}]' | ConvertFrom-Json";
    prints(wide, "\nName                Text          N\n----                ----          -\n"
                 "a long name that is and some more 1\n\n");
    width = 24;
    prints(wide, "\nName       Text        N\n----       ----        -\na long ... and some... 1\n\n");
    width = 9;
    prints("@{Ääääääää = 1}", "\nName V...\n---- ----\nÄ...    1\n\n");
    width = 0;
}

static void only_a_terminal_has_colours(void **state)
{
    prints("Write-Host x -fore Red -BackgroundColor DarkBlue", "x\n");
    width = 80;
    prints("Write-Host x -fore Red -BackgroundColor DarkBlue", "\033[91m\033[44mx\033[m\n");
    width = 0;
}

static void loops_do_not_keep_what_they_overwrite_for_ever(void **state)
{
    prints("foreach ($i in 1..20000) { $x = $i }; $x", "20000\n");
    fails("$s = 'x'; foreach ($i in 1..100) { $s = $s + $s }", 1, "LimitExceeded");
}

/* ---- completion ---- */

static void keep(void *arg, const char *word)
{
    strcat(strcat(arg, word), ";");
}

static void completes(const char *line, const char *want)
{
    char got[4096] = "";
    size_t replace;
    struct session *s = session_new(&commands, (struct session_io){stdout, stderr, NULL, 0, 0});
    session_complete(s, line, strlen(line), &replace, keep, got);
    session_free(s);
    assert_string_equal(got, want);
}

static void completion(void **state)
{
    completes("Set-Th", "Set-Thing;");
    completes("Get-Thing x | set", "Set-Thing;");
    completes("Set-Thing -m", "-Mode;");
    completes("Set-Thing --m", "--Mode;");
    completes("Set-Thing -Eng", ""); /* not built */
    completes("Set-Thing -Mode ", "Fast;Slow;Off;");
    completes("Set-Thing x -Enabled t", "true;");
    completes("Set-Thing l", "lab;");
    completes("Set-Thing -Name t", "'two words';");
    completes("Set-Thing -Name lab, ", "lab;'two words';");
    completes("Set-Thing -What", "-WhatIf;");
    completes("$x = Get-Th", "Get-Thing;");
    completes("(Get-Th", "Get-Thing;");
}

/* ---- any text ---- */

static u64 random_state;
static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((random_state >> 33) % n);
}

static const char *const pieces[] = {
    "Get-Thing", "Set-Thing", " ",       " ",  " ",    "|",    ";",        "\n", "(",     ")",     "{",
    "}",         "@(",        "@{",      "$(", "[",    "]",    "$x",       "$_", "$x.y",  "=",     "+=",
    ",",         "..",        "'",       "\"", "`",    "#",    "<#",       "#>", "@\"\n", "\n\"@", "-Name",
    "-eq",       "-not",      "-",       "–",  "“",    "”",    "’",        "1",  "2GB",   "0x",    "lab",
    "*",         "if",        "foreach", "in", "else", "a b",  "\\",       "&",  ">",     "%",     "?",
    "!",         "$true",     ":",       "::", ".",    "\xff", "\xe2\x80",
};

/* Parses to a tree, or fails with a place within the text; the session survives it. */
static void any_text_ends_in_order(void **state)
{
    random_state = 1;
    for (int i = 0; i < 20000; i++) {
        char text[400] = "";
        struct script script;
        struct err err = {0};
        const char *where = NULL;
        bool more;
        struct arena *a = arena_new();
        for (unsigned n = random_below(24); n; n--)
            strcat(text, pieces[random_below(ARRAY_SIZE(pieces))]);
        int r = parse_script(a, text, &script, &err, &where, &more);
        assert_int_equal(r < 0, err.status != 0);
        assert_true(r == 0 || (where >= text && where <= text + strlen(text)));
        assert_true(r == 0 || err.text[0]);
        arena_free(a);
        run_with(NULL, text, 0, NULL);
        assert_true(status == 0 || status == 1 || status == 2);
        assert_int_equal(status != 0, err_len != 0);
    }
}

/* Quoted as the language wants it, any text comes back. */
static void quoted_text_comes_back(void **state)
{
    random_state = 2;
    for (int i = 0; i < 5000; i++) {
        char raw[100] = "", text[500] = "Write-Output ";
        unsigned n = random_below(12);
        for (unsigned j = 0; j < n; j++)
            strcat(raw, pieces[random_below(ARRAY_SIZE(pieces))]);
        bool twice = random_below(2);
        strcat(text, twice ? "\"" : "'");
        for (const char *p = raw; *p;) {
            unsigned quote = twice ? double_quote(p) : single_quote(p);
            if (quote)
                strncat(text, p, quote);
            else if (twice && strchr("$`", *p))
                strcat(text, "`");
            strncat(text, p, quote ? quote : 1);
            p += quote ? quote : 1;
        }
        strcat(text, twice ? "\"" : "'");
        strcat(raw, "\n");
        prints(text, raw);
    }
}

static void nesting_is_bounded(void **state)
{
    enum { DEPTH = 100000 };
    static const char *const openings[] = {"(", "$(",  "@(",   "@{a=", "{",  "- ",  "!",
                                           ",", "if(", "\"$(", "1+",   "1,", "$x[", "a.b|"};
    for (unsigned i = 0; i < ARRAY_SIZE(openings); i++) {
        size_t n = strlen(openings[i]);
        char *text = calloc(1, DEPTH * n + 1);
        for (unsigned j = 0; j < DEPTH; j++)
            memcpy(text + j * n, openings[i], n);
        run_with(NULL, text, 0, NULL);
        assert_int_equal(status, 2);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_and_names),
        cmocka_unit_test(the_pipeline_binds_by_value_and_by_name),
        cmocka_unit_test(words_of_a_unix_shell),
        cmocka_unit_test(a_boolean_that_the_shell_removed_is_refused),
        cmocka_unit_test(what_does_not_fit_is_usage),
        cmocka_unit_test(a_missing_object_is_told_and_the_rest_goes_on),
        cmocka_unit_test(what_if_does_nothing_and_verbose_says_it),
        cmocka_unit_test(questions),
        cmocka_unit_test(stages_begin_and_end_once),
        cmocka_unit_test(columns_come_from_the_type),
        cmocka_unit_test(only_a_terminal_cuts_off),
        cmocka_unit_test(only_a_terminal_has_colours),
        cmocka_unit_test(loops_do_not_keep_what_they_overwrite_for_ever),
        cmocka_unit_test(completion),
        cmocka_unit_test(any_text_ends_in_order),
        cmocka_unit_test(quoted_text_comes_back),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
