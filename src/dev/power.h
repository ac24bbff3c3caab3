/* SPDX-License-Identifier: MIT */
/* What a device may ask of the machine as a whole. Thread-safe; returns at once, the machine acts soon after.
 */
#ifndef DEV_POWER_H
#define DEV_POWER_H

enum power_request { POWER_OFF, POWER_RESET, POWER_PANIC, POWER_DEBUG_EXIT };

struct power_port {
    void (*request)(void *opaque, enum power_request what, int code); /* code: of POWER_DEBUG_EXIT, else 0 */
    void *opaque;
};

#endif
