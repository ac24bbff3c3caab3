/* SPDX-License-Identifier: MIT */
/* Cmdlets that start and end VMs: each checks the state while it holds the VM, then asks the worker. */
#include <stdlib.h>

#include "cmd/net/net.h"
#include "cmd/vm/vms.h"
#include "mgmt/adapters.h"

struct act {
    enum vm_action action;
    const char *sentence; /* of call_should() */
    struct vm_deed deed;
    /* f is taken; 0, or -1 and err. NULL: `ask` is asked of the worker, and that is all. */
    int (*run)(struct cmdlet_call *c, struct vms *v, struct vm_folder *f, const struct vm_status *now,
               struct err *err);
    enum message_type ask;
};

static int carry_out(struct cmdlet_call *c, struct vms *v, struct vm_folder *f, const struct vm_status *now,
                     const struct act *a, struct err *err)
{
    return a->run ? a->run(c, v, f, now, err) : worker_ask(&v->store, f->id, a->ask, NULL, err);
}

/* False: *result is what to return. */
static bool perform(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e, const struct act *a,
                    int *result)
{
    struct vm_folder f;
    struct vm_status now;
    struct finding refusal;
    struct err err = {0};
    *result = 0;
    if (!call_should(c, "%s \"%s\".", a->sentence, e->config->name) || !vm_take(c, v, e, &f, &now, result))
        return false;
    bool done = false;
    if (!rules_action(a->action, now.state, &refusal))
        *result = vm_refuse(c, e, a->deed, &refusal);
    else if (carry_out(c, v, &f, &now, a, &err) == 0)
        done = true;
    else
        *result = vm_error(c, e, a->deed, &err);
    store_release(&f);
    return done;
}

static int perform_and_pass(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e,
                            const struct act *a)
{
    int result;
    return perform(c, v, e, a, &result) ? vm_passthru(c, v, e) : result;
}

/* ---- Start-VM ---- */

/* It runs: what cannot be connected now can be later. */
static void connect_adapters(struct cmdlet_call *c, struct vms *v, const struct vm_config *k)
{
    for (unsigned i = 0; i < k->adapter_count; i++) {
        struct err err = {0};
        if (k->adapters[i].switch_name[0] && adapter_connect(&v->store, k, i, &err))
            call_warning(c, "The adapter '%s' of \"%s\" is not connected: %s", k->adapters[i].name, k->name,
                         err.text);
    }
}

static int run_start(struct cmdlet_call *c, struct vms *v, struct vm_folder *f, const struct vm_status *now,
                     struct err *err)
{
    struct findings found;
    struct host_facts host;
    struct rule_case rc = {.occasion = ON_START, .after = f->config, .state = now->state};
    if (rules_need_host(f->config)) {
        vm_host(c, &host);
        rc.host = &host;
    }
    if (!rules_check(&rc, &found))
        return err_set_id(err, EXIT_STATUS_USAGE, found.refusal.error, "%s", found.refusal.text);
    if (adapters_prepare(&v->store, f->config, err) || worker_start(&v->store, f, err))
        return -1;
    connect_adapters(c, v, f->config);
    return 0;
}

static int start_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct act a = {
        ACTION_start, "start the virtual machine", {"Failed to start.", "failed to start"}, .run = run_start};
    return perform_and_pass(c, v, e, &a);
}

static bool starts_with_host(struct vms *v, const struct vm_entry *e)
{
    if (!e->config)
        return false;
    unsigned action = e->config->start_action;
    return action == VM_START_ALWAYS ||
           (action == VM_START_IF_RUNNING && worker_ran_before(&v->store, e->id));
}

static int by_delay(const void *a, const void *b)
{
    const struct vm_entry *const *x = a, *const *y = b;
    return ((*x)->config->start_delay > (*y)->config->start_delay) -
           ((*x)->config->start_delay < (*y)->config->start_delay);
}

static int start_automatic(struct cmdlet_call *c, struct vms *v)
{
    const struct vm_entry **due = arena_alloc(call_arena(c), (v->count + 1) * sizeof(*due));
    unsigned count = 0;
    u64 waited = 0;
    for (unsigned i = 0; i < v->count; i++)
        if (starts_with_host(v, &v->list[i]))
            due[count++] = &v->list[i];
    qsort(due, count, sizeof(*due), by_delay);
    net_start_with_host(c, &v->store);
    for (unsigned i = 0; i < count; i++) {
        u64 wait = due[i]->config->start_delay - waited;
        waited += wait;
        if (wait && !call_sleep(c, (i64)wait * 1000))
            return 0;
        struct vm_status now;
        worker_status(&v->store, due[i]->id, &now);
        if ((now.state == VM_OFF || now.state == VM_SAVED) && start_one(c, v, due[i]))
            return -1;
    }
    return 0;
}

static int start_vm(struct cmdlet_call *c)
{
    if (arg_switch(c, "Automatic"))
        return start_automatic(c, call_state(c));
    return vms_each(c, "Name", "VM", start_one);
}
const struct cmdlet_ops cmdlet_start_vm = VMS_OPS(start_vm);

/* ---- Stop-VM ---- */

static int run_turn_off(struct cmdlet_call *c, struct vms *v, struct vm_folder *f,
                        const struct vm_status *now, struct err *err)
{
    return worker_turn_off(&v->store, f->id, err);
}

static const struct act turn_off = {ACTION_turn_off,
                                    "turn off the virtual machine",
                                    {"Failed to stop.", "failed to stop"},
                                    .run = run_turn_off};

static const struct act shut_down = {ACTION_shut_down,
                                     "shut down the virtual machine",
                                     {"Failed to stop.", "failed to stop"},
                                     .ask = MESSAGE_SHUT_DOWN};

static int run_save(struct cmdlet_call *c, struct vms *v, struct vm_folder *f, const struct vm_status *now,
                    struct err *err)
{
    return worker_save(&v->store, f, err);
}

static const struct act save = {
    ACTION_save, "save the virtual machine", {"Failed to save.", "failed to save"}, .run = run_save};

enum { GRACE_MS = 5 * 60 * 1000, STEP_MS = 50 };

/* The VM is not held meanwhile, so that another command may turn it off. */
static bool wait_for_end(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    for (unsigned waited = 0; waited < GRACE_MS; waited += STEP_MS) {
        if (worker_wait_end(&v->store, e->id, STEP_MS))
            return true;
        if (!call_sleep(c, 1))
            return false;
    }
    return false;
}

/* With -Force a guest that cannot shut down is turned off. */
static int force_off(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    struct vm_folder f;
    struct vm_status now;
    struct err err = {0};
    int result = 0;
    if (!vm_take(c, v, e, &f, &now, &result))
        return result;
    bool failed = now.state != VM_OFF && now.state != VM_SAVED && worker_turn_off(&v->store, e->id, &err);
    store_release(&f);
    return failed ? vm_error(c, e, turn_off.deed, &err) : vm_passthru(c, v, e);
}

static int ask_and_wait(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    struct err err = {0};
    int result;
    if (!perform(c, v, e, &shut_down, &result))
        return result;
    if (wait_for_end(c, v, e))
        return vm_passthru(c, v, e);
    err_set_id(&err, EXIT_STATUS_USAGE, ERROR_TIMED_OUT,
               "The guest was asked to shut down and has not done so. Stop-VM -TurnOff ends it.");
    return vm_error(c, e, shut_down.deed, &err);
}

/* A guest that cannot hear, because it is paused or has no ACPI driver, is not waited for. */
static int ask_and_force(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    struct err err = {0};
    if (!call_should(c, "shut down the virtual machine \"%s\".", e->config->name))
        return 0;
    if (worker_ask(&v->store, e->id, MESSAGE_SHUT_DOWN, NULL, &err) == 0 && wait_for_end(c, v, e))
        return vm_passthru(c, v, e);
    return force_off(c, v, e);
}

static int shut_down_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    struct vm_status now;
    worker_status(&v->store, e->id, &now);
    if (now.state == VM_OFF) {
        call_warning(c, "The virtual machine \"%s\" is already in the specified state.", e->config->name);
        return vm_passthru(c, v, e);
    }
    return arg_switch(c, "Force") && now.state != VM_SAVED ? ask_and_force(c, v, e) : ask_and_wait(c, v, e);
}

static int stop_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    if (arg_switch(c, "TurnOff"))
        return perform_and_pass(c, v, e, &turn_off);
    if (arg_switch(c, "Save"))
        return perform_and_pass(c, v, e, &save);
    return shut_down_one(c, v, e);
}

static int mark(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    struct vm_folder f;
    struct vm_status now;
    struct err err = {0};
    int result = 0;
    if (!vm_take(c, v, e, &f, &now, &result))
        return result;
    int r = worker_mark_running(&f, &err);
    store_release(&f);
    return r ? vm_error(c, e, shut_down.deed, &err) : 0;
}

static int end_with_host(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    if (e->config->stop_action == VM_STOP_SHUT_DOWN)
        return ask_and_force(c, v, e);
    return perform_and_pass(c, v, e, e->config->stop_action == VM_STOP_SAVE ? &save : &turn_off);
}

static int stop_automatic(struct cmdlet_call *c, struct vms *v)
{
    for (unsigned i = 0; i < v->count; i++) {
        const struct vm_entry *e = &v->list[i];
        struct vm_status now;
        if (!e->config)
            continue;
        worker_status(&v->store, e->id, &now);
        if (now.state == VM_OFF || now.state == VM_SAVED)
            continue;
        if (mark(c, v, e))
            return -1;
        if (end_with_host(c, v, e))
            return -1;
    }
    return 0;
}

static int stop_vm(struct cmdlet_call *c)
{
    if (arg_switch(c, "Automatic"))
        return stop_automatic(c, call_state(c));
    if (arg_switch(c, "TurnOff") && arg_switch(c, "Save"))
        return call_fail(c, ERROR_AMBIGUOUS_PARAMETER_SET, NULL,
                         "-TurnOff and -Save contradict each other: give one.");
    return vms_each(c, "Name", "VM", stop_one);
}
const struct cmdlet_ops cmdlet_stop_vm = VMS_OPS(stop_vm);

static int save_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    return perform_and_pass(c, v, e, &save);
}

static int save_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", save_one);
}
const struct cmdlet_ops cmdlet_save_vm = VMS_OPS(save_vm);

/* ---- one message each ---- */

static int restart_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct act a = {ACTION_restart,
                                 "restart the virtual machine",
                                 {"Failed to restart.", "failed to restart"},
                                 .ask = MESSAGE_RESET};
    if (!arg_switch(c, "Force") &&
        !call_confirmed(c, "A restart of \"%s\" loses what its guest did not write to disk.",
                        e->config->name))
        return 0;
    return perform_and_pass(c, v, e, &a);
}

static int restart_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", restart_one);
}
const struct cmdlet_ops cmdlet_restart_vm = VMS_OPS(restart_vm);

static int suspend_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct act a = {ACTION_suspend,
                                 "pause the virtual machine",
                                 {"Failed to pause.", "failed to pause"},
                                 .ask = MESSAGE_PAUSE};
    return perform_and_pass(c, v, e, &a);
}

static int suspend_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", suspend_one);
}
const struct cmdlet_ops cmdlet_suspend_vm = VMS_OPS(suspend_vm);

static int resume_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct act a = {ACTION_resume,
                                 "resume the virtual machine",
                                 {"Failed to resume.", "failed to resume"},
                                 .ask = MESSAGE_RESUME};
    return perform_and_pass(c, v, e, &a);
}

static int resume_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", resume_one);
}
const struct cmdlet_ops cmdlet_resume_vm = VMS_OPS(resume_vm);

/* ---- removing ---- */

static int run_remove(struct cmdlet_call *c, struct vms *v, struct vm_folder *f, const struct vm_status *now,
                      struct err *err)
{
    return store_remove(&v->store, f, err);
}

static int remove_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct act a = {ACTION_remove,
                                 "remove the virtual machine",
                                 {"Failed to remove.", "failed to be removed"},
                                 .run = run_remove};
    int result;
    struct value was = vm_object(c, v, e);
    if (!arg_switch(c, "Force") &&
        !call_confirmed(c, "This removes the virtual machine \"%s\".", e->config->name))
        return 0;
    if (!perform(c, v, e, &a, &result))
        return result;
    return arg_switch(c, "Passthru") ? emit(c, was) : 0;
}

static int remove_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", remove_one);
}
const struct cmdlet_ops cmdlet_remove_vm = VMS_OPS(remove_vm);

static int run_drop(struct cmdlet_call *c, struct vms *v, struct vm_folder *f, const struct vm_status *now,
                    struct err *err)
{
    return worker_drop_state(f, err);
}

static int drop_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    static const struct act a = {ACTION_drop_state,
                                 "drop the saved state of the virtual machine",
                                 {"Failed to remove the saved state.", "failed to lose its saved state"},
                                 .run = run_drop};
    int result;
    (void)perform(c, v, e, &a, &result);
    return result;
}

static int remove_vm_saved_state(struct cmdlet_call *c)
{
    return vms_each(c, "VMName", "VM", drop_one);
}
const struct cmdlet_ops cmdlet_remove_vm_saved_state = VMS_OPS(remove_vm_saved_state);

/* ---- Wait-VM ---- */

static int wait_one(struct cmdlet_call *c, struct vms *v, const struct vm_entry *e)
{
    const char *wanted = arg_string(c, "State");
    i64 left = arg_given(c, "Timeout") ? arg_int(c, "Timeout", 0) * 1000 : INT64_MAX;
    for (;; left -= STEP_MS) {
        struct vm_status now;
        worker_status(&v->store, e->id, &now);
        if (text_equal(vm_state_words[now.state], wanted))
            return vm_passthru(c, v, e);
        if (left <= 0)
            return call_error(c, ERROR_TIMED_OUT, e->config->name,
                              "The virtual machine '%s' is %s and did not become %s in time.",
                              e->config->name, vm_state_words[now.state], wanted);
        if (!call_sleep(c, STEP_MS))
            return 0;
    }
}

static int wait_vm(struct cmdlet_call *c)
{
    return vms_each(c, "Name", "VM", wait_one);
}
const struct cmdlet_ops cmdlet_wait_vm = VMS_OPS(wait_vm);
