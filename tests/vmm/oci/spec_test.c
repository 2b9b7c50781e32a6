/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/oci_text.h"
#include "vmm/oci/check.h"
#include "vmm/oci/spec.h"

static int load(const char *text, struct oci_spec *spec, struct err *err)
{
    err_clear(err);
    return oci_spec_parse(text, strlen(text), "config.json", NULL, spec, err);
}

struct row {
    const char *path, *value, *words; /* of the message; NULL: accepted */
};

static void judge(const struct row *row)
{
    struct oci_spec spec;
    struct err err;
    char *text = oci_base_changed(row->path, row->value);
    int result = load(text, &spec, &err);
    if (row->words == NULL && result != 0)
        fail_msg("%s = %s was refused: %s", row->path, row->value, err.text);
    if (row->words != NULL && result == 0)
        fail_msg("%s = %s was accepted", row->path, row->value);
    if (row->words != NULL && strstr(err.text, row->words) == NULL)
        fail_msg("%s = %s: '%s' does not say '%s'", row->path, row->value, err.text, row->words);
    oci_spec_release(&spec);
    free(text);
}

static void judge_all(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        judge(&rows[i]);
}
#define JUDGE(rows) judge_all(rows, sizeof rows / sizeof rows[0])

/* ---- Values that are taken ---- */

static void every_property_arrives(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_text();
    (void)state;
    if (load(text, &s, &err) != 0)
        fail_msg("%s", err.text);
    const grpc_Process *p = &s.spec.Process;
    const grpc_Linux *l = &s.spec.Linux;
    assert_string_equal(s.spec.Version, "1.2.0");
    assert_true(p->Terminal && p->has_ConsoleSize);
    assert_int_equal(p->ConsoleSize.Width, 80);
    assert_int_equal(p->User.UID, 1);
    assert_int_equal(p->User.AdditionalGids_count, 1);
    assert_int_equal(p->User.AdditionalGids[0], 5);
    assert_false(p->User.has_Umask);
    assert_false(p->HasOOMScoreAdj);
    assert_string_equal(p->Args[0], "sh");
    assert_string_equal(p->Capabilities.Bounding[0], "CAP_KILL");
    assert_int_equal(p->Rlimits[0].Hard, 1024);
    assert_int_equal(s.spec.Mounts_count, 2);
    assert_string_equal(s.spec.Mounts[1].options[1], "ro");
    assert_int_equal(s.spec.Hooks.Poststop[0].Timeout, 5);
    assert_int_equal(l->Namespaces_count, 5);
    assert_int_equal(l->Devices[0].Minor, 229);
    assert_int_equal(l->Resources.Devices[0].Major, -1);
    assert_true(l->Resources.has_Pids);
    assert_int_equal(l->Resources.Pids.Limit, 0);
    assert_true(l->Resources.HugepageLimits[0].Limit == UINT64_C(9223372036854772000));
    assert_string_equal(l->Resources.Unified[0].key, "memory.high");
    assert_string_equal(l->Sysctl[0].value, "256");
    assert_int_equal(l->Seccomp.Syscalls[0].which_ErrnoRet, grpc_LinuxSyscall_errnoret_tag);
    assert_true(l->Seccomp.Syscalls[0].Args[0].Value == UINT64_MAX);
    assert_int_equal(s.notes.count, 0);
    oci_spec_release(&s);
    free(text);
}

static void values_at_their_limits_are_taken(void **state)
{
    static const struct row rows[] = {
        {"ociVersion", "'1.0.0'", NULL},
        {"ociVersion", "'1.0.2-dev'", NULL},
        {"ociVersion", "'1.3.0-rc.1+build.5'", NULL},
        {"ociVersion", "'1.99.0'", NULL},
        {"process/oomScoreAdj", "-1000", NULL},
        {"process/oomScoreAdj", "1000", NULL},
        {"process/user/umask", "511", NULL},
        {"process/user/uid", "4294967295", NULL},
        {"process/env", "['EMPTY=', 'A=b=c']", NULL},
        {"process/env", "[]", NULL},
        {"process/consoleSize", "{'height':0,'width':65535}", NULL},
        {"process/capabilities", "null", NULL},
        {"process/rlimits/0/hard", "'#18446744073709551615'", NULL},
        {"process/rlimits/0", "{'type':'RLIMIT_RTTIME','hard':1,'soft':0}", NULL},
        {"process/ioPriority", "{'class':'IOPRIO_CLASS_BE','priority':7}", NULL},
        {"process/scheduler", "{'policy':'SCHED_FIFO','priority':99,'flags':['SCHED_FLAG_RESET_ON_FORK']}", NULL},
        {"process/scheduler", "{'policy':'SCHED_DEADLINE','runtime':1,'deadline':2,'period':3}", NULL},
        {"process/execCPUAffinity", "{'initial':'0-3,7','final':''}", NULL},
        {"root/readonly", "true", NULL},
        {"mounts", "[]", NULL},
        {"mounts/0/destination", "'relative/path'", NULL},
        {"mounts/1/options", "['bind','idmap']", "user namespace"},
        {"hooks", "{}", NULL},
        {"hooks/poststop/0/timeout", "null", NULL},
        {"linux/namespaces/0/path", "'/proc/1/ns/pid'", NULL},
        {"linux/namespaces/0/path", "''", NULL},
        {"linux/cgroupsPath", "'machine.slice:libpod:abc'", NULL},
        {"linux/cgroupsPath", "''", NULL},
        {"linux/cgroupsPath", "'/a/..b/c..'", NULL},
        {"linux/resources/memory/limit", "-1", NULL},
        {"linux/resources/memory/limit", "0", NULL},
        {"linux/resources/memory/limit", "9223372036854775807", NULL},
        {"linux/resources/memory/swap", "536870912", NULL},
        {"linux/resources/memory/swap", "-1", NULL},
        {"linux/resources/memory/swappiness", "100", NULL},
        {"linux/resources/cpu/quota", "-1", NULL},
        {"linux/resources/cpu/quota", "1000", NULL},
        {"linux/resources/cpu/burst", "50000", NULL},
        {"linux/resources/cpu/cpus", "'0-3,7,9-10'", NULL},
        {"linux/resources/cpu/cpus", "''", NULL},
        {"linux/resources/pids/limit", "-1", NULL},
        {"linux/resources/rdma", "{}", NULL},
        {"linux/resources/unified/hugetlb.1GB.max", "'1'", NULL},
        {"linux/rootfsPropagation", "'rslave'", NULL},
        {"linux/sysctl/net.ipv4.ip_forward", "'1'", NULL},
        {"linux/sysctl/kernel.shmmax", "'1'", NULL},
        {"linux/sysctl", "{'net/ipv4/conf/eth0.1/forwarding':'1'}", NULL},
        {"linux/sysctl", "{'net.ipv4.conf.eth0/1.forwarding':'1'}", NULL},
        {"linux/sysctl/fs.mqueue.msg_max", "'1'", NULL},
        {"linux/devices/0", "{'path':'/run/fifo','type':'p'}", NULL},
        {"linux/devices/0/fileMode", "33206", NULL},
        {"linux/netDevices", "{}", NULL},
        {"linux/personality", "{'domain':'LINUX32'}", NULL},
        {"linux/memoryPolicy", "{'mode':'MPOL_BIND','nodes':'0','flags':['MPOL_F_STATIC_NODES']}", NULL},
        {"linux/memoryPolicy", "{'mode':'MPOL_DEFAULT'}", NULL},
        {"linux/seccomp/flags", "['SECCOMP_FILTER_FLAG_LOG']", NULL},
        {"linux/seccomp/syscalls/0/action", "'SCMP_ACT_TRACE'", NULL},
        {"linux", "null", "uts namespace"},
        {"annotations", "null", NULL},
        {"unknown", "{'deeply':['unknown']}", NULL},
        {"linux/unknown", "1", NULL},
        {"windows", "{}", NULL},
    };
    (void)state;
    JUDGE(rows);
}

/* ---- Values that are refused ---- */

static void the_wrong_type_is_refused_with_the_path(void **state)
{
    static const struct row rows[] = {
        {"ociVersion", "1", "ociVersion: it is a number; it must be a string"},
        {"process", "[]", "process: it is a list; it must be an object"},
        {"process", "null", "process: it is missing"},
        {"process/terminal", "1", "process.terminal: it is a number; it must be true or false"},
        {"process/args", "'sh'", "process.args: it is a string; it must be a list"},
        {"process/args", "['sh', 5]", "process.args[1]: it is a number; it must be a string"},
        {"process/args", "['sh', '#18446744073709551616']", "process.args[1]: it is a number; it must be a string"},
        {"process/args", "['sh', null]", "process.args[1]: it is null"},
        {"process/user/uid", "'0'", "process.user.uid: it is a string; it must be a whole number"},
        {"process/user/uid", "1.5", "process.user.uid: it is a number with a fraction"},
        {"process/user/additionalGids", "[true]", "process.user.additionalGids[0]: it is true or false"},
        {"process/consoleSize", "{'height':1}", "process.consoleSize.width: it is missing"},
        {"process/rlimits/0", "{'type':'RLIMIT_CPU','hard':1}", "process.rlimits[0].soft: it is missing"},
        {"root", "null", "root: it is missing"},
        {"root", "{}", "root.path: it is missing"},
        {"root/readonly", "'yes'", "root.readonly: it is a string"},
        {"mounts", "{}", "mounts: it is an object"},
        {"mounts/0", "1", "mounts[0]: it is a number"},
        {"mounts/1", "{'source':'x'}", "mounts[1].destination: it is missing"},
        {"mounts/0/options", "'ro'", "mounts[0].options: it is a string"},
        {"hooks", "[]", "hooks: it is a list"},
        {"hooks/prestart", "[{}]", "hooks.prestart[0].path: it is missing"},
        {"annotations", "[]", "annotations: it is a list"},
        {"annotations/a", "1", "annotations.a: it is a number"},
        {"annotations/", "''", "empty name"},
        {"linux", "[]", "linux: it is a list"},
        {"linux/namespaces", "[{}]", "linux.namespaces[0].type: it is missing"},
        {"linux/devices", "[{'path':'/dev/x'}]", "linux.devices[0].type: it is missing"},
        {"linux/resources/devices", "[{}]", "linux.resources.devices[0].allow: it is missing"},
        {"linux/resources/pids", "{}", "linux.resources.pids.limit: it is missing"},
        {"linux/resources/memory/limit", "'512M'", "linux.resources.memory.limit: it is a string"},
        {"linux/resources/memory/limit", "1e3", "linux.resources.memory.limit: it is a number with a fraction"},
        {"linux/seccomp", "{}", "linux.seccomp.defaultAction: it is missing"},
        {"linux/seccomp/syscalls/0", "{'names':['a']}", "linux.seccomp.syscalls[0].action: it is missing"},
        {"linux/seccomp/syscalls/0/args", "[{'index':0,'op':'SCMP_CMP_EQ'}]", "args[0].value: it is missing"},
        {"linux/uidMappings", "[{'hostID':0,'size':1}]", "linux.uidMappings[0].containerID: it is missing"},
        {"linux/timeOffsets", "{'monotonic':1}", "linux.timeOffsets.monotonic: it is a number"},
        {"linux/timeOffsets", "{'wall':{'secs':1}}", "no clock 'wall'"},
        {"vm", "1", "vm: it is a number"},
    };
    (void)state;
    JUDGE(rows);
}

static void bad_values_of_the_process_are_refused(void **state)
{
    static const struct row rows[] = {
        {"process/args", "[]", "process.args: it is empty"},
        {"process/args", "null", "process.args: it is empty"},
        {"process/args", "['']", "process.args[0]: it is empty"},
        {"process/cwd", "'tmp'", "process.cwd: 'tmp' is no absolute path"},
        {"process/cwd", "''", "process.cwd"},
        {"process/env", "['A=b','NOVALUE']", "process.env[1]: 'NOVALUE' is no variable"},
        {"process/env", "['=x']", "process.env[0]"},
        {"process/user", "{'gid':0}", "process.user.uid: it is missing"},
        {"process/user", "{'uid':0}", "process.user.gid: it is missing"},
        {"process/user/uid", "-1", "process.user.uid: -1 is out of range"},
        {"process/user/uid", "4294967296", "process.user.uid: 4294967296 is out of range"},
        {"process/user/umask", "512", "process.user.umask: 512 is out of range"},
        {"process/consoleSize/height", "65536", "process.consoleSize.height: 65536 is out of range"},
        {"process/oomScoreAdj", "1001", "process.oomScoreAdj: 1001 is out of range; give -1000 to 1000"},
        {"process/oomScoreAdj", "-1001", "process.oomScoreAdj"},
        {"process/rlimits/0/type", "'NOFILE'", "process.rlimits[0].type: 'NOFILE' is not known"},
        {"process/rlimits/0/soft", "1025", "process.rlimits[0]: soft is above hard"},
        {"process/rlimits/0/hard", "-1", "process.rlimits[0].hard: -1 is out of range"},
        {"process/rlimits/0/hard", "'#18446744073709551616'", "does not fit into 64 bits"},
        {"process/rlimits/1", "{'type':'RLIMIT_NOFILE','hard':1,'soft':1}",
         "process.rlimits[1]: RLIMIT_NOFILE is there"},
        {"process/ioPriority", "{'priority':1}", "process.ioPriority.class: it is missing"},
        {"process/ioPriority", "{'class':'IOPRIO_CLASS_BE'}", "process.ioPriority.priority: it is missing"},
        {"process/ioPriority", "{'class':'BE','priority':1}", "process.ioPriority.class: 'BE' is not known"},
        {"process/ioPriority", "{'class':'IOPRIO_CLASS_RT','priority':8}", "process.ioPriority.priority: 8"},
        {"process/scheduler", "{'policy':'SCHED_FAST'}", "process.scheduler.policy: 'SCHED_FAST' is not known"},
        {"process/scheduler", "{'policy':'SCHED_FIFO'}", "process.scheduler: SCHED_FIFO needs a priority"},
        {"process/scheduler", "{'policy':'SCHED_OTHER','priority':1}", "has no priority"},
        {"process/scheduler", "{'policy':'SCHED_OTHER','nice':20}", "process.scheduler.nice: 20"},
        {"process/scheduler", "{'policy':'SCHED_OTHER','runtime':1}", "are for SCHED_DEADLINE"},
        {"process/scheduler", "{'policy':'SCHED_DEADLINE','runtime':3,'deadline':2}", "runtime <= deadline"},
        {"process/scheduler", "{'policy':'SCHED_OTHER','flags':['X']}", "process.scheduler.flags[0]: 'X'"},
        {"process/execCPUAffinity", "{'initial':'3-1'}", "process.execCPUAffinity.initial"},
        {"process/execCPUAffinity", "{'final':'a'}", "process.execCPUAffinity.final"},
    };
    (void)state;
    JUDGE(rows);
}

static void bad_versions_are_refused(void **state)
{
    static const struct row rows[] = {
        {"ociVersion", "null", "ociVersion: it is missing"},
        {"ociVersion", "''", "is no version"},
        {"ociVersion", "'1'", "is no version"},
        {"ociVersion", "'1.0'", "is no version"},
        {"ociVersion", "'1.0.0.0'", "is no version"},
        {"ociVersion", "'01.0.0'", "is no version"},
        {"ociVersion", "'1.0.x'", "is no version"},
        {"ociVersion", "'1.0.0-'", "is no version"},
        {"ociVersion", "'1.0.0-a..b'", "is no version"},
        {"ociVersion", "'1.0.0+a+b'", "is no version"},
        {"ociVersion", "'v1.0.0'", "is no version"},
        {"ociVersion", "'1.0.0 '", "is no version"},
        {"ociVersion", "'1.4294967296000.0'", "is no version"},
        {"ociVersion", "'2.0.0'", "2.0.0 is not supported"},
        {"ociVersion", "'0.9.0'", "0.9.0 is not supported"},
    };
    (void)state;
    JUDGE(rows);
}

static void bad_mounts_and_hooks_are_refused(void **state)
{
    static const struct row rows[] = {
        {"root/path", "''", "root.path: it is empty"},
        {"mounts/0/destination", "''", "mounts[0]: destination is empty"},
        {"mounts/1/source", "null", "mounts[1]: source is missing"},
        {"mounts/1/source", "''", "mounts[1]: source is missing"},
        {"mounts/1/options", "['bind','a\\nb']", "mounts[1]: options[1] has a line break"},
        {"mounts/1/uidMappings", "[{'containerID':0,'hostID':0,'size':1}]", "mounts[1]: uidMappings and gidMappings"},
        {"mounts/1/options", "['rbind','ridmap']", "mounts[1]: ridmap needs"},
        {"mounts/1/options", "['rbind','idmap']", "mounts[1]: idmap needs"},
        {"hooks/prestart", "[{'path':'hook'}]", "hooks.prestart[0].path: 'hook' is no absolute path"},
        {"hooks/createRuntime", "[{'path':'/a'},{'path':''}]", "hooks.createRuntime[1].path"},
        {"hooks/startContainer", "[{'path':'/a','env':['X']}]", "hooks.startContainer[0].env[0]: 'X' is no variable"},
        {"hooks/poststop/0/timeout", "0", "hooks.poststop[0].timeout: 0 is out of range"},
        {"hooks/poststop/0/timeout", "-1", "hooks.poststop[0].timeout"},
        {"hooks/poststop/0/timeout", "4294967296", "hooks.poststop[0].timeout"},
    };
    (void)state;
    JUDGE(rows);
}

static void bad_namespaces_are_refused(void **state)
{
    static const struct row rows[] = {
        {"linux/namespaces/5", "{'type':'pid'}", "linux.namespaces[5]: 'pid' is there twice"},
        {"linux/namespaces/5", "{'type':'net'}", "linux.namespaces[5].type: 'net' is not known"},
        {"linux/namespaces/1/path", "'netns/x'", "linux.namespaces[1]: path 'netns/x' is not absolute"},
        {"linux/namespaces/5", "{'type':'user'}", "linux.uidMappings: a user namespace needs uidMappings"},
        {"linux/uidMappings", "[{'containerID':0,'hostID':0,'size':1}]", "mappings need a user namespace"},
        {"linux/gidMappings", "[{'containerID':0,'hostID':0,'size':0}]", "linux.gidMappings[0]: size is 0"},
        {"linux/uidMappings", "[{'containerID':4294967295,'hostID':0,'size':2}]", "beyond the last id"},
        {"linux/timeOffsets", "{'monotonic':{'secs':1}}", "offsets need a time namespace"},
        {"linux/timeOffsets", "{'boottime':{'nanosecs':1000000000}}", "linux.timeOffsets.boottime.nanosecs"},
        {"linux/namespaces", "[]", "hostname: it needs a uts namespace"},
        {"hostname", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
         "hostname: it has 65 bytes"},
        {"linux/sysctl/kernel.hostname", "'x'", "linux.sysctl.kernel.hostname: the host name has a property"},
        {"linux/sysctl/kernel.panic", "'1'", "linux.sysctl.kernel.panic: it belongs to no namespace"},
        {"linux/sysctl/vm.swappiness", "'1'", "belongs to no namespace"},
        {"linux/sysctl/net.", "'1'", "linux.sysctl.net.: it is no name of a kernel parameter"},
        {"linux/sysctl/net....etc.passwd", "'1'", "it is no name of a kernel parameter"},
        {"linux/sysctl", "{'net/../kernel/panic':'1'}", "linux.sysctl.net/../kernel/panic: it is no name"},
        {"linux/sysctl", "{'net/ipv4/./ip_forward':'1'}", "it is no name of a kernel parameter"},
        {"linux/sysctl", "{'net//ipv4':'1'}", "it is no name of a kernel parameter"},
        {"linux/sysctl", "{'net/':'1'}", "it is no name of a kernel parameter"},
        {"linux/sysctl", "{'net.ipv4.//.x':'1'}", "it is no name of a kernel parameter"},
        {"linux/sysctl", "{'/net/ipv4':'1'}", "it is no name of a kernel parameter"},
        {"linux/sysctl", "{'vm/swappiness':'1'}", "linux.sysctl.vm/swappiness: it belongs to no namespace"},
        {"linux/sysctl/network.x", "'1'", "belongs to no namespace"},
        {"linux/namespaces/1", "{'type':'cgroup'}",
         "linux.sysctl.net.core.somaxconn: it needs a namespace of type net"},
    };
    (void)state;
    JUDGE(rows);
}

static void bad_places_are_refused(void **state)
{
    static const struct row rows[] = {
        {"linux/devices/0/path", "'dev/fuse'", "linux.devices[0]: path 'dev/fuse' is not absolute"},
        {"linux/devices/0/type", "'x'", "linux.devices[0].type: 'x' is not known"},
        {"linux/devices/0/major", "null", "linux.devices[0]: major or minor is missing"},
        {"linux/devices/0/minor", "1048576", "linux.devices[0].minor"},
        {"linux/devices/0/fileMode", "65536", "linux.devices[0].fileMode"},
        {"linux/maskedPaths", "['/a','b']", "linux.maskedPaths[1]: 'b' is not absolute"},
        {"linux/readonlyPaths", "['']", "linux.readonlyPaths[0]"},
        {"linux/rootfsPropagation", "'public'", "linux.rootfsPropagation: 'public' is not known"},
        {"linux/cgroupsPath", "'/a/../b'", "linux.cgroupsPath: it goes up"},
        {"linux/cgroupsPath", "'..'", "linux.cgroupsPath: it goes up"},
        {"linux/netDevices", "{'eth0':{}}", "linux.netDevices: devices of the host cannot be moved"},
        {"linux/intelRdt", "{}", "linux.intelRdt: a pod has no resctrl"},
        {"linux/personality", "{'domain':'BSD'}", "linux.personality.domain: 'BSD' is not known"},
        {"linux/personality", "{'domain':'LINUX','flags':['X']}", "linux.personality.flags"},
        {"linux/memoryPolicy", "{'mode':'MPOL_NEAR'}", "linux.memoryPolicy.mode"},
        {"linux/memoryPolicy", "{'mode':'MPOL_BIND'}", "linux.memoryPolicy.nodes: MPOL_BIND needs nodes"},
        {"linux/memoryPolicy", "{'mode':'MPOL_LOCAL','nodes':'0'}", "MPOL_LOCAL has no nodes"},
    };
    (void)state;
    JUDGE(rows);
}

static void bad_resources_are_refused(void **state)
{
    static const struct row rows[] = {
        {"linux/resources/memory/limit", "-2", "linux.resources.memory.limit: -2 is no size"},
        {"linux/resources/memory/limit", "'#9223372036854775808'", "linux.resources.memory.limit: 9223372036854775808"},
        {"linux/resources/memory/limit", "'#99999999999999999999999999'", "does not fit into 64 bits"},
        {"linux/resources/memory/reservation", "-5", "linux.resources.memory.reservation: -5"},
        {"linux/resources/memory/swap", "1", "linux.resources.memory.swap"},
        {"linux/resources/memory", "{'swap':1}", "needs memory.limit"},
        {"linux/resources/memory", "{'limit':-1,'swap':1}", "linux.resources.memory.swap"},
        {"linux/resources/memory/swappiness", "101", "linux.resources.memory.swappiness: 101"},
        {"linux/resources/cpu/shares", "1", "linux.resources.cpu.shares: 1 is too few"},
        {"linux/resources/cpu/shares", "262145", "linux.resources.cpu.shares: 262145"},
        {"linux/resources/cpu/period", "999", "linux.resources.cpu.period: 999"},
        {"linux/resources/cpu/period", "1000001", "linux.resources.cpu.period"},
        {"linux/resources/cpu/quota", "-2", "linux.resources.cpu.quota: -2"},
        {"linux/resources/cpu/quota", "999", "linux.resources.cpu.quota: 999"},
        {"linux/resources/cpu/burst", "50001", "linux.resources.cpu.burst: it is above quota"},
        {"linux/resources/cpu/idle", "2", "linux.resources.cpu.idle: 2"},
        {"linux/resources/cpu/cpus", "'0-'", "linux.resources.cpu.cpus: '0-' is no list"},
        {"linux/resources/cpu/cpus", "'0,'", "linux.resources.cpu.cpus"},
        {"linux/resources/cpu/cpus", "'99999'", "linux.resources.cpu.cpus"},
        {"linux/resources/cpu/mems", "'x'", "linux.resources.cpu.mems: 'x'"},
        {"linux/resources/pids/limit", "-2", "linux.resources.pids.limit: -2"},
        {"linux/resources/blockIO/weight", "9", "linux.resources.blockIO: a weight is out of range"},
        {"linux/resources/blockIO/weight", "65536", "linux.resources.blockIO.weight: 65536"},
        {"linux/resources/blockIO/weightDevice", "[{'major':8,'minor':0}]",
         "blockIO.weightDevice[0]: there is no weight"},
        {"linux/resources/blockIO/throttleReadBpsDevice", "[{'major':8,'minor':0}]", "[0].rate: it is missing"},
        {"linux/resources/hugepageLimits", "[{'pageSize':'2M','limit':1}]",
         "hugepageLimits[0].pageSize: '2M' is no size"},
        {"linux/resources/hugepageLimits", "[{'pageSize':'02MB','limit':1}]", "'02MB' is no size"},
        {"linux/resources/hugepageLimits", "[{'pageSize':'MB','limit':1}]", "'MB' is no size"},
        {"linux/resources/hugepageLimits", "[{'pageSize':'2','limit':1}]", "'2' is no size"},
        {"linux/resources/devices/0/access", "'rx'", "linux.resources.devices[0].access: 'rx' is not known"},
        {"linux/resources/devices/0/type", "'d'", "linux.resources.devices[0].type: 'd' is not known"},
        {"linux/resources/devices/0/major", "-2", "linux.resources.devices[0].major: -2"},
        {"linux/resources/rdma", "{'mlx':{}}", "linux.resources.rdma: a pod has no RDMA"},
        {"linux/resources/unified", "{'nodot':'1'}", "linux.resources.unified.nodot: it is no file"},
        {"linux/resources/unified/cgroup.procs", "'1'", "files of the core"},
        {"linux/resources/unified/", "'1'", "empty name"},
        {"linux/resources/network", "{'priorities':[{'name':'a'}]}", "network.priorities[0].priority: it is missing"},
        {"linux/resources/network", "{'priorities':[{'name':'a','priority':1}]}",
         "linux.resources.network.priorities: cgroups of version 2"},
        {"linux/resources/network", "{'classID':1048577}", "linux.resources.network.classID: cgroups of version 2"},
    };
    (void)state;
    JUDGE(rows);
}

static void bad_seccomp_rules_are_refused(void **state)
{
    static const struct row rows[] = {
        {"linux/seccomp/defaultAction", "'ALLOW'", "linux.seccomp.defaultAction: action 'ALLOW' is not known"},
        {"linux/seccomp/defaultErrnoRet", "1", "linux.seccomp.defaultAction: SCMP_ACT_ALLOW returns no error number"},
        {"linux/seccomp/defaultErrnoRet", "1", "leave defaultErrnoRet out"},
        {"linux/seccomp/architectures", "['X86']", "linux.seccomp.architectures[0]: 'X86' is not known"},
        {"linux/seccomp/flags", "['LOG']", "linux.seccomp.flags[0]: 'LOG' is not known"},
        {"linux/seccomp/listenerMetadata", "'x'", "linux.seccomp.listenerMetadata: it needs listenerPath"},
        {"linux/seccomp/syscalls/0/names", "[]", "linux.seccomp.syscalls[0]: names is empty"},
        {"linux/seccomp/syscalls/0/action", "'SCMP_ACT_NOTIFY'", "linux.seccomp.syscalls[0]: SCMP_ACT_NOTIFY"},
        {"linux/seccomp/syscalls/0/action", "'SCMP_ACT_ALLOW'", "SCMP_ACT_ALLOW returns no error number"},
        {"linux/seccomp/syscalls/0/args/0/index", "6", "linux.seccomp.syscalls[0].args[0].index: 6"},
        {"linux/seccomp/syscalls/0/args/0/op", "'EQ'", "linux.seccomp.syscalls[0].args[0].op: 'EQ' is not known"},
    };
    (void)state;
    JUDGE(rows);
}

static void a_wish_for_a_machine_is_read(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text =
        oci_base_changed("vm", "{'kernel':{'path':'/k','parameters':['a=b','quiet']},'hypervisor':{'path':'/h'},"
                               "'hwConfig':{'vcpus':3,'memory':268435456}}");
    (void)state;
    if (load(text, &s, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(s.vm.kernel, "/k");
    assert_string_equal(s.vm.kernel_parameters, "a=b quiet");
    assert_int_equal(s.vm.vps, 3);
    assert_int_equal(s.vm.memory_bytes, 268435456);
    assert_int_equal(s.notes.count, 1);
    oci_spec_release(&s);
    free(text);
}

static void wrong_wishes_for_a_machine_are_refused(void **state)
{
    static const struct row rows[] = {
        {"vm", "{'kernel':{}}", "vm.kernel.path: it is missing"},
        {"vm", "{'kernel':{'path':'k'}}", "vm.kernel.path: it is not absolute"},
        {"vm", "{'kernel':{'path':'/k','initrd':'/i'}}", "vm.kernel.initrd"},
        {"vm", "{'image':{'path':'/i','format':'raw'}}", "vm.image"},
        {"vm", "{'hwConfig':{'irqs':[1]}}", "vm.hwConfig.irqs"},
        {"vm", "{'hwConfig':{'vcpus':-1}}", "vm.hwConfig.vcpus: -1"},
    };
    (void)state;
    JUDGE(rows);
}

/* ---- Presence ---- */

static void zero_and_absent_are_different(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed("process/oomScoreAdj", "0");
    (void)state;
    assert_int_equal(load(text, &s, &err), 0);
    assert_true(s.spec.Process.HasOOMScoreAdj);
    oci_spec_release(&s);
    free(text);
    text = oci_base_changed("process/user/umask", "0");
    assert_int_equal(load(text, &s, &err), 0);
    assert_true(s.spec.Process.User.has_Umask);
    oci_spec_release(&s);
    free(text);
}

static void a_console_size_without_a_terminal_is_ignored(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed("process/terminal", "false");
    (void)state;
    assert_int_equal(load(text, &s, &err), 0);
    assert_false(s.spec.Process.has_ConsoleSize);
    oci_spec_release(&s);
    free(text);
}

static void a_device_without_a_mode_gets_that_of_runc(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed("linux/devices/0/fileMode", NULL);
    (void)state;
    assert_int_equal(load(text, &s, &err), 0);
    assert_int_equal(s.spec.Linux.Devices[0].FileMode, 0666);
    oci_spec_release(&s);
    free(text);
}

static void time_offsets_carry_their_clock(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed("linux/namespaces/5", "{'type':'time'}");
    char *copy = malloc(strlen(text) + 80);
    (void)state;
    char *linux = strstr(text, "\"linux\": {");
    assert_non_null(linux);
    linux += strlen("\"linux\": {");
    sprintf(copy, "%.*s\"timeOffsets\":{\"boottime\":{\"secs\":-7,\"nanosecs\":9}},%s", (int)(linux - text), text,
            linux);
    if (load(copy, &s, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.spec.Linux.TimeOffsets_count, 1);
    assert_string_equal(s.spec.Linux.TimeOffsets[0].Clock, "boottime");
    assert_int_equal(s.spec.Linux.TimeOffsets[0].Secs, -7);
    assert_int_equal(s.spec.Linux.TimeOffsets[0].Nanosecs, 9);
    oci_spec_release(&s);
    free(copy);
    free(text);
}

static void the_smallest_integer_survives(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed("linux/resources/cpu/realtimeRuntime", "'#-9223372036854775808'");
    (void)state;
    if (load(text, &s, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(s.spec.Linux.Resources.CPU.RealtimeRuntime == INT64_MIN);
    oci_spec_release(&s);
    free(text);
}

/* ---- Warnings ---- */

static void expect_note(const char *path, const char *value, const char *words)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed(path, value);
    if (load(text, &s, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.notes.count, 1);
    if (strstr(s.notes.text[0], words) == NULL)
        fail_msg("'%s' does not say '%s'", s.notes.text[0], words);
    oci_spec_release(&s);
    free(text);
}

static void what_is_odd_but_allowed_is_noted(void **state)
{
    (void)state;
    expect_note("ociVersion", "'1.9.0'", "1.9.0 is newer");
    expect_note("process/capabilities/ambient", "['CAP_FUTURE']", "capabilities.ambient: 'CAP_FUTURE' is not known");
    expect_note("mounts/0/destination", "'proc'", "mounts[0].destination: 'proc' is relative");
    expect_note("zos", "{}", "zos: properties of another system");
}

static void an_unknown_capability_is_left_out_and_the_others_stay(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed("process/capabilities/bounding", "['CAP_X','CAP_KILL','cap_kill','CAP_CHOWN']");
    (void)state;
    assert_int_equal(load(text, &s, &err), 0);
    assert_int_equal(s.spec.Process.Capabilities.Bounding_count, 2);
    assert_string_equal(s.spec.Process.Capabilities.Bounding[0], "CAP_KILL");
    assert_string_equal(s.spec.Process.Capabilities.Bounding[1], "CAP_CHOWN");
    oci_spec_release(&s);
    free(text);
}

static void a_flood_of_warnings_is_counted_not_kept(void **state)
{
    struct oci_notes *notes = calloc(1, sizeof *notes);
    (void)state;
    for (unsigned i = 0; i < OCI_NOTES_MAX + 5; i++)
        oci_note(notes, "%u", i);
    assert_int_equal(notes->count, OCI_NOTES_MAX);
    assert_int_equal(notes->lost, 5);
    free(notes);
}

static void a_configuration_for_another_system_is_refused(void **state)
{
    static const char text[] = "{\"ociVersion\":\"1.0.0\",\"windows\":{\"layerFolders\":[\"c:\"]}}";
    struct oci_spec s;
    struct err err;
    (void)state;
    assert_int_equal(load(text, &s, &err), -EINVAL);
    assert_non_null(strstr(err.text, "windows: the bundle is for another system"));
}

static void slashes_in_a_kernel_parameter_become_dots(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_text();
    (void)state;
    memcpy(strstr(text, "net.core.somaxconn"), "net/core/somax.onn", 18);
    assert_int_equal(load(text, &s, &err), 0);
    assert_string_equal(s.spec.Linux.Sysctl[0].key, "net.core.somax/onn");
    oci_spec_release(&s);
    free(text);
}

static void a_long_string_is_refused_where_a_path_belongs(void **state)
{
    char value[4200];
    (void)state;
    memset(value, 'a', sizeof value);
    value[0] = value[4198] = '\'';
    value[4199] = '\0';
    judge(&(struct row){"root/path", value, "root.path: it has 4197 bytes; give at most 4095"});
    judge(&(struct row){"process/args/0", value, NULL});
}

static void lists_of_cpus_are_counted(void **state)
{
    unsigned n = 99;
    (void)state;
    assert_true(oci_cpu_list_parse("0-3,7", &n));
    assert_int_equal(n, 5);
    assert_true(oci_cpu_list_parse("", &n));
    assert_int_equal(n, 0);
    assert_true(oci_cpu_list_parse("0, 2-3\n", &n));
    assert_int_equal(n, 3);
    assert_false(oci_cpu_list_parse("1--3", &n));
    assert_false(oci_cpu_list_parse(",1", &n));
    assert_false(oci_cpu_list_parse("1;2", &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_property_arrives),
        cmocka_unit_test(values_at_their_limits_are_taken),
        cmocka_unit_test(the_wrong_type_is_refused_with_the_path),
        cmocka_unit_test(bad_values_of_the_process_are_refused),
        cmocka_unit_test(bad_versions_are_refused),
        cmocka_unit_test(bad_mounts_and_hooks_are_refused),
        cmocka_unit_test(bad_namespaces_are_refused),
        cmocka_unit_test(bad_places_are_refused),
        cmocka_unit_test(bad_resources_are_refused),
        cmocka_unit_test(bad_seccomp_rules_are_refused),
        cmocka_unit_test(a_wish_for_a_machine_is_read),
        cmocka_unit_test(wrong_wishes_for_a_machine_are_refused),
        cmocka_unit_test(zero_and_absent_are_different),
        cmocka_unit_test(a_console_size_without_a_terminal_is_ignored),
        cmocka_unit_test(a_device_without_a_mode_gets_that_of_runc),
        cmocka_unit_test(time_offsets_carry_their_clock),
        cmocka_unit_test(the_smallest_integer_survives),
        cmocka_unit_test(what_is_odd_but_allowed_is_noted),
        cmocka_unit_test(an_unknown_capability_is_left_out_and_the_others_stay),
        cmocka_unit_test(a_flood_of_warnings_is_counted_not_kept),
        cmocka_unit_test(a_configuration_for_another_system_is_refused),
        cmocka_unit_test(slashes_in_a_kernel_parameter_become_dots),
        cmocka_unit_test(a_long_string_is_refused_where_a_path_belongs),
        cmocka_unit_test(lists_of_cpus_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
