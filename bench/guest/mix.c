/* SPDX-License-Identifier: MIT */
/* Four small kernels of the kind that embedded benchmarks mix: linked list, matrix, state machine, CRC. */
#include "bench.h"

#define NODES 200
#define SIDE  12

struct node {
    struct node *next;
    int16_t value, index;
};

static struct node nodes[NODES], *list;
static int16_t a[SIDE][SIDE], b[SIDE][SIDE];
static int32_t c[SIDE][SIDE];
static char text[512];

void mix_prepare(void)
{
    uint32_t r = 1;
    for (int i = 0; i < NODES; i++)
        nodes[i] = (struct node){.next = list, .value = (int16_t)random_next(&r), .index = (int16_t)i},
        list = &nodes[i];
    for (int i = 0; i < SIDE * SIDE; i++)
        ((int16_t *)a)[i] = (int16_t)(random_next(&r) & 255),
                  ((int16_t *)b)[i] = (int16_t)(random_next(&r) & 255);
    static const char kinds[] = "0123456789+-.eE,,,, x";
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        text[i] = kinds[random_next(&r) % (sizeof(kinds) - 1)];
}

static struct node *merge(struct node *x, struct node *y, int by_index)
{
    struct node head = {0}, *tail = &head;
    while (x && y) {
        int first = by_index ? x->index <= y->index : x->value <= y->value;
        struct node **from = first ? &x : &y;
        tail->next = *from;
        tail = *from;
        *from = tail->next;
    }
    tail->next = x ? x : y;
    return head.next;
}

static struct node *sorted(struct node *l, int by_index)
{
    if (!l || !l->next)
        return l;
    struct node *slow = l, *fast = l->next;
    while (fast && fast->next)
        slow = slow->next, fast = fast->next->next;
    struct node *half = slow->next;
    slow->next = NULL;
    return merge(sorted(l, by_index), sorted(half, by_index), by_index);
}

static uint32_t lists(uint32_t wanted)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < 20; i++)
        for (struct node *n = list; n; n = n->next)
            if (n->index == (int)((wanted + i * 7) % NODES)) {
                found += (uint16_t)n->value;
                break;
            }
    list = sorted(list, wanted & 1);
    return found;
}

static uint32_t matrix(int16_t add)
{
    uint32_t sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int k = 0; k < SIDE; k++) {
            int32_t s = add;
            for (int j = 0; j < SIDE; j++)
                s += a[i][j] * b[j][k];
            c[i][k] = s;
            sum += (uint32_t)(s >> 3 & 0x7ff);
        }
    return sum;
}

enum state { START, NUMBER, FRACTION, EXPONENT, OTHER, STATES };

static enum state step(enum state s, char ch)
{
    switch (s) {
    case START:
        return ch >= '0' && ch <= '9'   ? NUMBER
               : ch == '.'              ? FRACTION
               : ch == '+' || ch == '-' ? NUMBER
                                        : OTHER;
    case NUMBER:
        return ch >= '0' && ch <= '9'   ? NUMBER
               : ch == '.'              ? FRACTION
               : ch == 'e' || ch == 'E' ? EXPONENT
                                        : OTHER;
    case FRACTION:
        return ch >= '0' && ch <= '9' ? FRACTION : ch == 'e' || ch == 'E' ? EXPONENT : OTHER;
    case EXPONENT:
        return ch >= '0' && ch <= '9' ? EXPONENT : OTHER;
    default:
        return OTHER;
    }
}

static uint32_t machine(void)
{
    uint32_t counts[STATES] = {0};
    enum state s = START;
    for (const char *p = text; *p; p++) {
        s = *p == ',' ? START : step(s, *p);
        counts[s]++;
    }
    return counts[NUMBER] + 3 * counts[FRACTION] + 5 * counts[EXPONENT] + 7 * counts[OTHER];
}

static uint16_t crc(uint32_t value, uint16_t crc)
{
    for (int i = 0; i < 32; i++) {
        unsigned carry = (value ^ crc) & 1;
        crc >>= 1;
        value >>= 1;
        if (carry)
            crc ^= 0xa001;
    }
    return crc;
}

uint64_t mix_run(uint64_t n)
{
    uint16_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        sum = crc(lists((uint32_t)i), sum);
        sum = crc(matrix((int16_t)i), sum);
        sum = crc(machine(), sum);
    }
    return sum;
}
