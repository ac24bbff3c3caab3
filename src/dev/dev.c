/* SPDX-License-Identifier: MIT */
/* The base part of every device. */
#include "dev/dev.h"

void dev_init(struct dev *d, const struct dev_class *class, const struct dev_env *env, unsigned instance)
{
    d->class = class;
    d->env = env;
    d->instance = instance;
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&d->lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

void dev_fini(struct dev *d)
{
    pthread_mutex_destroy(&d->lock);
}

void dev_lock(struct dev *d)
{
    pthread_mutex_lock(&d->lock);
}

void dev_unlock(struct dev *d)
{
    pthread_mutex_unlock(&d->lock);
}

int dev_map(struct dev *d, struct space *s, u64 base, u64 size, const struct region_ops *ops)
{
    struct region r = {
        .base = base, .size = size, .ops = ops, .dev = d, .lock = &d->lock, .name = d->class->name};
    return space_add_region(s, &r);
}
