/* SPDX-License-Identifier: MIT */
/* SETTING_ rows (settings.def says what they are) as the fields of a struct. Included where it is needed, any
 * number of times, without a guard. */
#undef SETTING_TEXT
#undef SETTING_NUMBER
#undef SETTING_BOOL
#undef SETTING_CHOICE
#undef SETTING_VERSION
#define SETTING_TEXT(field, key, size, ...) char field[size];
#define SETTING_NUMBER(field, ...)          u64 field;
#define SETTING_BOOL(field, ...)            bool field;
#define SETTING_CHOICE(field, ...)          unsigned field;
#define SETTING_VERSION(field, ...)         unsigned field;
