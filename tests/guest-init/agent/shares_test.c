/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "guest-init/agent/shares.h"

#define TEXT_BYTES 256

static void write_down(void *context, const char *path)
{
    (void)strcat(context, path);
    (void)strcat(context, " ");
}

/* What is asked for after a container with this root and these two mounts. */
static void expect(char *root, char *first, char *second, const char *looked)
{
    char text[TEXT_BYTES] = "";
    grpc_Mount mounts[] = {{.source = first}, {.source = second}};
    const grpc_Spec spec = {.has_Root = root != NULL, .Root = {.Path = root}, .Mounts_count = 2, .Mounts = mounts};
    struct agent_shares s;
    assert_int_equal(agent_shares_note(&s, &spec), 0);
    agent_shares_forget(&s, write_down, text);
    assert_string_equal(text, looked);
    assert_null(s.path);
}

static void the_root_and_each_mount_are_asked_for(void **state)
{
    (void)state;
    char root[] = "/run/caisson/shared/root", one[] = "/run/caisson/shared/one", two[] = "/run/caisson/shared/two";
    expect(root, one, two, "/run/caisson/shared/root /run/caisson/shared/one /run/caisson/shared/two ");
}

static void what_is_below_a_name_is_asked_for_by_the_name(void **state)
{
    (void)state;
    char root[] = "/run/caisson/shared/root/a/b", one[] = "/run/caisson/shared/one/";
    expect(root, one, NULL, "/run/caisson/shared/root /run/caisson/shared/one ");
}

static void a_name_is_asked_for_once(void **state)
{
    (void)state;
    char root[] = "/run/caisson/shared/root", one[] = "/run/caisson/shared/root/etc";
    char two[] = "/run/caisson/shared/root2";
    expect(root, one, two, "/run/caisson/shared/root /run/caisson/shared/root2 ");
}

static void what_is_the_guests_own_is_not_asked_for(void **state)
{
    (void)state;
    char root[] = "/run/caisson/sharedroot", one[] = "proc", two[] = "/run/caisson/shared/";
    expect(root, one, two, "");
    expect(NULL, NULL, NULL, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_and_each_mount_are_asked_for),
        cmocka_unit_test(what_is_below_a_name_is_asked_for_by_the_name),
        cmocka_unit_test(a_name_is_asked_for_once),
        cmocka_unit_test(what_is_the_guests_own_is_not_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
