/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/launch/shape.h"

/*
 * What descriptions hold (describe*.c) and rules may say: docs/policy.md, "Containers". The order of members is that in
 * which differences are told.
 */

const struct shape shape_text = {.kind = SHAPE_TEXT};
static const struct shape number = {.kind = SHAPE_NUMBER};
static const struct shape flag = {.kind = SHAPE_FLAG};
static const struct shape map = {.kind = SHAPE_MAP};
static const struct shape texts = {.kind = SHAPE_LIST, .element = &shape_text};
static const struct shape text_set = {.kind = SHAPE_SET, .element = &shape_text};
static const struct shape number_set = {.kind = SHAPE_SET, .element = &number};

/* ---- Processes ---- */

static const struct shape_member names_members[] = {
    {"uid", &shape_text}, {"gid", &shape_text}, {"additional_gids", &text_set}, {NULL, NULL}};
static const struct shape names = {.kind = SHAPE_OBJECT, .members = names_members};

static const struct shape_member user_members[] = {{"uid", &number},
                                                   {"gid", &number},
                                                   {"additional_gids", &number_set},
                                                   {"username", &shape_text},
                                                   {"umask", &number},
                                                   {"names", &names},
                                                   {NULL, NULL}};
static const struct shape user = {.kind = SHAPE_OBJECT, .members = user_members};

static const struct shape_member capability_members[] = {{"bounding", &text_set},  {"effective", &text_set},
                                                         {"permitted", &text_set}, {"inheritable", &text_set},
                                                         {"ambient", &text_set},   {NULL, NULL}};
static const struct shape capabilities = {.kind = SHAPE_OBJECT, .members = capability_members};

static const struct shape_member rlimit_members[] = {
    {"type", &shape_text}, {"soft", &number}, {"hard", &number}, {NULL, NULL}};
static const struct shape rlimit = {.kind = SHAPE_OBJECT, .members = rlimit_members};
static const struct shape rlimits = {.kind = SHAPE_SET, .element = &rlimit};

static const struct shape_member io_priority_members[] = {{"class", &shape_text}, {"priority", &number}, {NULL, NULL}};
static const struct shape io_priority = {.kind = SHAPE_OBJECT, .members = io_priority_members};

static const struct shape_member scheduler_members[] = {
    {"policy", &shape_text}, {"nice", &number},     {"priority", &number}, {"flags", &text_set},
    {"runtime", &number},    {"deadline", &number}, {"period", &number},   {NULL, NULL}};
static const struct shape scheduler = {.kind = SHAPE_OBJECT, .members = scheduler_members};

static const struct shape_member affinity_members[] = {{"initial", &shape_text}, {"final", &shape_text}, {NULL, NULL}};
static const struct shape affinity = {.kind = SHAPE_OBJECT, .members = affinity_members};

/* clang-format off */
#define PROCESS_MEMBERS                                                                                                \
    {"args", &texts}, {"env", &text_set}, {"cwd", &shape_text}, {"user", &user}, {"terminal", &flag},                  \
    {"capabilities", &capabilities}, {"no_new_privileges", &flag}, {"rlimits", &rlimits},                              \
    {"oom_score_adj", &number}, {"io_priority", &io_priority}, {"scheduler", &scheduler},                              \
    {"cpu_affinity", &affinity}
/* clang-format on */

static const struct shape_member exec_members[] = {PROCESS_MEMBERS, {NULL, NULL}};
const struct shape shape_exec = {.kind = SHAPE_OBJECT, .members = exec_members};

/* ---- File systems ---- */

static const struct shape_member source_members[] = {{"share", &shape_text},      {"storage", &shape_text},
                                                     {"guest", &shape_text},      {"new", &shape_text},
                                                     {"unverified", &shape_text}, {NULL, NULL}};
static const struct shape source = {.kind = SHAPE_OBJECT, .members = source_members};

static const struct shape_member storage_members[] = {{"verity_root", &shape_text},
                                                      {"unverified", &flag},
                                                      {"driver", &shape_text},
                                                      {"source", &shape_text},
                                                      {"fstype", &shape_text},
                                                      {"mount_point", &shape_text},
                                                      {"options", &texts},
                                                      {"verity_offset", &shape_text},
                                                      {"driver_options", &texts},
                                                      {"group", &number},
                                                      {NULL, NULL}};
static const struct shape storage = {.kind = SHAPE_OBJECT, .members = storage_members};
static const struct shape storages = {.kind = SHAPE_LIST, .element = &storage};

static const struct shape_member mapping_members[] = {
    {"host", &number}, {"container", &number}, {"size", &number}, {NULL, NULL}};
static const struct shape mapping = {.kind = SHAPE_OBJECT, .members = mapping_members};
static const struct shape mappings = {.kind = SHAPE_LIST, .element = &mapping};

static const struct shape_member mount_members[] = {
    {"destination", &shape_text}, {"type", &shape_text},       {"source", &source}, {"options", &texts},
    {"uid_mappings", &mappings},  {"gid_mappings", &mappings}, {NULL, NULL}};
static const struct shape mount = {.kind = SHAPE_OBJECT, .members = mount_members};
static const struct shape mounts = {.kind = SHAPE_LIST, .element = &mount};

/* ---- Devices, namespaces and the rest ---- */

static const struct shape_member device_members[] = {{"path", &shape_text}, {"type", &shape_text}, {"major", &number},
                                                     {"minor", &number},    {"mode", &number},     {"uid", &number},
                                                     {"gid", &number},      {NULL, NULL}};
static const struct shape device = {.kind = SHAPE_OBJECT, .members = device_members};
static const struct shape devices = {.kind = SHAPE_LIST, .element = &device};

static const struct shape_member device_rule_members[] = {{"allow", &flag},        {"type", &shape_text},
                                                          {"major", &number},      {"minor", &number},
                                                          {"access", &shape_text}, {NULL, NULL}};
static const struct shape device_rule = {.kind = SHAPE_OBJECT, .members = device_rule_members};
static const struct shape device_rules = {.kind = SHAPE_LIST, .element = &device_rule};

static const struct shape_member namespace_members[] = {{"type", &shape_text}, {"path", &shape_text}, {NULL, NULL}};
static const struct shape namespace = {.kind = SHAPE_OBJECT, .members = namespace_members};
static const struct shape namespaces = {.kind = SHAPE_SET, .element = &namespace};

static const struct shape_member offset_members[] = {
    {"clock", &shape_text}, {"seconds", &number}, {"nanoseconds", &number}, {NULL, NULL}};
static const struct shape offset = {.kind = SHAPE_OBJECT, .members = offset_members};
static const struct shape offsets = {.kind = SHAPE_LIST, .element = &offset};

static const struct shape_member personality_members[] = {{"domain", &shape_text}, {"flags", &text_set}, {NULL, NULL}};
static const struct shape personality = {.kind = SHAPE_OBJECT, .members = personality_members};

static const struct shape_member memory_members[] = {
    {"mode", &shape_text}, {"nodes", &shape_text}, {"flags", &text_set}, {NULL, NULL}};
static const struct shape memory_policy = {.kind = SHAPE_OBJECT, .members = memory_members};

static const struct shape_member hook_members[] = {
    {"path", &shape_text}, {"args", &texts}, {"env", &texts}, {"timeout", &number}, {NULL, NULL}};
static const struct shape hook = {.kind = SHAPE_OBJECT, .members = hook_members};
static const struct shape hook_list = {.kind = SHAPE_LIST, .element = &hook};
static const struct shape_member hooks_members[] = {
    {"create_container", &hook_list}, {"start_container", &hook_list}, {NULL, NULL}};
static const struct shape hooks = {.kind = SHAPE_OBJECT, .members = hooks_members};

static const struct shape_member container_members[] = {PROCESS_MEMBERS,
                                                        {"root", &source},
                                                        {"readonly_root", &flag},
                                                        {"storages", &storages},
                                                        {"mounts", &mounts},
                                                        {"devices", &devices},
                                                        {"device_rules", &device_rules},
                                                        {"namespaces", &namespaces},
                                                        {"pod_pids", &flag},
                                                        {"pids_of", &shape_text},
                                                        {"hostname", &shape_text},
                                                        {"domainname", &shape_text},
                                                        {"seccomp", &shape_text},
                                                        {"sysctl", &map},
                                                        {"masked_paths", &text_set},
                                                        {"readonly_paths", &text_set},
                                                        {"rootfs_propagation", &shape_text},
                                                        {"uid_mappings", &mappings},
                                                        {"gid_mappings", &mappings},
                                                        {"cgroups_path", &shape_text},
                                                        {"cgroup_files", &map},
                                                        {"time_offsets", &offsets},
                                                        {"personality", &personality},
                                                        {"memory_policy", &memory_policy},
                                                        {"hooks", &hooks},
                                                        {"annotations", &map},
                                                        {"bundle", &shape_text},
                                                        {NULL, NULL}};
const struct shape shape_container = {.kind = SHAPE_OBJECT, .members = container_members};
