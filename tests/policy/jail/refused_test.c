/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that do not allow a step: it is told in one line and left out, or with `require` it is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/inmate.h"

/* Each step with the call that it cannot do without. */
static const struct row {
    enum jail_step step;
    struct inmate_refusal refusal;
} rows[] = {
    {JAIL_ROOT, {SYS_pivot_root, -1, 0}},
    {JAIL_NET, {SYS_unshare, 0, CLONE_NEWNET}},
    {JAIL_IPC, {SYS_unshare, 0, CLONE_NEWIPC}},
    {JAIL_UTS, {SYS_unshare, 0, CLONE_NEWUTS}},
    {JAIL_CGROUP, {SYS_unshare, 0, CLONE_NEWCGROUP}},
    {JAIL_IPC, {SYS_setns, 1, CLONE_NEWIPC}}, /* made, and not entered */
    {JAIL_IDS, {SYS_setresuid, -1, 0}},
    {JAIL_IDS, {SYS_setgroups, -1, 0}},
    {JAIL_CAPS, {SYS_capset, -1, 0}},
    {JAIL_LANDLOCK, {SYS_landlock_create_ruleset, -1, 0}},
    {JAIL_LANDLOCK, {SYS_landlock_restrict_self, -1, 0}},
    {JAIL_LIMITS, {SYS_prlimit64, 1, RLIMIT_CORE}},
    {JAIL_DUMPS, {SYS_prctl, 0, PR_SET_DUMPABLE}},
};

static struct inmate_plan plan_for(const struct row *row, bool require)
{
    return (struct inmate_plan){
        .cfg = {.require = require, .main_folder = -1, .drops_ids = row->step == JAIL_IDS, .uid = 1000, .gid = 1000},
        .refusal = row->refusal,
        .role = -1};
}

static unsigned lines_in(const char *text)
{
    unsigned n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* One line that has the step's name, the reason, and what it means. */
static void expect_told(const struct inmate *i, enum jail_step step)
{
    char line[512];
    (void)snprintf(line, sizeof(line), "jail: no %s (%s): %s\n", jail_step_name(step), strerror(EPERM),
                   jail_step_loss(step));
    assert_string_equal(i->told, line);
    assert_int_equal(lines_in(i->told), 1);
}

static void a_step_that_is_refused_is_told_and_the_others_are_taken(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        const struct inmate_plan plan = plan_for(&rows[k], false);
        struct inmate i;
        inmate_start(&i, &plan);
        assert_int_equal(i.code, 0);
        expect_told(&i, rows[k].step);
        for (int step = 0; step < JAIL_STEPS; step++)
            if ((i.result[step] < 0) != (step == (int)rows[k].step))
                fail_msg("%s refused: %s came to %d", jail_step_name(rows[k].step),
                         jail_step_name((enum jail_step)step), i.result[step]);
        inmate_end(&i);
    }
}

static void a_step_that_is_required_is_an_error_that_names_it(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
        const struct inmate_plan plan = plan_for(&rows[k], true);
        struct inmate i;
        inmate_start(&i, &plan);
        assert_int_equal(i.code, -EPERM);
        if (strstr(i.error, jail_step_name(rows[k].step)) == NULL || strstr(i.error, strerror(EPERM)) == NULL)
            fail_msg("%s refused: '%s'", jail_step_name(rows[k].step), i.error);
        assert_string_equal(i.told, "");
        inmate_end(&i);
    }
}

/* landlock_restrict_self(2) is for those who can gain nothing by programs. */
static void without_no_new_privs_there_is_no_landlock_either(void **state)
{
    const struct row row = {JAIL_PRIVILEGES, {SYS_prctl, 0, PR_SET_NO_NEW_PRIVS}};
    struct inmate_plan plan = plan_for(&row, false);
    struct inmate i;
    (void)state;
    inmate_start(&i, &plan);
    assert_int_equal(i.code, 0);
    assert_int_equal(i.result[JAIL_PRIVILEGES], -EPERM);
    assert_int_equal(i.result[JAIL_LANDLOCK], -EPERM);
    assert_int_equal(lines_in(i.told), 2);
    inmate_end(&i);
    plan = plan_for(&row, true);
    inmate_start(&i, &plan);
    assert_int_equal(i.code, -EPERM);
    assert_non_null(strstr(i.error, jail_step_name(JAIL_PRIVILEGES)));
    inmate_end(&i);
}

/* Paths were chosen for a root that is then not there. */
static void a_root_that_is_there_and_cannot_be_entered_is_an_error_always(void **state)
{
    const struct inmate_plan plan = {.cfg = {.main_folder = -1}, .refusal = {SYS_unshare, 0, CLONE_FS}, .role = -1};
    struct inmate i;
    (void)state;
    inmate_start(&i, &plan);
    assert_int_equal(i.result[JAIL_ROOT], 0);
    assert_int_equal(i.code, -EPERM);
    assert_non_null(strstr(i.error, jail_step_name(JAIL_ROOT)));
    inmate_end(&i);
}

static void threads_tell_what_they_could_not_give_up(void **state)
{
    struct inmate_plan plan = {
        .cfg = {.main_folder = -1}, .refusal = {SYS_prlimit64, 1, RLIMIT_NPROC}, .role = SECCOMP_CONTROL};
    struct inmate i;
    (void)state;
    inmate_start(&i, &plan);
    assert_int_equal(i.code, 0);
    expect_told(&i, JAIL_LIMITS);
    inmate_end(&i);
    plan.cfg.require = true;
    inmate_start(&i, &plan);
    assert_int_equal(i.code, -EPERM);
    inmate_end(&i);
}

static void a_folder_that_is_not_there_costs_the_root(void **state)
{
    struct inmate_plan plan = {.cfg = {.main_folder = -1}, .role = -1};
    struct inmate i;
    (void)state;
    plan.cfg.folders[0] = (struct jail_folder){.path = "/none/such", .name = "kept"};
    plan.cfg.folder_count = 1;
    inmate_start(&i, &plan);
    assert_int_equal(i.code, 0);
    assert_int_equal(i.result[JAIL_ROOT], -ENOENT);
    assert_int_equal(i.result[JAIL_NET], 0);
    inmate_end(&i);
}

static void a_pid_namespace_that_fork_did_not_get_is_told(void **state)
{
    struct inmate_plan plan = {.cfg = {.main_folder = -1, .pid_step = -EPERM}, .role = -1};
    struct inmate i;
    (void)state;
    inmate_start(&i, &plan);
    assert_int_equal(i.code, 0);
    expect_told(&i, JAIL_PID);
    inmate_end(&i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_that_is_refused_is_told_and_the_others_are_taken),
        cmocka_unit_test(a_step_that_is_required_is_an_error_that_names_it),
        cmocka_unit_test(without_no_new_privs_there_is_no_landlock_either),
        cmocka_unit_test(a_root_that_is_there_and_cannot_be_entered_is_an_error_always),
        cmocka_unit_test(threads_tell_what_they_could_not_give_up),
        cmocka_unit_test(a_folder_that_is_not_there_costs_the_root),
        cmocka_unit_test(a_pid_namespace_that_fork_did_not_get_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
