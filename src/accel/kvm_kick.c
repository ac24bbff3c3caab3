/* SPDX-License-Identifier: MIT */
/* The signal that gets a thread out of KVM_RUN. */
#include "accel/kvm_kick.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KICK_SIGNAL SIGUSR1

static void on_kick(int sig) {}

int kick_catch(void)
{
    struct sigaction sa = {.sa_handler = on_kick, .sa_flags = SA_RESTART};
    return sigaction(KICK_SIGNAL, &sa, NULL);
}

void kick_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int kick_self(void)
{
    return (int)syscall(SYS_gettid);
}

void kick_thread(int self)
{
    syscall(SYS_tgkill, getpid(), self, KICK_SIGNAL);
}
