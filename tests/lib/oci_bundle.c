/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/oci_bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void bundle_path(const struct bundle_rig *r, const char *name, char out[512])
{
    snprintf(out, 512, "%s/%s", r->path, name);
}

void bundle_make_dir(const struct bundle_rig *r, const char *name)
{
    char path[512];
    bundle_path(r, name, path);
    assert_int_equal(mkdir(path, 0755), 0);
}

void bundle_make_file(const struct bundle_rig *r, const char *name, const void *bytes, size_t size)
{
    char path[512];
    bundle_path(r, name, path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

void bundle_make_link(const struct bundle_rig *r, const char *target, const char *name)
{
    char path[512];
    bundle_path(r, name, path);
    assert_int_equal(symlink(target, path), 0);
}

bool bundle_has(const struct bundle_rig *r, const char *name, mode_t type)
{
    struct stat st;
    char path[512];
    bundle_path(r, name, path);
    return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

int bundle_setup(void **state)
{
    struct bundle_rig *r = calloc(1, sizeof *r);
    strcpy(r->path, "/tmp/caisson-plan-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    bundle_make_dir(r, "rootfs");
    r->config.wishes = OCI_WISHES_DEFAULT;
    r->request = (struct oci_plan_request){.id = "c1", .spec = &r->spec, .config = &r->config};
    *state = r;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int bundle_teardown(void **state)
{
    struct bundle_rig *r = *state;
    oci_plan_release(&r->plan);
    oci_spec_release(&r->spec);
    nftw(r->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(r);
    return 0;
}

/* Replaces the specification and plans anew. */
int bundle_plan(struct bundle_rig *r, const char *mounts, const char *root, const char *linux, const char *annotations)
{
    char text[8192];
    snprintf(text, sizeof text,
             "{'ociVersion':'1.2.0','process':{'cwd':'/','args':['sh']},'root':{%s},'mounts':[%s],"
             "'linux':{%s},'annotations':{%s}}",
             root, mounts, linux, annotations);
    for (char *p = text; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    oci_plan_release(&r->plan);
    oci_spec_release(&r->spec);
    err_clear(&r->err);
    if (oci_spec_parse(text, strlen(text), "config.json", r->path, &r->spec, &r->err) != 0)
        fail_msg("%s", r->err.text);
    return oci_plan_make(&r->request, &r->plan, &r->err);
}

int bundle_plan_mount(struct bundle_rig *r, const char *mount)
{
    return bundle_plan(r, mount, "'path':'rootfs'", NAMESPACES, "");
}

int bundle_plan_linux(struct bundle_rig *r, const char *linux)
{
    return bundle_plan(r, "", "'path':'rootfs'", linux, "");
}

int bundle_plan_wish(struct bundle_rig *r, const char *annotations)
{
    return bundle_plan(r, "", "'path':'rootfs'", NAMESPACES, annotations);
}

void bundle_must(const struct bundle_rig *r, int result)
{
    if (result != 0)
        fail_msg("%d: %s", result, r->err.text);
}

void bundle_refuses(struct bundle_rig *r, int result, int code, const char *words)
{
    if (result != code)
        fail_msg("%d instead of %d: %s", result, code, r->err.text);
    if (strstr(r->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", r->err.text, words);
    assert_int_equal(r->plan.export_count, 0);
    assert_null(r->plan.sandbox);
}

const grpc_Spec *bundle_guest(const struct bundle_rig *r)
{
    return &r->plan.create_container.OCI;
}

bool bundle_is_shared(const char *path, const char *export)
{
    return strncmp(path, OCI_GUEST_SHARED "/", strlen(OCI_GUEST_SHARED "/")) == 0 &&
           strcmp(path + strlen(OCI_GUEST_SHARED "/"), export) == 0;
}

bool bundle_leads_to(const struct bundle_rig *r, int fd, const char *name)
{
    struct stat a, b;
    char path[512];
    bundle_path(r, name, path);
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}
