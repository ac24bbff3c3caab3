/* SPDX-License-Identifier: MIT */
/* The signal that gets a thread out of KVM_RUN. Apart, because <signal.h> and x86/insn.h both name REG_RIP.
 */
#ifndef ACCEL_KVM_KICK_H
#define ACCEL_KVM_KICK_H

int kick_catch(void);       /* for the process: the signal does nothing but interrupt; 0, or -1 and errno */
void kick_open(void);       /* the calling thread lets it through */
int kick_self(void);        /* the calling thread's number */
void kick_thread(int self); /* a thread that is gone is no error */

#endif
