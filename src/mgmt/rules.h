/* SPDX-License-Identifier: MIT */
/*
 * The rules for VMs: pure functions over definitions, state and host. rules.def and actions.def are the
 * rules.
 *
 * Memory moves (dynamic memory, a resize at runtime) only while rules_memory_may_move(): exposing the
 * extensions changes nothing, a hypervisor that runs guests now does.
 */
#ifndef MGMT_RULES_H
#define MGMT_RULES_H

#include "config/errors.h"
#include "config/vm_config.h"
#include "mgmt/host.h"
#include "mgmt/state.h"

enum rule_id {
#define RULE(id, ...) RULE_##id,
#include "mgmt/rules.def"
#undef RULE
    RULE_COUNT,
    RULE_STATE = RULE_COUNT /* of rules_action() */
};

enum rule_occasion { ON_CREATE = 1, ON_CHANGE = 2, ON_START = 4 };

struct rule_case {
    enum rule_occasion occasion;
    const struct vm_config *before, *after; /* before: of ON_CHANGE only */
    enum vm_state state;
    bool nested_active;
    const struct host_facts *host; /* when rules_need_host(after) */
};

struct finding {
    enum rule_id rule;
    enum error_id error;
    char text[700]; /* sentences: what, and the remedy */
};

#define WARNINGS_MAX 4

struct findings {
    bool refused;
    struct finding refusal;
    struct finding warnings[WARNINGS_MAX];
    unsigned warning_count;
};

/* Whether these rules want to know the host: looking costs. */
bool rules_need_host(const struct vm_config *c);
/* True: nothing refuses. */
bool rules_check(const struct rule_case *c, struct findings *out);

enum vm_action {
#define VM_ACTION(id, ...) ACTION_##id,
#include "mgmt/actions.def"
#undef VM_ACTION
    VM_ACTION_COUNT
};
/* True: may be done in this state. */
bool rules_action(enum vm_action action, enum vm_state state, struct finding *out);

bool rules_memory_may_move(enum vm_state state, bool nested_active);

#endif
