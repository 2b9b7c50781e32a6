/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register file of tpm2-tools: what its structures are in memory, little-endian and with their padding.
 *
 *     0    TPML_PCR_SELECTION   count, 16 x {hash, bytes of the bitmap, bitmap of 4, padding of 1}
 *     132  count of lists
 *     136  lists                TPML_DIGEST: count, 8 x {size, 64 bytes}
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/attest/tpm.h"

#define SELECTIONS_BYTES (4u + 16u * 8u)
#define LISTS_AT         (SELECTIONS_BYTES + 4u)
#define LIST_DIGESTS     8u
#define DIGEST_ROOM      (2u + 64u)
#define LIST_BYTES       (4u + LIST_DIGESTS * DIGEST_ROOM)
#define SELECT_BYTES     3u

static unsigned count_bits(uint32_t mask)
{
    return (unsigned)__builtin_popcount(mask);
}

static size_t file_bytes(uint32_t mask)
{
    return LISTS_AT + (size_t)(count_bits(mask) + LIST_DIGESTS - 1) / LIST_DIGESTS * LIST_BYTES;
}

static void write_selection(uint8_t *out, enum digest_alg bank, uint32_t mask)
{
    bytes_store_le32(out, 1);
    bytes_store_le16(out + 4, bank == DIGEST_SHA384 ? TPM_ALG_SHA384 : TPM_ALG_SHA256);
    out[6] = SELECT_BYTES;
    bytes_store_le32(out + 7, mask);
}

/* Place of the n-th selected register's digest. */
static size_t digest_at(unsigned n)
{
    return LISTS_AT + (size_t)n / LIST_DIGESTS * LIST_BYTES + 4 + (size_t)n % LIST_DIGESTS * DIGEST_ROOM;
}

size_t tpm_pcr_file_write(const struct event_log *log, enum digest_alg bank, uint32_t mask, uint8_t *out)
{
    size_t length = file_bytes(mask);
    unsigned total = count_bits(mask), n = 0;
    memset(out, 0, length);
    write_selection(out, bank, mask);
    bytes_store_le32(out + SELECTIONS_BYTES, (total + LIST_DIGESTS - 1) / LIST_DIGESTS);
    for (unsigned first = 0; first < total; first += LIST_DIGESTS)
        bytes_store_le32(out + digest_at(first) - 4, total - first < LIST_DIGESTS ? total - first : LIST_DIGESTS);
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        if ((mask >> pcr & 1) == 0)
            continue;
        uint8_t *to = out + digest_at(n++);
        bytes_store_le16(to, (uint16_t)digest_bytes(bank));
        memcpy(to + 2, event_log_pcr(log, bank, pcr), digest_bytes(bank));
    }
    return length;
}

static int refuse(struct err *err, const char *why)
{
    const struct err_context context = {.attempted = "read the register file"};
    return err_fail_because(err, -EBADMSG, &context, "%s", why);
}

static const char *read_selection(const uint8_t *b, size_t n, enum digest_alg *bank, uint32_t *mask)
{
    if (n < LISTS_AT)
        return "it ends inside of its selection";
    uint16_t hash = bytes_load_le16(b + 4);
    if (bytes_load_le32(b) != 1 || (hash != TPM_ALG_SHA256 && hash != TPM_ALG_SHA384))
        return "it selects from several banks, or from one other than sha256 and sha384";
    *bank = hash == TPM_ALG_SHA384 ? DIGEST_SHA384 : DIGEST_SHA256;
    *mask = bytes_load_le32(b + 7);
    if (b[6] != SELECT_BYTES || *mask == 0 || *mask >> EVENT_LOG_PCRS != 0)
        return "its selection is not of 24 registers, or empty";
    return n == file_bytes(*mask) ? NULL : "its length does not go with its selection";
}

static void copy_register(struct event_log *out, enum digest_alg bank, uint32_t pcr, const uint8_t *from)
{
    memcpy(bank == DIGEST_SHA384 ? out->sha384[pcr] : out->sha256[pcr], from, digest_bytes(bank));
}

/*
 * Everything but the digests has one value each: so the registers are taken out, and the file that they make has to be
 * the file that is there.
 */
int tpm_pcr_file_read(const void *bytes, size_t n, struct event_log *out, enum digest_alg *bank, uint32_t *mask,
                      struct err *err)
{
    uint8_t again[TPM_PCR_FILE_MAX];
    unsigned next = 0;
    memset(out, 0, sizeof(*out));
    const char *why = read_selection(bytes, n, bank, mask);
    if (why != NULL)
        return refuse(err, why);
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++)
        if ((*mask >> pcr & 1) != 0)
            copy_register(out, *bank, pcr, (const uint8_t *)bytes + digest_at(next++) + 2);
    size_t length = tpm_pcr_file_write(out, *bank, *mask, again);
    if (length == n && memcmp(again, bytes, n) == 0)
        return 0;
    memset(out, 0, sizeof(*out));
    return refuse(err, "a count, a size or padding is not as tpm2-tools writes it");
}
