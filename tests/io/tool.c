/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/io.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nobody waits for ever; tests have deadlines of their own. */
#define DEFAULT_LIMIT_S 3600u

static const struct entry {
    const char *name;
    command *run;
    int words; /* behind the name; more are allowed if max is greater */
    int max;
    const char *usage;
} entries[] = {
    {"fill", do_fill, 3, 3, "PATH BYTES SEED: write the stream to a file or block device"},
    {"check", do_check, 3, 3, "PATH BYTES SEED: read it and compare"},
    {"vsock-send", do_send, 4, 4, "CID|unix:PATH PORT BYTES SEED: connect and send the stream"},
    {"vsock-recv", do_recv, 4, 4, "CID|unix:PATH PORT BYTES SEED: connect, receive and compare"},
    {"vsock-serve-send", do_serve_send, 3, 4, "[unix:PATH] PORT BYTES SEED: the same for the first who connects"},
    {"vsock-serve-recv", do_serve_recv, 3, 4, "[unix:PATH] PORT BYTES SEED"},
    {"vsock-churn", do_churn, 3, 3, "CID|unix:PATH PORT N: N times connect, exchange 16 bytes, close"},
    {"vsock-talk", do_talk, 2, 2, "CID|unix:PATH PORT: connect, send standard input, print what comes until its end"},
    {"vsock-echo", do_echo, 2, 3, "[unix:PATH] PORT N: N connections, one after the other, get back what they send"},
    {"tcp-send", do_tcp_send, 4, 4, "ADDRESS PORT BYTES SEED"},
    {"tcp-recv", do_tcp_recv, 4, 4, "ADDRESS PORT BYTES SEED"},
    {"tcp-serve-send", do_tcp_serve_send, 3, 3, "PORT BYTES SEED"},
    {"tcp-serve-recv", do_tcp_serve_recv, 3, 3, "PORT BYTES SEED"},
    {"net-up", do_net_up, 2, 3, "INTERFACE ADDRESS/PREFIX [GATEWAY]"},
    {"ping", do_ping, 2, 2, "ADDRESS N: N ICMP echo requests, one after the other"},
    {"udp-echo", do_udp_echo, 2, 2, "PORT N: send back N datagrams"},
    {"udp-ping", do_udp_ping, 3, 3, "ADDRESS PORT N: N datagrams of growing size, there and back"},
    {"posix", do_posix, 1, 1, "DIR: the numbered list of file operations, in a new folder DIR"},
    {"eat", do_eat, 2, 2, "BYTES FIFO: touch that much memory, say so, give it back once FIFO has been opened"},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void die(int error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fflush(stdout);
    fprintf(stderr, "io-tool: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, error != 0 ? ": %s\n" : "\n", strerror(error));
    va_end(list);
    exit(1);
}

uint64_t number(const char *what, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || *text < '0' || *text > '9')
        die(0, "%s is a number, not '%s'", what, text);
    return value;
}

static int usage(void)
{
    fprintf(stderr, "usage: io-tool [--direct] [--offset=BYTES] [--after=FIFO] [--limit=SECONDS] COMMAND WORDS...\n");
    for (size_t i = 0; i < COUNT(entries); i++)
        fprintf(stderr, "  %-17s %s\n", entries[i].name, entries[i].usage);
    return 2;
}

static bool parse_option(struct options *o, const char *word)
{
    if (strcmp(word, "--direct") == 0)
        o->direct = true;
    else if (strncmp(word, "--offset=", 9) == 0) {
        o->piece = true;
        o->offset = number("--offset", word + 9);
    } else if (strncmp(word, "--after=", 8) == 0)
        o->after = word + 8;
    else if (strncmp(word, "--limit=", 8) == 0)
        o->limit_s = (unsigned)number("--limit", word + 8);
    else
        return false;
    return true;
}

/* Options may stand anywhere; what is left is the command with its words, ended by NULL. */
static bool parse(struct options *o, char **argv)
{
    char **to = argv;
    for (char **from = argv; *from != NULL; from++)
        if (strncmp(*from, "--", 2) != 0)
            *to++ = *from;
        else if (!parse_option(o, *from))
            return false;
    *to = NULL;
    return true;
}

static const struct entry *find(const char *name)
{
    for (size_t i = 0; i < COUNT(entries); i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

int main(int argc, char **argv)
{
    struct options o = {.limit_s = DEFAULT_LIMIT_S};
    if (argc < 2 || !parse(&o, argv + 1) || argv[1] == NULL)
        return usage();
    const struct entry *e = find(argv[1]);
    int words = 0;
    while (argv[2 + words] != NULL)
        words++;
    if (e == NULL || words < e->words || words > e->max)
        return usage();
    /* A peer that goes away is an error to report, not an end without words. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(o.limit_s);
    e->run(&o, argv + 2);
    return fflush(stdout) == 0 ? 0 : 1;
}
