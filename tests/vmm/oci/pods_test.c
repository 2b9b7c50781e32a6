/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/fake_agent.h"
#include "vmm/oci/pods.h"

#define SAYS  "/pod.json" /* what a pod's process says of itself */
#define NAMES ".pid"      /* beside its folder: what commands believe */

static void write_file(const struct fake_agent *f, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s%s", f->folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void write_process(const struct fake_agent *f, const char *name, const struct oci_process *p)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "{\"pid\":%ld,\"startTime\":%llu,\"why\":\"it panicked\"}", (long)p->pid,
                   (unsigned long long)p->start);
    write_file(f, name, text);
}

/* A process that does nothing, and its description. */
static struct oci_process fork_process(void)
{
    struct oci_process p;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(oci_process_find(pid, &p), 0);
    return p;
}

static void end_process(const struct oci_process *p)
{
    (void)kill(p->pid, SIGKILL);
    assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
}

static void start(struct fake_agent *f, const struct fake_agent_config *cfg)
{
    struct oci_process p;
    fake_agent_start(f, cfg);
    assert_int_equal(oci_process_find(f->pid, &p), 0);
    write_process(f, NAMES, &p);
}

/* ---- One that runs ---- */

static void a_pod_that_runs_is_reached(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent agent;
    struct err err;
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    assert_true(oci_pod_lives(f.folder));
    assert_int_equal(oci_pod_dial(f.folder, &agent, &err), 0);
    oci_agent_close(&agent);
    fake_agent_stop(&f);
}

static void a_pod_that_has_ended_says_why(void **state)
{
    (void)state;
    struct fake_agent f;
    struct oci_agent agent;
    struct err err;
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    write_process(&f, NAMES, &(struct oci_process){.pid = f.pid, .start = 1});
    write_process(&f, SAYS, &(struct oci_process){.pid = f.pid, .start = 1});
    assert_false(oci_pod_lives(f.folder));
    assert_int_equal(oci_pod_dial(f.folder, &agent, &err), -ENOTCONN);
    assert_non_null(strstr(err.text, "its process has ended: it panicked"));
    fake_agent_stop(&f);
}

static void what_names_no_process_names_no_pod(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"pid\":1,\"startTime\":0}",
                                        "{\"pid\":-7,\"startTime\":1}",
                                        "{\"pid\":\"9\",\"startTime\":1}",
                                        "{}"};
    struct fake_agent f;
    struct err err;
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_file(&f, NAMES, texts[i]);
        assert_false(oci_pod_lives(f.folder));
    }
    assert_int_equal(oci_pod_end("/no/such/folder", &err), 0);
    assert_int_equal(oci_pod_open_log("/no/such/folder"), -1);
    fake_agent_stop(&f);
}

/* ---- The end ---- */

/* Nobody hears what is said to it. */
static void unlink_control(const struct fake_agent *f)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/pod.sock", f->folder);
    assert_int_equal(unlink(path), 0);
}

static void a_pod_that_does_not_answer_is_killed(void **state)
{
    (void)state;
    struct fake_agent f;
    struct err err;
    struct oci_process pod = fork_process();
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    write_process(&f, NAMES, &pod);
    unlink_control(&f);
    assert_int_equal(oci_pod_end(f.folder, &err), 0);
    assert_false(oci_process_lives(&pod));
    end_process(&pod);
    fake_agent_stop(&f);
}

static void who_has_the_number_of_a_pod_now_is_left_alone(void **state)
{
    (void)state;
    struct fake_agent f;
    struct err err;
    struct oci_process other = fork_process();
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    write_process(&f, NAMES, &(struct oci_process){.pid = other.pid, .start = other.start - 1});
    unlink_control(&f);
    assert_int_equal(oci_pod_end(f.folder, &err), 0);
    assert_true(oci_process_lives(&other));
    end_process(&other);
    fake_agent_stop(&f);
}

/* No descriptors are left to look who it is. */
static void a_pod_that_nobody_can_look_for_has_not_ended(void **state)
{
    (void)state;
    struct fake_agent f;
    struct err err;
    struct rlimit before, none;
    struct oci_process pod = fork_process();
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    write_process(&f, NAMES, &pod);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int code = oci_pod_end(f.folder, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, -EMFILE);
    assert_non_null(strstr(err.text, "pod.pid"));
    assert_true(oci_process_lives(&pod));
    end_process(&pod);
    fake_agent_stop(&f);
}

static void what_a_pod_says_of_its_process_counts_for_nothing(void **state)
{
    (void)state;
    struct fake_agent f;
    struct err err;
    struct oci_process pod = fork_process(), other = fork_process();
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    write_process(&f, NAMES, &pod);
    write_process(&f, SAYS, &other);
    unlink_control(&f);
    assert_int_equal(oci_pod_end(f.folder, &err), 0);
    assert_true(oci_process_lives(&other));
    assert_false(oci_process_lives(&pod));
    end_process(&other);
    end_process(&pod);
    fake_agent_stop(&f);
}

static void what_is_no_file_says_nothing_and_is_not_waited_for(void **state)
{
    (void)state;
    struct fake_agent f;
    char path[128], target[128];
    start(&f, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    (void)snprintf(path, sizeof(path), "%s" SAYS, f.folder);
    (void)snprintf(target, sizeof(target), "%s" NAMES, f.folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(oci_pod_read(f.folder));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_null(oci_pod_read(f.folder));
    fake_agent_stop(&f);
}

/* ---- Exports, cgroups ---- */

static void exports_that_the_pod_refuses_are_the_callers_error(void **state)
{
    (void)state;
    struct fake_agent f;
    struct err err;
    struct oci_export export = {.name = "x-root", .fd = open("/", O_PATH | O_CLOEXEC)};
    const struct oci_plan plan = {.exports = &export, .export_count = 1}, none = {.export_count = 0};
    start(&f, &(struct fake_agent_config){.refuse = "export", .exit = FAKE_EXIT_WHEN_TOLD});
    assert_true(oci_pod_add_exports(f.folder, &plan, &err) < 0);
    assert_non_null(strstr(err.text, "the pod is full"));
    assert_int_equal(oci_pod_add_exports("/no/such/folder", &none, &err), 0);
    assert_true(oci_pod_add_exports("/no/such/folder", &plan, &err) < 0);
    close(export.fd);
    fake_agent_stop(&f);
}

static void without_a_cgroup_there_is_nothing_to_join_or_remove(void **state)
{
    (void)state;
    struct oci_pod_cgroup none = {.there = false};
    struct err err;
    assert_int_equal(oci_pod_cgroup_enter(&none, &err), 0);
    assert_int_equal(oci_pod_cgroup_remove(&none, &err), 0);
    oci_pod_cgroup_release(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_that_runs_is_reached),
        cmocka_unit_test(a_pod_that_has_ended_says_why),
        cmocka_unit_test(what_names_no_process_names_no_pod),
        cmocka_unit_test(a_pod_that_does_not_answer_is_killed),
        cmocka_unit_test(who_has_the_number_of_a_pod_now_is_left_alone),
        cmocka_unit_test(a_pod_that_nobody_can_look_for_has_not_ended),
        cmocka_unit_test(what_a_pod_says_of_its_process_counts_for_nothing),
        cmocka_unit_test(what_is_no_file_says_nothing_and_is_not_waited_for),
        cmocka_unit_test(exports_that_the_pod_refuses_are_the_callers_error),
        cmocka_unit_test(without_a_cgroup_there_is_nothing_to_join_or_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
