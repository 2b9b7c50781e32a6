/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

#define ENV     "'env':['PATH=/bin','HOME=/']"
#define MOUNTS  "'mounts':[{'destination':'/proc','type':'proc'},{'destination':'/data','source':{'share':'{id}-m1'}}]"
#define STORAGE "'storages':[{'driver':'blk','verity_root':'ab','mount_point':'/run/caisson/storage/{id}-i'}]"
#define APP     "'args':['/app','--safe'],'cwd':'/','root':{'storage':'{id}-i'}," ENV "," MOUNTS "," STORAGE
#define SHELL   "'args':['sh'],'terminal':true,'root':{'share':'{id}-r'}"
#define EXECS   "'execs':[{'args':['ls'],'cwd':'/'},{'args':['cat',{'glob':'/proc/*'}]}]"
#define RULES                                                                                                          \
    "'containers':[{'name':'app','max':2," APP "," EXECS "},{'name':'shell'," SHELL "}],"                              \
    "'copy_files':['/run/caisson/etc/hosts',{'glob':'/run/caisson/conf/*'}],'calls':['PauseContainer']"

/* What a policy of RULES says of a container; names in the rule that permits it. */
static int judge(const char *rules, const char *description, size_t *rule, struct err *err)
{
    struct policy *p = rig_policy(rules);
    json_t *value = rig_json(description);
    err_clear(err);
    int result = policy_judge_container(p, value, rule, err);
    json_decref(value);
    policy_free(p);
    return result;
}

static void permits(const char *rules, const char *description, size_t wanted)
{
    struct err err;
    size_t rule = 99;
    if (judge(rules, description, &rule, &err) != 0)
        fail_msg("%s: %s", description, err.text);
    assert_int_equal(rule, wanted);
}

static void refuses(const char *rules, const char *description, const char *words)
{
    struct err err;
    size_t rule = 99;
    if (judge(rules, description, &rule, &err) != -EACCES)
        fail_msg("permitted: %s", description);
    rig_says(&err, words);
}

/* One rule and one description that differ in one member beside those that each needs. */
#define BASE "'args':['x'],'root':{'share':'r'}"
static void one(bool permitted, const char *rule, const char *value, const char *words)
{
    char rules[2048], description[2048];
    snprintf(rules, sizeof rules, "'containers':[{'name':'a'," BASE "%s%s}]", *rule != '\0' ? "," : "", rule);
    snprintf(description, sizeof description, "{'id':'c'," BASE "%s%s}", *value != '\0' ? "," : "", value);
    if (permitted)
        permits(rules, description, 0);
    else
        refuses(rules, description, words);
}

/* ---- Containers ---- */

static void a_container_is_known_by_its_rule(void **state)
{
    (void)state;
    permits(RULES, "{'id':'c1'," APP "}", 0);
    permits(RULES, "{'id':'c2'," SHELL "}", 1);
    struct policy *p = rig_policy(RULES);
    assert_string_equal(policy_rule_name(p, 0), "app");
    assert_string_equal(policy_rule_name(p, 1), "shell");
    assert_int_equal(policy_rule_count_max(p, 0), 2);
    assert_int_equal(policy_rule_count_max(p, 1), 0);
    policy_free(p);
}

static void without_rules_no_container_is_permitted(void **state)
{
    (void)state;
    refuses("", "{" APP "}", "containers permits nothing");
    refuses("'containers':[]", "{" APP "}", "containers permits nothing");
}

static void the_nearest_rule_tells_the_difference(void **state)
{
    (void)state;
    refuses(RULES, "{'args':['/app','--evil'],'cwd':'/','root':{'storage':'{id}-i'}," ENV "," MOUNTS "," STORAGE "}",
            "cannot create a container under the launch policy web: containers[0].args[1] permits '--safe', "
            "it is '--evil'");
    refuses(RULES, "{'args':['sh','-c','id'],'terminal':true,'root':{'share':'{id}-r'}}",
            "containers[1].args[1] permits nothing, it is '-c'");
}

static void every_member_that_is_changed_added_or_missing_is_refused(void **state)
{
    static const char *const rows[][4] = {
        /* rule, good, bad, words */
        {"'cwd':'/'", "'cwd':'/'", "'cwd':'/x'", "containers[0].cwd permits '/', it is '/x'"},
        {"'terminal':true", "'terminal':true", "", "containers[0].terminal permits true, it is nothing"},
        {"", "", "'terminal':true", "containers[0].terminal permits nothing, it is true"},
        {"'terminal':true", "'terminal':true", "'terminal':false", "permits true, it is false"},
        {"'user':{'uid':5,'gid':6}", "'user':{'uid':5,'gid':6}", "'user':{'uid':0,'gid':6}",
         "containers[0].user.uid permits 5, it is 0"},
        {"'user':{'uid':{'min':5,'max':9}}", "'user':{'uid':9}", "'user':{'uid':10}", "user.uid permits 5 to 9, it is"},
        {"'user':{'uid':{'min':5,'max':9}}", "'user':{'uid':5}", "'user':{'uid':4}", "user.uid permits 5 to 9, it is"},
        {"'user':{'uid':5}", "'user':{'uid':5}", "'user':{'uid':5,'names':{'uid':'root'}}",
         "user.names permits nothing"},
        {"'rlimits':[{'type':'A','soft':1,'hard':'18446744073709551615'}]",
         "'rlimits':[{'type':'A','soft':1,'hard':'18446744073709551615'}]",
         "'rlimits':[{'type':'A','soft':1,'hard':2}]", "containers[0].rlimits permits a list of 1"},
        {"'no_new_privileges':true", "'no_new_privileges':true", "", "no_new_privileges permits true, it is nothing"},
        {"", "", "'capabilities':{'bounding':['CAP_SYS_ADMIN']}", "containers[0].capabilities permits nothing"},
        {"'capabilities':{'bounding':['A']}", "'capabilities':{'bounding':['A']}",
         "'capabilities':{'bounding':['A','B']}", "capabilities.bounding permits 'A', it is 'B'"},
        {"'capabilities':{'bounding':['A','B']}", "'capabilities':{'bounding':['B','A']}",
         "'capabilities':{'bounding':['A']}", "capabilities.bounding[1] permits 'B', it is nothing"},
        {"'seccomp':'sha256:1'", "'seccomp':'sha256:1'", "'seccomp':'sha256:2'", "seccomp permits 'sha256:1'"},
        {"'seccomp':'sha256:1'", "'seccomp':'sha256:1'", "", "seccomp permits 'sha256:1', it is nothing"},
        {"'sysctl':{'a':'1'}", "'sysctl':{'a':'1'}", "'sysctl':{'a':'1','b':'2'}", "sysctl.b permits nothing"},
        {"'sysctl':{'a':'1'}", "'sysctl':{'a':'1'}", "'sysctl':{}", "sysctl.a permits '1', it is nothing"},
        {"", "", "'sysctl':{'kernel.core_pattern':'|/x'}", "containers[0].sysctl permits nothing"},
        {"", "", "'hooks':{'create_container':[{'path':'/x'}]}", "containers[0].hooks permits nothing"},
        {"", "", "'devices':[{'path':'/dev/sda','type':'b','major':8,'minor':0}]", "devices permits nothing"},
        {"", "", "'device_rules':[{'allow':true}]", "device_rules permits nothing"},
        {"'masked_paths':['/proc/kcore']", "'masked_paths':['/proc/kcore']", "", "masked_paths permits '/proc/kcore'"},
        {"'namespaces':[{'type':'mount'},{'type':'pid'}]", "'namespaces':[{'type':'pid'},{'type':'mount'}]",
         "'namespaces':[{'type':'mount'}]", "namespaces[1] permits an object, it is nothing"},
        {"'namespaces':[{'type':'pid'}]", "'namespaces':[{'type':'pid'}]",
         "'namespaces':[{'type':'pid','path':'/proc/1/ns/pid'}]", "namespaces permits a list of 1"},
        {"", "", "'pod_pids':true", "pod_pids permits nothing, it is true"},
        {"", "", "'pids_of':'other'", "pids_of permits nothing, it is 'other'"},
        {"", "", "'readonly_root':true", "readonly_root permits nothing"},
        {"", "", "'cgroup_files':{'cgroup.procs':'1'}", "cgroup_files permits nothing"},
        {"", "", "'something_new':1", "containers[0].something_new permits nothing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        one(true, rows[i][0], rows[i][1], "");
        one(false, rows[i][0], rows[i][2], rows[i][3]);
    }
}

static void values_of_another_type_are_refused(void **state)
{
    static const char *const rows[][2] = {
        {"'cwd':'/'", "'cwd':['/']"},
        {"'cwd':{'glob':'*'}", "'cwd':1"},
        {"'user':{'uid':0}", "'user':{'uid':'0'}"},
        {"'user':{'uid':{'min':0,'max':9}}", "'user':{'uid':'5'}"},
        {"'user':{'uid':{'min':0,'max':9}}", "'user':{'uid':null}"},
        {"'user':{'uid':0}", "'user':[]"},
        {"'env':['A=1']", "'env':'A=1'"},
        {"'env':['A=1']", "'env':{'A=1':1}"},
        {"'terminal':true", "'terminal':1"},
        {"'sysctl':{'a':'1'}", "'sysctl':['a']"},
        {"'sysctl':{'a':'1'}", "'sysctl':{'a':1}"},
        {"'mounts':[]", "'mounts':{}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        one(false, rows[i][0], rows[i][1], "containers[0].");
    refuses(RULES, "[]", "permits an object, it is a list of 0");
}

/* ---- Variables ---- */

static void variables_come_in_any_order(void **state)
{
    (void)state;
    one(true, "'env':['A=1','B=2']", "'env':['B=2','A=1']", "");
    one(false, "'env':['A=1','B=2']", "'env':['A=1']", "containers[0].env[1] permits 'B=2', it is nothing");
    one(false, "'env':['A=1']", "'env':['A=1','LD_PRELOAD=/x']",
        "containers[0].env permits 'A=1', it is 'LD_PRELOAD=/x'");
    one(false, "", "'env':['A=1']", "containers[0].env permits nothing, it is 'A=1'");
}

static void a_variable_may_be_optional_or_one_of_a_pattern(void **state)
{
    static const char rule[] = "'env':['A=1',{'optional':'B=2'},{'optional':{'glob':'SERVICE_*=*'}},{'glob':'C=?'}]";
    (void)state;
    one(true, rule, "'env':['A=1','C=3']", "");
    one(true, rule, "'env':['SERVICE_X=1','C=3','SERVICE_Y=2','B=2','A=1']", "");
    one(false, rule, "'env':['A=1']", "containers[0].env[3] permits glob 'C=?', it is nothing");
    one(false, rule, "'env':['A=1','C=3','B=3']", "containers[0].env permits a list of 4, it is 'B=3'");
}

static void a_variable_given_twice_is_refused(void **state)
{
    (void)state;
    one(false, "'env':[{'glob':'A=*'}]", "'env':['A=1','A=2']",
        "env permits each variable once, it is 'A=2' once more");
    one(false, "'env':[{'glob':'A=*'}]", "'env':['A=1','A=1']", "env permits each variable once");
    one(true, "'env':[{'glob':'A*'}]", "'env':['A=1','AB=2']", "");
}

/* ---- Lists, mounts and storages ---- */

static void arguments_have_their_order_and_number(void **state)
{
    static const char rules[] = "'containers':[{'name':'a','args':['x',{'any':true},'z'],'root':{'share':'r'}}]";
    (void)state;
    permits(rules, "{'args':['x','what ever','z'],'root':{'share':'r'}}", 0);
    refuses(rules, "{'args':['x','z'],'root':{'share':'r'}}", "args[2] permits 'z', it is nothing");
    refuses(rules, "{'args':['x','y','z',''],'root':{'share':'r'}}", "args[3] permits nothing, it is ''");
    refuses(rules, "{'args':['z','y','x'],'root':{'share':'r'}}", "args[0] permits 'x', it is 'z'");
    refuses(rules, "{'args':[],'root':{'share':'r'}}", "args[0] permits 'x', it is nothing");
    refuses(rules, "{'root':{'share':'r'}}", "args permits a list of 3, it is nothing");
}

static void mounts_are_pinned_by_source_as_well_as_destination(void **state)
{
    static const char rule[] =
        "'mounts':[{'destination':'/data','options':['ro','rbind'],'source':{'storage':'{id}-d'}}]";
    (void)state;
    one(true, rule, rule, "");
    one(false, rule, "'mounts':[{'destination':'/data','options':['ro','rbind'],'source':{'share':'{id}-d'}}]",
        "mounts[0].source.share permits nothing, it is '{id}-d'");
    one(false, rule, "'mounts':[{'destination':'/data','options':['ro','rbind'],'source':{'guest':'/'}}]", "source");
    one(false, rule, "'mounts':[{'destination':'/data','options':['ro','rbind'],'source':{'odd':'/a/../b'}}]",
        "source");
    one(false, rule, "'mounts':[{'destination':'/data','options':['rbind','ro'],'source':{'storage':'{id}-d'}}]",
        "mounts[0].options[0] permits 'ro', it is 'rbind'");
    one(false, rule, "'mounts':[{'destination':'/data','options':['ro','rbind']}]", "mounts[0].source permits");
    one(false, rule, "", "mounts permits a list of 1, it is nothing");
    one(false, "", rule, "mounts permits nothing");
}

static void a_mount_more_is_refused_wherever_it_stands(void **state)
{
    static const char rule[] = "'mounts':[{'destination':'/proc','type':'proc'}]";
    (void)state;
    one(false, rule, "'mounts':[{'destination':'/proc','type':'proc'},{'destination':'/bin','type':'tmpfs'}]",
        "mounts[1] permits nothing");
    one(false, rule, "'mounts':[{'destination':'/bin','type':'tmpfs'},{'destination':'/proc','type':'proc'}]",
        "mounts[0].destination permits '/proc', it is '/bin'");
}

static void an_image_is_pinned_by_its_root_hash(void **state)
{
    static const char rule[] = "'storages':[{'driver':'blk','verity_root':'ab','source':{'any':true}}]";
    (void)state;
    one(true, rule, "'storages':[{'driver':'blk','verity_root':'ab','source':'serial=x'}]", "");
    one(false, rule, "'storages':[{'driver':'blk','verity_root':'ac','source':'serial=x'}]",
        "containers[0].storages[0].verity_root permits 'ab', it is 'ac'");
    one(false, rule, "'storages':[{'driver':'blk','unverified':true,'source':'serial=x'}]", "storages[0].verity_root");
    one(false, "'storages':[{'driver':'blk'}]", "'storages':[{'driver':'blk','unverified':true}]",
        "storages[0].unverified permits nothing, it is true");
    one(false, rule, "'storages':[{'driver':'blk','verity_root':'ab'},{'driver':'virtio-fs','unverified':true}]",
        "storages[1] permits nothing");
    one(false, rule, "'storages':[{'driver':'blk','verity_root':'ab','odd_mount_point':'/run/a/../b'}]",
        "storages[0].odd_mount_point permits nothing");
}

static void any_permits_a_whole_member(void **state)
{
    (void)state;
    one(true, "'mounts':{'any':true}", "'mounts':[{'destination':'/x','what':1}]", "");
    one(true, "'mounts':{'any':true}", "", "");
    one(true, "'env':{'any':true},'user':{'any':true}", "'env':['A=1'],'user':{'uid':1}", "");
    one(true, "'cwd':{'one_of':['/a',{'glob':'/b/*'}]}", "'cwd':'/b/c'", "");
    one(false, "'cwd':{'one_of':['/a',{'glob':'/b/*'}]}", "'cwd':'/c'", "cwd permits one of 2, it is '/c'");
    rig_refuses("'containers':[{'name':'a'," BASE ",'cwd':{'one_of':['/a',{'any':true}]}}]", "cwd[1]: it is no text");
}

static void long_and_hostile_values_are_shown_short_and_clean(void **state)
{
    char rules[] = "'containers':[{'name':'a','args':['x'],'root':{'share':'r'}}]", *description;
    struct err err;
    size_t rule;
    (void)state;
    description = malloc(200100);
    assert_non_null(description);
    strcpy(description, "{'root':{'share':'r'},'args':['\\u001b[2J\\n");
    memset(description + strlen(description), 'A', 200000);
    strcpy(description + strlen("{'root':{'share':'r'},'args':['\\u001b[2J\\n") + 200000 - 60, "']}");
    assert_int_equal(judge(rules, description, &rule, &err), -EACCES);
    rig_says(&err, "it is '?[2J?AAAA");
    rig_says(&err, "...");
    rig_says(&err, "have a policy signed that permits it");
    free(description);
}

/* ---- Further processes ---- */

static int judge_exec(size_t rule, const char *description, struct err *err)
{
    struct policy *p = rig_policy(RULES);
    json_t *value = rig_json(description);
    err_clear(err);
    int result = policy_judge_exec(p, rule, value, err);
    json_decref(value);
    policy_free(p);
    return result;
}

static void refuses_exec(size_t rule, const char *description, const char *words)
{
    struct err err;
    if (judge_exec(rule, description, &err) != -EACCES)
        fail_msg("permitted: %s", description);
    rig_says(&err, words);
}

static void a_process_is_judged_by_the_rule_of_its_container(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(judge_exec(0, "{'container':'c1','args':['ls'],'cwd':'/'}", &err), 0);
    assert_int_equal(judge_exec(0, "{'args':['cat','/proc/1/status']}", &err), 0);
    refuses_exec(1, "{'args':['ls'],'cwd':'/'}", "containers[1].execs permits nothing");
    refuses_exec(7, "{'args':['ls'],'cwd':'/'}", "containers[7].execs permits nothing");
    refuses_exec(0, "{'args':['sh'],'cwd':'/'}", "containers[0].execs[0].args[0] permits 'ls', it is 'sh'");
    refuses_exec(0, "{'args':['cat','/etc/shadow']}", "execs[1].args[1] permits glob '/proc/*', it is '/etc/shadow'");
    refuses_exec(0, "{'args':['ls'],'cwd':'/','env':['A=1','A=2']}", "each variable once");
    refuses_exec(0, "{'args':['ls'],'cwd':'/','capabilities':{}}", "execs[0].capabilities permits nothing");
    refuses_exec(0, "{'args':['ls'],'cwd':'/','id':'c1'}", "execs[0].id permits nothing");
}

/* ---- Files and calls ---- */

static int judge_copy(const char *rules, const char *path, struct err *err)
{
    struct policy *p = rig_policy(rules);
    int result = policy_judge_copy(p, path, err);
    policy_free(p);
    return result;
}

static void files_are_copied_where_a_pattern_permits_it(void **state)
{
    static const char *const refused[] = {"/run/caisson/etc/hosts2",
                                          "/run/caisson/etc",
                                          "/run/caisson/conf/",
                                          "/run/caisson/conf/../etc/passwd",
                                          "/run/caisson/conf/./x",
                                          "/run/caisson/conf//x",
                                          "/run/caisson/conf/..",
                                          "run/caisson/etc/hosts",
                                          "",
                                          "/"};
    struct err err;
    (void)state;
    assert_int_equal(judge_copy(RULES, "/run/caisson/etc/hosts", &err), 0);
    assert_int_equal(judge_copy(RULES, "/run/caisson/conf/a/b", &err), 0);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (judge_copy(RULES, refused[i], &err) != -EACCES)
            fail_msg("permitted: %s", refused[i]);
        rig_says(&err, "copy_files permits a list of 2, it is '");
    }
    assert_int_equal(judge_copy("", "/run/caisson/etc/hosts", &err), -EACCES);
    rig_says(&err, "copy_files permits nothing");
    assert_int_equal(judge_copy("'copy_files':{'any':true}", "/run/caisson/x", &err), 0);
    assert_int_equal(judge_copy("'copy_files':{'any':true}", "/run/../x", &err), -EACCES);
    assert_int_equal(judge_copy("'copy_files':{'any':true}", "/run/\xff", &err), -EACCES);
}

static void calls_are_permitted_by_name(void **state)
{
    struct err err;
    struct policy *p = rig_policy(RULES);
    (void)state;
    assert_int_equal(policy_judge_call(p, "PauseContainer", &err), 0);
    assert_int_equal(policy_judge_call(p, "SetGuestDateTime", &err), -EACCES);
    rig_says(&err, "calls permits 'PauseContainer', it is 'SetGuestDateTime'");
    assert_int_equal(policy_judge_call(p, "pausecontainer", &err), -EACCES);
    assert_int_equal(policy_judge_call(p, "", &err), -EACCES);
    policy_free(p);
    p = rig_policy("");
    assert_int_equal(policy_judge_call(p, "PauseContainer", &err), -EACCES);
    policy_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_known_by_its_rule),
        cmocka_unit_test(without_rules_no_container_is_permitted),
        cmocka_unit_test(the_nearest_rule_tells_the_difference),
        cmocka_unit_test(every_member_that_is_changed_added_or_missing_is_refused),
        cmocka_unit_test(values_of_another_type_are_refused),
        cmocka_unit_test(variables_come_in_any_order),
        cmocka_unit_test(a_variable_may_be_optional_or_one_of_a_pattern),
        cmocka_unit_test(a_variable_given_twice_is_refused),
        cmocka_unit_test(arguments_have_their_order_and_number),
        cmocka_unit_test(mounts_are_pinned_by_source_as_well_as_destination),
        cmocka_unit_test(a_mount_more_is_refused_wherever_it_stands),
        cmocka_unit_test(an_image_is_pinned_by_its_root_hash),
        cmocka_unit_test(any_permits_a_whole_member),
        cmocka_unit_test(long_and_hostile_values_are_shown_short_and_clean),
        cmocka_unit_test(a_process_is_judged_by_the_rule_of_its_container),
        cmocka_unit_test(files_are_copied_where_a_pattern_permits_it),
        cmocka_unit_test(calls_are_permitted_by_name),
    };
    return cmocka_run_group_tests_name("policy/launch/judge_agent", tests, NULL, NULL);
}
