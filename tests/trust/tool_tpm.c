/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/measure.h"
#include "tests/lib/boot_fixture.h"
#include "tests/lib/trust_fixture.h"
#include "tests/trust/tool.h"
#include "vmm/attest/log_read.h"
#include "vmm/attest/tpm.h"

#define INPUT_MAX (EVENT_LOG_BYTES_MAX + 1)
/* What a log's last event may be filled up with to have a certain length. */
#define EVENT_BYTES 100u

/* ---- Files ---- */

static int save(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s%s%s", folder, name[0] != '\0' ? "/" : "", name);
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        return 1;
    int failed = fwrite(bytes, 1, n, f) != n;
    return fclose(f) != 0 || failed;
}

/* malloc'ed; ends the program if there is no such file. */
static uint8_t *load(const char *path, size_t *n)
{
    uint8_t *bytes = malloc(INPUT_MAX);
    FILE *f = fopen(path, "rb");
    if (bytes == NULL || f == NULL) {
        fprintf(stderr, "trust-tool: cannot read %s: %s\n", path, strerror(errno));
        exit(2);
    }
    *n = fread(bytes, 1, INPUT_MAX, f);
    (void)fclose(f);
    return bytes;
}

/* A refusal: words for a person, exit code 1. */
static int refused(const struct err *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

static void print_hex(const char *name, const uint8_t *bytes, size_t n)
{
    printf("%s ", name);
    for (size_t i = 0; i < n; i++)
        printf("%02x", bytes[i]);
    printf("\n");
}

static void print_registers(const struct event_log *log, uint32_t mask, enum digest_alg bank)
{
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%s:%u", digest_name(bank), (unsigned)pcr);
        if ((mask >> pcr & 1) != 0)
            print_hex(name, event_log_pcr(log, bank, pcr), digest_bytes(bank));
    }
}

/* ---- Logs ---- */

/* Fill the log up to that many bytes. */
static int pad(struct event_log *log, size_t bytes)
{
    static const uint8_t zeros[EVENT_DATA_MAX];
    int code = 0;
    while (code == 0 && log->length + EVENT_BYTES <= bytes) {
        size_t room = bytes - log->length - EVENT_BYTES;
        size_t n = room > EVENT_DATA_MAX ? EVENT_DATA_MAX - EVENT_BYTES : room;
        code = boot_measure_container(log, (const char *)zeros, n);
    }
    return code == 0 && log->length == bytes ? 0 : 1;
}

int tool_log(int argc, char **argv)
{
    struct event_log log;
    if (argc < 2 || argc > 3)
        return 2;
    int failed = trust_fixture_log(&log) != 0;
    if (!failed && argc == 3)
        failed = pad(&log, strtoul(argv[2], NULL, 10));
    if (!failed)
        failed = save(argv[1], "", log.bytes, log.length);
    event_log_fini(&log);
    return failed;
}

/* A machine with a made-up kernel: every text that boot_measure writes. */
static int measure_machine(struct event_log *log, struct err *err)
{
    static const uint8_t ramdisk[16] = "ramdisk";
    static const struct measure_image images[] = {
        {.serial = "root",
         .read_only = true,
         .root_hash = "4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b"},
        {.serial = NULL}};
    struct boot_fixture kernel;
    const struct boot_file initrds[] = {{ramdisk, sizeof(ramdisk), "built in"}, {ramdisk, 8, "user's"}};
    struct boot_config config = {.initrds = initrds,
                                 .initrd_count = 2,
                                 .cmdline = "user=\"a b\" x:y",
                                 .memory_bytes = 128 * BOOT_MIB,
                                 .devices = {.vps = 2, .com1 = true}};
    struct boot_image image = {0};
    struct digest monitor;
    boot_fixture_elf(&kernel);
    config.kernel = kernel.file;
    digest_make("caisson", 7, &monitor);
    const struct measure_input in = {.version = "0.1.0 (abc)",
                                     .monitor = &monitor,
                                     .machine_json = "{\"devices\":[\"blk\"],\"vps\":2}",
                                     .config = &config,
                                     .image = &image,
                                     .images = images,
                                     .image_count = 2,
                                     .policy = "{}",
                                     .policy_bytes = 2};
    int code = boot_image_build(&config, &image, err);
    code = code != 0 ? code : boot_measure(&in, log, err);
    boot_image_fini(&image);
    return code;
}

int tool_measured_log(int argc, char **argv)
{
    static const char container[] = "{\"args\":[\"sh\",\"-c\",\"echo 'a: b' | cat\"],\"id\":\"a\"}";
    struct event_log log;
    struct err err;
    if (argc != 2)
        return 2;
    int failed = event_log_init(&log) != 0 || measure_machine(&log, &err) != 0;
    failed = failed || boot_measure_agent_key(&log, "0Y0\x13\x06\x07\xff", 7) != 0 ||
             boot_measure_container(&log, container, strlen(container)) != 0 ||
             boot_measure_exec(&log, container, strlen(container)) != 0 ||
             save(argv[1], "", log.bytes, log.length) != 0;
    event_log_fini(&log);
    return failed;
}

int tool_replay(int argc, char **argv)
{
    struct event_log registers;
    struct err err;
    size_t n;
    if (argc != 2)
        return 2;
    uint8_t *bytes = load(argv[1], &n);
    int code = log_replay(bytes, n, &registers, &err);
    free(bytes);
    if (code != 0)
        return refused(&err);
    print_registers(&registers, TRUST_PCR_MASK, DIGEST_SHA256);
    print_registers(&registers, TRUST_PCR_MASK, DIGEST_SHA384);
    return 0;
}

/* ---- Quotes ---- */

static int save_key(const struct pubkey *key, const char *folder)
{
    uint8_t bytes[TPM_PUBLIC_MAX];
    char pem[KEY_PEM_MAX];
    size_t n = tpm_public_write(key, DIGEST_SHA256, bytes);
    int failed = n == 0 || save(folder, "ak.tpm", bytes, n);
    n = pubkey_pem(key, pem);
    failed = failed || save(folder, "ak.pem", pem, n);
    n = tpm_public_name(key, DIGEST_SHA256, bytes);
    return failed || save(folder, "ak.name", bytes, n);
}

static int save_quote(struct key *key, struct tpm_quote *q, const struct event_log *log, const char *folder)
{
    uint8_t bytes[TPM_PCR_FILE_MAX];
    struct key_signature signature;
    struct err err;
    q->hash = key_hash(key_public(key));
    q->name_bytes = tpm_public_name(key_public(key), DIGEST_SHA256, q->name);
    tpm_quote_digest(q, log);
    size_t n = tpm_quote_write(q, bytes);
    int failed = save(folder, "quote.msg", bytes, n);
    if (!failed && key_sign_bytes(key, bytes, n, &signature, &err) != 0)
        return refused(&err);
    n = tpm_signature_write(&signature, bytes);
    failed = failed || save(folder, "quote.sig", bytes, n);
    n = tpm_pcr_file_write(log, q->bank, q->pcr_mask, bytes);
    return failed || save(folder, "quote.pcrs", bytes, n) || save(folder, "eventlog.bin", log->bytes, log->length) ||
           save_key(key_public(key), folder);
}

int tool_quote(int argc, char **argv)
{
    struct key *key = NULL;
    struct event_log log = {0};
    struct tpm_quote q = {
        .clock_ms = 123456789, .reset_count = 7, .safe = true, .firmware_version = 0x0102030405060708};
    struct err err;
    if (argc != 6)
        return 2;
    q.nonce_bytes = strlen(argv[3]) / 2;
    q.bank = strcmp(argv[4], "sha384") == 0 ? DIGEST_SHA384 : DIGEST_SHA256;
    q.pcr_mask = (uint32_t)strtoul(argv[5], NULL, 16);
    if (q.nonce_bytes > TPM_NONCE_MAX || !digest_from_hex(argv[3], q.nonce, q.nonce_bytes))
        return 2;
    size_t n;
    uint8_t *file = load(argv[2], &n);
    int code = key_load(file, n, argv[2], &key, &err);
    free(file);
    if (code != 0)
        return refused(&err);
    int failed = trust_fixture_log(&log) != 0 || save_quote(key, &q, &log, argv[1]) != 0;
    event_log_fini(&log);
    key_free(key);
    return failed;
}

/* ---- Reading what others wrote ---- */

int tool_read_quote(int argc, char **argv)
{
    struct tpm_quote q;
    struct err err;
    size_t n;
    if (argc != 2)
        return 2;
    uint8_t *bytes = load(argv[1], &n);
    int code = tpm_quote_read(bytes, n, &q, &err);
    free(bytes);
    if (code != 0)
        return refused(&err);
    print_hex("name", q.name, q.name_bytes);
    print_hex("nonce", q.nonce, q.nonce_bytes);
    printf("clock %llu\nresets %u\nrestarts %u\nsafe %d\nversion %llx\n", (unsigned long long)q.clock_ms,
           (unsigned)q.reset_count, (unsigned)q.restart_count, q.safe, (unsigned long long)q.firmware_version);
    printf("bank %s\nmask %06x\nhash %s\n", digest_name(q.bank), (unsigned)q.pcr_mask, digest_name(q.hash));
    print_hex("digest", q.pcr_digest, digest_bytes(q.hash));
    return 0;
}

int tool_read_signature(int argc, char **argv)
{
    struct key_signature s;
    struct err err;
    size_t n;
    if (argc != 2)
        return 2;
    uint8_t *bytes = load(argv[1], &n);
    int code = tpm_signature_read(bytes, n, &s, &err);
    free(bytes);
    if (code != 0)
        return refused(&err);
    printf("kind %d\nhash %s\n", (int)s.kind, digest_name(s.hash));
    print_hex("bytes", s.bytes, s.length);
    return 0;
}

int tool_read_registers(int argc, char **argv)
{
    struct event_log registers;
    enum digest_alg bank;
    uint32_t mask;
    struct err err;
    size_t n;
    if (argc != 2)
        return 2;
    uint8_t *bytes = load(argv[1], &n);
    int code = tpm_pcr_file_read(bytes, n, &registers, &bank, &mask, &err);
    free(bytes);
    if (code != 0)
        return refused(&err);
    print_registers(&registers, mask, bank);
    return 0;
}
