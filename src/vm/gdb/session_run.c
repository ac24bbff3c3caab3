/* SPDX-License-Identifier: MIT */
/* Packets that let the machine go on. They are answered when it stops. */
#include "vm/gdb/session_parts.h"

bool gdb_take_thread(const struct gdb_session *s, const char **p, int *vcpu)
{
    u64 n;
    *vcpu = -1;
    if (gdb_after(*p, "-1")) {
        *p += 2;
        return true;
    }
    if (!gdb_take_number(p, &n) || n > s->target.vcpus)
        return false;
    *vcpu = (int)n - 1;
    return true;
}

static void resume(struct gdb_session *s)
{
    s->running = true;
    s->target.resume(s->target.opaque, s->action);
}

static void all_do(struct gdb_session *s, enum debug_action a)
{
    for (unsigned i = 0; i < s->target.vcpus; i++)
        s->action[i] = a;
}

/* c, s, C, S: the old forms, with a thread chosen by Hc. */
void gdb_resume_old(struct gdb_session *s, const char *p)
{
    bool step = *p == 's' || *p == 'S', with_signal = *p == 'C' || *p == 'S';
    unsigned vcpu = s->resumed >= 0 ? (unsigned)s->resumed : s->general;
    u64 number, address;
    p++;
    bool good = !with_signal || gdb_take_number(&p, &number), moved = *p;
    if (moved)
        good = good && (!with_signal || gdb_take_char(&p, ';')) && gdb_take_number(&p, &address) && !*p;
    if (!good) {
        gdb_answer(s, GDB_BAD);
        return;
    }
    if (moved) {
        struct debug_regs r;
        s->target.get(s->target.opaque, vcpu, &r);
        r.r.rip = address;
        s->target.set(s->target.opaque, vcpu, &r);
    }
    all_do(s, s->resumed >= 0 ? DEBUG_HOLD : DEBUG_CONTINUE);
    s->action[vcpu] = step ? DEBUG_STEP : DEBUG_CONTINUE;
    resume(s);
}

/* One action of vCont and whom it concerns. Signals mean nothing to a machine. */
static bool take_action(struct gdb_session *s, const char **p, enum debug_action *a, int *vcpu)
{
    u64 number;
    char what = **p;
    if (what != 'c' && what != 's' && what != 'C' && what != 'S')
        return false;
    (*p)++;
    *a = what == 's' || what == 'S' ? DEBUG_STEP : DEBUG_CONTINUE;
    if ((what == 'C' || what == 'S') && !gdb_take_number(p, &number))
        return false;
    *vcpu = -1;
    return !gdb_take_char(p, ':') || gdb_take_thread(s, p, vcpu);
}

/* Of several actions for one thread the first counts: DEBUG_HOLD says that there was none yet. */
void gdb_resume_each(struct gdb_session *s, const char *p)
{
    all_do(s, DEBUG_HOLD);
    while (gdb_take_char(&p, ';')) {
        enum debug_action a;
        int vcpu;
        if (!take_action(s, &p, &a, &vcpu)) {
            gdb_answer(s, GDB_BAD);
            return;
        }
        for (int i = 0; i < (int)s->target.vcpus; i++)
            if ((vcpu < 0 || vcpu == i) && s->action[i] == DEBUG_HOLD)
                s->action[i] = a;
    }
    if (*p)
        gdb_answer(s, GDB_BAD);
    else
        resume(s);
}
