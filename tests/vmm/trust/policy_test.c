/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto/jws.h"
#include "vmm/trust/policy.h"

#define MEMBERS "'cmdline':['quiet'],'debug':true"

struct rig {
    char folder[32];
    char *out, *err; /* of the last command */
};

static void path_of(const struct rig *r, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", r->folder, name);
}

static void save(const struct rig *r, const char *name, const char *text)
{
    char path[128];
    path_of(r, name, path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void load(const struct rig *r, const char *name, char out[4096])
{
    char path[128];
    path_of(r, name, path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    out[fread(out, 1, 4095, f)] = '\0';
    assert_int_equal(fclose(f), 0);
}

static bool is_there(const struct rig *r, const char *name)
{
    char path[128];
    struct stat st;
    path_of(r, name, path);
    return stat(path, &st) == 0;
}

static void make_keys(const struct rig *r, const char *name, enum key_kind kind)
{
    char file[64], public[KEY_PEM_MAX], *private;
    struct key *key;
    struct err err;
    assert_int_equal(key_generate(kind, &key, &err), 0);
    assert_int_equal(key_private_pem(key, &private, &err), 0);
    (void)pubkey_pem(key_public(key), public);
    snprintf(file, sizeof file, "%s.pem", name);
    save(r, file, private);
    snprintf(file, sizeof file, "%s.pub", name);
    save(r, file, public);
    free(private);
    key_free(key);
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    char *document = rig_canonical("{" RIG_HEAD "," MEMBERS "}");
    assert_non_null(r);
    strcpy(r->folder, "/tmp/policy-test.XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    save(r, "p", document);
    make_keys(r, "a", KEY_P256);
    make_keys(r, "b", KEY_P384);
    free(document);
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

static int teardown(void **state)
{
    struct rig *r = *state;
    nftw(r->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(r->out);
    free(r->err);
    free(r);
    return 0;
}

/* `caisson policy` and words; those that begin with "@" are files of the folder. */
static int run(struct rig *r, const char *words)
{
    char copy[512], paths[16][128], *argv[17], *rest = copy;
    size_t out, err;
    int argc = 0;
    snprintf(copy, sizeof copy, "policy %s", words);
    for (char *word; (word = strsep(&rest, " ")) != NULL && argc < 16; argc++) {
        if (word[0] == '@')
            path_of(r, word + 1, paths[argc]);
        argv[argc] = word[0] == '@' ? paths[argc] : word;
    }
    argv[argc] = NULL;
    free(r->out);
    free(r->err);
    const struct cli_io io = {.out = open_memstream(&r->out, &out), .err = open_memstream(&r->err, &err)};
    int code = trust_policy_main(&io, argc, argv);
    assert_int_equal(fclose(io.out), 0);
    assert_int_equal(fclose(io.err), 0);
    return code;
}

static void works(struct rig *r, const char *words, const char *out)
{
    if (run(r, words) != CLI_EXIT_OK || strstr(r->out, out) == NULL || r->err[0] != '\0')
        fail_msg("%s: '%s' '%s'", words, r->out, r->err);
}

static void fails(struct rig *r, const char *words, int code, const char *err)
{
    int result = run(r, words);
    if (result != code || strstr(r->err, err) == NULL || r->out[0] != '\0')
        fail_msg("%s: %d '%s' '%s'", words, result, r->out, r->err);
}

/* ---- Signatures ---- */

static void what_was_signed_checks(void **state)
{
    struct rig *r = *state;
    works(r, "sign --key @a.pem @p", "");
    works(r, "check --key @a.pub @p", "good: policy 'web', serial 3, debugging permitted, signed by ");
    assert_non_null(strstr(r->out, "/a.pub\n"));
    works(r, "check --key @b.pub --key @a.pub @p", "/a.pub\n");
    fails(r, "check --key @b.pub @p", CLI_EXIT_FAILURE, "caisson: cannot");
}

static void any_kind_of_key_signs(void **state)
{
    struct rig *r = *state;
    works(r, "sign --key @b.pem @p", "");
    works(r, "check --key @b.pub @p", "/b.pub\n");
}

static void a_policy_that_was_changed_after_it_was_signed_is_bad(void **state)
{
    struct rig *r = *state;
    char *other = rig_canonical("{" RIG_HEAD ",'cmdline':['quieT'],'debug':true}");
    works(r, "sign --key @a.pem @p", "");
    save(r, "p", other);
    fails(r, "check --key @a.pub @p", CLI_EXIT_FAILURE, "caisson: cannot");
    works(r, "check @p", "signature not looked at");
    free(other);
}

static void without_its_signature_a_policy_is_bad(void **state)
{
    struct rig *r = *state;
    fails(r, "check --key @a.pub @p", CLI_EXIT_FAILURE, "p.jws: No such file");
}

static void a_signature_elsewhere_can_be_named(void **state)
{
    struct rig *r = *state;
    char jws[4096];
    works(r, "sign --key @a.pem @p", "");
    load(r, "p.jws", jws);
    save(r, "elsewhere", jws);
    works(r, "sign --key @b.pem @p", "");
    works(r, "check --key @a.pub --signature @elsewhere @p", "/a.pub\n");
}

static void what_is_no_policy_is_not_signed(void **state)
{
    struct rig *r = *state;
    save(r, "p", "{}");
    fails(r, "sign --key @a.pem @p", CLI_EXIT_FAILURE, "caisson_policy: it is missing");
    assert_false(is_there(r, "p.jws"));
    fails(r, "input --key @a.pub @p", CLI_EXIT_FAILURE, "caisson_policy: it is missing");
    fails(r, "check @p", CLI_EXIT_FAILURE, "caisson_policy: it is missing");
}

static void a_public_key_does_not_sign(void **state)
{
    struct rig *r = *state;
    fails(r, "sign --key @a.pub @p", CLI_EXIT_FAILURE, "a.pub");
    fails(r, "sign --key @none @p", CLI_EXIT_FAILURE, "none: No such file");
    assert_false(is_there(r, "p.jws"));
}

static void the_bytes_to_be_signed_are_header_and_payload(void **state)
{
    struct rig *r = *state;
    char jws[4096];
    works(r, "sign --key @a.pem @p", "");
    load(r, "p.jws", jws);
    works(r, "input --key @a.pub @p", ".");
    size_t header = strcspn(jws, ".");
    assert_memory_equal(r->out, jws, header + 1);
    works(r, "input --key @a.pub -o @bytes @p", "");
    assert_true(is_there(r, "bytes"));
}

static void a_signature_of_something_else_is_not_attached(void **state)
{
    struct rig *r = *state;
    save(r, "der", "0");
    fails(r, "attach --key @a.pub --signature @der @p", CLI_EXIT_FAILURE, "caisson: cannot");
    assert_false(is_there(r, "p.jws"));
}

/* ---- Forms ---- */

static void any_json_is_brought_into_form(void **state)
{
    struct rig *r = *state;
    save(r, "loose", " { \"b\" : [ 1 ],\n \"a\" : \"\\u0041\" } \n");
    works(r, "format @loose", "");
    assert_string_equal(r->out, "{\"a\":\"A\",\"b\":[1]}");
    works(r, "format --output @tight @loose", "");
    char text[4096];
    load(r, "tight", text);
    assert_string_equal(text, "{\"a\":\"A\",\"b\":[1]}");
    save(r, "loose", "{\"a\":1,\n\"a\":2}");
    fails(r, "format @loose", CLI_EXIT_FAILURE, "line 2: duplicate object key");
    save(r, "loose", "[1.5]");
    fails(r, "format @loose", CLI_EXIT_FAILURE, "a number has a fraction");
}

static void a_policy_is_explained_line_by_line(void **state)
{
    struct rig *r = *state;
    char *document = rig_canonical(
        "{" RIG_HEAD ",'not_after':'2027-01-01T00:00:00Z','kernels':{'any':true},'vm':{'vps':{'min':1,'max':4},"
        "'memory':1},'containers':[{'name':'app','max':2,'args':['/app',{'glob':'--*'}],'root':{'share':'{id}-r'},"
        "'env':['A=1',{'optional':'B\\u001b=2'}],'mounts':[{'destination':'/d'}],'execs':[{'any':true}]}]}");
    save(r, "p", document);
    works(r, "explain @p", "policy 'web', serial 3\nin force: up to 2027-01-01T00:00:00Z\ndebugging: not permitted\n");
    static const char *const lines[] = {
        "  kernels: ANYTHING\n",
        "  files of caisson: nothing\n",
        "1 to 4",
        "container 'app', at most 2 at once:\n",
        "  args: '/app', any like '--*'\n",
        "  env: 'A=1', perhaps 'B?=2'\n",
        "  mount: (destination '/d')\n",
        "  root: (share '{id}-r')\n",
        "  further process: ANYTHING\n",
        "files copied into the guest: nothing\n",
        "note: 2 times anything is permitted\n",
        "note: 1 times the host decides what files hold",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strstr(r->out, lines[i]) == NULL)
            fail_msg("'%s' is missing in: %s", lines[i], r->out);
    free(document);
}

/* ---- Command lines ---- */

static void command_lines_that_mean_nothing_are_refused(void **state)
{
    static const char *const rows[][2] = {
        {"erase @p", "unknown sub-command 'erase'"},
        {"check", ""},
        {"check @p @p", ""},
        {"sign @p", "one --key is needed by 'sign'"},
        {"sign --key @a.pem --key @b.pem @p", "one --key is needed by 'sign'"},
        {"attach --key @a.pub @p", "a --signature is needed by 'attach'"},
        {"explain --key @a.pub @p", "--key means nothing to 'explain'"},
        {"sign --key @a.pem --signature @x @p", "--signature means nothing to 'sign'"},
        {"check --signature @x @p", "--signature means nothing without --key to 'check'"},
        {"sign --key @a.pem --output @x @p", "--output means nothing to 'sign'"},
        {"check --any @p", ""},
        {"new", "new needs '--from-bundle DIR'"},
        {"new --from-bundle @b --hv kvm", "--hv takes kernel or soft, not 'kvm'"},
        {"new --from-bundle @b --vps 17", "--vps takes 1 to 16"},
        {"new --from-bundle @b --memory 1M", "--memory takes 128M to 1T, not '1M'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        fails(*state, rows[i][0], CLI_EXIT_USAGE, rows[i][1]);
}

static void files_that_are_not_there_are_named(void **state)
{
    fails(*state, "check @none", CLI_EXIT_FAILURE, "none: No such file");
    fails(*state, "new --from-bundle @none", CLI_EXIT_FAILURE, "none");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_signed_checks),
        CASE(any_kind_of_key_signs),
        CASE(a_policy_that_was_changed_after_it_was_signed_is_bad),
        CASE(without_its_signature_a_policy_is_bad),
        CASE(a_signature_elsewhere_can_be_named),
        CASE(what_is_no_policy_is_not_signed),
        CASE(a_public_key_does_not_sign),
        CASE(the_bytes_to_be_signed_are_header_and_payload),
        CASE(a_signature_of_something_else_is_not_attached),
        CASE(any_json_is_brought_into_form),
        CASE(a_policy_is_explained_line_by_line),
        CASE(command_lines_that_mean_nothing_are_refused),
        CASE(files_that_are_not_there_are_named),
    };
    return cmocka_run_group_tests_name("vmm/trust/policy", tests, NULL, NULL);
}
