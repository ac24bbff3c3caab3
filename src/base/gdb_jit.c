/* SPDX-License-Identifier: MIT */
/* gdb's JIT interface: see the header. Names, shapes and values are those that gdb looks for. */
#include "base/gdb_jit.h"

#include <pthread.h>

enum { NOTHING, REGISTERED, UNREGISTERED };

/* A debugger puts a breakpoint here and looks at the descriptor. */
void __jit_debug_register_code(void);
__attribute__((noinline, used)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}

struct gdb_jit_descriptor {
    u32 version, action;
    struct gdb_jit_entry *relevant, *first;
};
extern struct gdb_jit_descriptor __jit_debug_descriptor;
__attribute__((used)) struct gdb_jit_descriptor __jit_debug_descriptor = {.version = 1};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The lock's. An entry is whole before it is in the list, and in it when gdb is told. */
static void tell(struct gdb_jit_entry *e, u32 action)
{
    __jit_debug_descriptor.relevant = e;
    __jit_debug_descriptor.action = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.action = NOTHING;
    __jit_debug_descriptor.relevant = NULL;
}

void gdb_jit_register(struct gdb_jit_entry *e, const void *image, size_t size)
{
    pthread_mutex_lock(&lock);
    *e = (struct gdb_jit_entry){.next = __jit_debug_descriptor.first, .image = image, .size = size};
    if (e->next)
        e->next->prev = e;
    __atomic_store_n(&__jit_debug_descriptor.first, e, __ATOMIC_RELEASE);
    tell(e, REGISTERED);
    pthread_mutex_unlock(&lock);
}

void gdb_jit_unregister(struct gdb_jit_entry *e)
{
    if (!e->size)
        return;
    pthread_mutex_lock(&lock);
    __atomic_store_n(e->prev ? &e->prev->next : &__jit_debug_descriptor.first, e->next, __ATOMIC_RELEASE);
    if (e->next)
        e->next->prev = e->prev;
    tell(e, UNREGISTERED);
    e->size = 0;
    pthread_mutex_unlock(&lock);
}
