/* SPDX-License-Identifier: MIT */
/* The one line of netsh that stands in the instructions for nested virtual machines. */
#include "cmd/net/net.h"

struct line {
    const char *adapter, *address;
};

static int usage(struct err *err, const char *word)
{
    return err_set_id(err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
                      "'%.60s' is not understood: of netsh there is 'interface ip add dnsserver NAME "
                      "address=ADDRESS'; ip and "
                      "resolvectl set up the rest.",
                      word);
}

/* The value of a word "name=value", or of one without a name where it stands; NULL: it has another name. */
static const char *value_of(const char *word, const char *name)
{
    size_t n = strlen(name);
    if (text_begins(word, name) && word[n] == '=')
        return word + n + 1;
    return strchr(word, '=') ? NULL : word;
}

static bool is_one_of(const char *word, const char *words)
{
    return words_find(words, word) >= 0;
}

static int parse(struct cmdlet_call *c, struct line *l, struct err *err)
{
    static const char *const context[] = {"interface", "ip ipv4 ipv6", "add", "dnsserver dnsservers"};
    unsigned count = arg_count(c, "Words");
    for (unsigned i = 0; i < ARRAY_SIZE(context); i++) {
        const char *word = i < count ? arg_string_at(c, "Words", i) : "";
        if (!is_one_of(word, context[i]))
            return usage(err, word);
    }
    for (unsigned i = ARRAY_SIZE(context); i < count; i++) {
        const char *word = arg_string_at(c, "Words", i);
        const char **to = !l->adapter && value_of(word, "name") ? &l->adapter
                          : !l->address                         ? &l->address
                                                                : NULL;
        if (!to || !(*to = value_of(word, to == &l->adapter ? "name" : "address")))
            return usage(err, word);
    }
    if (!l->adapter || !l->address || !*l->address)
        return err_set_id(
            err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
            "The name server is missing: Netsh interface ip add dnsserver NAME address=ADDRESS.");
    return 0;
}

static int add(struct cmdlet_call *c, const struct line *l, struct err *err)
{
    struct net_adapter *list;
    struct ip_addr server;
    unsigned count;
    if (!ip_parse(l->address, &server) || ip_is_any(&server))
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_INVALID_PARAMETER,
                          "'%.60s' is no address of a name server.", l->address);
    if (net_adapters(c, &list, &count))
        return err_set(err, EXIT_STATUS_HOST, "the host's adapters cannot be listed");
    const struct net_adapter *n = net_adapter_find(list, count, l->adapter, -1);
    if (!n)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_OBJECT_NOT_FOUND,
                          "There is no network adapter '%s' on this machine: Get-NetAdapter lists them. In a "
                          "virtual machine "
                          "give its own, such as eth0.",
                          l->adapter);
    if (!n->kernel)
        return err_set_id(err, EXIT_STATUS_USAGE, ERROR_NOT_SUPPORTED,
                          "'%s' is in user mode: this host's own names are not asked through it. Give an "
                          "adapter that the host "
                          "itself uses.",
                          l->adapter);
    if (!call_should(c, "add the name server %s to this machine.", l->address))
        return 0;
    return net_host(c)->add_resolver(n->host.index, &server, err);
}

static int run(struct cmdlet_call *c)
{
    struct line l = {0};
    struct err err = {0};
    if (parse(c, &l, &err) || add(c, &l, &err))
        return call_error_from(c, &err, l.adapter, "Failed to add a name server.");
    return 0;
}
const struct cmdlet_ops cmdlet_netsh = NET_OPS(run);
