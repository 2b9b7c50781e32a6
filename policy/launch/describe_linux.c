/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/digest.h"
#include "policy/launch/describe_internal.h"
#include "policy/launch/policy.h"

/* ---- Namespaces and devices ---- */

static void describe_namespaces(struct describe *d, json_t *object, const grpc_LinuxNamespace *n, size_t count)
{
    json_t *list = describe_list_of(d, object, "namespaces", count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++) {
        json_t *namespace = describe_object(d, list, NULL);
        describe_text(d, namespace, "type", n[i].Type);
        describe_text(d, namespace, "path", n[i].Path);
    }
}

static void describe_devices(struct describe *d, json_t *object, const grpc_LinuxDevice *devices, size_t count)
{
    json_t *list = describe_list_of(d, object, "devices", count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++) {
        json_t *device = describe_object(d, list, NULL);
        describe_text(d, device, "path", devices[i].Path);
        describe_text(d, device, "type", devices[i].Type);
        describe_each_number(d, device, "major", devices[i].Major);
        describe_each_number(d, device, "minor", devices[i].Minor);
        describe_each_number(d, device, "mode", devices[i].FileMode);
        describe_each_number(d, device, "uid", devices[i].UID);
        describe_each_number(d, device, "gid", devices[i].GID);
    }
}

/* Of the resources only what gives something: devices, and files of the cgroup that are no limits. */
static void describe_resources(struct describe *d, json_t *object, const grpc_LinuxResources *r)
{
    json_t *list = describe_list_of(d, object, "device_rules", r->Devices_count);
    for (size_t i = 0; list != NULL && i < r->Devices_count && d->code == 0; i++) {
        json_t *rule = describe_object(d, list, NULL);
        describe_flag(d, rule, "allow", r->Devices[i].Allow);
        describe_text(d, rule, "type", r->Devices[i].Type);
        describe_each_number(d, rule, "major", r->Devices[i].Major);
        describe_each_number(d, rule, "minor", r->Devices[i].Minor);
        describe_text(d, rule, "access", r->Devices[i].Access);
    }
    json_t *files = NULL;
    for (size_t i = 0; i < r->Unified_count && d->code == 0; i++) {
        const char *key = r->Unified[i].key, *value = r->Unified[i].value;
        if (key == NULL || strncmp(key, "cgroup.", 7) != 0)
            continue;
        files = files != NULL ? files : describe_object(d, object, "cgroup_files");
        describe_text(d, files, key, value != NULL && *value != '\0' ? value : "(none)");
    }
}

/* ---- Seccomp ---- */

static void describe_syscall(struct describe *d, json_t *list, const grpc_LinuxSyscall *s)
{
    json_t *syscall = describe_object(d, list, NULL);
    describe_texts(d, syscall, "names", s->Names, s->Names_count);
    describe_text(d, syscall, "action", s->Action);
    if (s->which_ErrnoRet == grpc_LinuxSyscall_errnoret_tag)
        describe_each_number(d, syscall, "errno", s->ErrnoRet.errnoret);
    json_t *args = describe_list_of(d, syscall, "args", s->Args_count);
    for (size_t i = 0; args != NULL && i < s->Args_count && d->code == 0; i++) {
        json_t *arg = describe_object(d, args, NULL);
        describe_unsigned(d, arg, "index", s->Args[i].Index);
        describe_unsigned(d, arg, "value", s->Args[i].Value);
        describe_unsigned(d, arg, "value_two", s->Args[i].ValueTwo);
        describe_text(d, arg, "op", s->Args[i].Op);
    }
}

static void describe_profile(struct describe *d, json_t *profile, const grpc_LinuxSeccomp *s)
{
    describe_text(d, profile, "default_action", s->DefaultAction);
    if (s->has_DefaultErrnoRet)
        describe_each_number(d, profile, "default_errno", s->DefaultErrnoRet);
    describe_texts(d, profile, "architectures", s->Architectures, s->Architectures_count);
    describe_texts(d, profile, "flags", s->Flags, s->Flags_count);
    describe_text(d, profile, "listener_path", s->ListenerPath);
    describe_text(d, profile, "listener_metadata", s->ListenerMetadata);
    json_t *list = describe_list_of(d, profile, "syscalls", s->Syscalls_count);
    for (size_t i = 0; list != NULL && i < s->Syscalls_count && d->code == 0; i++)
        describe_syscall(d, list, &s->Syscalls[i]);
}

/* A profile has hundreds of names: only the digest of its canonical form is shown. */
static void describe_seccomp(struct describe *d, json_t *object, const grpc_LinuxSeccomp *s)
{
    char text[7 + 2 * DIGEST_SHA256_BYTES + 1] = "sha256:", *canonical = NULL;
    uint8_t digest[DIGEST_SHA256_BYTES];
    size_t length;
    json_t *profile = json_object();
    if (profile != NULL)
        describe_profile(d, profile, s);
    if (d->code == 0)
        d->code = policy_canonical(profile, &canonical, &length, d->err);
    if (d->code == 0) {
        digest_one(DIGEST_SHA256, canonical, length, digest);
        digest_to_hex(digest, sizeof digest, text + 7);
        describe_text(d, object, "seccomp", text);
    }
    free(canonical);
    json_decref(profile);
}

/* ---- The rest ---- */

static void describe_sysctl(struct describe *d, json_t *object, const grpc_Linux_SysctlEntry *s, size_t count)
{
    const struct err_context c = {"describe a container", NULL, "give it once"};
    json_t *map = count > 0 ? describe_object(d, object, "sysctl") : NULL;
    for (size_t i = 0; map != NULL && i < count && d->code == 0; i++) {
        const char *key = s[i].key != NULL ? s[i].key : "";
        if (json_object_get(map, key) != NULL)
            d->code = err_fail_because(d->err, -EINVAL, &c, "sysctl %.64s is given twice", key);
        describe_text(d, map, key, s[i].value != NULL && *s[i].value != '\0' ? s[i].value : "(none)");
    }
}

static void describe_offsets(struct describe *d, json_t *object, const grpc_LinuxTimeOffset *o, size_t count)
{
    json_t *list = describe_list_of(d, object, "time_offsets", count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++) {
        json_t *offset = describe_object(d, list, NULL);
        describe_text(d, offset, "clock", o[i].Clock);
        describe_each_number(d, offset, "seconds", o[i].Secs);
        describe_each_number(d, offset, "nanoseconds", o[i].Nanosecs);
    }
}

static void describe_machine(struct describe *d, json_t *object, const grpc_Linux *l)
{
    if (l->has_Personality) {
        json_t *personality = describe_object(d, object, "personality");
        describe_text(d, personality, "domain", l->Personality.Domain);
        describe_texts(d, personality, "flags", l->Personality.Flags, l->Personality.Flags_count);
    }
    if (l->has_MemoryPolicy) {
        json_t *memory = describe_object(d, object, "memory_policy");
        describe_text(d, memory, "mode", l->MemoryPolicy.Mode);
        describe_text(d, memory, "nodes", l->MemoryPolicy.Nodes);
        describe_texts(d, memory, "flags", l->MemoryPolicy.Flags, l->MemoryPolicy.Flags_count);
    }
}

/* Without mountLabel, which the agent ignores, and intelRdt and netDevices, which it refuses. */
void describe_linux(struct describe *d, json_t *object, const grpc_Linux *l)
{
    describe_namespaces(d, object, l->Namespaces, l->Namespaces_count);
    describe_devices(d, object, l->Devices, l->Devices_count);
    describe_resources(d, object, &l->Resources);
    if (l->has_Seccomp)
        describe_seccomp(d, object, &l->Seccomp);
    describe_sysctl(d, object, l->Sysctl, l->Sysctl_count);
    describe_texts(d, object, "masked_paths", l->MaskedPaths, l->MaskedPaths_count);
    describe_texts(d, object, "readonly_paths", l->ReadonlyPaths, l->ReadonlyPaths_count);
    describe_text(d, object, "rootfs_propagation", l->RootfsPropagation);
    describe_mappings(d, object, "uid_mappings", l->UIDMappings, l->UIDMappings_count);
    describe_mappings(d, object, "gid_mappings", l->GIDMappings, l->GIDMappings_count);
    describe_text(d, object, "cgroups_path", l->CgroupsPath);
    describe_offsets(d, object, l->TimeOffsets, l->TimeOffsets_count);
    describe_machine(d, object, l);
}
