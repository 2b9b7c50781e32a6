/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of what a tmpfs is about to hide. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/copy_up.h"

/* Makes a folder with from/ and to/, by a script in from/. Opens both. */
static void make(char *folder, const char *script, int *from, int *to)
{
    char command[1024];
    strcpy(folder, "/tmp/copy_up_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(command, sizeof command, "cd %s && mkdir from to && cd from && %s", folder, script);
    assert_int_equal(system(command), 0);
    int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *from = openat(root, "from", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *to = openat(root, "to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(root);
    assert_true(*from >= 0 && *to >= 0);
}

static void finish(const char *folder, int from, int to)
{
    char command[128];
    close(from);
    close(to);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static int in_copy(const char *folder, const char *script)
{
    char command[512];
    (void)snprintf(command, sizeof command, "cd %s/to && %s", folder, script);
    return system(command);
}

static void files_folders_and_links_are_copied_with_their_modes(void **state)
{
    char folder[32];
    int from, to;
    (void)state;
    make(folder, "mkdir -m 711 d && echo text >d/f && chmod 640 d/f && ln -s /etc/passwd l && chmod 1777 .", &from,
         &to);
    assert_int_equal(copy_up_folder(from, to), 0);
    assert_int_equal(in_copy(folder,
                             "[ $(cat d/f) = text ] && [ $(stat -c %a d/f) = 640 ] && [ $(stat -c %a d) = 711 ] && "
                             "[ $(readlink l) = /etc/passwd ] && [ $(stat -c %a .) = 1777 ]"),
                     0);
    finish(folder, from, to);
}

static void pipes_are_left_out(void **state)
{
    char folder[32];
    int from, to;
    (void)state;
    make(folder, "mkfifo p && echo >f", &from, &to);
    assert_int_equal(copy_up_folder(from, to), 0);
    assert_int_equal(in_copy(folder, "[ \"$(ls)\" = f ]"), 0);
    finish(folder, from, to);
}

static void a_link_at_the_destination_is_not_followed(void **state)
{
    char folder[32];
    int from, to;
    (void)state;
    make(folder, "echo text >f && ln -s ../victim ../to/f && echo whole >../victim", &from, &to);
    assert_int_equal(copy_up_folder(from, to), -EEXIST);
    assert_int_equal(in_copy(folder, "[ $(cat ../victim) = whole ]"), 0);
    finish(folder, from, to);
}

static void the_depth_is_bounded(void **state)
{
    char folder[32];
    int from, to;
    (void)state;
    make(folder, "i=0; while [ $i -lt 70 ]; do mkdir d && cd d; i=$((i+1)); done", &from, &to);
    assert_int_equal(copy_up_folder(from, to), -ELOOP);
    finish(folder, from, to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_folders_and_links_are_copied_with_their_modes),
        cmocka_unit_test(pipes_are_left_out),
        cmocka_unit_test(a_link_at_the_destination_is_not_followed),
        cmocka_unit_test(the_depth_is_bounded),
    };
    return cmocka_run_group_tests_name("container/copy_up", tests, NULL, NULL);
}
