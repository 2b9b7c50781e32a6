/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/default_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "common/json.h"
#include "vmm/oci/spec.h"

/* ---- Process ---- */

static void put_capabilities(struct json_writer *w)
{
    static const char *const few[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", NULL};
    json_key(w, "capabilities");
    json_begin_object(w);
    json_put_texts(w, "bounding", few);
    json_put_texts(w, "effective", few);
    json_put_texts(w, "permitted", few);
    json_end_object(w);
}

static void put_rlimits(struct json_writer *w)
{
    json_key(w, "rlimits");
    json_begin_array(w);
    json_begin_object(w);
    json_put_text(w, "type", "RLIMIT_NOFILE");
    json_put_int(w, "hard", 1024);
    json_put_int(w, "soft", 1024);
    json_end_object(w);
    json_end_array(w);
}

static void put_process(struct json_writer *w)
{
    static const char *const args[] = {"sh", NULL};
    static const char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm",
                                      NULL};
    json_key(w, "process");
    json_begin_object(w);
    json_put_bool(w, "terminal", true);
    json_key(w, "user");
    json_begin_object(w);
    json_put_int(w, "uid", 0);
    json_put_int(w, "gid", 0);
    json_end_object(w);
    json_put_texts(w, "args", args);
    json_put_texts(w, "env", env);
    json_put_text(w, "cwd", "/");
    put_capabilities(w);
    put_rlimits(w);
    json_put_bool(w, "noNewPrivileges", true);
    json_end_object(w);
}

/* ---- Mounts ---- */

#define OPTIONS_MAX 7

static const struct mount_row {
    const char *destination, *type, *source;
    const char *options[OPTIONS_MAX];
} mounts[] = {
    {"/proc", "proc", "proc", {NULL}},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
    {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
    {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
    {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
};

/* Group 5 exists in no user namespace of one id. */
static void put_options(struct json_writer *w, const struct mount_row *m, bool rootless)
{
    json_key(w, "options");
    json_begin_array(w);
    for (size_t i = 0; i < OPTIONS_MAX && m->options[i] != NULL; i++) {
        if (!rootless || m->options[i][0] != 'g')
            json_text(w, m->options[i]);
    }
    json_end_array(w);
}

static void put_mounts(struct json_writer *w, bool rootless)
{
    json_key(w, "mounts");
    json_begin_array(w);
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        json_begin_object(w);
        json_put_text(w, "destination", mounts[i].destination);
        json_put_text(w, "type", mounts[i].type);
        json_put_text(w, "source", mounts[i].source);
        if (mounts[i].options[0] != NULL)
            put_options(w, &mounts[i], rootless);
        json_end_object(w);
    }
    json_end_array(w);
}

/* ---- Linux ---- */

static void put_device_rules(struct json_writer *w)
{
    json_key(w, "resources");
    json_begin_object(w);
    json_key(w, "devices");
    json_begin_array(w);
    json_begin_object(w);
    json_put_bool(w, "allow", false);
    json_put_text(w, "access", "rwm");
    json_end_object(w);
    json_end_array(w);
    json_end_object(w);
}

static void put_mapping(struct json_writer *w, const char *key, int64_t host_id)
{
    json_key(w, key);
    json_begin_array(w);
    json_begin_object(w);
    json_put_int(w, "containerID", 0);
    json_put_int(w, "hostID", host_id);
    json_put_int(w, "size", 1);
    json_end_object(w);
    json_end_array(w);
}

static void put_namespaces(struct json_writer *w, bool rootless)
{
    static const char *const types[] = {"pid", "network", "ipc", "uts", "mount", "cgroup"};
    json_key(w, "namespaces");
    json_begin_array(w);
    for (size_t i = 0; i < sizeof types / sizeof types[0] + rootless; i++) {
        json_begin_object(w);
        json_put_text(w, "type", i < sizeof types / sizeof types[0] ? types[i] : "user");
        json_end_object(w);
    }
    json_end_array(w);
}

static void put_linux(struct json_writer *w, bool rootless)
{
    static const char *const masked[] = {"/proc/acpi",
                                         "/proc/asound",
                                         "/proc/kcore",
                                         "/proc/keys",
                                         "/proc/latency_stats",
                                         "/proc/timer_list",
                                         "/proc/timer_stats",
                                         "/proc/sched_debug",
                                         "/sys/firmware",
                                         "/proc/scsi",
                                         NULL};
    static const char *const sealed[] = {"/proc/bus",           "/proc/fs", "/proc/irq", "/proc/sys",
                                         "/proc/sysrq-trigger", NULL};
    json_key(w, "linux");
    json_begin_object(w);
    if (rootless) {
        put_mapping(w, "uidMappings", geteuid());
        put_mapping(w, "gidMappings", getegid());
    } else {
        put_device_rules(w);
    }
    put_namespaces(w, rootless);
    json_put_texts(w, "maskedPaths", masked);
    json_put_texts(w, "readonlyPaths", sealed);
    json_end_object(w);
}

/* ---- The whole ---- */

void oci_default_spec_print(FILE *out, bool rootless)
{
    struct json_writer writer, *w = &writer;
    json_writer_init(w, out);
    json_begin_object(w);
    json_put_text(w, "ociVersion", OCI_VERSION_MAX);
    put_process(w);
    json_key(w, "root");
    json_begin_object(w);
    json_put_text(w, "path", "rootfs");
    json_put_bool(w, "readonly", true);
    json_end_object(w);
    json_put_text(w, "hostname", "caisson");
    put_mounts(w, rootless);
    put_linux(w, rootless);
    json_end_object(w);
    json_finish(w);
}

static int write_file(int folder, const char *bundle, bool rootless, struct err *err)
{
    const struct err_context c = {"write config.json in", bundle, "make room, or give a folder that can be written to"};
    const struct err_context taken = {"write config.json in", bundle, "remove it first, or give another folder"};
    int fd = openat(folder, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return errno == EEXIST ? err_fail_because(err, -EEXIST, &taken, "there is one already")
                               : err_fail(err, -errno, &c);
    FILE *out = fdopen(fd, "w");
    int code = out == NULL ? -errno : 0;
    if (out != NULL) {
        oci_default_spec_print(out, rootless);
        code = ferror(out) ? -EIO : 0;
        if (fclose(out) != 0)
            code = -errno;
    } else {
        close(fd);
    }
    if (code == 0)
        return 0;
    unlinkat(folder, "config.json", 0);
    return err_fail(err, code, &c);
}

int oci_default_spec_write(const char *bundle, bool rootless, struct err *err)
{
    const char *path = bundle != NULL ? bundle : ".";
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return err_fail(err, -errno, &(struct err_context){"open bundle", path, "make the folder, or give another"});
    int result = write_file(folder, path, rootless, err);
    close(folder);
    return result;
}
