/* SPDX-License-Identifier: MIT */
/* The list of commands. Its rows are read twice: for the names of the C functions, then as data. */
#include "cmd/commands.h"

#include "cmd/lang/cmdlet.h"
#include "cmd/vm/names.h"

#include "cmd/lang/rows_declare.h"
#include "cmd/commands.def"
#include "cmd/lang/rows_data.h"

static const struct row rows[] = {
#include "cmd/commands.def"
};

const struct command_set droste_commands = {
    .rows = rows, .count = ARRAY_SIZE(rows), .names = vm_complete_names};
