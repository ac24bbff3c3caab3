/* SPDX-License-Identifier: MIT */
/* A definition changed: taken, edited, held against the rules, stored. */
#include <stdlib.h>

#include "cmd/vm/vms.h"

static struct vm_deed deed(struct cmdlet_call *c, const struct vm_change *change, const struct vm_entry *e)
{
    struct arena *a = call_arena(c);
    if (!change->device)
        return (struct vm_deed){arena_printf(a, "Modifying the properties of '%s' failed.", e->config->name),
                                "failed to modify its properties"};
    return (struct vm_deed){arena_printf(a, "Failed to modify device '%s'.", change->device),
                            arena_printf(a, "failed to modify device '%s'", change->device)};
}

bool vm_rules(struct cmdlet_call *c, const struct vm_entry *e, struct vm_deed d, const struct rule_case *rc,
              int *result)
{
    struct findings found;
    struct rule_case whole = *rc;
    struct host_facts host;
    if (rules_need_host(rc->after)) {
        vm_host(c, &host);
        whole.host = &host;
    }
    bool good = rules_check(&whole, &found);
    for (unsigned i = 0; i < found.warning_count; i++)
        call_warning(c, "%s", found.warnings[i].text);
    if (!good)
        *result = vm_refuse(c, e, d, &found.refusal);
    return good;
}

/* A running VM hears first, because it may have to refuse. */
static int tell_memory(struct cmdlet_call *c, const struct vm_config *before, const struct vm_config *after,
                       const struct vm_status *now, struct err *err)
{
    struct vms *v = call_state(c);
    bool same = before->memory == after->memory && before->memory_minimum == after->memory_minimum &&
                before->memory_maximum == after->memory_maximum &&
                before->memory_buffer == after->memory_buffer &&
                before->memory_priority == after->memory_priority;
    return same || now->state != VM_RUNNING ? 0 : worker_set_memory(&v->store, after, err);
}

/* What was not heard is not stored either. */
static bool tell(struct cmdlet_call *c, const struct vm_change *change, const struct vm_config *before,
                 struct vm_folder *f, const struct vm_status *now, struct err *err)
{
    if (!change->tell || !now->responds || change->tell(c, f->config, err) == 0)
        return true;
    *f->config = *before;
    (void)!store_put(f, err); /* the first error is the one that is told */
    return false;
}

static bool check_and_store(struct cmdlet_call *c, const struct vm_entry *e, const struct vm_change *change,
                            struct vm_folder *f, const struct vm_status *now, int *result)
{
    struct vm_config *before = arena_alloc(call_arena(c), sizeof(*before));
    struct vm_deed d = deed(c, change, e);
    struct err err = {0};
    *before = *f->config;
    struct rule_case rc = {.occasion = ON_CHANGE,
                           .before = before,
                           .after = f->config,
                           .state = now->state,
                           .nested_active = now->report.nested_active};
    if (change->apply(c, f->config, &err) == 0) {
        if (!vm_rules(c, e, d, &rc, result))
            return false;
        if (tell_memory(c, before, f->config, now, &err) == 0 && store_put(f, &err) == 0 &&
            tell(c, change, before, f, now, &err))
            return true;
    }
    *result = vm_error(c, e, d, &err);
    return false;
}

bool vm_change(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, const struct vm_change *change,
               struct vm_entry *now, int *result)
{
    struct vm_folder f;
    struct vm_status status;
    char sentence[300];
    const char *gap = strstr(change->sentence, "%s");
    snprintf(sentence, sizeof(sentence), "%.*s%s%s", (int)(gap - change->sentence), change->sentence,
             e->config->name, gap + 2);
    *result = 0;
    if (!call_should(c, "%s", sentence) || !vm_take(c, v, e, &f, &status, result))
        return false;
    bool done = check_and_store(c, e, change, &f, &status, result);
    if (done) {
        struct vm_config *copy = arena_alloc(call_arena(c), sizeof(*copy));
        *copy = *f.config;
        *now = (struct vm_entry){.config = copy};
        memcpy(now->id, e->id, sizeof(now->id));
    }
    store_release(&f);
    return done;
}

int vm_give_memory(struct cmdlet_call *c, const char *param, u64 *out, struct err *err)
{
    return arg_given(c, param) ? vm_set_memory(out, arg_int(c, param, 0), err) : 0;
}

int vm_set_memory(u64 *out, i64 bytes, struct err *err)
{
    const struct setting *s = vm_setting("memory");
    if (bytes < 0 || (u64)bytes < s->least || (u64)bytes > s->most || bytes % (i64)(2 * MIB))
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
            "Memory of %lld bytes cannot be had: it is a multiple of 2 MB from %llu MB to %llu TB.",
            (long long)bytes, (unsigned long long)(s->least / MIB),
            (unsigned long long)(s->most / (1024 * GIB)));
    *out = (u64)bytes;
    return 0;
}
