/* SPDX-License-Identifier: MIT */
/* Completion of names of VMs and switches. */
#include "cmd/vm/names.h"

#include "cmd/vm/switches.h"
#include "mgmt/store.h"

static void switch_names(void (*each)(void *arg, const char *name), void *arg)
{
    struct switches s;
    if (switches_read(&s, NULL))
        return;
    for (unsigned i = 0; i < s.count; i++)
        if (!s.list[i].fault.status)
            each(arg, s.list[i].config.name);
    switches_forget(&s);
}

void vm_complete_names(const char *kind, void (*each)(void *arg, const char *name), void *arg)
{
    struct store s;
    struct vm_entry *list = NULL;
    unsigned count = 0;
    if (strcmp(kind, "VMSwitch") == 0)
        switch_names(each, arg);
    if (strcmp(kind, "VM") || store_open(&s, NULL))
        return;
    if (store_list(&s, &list, &count, NULL) == 0)
        for (unsigned i = 0; i < count; i++)
            if (list[i].config)
                each(arg, list[i].config->name);
    store_list_free(list, count);
    store_close(&s);
}
