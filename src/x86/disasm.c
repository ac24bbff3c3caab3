/* SPDX-License-Identifier: MIT */
/* Text by Zydis, which also checks our decoder in its tests. It must not be asked on any path a guest can
 * make hot. */
#include "x86/disasm.h"

#include <stdio.h>
#include <Zydis/Zydis.h>

static bool format(enum decode_mode mode, u64 rip, const u8 *bytes, unsigned len, char *out, size_t cap)
{
    static const ZydisMachineMode machines[] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
                                                ZYDIS_MACHINE_MODE_LONG_64};
    static const ZydisStackWidth widths[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
                                             ZYDIS_STACK_WIDTH_64};
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    return ZYAN_SUCCESS(ZydisDecoderInit(&decoder, machines[mode], widths[mode])) &&
           ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) &&
           ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, len, &in, ops)) &&
           ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &in, ops, in.operand_count_visible, out,
                                                        cap, rip, NULL));
}

void disasm(enum decode_mode mode, u64 rip, const u8 *bytes, unsigned len, char *out, size_t cap)
{
    if (!cap || format(mode, rip, bytes, len, out, cap))
        return;
    size_t n = (size_t)snprintf(out, cap, "db");
    for (unsigned i = 0; i < len && i < 15 && n + 4 < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, " %02x", bytes[i]);
}
