/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/oci_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

/* Has an instance of nearly everything, so that rows can change one value and leave the rest right. */
static const char base[] =
    "{'ociVersion':'1.2.0','hostname':'h','root':{'path':'rootfs'},"
    "'process':{'terminal':true,'consoleSize':{'height':24,'width':80},'user':{'uid':1,'gid':2,'additionalGids':[5]},"
    "'args':['sh'],'env':['A=b'],'cwd':'/','capabilities':{'bounding':['CAP_KILL']},"
    "'rlimits':[{'type':'RLIMIT_NOFILE','hard':1024,'soft':1024}]},"
    "'mounts':[{'destination':'/proc','type':'proc','source':'proc'},"
    "{'destination':'/data','type':'none','source':'/volumes/d','options':['rbind','ro']}],"
    "'hooks':{'poststop':[{'path':'/bin/hook','args':['hook'],'env':['X=1'],'timeout':5}]},"
    "'annotations':{'com.example':'yes','empty':''},"
    "'linux':{'namespaces':[{'type':'pid'},{'type':'network'},{'type':'ipc'},{'type':'uts'},{'type':'mount'}],"
    "'devices':[{'path':'/dev/fuse','type':'c','major':10,'minor':229,'fileMode':438}],"
    "'resources':{'devices':[{'allow':false,'access':'rwm'}],'memory':{'limit':536870912},"
    "'cpu':{'shares':1024,'quota':50000,'period':100000,'cpus':'0-1'},'pids':{'limit':0},"
    "'blockIO':{'weight':10,'throttleReadBpsDevice':[{'major':8,'minor':0,'rate':600}]},"
    "'hugepageLimits':[{'pageSize':'2MB','limit':9223372036854772000}],'unified':{'memory.high':'1'}},"
    "'sysctl':{'net.core.somaxconn':'256'},'cgroupsPath':'/a/b','rootfsPropagation':'slave',"
    "'maskedPaths':['/proc/kcore'],'readonlyPaths':['/proc/sys'],"
    "'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','architectures':['SCMP_ARCH_X86_64'],"
    "'syscalls':[{'names':['chmod'],'action':'SCMP_ACT_ERRNO','errnoRet':1,"
    "'args':[{'index':0,'value':18446744073709551615,'op':'SCMP_CMP_EQ'}]}]}}}";

static json_t *parse_value(const char *text)
{
    char copy[8192];
    json_error_t e;
    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    for (char *p = copy; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *json = json_loads(copy, JSON_DECODE_ANY, &e);
    if (json == NULL)
        fail_msg("test data: %s: %s", text, e.text);
    return json;
}

char *oci_base_text(void)
{
    char *copy = strdup(base);
    assert_non_null(copy);
    for (char *p = copy; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return copy;
}

/* The tree that a dotted path leads to; members and elements that are missing are made. */
static json_t *step(json_t *at, const char *word)
{
    json_t *next = json_is_array(at) ? json_array_get(at, (size_t)atoi(word)) : json_object_get(at, word);
    if (next != NULL)
        return next;
    next = json_object();
    assert_int_equal(json_is_array(at) ? json_array_append_new(at, next) : json_object_set_new(at, word, next), 0);
    return next;
}

static void set(json_t *root, const char *path, json_t *value)
{
    char words[256], *rest = words;
    assert_true(strlen(path) < sizeof words);
    strcpy(words, path);
    json_t *at = root;
    for (char *slash; (slash = strchr(rest, '/')) != NULL; rest = slash + 1) {
        *slash = '\0';
        at = step(at, rest);
    }
    if (json_is_array(at)) {
        size_t i = (size_t)atoi(rest);
        if (i < json_array_size(at))
            assert_int_equal(json_array_set_new(at, i, value), 0);
        else
            assert_int_equal(json_array_append_new(at, value), 0);
    } else if (value == NULL) {
        json_object_del(at, rest);
    } else {
        assert_int_equal(json_object_set_new(at, rest, value), 0);
    }
}

char *oci_base_changed(const char *path, const char *value)
{
    char *text = oci_base_text();
    /* jansson cannot read the one long number of the base. */
    char *number = strstr(text, "18446744073709551615");
    memcpy(number, "                   7", 20);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    free(text);
    set(root, path, value != NULL ? parse_value(value) : NULL);
    text = json_dumps(root, 0);
    json_decref(root);
    for (char *mark; (mark = strstr(text, "\"#")) != NULL;) {
        char *end = strchr(mark + 1, '"');
        mark[0] = mark[1] = *end = ' ';
    }
    return text;
}
