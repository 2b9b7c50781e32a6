/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: what is decided about a container before it is made, from a specification that nobody has checked.
 *
 * Input: a byte 0 to 127 and a grpc.Spec, or another and a grpc.Storage, as protobuf. Checked: each check ends with
 * words or a result within its bounds; limits go to single files of the cgroup, settings below /proc/sys, and nowhere
 * else; a filter that is accepted is a whole number of instructions, and the library accepts it, too.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <pb_decode.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.pb.h"
#include "common/ttrpc.h"
#include "guest-init/container/cgroup_device.h"
#include "guest-init/container/cgroup_limits.h"
#include "guest-init/container/mount_options.h"
#include "guest-init/container/namespaces.h"
#include "guest-init/container/process.h"
#include "guest-init/container/seccomp_filter.h"
#include "guest-init/container/sysctl.h"
#include "guest-init/container/verity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A profile has some hundred names; the library takes seconds for many more. */
#define SECCOMP_NAMES_MAX 200u

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* 0 or more, or a refusal with printable words. */
static bool judged(int code, struct err *err)
{
    require(code >= 0 || (err->code == code && err->text[0] != '\0'));
    for (const char *c = err->text; code < 0 && *c != '\0'; c++)
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
    err_clear(err);
    return code >= 0;
}

static void check_process(const grpc_Process *p)
{
    struct err err = {.code = 0};
    unsigned long bits[2] = {0};
    (void)judged(process_check(p, &err), &err);
    if (p->Cwd != NULL)
        (void)process_parse_list(p->Cwd, bits, 2);
}

static int one_write(void *context, const char *file, const char *text)
{
    unsigned *left = context;
    require(file[0] != '\0' && file[0] != '.' && strchr(file, '/') == NULL && text != NULL);
    return --*left == 0 ? -ENOENT : 0;
}

static void check_resources(const grpc_LinuxResources *r)
{
    struct err err = {.code = 0};
    unsigned always = UINT32_MAX, few = 3;
    (void)judged(cgroup_limits_each(r, one_write, &always, &err), &err);
    (void)judged(cgroup_limits_each(r, one_write, &few, &err), &err);
    struct bpf_insn *program = calloc(CGROUP_DEVICE_INSTRUCTIONS, sizeof(*program));
    require(program != NULL);
    int n = cgroup_device_program(r->Devices, r->Devices_count, program, &err);
    if (judged(n, &err))
        require((unsigned)n <= CGROUP_DEVICE_INSTRUCTIONS && program[n - 1].code == (BPF_JMP | BPF_EXIT));
    free(program);
}

static void check_filter_file(int fd)
{
    struct stat st;
    require(fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size % (off_t)sizeof(struct sock_filter) == 0);
    require(st.st_size / (off_t)sizeof(struct sock_filter) <= BPF_MAXINSNS);
    close(fd);
}

static void check_seccomp(const grpc_LinuxSeccomp *s)
{
    struct err err = {.code = 0};
    size_t names = 0;
    for (size_t i = 0; i < s->Syscalls_count; i++)
        names += s->Syscalls[i].Names_count;
    if (names > SECCOMP_NAMES_MAX || s->Architectures_count > 4)
        return;
    int fd = seccomp_filter_compile(s, &err), plain;
    if (!judged(fd, &err))
        return;
    check_filter_file(fd);
    plain = seccomp_filter_compile_plain(s, &err);
    if (judged(plain, &err))
        check_filter_file(plain);
}

/* Names, and none that leads up or to the root. */
static bool stays_below(const char *path)
{
    for (const char *at = path;; at++) {
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += n;
        if (*at == '\0')
            return true;
    }
}

static void check_linux(const grpc_Linux *l)
{
    const struct container_pod pod = {.net_ns = -1, .ipc_ns = -1, .uts_ns = -1, .pid_ns = -1};
    struct namespaces n;
    struct err err = {.code = 0};
    unsigned long bits;
    char path[256];
    if (judged(namespaces_plan(l, &pod, false, &n, &err), &err))
        require(n.make[NAMESPACE_MOUNT]);
    if (l->has_Personality)
        (void)judged(process_personality(&l->Personality, &bits, &err), &err);
    if (l->has_MemoryPolicy)
        (void)judged(process_check_memory_policy(&l->MemoryPolicy, &err), &err);
    if (l->has_Resources)
        check_resources(&l->Resources);
    if (l->has_Seccomp)
        check_seccomp(&l->Seccomp);
    for (size_t i = 0; i < l->Sysctl_count; i++) {
        if (l->Sysctl[i].key == NULL || sysctl_path(l->Sysctl[i].key, path, sizeof(path)) < 0)
            continue;
        require(strlen(path) < sizeof(path) && stays_below(path));
    }
}

static void check_mount(const grpc_Mount *m)
{
    struct mount_options o;
    struct err err = {.code = 0};
    if (!judged(mount_options_parse(m->options, m->options_count, &o, &err), &err))
        return;
    require(o.flags_count <= MOUNT_OPTIONS_MAX && o.data_count <= MOUNT_OPTIONS_MAX);
    require((o.set & o.clear & ~(uint64_t)MOUNT_ATTR__ATIME) == 0); /* a choice of one, cleared as a whole */
}

static void check_spec(const uint8_t *data, size_t size)
{
    grpc_Spec spec;
    if (ttrpc_unpack(grpc_Spec_fields, &spec, data, size) < 0)
        return;
    check_process(&spec.Process);
    check_linux(&spec.Linux);
    for (size_t i = 0; i < spec.Mounts_count; i++)
        check_mount(&spec.Mounts[i]);
    pb_release(grpc_Spec_fields, &spec);
}

static void check_storage(const uint8_t *data, size_t size)
{
    grpc_Storage storage;
    struct verity_wish wish;
    struct err err = {.code = 0};
    if (ttrpc_unpack(grpc_Storage_fields, &storage, data, size) < 0)
        return;
    if (judged(verity_wish_of(&storage, &wish, &err), &err) && wish.root != NULL)
        require(strlen(wish.root) >= VERITY_ROOT_CHARS);
    (void)mount_options_propagation(storage.fstype);
    pb_release(grpc_Storage_fields, &storage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] < 128)
        check_spec(data + 1, size - 1);
    else
        check_storage(data + 1, size - 1);
    return 0;
}
