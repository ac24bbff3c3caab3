/* SPDX-License-Identifier: MIT */
/*
 * epoll, one eventfd that wakes it, one timerfd that follows the clock's earliest deadline.
 *
 * A removed watch may still stand in the batch of events being handled, so it is only marked dead, and freed
 * by the loop between two batches. Descriptors that epoll refuses because they are always ready (plain files,
 * /dev/null) are polled by the loop itself. All system calls a running loop makes: epoll_wait, epoll_ctl,
 * read, write, timerfd_settime, clock_gettime, futex: the sandbox must allow these.
 */
#include "base/event_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct event_watch {
    int fd;
    atomic_int events;
    void (*cb)(void *, int);
    void *opaque;
    atomic_bool dead;
    bool always_ready;
    struct event_watch *next; /* in `watches` */
};

struct posted {
    void (*fn)(void *);
    void *opaque;
    struct posted *next;
};

struct event_loop {
    int epoll, wake, timer;
    struct clock *clock;
    u64 timer_set; /* what the timerfd is set to */
    atomic_bool stop;
    _Atomic u64 runner;   /* pthread_self() of the thread in event_loop_run(), 0 when there is none */
    pthread_mutex_t lock; /* the two lists */
    struct event_watch *watches;
    struct posted *posted, **posted_end;
    atomic_uint always_ready, dead;
    int (*before_sleep)(void *opaque);
    void *before_sleep_opaque;
};

enum { BATCH = 64 };

static void wake(void *opaque)
{
    struct event_loop *l = opaque;
    u64 one = 1;
    ssize_t n = write(l->wake, &one, sizeof(one));
    (void)n; /* EAGAIN: the counter is full, so the loop is awake */
}

/* An armed timer needs no wake when the loop's own thread armed it: the loop looks at the clock before it
 * sleeps. */
static void wake_for_timer(void *opaque)
{
    struct event_loop *l = opaque;
    if (l->runner != (u64)pthread_self())
        wake(l);
}

static int watch_fd(struct event_loop *l, int fd, void *tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = tag};
    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e);
}

struct event_loop *event_loop_new(struct clock *clock, struct err *err)
{
    struct event_loop *l = calloc(1, sizeof(*l));
    if (!l) {
        err_set(err, EXIT_STATUS_HOST, "no memory for an event loop");
        return NULL;
    }
    pthread_mutex_init(&l->lock, NULL);
    l->posted_end = &l->posted;
    l->clock = clock && clock_mode(clock) == CLOCK_MODE_REAL ? clock : NULL;
    l->timer_set = CLOCK_NEVER;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->epoll < 0 || l->wake < 0 || l->timer < 0 || watch_fd(l, l->wake, &l->wake) < 0 ||
        watch_fd(l, l->timer, &l->timer) < 0) {
        err_set(err, EXIT_STATUS_HOST, "no event loop: %s", strerror(errno));
        event_loop_free(l);
        return NULL;
    }
    if (l->clock)
        clock_on_earlier(l->clock, wake_for_timer, l);
    return l;
}

/* Frees watches that are dead, or all. Only between two batches. */
static void bury(struct event_loop *l, bool all)
{
    struct event_watch **link = &l->watches, *w;
    while ((w = *link)) {
        if (!all && !w->dead) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        if (w->dead)
            l->dead--;
        if (w->always_ready)
            l->always_ready--;
        free(w);
    }
}

void event_loop_free(struct event_loop *l)
{
    if (!l)
        return;
    if (l->clock)
        clock_on_earlier(l->clock, NULL, NULL);
    bury(l, true);
    for (struct posted *p = l->posted, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    int fds[] = {l->epoll, l->wake, l->timer};
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static u32 to_epoll(int events)
{
    return (events & EVENT_READ ? EPOLLIN : 0) | (events & EVENT_WRITE ? EPOLLOUT : 0);
}

static int from_epoll(u32 events)
{
    return (events & EPOLLIN ? EVENT_READ : 0) | (events & EPOLLOUT ? EVENT_WRITE : 0) |
           (events & (EPOLLHUP | EPOLLERR) ? EVENT_HANGUP : 0);
}

struct event_watch *event_loop_add(struct event_loop *l, int fd, int events,
                                   void (*cb)(void *opaque, int events), void *opaque)
{
    struct event_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->fd = fd;
    w->events = events;
    w->cb = cb;
    w->opaque = opaque;
    /* Linked before epoll knows it: from then on the loop's thread may see it and even remove it. */
    pthread_mutex_lock(&l->lock);
    struct epoll_event e = {.events = to_epoll(events), .data.ptr = w};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
        if (errno != EPERM) {
            pthread_mutex_unlock(&l->lock);
            free(w);
            return NULL;
        }
        w->always_ready = true;
        l->always_ready++;
    }
    w->next = l->watches;
    l->watches = w;
    pthread_mutex_unlock(&l->lock);
    if (w->always_ready)
        wake(l);
    return w;
}

void event_loop_change(struct event_loop *l, struct event_watch *w, int events)
{
    w->events = events;
    struct epoll_event e = {.events = to_epoll(events), .data.ptr = w};
    if (w->always_ready)
        wake(l);
    else
        epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &e);
}

void event_loop_remove(struct event_loop *l, struct event_watch *w)
{
    if (!w)
        return;
    if (!w->always_ready)
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    pthread_mutex_lock(&l->lock);
    w->dead = true;
    l->dead++;
    pthread_mutex_unlock(&l->lock);
}

void event_loop_post(struct event_loop *l, void (*fn)(void *opaque), void *opaque)
{
    struct posted *p = malloc(sizeof(*p));
    bug_on(!p, "no memory to post a call");
    *p = (struct posted){.fn = fn, .opaque = opaque};
    pthread_mutex_lock(&l->lock);
    bool first = !l->posted;
    *l->posted_end = p;
    l->posted_end = &p->next;
    pthread_mutex_unlock(&l->lock);
    if (first)
        wake(l);
}

static void run_posted(struct event_loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct posted *p = l->posted;
    l->posted = NULL;
    l->posted_end = &l->posted;
    pthread_mutex_unlock(&l->lock);
    while (p) {
        struct posted *next = p->next;
        p->fn(p->opaque);
        free(p);
        p = next;
    }
}

static void set_timer(struct event_loop *l)
{
    u64 at = clock_next_host(l->clock);
    if (at == l->timer_set)
        return;
    l->timer_set = at;
    struct itimerspec t = {0}; /* all zero disarms */
    if (at != CLOCK_NEVER) {
        t.it_value.tv_sec = (time_t)(at / 1000000000ull);
        t.it_value.tv_nsec = (long)(at % 1000000000ull);
    }
    timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void drain(struct event_loop *l, int *fd)
{
    u64 count;
    ssize_t n = read(*fd, &count, sizeof(count));
    (void)n;
    if (fd == &l->timer)
        l->timer_set = CLOCK_NEVER;
}

/* The watch after w in the list that epoll does not serve; a dead one stays linked, so walking is safe. */
static struct event_watch *next_always_ready(struct event_loop *l, struct event_watch *w)
{
    pthread_mutex_lock(&l->lock);
    w = w ? w->next : l->watches;
    while (w && !(w->always_ready && !w->dead && w->events))
        w = w->next;
    pthread_mutex_unlock(&l->lock);
    return w;
}

static void handle(struct event_loop *l, struct epoll_event *e)
{
    if (e->data.ptr == &l->wake || e->data.ptr == &l->timer) {
        drain(l, e->data.ptr);
        return;
    }
    struct event_watch *w = e->data.ptr;
    int events = from_epoll(e->events) & (w->events | EVENT_HANGUP);
    if (!w->dead && events)
        w->cb(w->opaque, events);
}

void event_loop_before_sleep(struct event_loop *l, int (*fn)(void *opaque), void *opaque)
{
    l->before_sleep = fn;
    l->before_sleep_opaque = opaque;
}

static void turn(struct event_loop *l)
{
    struct epoll_event batch[BATCH];
    int patience = l->before_sleep ? l->before_sleep(l->before_sleep_opaque) : -1;
    if (l->clock) {
        clock_run_due(l->clock);
        set_timer(l);
    }
    if (l->dead) {
        pthread_mutex_lock(&l->lock);
        bury(l, false);
        pthread_mutex_unlock(&l->lock);
    }
    bool poll = l->always_ready && next_always_ready(l, NULL);
    int n = epoll_wait(l->epoll, batch, BATCH, poll ? 0 : patience);
    for (int i = 0; i < n; i++)
        handle(l, &batch[i]);
    if (poll)
        for (struct event_watch *w = next_always_ready(l, NULL); w; w = next_always_ready(l, w))
            w->cb(w->opaque, w->events);
    run_posted(l);
}

void event_loop_run(struct event_loop *l)
{
    l->runner = (u64)pthread_self();
    while (!atomic_exchange(&l->stop, false))
        turn(l);
    l->runner = 0;
}

void event_loop_stop(struct event_loop *l)
{
    l->stop = true;
    wake(l);
}
