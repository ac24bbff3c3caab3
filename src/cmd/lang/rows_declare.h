/* SPDX-License-Identifier: MIT */
/* Makes the rows of a .def (rows.h) declare the C side of each cmdlet. */
#include "cmd/lang/rows.h"

#undef MODULE
#undef CMDLET
#undef PARAM
#undef REFUSED
#undef EXAMPLE
#undef TYPE
#undef COLUMN
#undef LISTED
#undef ELSEWHERE

#define MODULE(...)
#define CMDLET(id_, ...) extern const struct cmdlet_ops cmdlet_##id_;
#define PARAM(...)
#define REFUSED(...)
#define EXAMPLE(...)
#define TYPE(...)
#define COLUMN(...)
#define LISTED(...)
#define ELSEWHERE(...)
