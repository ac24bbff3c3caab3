/* SPDX-License-Identifier: MIT */
#include "net/nat_nft.h"

#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *family(const struct ip_addr *a)
{
    return a->v6 ? "ip6" : "ip";
}

/* "{ a, b }" of the interfaces; one may have several networks. */
static void print_interfaces(FILE *f, const struct nat_rules *r)
{
    fputs("    set internal { type ifname;", f);
    for (unsigned i = 0; i < r->network_count; i++) {
        bool before = false;
        for (unsigned k = 0; k < i; k++)
            before |= strcmp(r->networks[k].interface, r->networks[i].interface) == 0;
        if (!before)
            fprintf(f, "%s \"%s\"", i ? "," : " elements = {", r->networks[i].interface);
    }
    fputs(" }; }\n", f);
}

/* A mapping's packets that come in; `where` says more about them. */
static void print_mapping(FILE *f, const struct nat_mapping *m, const char *where)
{
    char text[IP_PREFIX_TEXT_MAX];
    fprintf(f, "        %s", where);
    if (ip_is_any(&m->external))
        fprintf(f, "meta nfproto %s fib daddr type local ", m->external.v6 ? "ipv6" : "ipv4");
    else
        fprintf(f, "%s daddr %s ", family(&m->external), ip_print(&m->external, text));
    if (m->remote.len)
        fprintf(f, "%s saddr %s ", family(&m->remote.addr), ip_prefix_print(&m->remote, text));
    fprintf(f, "%s dport %u dnat %s to ", m->udp ? "udp" : "tcp", m->external_port, family(&m->internal));
    fprintf(f, m->internal.v6 ? "[%s]:%u\n" : "%s:%u\n", ip_print(&m->internal, text), m->internal_port);
}

static void print_mappings(FILE *f, const struct nat_rules *r)
{
    if (!r->mapping_count)
        return;
    fputs("    chain prerouting {\n        type nat hook prerouting priority dstnat; policy accept;\n", f);
    for (unsigned i = 0; i < r->mapping_count; i++)
        print_mapping(f, &r->mappings[i], "");
    fputs("    }\n    chain output {\n        type nat hook output priority -100; policy accept;\n", f);
    /* A connection from 127.0.0.1 could not leave this host. */
    for (unsigned i = 0; i < r->mapping_count; i++)
        print_mapping(f, &r->mappings[i],
                      r->mappings[i].external.v6 ? "ip6 daddr != ::1 " : "ip daddr != 127.0.0.0/8 ");
    fputs("    }\n", f);
}

static void print_outward(FILE *f, const struct nat_rules *r)
{
    fputs("    chain postrouting {\n        type nat hook postrouting priority srcnat; policy accept;\n", f);
    for (unsigned i = 0; i < r->network_count; i++) {
        char text[IP_PREFIX_TEXT_MAX];
        const struct ip_prefix *p = &r->networks[i].prefix;
        ip_prefix_print(p, text);
        fprintf(f, "        %s saddr %s oifname != @internal masquerade\n", family(&p->addr), text);
        /* To a mapping of its own side: the answer has to come back through here. */
        fprintf(f, "        %s saddr %s oifname @internal ct status dnat masquerade\n", family(&p->addr),
                text);
    }
    fputs("    }\n", f);
}

static void print_filter(FILE *f, const struct nat_rules *r)
{
    fputs("    chain forward {\n        type filter hook forward priority filter; policy accept;\n"
          "        oifname @internal ct state established,related accept\n"
          "        oifname @internal ct status dnat accept\n"
          "        oifname @internal drop\n",
          f);
    for (unsigned i = 0; i < r->network_count; i++) {
        char text[IP_PREFIX_TEXT_MAX];
        const struct ip_prefix *p = &r->networks[i].prefix;
        fprintf(f, "        iifname \"%s\" %s saddr %s accept\n", r->networks[i].interface, family(&p->addr),
                ip_prefix_print(p, text));
    }
    fputs("        iifname @internal drop\n    }\n", f);
}

char *nat_rules_text(const char *table, const struct nat_rules *r)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return NULL;
    fprintf(f, "table inet %s\ndelete table inet %s\n", table,
            table); /* the first line makes the second one succeed */
    if (r->network_count) {
        fprintf(f, "table inet %s {\n", table);
        print_interfaces(f, r);
        print_mappings(f, r);
        print_outward(f, r);
        print_filter(f, r);
        fputs("}\n", f);
    }
    bool failed = ferror(f);
    if (fclose(f) || failed) {
        free(text);
        return NULL;
    }
    return text;
}

int nat_rules_apply(const char *table, const struct nat_rules *r, struct err *err)
{
    char *text = nat_rules_text(table, r);
    int result =
        text ? nft_run(text, NULL, err) : err_set(err, EXIT_STATUS_HOST, "out of memory for rules of NAT");
    free(text);
    return result;
}

/* libnftables tells what happened in several lines, the first of which has the reason behind the last colon.
 */
static int explain(const char *told, struct err *err)
{
    char line[200];
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(told, "\n"), told);
    if (strstr(line, "Operation not permitted"))
        return err_set(err, EXIT_STATUS_USAGE,
                       "cannot set the kernel's NAT: the right CAP_NET_ADMIN is missing. Be root; or without "
                       "root an Internal "
                       "switch has a host in user mode");
    if (strstr(line, "No such file or directory") || strstr(line, "not supported") ||
        strstr(line, "cache initialization"))
        return err_set(
            err, EXIT_STATUS_HOST,
            "cannot set the kernel's NAT: %s. This kernel lacks a part of nf_tables (nf_tables, "
            "nft_chain_nat, nft_masq, "
            "nft_nat, nft_ct, nft_fib_inet): load it; or New-VMSwitch -HostNetwork User needs none of it",
            line);
    return err_set(err, EXIT_STATUS_HOST, "cannot set the kernel's NAT: %s", line);
}

/* Where the kernel does not know this protocol, libnftables ends the process. */
static bool has_netfilter(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

int nft_run(const char *commands, char **out, struct err *err)
{
    if (out)
        *out = NULL;
    if (!has_netfilter())
        return explain("netfilter: Protocol not supported", err);
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft)
        return err_set(err, EXIT_STATUS_HOST, "cannot set the kernel's NAT: libnftables does not start");
    int r = nft_ctx_buffer_output(nft) || nft_ctx_buffer_error(nft)
                ? err_set(err, EXIT_STATUS_HOST, "out of memory for rules of NAT")
                : 0;
    if (r == 0 && nft_run_cmd_from_buffer(nft, commands))
        r = explain(nft_ctx_get_error_buffer(nft), err);
    if (r == 0 && out && !(*out = strdup(nft_ctx_get_output_buffer(nft))))
        r = err_set(err, EXIT_STATUS_HOST, "out of memory for rules of NAT");
    nft_ctx_free(nft);
    return r;
}

bool nft_has_table(const char *table)
{
    char *tables, line[80];
    struct err ignored = {0};
    if (nft_run("list tables inet", &tables, &ignored))
        return false;
    snprintf(line, sizeof(line), "table inet %.60s\n", table);
    bool has = strstr(tables, line) != NULL;
    free(tables);
    return has;
}
