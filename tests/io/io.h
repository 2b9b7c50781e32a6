/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * io-tool: one static program that runs on the host and in guests and moves data that either side can verify. All of it
 * is made from a seed, so that who receives needs nothing but the seed to know each byte. Failures are a line on
 * standard error and exit code 1; success is silent but for the words that others wait for.
 */
#ifndef CAISSON_TESTS_IO_H
#define CAISSON_TESTS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
    bool direct;       /* O_DIRECT */
    bool piece;        /* only a piece of the file or device is meant, */
    uint64_t offset;   /* which begins here */
    const char *after; /* a FIFO: no byte is moved before somebody has opened it for writing; NULL: at once */
    unsigned limit_s;  /* after that SIGALRM ends the program */
};

/* Prints a line and ends with exit code 1; with errno's text if it is not 0. */
__attribute__((noreturn, format(printf, 2, 3))) void die(int error, const char *format, ...);
/* Of a word that is a number (or dies), what: its name. */
uint64_t number(const char *what, const char *text);

/* ---- The stream ---- */

#define STREAM_BLOCK ((size_t)1 << 20)

/*
 * Blocks of pseudo-random words: the first is xorshift64*'s output, each later one the one before with every word
 * changed by the same next number. So a step costs one instruction for each eight bytes, and still no two blocks, and
 * no two places in one, are alike.
 */
struct stream {
    uint64_t *block; /* STREAM_BLOCK bytes, the ones at .at of the stream */
    uint64_t state;
    uint64_t at;
};

/* The block is allocated, aligned for O_DIRECT, and never freed: programs end. */
void stream_init(struct stream *s, uint64_t seed);
void stream_next(struct stream *s);
/* Dies unless n bytes (of at most a block) are those of the current block. source: for the message. */
void stream_compare(const struct stream *s, const uint8_t *got, size_t n, const char *source);

/* All n bytes, or die. read_all: returns fewer only at the end of the file. */
void write_all(int fd, const void *bytes, size_t n, const char *what);
size_t read_all(int fd, void *bytes, size_t n, const char *what);

/* Write the first `bytes` of the stream; read and compare them. */
void stream_send(int fd, uint64_t bytes, uint64_t seed, const char *what);
void stream_receive(int fd, uint64_t bytes, uint64_t seed, const char *what);

/* ---- Commands: argv holds the words behind the command's name ---- */

typedef void command(const struct options *o, char **argv);

command do_fill, do_check;
command do_send, do_recv, do_serve_send, do_serve_recv, do_churn, do_talk, do_echo;
command do_tcp_send, do_tcp_recv, do_tcp_serve_send, do_tcp_serve_recv;
command do_net_up, do_ping, do_udp_echo, do_udp_ping;
command do_posix, do_eat;

#endif
