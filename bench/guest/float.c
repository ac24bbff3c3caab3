/* SPDX-License-Identifier: MIT */
/* Floating point: scalar doubles, and SSE2 over an array. */
#include <emmintrin.h>
#include <math.h>

#include "bench.h"

#define BODIES 5
#define FLOATS 4096

static struct body {
    double x[3], v[3], mass;
} bodies[BODIES];

void nbody_prepare(void)
{
    uint32_t r = 13;
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            bodies[i].x[k] = random_next(&r) / 4e9 * 30 - 15;
            bodies[i].v[k] = random_next(&r) / 4e9 - 0.5;
        }
        bodies[i].mass = random_next(&r) / 4e9 * 1e-3;
    }
}

static void advance(double dt)
{
    for (struct body *a = bodies; a < bodies + BODIES; a++)
        for (struct body *b = a + 1; b < bodies + BODIES; b++) {
            double dx = a->x[0] - b->x[0], dy = a->x[1] - b->x[1], dz = a->x[2] - b->x[2];
            double square = dx * dx + dy * dy + dz * dz, pull = dt / (square * sqrt(square));
            a->v[0] -= dx * b->mass * pull, a->v[1] -= dy * b->mass * pull, a->v[2] -= dz * b->mass * pull;
            b->v[0] += dx * a->mass * pull, b->v[1] += dy * a->mass * pull, b->v[2] += dz * a->mass * pull;
        }
    for (struct body *a = bodies; a < bodies + BODIES; a++)
        for (int k = 0; k < 3; k++)
            a->x[k] += dt * a->v[k];
}

uint64_t nbody_run(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        advance(1e-4);
    return (uint64_t)(int64_t)(bodies[0].x[0] * 1e6);
}

static float x[FLOATS] __attribute__((aligned(16))), y[FLOATS] __attribute__((aligned(16)));

void saxpy_prepare(void)
{
    for (int i = 0; i < FLOATS; i++)
        x[i] = (float)i, y[i] = 1;
}

uint64_t saxpy_run(uint64_t n)
{
    __m128 a = _mm_set1_ps(1e-6f);
    for (uint64_t i = 0; i < n; i++)
        for (int k = 0; k < FLOATS; k += 4)
            _mm_store_ps(y + k, _mm_add_ps(_mm_mul_ps(a, _mm_load_ps(x + k)), _mm_load_ps(y + k)));
    return (uint64_t)y[77];
}
