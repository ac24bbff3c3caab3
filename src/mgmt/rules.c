/* SPDX-License-Identifier: MIT */
/* The rules' conditions. Each says whether it is broken; what it names goes into the text's %s. */
#include "mgmt/rules.h"

#include <stdio.h>

const char *const vm_state_words[] = {"Off", "Starting", "Running", "Paused", "Saving", "Saved", "Stopping"};

#define NAME_SIZE 420

/* ---- what changes ---- */

static bool differs(const struct rule_case *c, const char *field)
{
    return !setting_equal(vm_setting(field), c->before, c->after);
}

/* The first setting of a kind of change that differs; NULL: none. */
static const char *changed_setting(const struct rule_case *c, enum setting_change kind)
{
    for (unsigned i = 0; i < vm_schema.count; i++) {
        const struct setting *s = &vm_schema.settings[i];
        if (s->change == kind && !setting_equal(s, c->before, c->after))
            return s->key;
    }
    return NULL;
}

static bool rows_differ(const struct schema *s, const void *a, const void *b, enum setting_change kind)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->settings[i].change == kind && !setting_equal(&s->settings[i], a, b))
            return true;
    return false;
}

static bool disks_differ(const struct rule_case *c)
{
    if (c->before->disk_count != c->after->disk_count)
        return true;
    for (unsigned i = 0; i < c->after->disk_count; i++)
        if (rows_differ(&vm_disk_schema, &c->before->disks[i], &c->after->disks[i], CHANGE_OFF))
            return true;
    return false;
}

static bool adapters_differ(const struct rule_case *c)
{
    if (c->before->adapter_count != c->after->adapter_count)
        return true;
    for (unsigned i = 0; i < c->after->adapter_count; i++)
        if (rows_differ(&vm_adapter_schema, &c->before->adapters[i], &c->after->adapters[i], CHANGE_OFF))
            return true;
    return false;
}

static bool name(char *out, const char *text)
{
    snprintf(out, NAME_SIZE, "%s", text);
    return true;
}

/* ---- the conditions, in the order of rules.def ---- */

static bool rule_never_changes(const struct rule_case *c, char *out)
{
    const char *key = changed_setting(c, CHANGE_NEVER);
    return key && name(out, key);
}

static bool rule_expose_needs_off(const struct rule_case *c, char *out)
{
    return c->state != VM_OFF && differs(c, "expose") && name(out, vm_state_words[c->state]);
}

static bool rule_active_resize(const struct rule_case *c, char *out)
{
    return differs(c, "memory") && c->state == VM_RUNNING &&
           !rules_memory_may_move(c->state, c->nested_active);
}

static bool rule_memory_state(const struct rule_case *c, char *out)
{
    return differs(c, "memory") && c->state != VM_OFF && c->state != VM_RUNNING &&
           name(out, vm_state_words[c->state]);
}

static bool rule_startup_needs_off(const struct rule_case *c, char *out)
{
    return differs(c, "memory") && c->state != VM_OFF && c->before->dynamic;
}

static bool rule_needs_off(const struct rule_case *c, char *out)
{
    if (c->state == VM_OFF)
        return false;
    const char *key = changed_setting(c, CHANGE_OFF);
    if (!key && disks_differ(c))
        key = "The list of hard drives";
    if (!key && adapters_differ(c))
        key = "The list of network adapters and their addresses";
    return key && name(out, key);
}

static bool version_name(const struct vm_config *c, char *out)
{
    char text[VERSION_TEXT_MAX];
    return name(out, version_print(c->version, text));
}

static bool rule_version_down(const struct rule_case *c, char *out)
{
    return c->after->version < c->before->version && version_name(c->before, out);
}

static bool rule_expose_version_intel(const struct rule_case *c, char *out)
{
    const struct vm_config *a = c->after;
    return a->expose && a->vendor == VM_VENDOR_INTEL && a->version < VERSION(8, 0) && version_name(a, out);
}

static bool rule_expose_version_amd(const struct rule_case *c, char *out)
{
    const struct vm_config *a = c->after;
    return a->expose && a->vendor == VM_VENDOR_AMD && a->version < VERSION(10, 0) && version_name(a, out);
}

static bool is_default(const struct setting *s, const struct vm_config *c)
{
    if (s->kind == SETTING_KIND_TEXT)
        return strcmp((const char *)c + s->offset, s->text) == 0;
    return setting_number(s, c) == s->def;
}

static bool rule_setting_version(const struct rule_case *c, char *out)
{
    for (unsigned i = 0; i < vm_schema.count; i++) {
        const struct setting *s = &vm_schema.settings[i];
        if (s->since > c->after->version && !is_default(s, c->after))
            return name(out, s->key);
    }
    return false;
}

static bool rule_kvm_absent(const struct rule_case *c, char *out)
{
    bool asked =
        c->occasion != ON_CHANGE || differs(c, "engine"); /* a VM from elsewhere keeps its other settings */
    return asked && c->after->engine == VM_ENGINE_KVM && !c->host->kvm && name(out, c->host->kvm_why);
}

static bool rule_kvm_cannot_nest(const struct rule_case *c, char *out)
{
    const struct vm_config *a = c->after;
    bool asked =
        c->occasion != ON_CHANGE || differs(c, "engine") || differs(c, "expose") || differs(c, "vendor");
    return asked && a->engine == VM_ENGINE_KVM && a->expose && !c->host->kvm_nests[a->vendor] &&
           name(out, c->host->kvm_no_nested[a->vendor]);
}

static bool rule_dynamic_only(const struct rule_case *c, char *out)
{
    static const char *const fields[] = {"memory_minimum", "memory_maximum", "memory_buffer",
                                         "memory_priority"};
    for (unsigned i = 0; i < ARRAY_SIZE(fields) && !c->after->dynamic; i++)
        if (differs(c, fields[i]))
            return name(out, vm_setting(fields[i])->key);
    return false;
}

static bool rule_dynamic_order(const struct rule_case *c, char *out)
{
    const struct vm_config *a = c->after;
    snprintf(out, NAME_SIZE, "%llu, %llu and %llu MB", (unsigned long long)(a->memory_minimum / MIB),
             (unsigned long long)(a->memory / MIB), (unsigned long long)(a->memory_maximum / MIB));
    return a->dynamic && (a->memory_minimum > a->memory || a->memory > a->memory_maximum);
}

static bool rule_no_boot_source(const struct rule_case *c, char *out)
{
    return !c->after->kernel[0];
}

static bool rule_processors_225(const struct rule_case *c, char *out)
{
    const struct vm_config *a = c->after;
    if (!a->expose || a->processors <= 225)
        return false;
    snprintf(out, NAME_SIZE, "%u", (unsigned)a->processors);
    return c->occasion != ON_CHANGE || differs(c, "expose") || differs(c, "processors");
}

/* ---- asking them ---- */

enum { REFUSE, WARN };

static const struct rule {
    unsigned occasions;
    int severity;
    enum error_id error;
    const char *text, *remedy;
    bool (*broken)(const struct rule_case *c, char *name);
} rules[] = {
#define RULE(id, occasions, severity, error, text, remedy)                                                   \
    {occasions, severity, ERROR_##error, text, remedy, rule_##id},
#include "mgmt/rules.def"
#undef RULE
};

/* The text with `name` in the place of its %s, and the remedy. */
static void put_text(char *out, size_t size, const char *text, const char *word, const char *remedy)
{
    const char *gap = strstr(text, "%s");
    if (gap)
        snprintf(out, size, "%.*s%s%s %s", (int)(gap - text), text, word, gap + 2, remedy);
    else
        snprintf(out, size, "%s %s", text, remedy);
}

static void find_broken(enum rule_id id, const char *word, struct finding *out)
{
    *out = (struct finding){.rule = id, .error = rules[id].error};
    put_text(out->text, sizeof(out->text), rules[id].text, word, rules[id].remedy);
}

bool rules_check(const struct rule_case *c, struct findings *out)
{
    *out = (struct findings){0};
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        char word[NAME_SIZE] = "";
        if (!(rules[i].occasions & c->occasion) || !rules[i].broken(c, word))
            continue;
        if (rules[i].severity == REFUSE) {
            out->refused = true;
            find_broken(i, word, &out->refusal);
            return false;
        }
        if (out->warning_count < WARNINGS_MAX)
            find_broken(i, word, &out->warnings[out->warning_count++]);
    }
    return true;
}

bool rules_need_host(const struct vm_config *c)
{
    return c->engine == VM_ENGINE_KVM;
}

bool rules_memory_may_move(enum vm_state state, bool nested_active)
{
    return state == VM_RUNNING && !nested_active;
}

bool rules_action(enum vm_action action, enum vm_state state, struct finding *out)
{
#define IN(s) (1u << (s))
    static const struct {
        const char *what;
        unsigned states;
        const char *remedy;
    } rows[] = {
#define VM_ACTION(id, what, states, remedy) {what, states, remedy},
#include "mgmt/actions.def"
#undef VM_ACTION
    };
    if (rows[action].states & IN(state))
        return true;
    *out = (struct finding){.rule = RULE_STATE, .error = ERROR_INVALID_STATE};
    snprintf(out->text, sizeof(out->text),
             "The operation cannot be performed while the virtual machine is in its current state: it is %s "
             "and cannot %s. "
             "%s",
             vm_state_words[state], rows[action].what, rows[action].remedy);
    return false;
}
