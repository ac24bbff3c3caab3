/* SPDX-License-Identifier: MIT */
/* Makes the rows of a .def (rows.h) elements of an array of struct row. */
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

#ifdef ROWS_WITHOUT_OPS
#define ROW_OPS(id) NULL
#else
#define ROW_OPS(id) &cmdlet_##id
#endif

#define MODULE(id_, name_, suffix_) {.kind = ROW_MODULE, .module = {#id_, name_, suffix_}},
#define CMDLET(id_, name_, module_, synopsis_, ...)                                                          \
    {.kind = ROW_CMDLET,                                                                                     \
     .cmdlet = {.id = #id_,                                                                                  \
                .name = name_,                                                                               \
                .module = #module_,                                                                          \
                .synopsis = synopsis_,                                                                       \
                .ops = ROW_OPS(id_),                                                                         \
                ##__VA_ARGS__}},
#define PARAM(name_, type_, help_, ...)                                                                      \
    {.kind = ROW_PARAM, .param = {.name = name_, .type = type_, .help = help_, ##__VA_ARGS__}},
#define REFUSED(value_, why_)    {.kind = ROW_REFUSED, .refused = {value_, why_}},
#define EXAMPLE(command_, text_) {.kind = ROW_EXAMPLE, .example = {command_, text_}},
#define TYPE(id_, name_, ...)    {.kind = ROW_TYPE, .type = {.id = id_, .name = name_, ##__VA_ARGS__}},
#define COLUMN(header_, property_, ...)                                                                      \
    {.kind = ROW_COLUMN, .column = {.header = header_, .property = property_, ##__VA_ARGS__}},
#define LISTED(property_)          {.kind = ROW_LISTED, .listed = {property_}},
#define ELSEWHERE(name_, instead_) {.kind = ROW_ELSEWHERE, .elsewhere = {name_, instead_}},
