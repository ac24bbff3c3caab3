/* SPDX-License-Identifier: MIT */
/* What the compiler cannot see of the rows of commands.def: names that must differ, words that must name
 * something. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cmd/commands.h"
#include "cmd/lang/cmdlet.h"
#include "cmd/lang/parse.h"

static const struct command_set *const set = &droste_commands;

#define EACH(r, kind_)        for (const struct row *r = NULL; (r = row_next_any(set, r, kind_));)
#define EACH_OF(r, of, kind_) for (const struct row *r = of; (r = row_next(set, of, r, kind_));)

static void names_differ(void **state)
{
    EACH(a, ROW_CMDLET)
    {
        assert_ptr_equal(row_cmdlet(set, a->cmdlet.name), a);
        const char *list = a->cmdlet.aliases, *word;
        char alias[64];
        size_t len;
        while (words_next(&list, &word, &len)) {
            assert_true(len < sizeof(alias));
            memcpy(alias, word, len);
            alias[len] = 0;
            assert_ptr_equal(row_cmdlet(set, alias), a);
        }
    }
    EACH(e, ROW_ELSEWHERE)
    {
        assert_null(row_cmdlet(set, e->elsewhere.name));
    }
}

/* A cmdlet's own and those that every cmdlet has. */
static void parameters_of_a_cmdlet_differ(void **state)
{
    const struct row *common = row_cmdlet(set, "CommonParameters");
    EACH(c, ROW_CMDLET)
    {
        EACH_OF(p, c, ROW_PARAM)
        {
            EACH_OF(q, c, ROW_PARAM)
            {
                bool same = text_equal(p->param.name, q->param.name) ||
                            words_find(q->param.aliases, p->param.name) >= 0;
                if (p != q && same)
                    fail_msg("%s has -%s twice", c->cmdlet.name, p->param.name);
            }
            EACH_OF(q, common, ROW_PARAM)
            {
                bool same = text_equal(p->param.name, q->param.name) ||
                            words_find(q->param.aliases, p->param.name) >= 0;
                if (c != common && same)
                    fail_msg("%s has -%s, which is common", c->cmdlet.name, p->param.name);
            }
        }
    }
}

static void words_name_something(void **state)
{
    EACH(c, ROW_CMDLET)
    {
        bool has_default = !c->cmdlet.default_set;
        const char *list = c->cmdlet.output, *word;
        char type[64];
        size_t len;
        assert_non_null(row_module(set, c->cmdlet.module));
        while (words_next(&list, &word, &len)) {
            assert_true(len < sizeof(type));
            memcpy(type, word, len);
            type[len] = 0;
            if (!row_type(set, type))
                fail_msg("%s gives %s, which is no type", c->cmdlet.name, type);
        }
        EACH_OF(p, c, ROW_PARAM)
        {
            if (c->cmdlet.default_set && p->param.sets)
                has_default |= words_find(p->param.sets, c->cmdlet.default_set) >= 0;
            if (p->param.type == PARAM_OBJECT && !row_type(set, p->param.object))
                fail_msg("%s -%s: %s is no type", c->cmdlet.name, p->param.name, p->param.object);
            if (p->param.type == PARAM_WORD && !p->param.values)
                fail_msg("%s -%s accepts no words", c->cmdlet.name, p->param.name);
        }
        if (!has_default)
            fail_msg("%s: no parameter is of the set %s", c->cmdlet.name, c->cmdlet.default_set);
    }
}

/* Sentences get their full stop where they are printed. */
static void sentences_have_no_full_stop(void **state)
{
    for (unsigned i = 0; i < set->count; i++) {
        const struct row *r = &set->rows[i];
        const char *s = r->kind == ROW_CMDLET      ? r->cmdlet.synopsis
                        : r->kind == ROW_PARAM     ? r->param.help
                        : r->kind == ROW_REFUSED   ? r->refused.why
                        : r->kind == ROW_EXAMPLE   ? r->example.text
                        : r->kind == ROW_ELSEWHERE ? r->elsewhere.instead
                                                   : "x";
        assert_true(s && *s);
        if (s[strlen(s) - 1] == '.')
            fail_msg("ends with a full stop: %s", s);
    }
}

static void examples_are_of_the_language(void **state)
{
    EACH(c, ROW_CMDLET)
    {
        unsigned examples = 0;
        EACH_OF(e, c, ROW_EXAMPLE)
        {
            struct arena *a = arena_new();
            struct script script;
            struct err err = {0};
            const char *where;
            bool more;
            if (parse_script(a, e->example.command, &script, &err, &where, &more) < 0)
                fail_msg("%s: %s", e->example.command, err.text);
            arena_free(a);
            examples++;
        }
        if (!examples && !c->cmdlet.not_in_shell)
            fail_msg("%s has no example", c->cmdlet.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_differ),
        cmocka_unit_test(parameters_of_a_cmdlet_differ),
        cmocka_unit_test(words_name_something),
        cmocka_unit_test(sentences_have_no_full_stop),
        cmocka_unit_test(examples_are_of_the_language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
