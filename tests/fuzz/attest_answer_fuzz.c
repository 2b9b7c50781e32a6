/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: commands that ask a pod's process which its guest has taken over.
 *
 * Input: a byte that says what is asked (low 2 bits: status, hold, evidence, stop) and how many descriptors come with
 * the answer (next 2); two bytes with the length of what is behind the descriptors, and so many bytes; the rest is the
 * answer. Checked: the call ends; what it gives out has the type that it should, evidence files lie in what was sent;
 * a refusal is printable; no descriptor is left.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "vmm/attest/evidence.h"
#include "vmm/pod/control.h"
#include "vmm/trust/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FDS_MAX 3

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static unsigned count_fds(void)
{
    unsigned n = 0;
    DIR *folder = opendir("/proc/self/fd");
    require(folder != NULL);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

static void answer(int fd, const uint8_t *text, size_t n, int files, unsigned count)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    memset(&control, 0, sizeof(control));
    if (count > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        for (unsigned i = 0; i < count; i++)
            memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &files, sizeof(int));
    }
    (void)sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
}

static void check_refusal(int code, const struct err *err)
{
    require(code < 0 && err->code == code && err->text[0] != '\0');
    for (const char *c = err->text; *c != '\0'; c++)
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static int ask_status(int fd, struct err *err)
{
    json_t *out = NULL;
    int code = pod_control_status(fd, &out, err);
    require((code == 0) == json_is_object(out));
    json_decref(out);
    return code;
}

static int ask_evidence(int fd, size_t sent, struct err *err)
{
    static const uint8_t nonce[32] = {1};
    struct evidence evidence;
    json_t *out;
    size_t bytes = 0;
    int files, code = pod_control_quote(fd, nonce, sizeof(nonce), false, &out, &files, err);
    if (code != 0) {
        require(out == NULL && files == -1);
        return code;
    }
    code = trust_read_evidence(json_object_get(out, "files"), files, &evidence, err);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        require(evidence.file[i].length <= evidence_file_max((enum evidence_kind)i));
        bytes += evidence.file[i].length;
    }
    require(code == 0 ? bytes == sent : code == -EBADMSG);
    evidence_fini(&evidence);
    json_decref(out);
    close(files);
    return code;
}

static int ask(int fd, unsigned what, size_t sent, struct err *err)
{
    switch (what) {
    case 0: return ask_status(fd, err);
    case 1: return pod_control_hold(fd, "web", NULL, err);
    case 2: return ask_evidence(fd, sent, err);
    default: return pod_control_stop(fd, err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {.code = 0};
    int pair[2];
    const unsigned before = count_fds();
    if (size < 3 || size > 100000)
        return 0;
    size_t sent = bytes_load_le16(data + 1);
    sent = sent < size - 3 ? sent : size - 3;
    int files = memfd_create("files", MFD_CLOEXEC);
    require(files >= 0 && write(files, data + 3, sent) == (ssize_t)sent);
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    answer(pair[1], data + 3 + sent, size - 3 - sent, files, data[0] >> 2 & 3);
    int code = ask(pair[0], data[0] & 3, sent, &err);
    if (code != 0)
        check_refusal(code, &err);
    close(pair[0]);
    close(pair[1]);
    close(files);
    require(count_fds() == before);
    return 0;
}
