/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/oci/state.h"

struct fixture {
    char folder[64];
    struct oci_store store;
    struct oci_entry entry;
    struct oci_state made, read;
    pid_t child; /* ends when it is killed */
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -1;
    strcpy(f->folder, "/tmp/caisson-state-XXXXXX");
    *state = f;
    if (mkdtemp(f->folder) == NULL || oci_store_open(&f->store, f->folder, true, &f->err) != 0 ||
        oci_entry_create(&f->store, "web", &f->entry, &f->err) != 0)
        return -1;
    f->made = (struct oci_state){.id = strdup("web"),
                                 .bundle = strdup("/bundles/web"),
                                 .rootfs = strdup("/bundles/web/rootfs"),
                                 .pod = strdup("web"),
                                 .created = strdup("2026-01-02T03:04:05.000000006Z"),
                                 .owner = strdup("root"),
                                 .annotations = json_pack("{s:s}", "a", "1")};
    return 0;
}

static void end_child(struct fixture *f)
{
    if (f->child > 0) {
        kill(f->child, SIGKILL);
        waitpid(f->child, NULL, 0);
    }
    f->child = 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    end_child(f);
    oci_state_release(&f->made);
    oci_state_release(&f->read);
    oci_entry_close(&f->entry);
    oci_store_close(&f->store);
    snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    int code = system(command);
    free(f);
    return code;
}

static void start_child(struct fixture *f, struct oci_process *p)
{
    f->child = fork();
    if (f->child == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(oci_process_find(f->child, p), 0);
}

/* ---- Processes ---- */

static void a_process_is_known_by_its_pid_and_start(void **state)
{
    struct fixture *f = *state;
    struct oci_process p, other;
    start_child(f, &p);
    assert_true(oci_process_lives(&p));
    other = p;
    other.start++;
    assert_false(oci_process_lives(&other));
}

static void a_process_that_ended_does_not_live_even_before_it_is_reaped(void **state)
{
    struct fixture *f = *state;
    struct oci_process p;
    siginfo_t info;
    start_child(f, &p);
    kill(f->child, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)f->child, &info, WEXITED | WNOWAIT), 0);
    assert_false(oci_process_lives(&p));
    assert_true(oci_process_wait_gone(&p, 0));
}

static void a_signal_does_not_reach_another_process_with_that_pid(void **state)
{
    struct fixture *f = *state;
    struct oci_process p;
    start_child(f, &p);
    p.start++;
    assert_int_equal(oci_process_signal(&p, SIGKILL), -ESRCH);
    p.start--;
    assert_true(oci_process_lives(&p));
    assert_int_equal(oci_process_signal(&p, SIGKILL), 0);
    assert_true(oci_process_wait_gone(&p, 10000));
}

static void no_process_is_no_process(void **state)
{
    (void)state;
    const struct oci_process none = {.pid = 0};
    assert_false(oci_process_lives(&none));
    assert_int_equal(oci_process_signal(&none, SIGKILL), -ESRCH);
    assert_true(oci_process_wait_gone(&none, 0));
}

static void waiting_for_a_process_that_stays_ends_in_time(void **state)
{
    struct fixture *f = *state;
    struct oci_process p;
    start_child(f, &p);
    assert_false(oci_process_wait_gone(&p, 1));
}

/* ---- Status ---- */

static void without_a_process_a_container_is_being_created(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(oci_state_status(&f->made), OCI_STATUS_CREATING);
}

static void the_process_and_two_marks_make_the_status(void **state)
{
    struct fixture *f = *state;
    start_child(f, &f->made.init);
    assert_int_equal(oci_state_status(&f->made), OCI_STATUS_CREATED);
    f->made.started = true;
    assert_int_equal(oci_state_status(&f->made), OCI_STATUS_RUNNING);
    f->made.paused = true;
    assert_int_equal(oci_state_status(&f->made), OCI_STATUS_PAUSED);
    end_child(f);
    assert_int_equal(oci_state_status(&f->made), OCI_STATUS_STOPPED);
}

static void the_printed_state_has_what_the_specification_wants(void **state)
{
    struct fixture *f = *state;
    start_child(f, &f->made.init);
    f->made.started = true;
    json_t *o = oci_state_to_json(&f->made, OCI_STATUS_RUNNING);
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "id")), "web");
    assert_string_equal(json_string_value(json_object_get(o, "status")), "running");
    assert_int_equal(json_integer_value(json_object_get(o, "pid")), f->child);
    assert_string_equal(json_string_value(json_object_get(o, "bundle")), "/bundles/web");
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "annotations"), "a")), "1");
    assert_true(json_is_string(json_object_get(o, "ociVersion")));
    json_decref(o);
}

static void a_stopped_container_is_printed_with_pid_0(void **state)
{
    struct fixture *f = *state;
    f->made.init.pid = 77;
    json_t *o = oci_state_to_json(&f->made, OCI_STATUS_STOPPED);
    assert_int_equal(json_integer_value(json_object_get(o, "pid")), 0);
    json_decref(o);
}

/* ---- The file ---- */

static void everything_that_was_saved_is_loaded(void **state)
{
    struct fixture *f = *state;
    struct oci_state *m = &f->made, *r = &f->read;
    m->netns = strdup("/run/netns/x");
    m->cgroup = strdup("/a/b");
    m->terminal = m->started = true;
    m->init = (struct oci_process){.pid = 12, .start = UINT64_C(1) << 40};
    m->exports = calloc(2, sizeof(char *));
    m->exports[0] = strdup("r0");
    m->exports[1] = strdup("m1");
    m->export_count = 2;
    assert_int_equal(oci_state_add_exec(m, "exec-1", getpid()), 0);
    assert_int_equal(oci_state_save(&f->entry, m, &f->err), 0);
    assert_int_equal(oci_state_load(&f->entry, r, &f->err), 0);
    assert_string_equal(r->netns, "/run/netns/x");
    assert_string_equal(r->cgroup, "/a/b");
    assert_string_equal(r->created, m->created);
    assert_true(r->terminal && r->started && !r->paused);
    assert_int_equal(r->init.pid, 12);
    assert_true(r->init.start == UINT64_C(1) << 40);
    assert_int_equal(r->export_count, 2);
    assert_string_equal(r->exports[1], "m1");
    assert_int_equal(r->exec_count, 1);
    assert_string_equal(r->execs[0].id, "exec-1");
    assert_true(oci_process_lives(&r->execs[0].process));
}

static void a_container_without_a_state_is_being_made(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(oci_state_load(&f->entry, &f->read, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.text, "delete --force"));
}

static void damaged_files_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"format\":1}",
        "{\"format\":2,\"id\":\"web\",\"bundle\":\"/b\",\"rootfs\":\"/"
        "r\",\"pod\":\"web\",\"created\":\"x\",\"pid\":1,\"startTime\":1}",
        "{\"format\":1,\"id\":\"other\",\"bundle\":\"/b\",\"rootfs\":\"/"
        "r\",\"pod\":\"web\",\"created\":\"x\",\"pid\":1,\"startTime\":1}",
        "{\"format\":1,\"id\":\"web\",\"bundle\":\"/b\",\"rootfs\":\"/r\",\"pod\":\"../"
        "x\",\"created\":\"x\",\"pid\":1,\"startTime\":1}",
        "{\"format\":1,\"id\":\"web\",\"bundle\":\"/b\",\"rootfs\":\"/"
        "r\",\"pod\":\"web\",\"created\":\"x\",\"pid\":-1,\"startTime\":1}",
        "{\"format\":1,\"id\":\"web\",\"bundle\":\"/b\",\"rootfs\":\"/"
        "r\",\"pod\":\"web\",\"created\":\"x\",\"pid\":1,\"startTime\":1,"
        "\"exports\":[7]}",
        "{\"format\":1,\"id\":\"web\",\"bundle\":\"/b\",\"rootfs\":\"/"
        "r\",\"pod\":\"web\",\"created\":\"x\",\"pid\":1,\"startTime\":1,"
        "\"execs\":[{\"id\":\"x\"}]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(oci_entry_write(&f->entry, "state.json", texts[i], strlen(texts[i]), &f->err), 0);
        assert_int_equal(oci_state_load(&f->entry, &f->read, &f->err), -EBADMSG);
        assert_null(f->read.id);
    }
}

static void a_name_that_is_not_utf8_is_an_error_and_not_a_damaged_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(oci_state_save(&f->entry, &f->made, &f->err), 0);
    free(f->made.bundle);
    f->made.bundle = strdup("/b\xff");
    assert_int_equal(oci_state_save(&f->entry, &f->made, &f->err), -ENOMEM);
    assert_int_equal(oci_state_load(&f->entry, &f->read, &f->err), 0);
    assert_string_equal(f->read.bundle, "/bundles/web");
}

/* ---- Exec processes ---- */

static void exec_processes_that_ended_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct oci_process p;
    start_child(f, &p);
    assert_int_equal(oci_state_add_exec(&f->made, "one", f->child), 0);
    assert_int_equal(f->made.exec_count, 1);
    end_child(f);
    assert_int_equal(oci_state_add_exec(&f->made, "two", getpid()), 0);
    assert_int_equal(f->made.exec_count, 1);
    assert_string_equal(f->made.execs[0].id, "two");
}

static void there_is_room_for_as_many_exec_processes_as_promised(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(oci_state_add_exec(&f->made, "x", getpid()), 0);
    f->made.execs = realloc(f->made.execs, OCI_EXECS_MAX * sizeof(*f->made.execs));
    assert_non_null(f->made.execs);
    for (unsigned i = 1; i < OCI_EXECS_MAX - 1; i++)
        f->made.execs[i] = f->made.execs[0];
    f->made.exec_count = OCI_EXECS_MAX - 1;
    assert_int_equal(oci_state_add_exec(&f->made, "x", getpid()), 0);
    assert_int_equal(oci_state_add_exec(&f->made, "x", getpid()), -ENOSPC);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_process_is_known_by_its_pid_and_start),
        CASE(a_process_that_ended_does_not_live_even_before_it_is_reaped),
        CASE(a_signal_does_not_reach_another_process_with_that_pid),
        CASE(no_process_is_no_process),
        CASE(waiting_for_a_process_that_stays_ends_in_time),
        CASE(without_a_process_a_container_is_being_created),
        CASE(the_process_and_two_marks_make_the_status),
        CASE(the_printed_state_has_what_the_specification_wants),
        CASE(a_stopped_container_is_printed_with_pid_0),
        CASE(everything_that_was_saved_is_loaded),
        CASE(a_container_without_a_state_is_being_made),
        CASE(damaged_files_are_refused),
        CASE(a_name_that_is_not_utf8_is_an_error_and_not_a_damaged_file),
        CASE(exec_processes_that_ended_are_forgotten),
        CASE(there_is_room_for_as_many_exec_processes_as_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
