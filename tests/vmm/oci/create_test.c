/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/oci_rig.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/store.h"

/* What fails before there is a pod: with words, and with nothing left. The rig's folder holds the bundle as well. */

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    for (; *text != '\0'; text++)
        assert_true(fputc(*text == '\'' ? '"' : *text, out) != EOF);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* /bundle below the rig's folder; more: members of the configuration. kernel: as the host's configuration says. */
static void make_bundle(const struct oci_rig *r, bool terminal, const char *more, const char *kernel)
{
    char path[128], text[1024];
    (void)snprintf(path, sizeof(path), "%s/bundle", r->root);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/bundle/rootfs", r->root);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/bundle/config.json", r->root);
    (void)snprintf(text, sizeof(text),
                   "{'ociVersion':'1.2.0','process':{'terminal':%s,'cwd':'/','args':['sh'],'user':{'uid':0,'gid':0}},"
                   "'root':{'path':'rootfs'}%s}",
                   terminal ? "true" : "false", more);
    write_file(path, text);
    (void)snprintf(path, sizeof(path), "%s/host.json", r->root);
    write_file(path, kernel);
    assert_int_equal(setenv("CAISSON_CONFIG", path, 1), 0);
}

static void expect_refusal(struct oci_rig *r, const char *options, const char *words)
{
    char line[512], path[128];
    (void)snprintf(line, sizeof(line), "create %s --bundle %s/bundle c1", options, r->root);
    assert_int_equal(oci_rig_run(r, oci_create_main, line), CLI_EXIT_FAILURE);
    if (strstr(r->err, words) == NULL)
        fail_msg("'%s' does not say '%s'", r->err, words);
    (void)snprintf(path, sizeof(path), "%s/c1", r->root);
    assert_int_equal(access(path, F_OK), -1);
}

#define KERNEL "{'kernel':'/no/such/kernel'}"

static void a_bundle_that_is_not_there_is_refused(void **state)
{
    expect_refusal(*state, "", "/bundle");
}

static void a_host_without_a_kernel_says_where_to_name_one(void **state)
{
    make_bundle(*state, false, "", "{}");
    expect_refusal(*state, "", "no kernel is configured; name one as \"kernel\" in /etc/caisson/config.json");
}

static void a_terminal_needs_a_console_socket(void **state)
{
    make_bundle(*state, true, "", KERNEL);
    expect_refusal(*state, "", "cannot allocate tty if runtime will detach without console socket");
}

static void a_console_socket_needs_a_terminal(void **state)
{
    make_bundle(*state, false, "", KERNEL);
    expect_refusal(*state, "--console-socket /no/such/socket", "cannot use console socket");
}

static void a_console_socket_that_is_not_there_is_refused(void **state)
{
    make_bundle(*state, true, "", KERNEL);
    expect_refusal(*state, "--console-socket /no/such/socket", "/no/such/socket");
}

#define MEMBER "'annotations':{'io.kubernetes.cri.container-type':'container','io.kubernetes.cri.sandbox-id':'pod1'}"

static void a_member_needs_its_pod(void **state)
{
    make_bundle(*state, false, "," MEMBER, KERNEL);
    expect_refusal(*state, "", "cannot join the pod of sandbox pod1: it does not run; create the sandbox first");
}

static void process_ids_of_no_neighbour_are_refused(void **state)
{
    make_bundle(*state, false, ",'linux':{'namespaces':[{'type':'pid','path':'/proc/1/ns/pid'}]}," MEMBER, KERNEL);
    expect_refusal(*state, "", "'/proc/1/ns/pid' is of no container of this pod");
}

static void a_name_that_is_taken_stays_with_who_has_it(void **state)
{
    struct oci_rig *r = *state;
    struct oci_state s;
    char line[256];
    make_bundle(r, false, "", KERNEL);
    oci_rig_add(r, "c2", true, true, false);
    (void)snprintf(line, sizeof(line), "create --bundle %s/bundle c2", r->root);
    assert_int_equal(oci_rig_run(r, oci_create_main, line), CLI_EXIT_FAILURE);
    assert_non_null(strstr(r->err, "already exists"));
    assert_int_equal(oci_rig_load(r, "c2", &s), 0);
    assert_true(oci_process_lives(&s.init));
    oci_state_release(&s);
}

/* A folder with a lock and, if there is one, a state that names no process. */
static void leave_half(const struct oci_rig *r, const char *state, struct oci_entry *entry, struct oci_store *store)
{
    char path[128];
    assert_int_equal(oci_store_open(store, r->root, true, NULL), 0);
    assert_int_equal(oci_entry_create(store, "c1", entry, NULL), 0);
    if (state == NULL)
        return;
    (void)snprintf(path, sizeof(path), "%s/c1/state.json", r->root);
    write_file(path, state);
}

#define HALF                                                                                                           \
    "{'format':1,'id':'c1','bundle':'/b','rootfs':'/b/rootfs','pod':'c1','created':'2026-01-02T03:04:05.000000006Z',"  \
    "'pid':0,'startTime':0,'execs':[],'exports':[]}"

static void the_name_of_a_create_that_was_killed_is_free(void **state)
{
    struct oci_store store;
    struct oci_entry entry;
    static const char *const left[] = {NULL, HALF, "{'damaged"};
    make_bundle(*state, false, "", KERNEL);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        leave_half(*state, left[i], &entry, &store);
        oci_entry_close(&entry);
        oci_store_close(&store);
        expect_refusal(*state, "", "cannot find a hypervisor"); /* so far it came */
        assert_non_null(strstr(((struct oci_rig *)*state)->err, "what a create of container c1 had left"));
    }
}

static void the_name_of_a_create_under_way_is_taken(void **state)
{
    struct oci_rig *r = *state;
    struct oci_store store;
    struct oci_entry entry;
    char line[256], path[128];
    make_bundle(r, false, "", KERNEL);
    leave_half(r, HALF, &entry, &store);
    (void)snprintf(line, sizeof(line), "create --bundle %s/bundle c1", r->root);
    assert_int_equal(oci_rig_run(r, oci_create_main, line), CLI_EXIT_FAILURE);
    assert_non_null(strstr(r->err, "already exists"));
    (void)snprintf(path, sizeof(path), "%s/c1/state.json", r->root);
    assert_int_equal(access(path, F_OK), 0);
    oci_entry_close(&entry);
    oci_store_close(&store);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, oci_rig_set_up, oci_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_bundle_that_is_not_there_is_refused),
        CASE(a_host_without_a_kernel_says_where_to_name_one),
        CASE(a_terminal_needs_a_console_socket),
        CASE(a_console_socket_needs_a_terminal),
        CASE(a_console_socket_that_is_not_there_is_refused),
        CASE(a_member_needs_its_pod),
        CASE(process_ids_of_no_neighbour_are_refused),
        CASE(a_name_that_is_taken_stays_with_who_has_it),
        CASE(the_name_of_a_create_that_was_killed_is_free),
        CASE(the_name_of_a_create_under_way_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
