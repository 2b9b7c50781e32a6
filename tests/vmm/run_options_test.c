/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/run_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 300

struct rig {
    struct cli_io io;
    char *err;
    size_t err_size;
    struct run_options options;
    char name[4];
    char *argv[WORDS_MAX + 2]; /* of the last parse: what the options point into */
};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -1;
    strcpy(r->name, "run");
    r->io.err = open_memstream(&r->err, &r->err_size);
    *state = r;
    return r->io.err == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    fclose(r->io.err);
    free(r->err);
    free(r);
    return 0;
}

/* Words up to a NULL behind "run". The strings are not written to. */
static int parse_words(struct rig *r, const char *const *words)
{
    int argc = 1;
    r->argv[0] = r->name;
    for (; words[argc - 1] != NULL; argc++)
        memcpy(&r->argv[argc], &words[argc - 1], sizeof(r->argv[0]));
    r->argv[argc] = NULL;
    int code = run_options_parse(&r->io, argc, r->argv, &r->options);
    fflush(r->io.err);
    return code;
}
#define PARSE(r, ...) parse_words(r, (const char *const[]){__VA_ARGS__, NULL})

/* One line, and the text in it. */
static void expect_refusal(struct rig *r, const char *text, const char *const *words)
{
    size_t before = r->err_size;
    assert_int_equal(parse_words(r, words), CLI_EXIT_USAGE);
    const char *said = r->err + before;
    if (strstr(said, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, said);
    assert_ptr_equal(strstr(said, "caisson run: "), said);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}
#define REFUSED(r, text, ...) expect_refusal(r, text, (const char *const[]){__VA_ARGS__, NULL})

/* An option with a value, before a command line that is otherwise whole. */
#define WITH(r, ...)                assert_int_equal(PARSE(r, "--kernel", "k", __VA_ARGS__, "--", "true"), CLI_EXIT_OK)
#define BAD_VALUE(r, option, value) REFUSED(r, "'" value "'", "--kernel", "k", option, value, "--", "true")

static void the_least_has_the_defaults(void **state)
{
    struct rig *r = *state;
    const struct run_options *o = &r->options;
    assert_int_equal(PARSE(r, "--kernel", "k", "--", "true"), CLI_EXIT_OK);
    assert_string_equal(o->kernel, "k");
    assert_int_equal(o->protocol, BOOT_PROTOCOL_AUTO);
    assert_int_equal(o->initrd_count, 0);
    assert_null(o->modules);
    assert_null(o->append);
    assert_false(o->no_default_args);
    assert_int_equal(o->vps, 1);
    assert_int_equal(o->memory_bytes, 256 << 20);
    assert_null(o->console);
    assert_int_equal(o->tty, RUN_TTY_AUTO);
    assert_null(o->cwd);
    assert_null(o->hostname);
    assert_null(o->env[0]);
    assert_int_equal(o->ready_seconds, 60);
    assert_false(o->timings);
    assert_false(o->no_seccomp);
    assert_int_equal(o->hv.choice, HV_AUTO);
    assert_null(o->hv.kernel);
    assert_null(o->hv.trace_path);
    assert_int_equal(o->command_count, 1);
    assert_string_equal(o->command[0], "true");
    assert_null(o->command[1]);
    assert_string_equal(r->err == NULL ? "" : r->err, "");
}

static void a_value_may_follow_an_equals_sign(void **state)
{
    struct rig *r = *state;
    assert_int_equal(PARSE(r, "--kernel=a=b", "--append=x=1 y", "--", "true"), CLI_EXIT_OK);
    assert_string_equal(r->options.kernel, "a=b");
    assert_string_equal(r->options.append, "x=1 y");
}

static void the_command_begins_at_the_first_word_that_is_no_option(void **state)
{
    struct rig *r = *state;
    assert_int_equal(PARSE(r, "--kernel", "k", "echo", "--cpus", "x"), CLI_EXIT_OK);
    assert_int_equal(r->options.command_count, 3);
    assert_string_equal(r->options.command[1], "--cpus");
    assert_int_equal(PARSE(r, "--kernel", "k", "--", "--odd", "--"), CLI_EXIT_OK);
    assert_int_equal(r->options.command_count, 2);
    assert_string_equal(r->options.command[0], "--odd");
}

static void kernel_and_command_are_needed(void **state)
{
    struct rig *r = *state;
    REFUSED(r, "no kernel given", "--", "true");
    REFUSED(r, "no command given", "--kernel", "k");
    REFUSED(r, "no command given", "--kernel", "k", "--");
    REFUSED(r, "no value behind '--kernel'", "--kernel");
    REFUSED(r, "--kernel needs a file", "--kernel=", "--", "true");
}

static void unknown_options_are_refused(void **state)
{
    struct rig *r = *state;
    REFUSED(r, "unknown option '--kernels'", "--kernels", "k");
    REFUSED(r, "unknown option '--kern'", "--kern", "k");
    REFUSED(r, "unknown option '-k'", "-k", "k");
    REFUSED(r, "unknown option '-'", "-");
    REFUSED(r, "unknown option '--tty=yes'", "--tty=yes", "--", "true");
    REFUSED(r, "unknown option '--no?such'", "--no\nsuch");
}

static void protocols(void **state)
{
    struct rig *r = *state;
    WITH(r, "--protocol", "pvh");
    assert_int_equal(r->options.protocol, BOOT_PROTOCOL_PVH);
    WITH(r, "--protocol", "linux64");
    assert_int_equal(r->options.protocol, BOOT_PROTOCOL_LINUX64);
    WITH(r, "--protocol", "auto");
    assert_int_equal(r->options.protocol, BOOT_PROTOCOL_AUTO);
    BAD_VALUE(r, "--protocol", "efi");
    BAD_VALUE(r, "--protocol", "");
}

static void ramdisks_keep_their_order(void **state)
{
    struct rig *r = *state;
    WITH(r, "--initrd", "a", "--rootfs-cpio", "b", "--initrd", "c");
    assert_int_equal(r->options.initrd_count, 3);
    assert_string_equal(r->options.initrds[0], "a");
    assert_string_equal(r->options.initrds[1], "b");
    assert_string_equal(r->options.initrds[2], "c");
    BAD_VALUE(r, "--initrd", "");
    BAD_VALUE(r, "--rootfs-cpio", "");
}

static void eight_ramdisks_and_no_more(void **state)
{
    struct rig *r = *state;
    const char *words[2 * RUN_INITRDS_MAX + 7] = {NULL};
    size_t n = 0;
    for (unsigned i = 0; i < RUN_INITRDS_MAX; i++) {
        words[n++] = "--initrd";
        words[n++] = "x";
    }
    words[n] = "--kernel=k";
    words[n + 1] = "true";
    assert_int_equal(parse_words(r, words), CLI_EXIT_OK);
    assert_int_equal(r->options.initrd_count, RUN_INITRDS_MAX);
    words[n] = "--initrd=y";
    expect_refusal(r, "there may be eight; refused 'y'", words);
}

static void processors(void **state)
{
    struct rig *r = *state;
    WITH(r, "--cpus", "16");
    assert_int_equal(r->options.vps, 16);
    BAD_VALUE(r, "--cpus", "0");
    BAD_VALUE(r, "--cpus", "17");
    BAD_VALUE(r, "--cpus", "300");
    BAD_VALUE(r, "--cpus", "-1");
    BAD_VALUE(r, "--cpus", "1x");
    BAD_VALUE(r, "--cpus", "");
    BAD_VALUE(r, "--cpus", "4294967297");
    BAD_VALUE(r, "--cpus", "18446744073709551617");
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"1", 1 << 20},
                {"0", 0},
                {"4K", 4096},
                {"512M", UINT64_C(512) << 20},
                {"2G", UINT64_C(2) << 30},
                {"1T", UINT64_C(1) << 40},
                {"16777215T", UINT64_C(16777215) << 40}};
    static const char *const bad[] = {"",   "M",    "1MB",       "1 M",
                                      "-1", "1.5G", "0x1",       "1m",
                                      "1E", " 1",   "16777216T", "17592186044416",
                                      "+1", "1M ",  "1KK",       "18446744073709551616K"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 1;
        assert_true(run_parse_size(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 1;
        if (run_parse_size(bad[i], &bytes))
            fail_msg("'%s' was taken for a size", bad[i]);
    }
}

static void memory(void **state)
{
    struct rig *r = *state;
    WITH(r, "--memory", "3G");
    assert_int_equal(r->options.memory_bytes, UINT64_C(3) << 30);
    BAD_VALUE(r, "--memory", "lots");
}

static void the_kernels_arguments(void **state)
{
    struct rig *r = *state;
    WITH(r, "--append", "", "--no-default-args");
    assert_string_equal(r->options.append, "");
    assert_true(r->options.no_default_args);
}

static void console_and_terminal(void **state)
{
    struct rig *r = *state;
    WITH(r, "--console", "-", "--tty");
    assert_string_equal(r->options.console, "-");
    assert_int_equal(r->options.tty, RUN_TTY_YES);
    WITH(r, "--tty", "--no-tty");
    assert_int_equal(r->options.tty, RUN_TTY_NO);
    BAD_VALUE(r, "--console", "");
}

static void variables(void **state)
{
    struct rig *r = *state;
    WITH(r, "--env", "A=1", "--env=B=x=y", "--env", "C=");
    assert_string_equal(r->options.env[0], "A=1");
    assert_string_equal(r->options.env[1], "B=x=y");
    assert_string_equal(r->options.env[2], "C=");
    assert_null(r->options.env[3]);
    BAD_VALUE(r, "--env", "A");
    BAD_VALUE(r, "--env", "=1");
    BAD_VALUE(r, "--env", "");
}

static void as_many_variables_as_there_is_room_for(void **state)
{
    struct rig *r = *state;
    const char *words[RUN_ENV_MAX + 4] = {NULL};
    for (unsigned i = 0; i < RUN_ENV_MAX; i++)
        words[i] = "--env=A=1";
    words[RUN_ENV_MAX] = "--kernel=k";
    words[RUN_ENV_MAX + 1] = "true";
    assert_int_equal(parse_words(r, words), CLI_EXIT_OK);
    assert_non_null(r->options.env[RUN_ENV_MAX - 1]);
    assert_null(r->options.env[RUN_ENV_MAX]);
    words[RUN_ENV_MAX] = "--env=A=1";
    expect_refusal(r, "there may be 256; refused 'A=1'", words);
}

static void folder_and_name(void **state)
{
    struct rig *r = *state;
    char name[66];
    memset(name, 'n', sizeof(name));
    name[64] = '\0';
    WITH(r, "--cwd", "/tmp", "--hostname", name);
    assert_string_equal(r->options.cwd, "/tmp");
    assert_string_equal(r->options.hostname, name);
    BAD_VALUE(r, "--cwd", "tmp");
    BAD_VALUE(r, "--cwd", "");
    BAD_VALUE(r, "--hostname", "");
    name[64] = 'n';
    name[65] = '\0';
    REFUSED(r, "at most 64 characters", "--hostname", name);
}

static void patience(void **state)
{
    struct rig *r = *state;
    WITH(r, "--ready-timeout", "0");
    assert_int_equal(r->options.ready_seconds, 0);
    WITH(r, "--ready-timeout", "86400", "--timings", "--no-seccomp");
    assert_int_equal(r->options.ready_seconds, 86400);
    assert_true(r->options.timings);
    assert_true(r->options.no_seccomp);
    BAD_VALUE(r, "--ready-timeout", "86401");
    BAD_VALUE(r, "--ready-timeout", "1s");
}

static void guest_memory_is_locked_where_that_is_asked_for(void **state)
{
    struct rig *r = *state;
    WITH(r, "--memory", "64M");
    assert_false(r->options.lock_memory);
    WITH(r, "--lock-memory");
    assert_true(r->options.lock_memory);
}

static void jail(void **state)
{
    struct rig *r = *state;
    if (!CONFIG_JAIL)
        skip();
    WITH(r, "--require-jail", "--user", "1000");
    assert_true(r->options.confine.require && r->options.confine.drops_ids && !r->options.confine.off);
    assert_int_equal(r->options.confine.uid, 1000);
    assert_int_equal(r->options.confine.gid, 1000);
    WITH(r, "--user=0:5");
    assert_int_equal(r->options.confine.uid, 0);
    assert_int_equal(r->options.confine.gid, 5);
    WITH(r, "--no-jail");
    assert_true(r->options.confine.off && !r->options.confine.require && !r->options.confine.drops_ids);
    BAD_VALUE(r, "--user", "nobody");
    BAD_VALUE(r, "--user", "");
    BAD_VALUE(r, "--user", "1:");
    BAD_VALUE(r, "--user", "1:2:3");
    BAD_VALUE(r, "--user", "1 ");
    BAD_VALUE(r, "--user", "4294967295");
    REFUSED(r, "parts of the jail", "--kernel", "k", "--no-jail", "--require-jail");
    REFUSED(r, "parts of the jail", "--kernel", "k", "--no-jail", "--user", "1");
}

static void modules(void **state)
{
    struct rig *r = *state;
    WITH(r, "--modules", "/lib/modules/1");
    assert_string_equal(r->options.modules, "/lib/modules/1");
    BAD_VALUE(r, "--modules", "");
}

static void hypervisors(void **state)
{
    struct rig *r = *state;
    WITH(r, "--hv", "soft", "--softhv-kernel", "6.19", "--trace", "t");
    assert_int_equal(r->options.hv.choice, HV_SOFT);
    assert_string_equal(r->options.hv.kernel, "6.19");
    assert_string_equal(r->options.hv.trace_path, "t");
    WITH(r, "--hv=kernel");
    assert_int_equal(r->options.hv.choice, HV_KERNEL);
    WITH(r, "--hv=auto");
    assert_int_equal(r->options.hv.choice, HV_AUTO);
    BAD_VALUE(r, "--hv", "kvm");
    BAD_VALUE(r, "--softhv-kernel", "");
    BAD_VALUE(r, "--trace", "");
}

static void options_of_softhv_do_not_go_with_the_kernels(void **state)
{
    struct rig *r = *state;
    REFUSED(r, "are for softhv", "--kernel=k", "--hv=kernel", "--trace=t", "true");
    REFUSED(r, "are for softhv", "--kernel=k", "--softhv-kernel=7.2", "--hv=kernel", "true");
}

static void every_valued_option_wants_its_value(void **state)
{
    static const char *const options[] = {"--kernel",  "--protocol", "--initrd",        "--rootfs-cpio",
                                          "--modules", "--cpus",     "--memory",        "--append",
                                          "--console", "--env",      "--cwd",           "--hostname",
                                          "--hv",      "--trace",    "--ready-timeout", "--softhv-kernel"};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        REFUSED(r, "no value behind", options[i]);
}

static void more_words_than_the_guest_can_be_told_of(void **state)
{
    struct rig *r = *state;
    size_t n = UINT16_MAX + 3;
    char **argv = calloc(n + 1, sizeof(argv[0]));
    char run[] = "run", kernel[] = "--kernel=k", word[] = "x";
    assert_non_null(argv);
    for (size_t i = 0; i < n; i++)
        argv[i] = word;
    argv[0] = run;
    argv[1] = kernel;
    assert_int_equal(run_options_parse(&r->io, (int)n, argv, &r->options), CLI_EXIT_USAGE);
    assert_int_equal(run_options_parse(&r->io, (int)n - 1, argv, &r->options), CLI_EXIT_OK);
    assert_int_equal(r->options.command_count, UINT16_MAX);
    free(argv);
}

static void the_help_names_every_option_and_exit_code(void **state)
{
    static const char *const words[] = {"--kernel FILE",
                                        "--protocol",
                                        "--initrd",
                                        "--rootfs-cpio",
                                        "--modules",
                                        "--cpus",
                                        "--memory",
                                        "--append",
                                        "--no-default-args",
                                        "--console",
                                        "--tty",
                                        "--no-tty",
                                        "--env",
                                        "--cwd",
                                        "--hostname",
                                        "--hv",
                                        "--trace",
                                        "110",
                                        "--ready-timeout",
                                        "--timings",
                                        "111",
                                        "112",
                                        "113",
                                        "114",
                                        "115",
                                        "116",
                                        "117",
                                        "118",
                                        "119",
                                        "--softhv-kernel"};
    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(run_options_help, words[i]) == NULL)
            fail_msg("the help does not say %s", words[i]);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(the_least_has_the_defaults),
        CASE(a_value_may_follow_an_equals_sign),
        CASE(the_command_begins_at_the_first_word_that_is_no_option),
        CASE(kernel_and_command_are_needed),
        CASE(unknown_options_are_refused),
        CASE(protocols),
        CASE(ramdisks_keep_their_order),
        CASE(eight_ramdisks_and_no_more),
        CASE(processors),
        CASE(sizes),
        CASE(memory),
        CASE(the_kernels_arguments),
        CASE(console_and_terminal),
        CASE(variables),
        CASE(as_many_variables_as_there_is_room_for),
        CASE(folder_and_name),
        CASE(patience),
        CASE(guest_memory_is_locked_where_that_is_asked_for),
        CASE(jail),
        CASE(modules),
        CASE(hypervisors),
        CASE(options_of_softhv_do_not_go_with_the_kernels),
        CASE(every_valued_option_wants_its_value),
        CASE(more_words_than_the_guest_can_be_told_of),
        CASE(the_help_names_every_option_and_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
