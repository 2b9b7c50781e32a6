/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `caisson quote` and the files that it gets. The pod's process is a thread here that answers one request on the
 * control socket of a container's pod.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/oci_rig.h"
#include "vmm/attest/evidence.h"
#include "vmm/pod/pod.h"
#include "vmm/trust/commands.h"

#define NONCE   "00112233445566778899aabbccddeeff"
#define FILES   "messagesignature" /* of 7 and 9 bytes */
#define ANSWER  "{\"ok\":true,\"files\":{\"quote.msg\":7,\"quote.sig\":9}}"
#define REFUSAL "{\"ok\":false,\"code\":95,\"error\":\"it has no key\"}"

/* ---- Evidence as it arrives ---- */

static int memory_of(const char *bytes)
{
    int fd = memfd_create("files", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
    return fd;
}

static int read_evidence(const char *sizes, const char *bytes, struct evidence *out, struct err *err)
{
    json_t *files = json_loads(sizes, 0, NULL);
    int fd = memory_of(bytes);
    int code = trust_read_evidence(files, fd, out, err);
    json_decref(files);
    close(fd);
    return code;
}

static void files_lie_behind_each_other_in_the_order_of_their_kinds(void **state)
{
    struct evidence e;
    struct err err;
    (void)state;
    assert_int_equal(read_evidence("{\"quote.sig\":9,\"quote.msg\":7}", FILES, &e, &err), 0);
    assert_int_equal(e.file[EVIDENCE_MESSAGE].length, 7);
    assert_memory_equal(e.file[EVIDENCE_MESSAGE].bytes, "message", 7);
    assert_memory_equal(e.file[EVIDENCE_SIGNATURE].bytes, "signature", 9);
    assert_null(e.file[EVIDENCE_AGENT_KEY].bytes);
    evidence_fini(&e);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *sizes, *why;
    } rows[] = {{"{\"quote.msg\":0}", "cannot have"},
                {"{\"quote.msg\":-1}", "cannot have"},
                {"{\"quote.msg\":\"7\"}", "cannot have"},
                {"{\"quote.msg\":7.0}", "cannot have"},
                {"{\"quote.msg\":1152921504606846976}", "cannot have"},
                {"{\"quote.msg\":17}", "end early"},
                {"{\"quote.msg\":7}", "more than its files"},
                {"{}", "more than its files"}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct evidence e;
        struct err err = {.code = 0};
        int code = read_evidence(rows[i].sizes, FILES, &e, &err);
        if (code != -EBADMSG || strstr(err.text, rows[i].why) == NULL)
            fail_msg("%s: %d '%s'", rows[i].sizes, code, err.text);
        evidence_fini(&e);
    }
}

static bool holds(const char *folder, const char *name, const char *text)
{
    char path[160], bytes[64];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(text) && memcmp(bytes, text, (size_t)n) == 0;
}

static void a_file_of_earlier_evidence_does_not_stay(void **state)
{
    const struct oci_rig *r = *state;
    char folder[128];
    struct evidence e;
    struct err err;
    (void)snprintf(folder, sizeof(folder), "%s/evidence", r->root);
    assert_int_equal(read_evidence("{\"quote.msg\":7,\"quote.sig\":9}", FILES, &e, &err), 0);
    assert_int_equal(trust_save_evidence(&e, folder, &err), 0);
    assert_true(holds(folder, "quote.msg", "message") && holds(folder, "quote.sig", "signature"));
    free(e.file[EVIDENCE_SIGNATURE].bytes);
    e.file[EVIDENCE_SIGNATURE].bytes = NULL;
    assert_int_equal(trust_save_evidence(&e, folder, &err), 0);
    assert_true(holds(folder, "quote.msg", "message") && !holds(folder, "quote.sig", "signature"));
    evidence_fini(&e);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    const struct oci_rig *r = *state;
    char folder[128];
    struct evidence e = {.file = {{.bytes = NULL}}};
    struct err err;
    (void)snprintf(folder, sizeof(folder), "%s/no/evidence", r->root);
    assert_int_equal(trust_save_evidence(&e, folder, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no/evidence"));
}

/* ---- The command ---- */

struct pod {
    int listener;
    const char *answer, *files;
    char asked[256];
    pthread_t thread;
};

static void *serve(void *ctx)
{
    struct pod *p = ctx;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p->answer, .iov_len = strlen(p->answer)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int fd = accept(p->listener, NULL, NULL), files = p->files != NULL ? memory_of(p->files) : -1;
    (void)!recv(fd, p->asked, sizeof(p->asked) - 1, 0);
    memset(&control, 0, sizeof(control));
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = (socklen_t)CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(&control.header), &files, sizeof(int));
    if (files >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
    }
    (void)!sendmsg(fd, &m, MSG_NOSIGNAL);
    close(fd);
    if (files >= 0)
        close(files);
    return NULL;
}

/* Run `caisson quote` and words for the container "a", whose pod answers so. */
static int ask(struct oci_rig *r, struct pod *p, const char *words)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[400];
    oci_rig_add(r, "a", true, true, false);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/a/pod/" POD_SOCKET_NAME, r->root);
    p->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(p->listener, 1), 0);
    assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
    (void)snprintf(line, sizeof(line), "quote %s a", words);
    int code = oci_rig_run(r, trust_command_quote, line);
    pthread_join(p->thread, NULL);
    close(p->listener);
    return code;
}

static void evidence_is_written_into_a_folder(void **state)
{
    struct oci_rig *r = *state;
    struct pod p = {.answer = ANSWER, .files = FILES};
    char words[200], folder[128];
    (void)snprintf(folder, sizeof(folder), "%s/evidence", r->root);
    (void)snprintf(words, sizeof(words), "--nonce " NONCE " --bind-agent --out %s", folder);
    assert_int_equal(ask(r, &p, words), CLI_EXIT_OK);
    assert_non_null(strstr(p.asked, NONCE));
    assert_true(holds(folder, "quote.msg", "message") && holds(folder, "quote.sig", "signature"));
    assert_string_equal(r->err, "");
}

static void evidence_is_printed_in_base64(void **state)
{
    struct oci_rig *r = *state;
    struct pod p = {.answer = ANSWER, .files = FILES};
    assert_int_equal(ask(r, &p, "--nonce " NONCE " --json"), CLI_EXIT_OK);
    json_t *o = json_loads(r->out, 0, NULL);
    assert_int_equal(json_object_size(o), 2);
    assert_string_equal(json_string_value(json_object_get(o, "quote.msg")), "bWVzc2FnZQ==");
    json_decref(o);
}

static void a_refusal_of_the_pod_is_told(void **state)
{
    struct oci_rig *r = *state;
    struct pod p = {.answer = REFUSAL};
    assert_int_equal(ask(r, &p, "--nonce " NONCE " --json"), CLI_EXIT_FAILURE);
    assert_non_null(strstr(r->err, "it has no key"));
    assert_string_equal(r->out, "");
}

static void an_answer_without_its_files_is_refused(void **state)
{
    struct oci_rig *r = *state;
    struct pod p = {.answer = ANSWER};
    assert_int_equal(ask(r, &p, "--nonce " NONCE " --json"), CLI_EXIT_FAILURE);
    assert_non_null(strstr(r->err, "there are no files with it"));
}

static void options_that_cannot_be_are_usage_errors(void **state)
{
    static const struct {
        const char *line, *says;
    } rows[] = {{"quote --json a", "--nonce"},
                {"quote --nonce 00 --json a", "8 to 64 bytes"},
                {"quote --nonce 0011223344556677889 --json a", "8 to 64 bytes"},
                {"quote --nonce 00112233445566zz --json a", "8 to 64 bytes"},
                {"quote --nonce " NONCE " a", "--out, --json"},
                {"quote --nonce " NONCE " --json --out x a", "--out, --json"}};
    struct oci_rig *r = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int code = oci_rig_run(r, trust_command_quote, rows[i].line);
        if (code != CLI_EXIT_USAGE || strstr(r->err, rows[i].says) == NULL)
            fail_msg("%s: %d '%s'", rows[i].line, code, r->err);
    }
}

static void a_container_that_is_not_there_is_named(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(oci_rig_run(r, trust_command_quote, "quote --nonce " NONCE " --json nobody"), CLI_EXIT_FAILURE);
    assert_non_null(strstr(r->err, "nobody"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, oci_rig_set_up, oci_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_lie_behind_each_other_in_the_order_of_their_kinds),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        CASE(a_file_of_earlier_evidence_does_not_stay),
        CASE(a_folder_that_cannot_be_made_is_named),
        CASE(evidence_is_written_into_a_folder),
        CASE(evidence_is_printed_in_base64),
        CASE(a_refusal_of_the_pod_is_told),
        CASE(an_answer_without_its_files_is_refused),
        CASE(options_that_cannot_be_are_usage_errors),
        CASE(a_container_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests_name("trust/quote", tests, NULL, NULL);
}
