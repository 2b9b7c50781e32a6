/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: pod-attach NETNS COMMAND...
 *
 * Attach a network namespace as a pod does and run a VMM on it: in the command's words, "@nets" becomes the options of
 * `caisson run` for its devices, and "@setup" within a word becomes a shell script for the guest that does with
 * busybox's `ip` what the messages for the agent say. Afterwards the namespace is detached; ends with the command's
 * code.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/pod/net.h"

#define WORDS_MAX   256u
#define SCRIPT_MAX  16384u
#define OPTIONS_MAX 128u

struct script {
    char text[SCRIPT_MAX];
    size_t length;
};

static _Noreturn void die(const char *text)
{
    fprintf(stderr, "pod-attach: %s\n", text);
    exit(125);
}

static void say(struct script *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct script *s, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(s->text + s->length, SCRIPT_MAX - s->length, format, list);
    va_end(list);
    if (n < 0 || (size_t)n >= SCRIPT_MAX - s->length)
        die("the script is too long");
    s->length += (size_t)n;
}

/* ---- What the agent would do ---- */

static void say_interface(struct script *s, const types_Interface *f)
{
    say(s, "for d in /sys/class/net/*; do if [ $(cat $d/address) = %s ]; then dev=${d##*/}; fi; done; ", f->hwAddr);
    say(s, "if [ $dev != %s ]; then ip link set $dev name %s; fi; ip link set %s mtu %u up; ", f->name, f->name,
        f->name, (unsigned)f->mtu);
    for (pb_size_t i = 0; i < f->IPAddresses_count; i++)
        say(s, "ip addr add %s/%s dev %s; ", f->IPAddresses[i].address, f->IPAddresses[i].mask, f->name);
    /* The agent adds IPv6 addresses as ones that nobody else has; busybox cannot. */
    say(s, "while ip addr show dev %s | grep -q tentative; do usleep 20000; done; ", f->name);
}

static void say_route(struct script *s, const types_Route *r)
{
    bool v6 = r->family == types_IPFamily_v6;
    say(s, "ip %s route add %s dev %s", v6 ? "-6" : "-4", r->dest[0] != '\0' ? r->dest : "default", r->device);
    if (r->gateway[0] != '\0')
        say(s, " via %s", r->gateway);
    if (r->source[0] != '\0')
        say(s, " src %s", r->source);
    say(s, "; ");
}

static void make_script(struct script *s, const struct pod_net *net)
{
    s->length = 0;
    for (unsigned i = 0; i < net->count; i++)
        say_interface(s, &net->interfaces[i].interface);
    for (pb_size_t i = 0; i < net->routes.Routes_count; i++)
        say_route(s, &net->routes.Routes[i]);
    for (pb_size_t i = 0; i < net->neighbours.ARPNeighbors_count; i++) {
        const types_ARPNeighbor *n = &net->neighbours.ARPNeighbors[i];
        if (n->toIPAddress.family == types_IPFamily_v4)
            say(s, "arp -i %s -s %s %s; ", n->device, n->toIPAddress.address, n->lladdr);
    }
}

/* ---- The command ---- */

struct words {
    char *word[WORDS_MAX];
    size_t count;
};

static void add_word(struct words *w, const char *text)
{
    if (w->count + 1 >= WORDS_MAX)
        die("too many words");
    w->word[w->count] = strdup(text);
    if (w->word[w->count++] == NULL)
        die("no memory");
}

static void add_nets(struct words *w, const struct pod_net *net)
{
    for (unsigned i = 0; i < net->count; i++) {
        const struct pod_net_link *l = &net->link[i];
        char options[OPTIONS_MAX];
        if (fcntl(l->tap_fd, F_SETFD, 0) < 0)
            die("a descriptor cannot be handed on");
        (void)snprintf(options, sizeof(options), "fd=%d,mac=%02x:%02x:%02x:%02x:%02x:%02x,mtu=%u", l->tap_fd, l->mac[0],
                       l->mac[1], l->mac[2], l->mac[3], l->mac[4], l->mac[5], l->mtu);
        add_word(w, "--net");
        add_word(w, options);
    }
}

static void add_with_script(struct words *w, const char *text, const struct script *s)
{
    static const char mark[] = "@setup";
    struct script out = {.length = 0};
    const char *at = strstr(text, mark);
    if (at == NULL) {
        add_word(w, text);
        return;
    }
    say(&out, "%.*s%s%s", (int)(at - text), text, s->text, at + strlen(mark));
    add_word(w, out.text);
}

static int run(const struct words *w, struct pod_net *net)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        execv(w->word[0], w->word);
        die("the command cannot be run");
    }
    pod_net_release(net);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("the command cannot be waited for");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    struct words *w = calloc(1, sizeof(*w));
    struct script *setup = calloc(1, sizeof(*setup));
    struct pod_net net;
    struct err err;
    if (w == NULL || setup == NULL)
        die("no memory");
    if (argc < 3)
        die("usage: pod-attach NETNS COMMAND...");
    if (pod_net_attach(argv[1], &net, &err) < 0)
        die(err.text);
    if (net.notes[0] != '\0')
        fprintf(stderr, "pod-attach: %s\n", net.notes);
    make_script(setup, &net);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "@nets") == 0)
            add_nets(w, &net);
        else
            add_with_script(w, argv[i], setup);
    }
    int code = run(w, &net);
    if (pod_net_detach(argv[1], &err) < 0)
        die(err.text);
    return code;
}
