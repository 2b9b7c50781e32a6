/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/options.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define MAX_SIGNAL 64u

/* A word inside a longer text. */
struct word {
    const char *start;
    size_t length;
};

static bool is(struct word w, const char *text)
{
    return strlen(text) == w.length && memcmp(w.start, text, w.length) == 0;
}

static struct word behind(struct word w, size_t bytes)
{
    return (struct word){w.start + bytes, w.length - bytes};
}

static bool begins(struct word w, const char *text)
{
    return strlen(text) <= w.length && memcmp(w.start, text, strlen(text)) == 0;
}

int softhv_option_kernel(const char *text, enum softhv_kernel *out)
{
    static const struct {
        const char *name;
        enum softhv_kernel kernel;
    } names[] = {
        {"6.15", SOFTHV_KERNEL_6_15},
        {"6.15-stable", SOFTHV_KERNEL_6_15_STABLE},
        {"6.19", SOFTHV_KERNEL_6_19},
        {"7.2", SOFTHV_KERNEL_7_2},
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i].name, text) == 0) {
            *out = names[i].kernel;
            return 0;
        }
    return -EINVAL;
}

/* One or two digits. -1: something else. */
static int number_of(struct word w)
{
    int value = 0;
    if (w.length == 0 || w.length > 2)
        return -1;
    for (size_t i = 0; i < w.length; i++) {
        if (w.start[i] < '0' || w.start[i] > '9')
            return -1;
        value = value * 10 + (w.start[i] - '0');
    }
    return value;
}

/* "", "+n", "-n" behind the name of a real-time signal. -1: not a real-time signal at all. */
static int real_time(int base, struct word rest)
{
    int sign = rest.length != 0 && rest.start[0] == '-' ? -1 : 1;
    if (rest.length == 0)
        return base;
    int offset = rest.start[0] == '+' || rest.start[0] == '-' ? number_of(behind(rest, 1)) : -1;
    int signal = base + sign * offset;
    return offset >= 0 && signal >= SIGRTMIN && signal <= SIGRTMAX ? signal : -1;
}

static int named(struct word w)
{
    static const struct {
        const char *name;
        int signal;
    } names[] = {
        {"HUP", SIGHUP},     {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ILL", SIGILL},       {"TRAP", SIGTRAP},
        {"ABRT", SIGABRT},   {"BUS", SIGBUS},   {"FPE", SIGFPE},   {"USR1", SIGUSR1},     {"SEGV", SIGSEGV},
        {"USR2", SIGUSR2},   {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},     {"STKFLT", SIGSTKFLT},
        {"CHLD", SIGCHLD},   {"CONT", SIGCONT}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU},
        {"URG", SIGURG},     {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF},
        {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"PWR", SIGPWR},   {"SYS", SIGSYS},
    };
    if (begins(w, "SIG"))
        w = behind(w, 3);
    if (begins(w, "RTMIN"))
        return real_time(SIGRTMIN, behind(w, 5));
    if (begins(w, "RTMAX"))
        return real_time(SIGRTMAX, behind(w, 5));
    for (size_t i = 0; i < COUNT(names); i++)
        if (is(w, names[i].name))
            return names[i].signal;
    return -1;
}

/* Of those between the ordinary and the real-time ones the C library makes its own use. */
static bool can_be_blocked(int signal)
{
    bool of_library = signal >= 32 && signal < SIGRTMIN;
    return signal >= 1 && signal <= (int)MAX_SIGNAL && signal != SIGKILL && signal != SIGSTOP && !of_library;
}

static int signal_of(struct word w)
{
    int signal = number_of(w);
    if (signal < 0)
        signal = named(w);
    return can_be_blocked(signal) ? signal : -1;
}

int softhv_option_signals(const char *text, uint64_t *out)
{
    uint64_t signals = 0;
    if (strcmp(text, "none") == 0) {
        *out = 0;
        return 0;
    }
    for (const char *p = text;; p++) {
        struct word w = {p, strcspn(p, ",")};
        int signal = signal_of(w);
        if (signal < 1)
            return -EINVAL;
        signals |= UINT64_C(1) << (signal - 1);
        p += w.length;
        if (*p == '\0')
            break;
    }
    *out = signals;
    return 0;
}

uint64_t softhv_option_kicks_default(void)
{
    return UINT64_C(1) << (SIGUSR1 - 1) | UINT64_C(1) << (SIGRTMIN - 1);
}
