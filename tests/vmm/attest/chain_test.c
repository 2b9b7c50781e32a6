/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/pem.h"
#include "tests/lib/certificates.h"
#include "tests/lib/keys.h"
#include "vmm/attest/certificate.h"
#include "vmm/attest/chain.h"

#define NOW_S 1700000000 /* 2023: between 2020 and 2040 */

/* The names' certificates, one after the other. */
static void join(const char *names, char *out, size_t size)
{
    char copy[256];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", names);
    out[0] = '\0';
    for (char *name = strtok(copy, " "); name != NULL; name = strtok(NULL, " ")) {
        const char *pem = certificates_pem(name);
        assert_non_null(pem);
        n += (size_t)snprintf(out + n, size - n, "%s", pem);
        assert_true(n < size);
    }
}

static int verify_at(const char *names, const char *roots, int64_t now_s, struct pubkey **leaf, struct err *err)
{
    char chain[16384], root[16384];
    join(names, chain, sizeof chain);
    join(roots, root, sizeof root);
    return chain_verify(chain, strlen(chain), root, strlen(root), now_s, leaf, err);
}

static void assert_good(const char *names, const char *roots)
{
    struct pubkey *leaf = NULL, *wanted = keys_public(KEY_P256);
    struct err err;
    if (verify_at(names, roots, NOW_S, &leaf, &err) != 0)
        fail_msg("%s: %s", names, err.text);
    assert_true(pubkey_equal(leaf, wanted));
    pubkey_free(wanted);
    pubkey_free(leaf);
}

static void assert_bad(const char *names, const char *roots, int code, const char *why)
{
    struct pubkey *leaf = NULL;
    struct err err;
    assert_int_equal(verify_at(names, roots, NOW_S, &leaf, &err), code);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: %s", names, err.text);
    assert_null(leaf);
}

static void assert_rejected(const char *names, const char *roots, const char *why)
{
    assert_bad(names, roots, -EKEYREJECTED, why);
}

/* ---- Verifying ---- */

static void a_leaf_leads_through_its_node_to_the_root(void **state)
{
    (void)state;
    assert_good("leaf node", "root");
    assert_good("leaf node_by_rsa", "rsa_root");
    assert_good("leaf node_by_mid mid_1", "root");
}

static void the_root_may_stand_in_the_chain(void **state)
{
    (void)state;
    assert_good("leaf node root", "root");
    assert_good("leaf node_by_mid mid_1 root", "root");
}

static void a_node_that_signed_itself_may_be_the_root(void **state)
{
    (void)state;
    assert_good("leaf node_self", "node_self");
    assert_good("leaf", "node_self");
}

static void an_issuer_in_the_chain_may_be_the_root(void **state)
{
    (void)state;
    assert_good("leaf node", "node");
}

static void one_of_several_roots_suffices(void **state)
{
    (void)state;
    assert_good("leaf node", "rsa_root node_self root");
}

static void roots_of_other_kinds_of_keys_are_passed_over(void **state)
{
    (void)state;
    assert_good("leaf node", "leaf_p521 leaf_critical root");
}

static void another_root_is_refused(void **state)
{
    (void)state;
    assert_rejected("leaf node", "rsa_root", "CN=node was issued by none of the roots");
    assert_rejected("leaf node root", "rsa_root", "CN=root was issued by none of the roots");
    assert_rejected("leaf node_self", "root", "CN=node was issued by none of the roots");
}

static void a_leaf_is_no_root(void **state)
{
    (void)state;
    assert_rejected("leaf", "leaf", "was issued by none of the roots");
    assert_rejected("leaf node", "root_no_ca", "the certificate of its root is no CA's");
}

static void times_are_judged_at_the_time_given_and_not_by_the_clock(void **state)
{
    (void)state;
    static const struct {
        int64_t now_s;
        int code;
        const char *why;
    } cases[] = {
        {1577836799, -EKEYREJECTED, "CN=sandbox is not valid yet"},
        {1577836800, 0, ""}, /* start of 2020 */
        {2208988800, 0, ""},
        {2208988801, -EKEYREJECTED, "CN=sandbox has expired"}, /* start of 2040 */
        {0, -EKEYREJECTED, "is not valid yet"},
        {INT64_MAX, -EKEYREJECTED, "has expired"},
        {INT64_MIN, -EKEYREJECTED, "is not valid yet"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pubkey *leaf = NULL;
        struct err err = {0};
        assert_int_equal(verify_at("leaf node", "root", cases[i].now_s, &leaf, &err), cases[i].code);
        assert_non_null(strstr(err.text, cases[i].why));
        pubkey_free(leaf);
    }
}

static void each_certificates_time_counts(void **state)
{
    (void)state;
    assert_rejected("leaf_expired node", "root", "CN=sandbox has expired");
    assert_rejected("leaf node_expired", "root", "CN=node has expired");
    assert_rejected("leaf node_future", "root", "CN=node is not valid yet");
    assert_rejected("leaf node", "root_expired", "the certificate of its root has expired");
}

static void a_root_that_expired_does_not_hide_one_that_did_not(void **state)
{
    (void)state;
    assert_good("leaf node", "root_expired root");
}

static void an_issuer_that_is_no_ca_is_refused(void **state)
{
    (void)state;
    assert_rejected("leaf node_no_ca", "root", "CN=node is no CA's");
}

static void an_issuer_that_is_not_for_certificates_is_refused(void **state)
{
    (void)state;
    assert_rejected("leaf node_no_usage", "root", "CN=node is not for certificates");
    assert_rejected("leaf node_other_usage", "root", "CN=node is not for certificates");
}

static void path_lengths_are_held(void **state)
{
    (void)state;
    assert_rejected("leaf node_by_mid mid_0", "root", "CN=mid has too many CAs below it");
    assert_rejected("leaf node", "root_path_0", "the certificate of its root has too many CAs below it");
}

static void names_have_to_fit(void **state)
{
    (void)state;
    assert_rejected("leaf node_other_name", "root", "CN=sandbox was not issued by the one behind it");
}

static void the_issuers_key_has_to_have_signed(void **state)
{
    (void)state;
    assert_rejected("leaf node_other_key", "root", "CN=sandbox was not issued by the one behind it");
}

static void the_order_is_the_chains(void **state)
{
    (void)state;
    assert_rejected("node leaf", "root", "CN=node is a CA's, and no attestation key's");
    assert_rejected("leaf root node", "root", "was not issued by the one behind it");
    assert_rejected("leaf mid_1 node_by_mid", "root", "was not issued by the one behind it");
    assert_rejected("leaf leaf node", "root", "was not issued by the one behind it");
}

static void a_leaf_has_to_be_one_for_attestation(void **state)
{
    (void)state;
    assert_good("leaf_aik node", "root");
    assert_rejected("leaf_no_constraints node", "root", "does not say whether it is a CA's");
    assert_rejected("leaf_ca node", "root", "is a CA's");
    assert_rejected("leaf_no_usage node", "root", "is not for signatures");
    assert_rejected("leaf_agreement node", "root", "is not for signatures");
    assert_rejected("leaf_server node", "root", "is for something else");
}

static void unknown_extensions_are_refused_if_they_are_critical(void **state)
{
    (void)state;
    assert_good("leaf_not_critical node", "root");
    assert_bad("leaf_critical node", "root", -EBADMSG, "number 1 is not X.509");
}

static void hashes_and_curves_of_others_are_refused(void **state)
{
    (void)state;
    assert_rejected("leaf_sha384 node", "root", "was not issued by the one behind it");
    assert_bad("leaf_p521 node", "root", -EBADMSG, "number 1 is not X.509");
}

static void the_longest_chain_has_six(void **state)
{
    (void)state;
    assert_rejected("leaf node root root root root", "rsa_root", "CN=root was issued by none of the roots");
    assert_bad("leaf node root root root root root", "root", -EBADMSG, "there are too many");
}

static void no_chain_and_no_roots_are_refused(void **state)
{
    (void)state;
    assert_bad("", "root", -EBADMSG, "there is none");
    assert_rejected("leaf node", "", "CN=node was issued by none of the roots");
}

static void text_that_is_no_pem_is_refused(void **state)
{
    (void)state;
    struct pubkey *leaf;
    struct err err;
    const char *pem = certificates_pem("leaf"), *root = certificates_pem("node_self");
    char bad[4096];
    snprintf(bad, sizeof bad, "x\n%s", pem);
    assert_int_equal(chain_verify(bad, strlen(bad), root, strlen(root), NOW_S, &leaf, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "they are not in the form of PEM"));
    snprintf(bad, sizeof bad, "x\n%s", root);
    assert_int_equal(chain_verify(pem, strlen(pem), bad, strlen(bad), NOW_S, &leaf, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "cannot read root certificates"));
    snprintf(bad, sizeof bad, "%s%s", pem, keys_pem(KEY_P256));
    assert_int_equal(chain_verify(bad, strlen(bad), root, strlen(root), NOW_S, &leaf, &err), -EBADMSG);
}

static void more_bytes_than_the_most_are_refused(void **state)
{
    (void)state;
    struct pubkey *leaf;
    const char *pem = certificates_pem("leaf"), *root = certificates_pem("node_self");
    char *large = malloc(CHAIN_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, '\n', CHAIN_BYTES_MAX + 1);
    memcpy(large, pem, strlen(pem));
    assert_int_equal(chain_verify(large, CHAIN_BYTES_MAX + 1, root, strlen(root), NOW_S, &leaf, NULL), -EBADMSG);
    assert_int_equal(chain_verify(large, CHAIN_BYTES_MAX, root, strlen(root), NOW_S, &leaf, NULL), 0);
    pubkey_free(leaf);
    memset(large, '\n', CHAIN_BYTES_MAX + 1);
    memcpy(large, root, strlen(root));
    assert_int_equal(chain_verify(pem, strlen(pem), large, CHAIN_BYTES_MAX + 1, NOW_S, &leaf, NULL), -EBADMSG);
    free(large);
}

/* The leaf's DER, alone and as PEM again. */
static size_t leaf_der(uint8_t *out)
{
    const char *pem = certificates_pem("leaf");
    size_t n = strlen(pem);
    struct pem_block block;
    assert_int_equal(pem_next(&pem, &n, &block), 1);
    return (size_t)pem_decode(&block, out);
}

static int verify_der(const uint8_t *der, size_t n)
{
    char pem[4096];
    struct pubkey *leaf = NULL;
    const char *root = certificates_pem("node_self");
    pem_encode("CERTIFICATE", der, n, pem);
    int code = chain_verify(pem, strlen(pem), root, strlen(root), NOW_S, &leaf, NULL);
    pubkey_free(leaf);
    return code;
}

static void a_certificate_with_any_byte_changed_is_refused(void **state)
{
    (void)state;
    uint8_t der[1024];
    size_t n = leaf_der(der);
    for (size_t i = 0; i < n; i++) {
        der[i] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(verify_der(der, n), 0);
        der[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(verify_der(der, n), 0);
}

static void a_certificate_that_is_cut_or_has_more_is_refused(void **state)
{
    (void)state;
    uint8_t der[1024] = {0};
    size_t n = leaf_der(der);
    for (size_t i = 1; i < n; i++)
        assert_int_equal(verify_der(der, i), -EBADMSG);
    der[n] = 0;
    assert_int_equal(verify_der(der, n + 1), -EBADMSG);
}

/* ---- Certifying ---- */

static const struct chain_subject pod = {"pod-1", NOW_S - 60, NOW_S + 86400};

static int certify(const struct chain_subject *subject, const char *node, char **pem, struct err *err)
{
    struct key *node_key = keys_node();
    struct pubkey *key = keys_public(KEY_P256);
    char chain[16384];
    join(node, chain, sizeof chain);
    int code = chain_certify(key, subject, node_key, chain, strlen(chain), pem, err);
    pubkey_free(key);
    key_free(node_key);
    return code;
}

static void assert_not_certified(const struct chain_subject *subject, const char *node, const char *why)
{
    char *pem = NULL;
    struct err err;
    assert_int_equal(certify(subject, node, &pem, &err), -EINVAL);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s", err.text);
    assert_null(pem);
}

static int verify_text(const char *pem, const char *root_name, int64_t now_s)
{
    const char *root = certificates_pem(root_name);
    struct pubkey *leaf = NULL, *wanted = keys_public(KEY_P256);
    int code = chain_verify(pem, strlen(pem), root, strlen(root), now_s, &leaf, NULL);
    if (code == 0)
        assert_true(pubkey_equal(leaf, wanted));
    pubkey_free(wanted);
    pubkey_free(leaf);
    return code;
}

static void what_a_node_certifies_leads_to_its_root(void **state)
{
    (void)state;
    char *pem;
    assert_int_equal(certify(&pod, "node", &pem, NULL), 0);
    assert_int_equal(verify_text(pem, "root", NOW_S), 0);
    assert_int_equal(verify_text(pem, "rsa_root", NOW_S), -EKEYREJECTED);
    free(pem);
    assert_int_equal(certify(&pod, "node_by_mid mid_1", &pem, NULL), 0);
    assert_int_equal(verify_text(pem, "root", NOW_S), 0);
    free(pem);
}

static void it_is_valid_for_the_time_that_was_said(void **state)
{
    (void)state;
    char *pem;
    assert_int_equal(certify(&pod, "node", &pem, NULL), 0);
    assert_int_equal(verify_text(pem, "root", pod.not_before_s), 0);
    assert_int_equal(verify_text(pem, "root", pod.not_before_s - 1), -EKEYREJECTED);
    assert_int_equal(verify_text(pem, "root", pod.not_after_s), 0);
    assert_int_equal(verify_text(pem, "root", pod.not_after_s + 1), -EKEYREJECTED);
    free(pem);
}

static void years_after_2049_have_four_digits(void **state)
{
    (void)state;
    const struct chain_subject late = {"pod", NOW_S, 2524608000 + 5}; /* five seconds into 2050 */
    const struct chain_subject last = {"pod", NOW_S, 2524608000 - 1};
    char *pem, root[4096];
    struct certificate c;
    const uint8_t *out[CHAIN_MAX];
    size_t bytes[CHAIN_MAX];
    uint8_t *der;
    const struct chain_subject *subjects[] = {&late, &last};
    for (size_t i = 0; i < 2; i++) {
        join("node_self", root, sizeof root);
        assert_int_equal(certify(subjects[i], "node", &pem, NULL), 0);
        assert_int_equal(chain_to_der(pem, strlen(pem), &der, out, bytes, NULL), 2);
        assert_int_equal(certificate_read(out[0], bytes[0], &c), 0);
        assert_int_equal(c.not_after_s, subjects[i]->not_after_s);
        certificate_fini(&c);
        free(der);
        free(pem);
    }
}

static void certifying_twice_gives_the_same_and_another_subject_another_number(void **state)
{
    (void)state;
    const struct chain_subject other = {"pod-2", pod.not_before_s, pod.not_after_s};
    char *a, *b, *c;
    assert_int_equal(certify(&pod, "node", &a, NULL), 0);
    assert_int_equal(certify(&pod, "node", &b, NULL), 0);
    assert_int_equal(certify(&other, "node", &c, NULL), 0);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(c);
    free(b);
    free(a);
}

static void keys_of_each_kind_are_certified(void **state)
{
    (void)state;
    const enum key_kind kinds[] = {KEY_P256, KEY_P384, KEY_RSA};
    const char *node = certificates_pem("node_self");
    for (size_t i = 0; i < 3; i++) {
        struct key *node_key = keys_node();
        struct pubkey *key = keys_public(kinds[i]), *leaf;
        char *pem;
        assert_int_equal(chain_certify(key, &pod, node_key, node, strlen(node), &pem, NULL), 0);
        assert_int_equal(chain_verify(pem, strlen(pem), node, strlen(node), NOW_S, &leaf, NULL), 0);
        assert_true(pubkey_equal(leaf, key));
        pubkey_free(leaf);
        pubkey_free(key);
        key_free(node_key);
        free(pem);
    }
}

static void a_node_of_rsa_certifies_as_well(void **state)
{
    (void)state;
    struct key *node_key = keys_private(KEY_RSA);
    struct pubkey *key = keys_public(KEY_P256), *leaf;
    const char *node = certificates_pem("rsa_root");
    char *pem;
    assert_int_equal(chain_certify(key, &pod, node_key, node, strlen(node), &pem, NULL), 0);
    assert_int_equal(chain_verify(pem, strlen(pem), node, strlen(node), NOW_S, &leaf, NULL), 0);
    pubkey_free(leaf);
    pubkey_free(key);
    key_free(node_key);
    free(pem);
}

static void a_nodes_certificate_has_to_be_a_valid_cas_with_its_key(void **state)
{
    (void)state;
    assert_not_certified(&pod, "root", "the node's certificate is that of another key");
    assert_not_certified(&pod, "node_no_ca", "the node's certificate is no CA's");
    assert_not_certified(&pod, "node_no_usage", "the node's certificate is not for certificates");
    assert_not_certified(&pod, "node_expired", "the node's certificate has expired");
    assert_not_certified(&pod, "node_future", "the node's certificate is not valid yet");
    assert_not_certified(&pod, "node root root root root root", "there are more than 5 certificates of the node");
}

static void a_subject_has_a_name_that_can_be_shown(void **state)
{
    (void)state;
    static const char name[66] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const char *const bad[] = {"", name, "a\nb", "a\x7f", "\xc3\xbc"};
    char *pem;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_not_certified(&(struct chain_subject){bad[i], NOW_S, NOW_S + 1}, "node", "1 to 64 printable");
    assert_int_equal(certify(&(struct chain_subject){name + 1, NOW_S, NOW_S + 1}, "node", &pem, NULL), 0);
    free(pem);
}

static void times_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_not_certified(&(struct chain_subject){"p", NOW_S, NOW_S}, "node", "ends before it begins");
    assert_not_certified(&(struct chain_subject){"p", NOW_S, NOW_S - 1}, "node", "ends before it begins");
    assert_not_certified(&(struct chain_subject){"p", NOW_S, INT64_MAX}, "node", "ends before it begins");
}

static void a_chain_is_taken_apart(void **state)
{
    (void)state;
    char pem[8192];
    const uint8_t *out[CHAIN_MAX];
    size_t bytes[CHAIN_MAX];
    uint8_t *der, leaf[1024];
    join("leaf node", pem, sizeof pem);
    assert_int_equal(chain_to_der(pem, strlen(pem), &der, out, bytes, NULL), 2);
    assert_int_equal(bytes[0], leaf_der(leaf));
    assert_memory_equal(out[0], leaf, bytes[0]);
    assert_ptr_equal(out[1], out[0] + bytes[0]);
    free(der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_leads_through_its_node_to_the_root),
        cmocka_unit_test(the_root_may_stand_in_the_chain),
        cmocka_unit_test(a_node_that_signed_itself_may_be_the_root),
        cmocka_unit_test(an_issuer_in_the_chain_may_be_the_root),
        cmocka_unit_test(one_of_several_roots_suffices),
        cmocka_unit_test(roots_of_other_kinds_of_keys_are_passed_over),
        cmocka_unit_test(another_root_is_refused),
        cmocka_unit_test(a_leaf_is_no_root),
        cmocka_unit_test(times_are_judged_at_the_time_given_and_not_by_the_clock),
        cmocka_unit_test(each_certificates_time_counts),
        cmocka_unit_test(a_root_that_expired_does_not_hide_one_that_did_not),
        cmocka_unit_test(an_issuer_that_is_no_ca_is_refused),
        cmocka_unit_test(an_issuer_that_is_not_for_certificates_is_refused),
        cmocka_unit_test(path_lengths_are_held),
        cmocka_unit_test(names_have_to_fit),
        cmocka_unit_test(the_issuers_key_has_to_have_signed),
        cmocka_unit_test(the_order_is_the_chains),
        cmocka_unit_test(a_leaf_has_to_be_one_for_attestation),
        cmocka_unit_test(unknown_extensions_are_refused_if_they_are_critical),
        cmocka_unit_test(hashes_and_curves_of_others_are_refused),
        cmocka_unit_test(the_longest_chain_has_six),
        cmocka_unit_test(no_chain_and_no_roots_are_refused),
        cmocka_unit_test(text_that_is_no_pem_is_refused),
        cmocka_unit_test(more_bytes_than_the_most_are_refused),
        cmocka_unit_test(a_certificate_with_any_byte_changed_is_refused),
        cmocka_unit_test(a_certificate_that_is_cut_or_has_more_is_refused),
        cmocka_unit_test(what_a_node_certifies_leads_to_its_root),
        cmocka_unit_test(it_is_valid_for_the_time_that_was_said),
        cmocka_unit_test(years_after_2049_have_four_digits),
        cmocka_unit_test(certifying_twice_gives_the_same_and_another_subject_another_number),
        cmocka_unit_test(keys_of_each_kind_are_certified),
        cmocka_unit_test(a_node_of_rsa_certifies_as_well),
        cmocka_unit_test(a_nodes_certificate_has_to_be_a_valid_cas_with_its_key),
        cmocka_unit_test(a_subject_has_a_name_that_can_be_shown),
        cmocka_unit_test(times_that_make_no_sense_are_refused),
        cmocka_unit_test(a_chain_is_taken_apart),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
