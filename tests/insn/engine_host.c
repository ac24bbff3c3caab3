/* SPDX-License-Identifier: MIT */
/*
 * The host processor as an engine, by two signals a case.
 *
 * run() executes INT3. The signal handler saves the interrupted context, writes the case's whole state into
 * the signal frame and returns: the kernel loads every register and the instruction runs. It ends in a second
 * signal, from the INT3 behind it (or wherever a branch led), or from its own fault; the handler takes the
 * state out of the frame and puts the saved context back. Nothing of this process is on the way of the
 * instruction but the code and data pages.
 */
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <asm/prctl.h>

/* Both the C library and x86/insn.h have a REG_RIP; here it is the C library's. */
#undef REG_RIP
#define REG_RIP INSN_REG_RIP
#include "oracle.h"
#undef REG_RIP

enum { FRAME_MXCSR = 24, FRAME_XMM = 160, FRAME_XSTATE_BV = 512, FRAME_YMM_HIGH = 576, FRAME_HEADER = 64 };
enum { FX_BYTES = 160 };
/* Linux's user selectors. DS and ES are null in a 64-bit process; 32-bit code needs them. */
enum { CS_32 = 0x23, DATA_SELECTOR = 0x2b };

static volatile enum { IDLE, STARTING, RUNNING } phase;
static const struct insn_case *current;
static struct case_result *result;
static gregset_t saved_gregs;
static u8 saved_fp[FRAME_YMM_HIGH + 256];

static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static u8 *map_at(u64 at, u64 size, int prot)
{
    return mmap((void *)at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static void load_vectors(const struct machine_state *s, u8 *fp)
{
    memcpy(fp, s->x87, FX_BYTES);
    store_le(fp + FRAME_MXCSR, 4, s->mxcsr);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(fp + FRAME_XMM + 16 * i, s->vec[i], 16);
        memcpy(fp + FRAME_YMM_HIGH + 16 * i, s->vec[i] + 16, 16);
    }
    store_le(fp + FRAME_XSTATE_BV, 8, load_le(fp + FRAME_XSTATE_BV, 8) | 7);
}

static void store_vectors(struct machine_state *s, const u8 *fp)
{
    u64 present = load_le(fp + FRAME_XSTATE_BV, 8);
    memset(s->vec, 0, sizeof(s->vec));
    memset(s->x87, 0, sizeof(s->x87));
    if (present & 1)
        memcpy(s->x87, fp, FX_BYTES);
    else
        store_le(s->x87 + X87_FCW, 2, 0x37f);
    s->mxcsr = (u32)load_le(fp + FRAME_MXCSR, 4);
    for (unsigned i = 0; i < 16; i++) {
        if (present & 2)
            memcpy(s->vec[i], fp + FRAME_XMM + 16 * i, 16);
        if (present & 4)
            memcpy(s->vec[i] + 16, fp + FRAME_YMM_HIGH + 16 * i, 16);
    }
}

static void begin(ucontext_t *uc)
{
    greg_t *g = uc->uc_mcontext.gregs;
    u8 *fp = (u8 *)uc->uc_mcontext.fpregs;
    memcpy(saved_gregs, g, sizeof(saved_gregs));
    memcpy(saved_fp, fp, sizeof(saved_fp));
    for (unsigned i = 0; i < 16; i++)
        g[greg_of[i]] = (greg_t)current->start.gpr[i];
    g[REG_RIP] = (greg_t)current->start.rip;
    g[REG_EFL] = (greg_t)current->start.rflags;
    if (current->mode == MODE_32)
        g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffll) | CS_32;
    load_vectors(&current->start, fp);
    phase = RUNNING;
}

/* A trap of our INT3, or a refused fetch at a branch's target, is the normal end. */
static void classify(struct case_result *r, const greg_t *g)
{
    u64 start = current->start.rip;
    r->end.rip = (u64)g[REG_RIP];
    r->vector = (u8)g[REG_TRAPNO];
    r->error = r->cr2 = 0;
    r->faulted = true;
    if (r->vector == VEC_BP) {
        r->end.rip--;
        r->faulted = false;
    } else if (r->vector == VEC_PF) {
        r->cr2 = (u64)g[REG_CR2];
        r->error = (u32)g[REG_ERR] & (PF_P | PF_W | PF_U);
        if (r->cr2 >> 63) /* Linux says "present" of all its own half, so as to tell nothing */
            r->error &= ~(u32)PF_P;
        r->faulted = !(r->cr2 == r->end.rip && r->end.rip != start);
    }
    if (!r->faulted)
        r->vector = 0, r->error = 0, r->cr2 = 0;
}

static void end(ucontext_t *uc)
{
    greg_t *g = uc->uc_mcontext.gregs;
    u8 *fp = (u8 *)uc->uc_mcontext.fpregs;
    for (unsigned i = 0; i < 16; i++)
        result->end.gpr[i] = (u64)g[greg_of[i]];
    result->end.rflags = (u64)g[REG_EFL];
    classify(result, g);
    store_vectors(&result->end, fp);
    memcpy(g, saved_gregs, sizeof(saved_gregs));
    memcpy(fp, saved_fp, sizeof(saved_fp));
    phase = IDLE;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    /* The instruction may have set AC; this function's own accesses need not be aligned. NT and ID would stay
     * for the next case: the kernel restores neither. */
    asm volatile("pushfq\n\tandq %0, (%%rsp)\n\tpopfq" ::"i"(~(FLAG_AC | FLAG_NT | FLAG_ID))
                 : "cc", "memory");
    if (phase == STARTING) {
        begin(context);
    } else if (phase == RUNNING) {
        end(context);
    } else {
        const greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
        fprintf(stderr, "insn_oracle: signal %d at %llx, address %llx\n", sig, g[REG_RIP], g[REG_CR2]);
        signal(sig, SIG_DFL);
    }
}

static int host_open(void)
{
    static u8 stack[256 * 1024];
    static const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    u32 a, b, c, d;
    if (!__get_cpuid_count(0xd, 2, &a, &b, &c, &d) || b != FRAME_YMM_HIGH) {
        fprintf(stderr, "insn_oracle: this host has no AVX state to load and compare\n");
        return -1;
    }
    sigaltstack(&ss, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &sa, NULL);
    asm volatile("mov %0, %%ds\n\tmov %0, %%es" ::"r"(DATA_SELECTOR));
    syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
    if (map_at(DATA_BASE, AREA_BYTES, PROT_READ | PROT_WRITE) == MAP_FAILED ||
        map_at(CODE_BASE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED) {
        perror("insn_oracle: mapping the test pages");
        return -1;
    }
    memset((void *)CODE_BASE, 0xcc, CODE_SIZE);
    return 0;
}

static void host_run(const struct insn_case *t, struct case_result *r)
{
    static u8 ro[RO_SIZE];
    current = t;
    result = r;
    memcpy((void *)DATA_BASE, t->data, DATA_SIZE);
    if (memcmp(ro, t->data + DATA_SIZE, RO_SIZE)) {
        mprotect((void *)RO_BASE, RO_SIZE, PROT_READ | PROT_WRITE);
        memcpy((void *)RO_BASE, t->data + DATA_SIZE, RO_SIZE);
        mprotect((void *)RO_BASE, RO_SIZE, PROT_READ);
        memcpy(ro, t->data + DATA_SIZE, RO_SIZE);
    }
    memcpy((void *)t->start.rip, t->bytes, t->len);
    phase = STARTING;
    asm volatile("int3" ::: "memory", "cc");
    memcpy(r->data, (void *)DATA_BASE, AREA_BYTES);
    memset((void *)t->start.rip, 0xcc, t->len);
}

const struct engine engine_host = {.name = "host", .open = host_open, .run = host_run};
