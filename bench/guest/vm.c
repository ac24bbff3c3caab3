/* SPDX-License-Identifier: MIT */
/* A bytecode interpreter with a stack: one switch in a loop, as simple interpreters have it. */
#include "bench.h"

enum op { PUSH, ADD, SUB, MUL, XOR, DUP, SWAP, DROP, LOAD, STORE, LESS, JUMP_IF, DEC, STOP };

/* while (x > 0) { y = (y * 3 + x) ^ 5; z = z - y; x--; } */
static uint8_t code[] = {LOAD,  1, PUSH, 3, MUL,  LOAD, 0,     ADD,  PUSH,    5, XOR, DUP,
                         STORE, 1, LOAD, 2, SWAP, SUB,  STORE, 2,    LOAD,    0, DEC, DUP,
                         STORE, 0, PUSH, 1, SWAP, LESS, DUP,   DROP, JUMP_IF, 0, STOP};

void vm_prepare(void) {}

__attribute__((noinline)) static uint64_t interpret(uint64_t n)
{
    int64_t stack[16], *sp = stack, var[3] = {1000, 1, 0}, t;
    const uint8_t *pc = code;
    for (uint64_t i = 0; i < n; i++) {
        switch (*pc++) {
        case PUSH:
            *sp++ = *pc++;
            break;
        case ADD:
            sp--, sp[-1] += sp[0];
            break;
        case SUB:
            sp--, sp[-1] -= sp[0];
            break;
        case MUL:
            sp--, sp[-1] *= sp[0];
            break;
        case XOR:
            sp--, sp[-1] ^= sp[0];
            break;
        case DUP:
            sp[0] = sp[-1], sp++;
            break;
        case SWAP:
            t = sp[-1], sp[-1] = sp[-2], sp[-2] = t;
            break;
        case DROP:
            sp--;
            break;
        case LOAD:
            *sp++ = var[*pc++];
            break;
        case STORE:
            var[*pc++] = *--sp;
            break;
        case LESS:
            sp--, sp[-1] = sp[-1] > sp[0];
            break;
        case JUMP_IF:
            pc = *--sp ? code + *pc : pc + 1;
            break;
        case DEC:
            sp[-1]--;
            break;
        default:
            pc = code, var[0] = 1000;
            break;
        }
    }
    return (uint64_t)var[2];
}

uint64_t vm_run(uint64_t n)
{
    return interpret(n);
}
