/* SPDX-License-Identifier: Apache-2.0 */
#include "common/relro.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Two pages of addresses, so that at least one whole page of the table lies in the part to be sealed. */
#define TABLE_SLOTS 1024

static int first_handler(void)
{
    return 1;
}

static int (*const table[TABLE_SLOTS])(void) = {[0] = first_handler, [TABLE_SLOTS - 1] = first_handler};

/* The permissions that the kernel lists for the page of an address: "rw-p", or "" if there is none. */
static void read_permissions(const void *address, char permissions[5])
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long start;
    unsigned long end;
    char found[5];

    assert_non_null(maps);
    permissions[0] = '\0';
    while (fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%lx-%lx %4s", &start, &end, found) == 3 && (uintptr_t)address >= start &&
            (uintptr_t)address < end) {
            snprintf(permissions, 5, "%s", found);
        }
    }
    fclose(maps);
}

static void table_of_functions_is_read_only_once_sealed(void **state)
{
    char permissions[5];

    (void)state;
    assert_int_equal(relro_seal(), 0);
    read_permissions(&table[TABLE_SLOTS / 2], permissions);
    assert_string_equal(permissions, "r--p");
}

static void sealing_twice_is_harmless(void **state)
{
    (void)state;
    assert_int_equal(relro_seal(), 0);
    assert_int_equal(relro_seal(), 0);
}

static void ordinary_data_stays_writable(void **state)
{
    char permissions[5];

    (void)state;
    assert_int_equal(relro_seal(), 0);
    /* The buffer pointer inside stdout's own structure lies in the C library's data. */
    read_permissions(stdout, permissions);
    assert_string_equal(permissions, "rw-p");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_functions_is_read_only_once_sealed),
        cmocka_unit_test(sealing_twice_is_harmless),
        cmocka_unit_test(ordinary_data_stays_writable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
