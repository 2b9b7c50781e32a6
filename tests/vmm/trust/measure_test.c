/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/oci_rig.h"
#include "vmm/attest/log_read.h"
#include "vmm/trust/commands.h"
#include "vmm/trust/verify.h"

#define KERNEL_GPA 0x1000000u

/* Nothing of it runs; what matters is that its bytes are these. */
static void write_kernel(const struct oci_rig *r, const char *name, uint8_t content)
{
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr load;
        uint8_t bytes[5000];
    } file = {.head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_EXEC,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_entry = KERNEL_GPA,
                       .e_phoff = sizeof(Elf64_Ehdr),
                       .e_ehsize = sizeof(Elf64_Ehdr),
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = 1},
              .load = {.p_type = PT_LOAD,
                       .p_flags = PF_R | PF_X | PF_W,
                       .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                       .p_vaddr = KERNEL_GPA,
                       .p_paddr = KERNEL_GPA,
                       .p_filesz = sizeof(file.bytes),
                       .p_memsz = sizeof(file.bytes)}};
    char path[128];
    memset(file.bytes, content, sizeof(file.bytes));
    (void)snprintf(path, sizeof(path), "%s/%s", r->root, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(&file, sizeof(file), 1, out), 1);
    fclose(out);
}

static void write_text(const struct oci_rig *r, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", r->root, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* With a configuration of its own, which names a kernel. */
static int set_up(void **state)
{
    char path[128], text[256];
    if (oci_rig_set_up(state) != 0)
        return -1;
    const struct oci_rig *r = *state;
    write_kernel(r, "kernel", 7);
    write_kernel(r, "other", 8);
    (void)snprintf(text, sizeof(text), "{\"kernel\":\"%s/kernel\"}", r->root);
    write_text(r, "config.json", text);
    (void)snprintf(path, sizeof(path), "%s/config.json", r->root);
    return setenv("CAISSON_CONFIG", path, 1);
}

static int tear_down(void **state)
{
    (void)unsetenv("CAISSON_CONFIG");
    return oci_rig_tear_down(state);
}

/* `caisson measure --hv soft` and words, in which @ stands for the rig's folder. */
static int run(struct oci_rig *r, const char *words)
{
    char line[512] = "measure --hv soft ";
    size_t n = strlen(line);
    for (const char *c = words; *c != '\0'; c++)
        n += (size_t)(*c == '@' ? snprintf(line + n, sizeof(line) - n, "%s/", r->root)
                                : snprintf(line + n, sizeof(line) - n, "%c", *c));
    return oci_rig_run(r, trust_command_measure, line);
}

/* The registers that it prints, after they were found to be a list for `caisson verify`. */
static void works(struct oci_rig *r, const char *words, struct event_log *out)
{
    struct err err;
    uint32_t mask = 0;
    if (run(r, words) != CLI_EXIT_OK || r->err[0] != '\0')
        fail_msg("%s: '%s' '%s'", words, r->out, r->err);
    assert_int_equal(verify_parse_expected(r->out, strlen(r->out), out, &mask, &err), 0);
    assert_int_equal(mask, TRUST_PCR_MASK & ((1u << TRUST_PCR_CONTAINERS) - 1));
}

static void fails(struct oci_rig *r, const char *words, int code, const char *text)
{
    int result = run(r, words);
    if (result != code || strstr(r->err, text) == NULL || r->out[0] != '\0')
        fail_msg("%s: %d '%s' '%s'", words, result, r->out, r->err);
}

static bool same(const struct event_log *a, const struct event_log *b, enum trust_pcr pcr)
{
    return memcmp(a->sha256[pcr], b->sha256[pcr], sizeof(a->sha256[pcr])) == 0 &&
           memcmp(a->sha384[pcr], b->sha384[pcr], sizeof(a->sha384[pcr])) == 0;
}

/* ---- What changes which register ---- */

static void the_same_files_and_options_give_the_same_registers(void **state)
{
    struct oci_rig *r = *state;
    struct event_log a, b;
    works(r, "", &a);
    works(r, "", &b);
    assert_memory_equal(a.sha384, b.sha384, sizeof(a.sha384));
}

static void another_kernel_changes_the_register_of_kernels(void **state)
{
    struct oci_rig *r = *state;
    struct event_log a, b;
    works(r, "", &a);
    works(r, "--kernel @other", &b);
    assert_false(same(&a, &b, TRUST_PCR_KERNEL));
    assert_true(same(&a, &b, TRUST_PCR_MACHINE));
    assert_true(same(&a, &b, TRUST_PCR_CMDLINE));
}

static void more_words_change_the_register_of_command_lines(void **state)
{
    struct oci_rig *r = *state;
    struct event_log a, b;
    works(r, "", &a);
    works(r, "--cmdline debug", &b);
    assert_false(same(&a, &b, TRUST_PCR_CMDLINE));
    assert_true(same(&a, &b, TRUST_PCR_KERNEL));
}

static void each_part_of_the_shape_changes_the_register_of_machines(void **state)
{
    struct oci_rig *r = *state;
    static const char *const options[] = {"--vps 2", "--memory 768M", "--nets 1", "--hugepages"};
    struct event_log a, b;
    works(r, "", &a);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        works(r, options[i], &b);
        assert_false(same(&a, &b, TRUST_PCR_MACHINE));
    }
}

static void the_size_comes_from_the_configuration_unless_an_option_says_another(void **state)
{
    struct oci_rig *r = *state;
    char text[256];
    struct event_log a, b;
    (void)snprintf(text, sizeof(text), "{\"kernel\":\"%s/kernel\",\"vps\":3,\"memory\":\"384M\"}", r->root);
    works(r, "--vps 3 --memory 384M", &a);
    write_text(r, "config.json", text);
    works(r, "", &b);
    assert_true(same(&a, &b, TRUST_PCR_MACHINE));
}

static void a_policy_changes_its_register(void **state)
{
    struct oci_rig *r = *state;
    struct event_log a, b;
    if (!CONFIG_LAUNCH_POLICY)
        skip();
    write_text(r, "policy", "{\"caisson_policy\":1,\"debug\":false,\"name\":\"web\",\"serial\":3}");
    works(r, "", &a);
    works(r, "--policy @policy", &b);
    assert_false(same(&a, &b, TRUST_PCR_POLICY));
}

/* ---- Forms of output ---- */

static void the_event_log_replays_to_what_was_printed(void **state)
{
    struct oci_rig *r = *state;
    struct event_log printed, replayed;
    uint8_t bytes[16384];
    char path[128];
    struct err err;
    works(r, "--log @log", &printed);
    (void)snprintf(path, sizeof(path), "%s/log", r->root);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    assert_int_equal(log_replay(bytes, n, &replayed, &err), 0);
    assert_true(same(&printed, &replayed, TRUST_PCR_KERNEL));
    assert_true(same(&printed, &replayed, TRUST_PCR_POLICY));
    event_log_fini(&replayed);
}

static void json_names_the_machine_and_both_banks(void **state)
{
    struct oci_rig *r = *state;
    assert_int_equal(run(r, "--json"), CLI_EXIT_OK);
    json_t *o = json_loads(r->out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    assert_non_null(json_string_value(json_object_get(o, "machine")));
    assert_int_equal(json_object_size(json_object_get(o, "sha256")), 6);
    assert_int_equal(strlen(json_string_value(json_object_get(json_object_get(o, "sha384"), "9"))), 96);
    json_decref(o);
}

/* ---- Refusals ---- */

static void options_that_cannot_be_are_usage_errors(void **state)
{
    struct oci_rig *r = *state;
    fails(r, "--vps 17", CLI_EXIT_USAGE, "--vps takes 1 to 16");
    fails(r, "--nets 5", CLI_EXIT_USAGE, "--nets takes 0 to 4");
    fails(r, "--hv xen", CLI_EXIT_USAGE, "--hv takes kernel or soft");
    fails(r, "--memory 1M", CLI_EXIT_USAGE, "--memory takes 128M to 1T");
    fails(r, "--memory lots", CLI_EXIT_USAGE, "--memory takes 128M to 1T");
    fails(r, "more", CLI_EXIT_USAGE, "more");
}

static void files_that_are_missing_are_named(void **state)
{
    struct oci_rig *r = *state;
    fails(r, "--kernel @nothing", CLI_EXIT_FAILURE, "nothing");
    fails(r, "--policy @nothing", CLI_EXIT_FAILURE, CONFIG_LAUNCH_POLICY ? "nothing" : "no launch policies");
    fails(r, "--bundle @nothing", CLI_EXIT_FAILURE, "nothing");
    fails(r, "--log @no/log", CLI_EXIT_FAILURE, "write the event log");
}

static void without_a_kernel_there_is_nothing_to_measure(void **state)
{
    struct oci_rig *r = *state;
    write_text(r, "config.json", "{}");
    fails(r, "", CLI_EXIT_FAILURE, "no kernel is configured");
}

static void what_is_no_policy_is_refused(void **state)
{
    struct oci_rig *r = *state;
    if (!CONFIG_LAUNCH_POLICY)
        skip();
    write_text(r, "policy", "{}");
    fails(r, "--policy @policy", CLI_EXIT_FAILURE, "policy");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_same_files_and_options_give_the_same_registers),
        CASE(another_kernel_changes_the_register_of_kernels),
        CASE(more_words_change_the_register_of_command_lines),
        CASE(each_part_of_the_shape_changes_the_register_of_machines),
        CASE(the_size_comes_from_the_configuration_unless_an_option_says_another),
        CASE(a_policy_changes_its_register),
        CASE(the_event_log_replays_to_what_was_printed),
        CASE(json_names_the_machine_and_both_banks),
        CASE(options_that_cannot_be_are_usage_errors),
        CASE(files_that_are_missing_are_named),
        CASE(without_a_kernel_there_is_nothing_to_measure),
        CASE(what_is_no_policy_is_refused),
    };
    return cmocka_run_group_tests_name("trust/measure", tests, NULL, NULL);
}
