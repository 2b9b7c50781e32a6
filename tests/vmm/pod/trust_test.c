/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a guest may do to a pod's measurements, by a guest that is scripted: it connects to the socket as the vsock
 * device does for it, and says what it likes.
 */
#include "vmm/pod/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <pb_decode.h>

#include "common/ttrpc.h"
#include "google/protobuf/empty.pb.h"
#include "trust.pb.h"
#include "ttrpc.pb.h"
#include "vmm/attest/evidence.h"
#include "vmm/attest/log_read.h"

#define SERVICE "trust.HostTrust"

struct rig {
    char path[64];
    int folder;
    struct pod_trust *trust;
    struct key *agent;
    uint8_t spki[KEY_SPKI_MAX];
    size_t spki_bytes;
    uint32_t stream;
};

static int64_t now_s(void *ctx)
{
    (void)ctx;
    return 1764172800;
}

/* As the monitor does before the first instruction; the other registers are of no interest here. */
static void measure_policy(struct event_log *log)
{
    assert_int_equal(event_log_add(log, TRUST_PCR_POLICY, EV_ACTION, NULL, "no policy", 9), 0);
    assert_int_equal(event_log_add(log, TRUST_PCR_POLICY, EV_ACTION, NULL, "debug", 5), 0);
    assert_int_equal(event_log_add(log, TRUST_PCR_POLICY, EV_SEPARATOR, NULL, "\0\0\0", 4), 0);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct err err;
    const struct pod_trust_files files = {.key_fd = -1, .node_key_fd = -1, .key_kind = KEY_P256};
    (void)snprintf(r->path, sizeof(r->path), "/tmp/caisson-trust-test-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    r->folder = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct pod_trust_setup setup = {.folder = r->folder, .id = "barge", .debug = true, .now_s = now_s};
    assert_int_equal(pod_trust_new(&setup, &r->trust, &err), 0);
    measure_policy(pod_trust_log(r->trust));
    assert_int_equal(pod_trust_keep_log(r->trust, &err), 0);
    assert_int_equal(pod_trust_take_key(r->trust, &files, &err), 0);
    assert_int_equal(pod_trust_listen(r->trust, &err), 0);
    assert_int_equal(key_generate(KEY_P256, &r->agent, &err), 0);
    r->spki_bytes = pubkey_der(key_public(r->agent), r->spki);
    r->stream = 1;
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    pod_trust_free(r->trust);
    key_free(r->agent);
    (void)unlinkat(r->folder, POD_TRUST_LOG_NAME, 0);
    assert_int_equal(rmdir(r->path), 0); /* the socket is gone */
    close(r->folder);
    free(r);
    return 0;
}

/* ---- The pod's loop ---- */

/* One turn; false: there was nothing to do. */
static bool turn(struct rig *r)
{
    struct pollfd fds[POD_TRUST_POLL];
    unsigned n = pod_trust_poll(r->trust, fds);
    if (poll(fds, n, 0) <= 0)
        return false;
    pod_trust_step(r->trust, fds, n);
    return true;
}

static void settle(struct rig *r)
{
    for (int i = 0; i < 20000 && turn(r); i++)
        ;
}

/* ---- The guest ---- */

static int dial(struct rig *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/" POD_TRUST_SOCKET_NAME, r->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    settle(r);
    return fd;
}

static struct ttrpc_frame pack_extend(uint32_t stream, trust_ExtendKind kind, const void *data, size_t n)
{
    struct ttrpc_frame f;
    pb_bytes_array_t *bytes = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n));
    bytes->size = (pb_size_t)n;
    memcpy(bytes->bytes, data, n);
    const trust_ExtendRequest request = {.kind = kind, .data = bytes};
    assert_int_equal(ttrpc_pack_request(&f, stream, SERVICE, "Extend", trust_ExtendRequest_fields, &request, 0), 0);
    free(bytes);
    return f;
}

static void send_frame(int fd, struct ttrpc_frame *f)
{
    assert_int_equal(send(fd, f->bytes, f->size, MSG_NOSIGNAL), (ssize_t)f->size);
    free(f->bytes);
}

/* Read what there is into a reader until a frame is whole; fails if the pod has no more to say. */
static void receive_frame(struct rig *r, int fd, struct ttrpc_reader *reader)
{
    uint8_t byte[4096];
    for (int i = 0; i < 100000; i++) {
        /* A byte at most beyond the frame would be lost: headers first, then exactly the payload. */
        size_t want = reader->have < TTRPC_HEADER_BYTES || reader->done
                          ? 1
                          : reader->header.bytes + TTRPC_HEADER_BYTES - reader->have;
        size_t used;
        ssize_t n = recv(fd, byte, want < sizeof(byte) ? want : sizeof(byte), 0);
        if (n < 0 && errno == EAGAIN) {
            assert_true(turn(r));
            continue;
        }
        assert_true(n > 0);
        int found = ttrpc_reader_take(reader, byte, (size_t)n, &used);
        assert_int_equal(used, n);
        if (found == TTRPC_FRAME)
            return;
    }
    fail();
}

/* The status of the next answer, whose stream it has to be. */
static int receive_status(struct rig *r, int fd, uint32_t stream)
{
    struct ttrpc_reader reader = {.payload = NULL};
    ttrpc_Response response;
    receive_frame(r, fd, &reader);
    assert_int_equal(reader.header.type, TTRPC_RESPONSE);
    assert_int_equal(reader.header.stream, stream);
    assert_int_equal(ttrpc_unpack(ttrpc_Response_fields, &response, reader.payload, reader.header.bytes), 0);
    int code = response.has_status ? response.status.code : TTRPC_OK;
    pb_release(ttrpc_Response_fields, &response);
    ttrpc_reader_fini(&reader);
    return code;
}

static int extend(struct rig *r, int fd, trust_ExtendKind kind, const void *data, size_t n)
{
    struct ttrpc_frame f = pack_extend(r->stream, kind, data, n);
    send_frame(fd, &f);
    int code = receive_status(r, fd, r->stream);
    r->stream += 2;
    return code;
}

static int extend_text(struct rig *r, int fd, trust_ExtendKind kind, const char *text)
{
    return extend(r, fd, kind, text, strlen(text));
}

static void tell_key(struct rig *r, int fd)
{
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, r->spki, r->spki_bytes), TTRPC_OK);
}

static uint32_t events(struct rig *r)
{
    return pod_trust_log(r->trust)->events;
}

static bool has_ended(struct rig *r, int fd)
{
    char byte;
    settle(r);
    ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* ---- The key ---- */

static int tell_key_of(struct rig *r, int fd, const struct key *k)
{
    uint8_t der[KEY_SPKI_MAX];
    return extend(r, fd, trust_ExtendKind_AGENT_KEY, der, pubkey_der(key_public(k), der));
}

static void a_second_key_is_refused_by_any_connection(void **state)
{
    struct rig *r = *state;
    struct key *second;
    struct err err;
    int fd = dial(r), other = dial(r);
    uint32_t before = events(r);
    assert_int_equal(key_generate(KEY_P256, &second, &err), 0);
    tell_key(r, fd);
    assert_int_equal(events(r), before + 1);
    assert_int_equal(tell_key_of(r, fd, second), TTRPC_ALREADY_EXISTS);
    assert_int_equal(tell_key_of(r, other, second), TTRPC_ALREADY_EXISTS);
    assert_int_equal(events(r), before + 1);
    key_free(second);
    close(other);
    close(fd);
}

/* An answer may be lost, and the agent does not know then. */
static void the_same_key_once_more_is_no_event(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    tell_key(r, fd);
    uint32_t before = events(r);
    tell_key(r, fd);
    close(fd);
    settle(r);
    fd = dial(r);
    tell_key(r, fd);
    assert_int_equal(events(r), before);
    close(fd);
}

static void the_key_may_come_after_containers(void **state)
{
    struct rig *r = *state;
    struct event_log replayed;
    struct err err;
    int fd = dial(r);
    uint32_t before = events(r);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_CONTAINER, "{\"id\":\"a\"}"), TTRPC_OK);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_EXEC, "{\"args\":[]}"), TTRPC_OK);
    tell_key(r, fd);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_CONTAINER, "{\"id\":\"b\"}"), TTRPC_OK);
    assert_int_equal(events(r), before + 4);
    const struct event_log *log = pod_trust_log(r->trust);
    assert_int_equal(log_replay(log->bytes, log->length, &replayed, &err), 0);
    close(fd);
}

static void a_key_of_a_later_connection_is_refused(void **state)
{
    struct rig *r = *state;
    int fd = dial(r), container = dial(r);
    uint32_t before = events(r);
    assert_int_equal(extend(r, container, trust_ExtendKind_AGENT_KEY, r->spki, r->spki_bytes), TTRPC_PERMISSION_DENIED);
    assert_int_equal(events(r), before);
    tell_key(r, fd);
    close(container);
    close(fd);
}

/* Who comes first is the agent, whatever it has said, and though others are there when the key comes. */
static void a_connection_that_ended_makes_no_room_for_another_first_one(void **state)
{
    struct rig *r = *state;
    struct evidence e;
    struct err err;
    const uint8_t nonce[8] = {1};
    int fd = dial(r), container = dial(r);
    close(fd);
    settle(r);
    uint32_t before = events(r);
    assert_int_equal(extend(r, container, trust_ExtendKind_AGENT_KEY, r->spki, r->spki_bytes), TTRPC_PERMISSION_DENIED);
    close(container);
    settle(r);
    fd = dial(r);
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, r->spki, r->spki_bytes), TTRPC_PERMISSION_DENIED);
    assert_int_equal(events(r), before);
    assert_int_equal(pod_trust_quote(r->trust, nonce, 8, true, &e, &err), -ENOKEY);
    assert_non_null(strstr(err.text, "has ended"));
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_CONTAINER, "{}"), TTRPC_OK);
    close(fd);
}

static void what_is_no_key_on_p256_is_not_measured(void **state)
{
    struct rig *r = *state;
    struct key *large;
    struct err err;
    uint8_t der[KEY_SPKI_MAX];
    char pem[KEY_PEM_MAX];
    int fd = dial(r);
    uint32_t before = events(r);
    assert_int_equal(key_generate(KEY_P384, &large, &err), 0);
    size_t n = pubkey_der(key_public(large), der);
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, der, n), TTRPC_INVALID_ARGUMENT);
    key_free(large);
    n = pubkey_pem(key_public(r->agent), pem);
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, pem, n), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, r->spki, r->spki_bytes - 1), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, "", 0), TTRPC_INVALID_ARGUMENT);
    memcpy(der, r->spki, r->spki_bytes);
    der[r->spki_bytes] = 0;
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, der, r->spki_bytes + 1), TTRPC_INVALID_ARGUMENT);
    der[r->spki_bytes - 1] ^= 1; /* off the curve */
    assert_int_equal(extend(r, fd, trust_ExtendKind_AGENT_KEY, der, r->spki_bytes), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(events(r), before);
    tell_key(r, fd);
    close(fd);
}

/* ---- Containers and processes ---- */

static void each_container_is_an_event_and_each_kind_of_process_is_one(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    tell_key(r, fd);
    uint32_t before = events(r);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_CONTAINER, "{\"id\":\"a\"}"), TTRPC_OK);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_CONTAINER, "{\"id\":\"a\"}"), TTRPC_OK);
    assert_int_equal(events(r), before + 2);
    for (int i = 0; i < 200; i++)
        assert_int_equal(extend_text(r, fd, trust_ExtendKind_EXEC, "{\"args\":[\"ls\"]}"), TTRPC_OK);
    assert_int_equal(events(r), before + 3);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_EXEC, "{\"args\":[\"sh\"]}"), TTRPC_OK);
    assert_int_equal(events(r), before + 4);
    close(fd);
}

static void many_kinds_of_processes_are_all_remembered(void **state)
{
    struct rig *r = *state;
    char text[64];
    int fd = dial(r);
    tell_key(r, fd);
    uint32_t before = events(r);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 300; i++) {
            (void)snprintf(text, sizeof(text), "{\"args\":[\"%d\"]}", i);
            assert_int_equal(extend_text(r, fd, trust_ExtendKind_EXEC, text), TTRPC_OK);
        }
    assert_int_equal(events(r), before + 300);
    close(fd);
}

static void what_is_no_json_object_is_refused(void **state)
{
    static const char *const bad[] = {"", "[]", "{", "{\"a\":1,\"a\":2}", "{} x", "\"{}\"", "{\"a\":\"\xff\"}"};
    struct rig *r = *state;
    char *large = malloc(EVENT_DATA_MAX + 1);
    int fd = dial(r);
    tell_key(r, fd);
    uint32_t before = events(r);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(extend_text(r, fd, trust_ExtendKind_CONTAINER, bad[i]), TTRPC_INVALID_ARGUMENT);
        assert_int_equal(extend_text(r, fd, trust_ExtendKind_EXEC, bad[i]), TTRPC_INVALID_ARGUMENT);
    }
    memset(large, ' ', EVENT_DATA_MAX + 1);
    memcpy(large, "{}", 2);
    assert_int_equal(extend(r, fd, trust_ExtendKind_EXEC, large, EVENT_DATA_MAX + 1), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(events(r), before);
    assert_int_equal(extend(r, fd, trust_ExtendKind_EXEC, large, EVENT_DATA_MAX), TTRPC_OK);
    free(large);
    close(fd);
}

static void kinds_that_are_none_are_refused(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    tell_key(r, fd);
    uint32_t before = events(r);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_NONE, "{}"), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(extend_text(r, fd, (trust_ExtendKind)77, "{}"), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(events(r), before);
    close(fd);
}

/* Whatever containers say before it. */
static void a_full_log_has_room_for_the_key(void **state)
{
    struct rig *r = *state;
    char *text = malloc(EVENT_DATA_MAX);
    size_t n = EVENT_DATA_MAX;
    int fd = dial(r), container = dial(r);
    memset(text, ' ', EVENT_DATA_MAX);
    memcpy(text, "{}", 2);
    while (n >= 2)
        if (extend(r, container, n % 2 == 0 ? trust_ExtendKind_CONTAINER : trust_ExtendKind_EXEC, text, n) != TTRPC_OK)
            n /= 2;
    assert_true(EVENT_LOG_BYTES_MAX - pod_trust_log(r->trust)->length < 1024);
    tell_key(r, fd);
    free(text);
    close(container);
    close(fd);
}

static void a_full_log_refuses_and_stays_as_it_was(void **state)
{
    struct rig *r = *state;
    char *text = malloc(EVENT_DATA_MAX);
    uint8_t register_before[DIGEST_SHA256_BYTES];
    const struct event_log *log = pod_trust_log(r->trust);
    int fd = dial(r), code = TTRPC_OK;
    tell_key(r, fd);
    memset(text, ' ', EVENT_DATA_MAX);
    memcpy(text, "{}", 2);
    for (int i = 0; code == TTRPC_OK && i < 100; i++) {
        memcpy(register_before, event_log_pcr(log, DIGEST_SHA256, TRUST_PCR_CONTAINERS), sizeof(register_before));
        code = extend(r, fd, trust_ExtendKind_CONTAINER, text, EVENT_DATA_MAX);
    }
    assert_int_equal(code, TTRPC_RESOURCE_EXHAUSTED);
    assert_memory_equal(event_log_pcr(log, DIGEST_SHA256, TRUST_PCR_CONTAINERS), register_before,
                        sizeof(register_before));
    assert_true(log->length <= EVENT_LOG_BYTES_MAX);
    /* A process that did not get in is no process that was seen. */
    text[2] = '\n';
    assert_int_equal(extend(r, fd, trust_ExtendKind_EXEC, text, EVENT_DATA_MAX), TTRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(extend(r, fd, trust_ExtendKind_EXEC, text, EVENT_DATA_MAX), TTRPC_RESOURCE_EXHAUSTED);
    free(text);
    close(fd);
}

/* ---- The file ---- */

static void the_file_holds_each_event_before_its_answer(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[8192];
    struct event_log replayed;
    struct err err;
    int fd = dial(r);
    tell_key(r, fd);
    assert_int_equal(extend_text(r, fd, trust_ExtendKind_CONTAINER, "{\"id\":\"a\"}"), TTRPC_OK);
    int file = openat(r->folder, POD_TRUST_LOG_NAME, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(file, bytes, sizeof(bytes));
    struct stat st;
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    close(file);
    const struct event_log *log = pod_trust_log(r->trust);
    assert_int_equal(n, log->length);
    assert_memory_equal(bytes, log->bytes, (size_t)n);
    assert_int_equal(log_replay(bytes, (size_t)n, &replayed, &err), 0);
    assert_memory_equal(replayed.sha384, log->sha384, sizeof(log->sha384));
    close(fd);
}

static void only_its_owner_can_connect(void **state)
{
    struct rig *r = *state;
    struct stat st;
    assert_int_equal(fstatat(r->folder, POD_TRUST_SOCKET_NAME, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* ---- Frames ---- */

static void garbage_ends_its_own_connection_only(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[64];
    int good = dial(r), bad = dial(r);
    memset(bytes, 0xff, sizeof(bytes));
    memset(bytes, 0, 4); /* an empty frame, of a type that is none */
    assert_int_equal(send(bad, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
    assert_true(has_ended(r, bad));
    tell_key(r, good);
    close(bad);
    close(good);
}

static void streams_have_to_be_odd_and_to_rise(void **state)
{
    static const uint32_t second[] = {3, 1, 4, 0};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
        int fd = dial(r);
        struct ttrpc_frame f = pack_extend(3, trust_ExtendKind_EXEC, "{}", 2);
        send_frame(fd, &f);
        assert_int_equal(receive_status(r, fd, 3), TTRPC_OK);
        f = pack_extend(second[i], trust_ExtendKind_EXEC, "{}", 2);
        send_frame(fd, &f);
        assert_true(has_ended(r, fd));
        close(fd);
    }
}

static void a_frame_that_is_too_large_is_refused_and_the_next_one_served(void **state)
{
    struct rig *r = *state;
    char *text = calloc(1, POD_TRUST_FRAME_MAX);
    int fd = dial(r);
    assert_int_equal(extend(r, fd, trust_ExtendKind_EXEC, text, POD_TRUST_FRAME_MAX), TTRPC_RESOURCE_EXHAUSTED);
    tell_key(r, fd);
    free(text);
    close(fd);
}

static void what_is_no_request_or_no_method_is_answered(void **state)
{
    static const char *const methods[][2] = {
        {SERVICE, "Nothing"}, {"grpc.AgentService", "Extend"}, {"trust.Trust", "GetEvidence"}};
    struct rig *r = *state;
    const google_protobuf_Empty nothing = google_protobuf_Empty_init_zero;
    struct ttrpc_frame f;
    int fd = dial(r);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++, r->stream += 2) {
        assert_int_equal(
            ttrpc_pack_request(&f, r->stream, methods[i][0], methods[i][1], google_protobuf_Empty_fields, &nothing, 0),
            0);
        send_frame(fd, &f);
        assert_int_equal(receive_status(r, fd, r->stream), TTRPC_UNIMPLEMENTED);
    }
    f = pack_extend(r->stream, trust_ExtendKind_EXEC, "{}", 2);
    memset(f.bytes + TTRPC_HEADER_BYTES, 0xff, f.size - TTRPC_HEADER_BYTES);
    send_frame(fd, &f);
    assert_int_equal(receive_status(r, fd, r->stream), TTRPC_INVALID_ARGUMENT);
    close(fd);
}

static void a_frame_may_come_in_single_bytes(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    struct ttrpc_frame f = pack_extend(r->stream, trust_ExtendKind_AGENT_KEY, r->spki, r->spki_bytes);
    for (size_t i = 0; i < f.size; i++) {
        assert_int_equal(send(fd, f.bytes + i, 1, MSG_NOSIGNAL), 1);
        settle(r);
    }
    free(f.bytes);
    assert_int_equal(receive_status(r, fd, r->stream), TTRPC_OK);
    close(fd);
}

static void a_burst_of_requests_is_answered_in_order(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    tell_key(r, fd);
    uint32_t first = r->stream;
    for (int i = 0; i < 100; i++, r->stream += 2) {
        struct ttrpc_frame f = pack_extend(r->stream, trust_ExtendKind_EXEC, "{}", 2);
        send_frame(fd, &f);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(receive_status(r, fd, first + 2 * (uint32_t)i), TTRPC_OK);
    close(fd);
}

static void a_fifth_connection_waits_until_one_has_gone(void **state)
{
    struct rig *r = *state;
    int fd[POD_TRUST_CONNS_MAX];
    struct pollfd fds[POD_TRUST_POLL];
    for (unsigned i = 0; i < POD_TRUST_CONNS_MAX; i++)
        fd[i] = dial(r);
    assert_int_equal(pod_trust_poll(r->trust, fds), POD_TRUST_POLL);
    int fifth = dial(r);
    struct ttrpc_frame f = pack_extend(1, trust_ExtendKind_CONTAINER, "{}", 2);
    uint32_t before = events(r);
    send_frame(fifth, &f);
    settle(r);
    assert_int_equal(events(r), before);
    close(fd[2]);
    settle(r);
    assert_int_equal(receive_status(r, fifth, 1), TTRPC_OK);
    assert_int_equal(events(r), before + 1);
    close(fifth);
    for (unsigned i = 0; i < POD_TRUST_CONNS_MAX; i++)
        if (i != 2)
            close(fd[i]);
}

/* ---- Evidence ---- */

static void ask_evidence(struct rig *r, int fd, size_t nonce_bytes, bool bind)
{
    PB_BYTES_ARRAY_T(80) nonce = {.size = (pb_size_t)nonce_bytes};
    memset(nonce.bytes, 0x5a, nonce_bytes);
    const trust_EvidenceRequest request = {.nonce = (pb_bytes_array_t *)&nonce, .bind_agent = bind};
    struct ttrpc_frame f;
    assert_int_equal(
        ttrpc_pack_request(&f, r->stream, SERVICE, "GetEvidence", trust_EvidenceRequest_fields, &request, 0), 0);
    send_frame(fd, &f);
    r->stream += 2;
}

static void receive_evidence(struct rig *r, int fd, trust_Evidence *out)
{
    struct ttrpc_reader reader = {.payload = NULL};
    ttrpc_Response response;
    receive_frame(r, fd, &reader);
    assert_int_equal(ttrpc_unpack(ttrpc_Response_fields, &response, reader.payload, reader.header.bytes), 0);
    assert_false(response.has_status && response.status.code != 0);
    assert_int_equal(ttrpc_unpack(trust_Evidence_fields, out, response.payload->bytes, response.payload->size), 0);
    pb_release(ttrpc_Response_fields, &response);
    ttrpc_reader_fini(&reader);
}

static struct evidence_file file_of(const pb_bytes_array_t *bytes)
{
    struct evidence_file f = {.bytes = NULL};
    if (bytes != NULL && bytes->size > 0) {
        f = (struct evidence_file){.bytes = malloc(bytes->size), .length = bytes->size};
        memcpy(f.bytes, bytes->bytes, bytes->size);
    }
    return f;
}

static void judge(const trust_Evidence *m, size_t nonce_bytes, bool bound)
{
    uint8_t nonce[64];
    struct pubkey *key;
    struct evidence_verdict verdict;
    struct err err;
    struct evidence e = {.file = {[EVIDENCE_MESSAGE] = file_of(m->message),
                                  [EVIDENCE_SIGNATURE] = file_of(m->signature),
                                  [EVIDENCE_PCRS] = file_of(m->pcrs),
                                  [EVIDENCE_LOG] = file_of(m->event_log),
                                  [EVIDENCE_KEY] = file_of(m->key_pem),
                                  [EVIDENCE_CHAIN] = file_of(m->chain_pem),
                                  [EVIDENCE_EAT] = file_of(m->eat),
                                  [EVIDENCE_AGENT_KEY] = file_of(m->agent_key)}};
    memset(nonce, 0x5a, sizeof(nonce));
    assert_int_equal(pubkey_load(m->key_pem->bytes, m->key_pem->size, "key", &key, &err), 0);
    const struct evidence_demand demand = {
        .nonce = nonce, .nonce_bytes = nonce_bytes, .bound_to_agent = bound, .key = key, .now_s = now_s(NULL)};
    assert_int_equal(evidence_judge(&e, &demand, &verdict, &err), 0);
    if (!verdict.good)
        fail_msg("%s", verdict.why);
    pubkey_free(key);
    evidence_fini(&e);
}

static void evidence_for_a_nonce_is_good(void **state)
{
    struct rig *r = *state;
    trust_Evidence m;
    int fd = dial(r);
    ask_evidence(r, fd, 8, false);
    receive_evidence(r, fd, &m);
    assert_null(m.agent_key);
    judge(&m, 8, false);
    pb_release(trust_Evidence_fields, &m);
    close(fd);
}

static void evidence_can_be_bound_to_the_agents_key(void **state)
{
    struct rig *r = *state;
    trust_Evidence m;
    int fd = dial(r);
    tell_key(r, fd);
    ask_evidence(r, fd, 64, true);
    receive_evidence(r, fd, &m);
    assert_int_equal(m.agent_key->size, r->spki_bytes);
    assert_memory_equal(m.agent_key->bytes, r->spki, r->spki_bytes);
    judge(&m, 64, true);
    pb_release(trust_Evidence_fields, &m);
    close(fd);
}

static void nonces_that_are_none_and_a_key_that_is_not_there_are_refused(void **state)
{
    struct rig *r = *state;
    int fd = dial(r);
    ask_evidence(r, fd, 7, false);
    assert_int_equal(receive_status(r, fd, r->stream - 2), TTRPC_INVALID_ARGUMENT);
    ask_evidence(r, fd, 65, false);
    assert_int_equal(receive_status(r, fd, r->stream - 2), TTRPC_INVALID_ARGUMENT);
    ask_evidence(r, fd, 8, true);
    assert_int_equal(receive_status(r, fd, r->stream - 2), TTRPC_UNAVAILABLE);
    close(fd);
}

/* An answer of a full log is far larger than a socket holds. */
static void who_does_not_read_its_evidence_stops_nobody_else(void **state)
{
    struct rig *r = *state;
    char *text = malloc(EVENT_DATA_MAX);
    struct pollfd fds[POD_TRUST_POLL];
    int fd = dial(r), lazy = dial(r);
    tell_key(r, fd);
    memset(text, ' ', EVENT_DATA_MAX);
    memcpy(text, "{}", 2);
    for (int i = 0; i < 60; i++)
        assert_int_equal(extend(r, fd, trust_ExtendKind_CONTAINER, text, EVENT_DATA_MAX), TTRPC_OK);
    uint32_t stream = r->stream;
    r->stream = 1;
    for (int i = 0; i < 20; i++)
        ask_evidence(r, lazy, 8, false);
    settle(r);
    r->stream = stream;
    assert_int_equal(extend(r, fd, trust_ExtendKind_CONTAINER, "{}", 2), TTRPC_OK);
    assert_int_equal(pod_trust_poll(r->trust, fds), 3);
    assert_int_equal(poll(fds, 3, 0), 0); /* and it costs nothing meanwhile */
    close(lazy);
    settle(r);
    assert_int_equal(pod_trust_poll(r->trust, fds), 2);
    free(text);
    close(fd);
}

static void a_quote_of_the_hosts_is_the_same_evidence(void **state)
{
    struct rig *r = *state;
    struct evidence e;
    struct err err;
    const uint8_t nonce[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_int_equal(pod_trust_quote(r->trust, nonce, 8, false, &e, &err), 0);
    assert_int_equal(e.file[EVIDENCE_LOG].length, pod_trust_log(r->trust)->length);
    evidence_fini(&e);
    assert_int_equal(pod_trust_quote(r->trust, nonce, 8, true, &e, &err), -EAGAIN);
    assert_int_equal(pod_trust_quote(r->trust, nonce, 0, false, &e, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_second_key_is_refused_by_any_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_key_once_more_is_no_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_key_may_come_after_containers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_of_a_later_connection_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_ended_makes_no_room_for_another_first_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_key_on_p256_is_not_measured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_container_is_an_event_and_each_kind_of_process_is_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_kinds_of_processes_are_all_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_json_object_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kinds_that_are_none_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_log_has_room_for_the_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_log_refuses_and_stays_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_file_holds_each_event_before_its_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_its_owner_can_connect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_ends_its_own_connection_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams_have_to_be_odd_and_to_rise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_that_is_too_large_is_refused_and_the_next_one_served, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_request_or_no_method_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_may_come_in_single_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_burst_of_requests_is_answered_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fifth_connection_waits_until_one_has_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evidence_for_a_nonce_is_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evidence_can_be_bound_to_the_agents_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonces_that_are_none_and_a_key_that_is_not_there_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_read_its_evidence_stops_nobody_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quote_of_the_hosts_is_the_same_evidence, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("pod_trust", tests, NULL, NULL);
}
