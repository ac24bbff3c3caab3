/* SPDX-License-Identifier: MIT */
/* Nested events as words: a line for people, a JSON object for programs. Names come from the exit lists. */
#include "x86/nested_event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct text {
    char *buf;
    size_t len, at;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->buf + t->at, t->len - t->at, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->at = t->at + (size_t)n < t->len ? t->at + (size_t)n : t->len - 1;
}

/* ---- names ---- */

static const struct {
    u16 number;
    const char *name;
} vmx_exits[] =
    {
#define VMX_EXIT(number, name) {number, #name},
#include "x86/vmx_exits.def"
#undef VMX_EXIT
},
  svm_exits[] = {
#define SVM_EXIT(code, name, text) {code, #name},
#include "x86/svm_exits.def"
#undef SVM_EXIT
};

enum { SVM_RANGES_END = 0x60 }; /* below: a row stands for itself and those up to the next row */

static void vmx_name(u64 code, char *buf, size_t len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vmx_exits); i++)
        if (vmx_exits[i].number == (u16)code) {
            snprintf(buf, len, "%s", vmx_exits[i].name);
            return;
        }
    snprintf(buf, len, "reason %u", (u16)code);
}

static void svm_name(u64 code, char *buf, size_t len)
{
    for (unsigned i = ARRAY_SIZE(svm_exits); i-- > 0;) {
        unsigned first = svm_exits[i].number;
        if (code == first && code >= SVM_RANGES_END)
            snprintf(buf, len, "%s", svm_exits[i].name);
        else if (code >= first && code < SVM_RANGES_END)
            snprintf(buf, len, "%s %u", svm_exits[i].name, (unsigned)code - first);
        else
            continue;
        return;
    }
    if (code == ~0ull)
        snprintf(buf, len, "INVALID");
    else
        snprintf(buf, len, "code %" PRIx64, code);
}

void nested_exit_name(u8 vendor, u64 code, char *buf, size_t len)
{
    (vendor == VENDOR_AMD ? svm_name : vmx_name)(code, buf, len);
}

const char *nested_error_words(u64 number)
{
    switch (number) {
#define VMX_ERROR(n, name, text)                                                                             \
    case n:                                                                                                  \
        return text;
#include "x86/vmx_errors.def"
#undef VMX_ERROR
    default:
        return "an error number of no meaning";
    }
}

static const char *const kinds[NESTED_EVENT_KINDS] = {
    [NESTED_ENTRY] = "entry",     [NESTED_EXIT] = "exit",   [NESTED_VMFAIL] = "VMfail",
    [NESTED_REFUSED] = "refused", [NESTED_FAULT] = "fault", [NESTED_WALK] = "walk",
    [NESTED_ABORT] = "abort",
};

static bool amd(const struct nested_event *e)
{
    return e->vendor == VENDOR_AMD;
}

static unsigned levels(const struct nested_event *e)
{
    return e->depth < NESTED_LEVELS ? e->depth : NESTED_LEVELS;
}

/* Plain letters only: what stands there may be anything. */
static void plain(char *to, const char *from, size_t size)
{
    size_t i;
    for (i = 0; i < size - 1 && from[i]; i++)
        to[i] = from[i] < ' ' || from[i] > '~' || from[i] == '"' || from[i] == '\\' ? '?' : from[i];
    to[i] = 0;
}

/* ---- a line ---- */

static void add_hex(struct text *t, const char *name, u64 v)
{
    add(t, " %s %" PRIx64, name, v);
}

static void add_set(struct text *t, const char *name, u64 v)
{
    if (v)
        add_hex(t, name, v);
}

static void exit_text(struct text *t, const struct nested_event *e)
{
    add_hex(t, amd(e) ? "info1" : "qualification", e->info1);
    add_set(t, amd(e) ? "info2" : "gpa", e->info2);
    add_set(t, amd(e) ? "nrip" : "linear", e->linear);
    add_set(t, "interruption", e->interruption);
    add_set(t, amd(e) ? "exitintinfo" : "vectoring", e->vectoring);
    if (e->length)
        add(t, " length %u", e->length);
    add_set(t, "insn-info", e->insn_info);
    for (unsigned i = 0; i < NESTED_CHAIN && e->chain[i] != 0xff; i++)
        add(t, "%s%u", i ? " " : " vectors (newest first) ", e->chain[i]);
}

static void why_text(struct text *t, const struct nested_event *e)
{
    char why[NESTED_WHY];
    plain(why, e->why, sizeof(why));
    if (e->kind == NESTED_REFUSED && !amd(e))
        add_hex(t, "qualification", e->info1);
    if (why[0])
        add(t, "%s%s", amd(e) ? ": " : ": not so: ", why);
    else if (e->kind == NESTED_VMFAIL)
        add(t, ": %s", nested_error_words(e->code));
}

/* Indicators that occur here. SDM 3C 27.7 */
static const char *abort_words(u64 indicator)
{
    return indicator == 1   ? "an MSR of the VM-exit MSR-store area could not be stored"
           : indicator == 4 ? "an MSR of the VM-exit MSR-load area could not be loaded"
                            : "an indicator of no meaning";
}

static void fault_text(struct text *t, const struct nested_event *e)
{
    if (e->more)
        add_hex(t, "error", e->info1);
    if (e->code == 14)
        add_hex(t, "cr2", e->info2);
    add(t, " in the %s", e->guest ? "guest" : "hypervisor");
}

static void walk_text(struct text *t, const struct nested_event *e)
{
    add_hex(t, "gpa", e->info2);
    add_hex(t, amd(e) ? "info1" : "qualification", e->info1);
    for (unsigned i = 0; i < levels(e); i++)
        add(t, "%s%" PRIx64, i ? " " : " entries ", e->entry[i]);
}

static void name_text(struct text *t, const struct nested_event *e)
{
    char name[40];
    nested_exit_name(e->vendor, e->code, name, sizeof(name));
    switch (e->kind) {
    case NESTED_ENTRY:
        break;
    case NESTED_FAULT:
        add(t, " #%u", (unsigned)e->code);
        break;
    case NESTED_ABORT:
        add(t, " %u", (unsigned)e->code);
        break;
    case NESTED_VMFAIL:
        plain(name, e->insn, sizeof(e->insn));
        add(t, " %u of %s", (unsigned)e->code, name);
        break;
    default:
        add(t, " %s", name);
    }
}

size_t nested_event_text(const struct nested_event *e, char *buf, size_t len)
{
    struct text t = {buf, len, 0};
    unsigned kind = e->kind < NESTED_EVENT_KINDS ? e->kind : NESTED_EXIT;
    add(&t, "%" PRIu64 ".%09u vCPU %u %s", e->time / 1000000000, (unsigned)(e->time % 1000000000), e->vcpu,
        kinds[kind]);
    name_text(&t, e);
    if (e->where == ~0ull)
        add(&t, " no current VMCS");
    else
        add_hex(&t, amd(e) ? "VMCB" : "VMCS", e->where);
    add_hex(&t, "rip", e->rip);
    switch (kind) {
    case NESTED_ENTRY:
        add_set(&t, "inject", e->code);
        break;
    case NESTED_EXIT:
        exit_text(&t, e);
        break;
    case NESTED_FAULT:
        fault_text(&t, e);
        break;
    case NESTED_WALK:
        walk_text(&t, e);
        break;
    case NESTED_ABORT:
        add(&t, ": %s", abort_words(e->code));
        break;
    default:
        why_text(&t, e);
    }
    return t.at;
}

/* ---- JSON ---- */

static void add_field(struct text *t, const char *name, u64 v)
{
    add(t, ", \"%s\": \"%" PRIx64 "\"", name, v);
}

static void exit_json(struct text *t, const struct nested_event *e)
{
    add_field(t, amd(e) ? "exitinfo1" : "qualification", e->info1);
    add_field(t, amd(e) ? "exitinfo2" : "guest_physical", e->info2);
    add_field(t, amd(e) ? "nrip" : "guest_linear", e->linear);
    if (!amd(e))
        add_field(t, "interruption", e->interruption);
    add_field(t, amd(e) ? "exitintinfo" : "idt_vectoring", e->vectoring);
    add(t, ", \"length\": %u", e->length);
    if (!amd(e))
        add_field(t, "instruction_information", e->insn_info);
    if (e->chain[0] == 0xff)
        return;
    for (unsigned i = 0; i < NESTED_CHAIN && e->chain[i] != 0xff; i++)
        add(t, "%s%u", i ? ", " : ", \"vectors\": [", e->chain[i]);
    add(t, "]");
}

static void walk_json(struct text *t, const struct nested_event *e)
{
    add_field(t, "guest_physical", e->info2);
    add_field(t, amd(e) ? "exitinfo1" : "qualification", e->info1);
    add(t, ", \"entries\": [");
    for (unsigned i = 0; i < levels(e); i++)
        add(t, "%s\"%" PRIx64 "\"", i ? ", " : "", e->entry[i]);
    add(t, "]");
}

static void why_json(struct text *t, const struct nested_event *e)
{
    char why[NESTED_WHY];
    plain(why, e->why, sizeof(why));
    if (e->kind == NESTED_REFUSED)
        add_field(t, amd(e) ? "exitinfo1" : "qualification", e->info1);
    add(t, ", \"check\": \"%s\"", why);
}

static void name_json(struct text *t, const struct nested_event *e)
{
    char name[40];
    nested_exit_name(e->vendor, e->code, name, sizeof(name));
    switch (e->kind) {
    case NESTED_ENTRY:
        add_field(t, "inject", e->code);
        break;
    case NESTED_FAULT:
        add(t, ", \"vector\": %u, \"in_guest\": %s", (unsigned)e->code, e->guest ? "true" : "false");
        if (e->more)
            add_field(t, "error", e->info1);
        if (e->code == 14)
            add_field(t, "cr2", e->info2);
        break;
    case NESTED_ABORT:
        add(t, ", \"indicator\": %u, \"words\": \"%s\"", (unsigned)e->code, abort_words(e->code));
        break;
    case NESTED_VMFAIL:
        plain(name, e->insn, sizeof(e->insn));
        add(t, ", \"instruction\": \"%s\", \"error\": %u, \"words\": \"%s\"", name, (unsigned)e->code,
            nested_error_words(e->code));
        break;
    default:
        add(t, ", \"reason\": %" PRId64 ", \"name\": \"%s\"", amd(e) ? (i64)e->code : (i64)(u16)e->code,
            name);
    }
}

size_t nested_event_json(const struct nested_event *e, char *buf, size_t len)
{
    struct text t = {buf, len, 0};
    unsigned kind = e->kind < NESTED_EVENT_KINDS ? e->kind : NESTED_EXIT;
    add(&t, "{\"ns\": %" PRIu64 ", \"retired\": %" PRIu64 ", \"vcpu\": %u, \"event\": \"%s\"", e->time,
        e->retired, e->vcpu, kinds[kind]);
    add_field(&t, amd(e) ? "vmcb" : "vmcs", e->where);
    add_field(&t, "rip", e->rip);
    name_json(&t, e);
    if (kind == NESTED_EXIT)
        exit_json(&t, e);
    else if (kind == NESTED_WALK)
        walk_json(&t, e);
    else if (kind == NESTED_VMFAIL || kind == NESTED_REFUSED)
        why_json(&t, e);
    add(&t, "}");
    return t.at;
}
