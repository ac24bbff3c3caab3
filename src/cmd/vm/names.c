/* SPDX-License-Identifier: MIT */
/* Completion of VM names. */
#include "cmd/vm/names.h"

#include "mgmt/store.h"

void vm_complete_names(const char *kind, void (*each)(void *arg, const char *name), void *arg)
{
    struct store s;
    struct vm_entry *list = NULL;
    unsigned count = 0;
    if (strcmp(kind, "VM") || store_open(&s, NULL))
        return;
    if (store_list(&s, &list, &count, NULL) == 0)
        for (unsigned i = 0; i < count; i++)
            if (list[i].config)
                each(arg, list[i].config->name);
    store_list_free(list, count);
    store_close(&s);
}
