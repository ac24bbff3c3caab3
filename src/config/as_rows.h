/* SPDX-License-Identifier: MIT */
/* SETTING_ rows as elements of an array of struct setting, for the fields of struct OBJECT, which the
 * includer defines. Included after schema.h, any number of times, without a guard. */
#undef SETTING_TEXT
#undef SETTING_NUMBER
#undef SETTING_BOOL
#undef SETTING_CHOICE
#undef SETTING_VERSION
#undef SETTING_ROW
#define SETTING_ROW(field_, key_, change_, since_, help_)                                                    \
    .field = #field_, .key = key_, .help = help_, .change = CHANGE_##change_, .since = since_,               \
    .offset = offsetof(struct OBJECT, field_), .size = sizeof(((struct OBJECT *)0)->field_)
#define SETTING_TEXT(field, key, size_, form_, def, change, since, help)                                     \
    {SETTING_ROW(field, key, change, since, help), .kind = SETTING_KIND_TEXT, .form = TEXT_##form_,          \
     .text = def},
#define SETTING_NUMBER(field, key, least_, most_, def_, change, since, help)                                 \
    {SETTING_ROW(field, key, change, since, help), .kind = SETTING_KIND_NUMBER, .least = least_,             \
     .most = most_, .def = def_},
#define SETTING_BOOL(field, key, def_, change, since, help)                                                  \
    {SETTING_ROW(field, key, change, since, help), .kind = SETTING_KIND_BOOL, .most = 1, .def = def_},
#define SETTING_CHOICE(field, key, words_, def_, change, since, help)                                        \
    {SETTING_ROW(field, key, change, since, help), .kind = SETTING_KIND_CHOICE, .words = words_,             \
     .most = ARRAY_SIZE(words_) - 1, .def = def_},
#define SETTING_VERSION(field, key, change, since, help)                                                     \
    {SETTING_ROW(field, key, change, since, help), .kind = SETTING_KIND_VERSION},
