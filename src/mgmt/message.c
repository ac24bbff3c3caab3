/* SPDX-License-Identifier: MIT */
/* Messages: a schema for their fields, one packet each. */
#include "mgmt/message.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/vm_config.h"

static const char *const message_type_words[] = {
#define X(type) #type,
    MESSAGE_TYPES(X)
#undef X
};

#define OBJECT message
#include "config/as_rows.h"
static const struct setting fields[] = {
#include "mgmt/message.def"
#define SETTINGS_PORT
#include "config/settings.def"
#undef SETTINGS_PORT
};
static const struct schema schema = {"a message", fields, ARRAY_SIZE(fields)};

static bool is_zero(const struct setting *s, const struct message *m)
{
    if (s->kind == SETTING_KIND_TEXT)
        return !((const char *)m)[s->offset];
    return setting_number(s, m) == 0;
}

char *message_print(const struct message *m)
{
    json_t *o = json_object();
    char *text = NULL;
    if (o && schema_store(&schema, m, o, NULL) == 0) {
        for (unsigned i = 1; i < schema.count; i++) /* the type stays */
            if (is_zero(&fields[i], m))
                json_object_del(o, fields[i].key);
        text = json_dumps(o, JSON_COMPACT);
    }
    json_decref(o);
    return text;
}

int message_parse(struct message *m, const char *text, size_t len, struct err *err)
{
    json_error_t e;
    memset(m, 0, sizeof(*m));
    json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    if (!o)
        return err_set(err, EXIT_STATUS_HOST, "a message is no JSON: %.100s", e.text);
    int r = json_object_get(o, "type") ? schema_load(&schema, m, o, NULL, err)
                                       : err_set(err, EXIT_STATUS_HOST, "a message has no type");
    json_decref(o);
    return r;
}

void message_set_patience(int fd, unsigned seconds)
{
    struct timeval t = {.tv_sec = seconds};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int message_send(int fd, const struct message *m, int pass, struct err *err)
{
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.room = {0}};
    char *text = message_print(m);
    if (!text)
        return err_set(err, EXIT_STATUS_HOST, "a message cannot be made");
    struct iovec part = {text, strlen(text)};
    struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
    if (pass >= 0) {
        h.msg_control = control.room;
        h.msg_controllen = sizeof(control.room);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &pass, sizeof(int));
    }
    ssize_t n = sendmsg(fd, &h, MSG_NOSIGNAL);
    free(text);
    return n >= 0 ? 0 : err_set(err, EXIT_STATUS_HOST, "the message cannot be sent: %s", strerror(errno));
}

/* Takes the first descriptor that came; all others are closed. */
static void take_passed(struct msghdr *h, int *passed)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (passed && *passed < 0)
                *passed = fd;
            else
                close(fd);
        }
    }
}

int message_receive(int fd, struct message *m, int *passed, struct err *err)
{
    union {
        char room[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    char text[MESSAGE_MAX];
    struct iovec part = {text, sizeof(text)};
    struct msghdr h = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof(control.room)};
    if (passed)
        *passed = -1;
    ssize_t n;
    do
        n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return err_set_id(err, EXIT_STATUS_HOST, ERROR_TIMED_OUT, "no answer came in time");
    if (n <= 0)
        return n < 0 && errno != ECONNRESET ? err_set(err, EXIT_STATUS_HOST, "no answer: %s", strerror(errno))
                                            : 0;
    take_passed(&h, passed);
    if (!(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && message_parse(m, text, (size_t)n, err) == 0)
        return 1;
    if (passed && *passed >= 0)
        close(*passed);
    return err_set(err, EXIT_STATUS_HOST, "a message is too long");
}

struct message message_of_err(const struct err *e)
{
    struct message m = {.type = MESSAGE_ERROR, .error = (u64)e->id, .status = (u64)e->status};
    snprintf(m.text, sizeof(m.text), "%.599s", e->text);
    for (char *p = m.text; *p; p++) /* names of files may be any bytes, JSON is UTF-8 */
        if ((u8)*p >= 0x80)
            *p = '?';
    return m;
}

int message_to_err(const struct message *m, struct err *err)
{
    return err_set_id(err, m->status ? (int)m->status : EXIT_STATUS_HOST, (int)m->error, "%s",
                      m->text[0] ? m->text : "the worker refused without a reason");
}
