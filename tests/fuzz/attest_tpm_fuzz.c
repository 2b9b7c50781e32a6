/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: quotes, signatures and register files.
 *
 * Input: a byte that chooses the structure (modulo 3), then its bytes. Checked: what is accepted has one encoding, and
 * writing it gives the input; what is refused leaves zeros and words.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attest/tpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *wrong)
{
    if (holds)
        return;
    fprintf(stderr, "attest_tpm_fuzz: %s\n", wrong);
    abort();
}

static void check_refusal(const struct err *err, const void *out, size_t n)
{
    const uint8_t *bytes = out;
    require(err->text[0] != '\0', "a refusal without words");
    for (size_t i = 0; i < n; i++)
        require(bytes[i] == 0, "a refusal that leaves something behind");
}

static void check_same(const uint8_t *data, size_t size, const uint8_t *again, size_t n)
{
    require(n == size && memcmp(data, again, n) == 0, "a second encoding");
}

static void try_quote(const uint8_t *data, size_t size)
{
    struct tpm_quote q;
    struct err err = {0};
    uint8_t again[TPM_MESSAGE_MAX];
    if (tpm_quote_read(data, size, &q, &err) == 0)
        check_same(data, size, again, tpm_quote_write(&q, again));
    else
        check_refusal(&err, &q, sizeof(q));
}

static void try_signature(const uint8_t *data, size_t size)
{
    struct key_signature s;
    struct err err = {0};
    uint8_t again[TPM_SIGNATURE_MAX];
    if (tpm_signature_read(data, size, &s, &err) == 0)
        check_same(data, size, again, tpm_signature_write(&s, again));
    else
        check_refusal(&err, &s, sizeof(s));
}

static void try_registers(const uint8_t *data, size_t size)
{
    struct event_log registers;
    enum digest_alg bank;
    uint32_t mask;
    struct err err = {0};
    uint8_t again[TPM_PCR_FILE_MAX];
    if (tpm_pcr_file_read(data, size, &registers, &bank, &mask, &err) == 0)
        check_same(data, size, again, tpm_pcr_file_write(&registers, bank, mask, again));
    else
        check_refusal(&err, &registers, sizeof(registers));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *, size_t) = {try_quote, try_signature, try_registers};
    if (size > 0)
        tries[data[0] % 3](data + 1, size - 1);
    return 0;
}
