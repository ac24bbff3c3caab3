/* SPDX-License-Identifier: MIT */
/* The host as the engines find it. KVM is tried: it is opened, asked what it can nest, and timed. */
#include "main/host.h"

#include <stdio.h>
#include <unistd.h>

#include "accel/kvm.h"
#include "main/host_network.h"
#include "vm/cpu_model.h"

/* The engines give remedies as options of `droste run`; here they are parameters of Set-VMProcessor. */
static void tell(char *out, size_t size, const char *text)
{
    static const struct {
        const char *option, *parameter;
    } rows[] = {{"--engine soft", "-Engine Soft"},
                {"--cpu-vendor amd", "-Vendor AMD"},
                {"--cpu-vendor intel", "-Vendor Intel"}};
    size_t n = 0;
    while (*text && n + 32 < size) {
        const char *word = NULL;
        for (unsigned i = 0; i < ARRAY_SIZE(rows) && !word; i++)
            if (strncmp(text, rows[i].option, strlen(rows[i].option)) == 0) {
                word = rows[i].parameter;
                text += strlen(rows[i].option);
            }
        if (word)
            n += (size_t)snprintf(out + n, size - n, "%s", word);
        else
            out[n++] = *text++;
    }
    out[n] = 0;
}

static void look_at_kvm(struct host_facts *out)
{
    struct accel_limits limits = {0};
    struct err err = {0};
    int device = kvm_open(&err);
    struct accel_options o = {.device = device};
    if (device >= 0 && accel_kvm.limits(&o, &limits, &err) == 0 &&
        kvm_measure(device, &out->kvm_speed, &err) == 0)
        out->kvm = true;
    tell(out->kvm_why, sizeof(out->kvm_why), out->kvm ? "" : err.text);
    out->kvm_worth_it = out->kvm && out->kvm_speed >= KVM_WORTH_IT;
    for (unsigned v = 0; v < 2; v++) {
        out->kvm_nests[v] = out->kvm && !limits.no_nested[v][0];
        tell(out->kvm_no_nested[v], sizeof(out->kvm_no_nested[v]),
             out->kvm ? limits.no_nested[v] : out->kvm_why);
    }
    if (device >= 0)
        close(device);
}

static unsigned frequency(void)
{
    char line[256];
    double mhz = 0;
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && mhz == 0 && fgets(line, sizeof(line), f))
        (void)!sscanf(line, "cpu MHz : %lf", &mhz);
    if (f)
        fclose(f);
    return mhz > 0 && mhz < 100000 ? (unsigned)mhz : 0;
}

static void look(struct host_facts *out, bool engines)
{
    enum cpu_vendor vendor;
    *out = (struct host_facts){
        .vendor = cpu_model_host_vendor(&vendor) && vendor == VENDOR_AMD ? VM_VENDOR_AMD : VM_VENDOR_INTEL,
        .processors = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
        .mhz = frequency(),
        .memory = (u64)sysconf(_SC_PHYS_PAGES) * (u64)sysconf(_SC_PAGESIZE),
    };
    if (engines)
        look_at_kvm(out);
}

const struct host_probe host_probe = {look, &host_network_ops};
