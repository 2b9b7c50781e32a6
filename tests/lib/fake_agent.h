/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_FAKE_AGENT_H
#define CAISSON_TESTS_LIB_FAKE_AGENT_H

/*
 * A pod without a machine, in a process of its own: a folder with a hybrid vsock socket, behind which an agent serves
 * one process, and a control socket. It does what it is told to: well, or badly in one chosen way.
 *
 * What it is asked for comes back as lines, in order: the method's name and what matters of its request.
 *
 *     hold c1 -  done  unheld  dropped (a held connection that closed without done)
 *     StartContainer c1    WaitProcess c1 c1    SignalProcess c1 c1 15    TtyWinResize c1 c1 24x80
 *     WriteStdin 5    CloseStdin    ReadStdout 0    ReadStderr 0 (other reads are not told)
 *     GetAgentKey    PutSecret NAME, 5 parts (of the encrypted text)
 *     violation: ... (two calls under way where only one may be)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum fake_agent_trouble {
    FAKE_AGENT_FINE,
    /* instead of the greeting */
    FAKE_AGENT_NOBODY, /* closes at once */
    FAKE_AGENT_NO_GREETING,
    FAKE_AGENT_BAD_GREETING,
    FAKE_AGENT_LONG_GREETING, /* digits, and no end of line */
    /* instead of an answer */
    FAKE_AGENT_GARBAGE,
    FAKE_AGENT_HUGE,       /* a header that promises 4 GiB */
    FAKE_AGENT_OVERSIZED,  /* a whole answer of 2 MiB */
    FAKE_AGENT_SILENT,     /* nothing */
    FAKE_AGENT_CLOSES,     /* half of it, then the connection closes */
    FAKE_AGENT_REQUESTS,   /* frames of another type */
    FAKE_AGENT_UNREADABLE, /* a frame that holds no answer */
    FAKE_AGENT_MORE,       /* one byte more than a read asked for */
    /* beside an answer */
    FAKE_AGENT_STRANGERS, /* `count` answers to numbers that were never asked */
    FAKE_AGENT_TWICE,
};

enum fake_agent_exit {
    FAKE_EXIT_AT_ONCE, /* before anybody waits */
    FAKE_EXIT_ON_INPUT_END,
    FAKE_EXIT_ON_SIGNAL, /* with 128 + n */
    FAKE_EXIT_WHEN_TOLD, /* fake_agent_tell(f, "exit") */
};

struct fake_agent_config {
    enum fake_agent_trouble trouble;
    const char *trouble_with; /* only for this method; NULL: any */
    unsigned count;           /* of strangers; of connections that FAKE_AGENT_NOBODY refuses, 0 being all */
    unsigned piece;           /* answers leave in pieces of so many bytes; 0: whole */
    const char *refuse;       /* a method that fails with the next two */
    int refuse_code;
    const char *refuse_text;
    /* the process */
    const char *out, *err; /* what it says */
    size_t flood;          /* and so many bytes of a pattern after `out` */
    bool echo;             /* input comes back on the output */
    size_t input_max;      /* most bytes that one WriteStdin takes; 0: all */
    bool input_closed;     /* it has closed its input */
    enum fake_agent_exit exit;
    int status;
    bool keeps_open; /* its output streams do not end with it */
    /* trust */
    const uint8_t *agent_key; /* that GetAgentKey gives, in DER */
    size_t agent_key_bytes;   /* 0: none */
};

struct fake_agent {
    pid_t pid;
    int talk; /* lines both ways */
    char folder[64], vsock[96];
    char line[256];
};

/* The pattern of a flood at one place. */
static inline char fake_agent_pattern(size_t at)
{
    return (char)('a' + (at * 7 + at / 251) % 26);
}

void fake_agent_start(struct fake_agent *f, const struct fake_agent_config *cfg);
/* "exit": the process ends; "die": the pod ends, with the reason that follows it in pod.json; "delivered": it says how
 * many bytes of output it has given away. */
void fake_agent_tell(struct fake_agent *f, const char *what);
/* The next line; waits, and fails the test when there is none for long. */
const char *fake_agent_hear(struct fake_agent *f);
/* The next line is this. */
void fake_agent_expect(struct fake_agent *f, const char *line);
/* Skip lines until one begins with this. */
void fake_agent_await(struct fake_agent *f, const char *line);
void fake_agent_stop(struct fake_agent *f);

#endif
