/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The tables as Intel's compiler sees them: each is disassembled and compiled again, which must give no error, no
 * warning, and the same bytes behind the header. Needs iasl (Debian package acpica-tools); skipped without it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "boot/acpi.h"
#include "boot/dsdt.h"
#include "common/bytes.h"

static struct boot_devices everything(void)
{
    struct boot_devices devices = {.vps = 16,
                                   .com1 = true,
                                   .com2 = true,
                                   .rtc = true,
                                   .panic = true,
                                   .virtio_count = 20,
                                   .pci = boot_pci_default()};
    for (unsigned i = 0; i < devices.virtio_count; i++)
        devices.virtio_gsi[i] = (uint8_t)(BOOT_GSI_VIRTIO_MMIO + i % 19);
    devices.pci.window64 = (struct boot_range){UINT64_C(1) << 40, UINT64_C(1) << 38};
    return devices;
}

/* Run a command in a folder with its output in `log` there. Returns its exit status. */
static int run(const char *folder, const char *command)
{
    char line[1024];
    snprintf(line, sizeof(line), "cd '%s' && %s >>log 2>&1", folder, command);
    return system(line);
}

static void read_back(const char *folder, const char *name, uint8_t *out, size_t size, size_t *length)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *length = fread(out, 1, size, file);
    fclose(file);
}

static void write_table(const char *folder, const uint8_t *table)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/table.aml", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(table, 1, bytes_load_le32(table + 4), file), bytes_load_le32(table + 4));
    assert_int_equal(fclose(file), 0);
}

static void survives_iasl(const uint8_t *table)
{
    char folder[] = "/tmp/caisson-acpi-XXXXXX";
    const size_t size = 65536;
    char *log = test_malloc(size);
    uint8_t *again = test_malloc(size);
    size_t length, log_length;
    assert_non_null(mkdtemp(folder));
    write_table(folder, table);
    int status = run(folder, "iasl -d table.aml");
    if (status == 0)
        status = run(folder, "iasl -p again table.dsl");
    read_back(folder, "log", (uint8_t *)log, size - 1, &log_length);
    log[log_length] = '\0';
    if (status != 0 || strstr(log, "0 Errors, 0 Warnings, 0 Remarks") == NULL)
        fail_msg("iasl does not like %.4s:\n%s", (const char *)table, log);
    read_back(folder, "again.aml", again, size, &length);
    assert_int_equal(run(folder, "rm -f table.* again.* log"), 0);
    assert_int_equal(rmdir(folder), 0);
    /* The compiler writes its own name into the header. */
    assert_int_equal(length, bytes_load_le32(table + 4));
    assert_memory_equal(again + 36, table + 36, length - 36);
    test_free(log);
    test_free(again);
}

static void tables_survive_iasl(const struct boot_devices *devices)
{
    struct boot_parts parts;
    uint64_t bytes;
    if (system("command -v iasl >/dev/null 2>&1") != 0) {
        print_message("skipped: there is no iasl; install the Debian package acpica-tools\n");
        skip();
    }
    assert_int_equal(boot_parts_init(&parts, 5 * BOOT_GIB, NULL), 0);
    assert_int_equal(boot_devices_check(devices, 5 * BOOT_GIB, NULL), 0);
    assert_int_equal(boot_acpi_place(devices, &parts, &bytes, NULL), 0);
    const uint8_t *base = parts.part[0].bytes;
    const uint8_t *xsdt = base + (bytes_load_le64(base + 24) - BOOT_ACPI_GPA);
    survives_iasl(xsdt);
    for (uint32_t offset = 36; offset < bytes_load_le32(xsdt + 4); offset += 8) {
        const uint8_t *table = base + (bytes_load_le64(xsdt + offset) - BOOT_ACPI_GPA);
        survives_iasl(table);
        if (memcmp(table, "FACP", 4) == 0)
            survives_iasl(base + (bytes_load_le64(table + 140) - BOOT_ACPI_GPA));
    }
    boot_parts_fini(&parts);
}

static void tables_of_a_bare_machine_survive_the_compiler(void **state)
{
    struct boot_devices devices = {.vps = 1};
    (void)state;
    tables_survive_iasl(&devices);
}

static void tables_of_a_usual_machine_survive_the_compiler(void **state)
{
    struct boot_devices devices = {.vps = 2, .com1 = true, .pci = boot_pci_default()};
    (void)state;
    tables_survive_iasl(&devices);
}

static void tables_with_everything_survive_the_compiler(void **state)
{
    struct boot_devices devices = everything();
    (void)state;
    tables_survive_iasl(&devices);
}

/* Every size short of the needed one is reported, and nothing is written behind it. */
static void a_buffer_too_small_is_reported(void **state)
{
    uint8_t bytes[8192];
    struct boot_devices devices = everything();
    size_t needed = boot_dsdt_write(&devices, bytes, sizeof(bytes));
    (void)state;
    assert_true(needed > 0);
    for (size_t size = 0; size < needed; size++) {
        bytes[size] = 0xcc;
        assert_int_equal(boot_dsdt_write(&devices, bytes, size), 0);
        assert_int_equal(bytes[size], 0xcc);
    }
    assert_int_equal(boot_dsdt_write(&devices, bytes, needed), needed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_a_bare_machine_survive_the_compiler),
        cmocka_unit_test(tables_of_a_usual_machine_survive_the_compiler),
        cmocka_unit_test(tables_with_everything_survive_the_compiler),
        cmocka_unit_test(a_buffer_too_small_is_reported),
    };
    return cmocka_run_group_tests_name("boot/dsdt", tests, NULL, NULL);
}
