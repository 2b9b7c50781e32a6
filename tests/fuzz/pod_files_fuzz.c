/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: files that commands read although a pod's process, which its guest may have taken over, has written
 * them, or a stranger has supplied them: pod.json, a log, the image of a root file system.
 *
 * Input: a byte that says which (modulo 3); for an image two bytes with an offset; then what is in the file, for an
 * image from that offset on. Checked: a log comes out as text that no terminal obeys; a pod that is named wrongly does
 * not live and is refused in printable words; an image is taken for one of the kinds that a guest can mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "vmm/oci/agent.h"
#include "vmm/oci/config.h"
#include "vmm/oci/follow.h"
#include "vmm/oci/plan.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_BYTES 8192 /* what precedes the rest is looked at, no more */

struct world {
    char folder[32], path[48];
    int at;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_words(const struct err *err)
{
    require(err->code < 0 && err->text[0] != '\0');
    for (const char *c = err->text; *c != '\0'; c++)
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void open_world(struct world *w, const char *name, size_t from, const uint8_t *data, size_t size)
{
    (void)strcpy(w->folder, "/tmp/pod_files.XXXXXX");
    require(mkdtemp(w->folder) != NULL);
    (void)snprintf(w->path, sizeof(w->path), "%s/%s", w->folder, name);
    w->at = open(w->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = open(w->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    require(w->at >= 0 && fd >= 0 && pwrite(fd, data, size, (off_t)from) == (ssize_t)size);
    if (from > 0)
        require(ftruncate(fd, IMAGE_BYTES + (off_t)size) == 0);
    close(fd);
}

static void close_world(const struct world *w)
{
    require(unlink(w->path) == 0 && rmdir(w->folder) == 0);
    close(w->at);
}

static void try_state(const uint8_t *data, size_t size)
{
    struct world w;
    struct oci_agent agent;
    struct err err = {.code = 0};
    open_world(&w, "pod.json", 0, data, size);
    if (!oci_pod_lives(w.folder)) {
        require(oci_pod_dial(w.folder, &agent, &err) < 0);
        check_words(&err);
    }
    close_world(&w);
}

static void try_log(const uint8_t *data, size_t size)
{
    struct world w;
    struct follow f;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    open_world(&w, "log", 0, data, size);
    require(out != NULL && follow_open(&f, w.at, "log", size > 0 ? data[0] % 8 : FOLLOW_ALL, out, NULL) == 0);
    require(follow_step(&f, out) == 0);
    follow_close(&f);
    require(fclose(out) == 0 && strlen(text) == n);
    for (size_t i = 0; i < n; i++)
        require(((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) || text[i] == '\n' || text[i] == '\t');
    free(text);
    close_world(&w);
}

static void plan_image(const char *path)
{
    char json[256];
    struct oci_spec spec;
    struct oci_plan plan;
    const struct oci_config config = {.kernel = NULL};
    struct err err = {.code = 0};
    int n = snprintf(json, sizeof(json),
                     "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"%s\"},\"process\":{\"cwd\":\"/\",\"args\":[\"x\"],"
                     "\"user\":{\"uid\":0,\"gid\":0}},\"linux\":{}}",
                     path);
    require(oci_spec_parse(json, (size_t)n, "config.json", "/tmp", &spec, &err) == 0);
    const struct oci_plan_request request = {
        .id = "c", .spec = &spec, .config = &config, .rootfs = OCI_ROOTFS_IMAGE, .memory_bytes = UINT64_C(1) << 28};
    if (oci_plan_make(&request, &plan, &err) == 0) {
        const char *type = plan.disk.fstype;
        require(strcmp(type, "erofs") == 0 || strcmp(type, "ext4") == 0 || strcmp(type, "squashfs") == 0);
    } else {
        check_words(&err);
        require(err.code == -EINVAL);
    }
    oci_plan_release(&plan);
    oci_spec_release(&spec);
}

static void try_image(const uint8_t *data, size_t size)
{
    struct world w;
    if (size < 2)
        return;
    open_world(&w, "image", bytes_load_le16(data) % IMAGE_BYTES, data + 2, size - 2);
    plan_image(w.path);
    close_world(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0: try_state(data + 1, size - 1); break;
    case 1: try_log(data + 1, size - 1); break;
    default: try_image(data + 1, size - 1); break;
    }
    return 0;
}
