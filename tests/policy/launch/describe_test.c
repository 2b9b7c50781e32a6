/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

#include "common/crypto/digest.h"
#include "policy/launch/describe.h"
#include "policy/launch/shape.h"

/* FNV-1a of "c1"; tests/vmm/trust/policy_plan_test.c compares with what vmm/oci/plan.c writes. */
#define WORD "08a27f07b54a6859"

/* nanopb's strings are not const, and never written to here. */
static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static char *const args[] = {(char *)(uintptr_t) "/app", (char *)(uintptr_t) ""};
static char *const envs[] = {(char *)(uintptr_t) "A=1"};

static grpc_CreateContainerRequest request(void)
{
    grpc_CreateContainerRequest r = grpc_CreateContainerRequest_init_zero;
    r.container_id = text("c1");
    r.exec_id = text("c1");
    r.has_OCI = r.OCI.has_Process = r.OCI.has_Root = r.OCI.has_Linux = true;
    r.OCI.Process.Args = (char **)(uintptr_t)args;
    r.OCI.Process.Args_count = 2;
    r.OCI.Root.Path = text("/run/caisson/shared/" WORD "-r");
    return r;
}

static char *describe(const grpc_CreateContainerRequest *r)
{
    json_t *value;
    struct err err;
    char *canonical;
    size_t n;
    err_clear(&err);
    if (describe_container(r, &value, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(policy_canonical(value, &canonical, &n, NULL), 0);
    json_decref(value);
    return canonical;
}

static void describes(const grpc_CreateContainerRequest *r, const char *members)
{
    char wanted[4096];
    char *is = describe(r);
    snprintf(wanted, sizeof wanted,
             "{'args':['/app',''],'id':'c1','root':{'share':'{id}-r'},'user':{'gid':0,'uid':0}%s%s}",
             *members != '\0' ? "," : "", members);
    char *sorted = rig_canonical(wanted);
    assert_string_equal(is, sorted);
    free(is);
    free(sorted);
}

static void fails(const grpc_CreateContainerRequest *r, const char *words)
{
    json_t *value = (json_t *)(uintptr_t)1;
    struct err err;
    err_clear(&err);
    assert_int_equal(describe_container(r, &value, &err), -EINVAL);
    assert_null(value);
    rig_says(&err, words);
}

/* Every member of the request that the agent acts on. */
static void fill(grpc_CreateContainerRequest *r, grpc_Mount *mount, grpc_Storage *storage)
{
    static const grpc_LinuxNamespace namespaces[] = {{(char *)(uintptr_t) "mount", NULL}};
    static const grpc_POSIXRlimit rlimits[] = {{(char *)(uintptr_t) "RLIMIT_NOFILE", UINT64_MAX, 1024}};
    r->OCI.Process.Env = (char **)(uintptr_t)envs;
    r->OCI.Process.Env_count = 1;
    r->OCI.Process.Cwd = text("/");
    r->OCI.Process.Terminal = r->OCI.Process.NoNewPrivileges = true;
    r->OCI.Process.Rlimits = (grpc_POSIXRlimit *)(uintptr_t)rlimits;
    r->OCI.Process.Rlimits_count = 1;
    r->OCI.Linux.Namespaces = (grpc_LinuxNamespace *)(uintptr_t)namespaces;
    r->OCI.Linux.Namespaces_count = 1;
    *mount = (grpc_Mount){.destination = text("/proc"), .type = text("proc"), .source = text("proc")};
    r->OCI.Mounts = mount;
    r->OCI.Mounts_count = 1;
    *storage = (grpc_Storage){.driver = text("ephemeral"), .mount_point = text("/run/caisson/storage/" WORD "-u")};
    r->storages = storage;
    r->storages_count = 1;
}

/* ---- Containers ---- */

static void what_is_not_given_is_not_described(void **state)
{
    grpc_CreateContainerRequest r = request();
    (void)state;
    describes(&r, "");
}

static void a_description_is_a_rule_that_permits_it(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_Mount mount;
    grpc_Storage storage;
    struct shape_path path;
    json_t *value;
    struct err err;
    (void)state;
    fill(&r, &mount, &storage);
    assert_int_equal(describe_container(&r, &value, &err), 0);
    json_t *rule = json_deep_copy(value);
    assert_int_equal(json_object_del(rule, "id"), 0);
    shape_path_init(&path, "");
    assert_null(shape_check(&shape_container, rule, &path));
    assert_true(shape_match(&shape_container, rule, value, "id", &path, NULL, NULL));
    json_decref(rule);
    json_decref(value);
}

static void a_process_is_described_by_all_it_gets(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_Mount mount;
    grpc_Storage storage;
    (void)state;
    fill(&r, &mount, &storage);
    describes(
        &r, "'env':['A=1'],'cwd':'/','terminal':true,'no_new_privileges':true,"
            "'rlimits':[{'type':'RLIMIT_NOFILE','soft':1024,'hard':'18446744073709551615'}],"
            "'namespaces':[{'type':'mount'}],'mounts':[{'destination':'/proc','type':'proc','source':{'new':'proc'}}],"
            "'storages':[{'driver':'ephemeral','mount_point':'/run/caisson/storage/{id}-u'}]");
}

static void users_by_number_and_by_name_are_described(void **state)
{
    grpc_CreateContainerRequest r = request();
    uint32_t gids[] = {7, 4294967295};
    char *more[] = {text("wheel")};
    (void)state;
    r.OCI.Process.User = (grpc_User){.UID = 1, .GID = 2, .AdditionalGids_count = 2, .AdditionalGids = gids};
    r.OCI.Process.User.has_Umask = true;
    r.OCI.Process.User.Username = text("daemon");
    r.has_string_user = true;
    r.string_user = (grpc_StringUser){text("root"), NULL, 1, more};
    char *is = describe(&r);
    assert_non_null(strstr(is, "\"user\":{\"additional_gids\":[7,4294967295],\"gid\":2,\"names\":{\"additional_gids\":"
                               "[\"wheel\"],\"uid\":\"root\"},\"uid\":1,\"umask\":0,\"username\":\"daemon\"}"));
    free(is);
}

static void empty_capabilities_differ_from_none(void **state)
{
    grpc_CreateContainerRequest r = request();
    char *caps[] = {text("CAP_KILL")};
    (void)state;
    r.OCI.Process.has_Capabilities = true;
    describes(&r, "'capabilities':{}");
    r.OCI.Process.Capabilities.Ambient = caps;
    r.OCI.Process.Capabilities.Ambient_count = 1;
    describes(&r, "'capabilities':{'ambient':['CAP_KILL']}");
}

static void scheduling_is_described(void **state)
{
    grpc_CreateContainerRequest r = request();
    (void)state;
    r.OCI.Process.OOMScoreAdj = -5;
    r.OCI.Process.has_IOPriority = true;
    r.OCI.Process.IOPriority = (grpc_LinuxIOPriority){text("IOPRIO_CLASS_RT"), 0};
    r.OCI.Process.has_Scheduler = true;
    r.OCI.Process.Scheduler = (grpc_LinuxScheduler){.Policy = text("SCHED_DEADLINE"), .Runtime = UINT64_MAX};
    describes(&r, "'oom_score_adj':-5,'io_priority':{'class':'IOPRIO_CLASS_RT','priority':0},"
                  "'scheduler':{'policy':'SCHED_DEADLINE','runtime':'18446744073709551615','deadline':0,'period':0}");
}

/* ---- Roots and mounts ---- */

static void root_is(const char *path, bool read_only, const char *wanted)
{
    grpc_CreateContainerRequest r = request();
    r.OCI.Root.Path = text(path);
    r.OCI.Root.Readonly = read_only;
    char *is = describe(&r), *sorted = rig_quotes(wanted);
    if (strstr(is, sorted) == NULL)
        fail_msg("%s does not have %s", is, sorted);
    free(is);
    free(sorted);
}

static void roots_are_told_by_where_they_come_from(void **state)
{
    (void)state;
    root_is("/run/caisson/shared/" WORD "-r", true, "'readonly_root':true,'root':{'share':'{id}-r'}");
    root_is("/run/caisson/storage/" WORD "-o", false, "'root':{'storage':'{id}-o'}");
    root_is("/run/caisson/shared/ffffffffffffffff-r", false, "'root':{'share':'ffffffffffffffff-r'}");
    root_is("/run/caisson/shared", false, "'root':{'guest':'/run/caisson/shared'}");
    root_is("/", false, "'root':{'odd':'/'}");
    root_is("/etc", false, "'root':{'guest':'/etc'}");
}

static void paths_in_another_spelling_are_odd(void **state)
{
    (void)state;
    root_is("/run/caisson/shared/../storage/x", false, "'root':{'odd':");
    root_is("/run/caisson/storage/./x", false, "'root':{'odd':");
    root_is("/run//caisson/storage/x", false, "'root':{'odd':");
    root_is("/run/caisson/storage/x/", false, "'root':{'odd':");
    root_is("/run/caisson/shared/..", false, "'root':{'odd':");
    root_is("relative", false, "'root':{'odd':'relative'}");
    root_is("", false, "'root':{'odd':'(none)'}");
    root_is("/run/caisson/storage/...", false, "'root':{'storage':'...'}");
}

static void a_rule_cannot_speak_of_what_is_odd(void **state)
{
    static const char *const odd[] = {"{'root':{'odd':'/x'}}", "{'storages':[{'odd_mount_point':'/x'}]}"};
    struct shape_path path;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        json_t *rule = rig_json(odd[i]);
        shape_path_init(&path, "");
        assert_non_null(shape_check(&shape_container, rule, &path));
        json_decref(rule);
    }
}

static void mount_is(grpc_Mount m, const char *wanted)
{
    grpc_CreateContainerRequest r = request();
    char members[1024];
    r.OCI.Mounts = &m;
    r.OCI.Mounts_count = 1;
    snprintf(members, sizeof members, "'mounts':[%s]", wanted);
    describes(&r, members);
}

static void sources_of_mounts_are_told_by_what_they_are(void **state)
{
    char *bind[] = {text("rbind"), text("ro")}, *again[] = {text("remount"), text("bind")};
    (void)state;
    mount_is((grpc_Mount){.destination = text("/d"),
                          .source = text("/run/caisson/shared/" WORD "-m3"),
                          .type = text("bind")},
             "{'destination':'/d','type':'bind','source':{'share':'{id}-m3'}}");
    mount_is((grpc_Mount){.destination = text("/d"),
                          .source = text("/dev/null"),
                          .type = text("x"),
                          .options = bind,
                          .options_count = 2},
             "{'destination':'/d','type':'x','options':['rbind','ro'],'source':{'guest':'/dev/null'}}");
    mount_is((grpc_Mount){.destination = text("/d"), .source = text("shm"), .type = text("tmpfs")},
             "{'destination':'/d','type':'tmpfs','source':{'new':'shm'}}");
    mount_is((grpc_Mount){.destination = text("/d"), .type = text("tmpfs")}, "{'destination':'/d','type':'tmpfs'}");
    mount_is((grpc_Mount){.destination = text("/d"), .source = text("/dev/vdb"), .type = text("ext4")},
             "{'destination':'/d','type':'ext4','source':{'unverified':'/dev/vdb'}}");
    mount_is((grpc_Mount){.destination = text("/d"), .type = text("ext4")},
             "{'destination':'/d','type':'ext4','source':{'unverified':'(none)'}}");
    mount_is((grpc_Mount){.destination = text("/d"), .options = again, .options_count = 2, .source = text("/x")},
             "{'destination':'/d','options':['remount','bind']}");
}

static void mapped_owners_are_described(void **state)
{
    grpc_LinuxIDMapping map[] = {{1000, 0, 1}};
    (void)state;
    mount_is((grpc_Mount){.destination = text("/d"),
                          .type = text("tmpfs"),
                          .UIDMappings_count = 1,
                          .UIDMappings = map,
                          .GIDMappings_count = 1,
                          .GIDMappings = map},
             "{'destination':'/d','type':'tmpfs','uid_mappings':[{'container':0,'host':1000,'size':1}],"
             "'gid_mappings':[{'container':0,'host':1000,'size':1}]}");
}

/* ---- Storages ---- */

static void storage_is(grpc_Storage s, const char *wanted)
{
    grpc_CreateContainerRequest r = request();
    char members[1024];
    r.storages = &s;
    r.storages_count = 1;
    snprintf(members, sizeof members, "'storages':[%s]", wanted);
    describes(&r, members);
}

static void a_verified_disk_is_told_by_its_root_hash(void **state)
{
    char *driver[] = {text("verity_root=0abc"), text("x=" WORD), text("verity_offset=4096"), text("verity_x=1")};
    char *options[] = {text("ro"), text("lowerdir=/run/caisson/storage/" WORD "-i:/run/" WORD)};
    (void)state;
    storage_is((grpc_Storage){.driver = text("blk"),
                              .source = text("serial=r" WORD),
                              .fstype = text("erofs"),
                              .mount_point = text("/run/caisson/storage/" WORD "-i"),
                              .driver_options = driver,
                              .driver_options_count = 4,
                              .options = options,
                              .options_count = 2},
               "{'driver':'blk','source':'serial=r{id}','fstype':'erofs','mount_point':'/run/caisson/storage/{id}-i',"
               "'verity_root':'0abc','verity_offset':'4096','driver_options':['x={id}','verity_x=1'],"
               "'options':['ro','lowerdir=/run/caisson/storage/{id}-i:/run/{id}']}");
}

static void what_the_host_may_change_is_called_unverified(void **state)
{
    (void)state;
    storage_is((grpc_Storage){.driver = text("blk"), .mount_point = text("/run/x")},
               "{'driver':'blk','mount_point':'/run/x','unverified':true}");
    storage_is((grpc_Storage){.driver = text("virtio-fs"), .source = text("caisson"), .mount_point = text("/run/x")},
               "{'driver':'virtio-fs','source':'caisson','mount_point':'/run/x','unverified':true}");
    storage_is((grpc_Storage){.driver = text("local"), .has_fs_group = true, .mount_point = text("/run/../x")},
               "{'driver':'local','group':0,'odd_mount_point':'/run/../x'}");
    storage_is((grpc_Storage){.driver = text("local")}, "{'driver':'local','odd_mount_point':'(none)'}");
}

static void a_root_hash_given_twice_is_refused(void **state)
{
    grpc_CreateContainerRequest r = request();
    char *driver[] = {text("verity_root=0a"), text("verity_root=0b")};
    grpc_Storage s = {.driver = text("blk"), .driver_options = driver, .driver_options_count = 2};
    (void)state;
    r.storages = &s;
    r.storages_count = 1;
    fails(&r, "verity_root is given twice");
}

static void an_empty_root_hash_is_not_none(void **state)
{
    char *driver[] = {text("verity_root=")};
    (void)state;
    storage_is(
        (grpc_Storage){
            .driver = text("blk"), .mount_point = text("/run/x"), .driver_options = driver, .driver_options_count = 1},
        "{'driver':'blk','mount_point':'/run/x','verity_root':'(none)'}");
}

static void names_of_the_container_cannot_be_written_by_hand(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_Storage s = {.driver = text("blk"), .mount_point = text("/run/caisson/storage/{id}-i")};
    (void)state;
    r.storages = &s;
    r.storages_count = 1;
    fails(&r, "mount_point: '/run/caisson/storage/{id}-i' has {id} in it");
    r = request();
    r.OCI.Root.Path = text("/run/caisson/shared/{id}-r");
    fails(&r, "has {id} in it");
}

static void another_container_has_another_word(void **state)
{
    grpc_CreateContainerRequest r = request();
    (void)state;
    r.container_id = text("c2");
    char *is = describe(&r);
    assert_non_null(strstr(is, "\"share\":\"" WORD "-r\""));
    free(is);
}

/* ---- The rest ---- */

static void namespaces_and_process_ids_are_described(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_LinuxNamespace n[] = {{text("mount"), NULL}, {text("user"), text("/proc/1/ns/user")}};
    grpc_LinuxIDMapping map[] = {{0, 1, 4294967295}};
    (void)state;
    r.OCI.Linux.Namespaces = n;
    r.OCI.Linux.Namespaces_count = 2;
    r.OCI.Linux.UIDMappings = r.OCI.Linux.GIDMappings = map;
    r.OCI.Linux.UIDMappings_count = r.OCI.Linux.GIDMappings_count = 1;
    r.sandbox_pidns = true;
    r.pid_container = text("other");
    describes(&r, "'namespaces':[{'type':'mount'},{'type':'user','path':'/proc/1/ns/user'}],'pod_pids':true,"
                  "'pids_of':'other','uid_mappings':[{'host':0,'container':1,'size':4294967295}],"
                  "'gid_mappings':[{'host':0,'container':1,'size':4294967295}]");
}

static void devices_and_what_gives_some_are_described(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_LinuxDevice d[] = {{text("/dev/x"), text("c"), 10, 229, 0666, 0, 0}};
    grpc_LinuxDeviceCgroup rules[] = {{true, text("a"), -1, -1, text("rwm")}, {false, NULL, 0, 0, NULL}};
    (void)state;
    r.OCI.Linux.Devices = d;
    r.OCI.Linux.Devices_count = 1;
    r.OCI.Linux.has_Resources = true;
    r.OCI.Linux.Resources.Devices = rules;
    r.OCI.Linux.Resources.Devices_count = 2;
    describes(&r, "'devices':[{'path':'/dev/x','type':'c','major':10,'minor':229,'mode':438,'uid':0,'gid':0}],"
                  "'device_rules':[{'allow':true,'type':'a','major':-1,'minor':-1,'access':'rwm'},"
                  "{'major':0,'minor':0}]");
}

static void limits_are_not_described_but_other_files_of_the_cgroup_are(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_LinuxResources_UnifiedEntry files[] = {{text("memory.high"), text("1")}, {text("cgroup.procs"), text("1")}};
    (void)state;
    r.OCI.Linux.Resources.has_Memory = true;
    r.OCI.Linux.Resources.Memory.Limit = 1 << 20;
    r.OCI.Linux.Resources.Unified = files;
    r.OCI.Linux.Resources.Unified_count = 2;
    r.OCI.Linux.CgroupsPath = text("/x");
    describes(&r, "'cgroups_path':'/x','cgroup_files':{'cgroup.procs':'1'}");
}

static void names_paths_and_settings_are_described(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_Linux_SysctlEntry sysctl[] = {{text("kernel.x"), text("1")}, {text("kernel.y"), NULL}};
    grpc_LinuxTimeOffset offsets[] = {{text("boottime"), INT64_MIN, 5}};
    char *masked[] = {text("/proc/kcore")}, *readonly[] = {text("/proc/sys")};
    (void)state;
    r.OCI.Hostname = text("h");
    r.OCI.Domainname = text("d");
    r.OCI.Linux.Sysctl = sysctl;
    r.OCI.Linux.Sysctl_count = 2;
    r.OCI.Linux.MaskedPaths = masked;
    r.OCI.Linux.ReadonlyPaths = readonly;
    r.OCI.Linux.MaskedPaths_count = r.OCI.Linux.ReadonlyPaths_count = 1;
    r.OCI.Linux.RootfsPropagation = text("rshared");
    r.OCI.Linux.TimeOffsets = offsets;
    r.OCI.Linux.TimeOffsets_count = 1;
    r.OCI.Linux.has_Personality = r.OCI.Linux.has_MemoryPolicy = true;
    r.OCI.Linux.Personality.Domain = text("LINUX32");
    r.OCI.Linux.MemoryPolicy.Mode = text("MPOL_BIND");
    describes(&r, "'hostname':'h','domainname':'d','sysctl':{'kernel.x':'1','kernel.y':'(none)'},"
                  "'masked_paths':['/proc/kcore'],'readonly_paths':['/proc/sys'],'rootfs_propagation':'rshared',"
                  "'time_offsets':[{'clock':'boottime','seconds':'-9223372036854775808','nanoseconds':5}],"
                  "'personality':{'domain':'LINUX32'},'memory_policy':{'mode':'MPOL_BIND'}");
}

static void a_seccomp_profile_is_told_by_its_digest(void **state)
{
    grpc_CreateContainerRequest r = request();
    char *names[] = {text("mount"), text("umount2")}, members[128], hex[65];
    grpc_LinuxSeccompArg arg = {.Index = 1, .Value = UINT64_MAX, .Op = text("SCMP_CMP_EQ")};
    grpc_LinuxSyscall call = {.Names_count = 2, .Names = names, .Action = text("SCMP_ACT_ERRNO")};
    uint8_t digest[DIGEST_SHA256_BYTES];
    char *profile = rig_canonical("{'default_action':'SCMP_ACT_ALLOW','default_errno':1,'syscalls':[{'names':['mount',"
                                  "'umount2'],'action':'SCMP_ACT_ERRNO','errno':38,'args':[{'index':1,"
                                  "'value':'18446744073709551615','value_two':0,'op':'SCMP_CMP_EQ'}]}]}");
    (void)state;
    call.which_ErrnoRet = grpc_LinuxSyscall_errnoret_tag;
    call.ErrnoRet.errnoret = 38;
    call.Args = &arg;
    call.Args_count = 1;
    r.OCI.Linux.has_Seccomp = true;
    r.OCI.Linux.Seccomp = (grpc_LinuxSeccomp){.DefaultAction = text("SCMP_ACT_ALLOW"),
                                              .has_DefaultErrnoRet = true,
                                              .DefaultErrnoRet = 1,
                                              .Syscalls_count = 1,
                                              .Syscalls = &call};
    digest_one(DIGEST_SHA256, profile, strlen(profile), digest);
    digest_to_hex(digest, sizeof digest, hex);
    snprintf(members, sizeof members, "'seccomp':'sha256:%s'", hex);
    describes(&r, members);
    free(profile);
}

static void hooks_are_described_with_what_they_are_told(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_Spec_AnnotationsEntry annotation = {text("k"), text("v")};
    grpc_Hook hook = {.Path = text("/hook"), .Args_count = 2, .Args = (char **)(uintptr_t)args, .Timeout = 5};
    (void)state;
    r.OCI.Annotations = &annotation;
    r.OCI.Annotations_count = 1;
    r.OCI.Bundle = text("/b");
    describes(&r, "");
    r.OCI.has_Hooks = true;
    r.OCI.Hooks.Prestart = &hook; /* runs on the host, if at all */
    r.OCI.Hooks.Prestart_count = 1;
    describes(&r, "");
    r.OCI.Hooks.StartContainer = &hook;
    r.OCI.Hooks.StartContainer_count = 1;
    describes(&r, "'hooks':{'start_container':[{'path':'/hook','args':['/app',''],'timeout':5}]},'bundle':'/b',"
                  "'annotations':{'k':'v'}");
}

static void what_is_no_utf8_is_refused(void **state)
{
    grpc_CreateContainerRequest r = request();
    char *bad[] = {text("a\xff")};
    grpc_Linux_SysctlEntry sysctl[] = {{text("\xc0\x80"), text("1")}};
    (void)state;
    r.OCI.Process.Env = bad;
    r.OCI.Process.Env_count = 1;
    fails(&r, "env: 'a\xff' is no UTF-8");
    r = request();
    r.OCI.Linux.Sysctl = sysctl;
    r.OCI.Linux.Sysctl_count = 1;
    fails(&r, "is no UTF-8");
}

static void a_setting_given_twice_is_refused(void **state)
{
    grpc_CreateContainerRequest r = request();
    grpc_Linux_SysctlEntry sysctl[] = {{text("kernel.x"), text("1")}, {text("kernel.x"), text("2")}};
    (void)state;
    r.OCI.Linux.Sysctl = sysctl;
    r.OCI.Linux.Sysctl_count = 2;
    fails(&r, "sysctl kernel.x is given twice");
}

static void an_empty_request_is_described(void **state)
{
    const grpc_CreateContainerRequest nothing = grpc_CreateContainerRequest_init_zero;
    char *is = describe(&nothing);
    (void)state;
    assert_string_equal(is, "{\"root\":{\"odd\":\"(none)\"},\"user\":{\"gid\":0,\"uid\":0}}");
    free(is);
}

static void a_further_process_is_described_with_its_container(void **state)
{
    grpc_ExecProcessRequest r = grpc_ExecProcessRequest_init_zero;
    struct err err;
    json_t *value;
    char *canonical;
    size_t n;
    (void)state;
    r.container_id = text("c1");
    r.exec_id = text("whatever");
    r.has_process = true;
    r.process.Args = (char **)(uintptr_t)args;
    r.process.Args_count = 2;
    assert_int_equal(describe_exec(&r, &value, &err), 0);
    assert_int_equal(policy_canonical(value, &canonical, &n, NULL), 0);
    assert_string_equal(canonical, "{\"args\":[\"/app\",\"\"],\"container\":\"c1\",\"user\":{\"gid\":0,\"uid\":0}}");
    free(canonical);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_is_not_described),
        cmocka_unit_test(a_description_is_a_rule_that_permits_it),
        cmocka_unit_test(a_process_is_described_by_all_it_gets),
        cmocka_unit_test(users_by_number_and_by_name_are_described),
        cmocka_unit_test(empty_capabilities_differ_from_none),
        cmocka_unit_test(scheduling_is_described),
        cmocka_unit_test(roots_are_told_by_where_they_come_from),
        cmocka_unit_test(paths_in_another_spelling_are_odd),
        cmocka_unit_test(a_rule_cannot_speak_of_what_is_odd),
        cmocka_unit_test(sources_of_mounts_are_told_by_what_they_are),
        cmocka_unit_test(mapped_owners_are_described),
        cmocka_unit_test(a_verified_disk_is_told_by_its_root_hash),
        cmocka_unit_test(what_the_host_may_change_is_called_unverified),
        cmocka_unit_test(a_root_hash_given_twice_is_refused),
        cmocka_unit_test(an_empty_root_hash_is_not_none),
        cmocka_unit_test(names_of_the_container_cannot_be_written_by_hand),
        cmocka_unit_test(another_container_has_another_word),
        cmocka_unit_test(namespaces_and_process_ids_are_described),
        cmocka_unit_test(devices_and_what_gives_some_are_described),
        cmocka_unit_test(limits_are_not_described_but_other_files_of_the_cgroup_are),
        cmocka_unit_test(names_paths_and_settings_are_described),
        cmocka_unit_test(a_seccomp_profile_is_told_by_its_digest),
        cmocka_unit_test(hooks_are_described_with_what_they_are_told),
        cmocka_unit_test(what_is_no_utf8_is_refused),
        cmocka_unit_test(a_setting_given_twice_is_refused),
        cmocka_unit_test(an_empty_request_is_described),
        cmocka_unit_test(a_further_process_is_described_with_its_container),
    };
    return cmocka_run_group_tests_name("policy/launch/describe", tests, NULL, NULL);
}
