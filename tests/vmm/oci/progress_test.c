/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/oci/progress.h"

#define LONG_MS 20000

/* A terminal: the stream is its slave. */
static int open_terminal(FILE **slave)
{
    int unlocked = 0;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(ioctl(master, TIOCSPTLCK, &unlocked), 0);
    int fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd >= 0);
    *slave = fdopen(fd, "r+");
    assert_non_null(*slave);
    return master;
}

/* Read until these words have come; all of it is in `all`. */
static void await(int fd, const char *words, char *all, size_t size)
{
    size_t n = 0;
    all[0] = '\0';
    while (strstr(all, words) == NULL) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, LONG_MS) != 1 || n + 1 >= size)
            fail_msg("%s did not come: %s", words, all);
        ssize_t got = read(fd, all + n, size - 1 - n);
        assert_true(got > 0);
        n += (size_t)got;
        all[n] = '\0';
    }
}

static void it_shows_what_is_waited_for_and_takes_it_away(void **state)
{
    (void)state;
    struct progress p;
    FILE *slave;
    char text[4096], folder[] = "/tmp/caisson-progress-XXXXXX", path[64];
    int master = open_terminal(&slave);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/pod.json", folder);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs("{\"phase\":\"booting\"}", out);
    fclose(out);
    progress_begin(&p, slave, "starting the pod", folder);
    assert_true(p.pid > 0);
    await(master, "caisson: starting the pod: booting, 1 s", text, sizeof(text));
    progress_end(&p);
    /* The last thing written is the eraser. */
    fputs("END", slave);
    fflush(slave);
    await(master, "END", text, sizeof(text));
    assert_string_equal(text + strlen(text) - strlen("\r\x1b[KEND"), "\r\x1b[KEND");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    (void)unlink(path);
    (void)rmdir(folder);
    fclose(slave);
    close(master);
}

static void what_is_done_at_once_shows_nothing(void **state)
{
    (void)state;
    struct progress p;
    FILE *slave;
    char text[256];
    int master = open_terminal(&slave);
    progress_begin(&p, slave, "starting the pod", NULL);
    progress_end(&p);
    fputs("END", slave);
    fflush(slave);
    await(master, "END", text, sizeof(text));
    assert_string_equal(text, "END");
    fclose(slave);
    close(master);
}

static void nothing_is_begun_for_a_program(void **state)
{
    (void)state;
    struct progress p;
    char *text;
    size_t length;
    int ends[2];
    FILE *memory = open_memstream(&text, &length);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    FILE *pipe = fdopen(ends[1], "w");
    assert_non_null(pipe);
    progress_begin(&p, memory, "starting the pod", NULL);
    assert_int_equal(p.pid, 0);
    progress_end(&p);
    progress_begin(&p, pipe, "starting the pod", NULL);
    assert_int_equal(p.pid, 0);
    progress_end(&p);
    fclose(memory);
    free(text);
    fclose(pipe);
    close(ends[0]);
}

static void a_terminal_without_abilities_is_left_alone(void **state)
{
    (void)state;
    struct progress p;
    FILE *slave;
    int master = open_terminal(&slave);
    assert_int_equal(setenv("TERM", "dumb", 1), 0);
    progress_begin(&p, slave, "starting the pod", NULL);
    assert_int_equal(p.pid, 0);
    assert_int_equal(unsetenv("TERM"), 0);
    progress_begin(&p, slave, "starting the pod", NULL);
    assert_int_equal(p.pid, 0);
    assert_int_equal(setenv("TERM", "vt100", 1), 0);
    fclose(slave);
    close(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_shows_what_is_waited_for_and_takes_it_away),
        cmocka_unit_test(what_is_done_at_once_shows_nothing),
        cmocka_unit_test(nothing_is_begun_for_a_program),
        cmocka_unit_test(a_terminal_without_abilities_is_left_alone),
    };
    (void)setenv("TERM", "vt100", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
